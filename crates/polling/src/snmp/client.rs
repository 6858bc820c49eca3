//! Asking one agent: values and tables, each once a cycle.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex as SyncMutex;
use snmp2::{AsyncSession, Error, Oid, Value};
use tokio::sync::Mutex;

use super::SnmpAddress;

/// How long one answer may take, and how often a question is put.
const PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 3;
/// Values that are asked for at once when a table is read.
const REPETITIONS: u32 = 50;
/// Tables with more values than that are cut off.
const MAX_VALUES: usize = 20_000;

/// What an agent tells under one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// A number.
    Number(i64),
    /// A number beyond 63 bits.
    Large(u64),
    /// Text, or bytes.
    Bytes(Vec<u8>),
}

/// The parts of a name.
pub(super) type Name = Vec<u64>;

/// A session with one agent.
pub(super) struct Client {
    session: Mutex<AsyncSession>,
    address: SnmpAddress,
    /// An agent that did not answer once is not waited for again in this cycle.
    is_silent: SyncMutex<Option<String>>,
}

impl Client {
    /// A session; with version 3 the agent is asked who it is.
    pub(super) async fn open(address: SnmpAddress) -> Result<Self, String> {
        let target = (address.host(), address.port());
        let failed = |error: std::io::Error| format!("{address}: {error}");
        let session = match (address.community(), address.security()) {
            (Some(community), _) => AsyncSession::new_v2c(target, community.expose().as_bytes(), 1).await,
            (None, Some(security)) => AsyncSession::new_v3(target, 1, security).await,
            (None, None) => Err(std::io::Error::other("neither a community nor a user")),
        };
        let mut session = Box::new(session.map_err(failed)?);
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            outcome = match tokio::time::timeout(PATIENCE, session.init()).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map_err(|reason| format!("{address}: {reason}"))?;
        Ok(Self { session: Mutex::new(*session), address, is_silent: SyncMutex::default() })
    }

    /// The value called `name`, where there is one.
    pub(super) async fn get(&self, name: &[u64]) -> Result<Option<Told>, String> {
        let values = self.ask(name, None).await?;
        Ok(values.into_iter().find(|(found, _)| found == name).map(|(_, value)| value))
    }

    /// All values below `prefix` with what follows it in their names.
    pub(super) async fn table(&self, prefix: &[u64]) -> Result<Vec<(Name, Told)>, String> {
        let (mut values, mut after) = (Vec::new(), prefix.to_vec());
        loop {
            let page = self.ask(&after, Some(REPETITIONS)).await?;
            let count = page.len();
            for (name, value) in page {
                let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) else {
                    return Ok(values);
                };
                values.push((rest.to_vec(), value));
                // An agent that goes back would never end.
                if name <= after {
                    return Ok(values);
                }
                after = name;
            }
            if count < REPETITIONS as usize || values.len() >= MAX_VALUES {
                return Ok(values);
            }
        }
    }

    /// The answer to a question for one value, or for those that follow it.
    async fn ask(&self, name: &[u64], following: Option<u32>) -> Result<Vec<(Name, Told)>, String> {
        if let Some(reason) = &*self.is_silent.lock() {
            return Err(reason.clone());
        }
        let oid = Oid::from(name).map_err(|_| format!("{}: no name of a value", dotted(name)))?;
        let mut session = self.session.lock().await;
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            match tokio::time::timeout(PATIENCE, put(&mut session, &oid, following)).await {
                Ok(Ok(values)) => return Ok(values),
                // An answer to an earlier question came late, or the agent's clock has moved: the next attempt finds ours.
                Ok(Err(error @ (Error::RequestIdMismatch | Error::AuthUpdated))) => {
                    reason = error.to_string()
                }
                Ok(Err(error)) => return Err(format!("{} {}: {error}", self.address, dotted(name))),
                Err(_) => reason = format!("no answer within {} s", PATIENCE.as_secs()),
            }
        }
        let reason = format!("{}: {reason}", self.address);
        *self.is_silent.lock() = Some(reason.clone());
        Err(reason)
    }
}

async fn put(
    session: &mut AsyncSession,
    oid: &Oid<'_>,
    following: Option<u32>,
) -> Result<Vec<(Name, Told)>, Error> {
    let answer = match following {
        None => session.get(oid).await?,
        Some(count) => session.getbulk(&[oid], 0, count).await?,
    };
    let values = answer.varbinds.filter_map(|(name, value)| {
        let name: Name = name.iter()?.collect();
        Some((name, told(&value)?))
    });
    Ok(values.collect())
}

/// What a value tells; nothing where there is none.
fn told(value: &Value<'_>) -> Option<Told> {
    match value {
        Value::Integer(number) => Some(Told::Number(*number)),
        Value::Counter32(number) | Value::Unsigned32(number) | Value::Timeticks(number) => {
            Some(Told::Number(i64::from(*number)))
        }
        Value::Counter64(number) => Some(i64::try_from(*number).map_or(Told::Large(*number), Told::Number)),
        Value::OctetString(bytes) | Value::Opaque(bytes) => Some(Told::Bytes(bytes.to_vec())),
        Value::IpAddress(bytes) => Some(Told::Bytes(bytes.to_vec())),
        _ => None,
    }
}

/// A name as people write it.
pub(super) fn dotted(name: &[u64]) -> String {
    name.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// A session that is shared by the meters of a cycle.
pub(super) type Shared = Result<Arc<Client>, String>;
