//! Answers of all dialects: JSON as Python writes it, and those without a body.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde_json::{Value, json};

use super::accept::Accept;
use super::route::Produces;
use crate::json as encoder;

/// An answer with a JSON body.
pub(crate) fn json_answer(status: StatusCode, value: &Value) -> Response {
    json_bytes(status, encoder::to_vec(value))
}

/// An answer whose body is JSON already.
pub(crate) fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response {
    json_body(status, Body::from(bytes))
}

/// An answer whose body is or will be JSON.
pub(crate) fn json_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The answer of `/healthcheck`, as OpenStack's middleware gives it.
pub(crate) fn healthy(accept: &Accept) -> Response {
    let (media_type, body) = match accept.best(Produces::Any.offers()) {
        Some("application/json") => {
            return json_answer(StatusCode::OK, &json!({"detailed": false, "reasons": []}));
        }
        Some("text/html") => (
            "text/html; charset=UTF-8",
            "<html>\n<head><title>Healthcheck Status</title></head>\n<body>\n<h2>Result of 0 checks:</h2>\n\
             <table bgcolor=\"#ffffff\" border=\"1\"><tbody><tr><th>Reason</th></tr></tbody></table>\n<hr></hr>\n\
             </body>\n</html>\n",
        ),
        _ => ("text/plain; charset=UTF-8", ""),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
