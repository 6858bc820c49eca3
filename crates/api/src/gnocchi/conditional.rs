//! Conditional requests on a single resource (RFC 7232): `ETag`, `Last-Modified` and the headers that refer to them.

use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use nephometer_model::{Resource, Timestamp};
use sha1::{Digest as _, Sha1};

use super::error::ApiError;
use super::render::empty;

/// What identifies the revision of a resource to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// Hexadecimal, without quotes.
    etag: String,
    /// Whole seconds since the epoch.
    modified_seconds: i64,
}

impl Validators {
    pub(super) fn of(resource: &Resource) -> Self {
        let revision = format!("{}{}", resource.id, resource.revision_start.isoformat());
        let digest = Sha1::digest(revision.as_bytes());
        Self {
            etag: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            modified_seconds: whole_seconds(resource.revision_start),
        }
    }

    /// Puts `ETag` and `Last-Modified` on an answer.
    pub(super) fn set(&self, response: &mut Response) {
        if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", self.etag)) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        let modified = jiff::Timestamp::from_second(self.modified_seconds).unwrap_or_default();
        let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&modified);
        if let Some(text) = text.ok().and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::LAST_MODIFIED, text);
        }
    }

    /// Checks the conditions of a request. An answer in the `Ok` is a 304 to be sent instead of the resource.
    pub(super) fn check(&self, headers: &HeaderMap, reading: bool) -> Result<Option<Response>, ApiError> {
        let failed = || ApiError::new(StatusCode::PRECONDITION_FAILED, "");
        match self.matches(headers, header::IF_MATCH) {
            Some(false) => return Err(failed()),
            Some(true) => {}
            None if date(headers, header::IF_UNMODIFIED_SINCE)
                .is_some_and(|date| date < self.modified_seconds) =>
            {
                return Err(failed());
            }
            None => {}
        }
        let not_modified = match self.matches(headers, header::IF_NONE_MATCH) {
            Some(true) if !reading => return Err(failed()),
            Some(matched) => matched,
            None => {
                let since = date(headers, header::IF_MODIFIED_SINCE);
                reading && since.is_some_and(|date| date >= self.modified_seconds)
            }
        };
        Ok(not_modified.then(|| {
            let mut response = empty(StatusCode::NOT_MODIFIED);
            self.set(&mut response);
            response
        }))
    }

    /// Whether the header names this revision; nothing where the header is absent or empty.
    fn matches(&self, headers: &HeaderMap, name: HeaderName) -> Option<bool> {
        let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut values = texts.filter(|value| !value.trim().is_empty()).peekable();
        values.peek()?;
        Some(values.flat_map(|value| value.split(',')).any(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.trim_matches('"') == self.etag
        }))
    }
}

/// Whether a change must not go through where another one comes first.
pub(super) fn guards_change(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_UNMODIFIED_SINCE)
}

fn whole_seconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1_000_000)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?;
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validators() -> Validators {
        Validators { etag: "abc".to_owned(), modified_seconds: 1_388_714_522 }
    }

    fn check(pairs: &[(HeaderName, &'static str)], reading: bool) -> Result<bool, StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        validators().check(&headers, reading).map(|answer| answer.is_some()).map_err(|error| error.status)
    }

    #[test]
    fn conditions_in_the_order_of_the_rfc() {
        const FAILED: Result<bool, StatusCode> = Err(StatusCode::PRECONDITION_FAILED);
        let (before, at) = ("Fri, 03 Jan 2014 02:02:01 GMT", "Fri, 03 Jan 2014 02:02:02 GMT");
        assert_eq!(check(&[], true), Ok(false));
        assert_eq!(check(&[(header::IF_MATCH, "\"x\", \"abc\"")], false), Ok(false));
        assert_eq!(check(&[(header::IF_MATCH, "*")], false), Ok(false));
        assert_eq!(check(&[(header::IF_MATCH, "\"x\"")], true), FAILED);
        assert_eq!(check(&[(header::IF_UNMODIFIED_SINCE, before)], false), FAILED);
        assert_eq!(check(&[(header::IF_UNMODIFIED_SINCE, at)], false), Ok(false));
        assert_eq!(
            check(&[(header::IF_MATCH, "*"), (header::IF_UNMODIFIED_SINCE, before)], false),
            Ok(false)
        );
        assert_eq!(check(&[(header::IF_NONE_MATCH, "\"abc\"")], true), Ok(true));
        assert_eq!(check(&[(header::IF_NONE_MATCH, "\"abc\"")], false), FAILED);
        assert_eq!(
            check(&[(header::IF_NONE_MATCH, "\"x\""), (header::IF_MODIFIED_SINCE, at)], true),
            Ok(false)
        );
        assert_eq!(check(&[(header::IF_MODIFIED_SINCE, at)], true), Ok(true));
        assert_eq!(check(&[(header::IF_MODIFIED_SINCE, before)], true), Ok(false));
        assert_eq!(check(&[(header::IF_MODIFIED_SINCE, at)], false), Ok(false));
    }

    #[test]
    fn headers_are_set() {
        let mut response = empty(StatusCode::OK);
        validators().set(&mut response);
        assert_eq!(response.headers()[header::ETAG], "\"abc\"");
        assert_eq!(response.headers()[header::LAST_MODIFIED], "Fri, 03 Jan 2014 02:02:02 GMT");
    }
}
