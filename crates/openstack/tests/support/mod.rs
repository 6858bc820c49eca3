//! A service that answers as a test wants, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nephometer_openstack::keystone::{
    Credentials, DomainRef, HttpOptions, Interface, NamedIn, Scope, Secret, SessionConfig, SignIn, Url,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The password that must not be seen anywhere.
pub(crate) const PASSWORD: &str = "hunter2-hunter2";

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lines of the head, in lower case up to the colon.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn is_sign_in(&self) -> bool {
        self.method == "POST" && self.path.starts_with("/v3/auth/tokens")
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    /// Status, more header lines, body.
    Answer(u16, String, String),
    /// Close the connection without a word.
    HangUp,
    /// Say nothing for ever.
    Silence,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, String::new(), String::new())
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::Answer(status, String::new(), body.to_owned())
    }

    /// A busy service that may be asked again at once.
    pub(crate) fn busy() -> Self {
        Self::Answer(503, "Retry-After: 0\r\n".to_owned(), String::new())
    }

    /// A token with a life of an hour, and a catalogue that has the fake itself as `metric` and `identity`.
    pub(crate) fn token(token: &str, url: &Url) -> Self {
        let service = |kind: &str| {
            format!(
                r#"{{"type": "{kind}", "name": "x", "endpoints": [{{"interface": "public", "region_id": "One",
                "region": "One", "url": "{url}"}}]}}"#
            )
        };
        let body = format!(
            r#"{{"token": {{"user": {{"id": "u", "name": "n", "domain": {{"id": "d", "name": "D"}}}},
            "issued_at": "2026-11-20T08:00:00.000000Z", "expires_at": "2026-11-20T09:00:00.000000Z",
            "catalog": [{}, {}]}}}}"#,
            service("metric"),
            service("identity")
        );
        Self::Answer(201, format!("X-Subject-Token: {token}\r\n"), body)
    }
}

/// The service: every request is given to the test's function with its number, from 0.
pub(crate) struct Fake {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub(crate) async fn start(reply: impl Fn(usize, &Seen, &Url) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, own, reply) = (Arc::clone(&seen), url.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, own, reply) = (Arc::clone(&log), own.clone(), Arc::clone(&reply));
                tokio::spawn(async move {
                    let decide = |seen: Seen| {
                        let number = {
                            let mut log = log.lock().unwrap();
                            log.push(seen.clone());
                            log.len() - 1
                        };
                        reply(number, &seen, &own)
                    };
                    serve(stream, decide).await
                });
            }
        });
        Self { url, seen }
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn sign_ins(&self) -> usize {
        self.seen().iter().filter(|seen| seen.is_sign_in()).count()
    }

    /// A session's configuration: password, short time-outs.
    pub(crate) fn config(&self) -> SessionConfig {
        config(&self.url)
    }
}

pub(crate) fn config(auth_url: &Url) -> SessionConfig {
    let user = NamedIn::Name { name: "n".to_owned(), owner: DomainRef::Id("default".to_owned()) };
    let sign_in = SignIn::Password { user, password: Secret::new(PASSWORD) };
    SessionConfig {
        auth_url: auth_url.clone(),
        credentials: Credentials { sign_in, scope: Scope::Default },
        interface: Interface::Public,
        region: None,
        endpoint_overrides: Default::default(),
        http: HttpOptions { timeout: Duration::from_secs(20), ..HttpOptions::default() },
    }
}

async fn serve(mut stream: TcpStream, decide: impl Fn(Seen) -> Reply) -> Option<()> {
    let seen = read_request(&mut stream).await?;
    match decide(seen) {
        Reply::HangUp => {}
        Reply::Silence => std::future::pending().await,
        Reply::Answer(status, headers, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()?;
        }
    }
    Some(())
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let mut first = lines.next()?.split(' ');
            let head: Vec<String> = lines
                .map(|line| {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    format!("{}:{value}", name.to_lowercase())
                })
                .collect();
            let seen = Seen {
                method: first.next()?.to_owned(),
                path: first.next()?.to_owned(),
                head: head.join("\n"),
                body: body.to_owned(),
            };
            let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
            if body.len() >= length {
                return Some(seen);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
