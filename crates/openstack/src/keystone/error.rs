//! What can go wrong towards Keystone and the services that it lists, each with what the caller can do. No secret ever
//! stands in a text of these.

use std::fmt;

use http::{Method, StatusCode};
use nephometer_model::Secret;
use reqwest::Url;

/// Longest text of a server that an error repeats, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// One setting that is wrong: its name and why. The value is in the reason unless it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the setting (`auth_url`), after the cloud's or section's name where there is one.
    pub field: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// Why a call to Keystone or another service has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoneError {
    /// The settings cannot work: mend them.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Problem>),
    /// Keystone refuses the credentials: asking again does not help.
    #[error(
        "Keystone at {url} refuses to sign in {who} ({status}): {message}; check the user, its domain, the secret and the scope"
    )]
    SignIn {
        /// Where it was tried.
        url: String,
        /// Whose credentials: `user nephometer of domain Default`.
        who: String,
        /// What Keystone answered.
        status: StatusCode,
        /// Keystone's own words.
        message: String,
    },
    /// A service refuses the request.
    #[error("{method} {url} was answered with {status}: {message}")]
    Refused {
        /// Method of the request.
        method: Method,
        /// Where it went, without query.
        url: String,
        /// The answer's status.
        status: StatusCode,
        /// The service's own words.
        message: String,
    },
    /// A service does not answer, or says that it cannot now, after all retries: try later.
    #[error("{url} is not available: {reason}")]
    Unavailable {
        /// Where it was tried, without query.
        url: String,
        /// What happened.
        reason: String,
        /// What the service asks to wait, in seconds.
        retry_after_seconds: Option<u64>,
    },
    /// The catalogue does not have what is looked for.
    #[error("the catalogue has no {interface} endpoint of service type {service_type}{}; it has {has}",
        region.as_ref().map(|region| format!(" in region {region}")).unwrap_or_default())]
    NoEndpoint {
        /// The type as asked for.
        service_type: String,
        /// The interface as asked for.
        interface: String,
        /// The region, where one was asked for.
        region: Option<String>,
        /// What it has of this type, or which types it has.
        has: String,
    },
    /// An answer that is not what such a service answers: probably something else listens there.
    #[error("{url} gave an answer that is not understood: {reason}")]
    Malformed {
        /// Who answered.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl KeystoneError {
    /// The status that a service refused with, where one did.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::SignIn { status, .. } | Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn malformed(url: &Url, reason: impl Into<String>) -> Self {
        Self::Malformed { url: shown(url), reason: reason.into() }
    }
}

/// `url` as errors and logs may show it: without user, password, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// What a service says in `body`: the `message` of an OpenStack error, else the text's beginning.
pub(super) fn message_of(body: &[u8], secrets: &[&Secret]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| {
        let inner = json.as_object()?.values().find(|value| value.is_object()).unwrap_or(json);
        inner.get("message").or_else(|| inner.get("faultstring"))?.as_str()
    });
    let text = match message {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    let one_line = Secret::black_out(&text, secrets).split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.is_empty() { "no reason given".to_owned() } else { cut(&one_line) }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_services() {
        let text = |body: &str| message_of(body.as_bytes(), &[&Secret::new("hush")]);
        assert_eq!(
            text(r#"{"error":{"code":404,"message":"Failed to validate","title":"Not Found"}}"#),
            "Failed to validate"
        );
        assert_eq!(text(r#"{"badRequest": {"message": "no such hush", "code": 400}}"#), "no such (secret)");
        assert_eq!(text(r#"{"message": "plain"}"#), "plain");
        assert_eq!(text("<html>\n  <b>Bad gateway</b>"), "<html> <b>Bad gateway</b>");
        assert_eq!(text(""), "no reason given");
        assert_eq!(text(&"x".repeat(1000)).chars().count(), MAX_MESSAGE_CHARS + 1);
    }

    #[test]
    fn urls_show_no_credentials() {
        let url = Url::parse("http://user:hush@[::1]:5000/v3/x?token=hush#y").unwrap();
        assert_eq!(shown(&url), "http://[::1]:5000/v3/x");
    }

    proptest::proptest! {
        #[test]
        fn messages_are_short_and_clean(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            let body = [b"hush".as_slice(), &body, b"hush"].concat();
            let message = message_of(&body, &[&Secret::new("hush")]);
            proptest::prop_assert!(!message.contains("hush") && message.chars().count() <= MAX_MESSAGE_CHARS + 1);
        }
    }
}
