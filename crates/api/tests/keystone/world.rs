//! What is asked about: an API over an index and an engine of its own, with things of two tenants in it, or of one.

use std::any::Any;
use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::callers::Caller;
use crate::table::Row;

/// Whose things a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenants {
    /// Those of projects `a` and `b`.
    Both,
    /// Those of project `b` alone.
    OnlyB,
}

/// A running API and what there is in it.
pub(crate) struct World {
    pub(crate) router: Router,
    /// What requests can name: ids by name.
    pub(crate) names: BTreeMap<String, String>,
    /// Bodies that are no text, by name.
    pub(crate) bodies: BTreeMap<&'static str, Bytes>,
    /// Texts that only tenant `a`'s things have.
    pub(crate) planted: Vec<String>,
    /// Paths whose answers show everything that a request can change.
    pub(crate) watched: Vec<String>,
    /// Those of them that show a member of project `a` its things.
    pub(crate) watched_by_a: Vec<String>,
    /// What the router stands on.
    pub(crate) _keeps: Box<dyn Any + Send + Sync>,
}

/// A request without a caller.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Headers, line by line, and the body.
    pub(crate) text: String,
    pub(crate) body: String,
}

impl Question {
    /// JSON to `path`, or nothing where `body` is null.
    pub(crate) fn json(method: &str, path: &str, body: &Value) -> Self {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        Self { method: method.to_owned(), path: path.to_owned(), headers: BTreeMap::new(), body }
    }

    /// Everything that the caller says.
    pub(crate) fn text(&self) -> String {
        let headers: String = self.headers.values().map(|value| format!("{value}\n")).collect();
        format!("{}\n{headers}{}", self.path, String::from_utf8_lossy(&self.body))
    }

    fn of(&self, caller: &Caller) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.path)
            .header("host", "localhost")
            .header("accept", "application/json, */*;q=0.1");
        if !self.body.is_empty() && !self.headers.contains_key("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &caller.headers {
            request = request.header(*name, value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body.clone())).unwrap()
    }
}

impl World {
    /// What a row asks, with the names that this world knows.
    pub(crate) fn question(&self, row: &Row) -> Question {
        let body = match row.body.as_deref() {
            None => Bytes::new(),
            Some(body) => match body.strip_prefix('@') {
                Some(name) => self.bodies[name].clone(),
                None => self.named(body).into(),
            },
        };
        Question {
            method: row.method().to_owned(),
            path: self.named(row.path()),
            headers: row.headers.iter().map(|(name, value)| (name.clone(), self.named(value))).collect(),
            body,
        }
    }

    /// `text` with ids for `<names>`.
    fn named(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            out.push_str(before);
            let name = after.split('>').next().filter(|name| after.len() > name.len());
            let is_name = |name: &&str| {
                name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'.' | b'-'))
            };
            match name.filter(is_name) {
                Some(name) => {
                    let id = self.names.get(name);
                    out.push_str(id.unwrap_or_else(|| panic!("nothing is called <{name}>")));
                    rest = &after[name.len() + 1..];
                }
                None => {
                    out.push('<');
                    rest = after;
                }
            }
        }
        out + rest
    }

    /// Asks as `caller`.
    pub(crate) async fn ask(&self, caller: &Caller, question: &Question) -> Answer {
        let response = match self.router.clone().oneshot(question.of(caller)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let body = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        Answer { status: parts.status.as_u16(), text: format!("{}\n{body}", lines(&parts.headers)), body }
    }

    /// What `caller` sees at these paths.
    pub(crate) async fn seen_by(&self, caller: &Caller, paths: &[String]) -> Vec<String> {
        let mut seen = Vec::new();
        for path in paths {
            let answer = self.ask(caller, &Question::json("GET", path, &Value::Null)).await;
            seen.push(format!("{path} {}\n{}", answer.status, answer.body));
        }
        seen
    }
}

impl Answer {
    /// The body, where the status is the one that is wanted to set a world up.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.body.is_empty() { Value::Null } else { serde_json::from_str(&self.body).unwrap() }
    }
}

fn lines(headers: &HeaderMap) -> String {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
    };
    headers.iter().map(line).collect()
}
