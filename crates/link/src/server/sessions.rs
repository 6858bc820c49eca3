//! Streams of news, one for each process that listens. What a session has to be told is bounded by what it watches: a
//! series that it has not been told of yet waits once, however often it is written.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use nephometer_drivers::{WriteFeed, WriteObserver, WriteWatch};
use nephometer_model::{Clock, IdSource};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use crate::wire::{Event, News, SERIES_AT_ONCE, Series};

/// Sessions at a time: an evaluator has one.
const MAX_SESSIONS: usize = 256;
/// Who has had nothing to hear for so long is told that this end lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Who takes nothing for so long is gone, or will ask for everything anew.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long written series are gathered after some were told.
const GATHERING: Duration = Duration::from_millis(5);
/// Messages that wait for the connection.
const WAITING_MESSAGES: usize = 4;

/// All sessions.
pub(super) struct Sessions {
    feed: Arc<dyn WriteFeed>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    open: Mutex<HashMap<Uuid, Weak<WriteWatch>>>,
}

impl Sessions {
    pub(super) fn new(feed: Arc<dyn WriteFeed>, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { feed, clock, ids, open: Mutex::default() }
    }

    /// The stream of a new session, which lives as long as somebody takes from it; nothing where there are too many.
    pub(super) fn open(
        sessions: &Arc<Self>,
    ) -> Option<impl Stream<Item = Result<Bytes, Infallible>> + use<>> {
        let watch = Arc::new(WriteWatch::new(Arc::clone(&sessions.clock)));
        let id = sessions.ids.uuid();
        {
            let mut open = sessions.open.lock();
            open.retain(|_, watch| watch.strong_count() > 0);
            if open.len() >= MAX_SESSIONS {
                return None;
            }
            open.insert(id, Arc::downgrade(&watch));
        }
        let observer: Arc<dyn WriteObserver> = Arc::clone(&watch) as _;
        sessions.feed.observe(Arc::downgrade(&observer));
        let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
        tokio::spawn(async move {
            let first = News { event: Some(Event::Session(id.to_string())) };
            let reason = match send(&sender, &first).await {
                Ok(()) => tell(&watch, &sender).await,
                Err(gone) => gone,
            };
            tracing::info!(session = %id, reason = reason.0, "a session of the link is over");
        });
        tracing::info!(session = %id, "a session of the link begins");
        Some(futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
            Some((Ok(receiver.recv().await?), receiver))
        }))
    }

    /// What the session watches, while it lives.
    pub(super) fn watch(&self, id: Uuid) -> Option<Arc<WriteWatch>> {
        self.open.lock().get(&id)?.upgrade()
    }
}

/// Why a session is over.
struct Gone(&'static str);

async fn send(sender: &mpsc::Sender<Bytes>, news: &News) -> Result<(), Gone> {
    let message = Bytes::from(news.encode_length_delimited_to_vec());
    match timeout(PATIENCE, sender.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Gone("the other end has gone")),
        Err(_) => Err(Gone("the other end takes nothing")),
    }
}

/// Tells what is written until nobody listens.
async fn tell(watch: &WriteWatch, sender: &mpsc::Sender<Bytes>) -> Gone {
    loop {
        tokio::select! {
            () = sender.closed() => return Gone("the other end has gone"),
            heard = timeout(HEARTBEAT, watch.heard()) => if heard.is_err() {
                if let Err(gone) = send(sender, &News { event: None }).await {
                    return gone;
                }
                continue;
            }
        }
        let written = watch.drain();
        for some in written.chunks(SERIES_AT_ONCE) {
            let keys = some.iter().map(|(series, _)| series.0).collect();
            let news = News { event: Some(Event::Written(Series { keys })) };
            if let Err(gone) = send(sender, &news).await {
                return gone;
            }
        }
        tokio::time::sleep(GATHERING).await;
    }
}
