//! Rules tried on past data before an alarm is made of them. An addition to upstream.

use nephometer_model::time::parse_timestamp;
use nephometer_model::{Alarm, AlarmId, AlarmState, Timespan, Timestamp};
use serde_json::{Map, Value};

use super::alarms::defined;
use super::{AlarmError, AlarmService, Caller, own_project};
use crate::definition::{DefinitionError, Draft, Fields, invalid, missing};
use crate::evaluate::{PreviewError, PreviewRequest, PreviewTransition, Previewed, preview};

/// How far back a preview begins where nothing else is said.
const USUAL_SECONDS: i64 = 86_400;
/// Most seconds from evaluation to evaluation.
const MAX_EVERY_SECONDS: i64 = 86_400;

/// What a rule would have made of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The first evaluation.
    pub start: Timestamp,
    /// Evaluations ended before this.
    pub stop: Timestamp,
    /// In which state the alarm would be at last.
    pub state: AlarmState,
    /// Every change of state.
    pub transitions: Vec<PreviewTransition>,
    /// What the rule reads that is not there, for people.
    pub warnings: Vec<String>,
}

impl AlarmService {
    /// Tries the alarm of a body (`alarm`, as in a POST of alarms, whose name may be missing) on the time from `start` (a day
    /// ago) to `stop` (now, and never later), evaluated every `every` seconds (as the evaluator does it). Nothing is stored and
    /// nobody is told.
    pub async fn preview(&self, caller: &Caller, body: &Value) -> Result<Preview, AlarmError> {
        let now = self.parts.clock.now_micros();
        let mut fields = Fields::of(body, "body")?;
        let alarm = named(fields.take("alarm").ok_or_else(|| missing("alarm"))?);
        let mut point = |name: &'static str, usual: Timestamp| {
            let Some(text) = fields.optional_text(name)? else { return Ok(usual) };
            parse_timestamp(&text, now).map_err(|error| invalid(name, &text, &error.to_string()))
        };
        let day_ago = Timestamp::from_ns(now.ns() - Timespan::from_seconds(USUAL_SECONDS).ns());
        let (start, stop) = (point("start", day_ago)?, point("stop", now)?);
        let stop = stop.min(now);
        let settings = &self.parts.settings;
        let every = fields.integer("every", 1, MAX_EVERY_SECONDS)?;
        let every_seconds =
            every.and_then(|every| u32::try_from(every).ok()).unwrap_or(settings.evaluation_interval_seconds);
        fields.finish()?;
        let draft = Draft::parse(&alarm, self.judgement(caller))?;
        self.require_own("telemetry:create_alarm", caller)?;
        // Who is in no project would be confined to none.
        if own_project(caller).is_none() && !self.sees_all(caller) {
            return Err(AlarmError::Forbidden);
        }
        let (user_id, project_id) = self.owner_of_new(&draft, caller)?;
        let mut alarm = Alarm { id: AlarmId(String::new()), user_id, project_id, ..defined(draft) };
        self.confine(&mut alarm, caller).await?;
        let ingestion_lag_seconds = settings.ingestion_lag_seconds;
        let request = PreviewRequest { alarm, start, stop, every_seconds, ingestion_lag_seconds };
        let Previewed { transitions, state, warnings } =
            preview(&*self.parts.reader, request).await.map_err(refused)?;
        Ok(Preview { start, stop, state, transitions, warnings })
    }
}

/// The alarm with a name, which a preview does not need.
fn named(alarm: &Value) -> Value {
    let Value::Object(fields) = alarm else { return alarm.clone() };
    let name = Map::from_iter([("name".to_owned(), Value::from("preview"))]);
    Value::Object(name.into_iter().chain(fields.clone()).collect())
}

fn refused(error: PreviewError) -> AlarmError {
    match error {
        PreviewError::Unavailable(text) => AlarmError::Unavailable(text),
        other => DefinitionError::Invalid(other.to_string()).into(),
    }
}
