//! Messages that were given up: shown to administrators, and sent again. An addition to upstream.

use nephometer_drivers::Delivery;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ADMIN, AlarmError, AlarmService, Caller};
use crate::definition::{DefinitionError, Fields, invalid, not_a_list};

/// Messages shown where no limit is given.
const USUAL: i64 = 100;
/// Most messages shown at once.
const MOST: i64 = 1000;

/// The rule beside that of administrators: with it only tokens count that do so for the alarms of all projects.
const ALL: &str = "telemetry:get_alarms:all_projects";

impl AlarmService {
    /// Refuses whoever is no administrator, or is one by a token that the rules of alarms do not admit, such as a domain's.
    fn require_operator(&self, caller: &Caller) -> Result<(), AlarmError> {
        self.require(ADMIN, None, caller)?;
        self.require(ALL, None, caller)
    }

    /// Messages that were given up, newest first: as many as `limit`, the text of a request's parameter, says (1 to 1,000;
    /// 100). For administrators.
    pub async fn dead_deliveries(
        &self,
        caller: &Caller,
        limit: Option<&str>,
    ) -> Result<Vec<Delivery>, AlarmError> {
        self.require_operator(caller)?;
        let given = json!({ "limit": limit });
        let limit = Fields::of(&given, "query")?.integer("limit", 1, MOST)?.unwrap_or(USUAL);
        Ok(self.parts.store.dead_deliveries(u32::try_from(limit).unwrap_or(u32::MAX)).await?)
    }

    /// Has messages that were given up sent again: those whose ids the list `ids` of a body has, all where it has no such
    /// list; how many. Ids that no such message has are skipped. For administrators.
    pub async fn retry_deliveries(&self, caller: &Caller, body: &Value) -> Result<u64, AlarmError> {
        self.require_operator(caller)?;
        let mut fields = Fields::of(body, "body")?;
        let ids = match fields.take("ids") {
            None | Some(Value::Null) => None,
            Some(Value::Array(ids)) => Some(ids.iter().map(id).collect::<Result<Vec<_>, _>>()?),
            Some(other) => return Err(not_a_list("ids", other).into()),
        };
        fields.finish()?;
        Ok(self.parts.store.revive_deliveries(ids).await?)
    }
}

fn id(value: &Value) -> Result<Uuid, DefinitionError> {
    let id = value.as_str().and_then(|text| text.parse().ok());
    id.ok_or_else(|| invalid("ids", &nephometer_model::python::str(value), "Value should be a UUID"))
}
