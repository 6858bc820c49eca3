//! The accept loop with TLS, as clients meet it: both versions of HTTP, certificates of clients, certificates that
//! change, and connections that never become one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use nephometer_api::http::address::Transport;
use nephometer_api::http::tls::{Clients, HTTP_PROTOCOLS, Tls, TlsSettings, TlsVersions};
use nephometer_api::{HttpSettings, serve};
use nephometer_model::SystemClock;
use nephometer_testkit::certificates::{Authority, Issued};
use reqwest::{Certificate, Client, Identity};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A server with a certificate of an authority of its own.
struct Server {
    address: std::net::SocketAddr,
    directory: TempDir,
    authority: Authority,
    tls: Arc<Tls>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    async fn start(change: impl FnOnce(&mut TlsSettings)) -> Self {
        drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
        let (directory, authority) = (TempDir::new().unwrap(), Authority::new("servers").unwrap());
        let issued = authority.issue(&["localhost", "127.0.0.1"]).unwrap();
        let (cert_file, key_file) = issued.write(directory.path(), "server").unwrap();
        let mut settings = TlsSettings {
            cert_file,
            key_file,
            clients: Clients::Unasked,
            versions: TlsVersions::From12,
            handshake_timeout: Duration::from_secs(10),
            protocols: HTTP_PROTOCOLS,
        };
        change(&mut settings);
        let tls = Arc::new(Tls::open(settings, Arc::new(SystemClock::new())).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let how = |request: Request| async move {
            let transport = request.extensions().get::<Transport>().copied().unwrap();
            format!("{:?} {}", request.version(), transport.scheme())
        };
        let router = Router::new().route("/", get(how));
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        tokio::spawn(serve(listener, Some(Arc::clone(&tls)), router, HttpSettings::default(), shutdown));
        Self { address, directory, authority, tls, _stop: stop }
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        let authority = Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        Client::builder().tls_certs_only([authority]).timeout(Duration::from_secs(5)).no_proxy()
    }

    /// The answer to a client that shows `issued`.
    async fn ask(&self, issued: Option<&Issued>) -> reqwest::Result<String> {
        let builder = match issued {
            None => self.builder(),
            Some(Issued { certificate, key }) => {
                self.builder().identity(Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap())
            }
        };
        self.get(&builder.build()?).await
    }

    async fn get(&self, client: &Client) -> reqwest::Result<String> {
        client.get(format!("https://{}/", self.address)).send().await?.text().await
    }
}

fn clients_of(authority: &Authority, directory: &Path) -> std::path::PathBuf {
    authority.write(directory, "clients").unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let server = Server::start(|_| ()).await;
    assert_eq!(server.ask(None).await.unwrap(), "HTTP/2.0 https");
    let old = server.builder().http1_only().build().unwrap();
    assert_eq!(server.get(&old).await.unwrap(), "HTTP/1.1 https");
    let stranger = Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    assert!(server.get(&stranger).await.is_err(), "nobody has vouched for the server");
    while server.tls.status().failed_handshakes == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let status = server.tls.status();
    assert_eq!((status.handshakes, status.failed_handshakes), (2, 1));
}

#[tokio::test]
async fn versions_of_tls_below_the_wanted_one_are_refused() {
    let server = Server::start(|settings| settings.versions = TlsVersions::From13).await;
    server.ask(None).await.unwrap();
    let old = server.builder().tls_version_max(reqwest::tls::Version::TLS_1_2).build().unwrap();
    assert!(server.get(&old).await.is_err());
}

#[tokio::test]
async fn clients_prove_who_they_are_where_they_must() {
    let directory = TempDir::new().unwrap();
    let (ours, other) = (Authority::new("clients").unwrap(), Authority::new("clients").unwrap());
    let ca_file = clients_of(&ours, directory.path());
    let good = ours.issue(&["agent"]).unwrap();
    let expired = ours.issue_for_years(&["agent"], 2019..2020).unwrap();
    let foreign = other.issue(&["agent"]).unwrap();
    for (clients, without) in
        [(Clients::MustProve(ca_file.clone()), false), (Clients::MayProve(ca_file.clone()), true)]
    {
        let server = Server::start(|settings| settings.clients = clients.clone()).await;
        server.ask(Some(&good)).await.unwrap();
        assert_eq!(server.ask(None).await.is_ok(), without, "{clients:?}");
        assert!(server.ask(Some(&expired)).await.is_err());
        assert!(server.ask(Some(&foreign)).await.is_err());
    }
}

#[tokio::test]
async fn a_changed_authority_of_clients_counts_from_the_next_connection() {
    let directory = TempDir::new().unwrap();
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    let ca_file = clients_of(&old, directory.path());
    let server = Server::start(|settings| settings.clients = Clients::MustProve(ca_file)).await;
    let (before, after) = (old.issue(&["agent"]).unwrap(), new.issue(&["agent"]).unwrap());
    server.ask(Some(&before)).await.unwrap();
    clients_of(&new, directory.path());
    server.tls.reload().unwrap();
    server.ask(Some(&after)).await.unwrap();
    assert!(server.ask(Some(&before)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_load_without_a_failed_request() {
    let server = Arc::new(Server::start(|_| ()).await);
    let (done, served) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for number in 0..4 {
        let (server, done, served) = (Arc::clone(&server), Arc::clone(&done), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let kept = server.builder().build().unwrap();
            let asking = async {
                loop {
                    // Half of them keep their connection, the others come anew each time.
                    let fresh = || server.builder().build().unwrap();
                    let answer =
                        if number % 2 == 0 { server.get(&kept).await } else { server.get(&fresh()).await };
                    answer.unwrap();
                    served.fetch_add(1, Ordering::Relaxed);
                }
            };
            tokio::select! { () = asking => {}, () = done.notified() => {} }
        }));
    }
    for reload in 1..=20 {
        let before = served.load(Ordering::Relaxed);
        let issued = server.authority.issue_for_years(&["127.0.0.1"], 2025..2100 + reload).unwrap();
        issued.write(server.directory.path(), "server").unwrap();
        server.tls.reload().unwrap();
        while served.load(Ordering::Relaxed) < before + 10 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(tasks.iter().all(|task| !task.is_finished()), "a request failed");
        }
    }
    done.notify_waiters();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(server.tls.status().validity.not_after(), "2120-01-01T00:00:00Z");
    let stranger = Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    server.get(&stranger).await.unwrap();
}

#[tokio::test]
async fn handshakes_that_take_long_hold_up_nobody() {
    let server = Server::start(|settings| settings.handshake_timeout = Duration::from_millis(500)).await;
    let mut silent = Vec::new();
    for number in 0..64 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    server.ask(None).await.unwrap();
    for stream in &mut silent {
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said));
        let _reset_or_closed = ended.await.unwrap();
    }
    assert_eq!(server.tls.status().failed_handshakes, 64);
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_so() {
    let server = Server::start(|_| ()).await;
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400") && body.contains("https://"), "{answer}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
    }
}
