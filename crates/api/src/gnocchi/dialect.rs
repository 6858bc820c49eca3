//! How this dialect differs from others: its routes, its refusals, and what it looks at before anything else.

use axum::response::Response;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;

use super::GnocchiState;
use super::error::ApiError;
use super::render;
use super::route::{Route, routes};
use crate::http::address::BaseUrl;
use crate::http::asked::Asked;
use crate::http::dialect::{Dialect, Gate, Refused};

impl Dialect for GnocchiState {
    type Error = ApiError;

    fn gate(&self) -> Gate<'_> {
        Gate { settings: &self.settings.front, authenticator: &*self.authenticator, limits: &self.limits }
    }

    fn routes() -> Vec<Route> {
        routes()
    }

    fn refused(refused: Refused) -> ApiError {
        match refused {
            Refused::NotFound => ApiError::not_found(Value::Null),
            Refused::WrongVerb { allow } => {
                let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "");
                match allow {
                    Some(allow) => error.with_header(header::ALLOW, allow),
                    None => error,
                }
            }
            Refused::NotAcceptable => ApiError::new(StatusCode::NOT_ACCEPTABLE, Value::Null),
            Refused::NulInQuery => ApiError::bad_request("NUL characters are not supported"),
            Refused::Panicked => ApiError::internal(&"its handler panicked"),
            Refused::TimedOut => ApiError::unavailable("The request took too long", 1),
        }
    }

    fn render(error: ApiError, asked: &Asked) -> Response {
        render::refusal(error, asked)
    }

    fn shortcut(path: &str, base: &BaseUrl, asked: &Asked) -> Option<Response> {
        (path == "/v1" && asked.method == Method::GET).then(|| redirect(&base.url("/v1/"), asked))
    }

    /// 404 where the path names a resource type that is not there: upstream looks types up before it looks at the verb.
    async fn before_wrong_verb(&self, params: &[(String, String)]) -> Option<ApiError> {
        let (_, name) = params.iter().find(|(name, _)| *name == "type")?;
        self.service.schema_of(name).await.err().map(ApiError::from)
    }
}

fn redirect(target: &str, asked: &Asked) -> Response {
    let error = ApiError::new(StatusCode::FOUND, Value::Null);
    match HeaderValue::from_str(target) {
        Ok(location) => render::refusal(error.with_header(header::LOCATION, location), asked),
        Err(_) => render::refusal(ApiError::not_found(Value::Null), asked),
    }
}
