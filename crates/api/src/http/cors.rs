//! Cross-origin requests: answers to preflights and headers on answers, as OpenStack's middleware gives them.

use axum::response::Response;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

const ALLOWED_HEADERS: &str =
    "Authorization, X-Auth-Token, X-Subject-Token, X-User-Id, X-Domain-Id, X-Project-Id, X-Roles";
const ALLOWED_METHODS: [&str; 8] = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"];
const MAX_AGE_SECONDS: &str = "3600";

/// Which web pages of other origins may use the API.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    allowed_origins: Vec<String>,
}

impl Cors {
    /// Allows pages from `allowed_origins` (`http://host[:port]`, or `*` for all).
    pub fn new(allowed_origins: Vec<String>) -> Self {
        Self { allowed_origins }
    }

    fn origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        let allowed = self.allowed_origins.iter().any(|known| known == "*" || known == text);
        allowed.then_some(origin)
    }

    /// The answer to an `OPTIONS` request: always 200 and empty, with permissions for allowed origins.
    pub fn preflight(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::default();
        let requested = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let (Some(origin), Some(requested)) = (self.origin(headers), requested) else { return response };
        if !ALLOWED_METHODS.iter().any(|method| requested == method) || !headers_allowed(headers) {
            return response;
        }
        let answer = response.headers_mut();
        Self::permit(answer, origin);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, requested.clone());
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
        if let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        response
    }

    /// The origin of a request, where it is one whose pages may use the API.
    pub fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.origin(headers).cloned()
    }

    /// Adds permissions for `origin` to an answer.
    pub fn permit(answer: &mut HeaderMap, origin: &HeaderValue) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// Whether all headers that a page wants to send are known or harmless.
fn headers_allowed(headers: &HeaderMap) -> bool {
    const SIMPLE: [HeaderName; 6] = [
        header::ACCEPT,
        header::ACCEPT_LANGUAGE,
        header::CONTENT_TYPE,
        header::CACHE_CONTROL,
        header::EXPIRES,
        header::LAST_MODIFIED,
    ];
    let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) else { return true };
    let Ok(names) = names.to_str() else { return false };
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| {
        ALLOWED_HEADERS.split(", ").any(|known| known.eq_ignore_ascii_case(name))
            || SIMPLE.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
    })
}
