//! What a connection tells its requests, and what their bodies tell it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use axum::{BoxError, Router};
use bytes::Bytes;
use http::{Request, Version};
use tower::Service;

use crate::http::address::Transport;
use crate::http::lingering::Unread;

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
        if request.version() == Version::HTTP_2 {
            self.unread.multiplexed();
        }
        request.extensions_mut().insert(self.transport);
        if request.body().is_end_stream() {
            self.unread.ended();
            return self.router.call(request.map(Body::new));
        }
        let unread = self.unread.clone();
        self.router.call(request.map(|inner| Body::new(Watched { inner, unread })))
    }
}

/// A body that tells when it has been read to its end.
struct Watched<B> {
    inner: B,
    unread: Unread,
}

impl<B: HttpBody + Unpin> HttpBody for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() || self.inner.is_end_stream() {
            self.unread.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
