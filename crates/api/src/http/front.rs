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
use http::{Method, Uri};
use nephometer_model::Identity;
use tokio::task::AbortHandle;
use tower::ServiceExt as _;
use tower_http::CompressionLevel;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::compression::{CompressionLayer, DefaultPredicate};

use super::address::BaseUrl;
use super::asked::Asked;
use super::body;
use super::call::Call;
use super::cors::Cors;
use super::dialect::{Dialect, Refused};
use super::query::Query;
use super::route::{Handler, Produces, Route};
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
type Verbs<D> = Vec<Route<D>>;

/// All routes of a dialect behind the front.
pub(crate) fn router<D: Dialect>(state: Arc<D>) -> Router {
    let mut by_path: BTreeMap<&'static str, Verbs<D>> = BTreeMap::new();
    for route in D::routes() {
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
                    Err(_) => not_found::<D>(request).await,
                }
            }
        };
        inner = inner.route(path, any(handle));
    }
    let inner = inner.fallback(not_found::<D>);
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESS_ABOVE_BYTES)));
    Router::new()
        .fallback(move |request: Request| front(Arc::clone(&state), inner.clone(), request))
        .layer(compression)
}

/// The answer for paths that lead nowhere, or that are no text.
async fn not_found<D: Dialect>(request: Request) -> Response {
    refuse::<D>(Refused::NotFound, &Asked::of(request.method(), request.headers()))
}

fn refuse<D: Dialect>(refused: Refused, asked: &Asked) -> Response {
    D::render(D::refused(refused), asked)
}

async fn front<D: Dialect>(state: Arc<D>, inner: Router, request: Request) -> Response {
    let cors = &state.gate().settings.cors;
    if request.method() == Method::OPTIONS {
        return cors.preflight(request.headers());
    }
    let origin = cors.allowed_origin(request.headers());
    let mut response = normalised(&*state, inner, request).await;
    if let Some(origin) = origin {
        Cors::permit(response.headers_mut(), &origin);
    }
    response
}

/// Rewrites the path and hands the request on.
async fn normalised<D: Dialect>(state: &D, inner: Router, request: Request) -> Response {
    let settings = state.gate().settings;
    let (mut parts, body) = request.into_parts();
    let asked = Asked::of(&parts.method, &parts.headers);
    let (prefix, path) = split_prefix(parts.uri.path(), &settings.path_prefix);
    let base = BaseUrl::of(&parts, prefix, settings.trust_proxy_headers);
    if let Some(answer) = D::shortcut(path, &base, &asked) {
        return answer;
    }
    let path = normalise_path(path);
    let mut response = match rewritten(&path, parts.uri.query()) {
        Ok(uri) => {
            parts.uri = uri;
            parts.extensions.insert(Site { base, asked });
            match inner.oneshot(Request::from_parts(parts, body)).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
        Err(refused) => refuse::<D>(refused, &asked),
    };
    state.mark(&path, response.headers_mut());
    response
}

/// The address that routes are found by.
fn rewritten(path: &str, query: Option<&str>) -> Result<Uri, Refused> {
    if path.contains("%00") {
        return Err(Refused::NotFound);
    }
    if query.is_some_and(|query| query.contains("%00")) {
        return Err(Refused::NulInQuery);
    }
    let path_and_query = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Uri::try_from(path_and_query).map_err(|_| Refused::NotFound)
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

/// Finds the verb, and runs its handler.
async fn dispatch<D: Dialect>(
    state: Arc<D>,
    verbs: Arc<Verbs<D>>,
    params: RawPathParams,
    request: Request,
) -> Response {
    let (mut parts, request_body) = request.into_parts();
    let site = parts.extensions.remove::<Site>();
    let Site { base, asked } = site.unwrap_or_else(|| Site {
        base: BaseUrl::of(&parts, "", false),
        asked: Asked::of(&parts.method, &parts.headers),
    });
    let limits = state.gate().settings.body;
    let params: Vec<_> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let admitted = match find_verb(&verbs, &asked) {
        Ok(route) => admit(&*state, route, &asked, &parts).await,
        Err(refused) => Err(state.before_wrong_verb(&params).await.unwrap_or_else(|| D::refused(refused))),
    };
    let (route, Caller { identity, permit }) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            // A client that waits for leave to send its body has not begun, and learns of the refusal instead.
            if !parts.headers.contains_key(header::EXPECT) {
                body::drain(request_body, limits).await;
            }
            return D::render(error, &asked);
        }
    };
    let body = match body::read(&parts.headers, request_body, limits).await {
        Ok(body) => body,
        Err(error) => return D::render(error.into(), &asked),
    };
    let call = Call {
        identity,
        permit: permit.clone(),
        accept: asked.accept.clone(),
        headers: parts.headers,
        base,
        path: parts.uri.path().to_owned(),
        params,
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        body,
        state,
    };
    match run(route.handler, call, route.method == Method::GET).await {
        Ok(response) => hold(response, permit),
        Err(error) => D::render(error, &asked),
    }
}

/// The route for the verb, or 405.
fn find_verb<'a, D: Dialect>(verbs: &'a Verbs<D>, asked: &Asked) -> Result<&'a Route<D>, Refused> {
    verbs.iter().find(|route| route.method == asked.method).ok_or_else(|| {
        let mut allowed: Vec<_> = verbs.iter().map(|route| route.method.as_str()).collect();
        allowed.sort_unstable();
        Refused::WrongVerb { allow: HeaderValue::from_str(&allowed.join(", ")).ok() }
    })
}

/// Who asks, or why the route is not for it (406, 401) or not now (429). Routes that anybody may use, such as
/// `/healthcheck`, know no limits: who watches a service must not be shut out by others' load.
async fn admit<'a, D: Dialect>(
    state: &D,
    route: &'a Route<D>,
    asked: &Asked,
    parts: &http::request::Parts,
) -> Result<(&'a Route<D>, Caller), D::Error> {
    if route.produces != Produces::Any && asked.accept.best(route.produces.offers()).is_none() {
        return Err(D::refused(Refused::NotAcceptable));
    }
    if !route.needs_identity {
        return Ok((route, Caller { identity: Identity::default(), permit: None }));
    }
    let gate = state.gate();
    Ok((route, gate.limits.admit(gate.authenticator, &parts.headers).await?))
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
async fn run<D: Dialect>(handler: Handler<D>, call: Call<D>, reading: bool) -> Result<Response, D::Error> {
    let timeout = call.state.gate().settings.request_timeout;
    let task = tokio::spawn(handler(call));
    let _guard = reading.then(|| AbortOnDrop(task.abort_handle()));
    match tokio::time::timeout(timeout, task).await {
        Ok(Ok(answer)) => answer,
        // What it said is for the panic hook, which knows what may be shown.
        Ok(Err(_)) => Err(D::refused(Refused::Panicked)),
        Err(_) => Err(D::refused(Refused::TimedOut)),
    }
}
