//! Callers by their Keystone tokens, as keystonemiddleware recognises them.
//!
//! An answer of Keystone's about a token is used until the token ends and no longer than `token_cache_time`, so that a
//! token that is revoked goes on so long at most. Many who show a token that is not known yet cause one request, which is
//! nobody's to cancel. While Keystone is away, tokens that are known go on working and others are neither taken nor
//! refused. A token itself is kept nowhere: only a hash of it, under a key that ends with the process.

mod authenticator;
mod cache;
mod source;
mod vouched;

pub use authenticator::KeystoneAuthenticator;
pub use source::TokenSource;

/// How an API's tokens fare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenStatus {
    /// Whether Keystone answered when it was last asked; nothing before that.
    pub is_reachable: Option<bool>,
    /// Why it did not, where it did not.
    pub failure: Option<String>,
    /// Tokens shown of which an answer was known, good or bad.
    pub hits: u64,
    /// Tokens shown of which none was known.
    pub misses: u64,
    /// Questions to Keystone about tokens, retries not counted.
    pub upstream_calls: u64,
    /// Those of them without an answer.
    pub upstream_failures: u64,
    /// Valid tokens that are remembered.
    pub remembered: u64,
}

#[cfg(test)]
mod tests;
