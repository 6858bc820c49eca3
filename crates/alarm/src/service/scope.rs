//! Rules over measures: judged by what the metric service can read, and narrowed to what the alarm's owner may see. Rules
//! inside composite ones are treated alike.

use nephometer_drivers::{MetricRead, MetricSubject};
use nephometer_model::{
    Alarm, AlarmId, AlarmRule, CompositeRule, MetersRule, PrometheusRule, ResourcesRule, SubRule, Threshold,
    Timespan, Timestamp, python,
};
use serde_json::{Value, json};

use super::{AlarmError, AlarmService, Caller, own_project};
use crate::definition::DefinitionError;

/// How far back a search is tried.
const TRIED_SECONDS: i64 = 86_400;

impl AlarmService {
    /// Judges what an alarm would read, and narrows it to what its owner may see.
    pub(super) async fn confine(&self, alarm: &mut Alarm, caller: &Caller) -> Result<(), AlarmError> {
        let scope = self.scope(alarm, caller);
        let scope = scope.as_deref();
        match &mut alarm.rule {
            AlarmRule::Resource(rule) => self.confine_reading(&mut rule.threshold, scope).await,
            AlarmRule::Metrics(rule) => self.confine_reading(&mut rule.threshold, scope).await,
            AlarmRule::Resources(rule) => self.confine_search(rule, scope).await,
            AlarmRule::Prometheus(rule) => {
                confine_selectors(rule, scope);
                Ok(())
            }
            AlarmRule::Composite(rule) => {
                for leaf in leaves_mut(rule) {
                    match leaf {
                        SubRule::Resource(rule) => self.confine_reading(&mut rule.threshold, scope).await?,
                        SubRule::Metrics(rule) => self.confine_reading(&mut rule.threshold, scope).await?,
                        SubRule::Resources(rule) => self.confine_search(rule, scope).await?,
                        SubRule::Prometheus(rule) => confine_selectors(rule, scope),
                    }
                }
                Ok(())
            }
            AlarmRule::Meters(rule) => confine_meters(rule, scope),
            _ => Ok(()),
        }
    }

    /// The project that the alarm's reading is confined to: nothing for an administrator's own.
    fn scope(&self, alarm: &Alarm, caller: &Caller) -> Option<String> {
        let own = own_project(caller);
        if self.sees_all(caller) {
            return alarm.project_id.clone().filter(|project| Some(project.as_str()) != own);
        }
        own.map(str::to_owned)
    }

    /// Upstream lets such rules read any metric whose id or resource their owner knows.
    async fn confine_reading(
        &self,
        threshold: &mut Threshold,
        scope: Option<&str>,
    ) -> Result<(), AlarmError> {
        threshold.scope_to_project = scope.map(str::to_owned);
        self.check_method(threshold).await
    }

    async fn check_method(&self, threshold: &Threshold) -> Result<(), AlarmError> {
        let methods = self.parts.reader.aggregation_methods().await?;
        let method = &threshold.aggregation_method;
        if methods.contains(method) {
            return Ok(());
        }
        let known: Vec<_> = methods.iter().map(|method| python::repr_str(method)).collect();
        let text = format!("aggregation_method should be in [{}] not {method}", known.join(", "));
        Err(DefinitionError::Invalid(text).into())
    }

    async fn confine_search(&self, rule: &mut ResourcesRule, scope: Option<&str>) -> Result<(), AlarmError> {
        self.check_method(&rule.threshold).await?;
        let given: Value = serde_json::from_str(&rule.query).unwrap_or_default();
        let search = match scope {
            Some(project) => {
                let collector = match &self.parts.collector {
                    Some(collector) => collector.id().await?,
                    None => None,
                };
                narrowed(&unwrapped(given), project, collector.as_deref())
            }
            None => given,
        };
        if scope.is_some() {
            rule.query = python::dumps(&search);
        }
        let now = self.parts.clock.now();
        let read = MetricRead {
            subject: MetricSubject::OfResources {
                metric: rule.metric.clone(),
                resource_type: rule.resource_type.clone(),
                search,
            },
            method: rule.threshold.aggregation_method.clone(),
            granularity: Timespan::from_seconds(i64::from(rule.threshold.granularity_seconds)),
            start: Timestamp::from_ns(now.ns() - Timespan::from_seconds(TRIED_SECONDS).ns()),
            stop: now,
            project_id: None,
        };
        Ok(self.parts.reader.check(&read).await?)
    }

    /// That the alarms which a combination looks at are there and for the caller, and none is the combination itself.
    pub(super) async fn check_combined(&self, alarm: &Alarm, caller: &Caller) -> Result<(), AlarmError> {
        let AlarmRule::Combination(rule) = &alarm.rule else { return Ok(()) };
        for id in &rule.alarm_ids {
            if *id == alarm.id.0 {
                let text = format!("Cannot specify alarm {id} itself in combination rule");
                return Err(DefinitionError::Invalid(text).into());
            }
            self.visible(caller, &AlarmId(id.clone())).await?;
        }
        Ok(())
    }
}

fn confine_selectors(rule: &mut PrometheusRule, scope: Option<&str>) {
    rule.scope_to_project = scope.map(str::to_owned);
}

/// Adds the condition on the project where there is none, as upstream did; another project is refused.
fn confine_meters(rule: &mut MetersRule, scope: Option<&str>) -> Result<(), AlarmError> {
    let Some(project) = scope else { return Ok(()) };
    let is_project =
        |condition: &&Value| matches!(condition["field"].as_str(), Some("project" | "project_id"));
    let mut named = rule.query.iter().filter(is_project).peekable();
    let is_named = named.peek().is_some();
    if let Some(foreign) = named.find(|condition| condition["value"] != project) {
        return Err(AlarmError::NotAuthorized { aspect: "project", id: python::str(&foreign["value"]) });
    }
    if !is_named {
        rule.query.push(json!({"field": "project_id", "op": "eq", "value": project}));
    }
    Ok(())
}

fn leaves_mut(rule: &mut CompositeRule) -> Vec<&mut SubRule> {
    match rule {
        CompositeRule::Rule(rule) => vec![rule],
        CompositeRule::And(rules) | CompositeRule::Or(rules) => {
            rules.iter_mut().flat_map(leaves_mut).collect()
        }
    }
}

/// A search among what `project` made, or a collector made for it; upstream's form, which clients see.
fn narrowed(search: &Value, project: &str, collector: Option<&str>) -> Value {
    let made = json!({"=": {"created_by_project_id": project}});
    let visible = match collector {
        None => made,
        Some(collector) => {
            let collected =
                json!({"and": [{"=": {"created_by_project_id": collector}}, {"=": {"project_id": project}}]});
            json!({"or": [made, collected]})
        }
    };
    json!({"and": [visible, search]})
}

/// The search inside one that was narrowed before, so that sending it back does not narrow it once more.
fn unwrapped(search: Value) -> Value {
    let inner = || {
        let parts = search.get("and")?.as_array().filter(|parts| parts.len() == 2)?;
        let visible = &parts[0];
        let made =
            visible.pointer("/or/0").unwrap_or(visible).pointer("/=/created_by_project_id")?.as_str()?;
        let collector = visible.pointer("/or/1/and/0/=/created_by_project_id").and_then(Value::as_str);
        let inner = parts[1].clone();
        (narrowed(&inner, made, collector) == search).then_some(inner)
    };
    inner().unwrap_or(search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_narrowed_once() {
        let search = json!({"=": {"server_group": "my_group"}});
        for collector in [None, Some("service")] {
            let once = narrowed(&search, "p", collector);
            assert_eq!(unwrapped(once.clone()), search);
            assert_eq!(narrowed(&unwrapped(once.clone()), "p", collector), once);
        }
        let other = json!({"and": [{"=": {"created_by_project_id": "p"}}, search, search]});
        assert_eq!(unwrapped(other.clone()), other);
        assert_eq!(unwrapped(search.clone()), search);
    }

    #[test]
    fn meters_are_narrowed_once_and_never_to_another_project() {
        let mut rule = MetersRule {
            meter_name: "cpu".to_owned(),
            comparison_operator: nephometer_model::Operator::Gt,
            threshold: 1.0,
            statistic: "avg".to_owned(),
            period_seconds: 60,
            evaluation_periods: 1,
            exclude_outliers: false,
            query: vec![json!({"field": "resource_id", "op": "eq", "value": "r"})],
        };
        assert!(confine_meters(&mut rule, None).is_ok());
        assert_eq!(rule.query.len(), 1);
        for _ in 0..2 {
            assert!(confine_meters(&mut rule, Some("p")).is_ok());
            assert_eq!(rule.query[1..], [json!({"field": "project_id", "op": "eq", "value": "p"})]);
        }
        let refused = confine_meters(&mut rule, Some("q"));
        assert!(matches!(refused, Err(AlarmError::NotAuthorized { aspect: "project", .. })));
    }
}
