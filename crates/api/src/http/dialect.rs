//! What a dialect settles for itself; all else before its handlers is shared ([`super::front`]).

use std::future::Future;
use std::time::Duration;

use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use nephometer_drivers::Authenticator;

use super::address::BaseUrl;
use super::asked::Asked;
use super::body::{BodyError, BodyLimits};
use super::cors::Cors;
use super::route::Route;
use crate::limits::{EntryError, Limits};

/// What an operator decides about how requests are taken.
#[derive(Debug, Clone)]
pub struct FrontSettings {
    /// Bounds on request bodies.
    pub body: BodyLimits,
    /// Longest time that a request may take once its body is there.
    pub request_timeout: Duration,
    /// Path under which the service is also found, such as `/gnocchi`; empty for none.
    pub path_prefix: String,
    /// Whether `Forwarded` and `X-Forwarded-*` count.
    pub trust_proxy_headers: bool,
    /// Which web pages of other origins may use the API.
    pub cors: Cors,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            body: BodyLimits { max_bytes: 32 * 1024 * 1024, timeout: Duration::from_secs(60) },
            request_timeout: Duration::from_secs(120),
            path_prefix: String::new(),
            trust_proxy_headers: false,
            cors: Cors::default(),
        }
    }
}

/// What the front needs of a dialect's state.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    /// How requests are taken.
    pub settings: &'a FrontSettings,
    /// Recognises who asks.
    pub authenticator: &'a dyn Authenticator,
    /// What one identity may take.
    pub limits: &'a Limits,
}

/// Why the front refuses a request itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// The path leads nowhere.
    NotFound,
    /// The path has other verbs.
    WrongVerb {
        /// Those, for `Allow`.
        allow: Option<HeaderValue>,
    },
    /// The client takes no media type that the route has.
    NotAcceptable,
    /// The query string holds a NUL.
    NulInQuery,
    /// The handler panicked.
    Panicked,
    /// The handler took too long.
    TimedOut,
}

/// A dialect: its routes, and how it says no.
pub trait Dialect: Sized + Send + Sync + 'static {
    /// What handlers refuse with.
    type Error: From<BodyError> + From<EntryError> + Send + 'static;

    /// What the front needs.
    fn gate(&self) -> Gate<'_>;

    /// All routes.
    fn routes() -> Vec<Route<Self>>;

    /// A refusal of the front in the dialect's words.
    fn refused(refused: Refused) -> Self::Error;

    /// The answer for a refusal.
    fn render(error: Self::Error, asked: &Asked) -> Response;

    /// An answer that needs no route.
    fn shortcut(path: &str, base: &BaseUrl, asked: &Asked) -> Option<Response> {
        let _ = (path, base, asked);
        None
    }

    /// What is wrong with the parameters of a path for which the verb does not exist, if that is to be said first.
    fn before_wrong_verb(
        &self,
        params: &[(String, String)],
    ) -> impl Future<Output = Option<Self::Error>> + Send {
        let _ = params;
        std::future::ready(None)
    }

    /// Headers of every answer to a request for `path` (below the prefix).
    fn mark(&self, path: &str, headers: &mut HeaderMap) {
        let _ = (path, headers);
    }
}
