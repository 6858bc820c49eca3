//! A Keystone that repeats whatever it is told, as a careless proxy or a debug page would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should; tokens that it does not know are repeated.
    Works,
    /// It signs nobody in, and repeats body and headers.
    Refuses,
    /// It signs in, and refuses questions about tokens, repeating them.
    Forbids,
    /// 500 with everything repeated.
    Breaks,
    /// JSON of the wrong sort, with everything repeated in it.
    Babbles,
    /// It closes connections.
    HangsUp,
}

/// It lives as long as the test's process.
pub(crate) struct Cloud {
    pub(crate) url: String,
    mood: Arc<Mutex<Mood>>,
}

impl Cloud {
    /// Gives `service_token` to whoever signs in, and knows `user_token`.
    pub(crate) fn start(service_token: &'static str, user_token: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mood = Arc::new(Mutex::new(Mood::Works));
        let (own, now) = (url.clone(), Arc::clone(&mood));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mood = *now.lock().unwrap();
                // A client that goes away is none of the test's business.
                drop(serve(stream, mood, &own, service_token, user_token));
            }
        });
        Self { url, mood }
    }

    pub(crate) fn now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn serve(
    stream: TcpStream,
    mood: Mood,
    url: &str,
    service_token: &str,
    user_token: &str,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let length =
        head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let said = format!("{head}{}", String::from_utf8_lossy(&body));
    let is_sign_in = head.starts_with("POST");
    let (status, body) = match (mood, is_sign_in) {
        (Mood::HangsUp, _) => return Ok(()),
        (Mood::Breaks, _) => (500, json!({ "error": { "message": said } })),
        (Mood::Refuses, true) => (401, json!({ "error": { "message": said } })),
        (Mood::Forbids, false) => (403, json!({ "error": { "message": said } })),
        (Mood::Babbles, false) => (200, json!({ "token": said })),
        (_, true) => (201, json!({ "token": token(url) })),
        (_, false) if head.contains(user_token) => (200, json!({ "token": token(url) })),
        (_, false) => (404, json!({ "error": { "message": said } })),
    };
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nX-Subject-Token: {service_token}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    reader.get_mut().write_all(answer.as_bytes())
}

fn token(url: &str) -> Value {
    let named = |name: &str| json!({ "id": name, "name": name, "domain": { "id": "d", "name": "d" } });
    let endpoints: Vec<_> = ["public", "internal", "admin"]
        .map(|interface| json!({ "interface": interface, "region": "r", "region_id": "r", "url": url }))
        .into();
    json!({
        "user": named("somebody"),
        "project": named("project"),
        "roles": [{ "id": "1", "name": "admin" }, { "id": "2", "name": "member" }, { "id": "3", "name": "service" }],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2200-01-01T00:00:00.000000Z",
        "catalog": [{ "type": "identity", "name": "keystone", "endpoints": endpoints }],
    })
}
