//! What an answer needs to know about the request that it answers.

use http::{HeaderMap, Method, header};

use super::accept::Accept;

/// The parts of a request's head that decide what a refusal looks like.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What the client takes.
    pub accept: Accept,
    /// Its verb.
    pub method: Method,
    /// `Accept` as it came; empty where it is absent.
    pub accept_text: String,
    /// `Content-Type` as it came; empty where it is absent.
    pub content_type: String,
}

impl Asked {
    /// Those of a request's head.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let text =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Self {
            accept: Accept::of(headers),
            method: method.clone(),
            accept_text: text(header::ACCEPT),
            content_type: text(header::CONTENT_TYPE),
        }
    }
}
