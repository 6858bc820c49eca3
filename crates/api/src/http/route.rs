//! Routes as data: routers, OpenAPI documents and the tests that must cover every route are made from one list.

use std::future::Future;
use std::pin::Pin;

use axum::response::Response;
use http::Method;

use super::call::Call;
use super::dialect::Dialect;

/// A handler, boxed so that the machinery around it is compiled once.
pub(crate) type Handler<D> =
    fn(Call<D>) -> Pin<Box<dyn Future<Output = Result<Response, <D as Dialect>::Error>> + Send>>;

/// What media type a route answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Produces {
    /// `application/json`.
    Json,
    /// No content, which upstream declares as `text/html`.
    Html,
    /// JSON or HTML where the client likes them, else plain text: never refused.
    Any,
}

impl Produces {
    /// Media types offered, the usual one first.
    pub fn offers(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::Html => &["text/html"],
            Self::Any => &["text/plain", "text/html", "application/json"],
        }
    }
}

/// One verb on one path.
pub struct Route<D: Dialect> {
    /// Verb.
    pub method: Method,
    /// Path with `{parameters}`, as both the router and OpenAPI write it.
    pub path: &'static str,
    /// What the route does, in a few words.
    pub summary: &'static str,
    /// The rule that guards it; nothing where only an identity, or not even that, is needed.
    pub rule: Option<&'static str>,
    /// Whether the caller must be known.
    pub needs_identity: bool,
    /// Media type of the answer.
    pub produces: Produces,
    /// Media type of the body, where one is read.
    pub consumes: Option<&'static str>,
    /// Query parameters that it reads.
    pub query: &'static [&'static str],
    /// Statuses of its answers, besides those that any route can give (401, 403, 406, 413, 429, 503 and the like).
    pub statuses: &'static [u16],
    /// Name of the schema of its body, for the document.
    pub takes: &'static str,
    /// Name of the schema of its answer, for the document; with `[]` a list of such.
    pub gives: &'static str,
    pub(crate) handler: Handler<D>,
}

impl<D: Dialect> Route<D> {
    /// A JSON route that needs an identity; the rest is set by struct update.
    pub(crate) const fn new(
        method: Method,
        path: &'static str,
        summary: &'static str,
        handler: Handler<D>,
    ) -> Self {
        Self {
            method,
            path,
            summary,
            rule: None,
            needs_identity: true,
            produces: Produces::Json,
            consumes: None,
            query: &[],
            statuses: &[200],
            takes: "Anything",
            gives: "Anything",
            handler,
        }
    }

    pub(crate) const fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    pub(crate) const fn public(mut self) -> Self {
        self.needs_identity = false;
        self
    }

    pub(crate) const fn produces(mut self, produces: Produces) -> Self {
        self.produces = produces;
        self
    }

    pub(crate) const fn consumes(mut self, media_type: &'static str) -> Self {
        self.consumes = Some(media_type);
        self
    }

    pub(crate) const fn json_body(self) -> Self {
        self.consumes("application/json")
    }

    /// Reads JSON that keeps to a schema of the document.
    pub(crate) const fn takes(mut self, schema: &'static str) -> Self {
        self.takes = schema;
        if self.consumes.is_some() { self } else { self.json_body() }
    }

    /// Answers with JSON that keeps to a schema of the document; with `[]` a list of such.
    pub(crate) const fn gives(mut self, schema: &'static str) -> Self {
        self.gives = schema;
        self
    }

    pub(crate) const fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    pub(crate) const fn statuses(mut self, statuses: &'static [u16]) -> Self {
        self.statuses = statuses;
        self
    }
}

/// Makes a [`Handler`] of an async function.
macro_rules! handler {
    ($function:path) => {
        |call| Box::pin($function(call))
    };
}
pub(crate) use handler;
