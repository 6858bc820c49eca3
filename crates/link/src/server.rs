//! The end that holds the measures: routes for readings, and streams of news.

mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{StatusCode, header};
use nephometer_drivers::{MetricRead, MetricReader, WriteFeed};
use nephometer_model::{Clock, IdSource, Secret};
use prost::Message;
use ring::digest::{SHA256, digest};

use crate::wire::{self, Answers, Checked, Methods, Read, Reads, SeriesLists, Watch, WireError};
use sessions::Sessions;

/// What the routes stand on.
pub struct LinkParts {
    /// The measures.
    pub reader: Arc<dyn MetricReader>,
    /// Where writes are heard of.
    pub feed: Arc<dyn WriteFeed>,
    /// What whoever asks must know.
    pub token: Secret,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names sessions.
    pub ids: Arc<dyn IdSource>,
}

struct Served {
    reader: Arc<dyn MetricReader>,
    token: Secret,
    sessions: Arc<Sessions>,
}

/// The routes. Whoever does not know the token is refused, an empty token is known by nobody.
pub fn router(parts: LinkParts) -> Router {
    let LinkParts { reader, feed, token, clock, ids } = parts;
    let sessions = Arc::new(Sessions::new(feed, clock, ids));
    let served = Arc::new(Served { reader, token, sessions });
    Router::new()
        .route(wire::READ, post(read))
        .route(wire::CHECK, post(check))
        .route(wire::METHODS, get(methods))
        .route(wire::SERIES, post(series))
        .route(wire::NEWS, get(news))
        .route(&format!("{}/{{session}}", wire::NEWS), post(watch))
        .layer(DefaultBodyLimit::max(wire::MAX_MESSAGE_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&served), let_in))
        .with_state(served)
}

/// Lets through who knows the token. Digests are compared, so that the time it takes tells nothing of the token.
async fn let_in(State(served): State<Arc<Served>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let is_known = digest(&SHA256, shown.as_bytes()).as_ref()
        == digest(&SHA256, served.token.expose().as_bytes()).as_ref();
    if served.token.is_empty() || !is_known {
        return (StatusCode::UNAUTHORIZED, "the token of the link is not known here").into_response();
    }
    next.run(request).await
}

/// What could not be answered.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

fn decode<M: Message + Default>(body: Bytes) -> Result<M, WireError> {
    Ok(M::decode(body)?)
}

async fn read(State(served): State<Arc<Served>>, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let reads: Vec<MetricRead> = decode::<Reads>(body)?.try_into()?;
    Ok(Answers::from(served.reader.read(reads).await).encode_to_vec())
}

async fn check(State(served): State<Arc<Served>>, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let read: MetricRead = decode::<Read>(body)?.try_into()?;
    Ok(Checked::from(served.reader.check(&read).await).encode_to_vec())
}

async fn methods(State(served): State<Arc<Served>>) -> Vec<u8> {
    Methods::from(served.reader.aggregation_methods().await).encode_to_vec()
}

async fn series(State(served): State<Arc<Served>>, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let reads: Vec<MetricRead> = decode::<Reads>(body)?.try_into()?;
    Ok(SeriesLists::from(served.reader.series(&reads).await).encode_to_vec())
}

async fn news(State(served): State<Arc<Served>>) -> Result<Body, Refusal> {
    let stream = Sessions::open(&served.sessions)
        .ok_or_else(|| Refusal(StatusCode::SERVICE_UNAVAILABLE, "too many listen already".to_owned()))?;
    Ok(Body::from_stream(stream))
}

async fn watch(
    State(served): State<Arc<Served>>,
    Path(session): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let Watch { begun, ended } = decode(body)?;
    let known = session.parse().ok().and_then(|session| served.sessions.watch(session));
    let watch = known.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, "the session is over".to_owned()))?;
    wire::keys(begun).into_iter().for_each(|series| watch.watch(series));
    wire::keys(ended).into_iter().for_each(|series| watch.forget(series));
    Ok(StatusCode::NO_CONTENT)
}
