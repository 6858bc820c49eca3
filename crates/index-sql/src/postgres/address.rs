//! Connection strings as libpq reads them. What they say about TLS is taken out first, because the client library knows
//! only a part of it; the rest is the library's.

use std::borrow::Cow;
use std::path::PathBuf;

use nephometer_model::{closest_name, with_causes};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{Mode, Roots, TlsError, TlsOptions};
use crate::OpenError;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];
/// All that a connection string may say, what concerns TLS first.
const OPTIONS: [&str; 22] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslnegotiation",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];
const TLS_OPTIONS: usize = 4;

/// Where the server is, who we are there, and how TLS is spoken. Opens nothing.
pub(super) fn parse(text: &str) -> Result<(Config, TlsOptions), OpenError> {
    let (rest, given) = split(text);
    let mut config: Config = rest.parse().map_err(|error| OpenError::Url(reason(&error)))?;
    let mut options = TlsOptions::default();
    let mut mode = None;
    for (name, value) in given.into_iter().filter(|(_, value)| !value.is_empty()) {
        match name {
            "sslmode" => mode = Some(value.parse()?),
            "sslrootcert" if value == "system" => options.roots = Some(Roots::System),
            "sslrootcert" => options.roots = Some(Roots::File(PathBuf::from(value))),
            "sslcert" => options.certificate = Some(PathBuf::from(value)),
            _ => options.key = Some(PathBuf::from(value)),
        }
    }
    options.mode = effective(mode, options.roots.as_ref())?;
    if options.key.is_some() && options.certificate.is_none() {
        return Err(TlsError::KeyWithoutCertificate.into());
    }
    if only_sockets(&config) {
        // libpq, too, speaks no TLS over sockets of this machine, whatever sslmode says.
        options.mode = Mode::Disable;
    }
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    config.ssl_mode(match options.mode {
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    Ok((config, options))
}

/// Why a connection string is not understood. An unknown name is not repeated: it may be a piece of a password.
fn reason(error: &tokio_postgres::Error) -> String {
    let text = with_causes(error);
    match text.split_once("unknown option `") {
        None => text,
        Some((_, name)) => match closest_name(name.trim_end_matches('`'), OPTIONS) {
            Some(known) => format!("it has an option that is not known; did you mean {known}?"),
            None => "it has an option that is not known".to_owned(),
        },
    }
}

/// What libpq makes of a mode and trusted authorities together.
fn effective(mode: Option<Mode>, roots: Option<&Roots>) -> Result<Mode, TlsError> {
    match (mode, roots) {
        (None | Some(Mode::VerifyFull), Some(Roots::System)) => Ok(Mode::VerifyFull),
        (Some(_), Some(Roots::System)) => Err(TlsError::WeakSystem),
        (Some(mode @ (Mode::VerifyCa | Mode::VerifyFull)), None) => Err(TlsError::RootsNeeded(mode)),
        (Some(Mode::Require), Some(_)) => Ok(Mode::VerifyCa),
        (mode, _) => Ok(mode.unwrap_or_default()),
    }
}

fn only_sockets(config: &Config) -> bool {
    let hosts = config.get_hosts();
    config.get_hostaddrs().is_empty()
        && !hosts.is_empty()
        && hosts.iter().all(|host| matches!(host, Host::Unix(_)))
}

type Given = Vec<(&'static str, String)>;

/// `text` without what concerns TLS, and that. A text that is not understood stays as it is: the library will say why.
fn split(text: &str) -> (Cow<'_, str>, Given) {
    let found = match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => split_url(text, text.len() - rest.len()),
        None => split_pairs(text),
    };
    found.unwrap_or((Cow::Borrowed(text), Vec::new()))
}

fn known(name: &str) -> Option<&'static str> {
    OPTIONS.into_iter().take(TLS_OPTIONS).find(|option| *option == name)
}

/// Parameters of a URL whose user begins at `start`.
fn split_url(text: &str, start: usize) -> Option<(Cow<'_, str>, Given)> {
    // As the library does: whatever comes before the first `@` is user and password.
    let place = start + text[start..].find('@').map_or(0, |at| at + 1);
    let question = place + text[place..].find('?')?;
    let mut given = Vec::new();
    let mut others = Vec::new();
    for parameter in text[question + 1..].split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match known(&percent_decode_str(name).decode_utf8().ok()?) {
            Some(name) => given.push((name, percent_decode_str(value).decode_utf8().ok()?.into_owned())),
            None => others.push(parameter),
        }
    }
    let mark = if others.is_empty() { "" } else { "?" };
    Some((Cow::Owned(format!("{}{mark}{}", &text[..question], others.join("&"))), given))
}

/// Pairs like `host=h password='a b'`.
fn split_pairs(text: &str) -> Option<(Cow<'_, str>, Given)> {
    let mut given = Vec::new();
    let mut others = String::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, length) = value(after.trim_start())?;
        let end = text.len() - after.trim_start().len() + length;
        match known(name.trim_end()) {
            Some(name) => given.push((name, value)),
            None => {
                others.push_str(&text[text.len() - rest.len()..end]);
                others.push(' ');
            }
        }
        rest = text[end..].trim_start();
    }
    Some((Cow::Owned(others), given))
}

/// The value at the beginning of `text`, and how many bytes it takes there.
fn value(text: &str) -> Option<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if quoted => return Some((value, at + 1)),
            space if !quoted && space.is_whitespace() => return Some((value, at)),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> TlsOptions {
        parse(text).unwrap().1
    }

    fn refused(text: &str) -> String {
        parse(text).err().unwrap().to_string()
    }

    #[test]
    fn both_forms_say_the_same() {
        let expected = TlsOptions {
            mode: Mode::VerifyFull,
            roots: Some(Roots::File("/a b.pem".into())),
            certificate: Some("/c&.pem".into()),
            key: Some("/k'.pem".into()),
        };
        let url = "postgresql://u:p?w@h:1/d?sslmode=verify-full&connect_timeout=3&sslrootcert=/a%20b.pem\
                   &sslcert=/c%26.pem&sslkey=/k'.pem";
        let pairs = "host=h port = 1 sslmode=verify-full user='u' sslrootcert='/a b.pem' connect_timeout=3 dbname=d \
                     sslcert=/c&.pem password=p?w sslkey=/k\\'.pem";
        let (config, found) = parse(url).unwrap();
        assert_eq!(found, expected);
        assert_eq!(parse(pairs).unwrap(), (config.clone(), expected));
        assert_eq!(config.get_password(), Some(&b"p?w"[..]));
        assert_eq!(config.get_connect_timeout().map(std::time::Duration::as_secs), Some(3));
        assert_eq!((config.get_dbname(), config.get_ssl_mode()), (Some("d"), SslMode::Require));
    }

    #[test]
    fn modes_are_libpqs() {
        for (text, mode) in [
            ("postgresql://h", Mode::Prefer),
            ("postgresql://h?sslmode=", Mode::Prefer),
            ("postgresql://h?sslmode=disable", Mode::Disable),
            ("postgresql://h?sslmode=require", Mode::Require),
            ("postgresql://h?sslmode=require&sslrootcert=/ca", Mode::VerifyCa),
            ("postgresql://h?sslrootcert=/ca", Mode::Prefer),
            ("postgresql://h?sslrootcert=system", Mode::VerifyFull),
            ("postgresql://%2Frun%2Fpostgresql/d?sslmode=require", Mode::Disable),
            ("host=/run/postgresql sslmode=require", Mode::Disable),
        ] {
            assert_eq!(options(text).mode, mode, "{text}");
        }
        let (config, _) = parse("hostaddr=127.0.0.1 sslmode=require").unwrap();
        assert_eq!(config.get_hosts(), [Host::Tcp("127.0.0.1".to_owned())]);
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, expected) in [
            ("postgresql://h?sslmode=allow", "expected disable, prefer, require, verify-ca or verify-full"),
            ("postgresql://h?sslmode=verify-ca", "sslmode=verify-ca needs sslrootcert="),
            ("postgresql://h?sslmode=require&sslrootcert=system", "only sslmode=verify-full"),
            ("postgresql://h?sslkey=/k", "sslkey needs sslcert"),
            ("postgresql://h?sslmod=hush", "did you mean sslmode?"),
            ("postgresql://h?password=a&hush=b", "an option that is not known"),
            ("host=h sslmode='hush", "unterminated"),
        ] {
            let reason = refused(text);
            assert!(reason.contains(expected) && !reason.contains("hush"), "{text}: {reason}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_repeats_no_secret(text in "(postgresql://)?[uh:@/?&=' \\\\%é]{0,20}HUSH[uh:@/?&=' \\\\%é]{0,20}") {
            if let Err(error) = parse(&format!("{text}&sslmode=x")) {
                proptest::prop_assert!(!error.to_string().contains("HUSH"), "{error}");
            }
        }
    }
}
