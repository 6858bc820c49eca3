//! Division of work among the agents of a namespace, without a coordinator: what is polled falls into shares by a stable
//! hash of its identity, and each share is held by one agent at a time, by a lease. An agent that dies is followed by
//! others within [`LEASE`] and a renewal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::LeaseStore;
use nephometer_model::Clock;
use parking_lot::Mutex;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Into how many shares a namespace's work falls: enough for some hundred agents. Agents agree upon it, so it stays.
const SHARES: u16 = 256;
/// How long a share is held by an agent that says nothing.
pub const LEASE: Duration = Duration::from_secs(6);
/// How often agents say that they live.
const RENEWAL: Duration = Duration::from_secs(2);

/// What falls to this agent.
pub struct Division {
    store: Option<Arc<dyn LeaseStore>>,
    clock: Arc<dyn Clock>,
    member: Uuid,
    prefix: String,
    groups: Mutex<HashMap<Arc<str>, Held>>,
}

/// The shares of one namespace that this agent holds.
#[derive(Debug, Default)]
struct Held {
    shares: HashSet<u16>,
    until_ns: u64,
    is_failing: bool,
}

impl Division {
    /// All falls to this agent: it has no others to agree with.
    pub fn alone(clock: Arc<dyn Clock>) -> Self {
        Self { store: None, clock, member: Uuid::nil(), prefix: String::new(), groups: Mutex::default() }
    }

    /// Shared with all other agents of the same namespace whose `prefix` (upstream's `partitioning_group_prefix`) is the
    /// same, by leases in `store`. `member` names this agent.
    pub fn among(store: Arc<dyn LeaseStore>, clock: Arc<dyn Clock>, member: Uuid, prefix: &str) -> Self {
        Self { store: Some(store), clock, member, prefix: prefix.to_owned(), groups: Mutex::default() }
    }

    /// Whether what is called `id` falls to this agent now. Nothing does where the store has not answered for too long:
    /// others have it then.
    pub fn holds(&self, namespace: &str, id: &str) -> bool {
        if self.store.is_none() {
            return true;
        }
        let share = u16::try_from(xxh3_64(id.as_bytes()) % u64::from(SHARES)).unwrap_or_default();
        let groups = self.groups.lock();
        let held = groups.get(namespace);
        held.is_some_and(|held| held.until_ns > self.clock.monotonic_ns() && held.shares.contains(&share))
    }

    /// How many shares this agent holds in each namespace, of how many.
    pub fn shares(&self) -> Vec<(Arc<str>, u16, u16)> {
        let now_ns = self.clock.monotonic_ns();
        let groups = self.groups.lock();
        let count = |held: &Held| if held.until_ns > now_ns { held.shares.len() } else { 0 };
        let shares = groups.iter().map(|(namespace, held)| {
            (Arc::clone(namespace), u16::try_from(count(held)).unwrap_or(SHARES), SHARES)
        });
        let mut shares: Vec<_> = shares.collect();
        shares.sort();
        shares
    }

    /// Takes part in the division of these namespaces' work, and in no other's.
    pub fn join(&self, namespaces: &HashSet<Arc<str>>) {
        let mut groups = self.groups.lock();
        groups.retain(|namespace, _| namespaces.contains(namespace));
        for namespace in namespaces {
            groups.entry(Arc::clone(namespace)).or_default();
        }
    }

    /// Says once that this agent lives, and learns what it holds.
    pub async fn renew(&self) {
        let Some(store) = &self.store else { return };
        for namespace in self.joined() {
            let begin_ns = self.clock.monotonic_ns();
            let renewed = store.renew(&self.group(&namespace), self.member, SHARES, LEASE).await;
            let mut groups = self.groups.lock();
            let Some(held) = groups.get_mut(&namespace) else { continue };
            match renewed {
                Ok(leases) => {
                    held.shares = leases.iter().map(|lease| lease.share).collect();
                    held.until_ns =
                        begin_ns.saturating_add(u64::try_from(LEASE.as_nanos()).unwrap_or(u64::MAX));
                    held.is_failing = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut held.is_failing, true) {
                        tracing::warn!(%error, %namespace, "the division of work cannot be agreed upon; polls stop until it can");
                    }
                }
            }
        }
    }

    /// Renews for ever.
    pub async fn keep(&self) {
        if self.store.is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(RENEWAL).await;
            self.renew().await;
        }
    }

    /// Gives all shares back: this agent stops.
    pub async fn leave(&self) {
        let Some(store) = &self.store else { return };
        for namespace in self.joined() {
            if let Err(error) = store.leave(&self.group(&namespace), self.member).await {
                tracing::warn!(%error, %namespace, "shares of the work are not given back; their leases end by themselves");
            }
        }
        self.groups.lock().clear();
    }

    fn joined(&self) -> Vec<Arc<str>> {
        self.groups.lock().keys().cloned().collect()
    }

    fn group(&self, namespace: &str) -> String {
        match self.prefix.as_str() {
            "" => format!("polling {namespace}"),
            prefix => format!("polling {namespace}-{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use nephometer_drivers::{IndexError, Lease};
    use nephometer_model::{ManualClock, Timestamp};

    use super::*;

    /// Shares by member; who has none gets what is free.
    #[derive(Default)]
    struct Leases(Mutex<(BTreeMap<u16, Uuid>, bool)>);

    #[async_trait]
    impl LeaseStore for Leases {
        async fn renew(
            &self,
            group: &str,
            member: Uuid,
            shares: u16,
            _: Duration,
        ) -> Result<Vec<Lease>, IndexError> {
            assert_eq!(group, "polling central-p");
            let mut state = self.0.lock();
            if state.1 {
                return Err(IndexError::NoSuchMetric("away".to_owned()));
            }
            for share in (0..shares).filter(|share| share % 2 == u16::from(member.as_u128() > 1)) {
                state.0.insert(share, member);
            }
            let held = state.0.iter().filter(|(_, holder)| **holder == member);
            Ok(held.map(|(share, _)| Lease { share: *share, epoch: 1 }).collect())
        }

        async fn leave(&self, _: &str, member: Uuid) -> Result<(), IndexError> {
            self.0.lock().0.retain(|_, holder| *holder != member);
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_identity_falls_to_one_agent() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1)));
        let store = Arc::new(Leases::default());
        let agent =
            |n| Division::among(Arc::clone(&store) as _, Arc::clone(&clock) as _, Uuid::from_u128(n), "p");
        let (a, b) = (agent(1), agent(2));
        assert!(!a.holds("central", "x"));
        for agent in [&a, &b] {
            agent.join(&HashSet::from(["central".into()]));
            agent.renew().await;
        }
        for n in 0..1000 {
            let id = format!("resource-{n}");
            assert!(a.holds("central", &id) != b.holds("central", &id), "{id}");
        }
        assert_eq!(a.shares(), [("central".into(), 128, 256)]);
        // Who hears nothing holds nothing when others may have it.
        store.0.lock().1 = true;
        clock.advance_ns(5_999_999_999);
        a.renew().await;
        assert_eq!(a.shares()[0].1, 128);
        clock.advance_ns(1);
        assert_eq!(a.shares()[0].1, 0);
        b.leave().await;
        assert!(store.0.lock().0.values().all(|holder| holder.as_u128() == 1));
        assert!(Division::alone(clock).holds("compute", "x"));
    }
}
