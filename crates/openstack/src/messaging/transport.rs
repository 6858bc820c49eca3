//! Transport URLs as oslo.messaging writes them: `rabbit://user:password@host:5672,user:password@host2:5672/vhost?ssl=1`.

use nephometer_model::Secret;
use percent_encoding::percent_decode_str;

/// RabbitMQ's port, without and with TLS.
const PORT: u16 = 5672;
const TLS_PORT: u16 = 5671;

/// Why a transport URL cannot be used. The URL itself, which holds passwords, is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportUrlError {
    /// It is for another bus, or is none.
    #[error("the transport URL must begin with rabbit://")]
    Scheme,
    /// It names no host.
    #[error("the transport URL names no host")]
    NoHost,
    /// A port that is none.
    #[error("the port of host {0} in the transport URL is not a number from 1 to 65535")]
    Port(String),
    /// Percent-encoded bytes that are no text.
    #[error("a name, password or virtual host in the transport URL is not UTF-8")]
    Encoding,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransportHost {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Secret,
}

/// Servers that hold the same queues, and what is used of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransportUrl {
    pub(super) hosts: Vec<TransportHost>,
    pub(super) vhost: String,
    pub(super) tls: bool,
}

impl TransportUrl {
    /// Understands a transport URL. `ssl` of its query counts, `tls` stands for it otherwise; other parts of the query are
    /// options of oslo.messaging that settings take the place of.
    pub(super) fn parse(text: &Secret, tls: bool) -> Result<Self, TransportUrlError> {
        let rest = ["rabbit://", "kombu://"].iter().find_map(|scheme| text.expose().strip_prefix(scheme));
        let rest = rest.ok_or(TransportUrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
        let tls =
            query.split('&').filter_map(|pair| pair.strip_prefix("ssl=")).next_back().map_or(tls, |value| {
                matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
            });
        let hosts: Vec<_> = servers
            .split(',')
            .filter(|server| !server.is_empty())
            .map(|server| TransportHost::parse(server, if tls { TLS_PORT } else { PORT }))
            .collect::<Result<_, _>>()?;
        if hosts.is_empty() {
            return Err(TransportUrlError::NoHost);
        }
        let vhost = match decoded(path)? {
            vhost if vhost.is_empty() => "/".to_owned(),
            vhost => vhost,
        };
        Ok(Self { hosts, vhost, tls })
    }
}

impl TransportHost {
    fn parse(server: &str, default_port: u16) -> Result<Self, TransportUrlError> {
        let (credentials, place) = server.rsplit_once('@').unwrap_or(("", server));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None | Some("") => default_port,
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| TransportUrlError::Port(host.to_owned()))?,
        };
        if host.is_empty() {
            return Err(TransportUrlError::NoHost);
        }
        // Without a user it is RabbitMQ's own first one, as with upstream's client.
        let (user, password) = if credentials.is_empty() {
            ("guest".to_owned(), Secret::new("guest"))
        } else {
            (decoded(user)?, Secret::new(decoded(password)?))
        };
        Ok(Self { host: host.to_owned(), port, user, password })
    }
}

fn decoded(text: &str) -> Result<String, TransportUrlError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| TransportUrlError::Encoding)?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TransportUrl, TransportUrlError> {
        TransportUrl::parse(&Secret::new(text), false)
    }

    #[test]
    fn reads_what_deployments_write() {
        let url = parse("rabbit://os:p%40ss@one:5673,os:b:c@[fd00::2],three/tele?ssl=0&x=1").unwrap();
        let hosts: Vec<_> = url
            .hosts
            .iter()
            .map(|host| (host.host.as_str(), host.port, host.user.as_str(), host.password.expose()))
            .collect();
        assert_eq!(
            hosts,
            [("one", 5673, "os", "p@ss"), ("fd00::2", 5672, "os", "b:c"), ("three", 5672, "guest", "guest")]
        );
        assert_eq!((url.vhost.as_str(), url.tls), ("tele", false));
    }

    #[test]
    fn virtual_hosts_and_tls() {
        for (text, vhost, tls, port) in [
            ("rabbit://h", "/", false, 5672),
            ("rabbit://h/", "/", false, 5672),
            ("rabbit://h//", "/", false, 5672),
            ("rabbit://h/%2Fnova", "/nova", false, 5672),
            ("kombu://h?ssl=1", "/", true, 5671),
            ("rabbit://h:1/v?ssl=0&ssl=True", "v", true, 1),
        ] {
            let url = parse(text).unwrap();
            assert_eq!((url.vhost.as_str(), url.tls, url.hosts[0].port), (vhost, tls, port), "{text}");
        }
        assert!(TransportUrl::parse(&Secret::new("rabbit://h"), true).unwrap().tls);
    }

    #[test]
    fn refuses_without_repeating() {
        for (text, error) in [
            ("", TransportUrlError::Scheme),
            ("amqp://hunter2@h", TransportUrlError::Scheme),
            ("rabbit:///v", TransportUrlError::NoHost),
            ("rabbit://u:hunter2@:5672/", TransportUrlError::NoHost),
            ("rabbit://u:hunter2@h:0/", TransportUrlError::Port("h".to_owned())),
            ("rabbit://u:hunter2@h:five/", TransportUrlError::Port("h".to_owned())),
            ("rabbit://u:hunter2%ff@h/", TransportUrlError::Encoding),
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
