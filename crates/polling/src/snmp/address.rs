//! Where a machine is, and as whom it is asked.

use std::fmt;
use std::str::FromStr;

use nephometer_model::Secret;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use snmp2::v3::{Auth, AuthProtocol, Cipher, KeyExtension, Security};

const PORT: u16 = 161;
const OPTIONS: [&str; 3] = ["auth_proto", "priv_proto", "priv_password"];

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no address of an SNMP agent: {reason}")]
pub struct SnmpAddressError {
    shown: String,
    reason: String,
}

/// By what an agent lets us read.
#[derive(Debug, Clone, PartialEq)]
enum Access {
    /// Version 2c: a community.
    Community(Secret),
    /// Version 3: a user.
    User { name: String, password: Secret, auth: AuthProtocol, privacy: Option<(Cipher, Secret)> },
}

/// An SNMP agent. `Display` and `Debug` show neither community nor passwords.
#[derive(Clone, PartialEq)]
pub struct SnmpAddress {
    host: String,
    port: u16,
    access: Access,
    shown: String,
}

impl fmt::Display for SnmpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SnmpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl SnmpAddress {
    /// The machine's name or address.
    pub fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// Where its agent listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The community, where version 2c is spoken.
    pub(super) fn community(&self) -> Option<&Secret> {
        match &self.access {
            Access::Community(community) => Some(community),
            Access::User { .. } => None,
        }
    }

    /// The user's security model, where version 3 is spoken.
    pub(super) fn security(&self) -> Option<Security> {
        let Access::User { name, password, auth, privacy } = &self.access else { return None };
        let level = match privacy {
            _ if password.expose().is_empty() => Auth::NoAuthNoPriv,
            None => Auth::AuthNoPriv,
            Some((cipher, password)) => {
                let privacy_password = password.expose().as_bytes().to_vec();
                Auth::AuthPriv { cipher: *cipher, privacy_password }
            }
        };
        let security = Security::new(name.as_bytes(), password.expose().as_bytes())
            .with_auth(level)
            .with_auth_protocol(*auth)
            .with_key_extension_method(KeyExtension::Reeder);
        Some(security)
    }
}

impl FromStr for SnmpAddress {
    type Err = SnmpAddressError;

    fn from_str(text: &str) -> Result<Self, SnmpAddressError> {
        let unreadable = |_| SnmpAddressError {
            // What cannot be read may hold a password anywhere.
            shown: text.split("://").next().unwrap_or_default().chars().take(16).collect::<String>() + "://…",
            reason: "it is no URL".to_owned(),
        };
        let url = Url::parse(text).map_err(unreadable)?;
        let shown = shown(&url);
        let wrong = |reason: String| SnmpAddressError { shown: shown.clone(), reason };
        if url.scheme() != "snmp" {
            return Err(wrong("it begins with snmp://".to_owned()));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| wrong("it names no host".to_owned()))?.to_owned();
        let access = access(&url).map_err(wrong)?;
        let port = url.port().unwrap_or(PORT);
        Ok(Self { host, port, access, shown })
    }
}

/// `url` without what is secret in it: the community of version 2c is, too.
fn shown(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// A password or any option means version 3.
fn access(url: &Url) -> Result<Access, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let option = |wanted: &str| {
        url.query_pairs().filter(|(name, _)| name == wanted).last().map(|(_, value)| value.into_owned())
    };
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| !OPTIONS.contains(&&**name)) {
        return Err(format!("it has an option `{name}`; there are {}", OPTIONS.join(", ")));
    }
    if url.password().is_none() && url.query().is_none_or(str::is_empty) {
        let community = if user.is_empty() { "public".to_owned() } else { user };
        return Ok(Access::Community(Secret::new(community)));
    }
    let password = Secret::new(decoded(url.password().unwrap_or_default()));
    let auth = match option("auth_proto").as_deref() {
        None | Some("md5") => AuthProtocol::Md5,
        Some("sha") => AuthProtocol::Sha1,
        Some("sha224") => AuthProtocol::Sha224,
        Some("sha256") => AuthProtocol::Sha256,
        Some("sha384") => AuthProtocol::Sha384,
        Some("sha512") => AuthProtocol::Sha512,
        Some(other) => {
            return Err(format!("auth_proto `{other}` is none of md5, sha, sha224, sha256, sha384, sha512"));
        }
    };
    let cipher = match option("priv_proto").as_deref() {
        None => None,
        Some("des") => Some(Cipher::Des),
        Some("aes128" | "aes") => Some(Cipher::Aes128),
        Some("aes192") => Some(Cipher::Aes192),
        Some("aes256") => Some(Cipher::Aes256),
        Some(other) => return Err(format!("priv_proto `{other}` is none of des, aes128, aes192, aes256")),
    };
    let of_privacy = option("priv_password").map(Secret::new);
    let privacy = match (cipher, of_privacy) {
        (None, None) => None,
        (cipher, password_of_privacy) => {
            let password = password_of_privacy.unwrap_or_else(|| password.clone());
            Some((cipher.unwrap_or(Cipher::Des), password))
        }
    };
    Ok(Access::User { name: user, password, auth, privacy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_or_an_option_means_version_3() {
        let of = |text: &str| text.parse::<SnmpAddress>().unwrap();
        assert_eq!(of("snmp://lab@h1").community().unwrap().expose(), "lab");
        assert_eq!(of("snmp://h1").community().unwrap().expose(), "public");
        assert_eq!((of("snmp://h1").port(), of("snmp://h1:1161").port()), (161, 1161));
        let secured = of("snmp://u:p%40ss@[::1]:1161?auth_proto=sha&priv_proto=aes128&priv_password=q");
        assert!(secured.community().is_none() && secured.security().is_some());
        assert_eq!(secured.host(), "::1");
        assert!(of("snmp://u@h1?auth_proto=sha").security().is_some());
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_secret() {
        let secured: SnmpAddress = "snmp://u:hunter2@h1?priv_password=hunter3".parse().unwrap();
        assert_eq!(format!("{secured} {secured:?}"), "snmp://h1 snmp://h1");
        for wrong in [
            "http://u:hunter2@h1",
            "snmp://u:hunter2@",
            "snmp://u:hunter2@h1?auth_proto=rot13",
            "snmp://u:hunter2@h1?priv_proto=3des",
            "snmp://u:hunter2@h1?timeout=3",
            "u:hunter2@h1",
        ] {
            let error = wrong.parse::<SnmpAddress>().unwrap_err().to_string();
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
