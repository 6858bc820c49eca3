//! The accounts of one kind of identity, by name. Their number is bounded: those with nothing under way and a full bucket
//! are forgotten when room is needed, which changes nothing for them; beyond that newcomers share one account.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use nephometer_model::Clock;
use parking_lot::Mutex;

use super::account::Account;
use super::{Allowance, Party};

/// Most identities that are remembered, at about 250 bytes each.
pub(super) const MAX_ACCOUNTS: usize = 16_384;
/// Parts of a table that are locked on their own.
const SHARDS: usize = 16;
/// Most bytes of a name that count: names that are longer and begin alike share an account.
pub(super) const MAX_NAME_BYTES: usize = 128;
/// A shard without room is not searched for idle accounts more often than this.
const SWEEP_INTERVAL_NS: u64 = 50_000_000;

type Accounts = HashMap<Arc<str>, Arc<Account>, RandomState>;

#[derive(Default)]
struct Shard {
    accounts: Accounts,
    next_sweep_ns: u64,
}

/// Accounts by name.
pub(super) struct Table {
    usual: Allowance,
    /// Those that the operator has named; nothing where they have no limits.
    named: HashMap<Arc<str>, Option<Arc<Account>>, RandomState>,
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    others: Arc<Account>,
    party: fn(Arc<str>) -> Party,
}

impl Table {
    /// An empty one of the kind `party`.
    pub(super) fn new(
        usual: Allowance,
        named: HashMap<String, Allowance>,
        party: fn(Arc<str>) -> Party,
    ) -> Self {
        let named = named.into_iter().map(|(name, allowance)| {
            let name: Arc<str> = name.into();
            (Arc::clone(&name), Account::limited(party(name), allowance))
        });
        Self {
            usual,
            named: named.collect(),
            shards: Default::default(),
            hasher: RandomState::default(),
            others: Arc::new(Account::new(Party::Others, usual)),
            party,
        }
    }

    /// The account of `name`; nothing where it has no limits.
    pub(super) fn account(&self, name: &str, clock: &dyn Clock) -> Option<Arc<Account>> {
        if let Some(account) = self.named.get(name) {
            return account.clone();
        }
        if self.usual.is_unlimited() {
            return None;
        }
        let name = bounded(name);
        // The upper bits choose the shard: the maps use the others.
        let place = (self.hasher.hash_one(name) >> 48) as usize % SHARDS;
        let mut shard = self.shards[place].lock();
        if let Some(account) = shard.accounts.get(name) {
            return Some(Arc::clone(account));
        }
        if !shard.make_room(clock) {
            return Some(Arc::clone(&self.others));
        }
        let name: Arc<str> = name.into();
        let account = Arc::new(Account::new((self.party)(Arc::clone(&name)), self.usual));
        shard.accounts.insert(name, Arc::clone(&account));
        Some(account)
    }

    /// How many accounts are remembered.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().accounts.len()).sum()
    }
}

/// The part of a name that counts.
fn bounded(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

impl Shard {
    /// Whether there is room for one more, after idle ones are forgotten where need be.
    fn make_room(&mut self, clock: &dyn Clock) -> bool {
        const MAX: usize = MAX_ACCOUNTS / SHARDS;
        if self.accounts.len() >= MAX {
            let now_ns = clock.monotonic_ns();
            if now_ns >= self.next_sweep_ns {
                // Whoever uses an account holds it; nobody new can come by it while the shard is locked.
                let is_idle =
                    |account: &Arc<Account>| Arc::strong_count(account) == 1 && account.is_full(now_ns);
                self.accounts.retain(|_, account| !is_idle(account));
                self.next_sweep_ns = now_ns.saturating_add(SWEEP_INTERVAL_NS);
            }
        }
        self.accounts.len() < MAX
    }
}
