//! The daemon as the rest of the crate asks it: connected when it is asked, connected anew when the connection broke.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex as SyncMutex;
use tokio::sync::Mutex;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::connection::Connection;
use super::description::{Common, Description};
use super::protocol::{self, BlockInfo, DomainRef, Request, STATS_NOWAIT};
use super::stats::{DomainStats, read_records};
use super::{LibvirtError, LibvirtUri};

/// Pauses between attempts where the daemon is not there: a restart takes it seconds.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// A domain with what it says of itself at one time.
#[derive(Debug, Clone)]
pub struct DomainRecord {
    /// Its names.
    pub domain: DomainRef,
    /// Its statistics.
    pub stats: DomainStats,
    /// Whether something that its state lets expect is missing, because somebody else was busy with the domain.
    pub partial: bool,
    /// What its XML says, or why there is none: it may be deleted at any time.
    pub description: Result<Arc<Description>, LibvirtError>,
}

/// A libvirt daemon. One question at a time; each has an answer or an error within a few times the limit.
pub struct LibvirtClient {
    uri: LibvirtUri,
    limit: Duration,
    pauses: Vec<Duration>,
    connection: Mutex<Option<Connection>>,
    /// What XML said the last time, by the domain and the XML's hash.
    known: SyncMutex<HashMap<Uuid, (u128, Arc<Description>)>>,
    common: Common,
}

impl LibvirtClient {
    /// A client of the daemon at `uri`. It waits for each message `limit` at most.
    pub fn new(uri: LibvirtUri, limit: Duration) -> Self {
        Self {
            uri,
            limit,
            pauses: PAUSES.to_vec(),
            connection: Mutex::default(),
            known: SyncMutex::default(),
            common: Common::default(),
        }
    }

    /// The same with other pauses between attempts to connect; their number is that of the repetitions.
    #[must_use]
    pub fn with_pauses(mut self, pauses: &[Duration]) -> Self {
        self.pauses = pauses.to_vec();
        self
    }

    /// Connects to the first of the daemons that are there and take connections: that of the driver, else that for all.
    async fn connect(&self) -> Result<Connection, LibvirtError> {
        let sockets = &self.uri.sockets;
        let there: Vec<_> = sockets.iter().filter(|socket| socket.exists()).collect();
        let tried = if there.is_empty() { sockets.iter().collect() } else { there };
        let mut refused = LibvirtError::Protocol("there is no socket to connect to".to_owned());
        for socket in tried {
            match Connection::open(socket, &self.uri.name, self.limit).await {
                Err(error @ LibvirtError::Connect { .. }) => refused = error,
                answer => return answer,
            }
        }
        Err(refused)
    }

    /// All domains with their statistics and XML: one bulk call, and one for the XML of each.
    pub async fn domains(&self) -> Result<Vec<DomainRecord>, LibvirtError> {
        let mut attempt = 0;
        loop {
            match self.domains_once().await {
                Err(error) if error.is_disconnect() && attempt < self.pauses.len() => {
                    tracing::debug!(%error, "asking libvirt again");
                    tokio::time::sleep(self.pauses[attempt]).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn domains_once(&self) -> Result<Vec<DomainRecord>, LibvirtError> {
        let mut slot = self.connection.lock().await;
        // Taken out while it is in use: a call that is given up leaves no half-read connection behind.
        let kept = slot.take();
        let fresh = kept.is_none();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut read = self.read_domains(&mut connection).await;
        // A connection that has been idle may have ended long ago: that is no reason to wait.
        if !fresh && matches!(&read, Err(error) if error.is_disconnect()) {
            connection = self.connect().await?;
            read = self.read_domains(&mut connection).await;
        }
        let good = read.as_ref().err().is_none_or(LibvirtError::leaves_connection);
        if good {
            connection.shrink();
            *slot = Some(connection);
        }
        drop(slot);
        let (mut records, xml_lost) = read?;
        if let Some(error) = xml_lost {
            return Err(error);
        }
        self.complete(&mut records).await;
        Ok(records)
    }

    /// Statistics, then XML. The second part of the result is why XML could not be read to its end.
    async fn read_domains(
        &self,
        connection: &mut Connection,
    ) -> Result<(Vec<DomainRecord>, Option<LibvirtError>), LibvirtError> {
        let stats = bulk_statistics(connection).await?;
        connection.shrink();
        let mut records: Vec<_> = stats
            .into_iter()
            .map(|(domain, stats)| DomainRecord {
                partial: is_partial(&stats),
                domain,
                stats,
                description: Err(LibvirtError::Lost("it ended before its XML was asked for".to_owned())),
            })
            .collect();
        let requests: Vec<_> = records.iter().map(|record| Request::domain_xml(&record.domain)).collect();
        let read = connection
            .call_each(&requests, |at, body| {
                let record = &mut records[at];
                record.description = body.and_then(|body| self.describe(record.domain.uuid, body));
            })
            .await;
        let present: HashSet<_> = records.iter().map(|record| record.domain.uuid).collect();
        self.known.lock().retain(|uuid, _| present.contains(uuid));
        match read {
            Err(error) if error.is_disconnect() => Err(error),
            read => Ok((records, read.err())),
        }
    }

    /// What XML says; XML that is the same as the last time is not read again.
    fn describe(&self, uuid: Uuid, body: &[u8]) -> Result<Arc<Description>, LibvirtError> {
        let xml = protocol::read_text(body)?;
        let hash = xxh3_128(xml.as_bytes());
        if let Some((_, known)) = self.known.lock().get(&uuid).filter(|(of, _)| *of == hash) {
            return Ok(Arc::clone(known));
        }
        let description = Arc::new(self.common.share(Description::read(xml)?));
        self.known.lock().insert(uuid, (hash, Arc::clone(&description)));
        Ok(description)
    }

    /// Domains that were busy are asked again, this time waiting for whoever is busy with them. It is done over a connection
    /// of its own, which ends with it: a domain that hangs costs one time limit and itself.
    async fn complete(&self, records: &mut [DomainRecord]) {
        let busy: Vec<_> = (0..records.len()).filter(|at| records[*at].partial).collect();
        let requests: Vec<_> =
            busy.iter().map(|at| Request::domain_stats(&[&records[*at].domain], 0)).collect();
        let outcome = self
            .aside(&requests, |at, body| {
                let record = &mut records[busy[at]];
                let answer = body.and_then(read_records).ok().and_then(|answer| answer.into_iter().next());
                if let Some((domain, stats)) = answer {
                    (record.domain, record.partial, record.stats) = (domain, is_partial(&stats), stats);
                }
            })
            .await;
        if let Err(error) = outcome {
            tracing::warn!(%error, domains = busy.len(), "domains are busy: their statistics are not whole");
        }
    }

    /// Sizes of the images of block devices, in the order of `devices`. Asked one by one, because the bulk statistics of
    /// running domains have other numbers by the same names; over a connection of its own, as [`Self::complete`].
    pub async fn block_infos(
        &self,
        devices: &[(DomainRef, Box<str>)],
    ) -> Vec<Result<BlockInfo, LibvirtError>> {
        let requests: Vec<_> =
            devices.iter().map(|(domain, device)| Request::block_info(domain, device)).collect();
        let mut answers: Vec<_> = devices.iter().map(|_| None).collect();
        let outcome = self
            .aside(&requests, |at, body| answers[at] = Some(body.and_then(protocol::read_block_info)))
            .await;
        let unanswered = outcome.err().unwrap_or_else(|| LibvirtError::Lost("no answer".to_owned()));
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered.clone()))).collect()
    }

    async fn aside(
        &self,
        requests: &[Request],
        take: impl FnMut(usize, Result<&[u8], LibvirtError>),
    ) -> Result<(), LibvirtError> {
        if requests.is_empty() {
            return Ok(());
        }
        self.connect().await?.call_each(requests, take).await
    }
}

/// Statistics of all domains in one call. A daemon too old for the flag is asked without it; where one domain spoils the
/// call for all, each is asked by itself.
async fn bulk_statistics(connection: &mut Connection) -> Result<Vec<(DomainRef, DomainStats)>, LibvirtError> {
    let mut flags = STATS_NOWAIT;
    let mut answer = connection.call(&Request::domain_stats(&[], flags)).await.and_then(read_records);
    if matches!(&answer, Err(error) if error.is_invalid_argument()) {
        flags = 0;
        answer = connection.call(&Request::domain_stats(&[], flags)).await.and_then(read_records);
    }
    match answer {
        Err(error) if error.leaves_connection() && !error.is_unsupported() => {
            tracing::warn!(%error, "no statistics of all domains at once: each is asked");
        }
        answer => return answer,
    }
    let domains = protocol::read_domains(connection.call(&Request::list_domains()).await?)?;
    let requests: Vec<_> = domains.iter().map(|domain| Request::domain_stats(&[domain], flags)).collect();
    let mut records = Vec::new();
    connection
        .call_each(&requests, |at, body| match body.and_then(read_records) {
            Ok(answer) => records.extend(answer),
            Err(error) => tracing::debug!(domain = domains[at].name, %error, "a domain without statistics"),
        })
        .await?;
    Ok(records)
}

/// Whether a domain that runs has not said how much memory its process takes: QEMU's driver always does where it may look.
fn is_partial(stats: &DomainStats) -> bool {
    const RUNNING_TO_SHUTDOWN: std::ops::RangeInclusive<i64> = 1..=4;
    let runs = stats.state.is_some_and(|state| RUNNING_TO_SHUTDOWN.contains(&state));
    // Other drivers know no vCPUs either.
    runs && stats.balloon.rss.is_none() && stats.vcpu_current.is_some()
}
