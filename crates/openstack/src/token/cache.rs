//! What is remembered of tokens: for how long, and how much of it.

use std::sync::Arc;

use nephometer_model::Clock;
use quick_cache::sync::Cache;
use ring::{digest, hmac, rand};

use super::vouched::Vouched;

/// Most valid tokens that are remembered, at about a kilobyte each.
const MAX_VALID: usize = 16_384;
/// Most refusals that are remembered. They have a place of their own, so that a flood of bad tokens displaces no good one.
const MAX_REFUSED: usize = 16_384;
/// Longest time that a refusal is remembered, in nanoseconds: a replica of Keystone may learn of a new key later than others.
const REFUSED_NS: u64 = 10 * 1_000_000_000;

/// A token in tables: its hash under the process's key, and whether it was asked about as one that may have ended.
pub(super) type TokenKey = ([u8; digest::SHA256_OUTPUT_LEN], bool);

/// What is known of a token.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// It is valid.
    Valid(Arc<Vouched>),
    /// It is not.
    Refused,
}

#[derive(Clone)]
struct Kept {
    vouched: Arc<Vouched>,
    until_ns: u64,
}

/// Answers about tokens.
pub(super) struct TokenCache {
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    keep_ns: u64,
    valid: Cache<[u8; digest::SHA256_OUTPUT_LEN], Kept>,
    refused: Cache<TokenKey, u64>,
}

impl TokenCache {
    /// An empty one that keeps answers for `keep_seconds`; for 0 and less it keeps none.
    pub(super) fn new(keep_seconds: i64, clock: Arc<dyn Clock>) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        let keep_ns = u64::try_from(keep_seconds).unwrap_or(0).saturating_mul(1_000_000_000);
        Self {
            key: key.expect("the system has random bytes"),
            clock,
            keep_ns,
            valid: Cache::new(MAX_VALID),
            refused: Cache::new(MAX_REFUSED),
        }
    }

    /// What `token` is looked up by.
    pub(super) fn key_of(&self, token: &str, expired_too: bool) -> TokenKey {
        let tag = hmac::sign(&self.key, token.as_bytes());
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(tag.as_ref());
        (hash, expired_too)
    }

    /// What is known of it now. A token that is remembered and has ended since is refused, unless that does not matter.
    pub(super) fn get(&self, key: &TokenKey) -> Option<Known> {
        let (hash, expired_too) = key;
        let now_ns = self.clock.monotonic_ns();
        if let Some(Kept { vouched, until_ns }) = self.valid.get(hash)
            && now_ns < until_ns
        {
            let counts = *expired_too || self.clock.now() < vouched.ends_at;
            return Some(if counts { Known::Valid(vouched) } else { Known::Refused });
        }
        self.refused.get(key).filter(|until_ns| now_ns < *until_ns).map(|_| Known::Refused)
    }

    /// Remembers what Keystone has said, and returns what it means now.
    pub(super) fn put(&self, key: TokenKey, known: Known) -> Known {
        let now_ns = self.clock.monotonic_ns();
        match known {
            Known::Refused if self.keep_ns > 0 => {
                self.refused.insert(key, now_ns.saturating_add(self.keep_ns.min(REFUSED_NS)));
                Known::Refused
            }
            Known::Valid(vouched) => {
                let counts = key.1 || self.clock.now() < vouched.ends_at;
                if self.keep_ns > 0 {
                    let until_ns = now_ns.saturating_add(self.keep_ns);
                    self.valid.insert(key.0, Kept { vouched: Arc::clone(&vouched), until_ns });
                }
                if counts { Known::Valid(vouched) } else { Known::Refused }
            }
            Known::Refused => Known::Refused,
        }
    }

    /// How many valid tokens are remembered, those included whose time is over but whose room nobody needed.
    pub(super) fn len(&self) -> usize {
        self.valid.len()
    }
}
