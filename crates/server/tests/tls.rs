//! The built program with TLS, as curl and a statsd client meet it: every listener, new certificates while it runs, bad
//! ones, certificates of clients.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nephometer_testkit::certificates::{Authority, Issued};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);
const LISTENERS: [&str; 4] = ["metric_api", "alarm_api", "admin", "statsd"];

/// A directory with an authority, a certificate of the server and the server's data.
struct Site {
    directory: TempDir,
    authority: Authority,
    ca_file: PathBuf,
}

impl Site {
    fn new() -> Self {
        let (directory, authority) = (TempDir::new().unwrap(), Authority::new("servers").unwrap());
        let ca_file = authority.write(directory.path(), "ca").unwrap();
        let site = Self { directory, authority, ca_file };
        site.put(&site.authority.issue(&["localhost", "127.0.0.1"]).unwrap());
        site
    }

    fn put(&self, issued: &Issued) -> (PathBuf, PathBuf) {
        issued.write(self.directory.path(), "server").unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program with TLS on all listeners, on free ports of `host`.
    fn command(&self, subcommand: &str, host: &str, settings: &[String]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg(subcommand).env_remove("NEPHOMETER_CONFIG");
        let mut set = |setting: &str| {
            command.args(["--set", setting]);
        };
        set(&format!("storage.data_dir={}", self.path("data").display()));
        set("self_monitoring.enabled=false");
        set("statsd.flush_delay_seconds=0.2");
        for listener in LISTENERS {
            set(&format!("{listener}.listen={host}:0"));
            set(&format!("{listener}.tls_cert_file={}", self.path("server.pem").display()));
            set(&format!("{listener}.tls_key_file={}", self.path("server.key").display()));
        }
        settings.iter().for_each(|setting| set(setting));
        command
    }

    fn start(&self, host: &str, settings: &[String]) -> Server {
        let mut child = self.command("serve", host, settings).stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !greeting.contains("Next:") {
            assert!(lines.read_line(&mut greeting).unwrap() > 0, "the server ended: {greeting}");
        }
        let run = std::fs::read(self.path("data/run.json")).unwrap();
        let run: Value = serde_json::from_slice(&run).unwrap();
        let port = |name: &str| run[name].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        Server { child, metric_api: port("metric_api"), admin: port("admin"), greeting }
    }

    fn status(&self) -> Value {
        let output = self.command("status", "127.0.0.1", &[]).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What `status` tells about the certificate of the metric API.
    fn certificate(&self) -> Value {
        self.status()["certificates"][0].clone()
    }

    /// curl, which trusts our authority, at a port of ours; its output is the status and then the body.
    fn curl(&self, port: &str, path: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--write-out",
            "\n%{http_version} %{http_code}",
        ]);
        command.arg("--cacert").arg(&self.ca_file).args(["--user", "admin:"]).args(arguments);
        command.arg(format!("https://localhost:{port}{path}")).output().unwrap()
    }

    /// Version of HTTP with status, and body, of the answer that curl got.
    fn get(&self, port: &str, path: &str, arguments: &[&str]) -> (String, String) {
        let output = self.curl(port, path, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, last) = text.rsplit_once('\n').unwrap();
        (last.to_owned(), body.to_owned())
    }
}

/// A running server; killed when the test ends.
struct Server {
    child: Child,
    metric_api: String,
    admin: String,
    greeting: String,
}

impl Server {
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until `found` is content.
fn eventually<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(waited < PATIENCE, "{what} did not happen");
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
}

/// Sends a line of statsd over TLS, with a client's certificate where one is given; what became of it is seen elsewhere.
fn send_statsd(address: &str, ca_file: &Path, identity: Option<&Issued>, line: &str) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(Issued { certificate, key }) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(session, TcpStream::connect(address).unwrap());
    stream.write_all(line.as_bytes()).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
}

#[test]
fn every_listener_speaks_tls() {
    let site = Site::new();
    let server = site.start("127.0.0.1", &[]);
    assert!(
        server.greeting.contains(&format!("https://127.0.0.1:{}/", server.metric_api)),
        "{}",
        server.greeting
    );
    for (version, expected) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
        let (status, body) = site.get(&server.metric_api, "/", &[version]);
        assert_eq!(status, expected);
        let link = format!("https://localhost:{}/v1/", server.metric_api);
        assert!(body.contains(&link), "{link} not in {body}");
        let (_, text) = site.get(&server.admin, "/metrics", &[version]);
        let figure = "nephometer_tls_certificate_not_after_seconds{listener=\"metric_api\"} 67090118400\n";
        assert!(
            text.contains(figure) && text.contains("nephometer_tls_handshakes_total{listener="),
            "{text}"
        );
    }
    let statsd = server.greeting.lines().find(|line| line.contains("statsd")).unwrap();
    send_statsd(statsd.split_whitespace().last().unwrap(), &site.ca_file, None, "requests:3|c\n");
    eventually("statsd's metric", || {
        let (status, body) =
            site.get(&server.metric_api, "/v1/resource/generic/statsd/metric/requests%7Cc/measures", &[]);
        (status.ends_with("200") && body.contains("3.0")).then_some(())
    });
    let plain = Command::new("curl")
        .args(["-sS", "--noproxy", "*", &format!("http://127.0.0.1:{}/", server.metric_api)])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&plain.stdout).contains("https://"), "{plain:?}");
    let certificates = site.status()["certificates"].clone();
    let listeners: Vec<_> = certificates.as_array().unwrap().iter().map(|one| &one["listener"]).collect();
    assert_eq!(listeners, LISTENERS);
    let told = site.command("status", "127.0.0.1", &[]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("certificate of metric_api is good until 4096-01-01T00:00:00Z"), "{told}");
    assert!(told.contains(&format!("https://127.0.0.1:{}/", server.metric_api)), "{told}");
}

#[test]
fn certificates_are_followed_and_bad_ones_change_nothing() {
    let site = Site::new();
    let server = site.start("127.0.0.1", &[]);
    let ends = || site.certificate()["not_after"].as_str().unwrap().to_owned();
    site.put(&site.authority.issue_for_years(&["localhost"], 2025..2055).unwrap());
    eventually("the new certificate", || (ends() == "2055-01-01T00:00:00Z").then_some(()));
    std::fs::write(site.path("server.key"), "no key").unwrap();
    server.signal("-HUP");
    let failure = eventually("the refusal", || site.certificate()["failure"].as_str().map(str::to_owned));
    assert!(failure.contains("server.key holds no private key"), "{failure}");
    assert_eq!(site.get(&server.metric_api, "/", &[]).0, "2 200");
    let other = Authority::new("others").unwrap();
    site.put(&other.issue_for_years(&["localhost"], 2025..2060).unwrap());
    server.signal("-HUP");
    eventually("the third certificate", || (ends() == "2060-01-01T00:00:00Z").then_some(()));
    assert!(!site.curl(&server.metric_api, "/", &[]).status.success(), "nobody vouches for it");
    other.write(site.directory.path(), "ca").unwrap();
    assert_eq!(site.get(&server.metric_api, "/", &[]).0, "2 200");
}

#[test]
fn certificates_of_clients_are_authentication() {
    let site = Site::new();
    let clients = Authority::new("clients").unwrap();
    let ca_file = clients.write(site.directory.path(), "clients").unwrap();
    let asking = |listener: &str| format!("{listener}.tls_client_ca_file={}", ca_file.display());
    let settings: Vec<_> =
        LISTENERS.iter().map(|name| asking(name)).chain(["statsd.udp=false".to_owned()]).collect();
    for (settings, refused) in [
        (&settings[..], None),
        (&settings[..4], Some("statsd.listen: it takes from everybody")),
        (&[], Some("metric_api.listen: auth_mode=basic checks no password")),
    ] {
        let output = site.command("check-config", "0.0.0.0", settings).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), refused.is_none(), "{errors}");
        assert!(errors.contains(refused.unwrap_or_default()), "{errors}");
    }
    let server = site.start("0.0.0.0", &settings);
    let good = clients.issue(&["agent"]).unwrap();
    let (certificate, key) = good.write(site.directory.path(), "agent").unwrap();
    let shown = ["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
    assert_eq!(site.get(&server.metric_api, "/", &shown).0, "2 200");
    assert!(!site.curl(&server.metric_api, "/", &[]).status.success());
    clients.issue_for_years(&["agent"], 2019..2020).unwrap().write(site.directory.path(), "agent").unwrap();
    assert!(!site.curl(&server.metric_api, "/", &shown).status.success(), "it has expired");
    good.write(site.directory.path(), "agent").unwrap();
    let statsd = server.greeting.lines().find(|line| line.contains("statsd (TCP)")).unwrap();
    let port = statsd.rsplit_once(':').unwrap().1;
    send_statsd(&format!("127.0.0.1:{port}"), &site.ca_file, Some(&good), "requests:3|c\n");
    eventually("statsd's metric", || {
        let path = "/v1/resource/generic/statsd/metric/requests%7Cc/measures";
        let (status, body) = site.get(&server.metric_api, path, &shown);
        (status.ends_with("200") && body.contains("3.0")).then_some(())
    });
    let output = site.command("status", "127.0.0.1", &[]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("CertificateRequired"), "{errors}");
}

#[test]
fn a_body_that_is_too_large_is_refused_with_an_answer() {
    let site = Site::new();
    let server = site.start("127.0.0.1", &[]);
    let body = site.path("body");
    std::fs::write(&body, vec![b' '; 40 << 20]).unwrap();
    let data = format!("@{}", body.display());
    for version in ["--http1.1", "--http2"] {
        for header in ["Expect:", "Transfer-Encoding: chunked"] {
            let arguments = [version, "-X", "POST", "-H", "Expect:", "-H", header, "--data-binary", &data];
            let (status, answer) = site.get(&server.metric_api, "/v1/batch/metrics/measures", &arguments);
            assert!(status.ends_with("413"), "{version} {header}: {status} {answer}");
        }
    }
}

#[test]
fn what_cannot_be_used_at_a_start_is_told() {
    let site = Site::new();
    for (name, content, expected) in [
        ("server.key", "", "server.key holds no private key that is not encrypted"),
        ("server.pem", "", "server.pem holds no certificate"),
    ] {
        std::fs::write(site.path(name), content).unwrap();
        let output = site.command("serve", "127.0.0.1", &[]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(expected), "{errors}");
        assert!(errors.contains("metric_api.tls_cert_file"), "{errors}");
    }
    site.put(&site.authority.issue_for_years(&["localhost"], 2019..2020).unwrap());
    let output = site.command("check-config", "127.0.0.1", &[]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.contains("is good until 2020-01-01T00:00:00Z"), "{errors}");
    let idle = ["metric_api.tls_cert_file=".to_owned()];
    let output = site.command("check-config", "127.0.0.1", &idle).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("metric_api.tls_key_file: is of no use without metric_api.tls_cert_file"),
        "{errors}"
    );
}
