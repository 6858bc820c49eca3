//! What stands before the handlers: paths are normalised, routes found, answers negotiated, callers recognised and held
//! to their limits, bodies read, refusals rendered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use axum::routing::any;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Uri};
use nephometer_model::Identity;
use serde_json::Value;
use tokio::task::AbortHandle;
use tower::ServiceExt as _;
use tower_http::CompressionLevel;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::compression::{CompressionLayer, DefaultPredicate};

use super::GnocchiState;
use super::call::Call;
use super::error::ApiError;
use super::render::{self, Asked};
use super::route::{Handler, Produces, Route, routes};
use crate::http::address::BaseUrl;
use crate::http::body;
use crate::http::cors::Cors;
use crate::http::query::Query;
use crate::limits::{Caller, hold};

/// Answers below this size are not worth compressing.
const COMPRESS_ABOVE_BYTES: u64 = 1024;

/// What the front has found out about a request before it is routed.
#[derive(Clone)]
struct Site {
    base: BaseUrl,
    asked: Asked,
}

/// The routes of one path.
type Verbs = Vec<Route>;

/// All routes behind the front.
pub(super) fn router(state: Arc<GnocchiState>) -> Router {
    let mut by_path: BTreeMap<&'static str, Verbs> = BTreeMap::new();
    for route in routes() {
        by_path.entry(route.path).or_default().push(route);
    }
    let mut inner = Router::new();
    for (path, verbs) in by_path {
        let (state, verbs) = (Arc::clone(&state), Arc::new(verbs));
        let handle = move |params: Result<RawPathParams, RawPathParamsRejection>, request: Request| {
            let (state, verbs) = (Arc::clone(&state), Arc::clone(&verbs));
            async move {
                match params {
                    Ok(params) => dispatch(state, verbs, params, request).await,
                    Err(_) => not_found(request).await,
                }
            }
        };
        inner = inner.route(path, any(handle));
    }
    let inner = inner.fallback(not_found);
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESS_ABOVE_BYTES)));
    Router::new()
        .fallback(move |request: Request| front(Arc::clone(&state), inner.clone(), request))
        .layer(compression)
}

/// The answer for paths that lead nowhere, or that are no text.
async fn not_found(request: Request) -> Response {
    let asked = Asked::of(request.method(), request.headers());
    render::refusal(ApiError::not_found(Value::Null), &asked)
}

async fn front(state: Arc<GnocchiState>, inner: Router, request: Request) -> Response {
    let cors = &state.settings.cors;
    if request.method() == Method::OPTIONS {
        return cors.preflight(request.headers());
    }
    let origin = cors.allowed_origin(request.headers());
    let mut response = normalised(&state, inner, request).await;
    if let Some(origin) = origin {
        Cors::permit(response.headers_mut(), &origin);
    }
    response
}

/// Rewrites the path and hands the request on.
async fn normalised(state: &GnocchiState, inner: Router, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let asked = Asked::of(&parts.method, &parts.headers);
    let (prefix, path) = split_prefix(parts.uri.path(), &state.settings.path_prefix);
    let base = BaseUrl::of(&parts, prefix, state.settings.trust_proxy_headers);
    if path == "/v1" && parts.method == Method::GET {
        return redirect(&base.url("/v1/"), &asked);
    }
    let query = parts.uri.query();
    if path.contains("%00") {
        return render::refusal(ApiError::not_found(Value::Null), &asked);
    }
    if query.is_some_and(|query| query.contains("%00")) {
        return render::refusal(ApiError::bad_request("NUL characters are not supported"), &asked);
    }
    let path_and_query = match query {
        Some(query) => format!("{}?{query}", normalise_path(path)),
        None => normalise_path(path),
    };
    match Uri::try_from(path_and_query) {
        Ok(uri) => parts.uri = uri,
        Err(_) => return render::refusal(ApiError::not_found(Value::Null), &asked),
    }
    parts.extensions.insert(Site { base, asked });
    match inner.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The mount point that `path` begins with (empty where it does not) and the rest.
fn split_prefix<'a>(path: &'a str, prefix: &str) -> (&'a str, &'a str) {
    let prefix = prefix.trim_end_matches('/');
    match path.strip_prefix(prefix) {
        Some(rest) if !prefix.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
            (&path[..prefix.len()], rest)
        }
        _ => ("", path),
    }
}

/// `path` without empty segments and without a slash at its end.
fn normalise_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

fn redirect(target: &str, asked: &Asked) -> Response {
    let error = ApiError::new(StatusCode::FOUND, Value::Null);
    match HeaderValue::from_str(target) {
        Ok(location) => render::refusal(error.with_header(header::LOCATION, location), asked),
        Err(_) => render::refusal(ApiError::not_found(Value::Null), asked),
    }
}

/// Finds the verb, and runs its handler.
async fn dispatch(
    state: Arc<GnocchiState>,
    verbs: Arc<Verbs>,
    params: RawPathParams,
    request: Request,
) -> Response {
    let (mut parts, request_body) = request.into_parts();
    let site = parts.extensions.remove::<Site>();
    let Site { base, asked } = site.unwrap_or_else(|| Site {
        base: BaseUrl::of(&parts, "", false),
        asked: Asked::of(&parts.method, &parts.headers),
    });
    let limits = state.settings.body;
    let admitted = match find_verb(&verbs, &asked) {
        Ok(route) => admit(&state, route, &asked, &parts).await,
        Err(error) => Err(unknown_type(&state, &params).await.unwrap_or(error)),
    };
    let (route, Caller { identity, permit }) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            // A client that waits for leave to send its body has not begun, and learns of the refusal instead.
            if !parts.headers.contains_key(header::EXPECT) {
                body::drain(request_body, limits).await;
            }
            return render::refusal(error, &asked);
        }
    };
    let body = match body::read(&parts.headers, request_body, limits).await {
        Ok(body) => body,
        Err(error) => return render::refusal(error.into(), &asked),
    };
    let call = Call {
        identity,
        permit: permit.clone(),
        accept: asked.accept.clone(),
        headers: parts.headers,
        base,
        path: parts.uri.path().to_owned(),
        params: params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        body,
        state,
    };
    match run(route.handler, call, route.method == Method::GET).await {
        Ok(response) => hold(response, permit),
        Err(error) => render::refusal(error, &asked),
    }
}

/// The route for the verb, or 405.
fn find_verb<'a>(verbs: &'a Verbs, asked: &Asked) -> Result<&'a Route, ApiError> {
    verbs.iter().find(|route| route.method == asked.method).ok_or_else(|| {
        let mut allowed: Vec<_> = verbs.iter().map(|route| route.method.as_str()).collect();
        allowed.sort_unstable();
        let refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "");
        match HeaderValue::from_str(&allowed.join(", ")) {
            Ok(allow) => refused.with_header(header::ALLOW, allow),
            Err(_) => refused,
        }
    })
}

/// 404 where the path names a resource type that is not there: upstream looks types up before it looks at the verb.
async fn unknown_type(state: &GnocchiState, params: &RawPathParams) -> Option<ApiError> {
    let (_, name) = params.iter().find(|(name, _)| *name == "type")?;
    state.service.schema_of(name).await.err().map(ApiError::from)
}

/// Who asks, or why the route is not for it (406, 401) or not now (429). Routes that anybody may use, such as
/// `/healthcheck`, know no limits: who watches a service must not be shut out by others' load.
async fn admit<'a>(
    state: &GnocchiState,
    route: &'a Route,
    asked: &Asked,
    parts: &http::request::Parts,
) -> Result<(&'a Route, Caller), ApiError> {
    if route.produces != Produces::Any && asked.accept.best(route.produces.offers()).is_none() {
        return Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, Value::Null));
    }
    if !route.needs_identity {
        return Ok((route, Caller { identity: Identity::default(), permit: None }));
    }
    Ok((route, state.limits.admit(&*state.authenticator, &parts.headers).await?))
}

/// Ends a task when the client has gone.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a handler on a task of its own: a change is carried through even where the client hangs up, a reading is not;
/// a panic costs one request.
async fn run(handler: Handler, call: Call, reading: bool) -> Result<Response, ApiError> {
    let timeout = call.state.settings.request_timeout;
    let task = tokio::spawn(handler(call));
    let _guard = reading.then(|| AbortOnDrop(task.abort_handle()));
    match tokio::time::timeout(timeout, task).await {
        Ok(Ok(answer)) => answer,
        // What it said is for the panic hook, which knows what may be shown.
        Ok(Err(_)) => Err(ApiError::internal(&"its handler panicked")),
        Err(_) => Err(ApiError::unavailable("The request took too long", 1)),
    }
}
