//! Hearing of writes: what is watched here is watched there, too, and what is written there is heard of here. While the
//! other end cannot be reached nothing is heard, and alarms are decided by time; once it can, everything that is watched
//! counts as written, so that nothing is missed.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use nephometer_drivers::{WatchChanges, WriteWatch};
use nephometer_model::with_causes;
use prost::Message;
use reqwest::Response;
use tokio::time::timeout;

use super::{Link, LinkError, accepted};
use crate::wire::{self, Event, MAX_MESSAGE_BYTES, News, SERIES_AT_ONCE, Watch, WireError};

/// First pause before the other end is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The other end says something within a third of this.
const SILENCE: Duration = Duration::from_secs(15);

/// How the link is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whether writes are heard of now.
    pub is_connected: bool,
    /// How often a connection has come about.
    pub connections: u64,
    /// Series that were heard of as written.
    pub heard: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    is_connected: AtomicBool,
    connections: AtomicU64,
    heard: AtomicU64,
}

/// A length and a message of so many bytes, one after the other.
struct Incoming {
    response: Response,
    buffer: BytesMut,
}

impl Incoming {
    async fn next(&mut self) -> Result<News, LinkError> {
        loop {
            if let Some(news) = self.taken()? {
                return Ok(news);
            }
            let chunk =
                timeout(SILENCE, self.response.chunk()).await.map_err(|_| LinkError::Silent(SILENCE))?;
            let chunk = chunk.map_err(reqwest::Error::without_url)?.ok_or(LinkError::Ended)?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// The message at the head of the buffer, if all of it is there.
    fn taken(&mut self) -> Result<Option<News>, WireError> {
        let mut peeked = &self.buffer[..];
        // A length that has begun is no mistake: at most ten bytes.
        let length = match prost::decode_length_delimiter(&mut peeked) {
            Ok(length) if length > MAX_MESSAGE_BYTES => {
                return Err(WireError::Meaningless(format!("a message of {length} bytes")));
            }
            Ok(length) => length,
            Err(_) if self.buffer.len() < 10 => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if peeked.len() < length {
            return Ok(None);
        }
        let head = self.buffer.len() - peeked.len();
        self.buffer.advance(head);
        Ok(Some(News::decode(self.buffer.split_to(length))?))
    }
}

impl Link {
    /// Has `watch` hear of writes, for as long as this is awaited. One at a time.
    pub async fn follow(&self, watch: &Arc<WriteWatch>) {
        let mut pause = FIRST_PAUSE;
        let mut was_cut_off = false;
        loop {
            let before = self.status().connections;
            let Err(error) = self.hear(watch).await;
            self.status.is_connected.store(false, Ordering::Relaxed);
            watch.follow_no_longer();
            if self.status().connections > before {
                (pause, was_cut_off) = (FIRST_PAUSE, false);
            }
            if !was_cut_off {
                tracing::warn!(
                    error = with_causes(&error),
                    "writes of measures are not heard of: alarms are decided by time until they are"
                );
                was_cut_off = true;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// How it is.
    pub fn status(&self) -> LinkStatus {
        let Counters { is_connected, connections, heard } = &self.status;
        LinkStatus {
            is_connected: is_connected.load(Ordering::Relaxed),
            connections: connections.load(Ordering::Relaxed),
            heard: heard.load(Ordering::Relaxed),
        }
    }

    /// Listens until that goes wrong.
    async fn hear(&self, watch: &WriteWatch) -> Result<Infallible, LinkError> {
        let response = accepted(self.with_token(self.client.get(self.url(wire::NEWS)))).await?;
        let mut incoming = Incoming { response, buffer: BytesMut::new() };
        let Some(Event::Session(session)) = incoming.next().await?.event else {
            return Err(WireError::Meaningless("the stream does not begin with a session".to_owned()).into());
        };
        watch.follow();
        self.status.connections.fetch_add(1, Ordering::Relaxed);
        self.status.is_connected.store(true, Ordering::Relaxed);
        tracing::info!("writes of measures are heard of");
        let path = format!("{}/{session}", wire::NEWS);
        let both = tokio::try_join!(self.take(watch, &mut incoming), self.say(watch, &path));
        both.map(|(never, _)| never)
    }

    /// Takes what is told.
    async fn take(&self, watch: &WriteWatch, incoming: &mut Incoming) -> Result<Infallible, LinkError> {
        loop {
            let Some(Event::Written(series)) = incoming.next().await?.event else { continue };
            self.status.heard.fetch_add(series.keys.len() as u64, Ordering::Relaxed);
            watch.hear(&wire::keys(series.keys));
        }
    }

    /// Says what is watched. What has been written before the other end knew it counts as written afterwards.
    async fn say(&self, watch: &WriteWatch, path: &str) -> Result<Infallible, LinkError> {
        loop {
            let WatchChanges { begun, ended } = watch.changes().await;
            for ended in ended.chunks(SERIES_AT_ONCE) {
                self.post(path, &Watch { begun: Vec::new(), ended: wire::numbers(ended) }).await?;
            }
            for begun in begun.chunks(SERIES_AT_ONCE) {
                self.post(path, &Watch { begun: wire::numbers(begun), ended: Vec::new() }).await?;
                watch.hear(begun);
            }
        }
    }
}
