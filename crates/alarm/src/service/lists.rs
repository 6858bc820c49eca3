//! Lists of alarms and of history, by simple and complex queries, confined to what the caller may see.

use nephometer_drivers::AlarmFilter;
use nephometer_drivers::Page;
use nephometer_model::{Alarm, AlarmChange, AlarmId, python};
use serde_json::Value;

use super::{AlarmError, AlarmService, Caller, own_project};
use crate::query::{
    ComplexQuery, Listed, QueryItem, history_query, is_empty_page, list_query, parse_complex,
};

impl AlarmService {
    /// Alarms by a simple query: the caller's project's, another one's or all for an administrator.
    pub async fn list(
        &self,
        caller: &Caller,
        items: &[QueryItem],
        page: &Page,
    ) -> Result<Vec<Alarm>, AlarmError> {
        let query = list_query(items)?;
        self.require_own("telemetry:get_alarms", caller)?;
        let mut filter = query.filter;
        if query.all_projects == Some(true) {
            self.require("telemetry:get_alarms:all_projects", own_project(caller), caller)?;
        } else if query.project_ids.is_empty() {
            filter = filter.and(own_rows(Listed::Alarms, caller));
        }
        for id in query.project_ids {
            self.require_project(&id, caller)?;
            filter = filter.and(AlarmFilter::eq_text("project_id", &id));
        }
        if is_empty_page(page) {
            return Ok(Vec::new());
        }
        Ok(self.parts.store.alarms(&filter, page).await?)
    }

    /// Alarms by a complex query.
    pub async fn query(&self, caller: &Caller, body: &Value) -> Result<Vec<Alarm>, AlarmError> {
        let query = parse_complex(Listed::Alarms, body)?;
        self.require_own("telemetry:query_alarm", caller)?;
        let filter = self.confined(Listed::Alarms, &query, caller)?;
        Ok(self.parts.store.alarms(&filter, &query.page).await?)
    }

    /// History of an alarm by a simple query, newest first.
    pub async fn history(
        &self,
        caller: &Caller,
        id: &AlarmId,
        items: &[QueryItem],
        page: &Page,
    ) -> Result<Vec<AlarmChange>, AlarmError> {
        let alarm = self.visible(caller, id).await?;
        self.require("telemetry:alarm_history", alarm.project_id.as_deref(), caller)?;
        let query = history_query(items)?;
        let mut filter = AlarmFilter::eq_text("alarm_id", &id.0).and(query.filter);
        if !self.sees_all(caller) {
            query.project_ids.iter().try_for_each(|id| self.require_project(id, caller))?;
            filter = filter.and(own_rows(Listed::History, caller));
        }
        if is_empty_page(page) {
            return Ok(Vec::new());
        }
        Ok(self.parts.store.history(&filter, page).await?)
    }

    /// History by a complex query.
    pub async fn query_history(&self, caller: &Caller, body: &Value) -> Result<Vec<AlarmChange>, AlarmError> {
        let query = parse_complex(Listed::History, body)?;
        self.require_own("telemetry:query_alarm_history", caller)?;
        let filter = self.confined(Listed::History, &query, caller)?;
        Ok(self.parts.store.history(&filter, &query.page).await?)
    }

    /// What a complex query finds of what the caller may see; one that names other projects is refused.
    fn confined(
        &self,
        listed: Listed,
        query: &ComplexQuery,
        caller: &Caller,
    ) -> Result<AlarmFilter, AlarmError> {
        let filter = query.filter.clone();
        if self.sees_all(caller) {
            return Ok(filter);
        }
        let is_own = |value: &Value| own_project(caller).is_some_and(|own| value.as_str() == Some(own));
        match query.projects.iter().find(|value| !is_own(value)) {
            Some(foreign) => Err(AlarmError::NotAuthorized { aspect: "project", id: python::str(foreign) }),
            None => Ok(own_rows(listed, caller).and(filter)),
        }
    }

    /// Refuses where a project is neither the caller's nor the caller an administrator.
    fn require_project(&self, id: &str, caller: &Caller) -> Result<(), AlarmError> {
        if own_project(caller) == Some(id) || self.is_admin(caller) {
            return Ok(());
        }
        Err(AlarmError::NotAuthorized { aspect: "project", id: id.to_owned() })
    }
}

/// The rows of the caller's project; without a project, none.
fn own_rows(listed: Listed, caller: &Caller) -> AlarmFilter {
    match own_project(caller) {
        Some(project) => AlarmFilter::eq_text(listed.visibility(), project),
        None => AlarmFilter::Or(Vec::new()),
    }
}
