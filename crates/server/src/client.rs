//! A tiny HTTP/1.1 client on one kept-alive connection, blocking, for a thread of its own.

mod stream;

use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use nephometer_model::{Secret, SecretUrl};

use stream::Stream;

/// Answers must come within this.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where a server is, taken from `http://[user@]host:port[/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) authority: String,
    pub(crate) path: String,
    /// Sent as `X-Auth-Token`.
    pub(crate) token: Option<Secret>,
    authorization: Secret,
    /// Further lines of the head.
    more: String,
    /// Over TLS, whoever is there.
    is_unproven: bool,
}

impl Endpoint {
    /// Parses a URL; the user is `admin` unless it names one.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .with_context(|| format!("{}: expected http://host:port", SecretUrl::new(url)))?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (user, authority) = authority.rsplit_once('@').unwrap_or(("admin", authority));
        let user = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
        let authority = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        Ok(Self {
            authority,
            path: path.trim_end_matches('/').to_owned(),
            token: None,
            more: String::new(),
            is_unproven: false,
            authorization: Secret::new(base64::engine::general_purpose::STANDARD.encode(user)),
        })
    }

    /// A server on this machine, found by its run file. Where it speaks TLS nobody has to vouch for it: nothing is said to
    /// it that others may not know, and its certificate is for the names by which others reach it.
    pub(crate) fn of_run_file(address: SocketAddr, is_tls: bool) -> Result<Self> {
        Ok(Self { is_unproven: is_tls, ..Self::parse(&format!("http://{address}"))? })
    }

    /// The same, as somebody with that role in that project, where a server believes it (`noauth`).
    pub(crate) fn for_caller(self, project: &str, role: &str) -> Self {
        let more = format!("X-User-Id: {project}\r\nX-Project-Id: {project}\r\nX-Roles: {role}\r\n");
        Self { more, ..self }
    }

    /// The same with a Keystone token in each request.
    pub(crate) fn with_token(self, token: Option<Secret>) -> Self {
        Self { token, ..self }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after_seconds: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, where the status is 2xx.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        serde_json::from_slice(&self.body).context("the answer is no JSON")
    }
}

/// One connection.
pub(crate) struct Connection {
    endpoint: Endpoint,
    stream: BufReader<Stream>,
    /// Memory for the next answer's body.
    spare: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self> {
        let stream = TcpStream::connect(&endpoint.authority)
            .with_context(|| format!("no connection to {}", endpoint.authority))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let stream = if endpoint.is_unproven { Stream::unproven(stream)? } else { Stream::Plain(stream) };
        Ok(Self {
            endpoint: endpoint.clone(),
            stream: BufReader::with_capacity(1 << 16, stream),
            spare: Vec::new(),
        })
    }

    /// Waits longer for answers.
    pub(crate) fn wait_at_most(&mut self, timeout: Duration) -> Result<()> {
        Ok(self.stream.get_ref().socket().set_read_timeout(Some(timeout))?)
    }

    /// Sends a request and reads the answer wholly.
    pub(crate) fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let Endpoint { authority, path: prefix, token, authorization, more, .. } = &self.endpoint;
        let token =
            token.as_ref().map_or_else(String::new, |token| format!("X-Auth-Token: {}\r\n", token.expose()));
        let authorization = authorization.expose();
        let head = format!(
            "{method} {prefix}{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Basic {authorization}\r\n\
             Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{token}{more}\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        // One call for head and body together, as far as the socket takes them.
        let sent = stream.write_vectored(&[IoSlice::new(head.as_bytes()), IoSlice::new(body)])?;
        stream.write_all(head.as_bytes().get(sent..).unwrap_or_default())?;
        stream.write_all(&body[sent.saturating_sub(head.len())..])?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no HTTP answer but `{}`", line.trim_end()))?;
        let (mut length, mut chunked, mut retry_after_seconds) = (0, false, None);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the connection ended inside an answer's headers");
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().context("content-length")?,
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "retry-after" => retry_after_seconds = value.parse().ok(),
                _ => {}
            }
        }
        let mut body = std::mem::take(&mut self.spare);
        body.clear();
        if chunked {
            self.chunks(&mut body)?
        } else {
            self.exactly(length, &mut body)?
        }
        Ok(Answer { status, retry_after_seconds, body })
    }

    /// Takes back an answer that is done with, so that a long one need not find new memory the next time.
    pub(crate) fn reuse(&mut self, answer: Answer) {
        self.spare = answer.body;
    }

    fn exactly(&mut self, length: usize, body: &mut Vec<u8>) -> Result<()> {
        let read = (&mut self.stream).take(length as u64).read_to_end(body)?;
        if read < length {
            bail!("the connection ended inside an answer's body");
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = line.trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).context("chunk size")?;
            self.exactly(size, body)?;
            line.clear();
            self.stream.read_line(&mut line)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn urls() {
        let endpoint = Endpoint::parse("http://jd@host:1/gnocchi/").unwrap();
        assert_eq!((endpoint.authority.as_str(), endpoint.path.as_str()), ("host:1", "/gnocchi"));
        assert_eq!(endpoint.authorization.expose(), "amQ6");
        assert_eq!(Endpoint::parse("http://host").unwrap().authority, "host:80");
        assert!(Endpoint::parse("https://host").is_err());
    }

    #[test]
    fn reads_lengths_and_chunks_on_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
            ] {
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        let mut connection = Connection::open(&Endpoint::parse(&url).unwrap()).unwrap();
        assert_eq!(connection.request("GET", "/", b"").unwrap().json().unwrap(), serde_json::json!({}));
        let busy = connection.request("GET", "/", b"").unwrap();
        assert_eq!(
            (busy.status, busy.retry_after_seconds, busy.body.as_slice()),
            (503, Some(3), &b"[1]"[..])
        );
        server.join().unwrap();
    }
}
