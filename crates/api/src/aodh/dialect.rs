//! How this dialect differs from others: its routes, its refusals, and the id that each answer bears.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::ApiError;
use super::{AodhState, Route, routes};
use crate::http::asked::Asked;
use crate::http::dialect::{Dialect, Gate, Refused};

/// Names a request, for logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

impl Dialect for AodhState {
    type Error = ApiError;

    fn gate(&self) -> Gate<'_> {
        Gate { settings: &self.settings, authenticator: &*self.authenticator, limits: &self.limits }
    }

    fn routes() -> Vec<Route> {
        routes()
    }

    fn refused(refused: Refused) -> ApiError {
        ApiError::of_front(refused)
    }

    fn render(error: ApiError, _asked: &Asked) -> Response {
        error.render()
    }

    fn mark(&self, path: &str, headers: &mut HeaderMap) {
        let is_versioned =
            path.strip_prefix("/v2").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_versioned && let Ok(id) = HeaderValue::try_from(format!("req-{}", self.ids.uuid())) {
            headers.insert(REQUEST_ID, id);
        }
    }
}
