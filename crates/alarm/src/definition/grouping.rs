//! Grouping: an action may ask that messages to it that agree in something are told as one. An addition to upstream.

use std::time::Duration;

use nephometer_model::{Alarm, AlarmState, python};
use reqwest::Url;
use serde_json::{Map, Value};

use super::ActionScheme;

/// The parameter of an action's address that says in what messages agree that go together: keys, commas between.
const BY: &str = "nephometer-group-by";
/// The one that says how long the first of them waits for others, in whole seconds.
const WINDOW: &str = "nephometer-group-window";
/// Longest such wait; seconds.
const LONGEST_WINDOW_SECONDS: u64 = 3600;
/// All keys with their names.
const KEYS: [(&str, GroupKey); 5] = [
    ("project", GroupKey::Project),
    ("name", GroupKey::Name),
    ("type", GroupKey::Type),
    ("severity", GroupKey::Severity),
    ("state", GroupKey::State),
];

/// In what messages agree that are told as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKey {
    /// In the alarm's project, as all of them do.
    Project,
    /// In the alarm's name.
    Name,
    /// In the alarm's type.
    Type,
    /// In the alarm's severity.
    Severity,
    /// In the state that the alarm is in.
    State,
}

/// How messages to an action are put together. Only those of one project to one address are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// In what they agree, each key once.
    pub by: Vec<GroupKey>,
    /// How long the first of them waits, where the action says so.
    pub window: Option<Duration>,
}

/// Why an action cannot ask for grouping so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupingError {
    /// It is carried out in another way.
    #[error("{BY} is for http and https actions")]
    Scheme,
    /// No key, or one that there is not.
    #[error("{BY} takes project, name, type, severity and state, with commas between")]
    Keys,
    /// A window that is none, or without keys.
    #[error("{WINDOW} takes 1 to {LONGEST_WINDOW_SECONDS} seconds, beside {BY}")]
    Window,
}

impl Grouping {
    /// What an action asks for; nothing where it does not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(action: &str) -> Result<Option<Self>, GroupingError> {
        // Most actions say nothing of it, and need not be taken apart.
        if !action.contains("nephometer-group-") {
            return Ok(None);
        }
        let Ok(url) = Url::parse(action) else { return Ok(None) };
        let last =
            |name: &str| url.query_pairs().filter(|(key, _)| key == name).last().map(|(_, value)| value);
        let (by, window) = (last(BY), last(WINDOW));
        if by.is_none() && window.is_none() {
            return Ok(None);
        }
        if !matches!(ActionScheme::of(action), Some(ActionScheme::Http | ActionScheme::Https)) {
            return Err(GroupingError::Scheme);
        }
        let by = keys(&by.ok_or(GroupingError::Window)?).ok_or(GroupingError::Keys)?;
        let seconds = |text: &str| text.parse().ok().filter(|n| (1..=LONGEST_WINDOW_SECONDS).contains(n));
        let window = window.map(|text| seconds(&text).ok_or(GroupingError::Window)).transpose()?;
        Ok(Some(Self { by, window: window.map(Duration::from_secs) }))
    }

    /// In what messages about `alarm`, which is in `state` now, agree with those that they go with: a JSON object.
    pub fn key(&self, alarm: &Alarm, state: AlarmState) -> String {
        let value = |key: &GroupKey| match key {
            GroupKey::Project => Value::from(alarm.project_id.clone()),
            GroupKey::Name => Value::from(alarm.name.as_str()),
            GroupKey::Type => Value::from(alarm.rule.type_name()),
            GroupKey::Severity => Value::from(alarm.severity.as_str()),
            GroupKey::State => Value::from(state.as_str()),
        };
        let wanted = KEYS.iter().filter(|(_, key)| self.by.contains(key));
        let agreed: Map<_, _> = wanted.map(|(name, key)| ((*name).to_owned(), value(key))).collect();
        python::dumps(&Value::Object(agreed))
    }
}

fn keys(text: &str) -> Option<Vec<GroupKey>> {
    let mut keys = Vec::new();
    for name in text.split(',') {
        let (_, key) = KEYS.iter().find(|(known, _)| *known == name.trim())?;
        if !keys.contains(key) {
            keys.push(*key);
        }
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::above_80;

    #[test]
    fn actions_ask_for_groups_in_their_addresses() {
        for plain in
            ["log://", "http://h/?a=b", "trust+http://h/", "http://[", "http://h/nephometer-group-by=x"]
        {
            assert_eq!(Grouping::of(plain), Ok(None), "{plain}");
        }
        let asked = |query: &str| Grouping::of(&format!("https://h/p?x=1&{query}#f"));
        let by = vec![GroupKey::State, GroupKey::Project];
        let grouping = Grouping { by, window: None };
        assert_eq!(asked("nephometer-group-by=state,%20project,state"), Ok(Some(grouping.clone())));
        let quick = Grouping { window: Some(Duration::from_secs(5)), ..grouping.clone() };
        assert_eq!(asked("nephometer-group-by=state,project&nephometer-group-window=5"), Ok(Some(quick)));
        assert_eq!(asked("nephometer-group-by="), Err(GroupingError::Keys));
        assert_eq!(asked("nephometer-group-by=state,colour"), Err(GroupingError::Keys));
        for window in ["nephometer-group-window=5", "nephometer-group-by=state&nephometer-group-window=0"] {
            assert_eq!(asked(window), Err(GroupingError::Window));
        }
        assert_eq!(
            asked("nephometer-group-by=state&nephometer-group-window=3601"),
            Err(GroupingError::Window)
        );
        for scheme in ["trust+http", "zaqar", "log"] {
            let action = format!("{scheme}://h?nephometer-group-by=state");
            assert_eq!(Grouping::of(&action), Err(GroupingError::Scheme), "{scheme}");
        }
        let key = grouping.key(&above_80("a", "cpu", 1), AlarmState::Ok);
        assert_eq!(key, r#"{"project": "p", "state": "ok"}"#);
    }
}
