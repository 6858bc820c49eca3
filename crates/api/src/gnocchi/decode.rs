//! JSON bodies: media type, decoding, and what upstream says where either fails.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::error::ApiError;
use crate::http::body::has_nul;

/// The usual media type of bodies.
pub(super) const JSON: &str = "application/json";
/// The media type of changes of resource types.
pub(super) const JSON_PATCH: &str = "application/json-patch+json";

/// Refuses with 415 unless the body's media type (parameters aside) is `expected`.
pub(super) fn require_media_type(headers: &HeaderMap, expected: &str) -> Result<(), ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(ApiError::media_type()) }
}

/// 400 for a body that is no JSON.
pub(super) fn undecodable(reason: &str) -> ApiError {
    ApiError::bad_request(json!({"cause": "Unable to decode body", "reason": reason, "detail": []}))
}

/// The body as a tree.
pub(super) fn decode(body: &Bytes) -> Result<Value, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(undecodable("Expected object or value"));
    }
    let value = serde_json::from_slice(body).map_err(|error| undecodable(&error.to_string()))?;
    if has_nul(&value) {
        return Err(undecodable("NUL characters are not supported"));
    }
    Ok(value)
}
