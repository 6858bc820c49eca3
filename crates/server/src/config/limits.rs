//! `[limits]`: what one project may take of the server, and exceptions by name. 0 means "no limit".

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64};

use nephometer_api::limits::{Allowance, LimitSettings, Rate};
use serde::{Deserialize, Serialize};

use super::Problem;

/// So many seconds' worth of measures may come at once where nothing else is said.
const USUAL_BURST_SECONDS: u64 = 10;

/// What one project may take, or one user where there is no project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LimitsSection {
    /// Most requests at one time.
    pub(crate) requests_in_flight: u32,
    /// Most measures written a second in the long run.
    pub(crate) measures_per_second: u64,
    /// Most measures at once; 0 for those of ten seconds.
    pub(crate) measures_burst: u64,
    /// Projects and users for which other limits hold.
    pub(crate) overrides: Vec<LimitOverride>,
}

/// Other limits for one project or user. What it does not say is as for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitOverride {
    /// The project's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// The user's id, or name where there are no ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// As in the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests_in_flight: Option<u32>,
    /// As in the section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) measures_per_second: Option<u64>,
    /// As in the section; those of ten seconds where only the rate is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) measures_burst: Option<u64>,
}

impl LimitsSection {
    /// What the APIs are told.
    pub(crate) fn settings(&self) -> LimitSettings {
        let usual = allowance(self.requests_in_flight, self.measures_per_second, self.measures_burst);
        let mut settings = LimitSettings { usual, projects: HashMap::new(), users: HashMap::new() };
        for exception in &self.overrides {
            let allowance = self.exceptional(exception);
            if let Some(project) = &exception.project {
                settings.projects.insert(project.clone(), allowance);
            }
            if let Some(user) = &exception.user {
                settings.users.insert(user.clone(), allowance);
            }
        }
        settings
    }

    fn exceptional(&self, exception: &LimitOverride) -> Allowance {
        let usual_burst = if exception.measures_per_second.is_some() { 0 } else { self.measures_burst };
        allowance(
            exception.requests_in_flight.unwrap_or(self.requests_in_flight),
            exception.measures_per_second.unwrap_or(self.measures_per_second),
            exception.measures_burst.unwrap_or(usual_burst),
        )
    }

    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.measures_burst > 0 && self.measures_per_second == 0 {
            problems.push(Problem::new(
                "limits.measures_burst: means nothing without limits.measures_per_second",
            ));
        }
        let mut named = Vec::new();
        for (position, exception) in self.overrides.iter().enumerate() {
            let place = format!("limits.overrides[{position}]");
            let name = match (&exception.project, &exception.user) {
                (Some(project), None) if !project.is_empty() => ("project", project),
                (None, Some(user)) if !user.is_empty() => ("user", user),
                _ => {
                    problems.push(Problem::new(format!("{place}: must name either a project or a user")));
                    continue;
                }
            };
            if named.contains(&name) {
                problems.push(Problem::new(format!("{place}: {} {} has another one", name.0, name.1)));
            }
            named.push(name);
            let rate = exception.measures_per_second.unwrap_or(self.measures_per_second);
            if rate == 0 && exception.measures_burst.is_some_and(|burst| burst > 0) {
                problems.push(Problem::new(format!(
                    "{place}: measures_burst means nothing without measures_per_second"
                )));
            }
        }
        problems
    }
}

fn allowance(requests_in_flight: u32, measures_per_second: u64, measures_burst: u64) -> Allowance {
    let rate = NonZeroU64::new(measures_per_second).map(|per_second| {
        let usual = per_second.saturating_mul(NonZeroU64::MIN.saturating_add(USUAL_BURST_SECONDS - 1));
        Rate { per_second, burst: NonZeroU64::new(measures_burst).unwrap_or(usual) }
    });
    Allowance { requests_in_flight: NonZeroU32::new(requests_in_flight), measures: rate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    fn section(text: &str) -> LimitsSection {
        let defaults = toml::Table::try_from(LimitsSection::default()).unwrap();
        let mut table: toml::Table = text.parse().unwrap();
        for (key, value) in defaults {
            table.entry(key).or_insert(value);
        }
        table.try_into().unwrap()
    }

    #[test]
    fn nothing_is_limited_unless_the_operator_says_so() {
        assert_eq!(LimitsSection::default().settings(), LimitSettings::default());
    }

    #[test]
    fn exceptions_differ_in_what_they_say() {
        let section = section(
            "requests_in_flight = 50\nmeasures_per_second = 100\nmeasures_burst = 700\n\
             [[overrides]]\nproject = 'telemetry'\nmeasures_per_second = 0\n\
             [[overrides]]\nproject = 'big'\nmeasures_per_second = 500\n\
             [[overrides]]\nuser = 'bob'\nrequests_in_flight = 0\nmeasures_burst = 800",
        );
        assert!(section.problems().is_empty());
        let settings = section.settings();
        assert_eq!(settings.usual, allowance(50, 100, 700));
        assert_eq!(settings.projects["telemetry"], allowance(50, 0, 0));
        assert_eq!(settings.projects["big"], allowance(50, 500, 5000));
        assert_eq!(settings.users["bob"], allowance(0, 100, 800));
    }

    #[test]
    fn exceptions_come_from_a_file_or_from_one_variable() {
        let file = "[[limits.overrides]]\nproject = 'a'\nmeasures_per_second = 5\n";
        let from_file = Layers { file: Some(("f.toml".into(), file.to_owned())), ..Layers::default() };
        let text = "[{project = 'a', measures_per_second = 5}]".to_owned();
        let env = vec![("NEPHOMETER__LIMITS__OVERRIDES".to_owned(), text)];
        let from_env = Layers { env, ..Layers::default() };
        for layers in [from_file, from_env] {
            let config = Config::load(layers).unwrap();
            assert_eq!(config.limits.settings().projects["a"], allowance(0, 5, 50));
            let shown = toml::to_string(&config).unwrap();
            assert!(shown.contains("project = \"a\"") && !shown.contains("user = "), "{shown}");
        }
        for wrong in [
            "[{project = 'a', measures_per_secnd = 5}]",
            "[{project = 'a', requests_in_flight = -1}]",
            "a, b",
        ] {
            let flags = vec![format!("limits.overrides={wrong}")];
            let found = Config::load(Layers { flags, ..Layers::default() }).unwrap_err();
            assert!(found[0].to_string().starts_with("limits.overrides (from --set): "), "{found:?}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        let section = section(
            "measures_burst = 5\n[[overrides]]\nmeasures_per_second = 1\n\
             [[overrides]]\nproject = 'a'\nuser = 'b'\n[[overrides]]\nproject = 'a'\n[[overrides]]\nproject = 'a'\n\
             [[overrides]]\nuser = 'a'\nmeasures_burst = 1",
        );
        let found: Vec<_> = section.problems().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 5, "{found:#?}");
        for (problem, expected) in found.iter().zip([
            "limits.measures_burst: means nothing",
            "limits.overrides[0]: must name either",
            "limits.overrides[1]: must name either",
            "limits.overrides[3]: project a has another one",
            "limits.overrides[4]: measures_burst means nothing",
        ]) {
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
