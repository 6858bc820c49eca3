//! What a connection tells its requests, and what their bodies tell it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use axum::{BoxError, Router};
use bytes::Bytes;
use http::{Request, Version};
use tokio::runtime::Handle;
use tower::Service;

use crate::http::address::Transport;
use crate::http::body::{BodyLimits, drain};
use crate::http::lingering::{MAX_BYTES, MAX_TIME, Unread};

/// The router as one connection sees it.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) transport: Transport,
    pub(super) unread: Unread,
}

impl<B> Service<Request<B>> for Requests
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.router, cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shares_connection = request.version() == Version::HTTP_2;
        if shares_connection {
            self.unread.multiplexed();
        }
        request.extensions_mut().insert(self.transport);
        if request.body().is_end_stream() {
            self.unread.ended();
            return self.router.call(request.map(Body::new));
        }
        let unread = self.unread.clone();
        let watch = |inner| Watched { inner: Some(inner), unread, shares_connection };
        self.router.call(request.map(|inner| Body::new(watch(inner))))
    }
}

/// A body that tells when it has been read to its end. One that nobody reads to its end is read and forgotten within
/// bounds where other requests share the connection: it would be reset, and some clients which are still sending then
/// lose the answer.
struct Watched<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Always there until it is dropped.
    inner: Option<B>,
    unread: Unread,
    shares_connection: bool,
}

impl<B> HttpBody for Watched<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if frame.is_none() || self.is_end_stream() {
            self.unread.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.as_ref().map_or_else(http_body::SizeHint::default, HttpBody::size_hint)
    }
}

impl<B> Drop for Watched<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn drop(&mut self) {
        if !self.shares_connection || self.is_end_stream() {
            return;
        }
        if let (Some(inner), Ok(runtime)) = (self.inner.take(), Handle::try_current()) {
            let bounds = BodyLimits { max_bytes: MAX_BYTES, timeout: MAX_TIME };
            runtime.spawn(drain(Body::new(inner), bounds));
        }
    }
}
