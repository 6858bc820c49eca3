//! Addresses of publishers: `scheme://user:password@host:port/path?option=value`, as upstream's pipelines have them.

use std::fmt;
use std::str::FromStr;

use nephometer_model::{Secret, SecretUrl};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use xxhash_rust::xxh3::xxh3_128;

/// Options whose values may be seen; what else stands in a query may be a key.
const PLAIN: &[&str] = &[
    "archive_policy",
    "backup_count",
    "batch",
    "clientcert",
    "clientkey",
    "driver",
    "enable_filter_project",
    "encoding",
    "filter_domain",
    "filter_project",
    "json",
    "max_bytes",
    "max_queue_length",
    "max_retries",
    "max_retry",
    "per_meter_topic",
    "policy",
    "queue",
    "raw_only",
    "resources_definition_file",
    "ssl",
    "timeout",
    "topic",
    "ttl",
    "verify_ssl",
];

/// An address taken apart. What shows it shows no secret.
pub(super) struct Address {
    pub(super) scheme: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// With its leading slash, as it was written; may be empty.
    pub(super) path: String,
    options: Vec<(String, Secret)>,
    /// What may be seen of it.
    shown: String,
    /// Names what waits for it on disk.
    key: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Address {
    /// Takes an address apart. One without `://` is a scheme alone, as old pipelines have it.
    pub(super) fn parse(url: &SecretUrl) -> Result<Self, String> {
        let text = url.expose();
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return Err("it does not begin with a scheme such as gnocchi://".to_owned());
        }
        let (before_query, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
        let path_at = before_query.find('/').unwrap_or(before_query.len());
        let (place, path) = before_query.split_at(path_at);
        let (credentials, place) = match place.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, place),
        };
        let (user, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((user, "")) => (Some(decoded(user)), None),
            Some((user, password)) => (Some(decoded(user)), Some(Secret::new(decoded(password)))),
            None => (None, None),
        };
        let (host, port) = host_and_port(place)?;
        let options = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| decoded(&text.replace('+', " "));
            (plain(name), Secret::new(plain(value)))
        });
        let mut address = Self {
            scheme: scheme.to_ascii_lowercase(),
            user,
            password,
            host,
            port,
            path: path.to_owned(),
            options: options.collect(),
            shown: String::new(),
            key: String::new(),
        };
        address.shown = address.show(|name| PLAIN.contains(&name));
        address.key = format!("{}-{:032x}", address.scheme, xxh3_128(address.show(|_| true).as_bytes()));
        Ok(address)
    }

    /// The address with the values of those options that may be seen. Never the password.
    fn show(&self, may_be_seen: impl Fn(&str) -> bool) -> String {
        let mut text = format!("{}://", self.scheme);
        if let Some(user) = &self.user {
            text.push_str(user);
            text.push_str(if self.password.is_some() { ":(secret)@" } else { "@" });
        }
        text.push_str(&self.authority());
        text.push_str(&self.path);
        for (number, (name, value)) in self.options.iter().enumerate() {
            text.push(if number == 0 { '?' } else { '&' });
            text.push_str(name);
            match may_be_seen(name) {
                _ if value.is_empty() => {}
                true => text.extend(["=", value.expose()]),
                false => text.push_str("=(secret)"),
            }
        }
        text
    }

    /// Host and port as they stand in an address.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    /// The address of the message bus that this address names: by `driver`, with the options that are not in `own`, which
    /// it loses.
    pub(super) fn transport_url(&mut self, driver: &str, own: &[&str]) -> SecretUrl {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut text = format!("{driver}://");
        if let Some(user) = &self.user {
            text.push_str(&encode(user));
            if let Some(password) = &self.password {
                text.extend([":", &encode(password.expose())]);
            }
            text.push('@');
        }
        text.push_str(&self.authority());
        text.push_str(&self.path);
        let theirs = self.options.extract_if(.., |(name, _)| !own.contains(&name.as_str()));
        for (number, (name, value)) in theirs.enumerate() {
            text.push(if number == 0 { '?' } else { '&' });
            text.extend([&encode(&name), "=", &encode(value.expose())]);
        }
        SecretUrl::new(text)
    }

    /// A name for what belongs to this address that is the same after a restart, and when only the password changes.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Takes all values of an option.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<String> {
        let taken = self.options.extract_if(.., |(option, _)| option == name);
        taken.map(|(_, value)| value.expose().to_owned()).collect()
    }

    /// Takes an option: the last where it is given more than once.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.take_all(name).pop()
    }

    /// Takes an option that is yes or no, in any of upstream's words.
    pub(super) fn take_flag(&mut self, name: &str, default: bool) -> Result<bool, String> {
        let Some(text) = self.take(name) else { return Ok(default) };
        match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "on" | "y" | "yes" | "1" => Ok(true),
            "f" | "false" | "off" | "n" | "no" | "0" => Ok(false),
            _ => Err(format!("{name}={text} is neither true nor false")),
        }
    }

    /// Takes an option that is a number.
    pub(super) fn take_number<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, String> {
        match self.take(name) {
            Some(text) => {
                text.trim().parse().map_err(|_| format!("{name}={text} is no number that it can be"))
            }
            None => Ok(default),
        }
    }

    /// Options that nobody has taken, in order.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or(rest)),
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = match port {
        "" => None,
        text => Some(text.parse().map_err(|_| format!("its port is {text}"))?),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        Address::parse(&SecretUrl::new(text)).unwrap()
    }

    #[test]
    fn addresses_are_taken_apart() {
        let mut address = parse("HTTPS://u:hu%20sh@[::1]:80/a/b?batch=no&key=hush&queue=q+1&queue=q%262&x");
        assert_eq!(
            (address.scheme.as_str(), address.host.as_str(), address.port),
            ("https", "::1", Some(80))
        );
        assert_eq!(address.path, "/a/b");
        assert_eq!(
            (address.user.as_deref(), address.password.clone().unwrap().expose()),
            (Some("u"), "hu sh")
        );
        assert_eq!(
            address.to_string(),
            "https://u:(secret)@[::1]:80/a/b?batch=no&key=(secret)&queue=q 1&queue=q&2&x"
        );
        assert_eq!(address.take_flag("batch", true), Ok(false));
        assert_eq!(address.take("queue"), Some("q&2".to_owned()));
        assert_eq!(address.rest().collect::<Vec<_>>(), [("key", "hush"), ("x", "")]);
        assert_eq!(parse("notifier").scheme, "notifier");
        let file = parse("file:///var/log/x?max_bytes=5");
        assert_eq!((file.host.as_str(), file.path.as_str()), ("", "/var/log/x"));
        assert!(Address::parse(&SecretUrl::new("http://h:port/")).is_err());
        assert!(Address::parse(&SecretUrl::new("://h")).is_err());
    }

    #[test]
    fn a_spool_outlives_a_new_password_and_belongs_to_one_address() {
        let key = |text: &str| parse(text).key().to_owned();
        assert_eq!(key("http://u:old@h/x"), key("http://u:new@h/x"));
        assert_ne!(key("http://h/x?key=a"), key("http://h/x?key=b"));
        assert!(key("gnocchi://").starts_with("gnocchi-"));
    }
}
