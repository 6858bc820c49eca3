//! Actions: addresses of those who are told.

use super::{DefinitionError, Grouping, Judgement, invalid};

/// The lists of actions, in the order in which they are judged.
pub(super) const LISTS: [&str; 3] = ["ok_actions", "alarm_actions", "insufficient_data_actions"];

/// How an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionScheme {
    /// POST.
    Http,
    /// POST over TLS.
    Https,
    /// A line in the log.
    Log,
    /// Kept in memory.
    Test,
    /// POST with a token of the owner's trust.
    TrustHttp,
    /// The same over TLS.
    TrustHttps,
    /// A message in a Zaqar queue.
    Zaqar,
    /// The same by the owner's trust.
    TrustZaqar,
    /// Marking unhealthy members of a Heat stack.
    TrustHeat,
    /// A notification on the message bus about the alarm's change; no client can ask for it.
    Bus,
}

impl ActionScheme {
    /// The scheme that is spelled so, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "http" => Self::Http,
            "https" => Self::Https,
            "log" => Self::Log,
            "test" => Self::Test,
            "trust+http" => Self::TrustHttp,
            "trust+https" => Self::TrustHttps,
            "zaqar" => Self::Zaqar,
            "trust+zaqar" => Self::TrustZaqar,
            "trust+heat" => Self::TrustHeat,
            _ => return None,
        })
    }

    /// The scheme of an action.
    pub fn of(action: &str) -> Option<Self> {
        Self::parse(Parts::of(action).scheme)
    }

    /// Whether it needs a trust of the owner.
    pub const fn needs_trust(self) -> bool {
        matches!(self, Self::TrustHttp | Self::TrustHttps | Self::TrustZaqar | Self::TrustHeat)
    }
}

/// An address, cut as Python's `urlsplit` cuts it.
struct Parts<'a> {
    scheme: &'a str,
    authority: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(action: &'a str) -> Self {
        let is_scheme = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        };
        let (scheme, rest) = match action.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => ("", action),
        };
        let Some(rest) = rest.strip_prefix("//") else { return Self { scheme, authority: None, rest } };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self { scheme, authority: Some(&rest[..end]), rest: &rest[end..] }
    }

    /// Whether brackets of an address are closed and in pairs, which Python insists on.
    fn is_sound(&self) -> bool {
        self.authority.is_none_or(|authority| authority.contains('[') == authority.contains(']'))
    }
}

/// Whether an action needs a trust of the owner.
pub fn is_trust(action: &str) -> bool {
    ActionScheme::of(action).is_some_and(ActionScheme::needs_trust)
}

/// An action as answers show it: the scheme in lower case, slashes gone where no authority follows them, no trust. Aodh's
/// answers pass every action through Python's `urlsplit` and `urlunsplit`.
pub fn shown(action: &str) -> String {
    let parts = Parts::of(action);
    let scheme = parts.scheme.to_ascii_lowercase();
    let mut authority = parts.authority.unwrap_or_default();
    if ActionScheme::parse(&scheme).is_some_and(ActionScheme::needs_trust) {
        authority = authority.rsplit('@').next().unwrap_or_default();
    }
    let colon = if scheme.is_empty() { "" } else { ":" };
    match authority {
        "" => format!("{scheme}{colon}{}", parts.rest),
        authority => format!("{scheme}{colon}//{authority}{}", parts.rest),
    }
}

/// A stored trust action without its trust: what a client would send. Other actions stay as they are.
pub fn without_trust(action: &str) -> String {
    let parts = Parts::of(action);
    let (true, Some((_, host))) = (is_trust(action), parts.authority.and_then(|all| all.rsplit_once('@')))
    else {
        return action.to_owned();
    };
    format!("{}://{host}{}", parts.scheme, parts.rest)
}

/// An action without what opens its target: no trust, no user, no password.
pub fn bare(action: &str) -> String {
    let parts = Parts::of(action);
    match parts.authority.and_then(|all| all.rsplit_once('@')) {
        Some((_, host)) => format!("{}://{host}{}", parts.scheme, parts.rest),
        None => action.to_owned(),
    }
}

/// Judges a list of actions and drops what it holds twice.
pub(super) fn check(
    list: &str,
    actions: &mut Option<Vec<String>>,
    judgement: Judgement,
) -> Result<(), DefinitionError> {
    let Some(actions) = actions else { return Ok(()) };
    let mut seen = std::collections::HashSet::new();
    actions.retain(|action| seen.insert(action.clone()));
    if let Some(max) = judgement.max_actions
        && actions.len() > max
    {
        return Err(DefinitionError::Invalid(format!("{list} count exceeds maximum value {max}")));
    }
    actions.iter().try_for_each(|action| check_one(list, action, judgement))
}

fn check_one(list: &str, action: &str, judgement: Judgement) -> Result<(), DefinitionError> {
    let parts = Parts::of(action);
    if !parts.is_sound() {
        return Err(DefinitionError::Invalid(format!("Unable to parse action {action}")));
    }
    let unsupported = || DefinitionError::Invalid(format!("Unsupported action {action}"));
    let scheme = ActionScheme::parse(parts.scheme).ok_or_else(unsupported)?;
    let is_local = matches!(scheme, ActionScheme::Log | ActionScheme::Test);
    if is_local && !judgement.is_admin {
        return Err(DefinitionError::ActionNotAllowed(action.to_owned()));
    }
    let is_given_trust = parts.authority.is_some_and(|authority| authority.contains('@'));
    if scheme.needs_trust() && is_given_trust {
        return Err(DefinitionError::Invalid("trust URL cannot contain a trust ID.".to_owned()));
    }
    Grouping::of(action).map(drop).map_err(|error| invalid(list, action, &error.to_string()))
}
