//! What a caller may do: named rules asked with flattened targets, and conditions that narrow lists to the rows that a
//! caller may see. The conditions go into the query; nothing is filtered after it.

use nephometer_drivers::{MetricAccess, PolicyEnforcer};
use nephometer_model::{
    ArchivePolicy, Comparison, Filter, FilterValue, Identity, Metric, PolicyTarget, Resource, ResourceType,
};

use crate::MetricError;

/// A caller and the rules it is judged by.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    identity: &'a Identity,
    enforcer: Option<&'a dyn PolicyEnforcer>,
}

impl<'a> Access<'a> {
    /// A caller from outside.
    pub fn new(identity: &'a Identity, enforcer: &'a dyn PolicyEnforcer) -> Self {
        Self { identity, enforcer: Some(enforcer) }
    }

    /// A part of this program (statsd, self-monitoring), which may do everything as `identity`.
    pub fn internal(identity: &'a Identity) -> Self {
        Self { identity, enforcer: None }
    }

    /// What is stored as creator of things that this caller makes.
    pub fn creator(&self) -> Option<&'a str> {
        self.identity.creator.as_deref()
    }

    /// Whether `rule` lets the caller act on `target`.
    pub fn allows(&self, rule: &str, target: &PolicyTarget) -> bool {
        self.enforcer.is_none_or(|enforcer| enforcer.allows(rule, target, self.identity))
    }

    /// Refuses unless `rule` lets the caller act on `target`.
    pub fn require(&self, rule: &str, target: &PolicyTarget) -> Result<(), MetricError> {
        if self.allows(rule, target) { Ok(()) } else { Err(MetricError::Forbidden("")) }
    }

    /// Whether decisions by `rule` depend on nothing of a target but who made it.
    pub(crate) fn judges_by_creator(&self, rule: &str) -> bool {
        const OF_CREATOR: [&str; 3] = ["creator", "created_by_user_id", "created_by_project_id"];
        let of_creator = |attribute: &String| OF_CREATOR.contains(&attribute.as_str());
        self.enforcer.is_none_or(|enforcer| {
            enforcer.attributes(rule).is_some_and(|attributes| attributes.iter().all(of_creator))
        })
    }

    /// Whether lists show this caller everything without asking rules.
    fn sees_all(&self) -> bool {
        self.enforcer.is_none() || !self.identity.filters_rows
    }

    /// Whether the caller's view is narrowed to its project's rows.
    pub(crate) fn is_confined(&self) -> bool {
        !self.sees_all()
    }

    /// Whether a resource was made for the caller's project.
    pub(crate) fn is_of_project(&self, resource: &Resource) -> bool {
        self.project().is_some_and(|own| resource.project_id.as_deref() == Some(own))
    }

    fn project(&self) -> Option<&'a str> {
        self.identity.project_id.as_deref().filter(|project| !project.is_empty())
    }

    /// Which resources (of a type, where one is meant) `rule` lets the caller see. `prefix` is put before the keys of
    /// the target.
    pub fn resource_filter(
        &self,
        rule: &str,
        resource_type: Option<&str>,
        prefix: &str,
    ) -> Result<Filter, MetricError> {
        if self.sees_all() {
            return Ok(Filter::All);
        }
        let base = resource_type.map(|name| ("resource_type".to_owned(), name.to_owned()));
        let base: PolicyTarget = base.into_iter().collect();
        if self.allows(rule, &base) {
            return Ok(Filter::All);
        }
        let mine = self.project().unwrap_or_default();
        let allowed_for = |key: &str| {
            let mut target = base.clone();
            target.insert(format!("{prefix}{key}"), mine.to_owned());
            self.allows(rule, &target)
        };
        let mut ways = Vec::new();
        if !mine.is_empty() && allowed_for("project_id") {
            ways.push(Filter::eq_text("project_id", mine));
        }
        if allowed_for("created_by_project_id") {
            ways.push(match mine {
                "" => Filter::Compare(Comparison::Eq, "creator".to_owned(), FilterValue::Null),
                mine => Filter::eq_text("created_by_project_id", mine),
            });
        }
        if ways.is_empty() {
            Err(MetricError::Forbidden("Insufficient privileges"))
        } else {
            Ok(Filter::Or(ways))
        }
    }

    /// Which metrics `rule` lets the caller list; nothing where it may see all.
    pub fn metric_filter(&self, rule: &str) -> Result<Option<MetricAccess>, MetricError> {
        if self.sees_all() || self.allows(rule, &PolicyTarget::new()) {
            return Ok(None);
        }
        let mine = self.project().unwrap_or_default();
        let with = |key: &str| PolicyTarget::from([(key.to_owned(), mine.to_owned())]);
        let created = !mine.is_empty() && self.allows(rule, &with("created_by_project_id"));
        let resource_filter = match self.resource_filter(rule, None, "resource.") {
            Ok(filter) => Some(filter),
            Err(error) if !created => return Err(error),
            Err(_) => None,
        };
        Ok(Some(MetricAccess { created_by_project_id: created.then(|| mine.to_owned()), resource_filter }))
    }

    /// Whether the caller may read `resource`. Where lists are narrowed for the caller, a resource that it may not read
    /// does not exist for it; otherwise reading is forbidden.
    pub fn require_read(&self, rule: &str, resource: &Resource) -> Result<(), MetricError> {
        if self.enforcer.is_none() || self.allows(rule, &PolicyTarget::new()) {
            return Ok(());
        }
        if self.sees_all() {
            return self.require(rule, &resource_target(resource));
        }
        let (user, project) = split_creator(resource.creator.as_deref()).unwrap_or_default();
        let mine = self.project();
        let forms = [
            ("project_id", mine, resource.project_id.as_deref()),
            ("created_by_project_id", mine, Some(project)),
            ("creator", self.identity.user_id.as_deref(), Some(user)),
        ];
        let mut some_form_allowed = false;
        for (key, own, actual) in forms {
            let target = PolicyTarget::from([(key.to_owned(), own.unwrap_or_default().to_owned())]);
            if self.allows(rule, &target) {
                some_form_allowed = true;
                if own.is_some() && own == actual {
                    return Ok(());
                }
            }
        }
        match some_form_allowed {
            true => Err(MetricError::NoSuchResource(resource.id)),
            false => Err(MetricError::Forbidden("")),
        }
    }
}

/// User and project of a creator: before and after its first colon; a missing part is empty.
pub fn split_creator(creator: Option<&str>) -> Option<(&str, &str)> {
    creator.map(|creator| creator.split_once(':').unwrap_or((creator, "")))
}

fn put(target: &mut PolicyTarget, prefix: &str, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        target.insert(format!("{prefix}{key}"), value.to_owned());
    }
}

fn put_creator(target: &mut PolicyTarget, prefix: &str, creator: Option<&str>) {
    put(target, prefix, "creator", creator);
    if let Some((user, project)) = split_creator(creator) {
        put(target, prefix, "created_by_user_id", Some(user));
        put(target, prefix, "created_by_project_id", Some(project));
    }
}

/// What rules see of something of which only the creator counts.
pub(crate) fn creator_target(creator: Option<&str>) -> PolicyTarget {
    let mut target = PolicyTarget::new();
    put_creator(&mut target, "", creator);
    target
}

/// What rules see of a policy.
pub(crate) fn policy_target(policy: &ArchivePolicy) -> PolicyTarget {
    PolicyTarget::from([
        ("name".to_owned(), policy.name.clone()),
        ("back_window".to_owned(), policy.back_window.to_string()),
    ])
}

/// What rules see of a resource type.
pub(crate) fn resource_type_target(resource_type: &ResourceType) -> PolicyTarget {
    PolicyTarget::from([("name".to_owned(), resource_type.name.clone())])
}

fn put_resource(target: &mut PolicyTarget, prefix: &str, resource: &Resource) {
    put(target, prefix, "id", Some(&resource.id.to_string()));
    put(target, prefix, "type", Some(&resource.type_name));
    put(target, prefix, "original_resource_id", Some(&resource.original_resource_id));
    put(target, prefix, "user_id", resource.user_id.as_deref());
    put(target, prefix, "project_id", resource.project_id.as_deref());
    put_creator(target, prefix, resource.creator.as_deref());
}

/// What rules see of a resource.
pub(crate) fn resource_target(resource: &Resource) -> PolicyTarget {
    let mut target = PolicyTarget::new();
    put_resource(&mut target, "", resource);
    target
}

/// What rules see of a metric, with its resource where it has one.
pub(crate) fn metric_target(metric: &Metric, resource: Option<&Resource>) -> PolicyTarget {
    let mut target = PolicyTarget::new();
    put(&mut target, "", "id", Some(&metric.id.to_string()));
    put(&mut target, "", "name", metric.name.as_deref());
    put(&mut target, "", "unit", metric.unit.as_deref());
    put_creator(&mut target, "", metric.creator.as_deref());
    put(&mut target, "archive_policy.", "name", Some(&metric.policy.name));
    if let Some(resource) = resource {
        put_resource(&mut target, "resource.", resource);
    }
    target
}
