//! Rules tried on past data before an alarm is made of them. An addition to upstream.

use nephometer_model::time::parse_timestamp;
use nephometer_model::{Alarm, AlarmId, AlarmState, Timespan, Timestamp};
use serde_json::{Map, Value};

use super::alarms::defined;
use super::{AlarmError, AlarmService, Caller, own_project};
use crate::definition::{DefinitionError, Draft, Fields, invalid, missing};
use crate::evaluate::{PreviewError, PreviewRequest, PreviewTransition, preview};

/// How far back a preview begins where nothing else is said.
const USUAL_SECONDS: i64 = 86_400;
/// Seconds from evaluation to evaluation where nothing else is said.
const USUAL_EVERY_SECONDS: i64 = 60;

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
}

impl AlarmService {
    /// Tries the alarm of a body (`alarm`, as in a POST of alarms, whose name may be missing) on the time from `start` (a day
    /// ago) to `stop` (now), evaluated every `evaluation_interval` seconds (60). Nothing is stored and nobody is told.
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
        let every = fields.integer("evaluation_interval", 1, 86_400)?.unwrap_or(USUAL_EVERY_SECONDS);
        fields.finish()?;
        let draft = Draft::parse(&alarm, self.judgement(caller))?;
        self.require_own("telemetry:create_alarm", caller)?;
        // Who is in no project would be confined to none.
        if own_project(caller).is_none() && !self.sees_all(caller) {
            return Err(AlarmError::Forbidden);
        }
        let (user_id, project_id) = self.owner_of_new(&draft, caller)?;
        let mut alarm = Alarm { id: AlarmId(String::new()), user_id, project_id, ..defined(draft) };
        let before = alarm.state;
        self.confine(&mut alarm, caller).await?;
        let every_seconds = u32::try_from(every).unwrap_or(u32::MAX);
        let request = PreviewRequest { alarm, start, stop, every_seconds, ingestion_lag_seconds: 0 };
        let transitions = preview(&*self.parts.reader, request).await.map_err(refused)?;
        let state = transitions.last().map_or(before, |transition| transition.state);
        Ok(Preview { start, stop, state, transitions })
    }
}

/// The alarm with a name, which a preview does not need.
fn named(alarm: &Value) -> Value {
    let Value::Object(fields) = alarm else { return alarm.clone() };
    let name = Map::from_iter([("name".to_owned(), Value::from("preview"))]);
    Value::Object(name.into_iter().chain(fields.clone()).collect())
}

fn refused(error: PreviewError) -> AlarmError {
    DefinitionError::Invalid(error.to_string()).into()
}
