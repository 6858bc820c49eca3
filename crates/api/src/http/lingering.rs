//! Closing without cutting off a client that is still sending: a socket that is closed while bytes lie in it unread is
//! reset by the system, and the client loses the answer that explains why it was closed. So the socket's own side is
//! closed first, and what still comes is read and forgotten, within bounds.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A client that has sent nothing for so long has noticed, or never will.
const MAX_SILENCE: Duration = Duration::from_secs(1);
/// Longest time for all of it.
pub(super) const MAX_TIME: Duration = Duration::from_secs(10);
/// Most bytes that are read and forgotten.
pub(super) const MAX_BYTES: usize = 256 << 20;
/// Bytes read at a time.
const PIECE_BYTES: usize = 32 * 1024;

/// Whether a client may be in the middle of sending something that nobody will read. Shared by a connection and the
/// requests on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    unread: AtomicBool,
    /// Many requests share the connection (HTTP/2): their ends are told apart by frames, and none has to close it.
    multiplexed: AtomicBool,
}

impl Unread {
    /// Something has come.
    fn begun(&self) {
        self.0.unread.store(true, Ordering::Relaxed);
    }

    /// The request that came has been read to its end.
    pub(super) fn ended(&self) {
        self.0.unread.store(false, Ordering::Relaxed);
    }

    /// The connection carries many requests at once.
    pub(super) fn multiplexed(&self) {
        self.0.multiplexed.store(true, Ordering::Relaxed);
    }

    fn is_likely(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed) && !self.0.multiplexed.load(Ordering::Relaxed)
    }
}

/// A socket that lingers when it is shut down while something is unread.
#[derive(Debug)]
pub struct Lingering<S> {
    socket: S,
    unread: Unread,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    Draining(Box<Drain>),
    Closed,
}

#[derive(Debug)]
struct Drain {
    silence: Pin<Box<Sleep>>,
    end: Instant,
    left_bytes: usize,
    piece: [u8; PIECE_BYTES],
}

impl<S> Lingering<S> {
    /// `socket`, about which `unread` tells.
    pub(super) fn new(socket: S, unread: Unread) -> Self {
        Self { socket, unread, state: State::Open }
    }

    /// The socket.
    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket is known to hold bytes that nobody will read.
    pub(super) fn leave_unread(&self) {
        self.unread.begun();
    }
}

impl Drain {
    fn begin() -> Self {
        let silence = Box::pin(tokio::time::sleep(MAX_SILENCE));
        Self { silence, end: Instant::now() + MAX_TIME, left_bytes: MAX_BYTES, piece: [0; PIECE_BYTES] }
    }

    /// Ready when the other side has ended, or a bound is reached.
    fn poll(&mut self, mut socket: Pin<&mut impl AsyncRead>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut piece = ReadBuf::new(&mut self.piece);
            let Poll::Ready(read) = socket.as_mut().poll_read(cx, &mut piece) else { break };
            let bytes = piece.filled().len();
            if read.is_err() || bytes == 0 || bytes >= self.left_bytes || Instant::now() >= self.end {
                return Poll::Ready(());
            }
            self.left_bytes -= bytes;
            self.silence.as_mut().reset((Instant::now() + MAX_SILENCE).min(self.end));
        }
        self.silence.as_mut().poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.unread.begun();
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Open => {
                    ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
                    this.state = match this.unread.is_likely() {
                        true => State::Draining(Box::new(Drain::begin())),
                        false => State::Closed,
                    };
                }
                State::Draining(drain) => {
                    ready!(drain.poll(Pin::new(&mut this.socket), cx));
                    this.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_still_comes_is_read_until_the_other_side_ends_or_is_silent() {
        for (ends, expected_seconds) in [(true, 0), (false, 1)] {
            let (mut client, server) = duplex(64);
            let mut server = Lingering::new(server, Unread::default());
            client.write_all(b"head").await.unwrap();
            server.read_exact(&mut [0; 4]).await.unwrap();
            let sending = tokio::spawn(async move {
                client.write_all(&[0; 100_000]).await.unwrap();
                let mut answer = String::new();
                match ends {
                    true => client.shutdown().await.unwrap(),
                    false => drop(client.read_to_string(&mut answer).await.unwrap()),
                }
                client
            });
            let begin = Instant::now();
            server.shutdown().await.unwrap();
            assert_eq!(begin.elapsed().as_secs(), expected_seconds);
            drop(sending.await.unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_drips_is_left_in_the_end() {
        let (mut client, server) = duplex(64);
        let mut server = Lingering::new(server, Unread::default());
        client.write_all(b"head").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(MAX_SILENCE / 2).await;
            }
        });
        let begin = Instant::now();
        server.shutdown().await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), MAX_TIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_where_all_was_read() {
        let (mut client, server) = duplex(64);
        let unread = Unread::default();
        let mut server = Lingering::new(server, unread.clone());
        client.write_all(b"head").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        unread.ended();
        let begin = Instant::now();
        server.shutdown().await.unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
