//! Silences: messages about some alarms are held back until a given time. An addition to upstream.

use nephometer_drivers::Silence;
use nephometer_model::Timestamp;
use nephometer_model::time::parse_timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{AlarmError, AlarmService, Caller, own_project, own_user};
use crate::definition::{Fields, invalid, missing};
use crate::evaluate::check_filter;

/// Most silences that a project may have at a time: every message that comes up is held against each of them.
const MAX_SILENCES: usize = 100;
/// Longest filter in bytes.
const MAX_FILTER_BYTES: usize = 4096;
/// So much of a filter that is too long is shown to its sender.
const SHOWN_CHARS: usize = 40;
/// The filter of a silence about all alarms.
const EVERY_ALARM: &str = "{\"!=\": {\"alarm_id\": \"\"}}";

impl AlarmService {
    /// Silences that have not ended: the caller's project's, or all for an administrator who asks for these.
    pub async fn silences(&self, caller: &Caller, all_projects: bool) -> Result<Vec<Silence>, AlarmError> {
        let own = own_project(caller);
        let now = self.parts.clock.now();
        if all_projects {
            self.require("telemetry:get_alarms:all_projects", own, caller)?;
            return Ok(self.parts.store.silences(None, now).await?);
        }
        self.require_own("telemetry:get_alarms", caller)?;
        match own {
            Some(own) => Ok(self.parts.store.silences(Some(own), now).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Makes a silence of a body: `ends_at`; `starts_at` (now); `filter`, JSON text as in complex queries (all alarms);
    /// `comment`; and `project_id`, with which an administrator names another project, or by null all.
    pub async fn silence(&self, caller: &Caller, body: &Value) -> Result<Silence, AlarmError> {
        let now = self.parts.clock.now_micros();
        let mut fields = Fields::of(body, "body")?;
        let mut point = |name: &'static str| {
            let Some(text) = fields.optional_text(name)? else { return Ok(None) };
            let read = parse_timestamp(&text, now).map(|at| Timestamp::from_micros(at.micros()));
            read.map(Some).map_err(|error| invalid(name, &text, &error.to_string()))
        };
        let starts_at = point("starts_at")?.unwrap_or(now);
        let ends_at = point("ends_at")?.ok_or_else(|| missing("ends_at"))?;
        let filter = fields.optional_text("filter")?.unwrap_or_else(|| EVERY_ALARM.to_owned());
        let comment = fields.optional_text("comment")?.unwrap_or_default();
        let project = fields.given_text("project_id")?;
        fields.finish()?;
        if ends_at <= starts_at || ends_at <= now {
            let text = body["ends_at"].as_str().unwrap_or_default();
            return Err(invalid("ends_at", text, "It must be after starts_at and after now").into());
        }
        if filter.len() > MAX_FILTER_BYTES {
            let text = format!("Value is longer than {MAX_FILTER_BYTES} bytes");
            let shown: String = filter.chars().take(SHOWN_CHARS).collect();
            return Err(invalid("filter", &shown, &text).into());
        }
        check_filter(&filter)?;
        let project_id = self.silenced_project(caller, project)?;
        self.check_silences(project_id.as_deref(), now).await?;
        let silence = Silence {
            id: self.parts.ids.uuid(),
            project_id,
            user_id: own_user(caller).map(str::to_owned),
            filter,
            comment,
            starts_at,
            ends_at,
        };
        self.parts.store.put_silence(silence.clone()).await?;
        self.changed();
        Ok(silence)
    }

    /// Refuses where the project has as many silences as it may have; administrators' own are not counted.
    async fn check_silences(&self, project: Option<&str>, now: Timestamp) -> Result<(), AlarmError> {
        let Some(project) = project else { return Ok(()) };
        let known = self.parts.store.silences(Some(project), now).await?;
        if known.len() < MAX_SILENCES { Ok(()) } else { Err(AlarmError::TooManySilences(MAX_SILENCES)) }
    }

    /// The project whose alarms are silenced; nothing for all.
    fn silenced_project(
        &self,
        caller: &Caller,
        given: Option<Option<String>>,
    ) -> Result<Option<String>, AlarmError> {
        let own = own_project(caller);
        let is_said = given.is_some();
        let project = given.unwrap_or_else(|| own.map(str::to_owned));
        if project.is_none() && !self.is_admin(caller) {
            return Err(AlarmError::Forbidden);
        }
        // To silence all projects must be said; it does not happen to an administrator who is of none.
        if project.is_none() && !is_said {
            return Err(missing("project_id").into());
        }
        if let Some(foreign) = project.as_deref().filter(|project| Some(*project) != own)
            && !self.is_admin(caller)
        {
            return Err(AlarmError::NotAuthorized { aspect: "project", id: foreign.to_owned() });
        }
        self.require("telemetry:change_alarm", project.as_deref(), caller)?;
        Ok(project)
    }

    /// Ends a silence; whether there was one that the caller may end.
    pub async fn end_silence(&self, caller: &Caller, id: &str) -> Result<bool, AlarmError> {
        let own = own_project(caller);
        let seen = if self.is_admin(caller) { None } else { Some(own.unwrap_or_default()) };
        let known = self.parts.store.silences(seen, self.parts.clock.now()).await?;
        let Some(silence) =
            id.parse::<Uuid>().ok().and_then(|id| known.into_iter().find(|silence| silence.id == id))
        else {
            return Ok(false);
        };
        self.require("telemetry:change_alarm", silence.project_id.as_deref(), caller)?;
        let ended = self.parts.store.delete_silence(silence.id).await?;
        self.changed();
        Ok(ended)
    }
}
