//! The accept loop on a real socket: slow heads, the bound on connections, pipelining, refusals that reach clients which
//! are still sending, stopping.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use nephometer_api::{HttpSettings, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const REQUEST: &[u8] = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n";

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn start(settings: HttpSettings) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "late"
    };
    let router = Router::new().route("/now", get(|| async { "now" })).route("/slow", get(slow));
    let router = router.route("/refuse", post(|| async { StatusCode::PAYLOAD_TOO_LARGE }));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, None, router, settings, async move {
        let _ = stopped.await;
    }));
    Server { address, stop, task }
}

async fn read_some(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let server =
        start(HttpSettings { header_timeout: Duration::from_millis(200), ..HttpSettings::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /now HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), read_some(&mut stream)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let server = start(HttpSettings { max_connections: 1, ..HttpSettings::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut first).await.ends_with("now"));
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(200), read_some(&mut second)).await;
    assert!(waited.is_err(), "the second connection was served beside the first");
    drop(first);
    let answer = tokio::time::timeout(Duration::from_secs(5), read_some(&mut second)).await.unwrap();
    assert!(answer.ends_with("now"), "{answer}");
}

#[tokio::test]
async fn requests_sent_together_are_answered_in_order() {
    let server = start(HttpSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&[&b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"[..], REQUEST].concat()).await.unwrap();
    let mut answers = String::new();
    while answers.matches("HTTP/1.1 200").count() < 2 || !answers.ends_with("now") {
        let more = read_some(&mut stream).await;
        assert!(!more.is_empty(), "connection ended after {answers}");
        answers.push_str(&more);
    }
    assert!(answers.find("late").unwrap() < answers.find("now").unwrap());
}

/// The answer to a client that reads only when it has sent everything.
async fn answer_after_all_of(server: &Server, head: &str, length: usize) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..length / 65_536 {
        stream.write_all(&[b'x'; 65_536]).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = start(HttpSettings::default()).await;
    let length = 32 << 20;
    let head = format!("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let refused = "HTTP/1.1 413";
    assert!(answer_after_all_of(&server, &head, length).await.starts_with(refused));
    let chunk = "POST /refuse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2000001\r\n";
    assert!(answer_after_all_of(&server, chunk, length).await.starts_with(refused));
    for (name, head, status) in [
        ("a long path", format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)), "414"),
        ("an endless path", format!("GET /{}", "x".repeat(1 << 20)), "431"),
        ("a long header", format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(1 << 20)), "431"),
        ("many headers", format!("GET / HTTP/1.1\r\n{}\r\n", "X-More: x\r\n".repeat(101)), "431"),
    ] {
        let answer = answer_after_all_of(&server, &head, 0).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer}");
    }
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_clients() {
    let server = start(HttpSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 413"));
    stream.write_all(REQUEST).await.unwrap();
    assert!(read_some(&mut stream).await.ends_with("now"));
    #[expect(clippy::disallowed_methods, reason = "a test of real time")]
    let before = Instant::now();
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_millis(800), "{:?}", before.elapsed());
}

#[tokio::test]
async fn stopping_lets_running_requests_finish() {
    let server = start(HttpSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    #[expect(clippy::disallowed_methods, reason = "a test of real time")]
    let before = Instant::now();
    server.stop.send(()).unwrap();
    let answer = read_some(&mut stream).await;
    assert!(answer.ends_with("late"), "{answer}");
    server.task.await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(server.address).await.is_err());
}
