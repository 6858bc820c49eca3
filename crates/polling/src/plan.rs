//! What an agent does at which interval: polling.yaml put together with what the agent's namespaces offer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Discovery, Plugins, PollingConfig, PollingSource, Pollster};

/// What one namespace (`compute`, `central`, `ipmi`) offers.
pub struct Namespace {
    /// Its name.
    pub name: Arc<str>,
    /// What it can list and read.
    pub plugins: Plugins,
}

/// The work of an agent.
#[derive(Default)]
pub struct Plan {
    /// By interval.
    pub tasks: BTreeMap<Duration, Arc<TaskPlan>>,
    /// What in polling.yaml is without effect, in words for its author.
    pub warnings: Vec<String>,
    /// Sources that name no pollster of these namespaces: other agents' as a rule.
    pub idle: Vec<Arc<str>>,
}

/// What is done at one interval.
pub struct TaskPlan {
    /// In polling.yaml's order.
    pub sources: Vec<SourcePlan>,
}

/// A source with the pollsters that it names.
pub struct SourcePlan {
    /// Its name.
    pub name: Arc<str>,
    /// Resources that the file lists.
    pub resources: Vec<Arc<str>>,
    /// How others are found.
    pub discovery: Vec<FoundBy>,
    /// Whether agents divide its pollsters among them, not its resources.
    pub divides_pollsters: bool,
    /// Those that read, in the order of their names.
    pub pollsters: Vec<Reader>,
}

/// A pollster and where it belongs.
#[derive(Clone)]
pub struct Reader {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Itself.
    pub pollster: Arc<dyn Pollster>,
    /// How its resources are found where the source does not say.
    pub default_discovery: Option<FoundBy>,
}

/// A discovery with its parameter.
#[derive(Clone)]
pub struct FoundBy {
    /// As the file writes it: what is listed for it is shared by all who write it so.
    pub spec: Arc<str>,
    /// What stands behind the name.
    pub parameter: Option<Arc<str>>,
    /// Who lists.
    pub discovery: Arc<dyn Discovery>,
}

impl fmt::Debug for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FoundBy").field(&self.spec).finish()
    }
}

impl Plan {
    /// Puts together what `config` asks for of what `namespaces` offer.
    pub fn new(config: &PollingConfig, namespaces: &[Namespace]) -> Self {
        let mut tasks: BTreeMap<Duration, Vec<SourcePlan>> = BTreeMap::new();
        let (mut warnings, mut idle) = (Vec::new(), Vec::new());
        for source in &config.sources {
            let pollsters = readers(source, namespaces, &mut warnings);
            if pollsters.is_empty() {
                idle.push(Arc::clone(&source.name));
                continue;
            }
            let discovery = source.discovery.iter().filter_map(|spec| {
                let found = found_by(spec, namespaces.iter());
                if found.is_none() {
                    let (name, _) = split(spec);
                    warnings.push(format!("Unknown discovery extension: {name}"));
                }
                found
            });
            let discovery = discovery.collect();
            if source.group_expression.is_some() && !source.resources.is_empty() {
                warnings.push(format!(
                    "source {}: group_id_coordination_expression counts only where no resources are listed",
                    source.name
                ));
            }
            tasks.entry(source.interval).or_default().push(SourcePlan {
                name: Arc::clone(&source.name),
                resources: source.resources.clone(),
                discovery,
                divides_pollsters: source.group_expression.is_some() && source.resources.is_empty(),
                pollsters,
            });
        }
        let tasks = tasks.into_iter().map(|(interval, sources)| (interval, Arc::new(TaskPlan { sources })));
        Self { tasks: tasks.collect(), warnings, idle }
    }
}

/// The pollsters of all namespaces that the source names.
fn readers(source: &PollingSource, namespaces: &[Namespace], warnings: &mut Vec<String>) -> Vec<Reader> {
    let mut readers: BTreeMap<&str, Reader> = BTreeMap::new();
    for namespace in namespaces {
        for pollster in namespace.plugins.pollsters.iter().filter(|pollster| is_named(source, &***pollster)) {
            let name = pollster.name();
            if readers.contains_key(name) {
                continue;
            }
            // A namespace knows its own discoveries best.
            let known = std::iter::once(namespace).chain(namespaces);
            let default_discovery = pollster.default_discovery();
            let found = default_discovery.and_then(|spec| found_by(spec, known));
            if let (Some(spec), None) = (default_discovery, &found) {
                warnings.push(format!("{name}: Unknown discovery extension: {spec}"));
            }
            let reader = Reader {
                namespace: Arc::clone(&namespace.name),
                pollster: Arc::clone(pollster),
                default_discovery: found,
            };
            readers.insert(name, reader);
        }
    }
    readers.into_values().collect()
}

/// Whether the source names the pollster: by its own name, as upstream has it, or by that of a meter that it makes.
fn is_named(source: &PollingSource, pollster: &dyn Pollster) -> bool {
    let (patterns, name) = (&source.meters, pollster.name());
    if patterns.excludes(name) {
        return false;
    }
    let meters = pollster.meters();
    match &meters[..] {
        [only] if patterns.excludes(&only.name) => false,
        meters => patterns.matches(name) || meters.iter().any(|meter| patterns.matches(&meter.name)),
    }
}

/// `name`, `name:parameter` or `name://parameter`.
fn split(spec: &str) -> (&str, Option<&str>) {
    match spec.split_once(':') {
        None => (spec, None),
        Some((name, parameter)) => (name, Some(parameter.strip_prefix("//").unwrap_or(parameter))),
    }
}

fn found_by<'a>(spec: &str, namespaces: impl Iterator<Item = &'a Namespace>) -> Option<FoundBy> {
    let (name, parameter) = split(spec);
    let mut discoveries = namespaces.flat_map(|namespace| &namespace.plugins.discoveries);
    let discovery = Arc::clone(discoveries.find(|discovery| discovery.name() == name)?);
    Some(FoundBy { spec: spec.into(), parameter: parameter.map(Arc::from), discovery })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalNode;
    use crate::fakes::FakePollster;

    fn plan(yaml: &str, names: &[(&str, &str)]) -> Plan {
        let config = PollingConfig::parse(yaml).unwrap();
        let mut namespaces: Vec<Namespace> = Vec::new();
        for (namespace, pollster) in names {
            if namespaces.last().is_none_or(|last| *last.name != **namespace) {
                let discoveries: Vec<Arc<dyn Discovery>> = vec![Arc::new(LocalNode::new("h"))];
                let plugins = Plugins { discoveries, pollsters: Vec::new() };
                namespaces.push(Namespace { name: (*namespace).into(), plugins });
            }
            let pollsters = &mut namespaces.last_mut().unwrap().plugins.pollsters;
            pollsters.push(Arc::new(FakePollster::named(pollster)));
        }
        Plan::new(&config, &namespaces)
    }

    fn names(source: &SourcePlan) -> Vec<&str> {
        source.pollsters.iter().map(|reader| reader.pollster.name()).collect()
    }

    #[test]
    fn sources_of_one_interval_are_one_task() {
        let yaml = "sources:\n- {name: a, interval: 10, meters: [cpu]}\n- {name: b, interval: 10, meters: ['!cpu']}\n\
                    - {name: c, interval: 5, meters: ['*'], discovery: [local_node, 'nosuch:x']}\n\
                    - {name: d, interval: 5, meters: [nothing]}";
        let plan = plan(yaml, &[("compute", "cpu"), ("compute", "memory"), ("ipmi", "fan"), ("ipmi", "cpu")]);
        assert_eq!(plan.tasks.len(), 2);
        let tens = &plan.tasks[&Duration::from_secs(10)];
        assert_eq!((names(&tens.sources[0]), names(&tens.sources[1])), (vec!["cpu"], vec!["fan", "memory"]));
        assert_eq!(&*tens.sources[0].pollsters[0].namespace, "compute");
        let fives = &plan.tasks[&Duration::from_secs(5)];
        assert_eq!((fives.sources.len(), fives.sources[0].discovery.len()), (1, 1));
        assert_eq!(plan.warnings, ["Unknown discovery extension: nosuch"]);
        assert_eq!(plan.idle, ["d".into()]);
    }

    #[test]
    fn a_pollster_is_found_by_its_meters_too() {
        let yaml = |meters: &str| format!("sources: [{{name: a, interval: 10, meters: {meters}}}]");
        let found = |meters: &str| {
            let plan = plan(&yaml(meters), &[("central", "radosgw.usage=radosgw.api.request")]);
            plan.tasks.len() == 1
        };
        assert!(found("[radosgw.usage]") && found("[radosgw.api.request]") && found("['radosgw.*']"));
        assert!(!found("['!radosgw.usage']") && !found("['!radosgw.api.*']") && found("['!cpu']"));
    }

    #[test]
    fn specs_are_split_as_upstream_splits_them() {
        assert_eq!(split("tenant"), ("tenant", None));
        assert_eq!(split("endpoint:compute"), ("endpoint", Some("compute")));
        assert_eq!(split("foo://bar/baz"), ("foo", Some("bar/baz")));
    }
}
