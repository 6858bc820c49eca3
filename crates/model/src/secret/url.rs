//! Addresses that may hold a password.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::{HIDDEN, Secret};

/// Parameters whose values are shown: those of PostgreSQL's connection strings that cannot hold a secret.
const PLAIN: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// An address such as `postgresql://user:password@host/database?sslmode=require`; empty means "not set". `Display`,
/// `Debug` and serialization show it with `(secret)` in place of the password and of every parameter that could be one,
/// and nothing of what is no address.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(Secret);

impl SecretUrl {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The address as it was given: only for whoever connects to it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Secret> for SecretUrl {
    fn from(text: Secret) -> Self {
        Self(text)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.expose()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&shown(self.expose()))
    }
}

/// `url` without what may be secret in it. In doubt more is hidden: a password with an unescaped `@` or `/` in it goes on
/// to the last `@`.
fn shown(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    if !scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
        return HIDDEN.to_owned();
    }
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, rest),
    };
    // Parameters before an `@`, or a piece of a password: who knows.
    if credentials.is_some_and(|credentials| credentials.contains('?')) {
        return format!("{scheme}://{HIDDEN}");
    }
    let mut text = format!("{scheme}://");
    match credentials.map(|credentials| credentials.split_once(':').unwrap_or((credentials, ""))) {
        None => {}
        Some((user, "")) => text.push_str(&format!("{user}@")),
        Some((user, _)) => text.push_str(&format!("{user}:{HIDDEN}@")),
    }
    let (place, parameters) =
        place.split_once('?').map_or((place, None), |(place, rest)| (place, Some(rest)));
    text.push_str(place);
    if let Some(parameters) = parameters {
        let shown: Vec<_> = parameters.split('&').map(shown_parameter).collect();
        text.push('?');
        text.push_str(&shown.join("&"));
    }
    text
}

fn shown_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if PLAIN.contains(&name) => parameter.to_owned(),
        Some((name, "")) => format!("{name}="),
        Some((name, _)) if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
            format!("{name}={HIDDEN}")
        }
        _ => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_blacked_out_and_the_rest_stays() {
        for (given, expected) in [
            ("", ""),
            ("postgresql://u:hush@h:1/d?sslmode=require", "postgresql://u:(secret)@h:1/d?sslmode=require"),
            ("postgresql://u@h/d", "postgresql://u@h/d"),
            ("postgresql://h/d?user=u&password=hush", "postgresql://h/d?user=u&password=(secret)"),
            ("postgresql://h/d?user=u&pass%77ord=hush", "postgresql://h/d?user=u&(secret)"),
            ("postgresql://u:hu@sh@h/d", "postgresql://u:(secret)@h/d"),
            ("postgresql://u:hu/sh@h/d", "postgresql://u:(secret)@h/d"),
            ("postgresql://u:hu?sh@h/d", "postgresql://(secret)"),
            ("sqlite:///var/lib/index.sqlite", "sqlite:///var/lib/index.sqlite"),
            ("host=h password=hush", "(secret)"),
            ("u:hush@h", "(secret)"),
            ("hush hush://x", "(secret)"),
        ] {
            let url = SecretUrl::new(given);
            assert_eq!(url.to_string(), expected);
            assert_eq!(format!("{url:?}"), expected);
            assert_eq!(serde_json::to_string(&url).unwrap(), format!("\"{expected}\""));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_password_is_shown(
            before in "[a-z:/@?=&%.]{0,12}",
            after in "[a-z/@?=&%.:]{0,12}",
            parameter in proptest::bool::ANY,
        ) {
            let url = match parameter {
                false => format!("postgresql://u:{before}HUSH{after}@h/d"),
                true => format!("postgresql://u:p@h/d?password={before}HUSH"),
            };
            proptest::prop_assert!(!SecretUrl::new(&url).to_string().contains("HUSH"), "{url}");
        }
    }
}
