//! Quotas of projects, and counters of evaluations.

use nephometer_model::{AlarmCounts, Quota, python};
use serde_json::Value;

use super::{AlarmError, AlarmService, Caller, own_project};
use crate::definition::{DefinitionError, Fields, missing};

/// What there are quotas of.
const ALARMS: &str = "alarms";

impl AlarmService {
    /// Quotas of a project, or of the caller's; where it has none of its own, what everybody has. Reading stores nothing.
    pub async fn quotas(
        &self,
        caller: &Caller,
        project: Option<&str>,
    ) -> Result<(String, Vec<Quota>), AlarmError> {
        let project = project.or(own_project(caller)).ok_or_else(|| missing("project_id"))?;
        self.require("telemetry:get_quotas", Some(project), caller)?;
        let mut quotas = self.parts.store.quotas(project).await?;
        if quotas.is_empty() {
            let limit = self.parts.settings.project_quota;
            quotas.push(Quota { project_id: project.to_owned(), resource: ALARMS.to_owned(), limit });
        }
        Ok((project.to_owned(), quotas))
    }

    /// Sets quotas by the body of a POST: `project_id` and `quotas`, a list of `resource` and `limit` (−1 for none).
    pub async fn set_quotas(
        &self,
        caller: &Caller,
        body: &Value,
    ) -> Result<(String, Vec<Quota>), AlarmError> {
        let (project, quotas) = parse_quotas(body)?;
        self.require("telemetry:update_quotas", Some(&project), caller)?;
        let quotas = self.parts.store.set_quotas(&project, quotas).await?;
        Ok((project, quotas))
    }

    /// Has a project go by what everybody has.
    pub async fn delete_quotas(&self, caller: &Caller, project: &str) -> Result<(), AlarmError> {
        self.require("telemetry:delete_quotas", Some(project), caller)?;
        Ok(self.parts.store.delete_quotas(project).await?)
    }

    /// Counters of evaluations: of the caller's project's alarms, or of all for an administrator.
    pub async fn counters(
        &self,
        caller: &Caller,
        all_projects: bool,
    ) -> Result<Vec<AlarmCounts>, AlarmError> {
        if !self.parts.settings.counts_evaluations {
            return Err(AlarmError::NoCounters);
        }
        let own = own_project(caller);
        if all_projects {
            self.require("telemetry:get_metrics:all_projects", own, caller)?;
            return Ok(self.parts.store.counts(None).await?);
        }
        self.require("telemetry:get_metrics", own, caller)?;
        match own {
            Some(own) => Ok(self.parts.store.counts(Some(own)).await?),
            None => Ok(Vec::new()),
        }
    }
}

fn parse_quotas(body: &Value) -> Result<(String, Vec<Quota>), DefinitionError> {
    let mut fields = Fields::of(body, "body")?;
    let project_id = fields.text("project_id")?;
    let list = match fields.take("quotas") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(other) => return Err(crate::definition::not_a_list("quotas", other)),
    };
    fields.finish()?;
    let quota = |item: &Value| {
        let mut fields = Fields::of(item, "body.quotas")?;
        let resource = fields.word("resource", &[ALARMS], |word| word)?.ok_or_else(|| missing("resource"))?;
        let limit = fields.integer("limit", -1, i64::MAX)?.ok_or_else(|| missing("limit"))?;
        fields.finish()?;
        let (project_id, resource) = (project_id.clone(), resource.to_owned());
        Ok(Quota { project_id, resource, limit: u64::try_from(limit).ok() })
    };
    let quotas = list.iter().map(quota).collect::<Result<_, DefinitionError>>()?;
    Ok((project_id, quotas))
}

/// A truth value as a parameter of a request gives it.
///
/// # Errors
/// The refusal of any other text.
pub fn parse_truth(name: &str, text: &str) -> Result<bool, AlarmError> {
    crate::query::boolean(text).ok_or_else(|| {
        let text = python::repr_str(text);
        let reason = format!("Value not an unambiguous boolean: {text}");
        DefinitionError::Invalid(format!("Invalid input for field/attribute {name}. Value: {text}. {reason}"))
            .into()
    })
}
