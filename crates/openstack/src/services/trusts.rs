//! Sessions of trusts, kept while they are used, so that a message does not cost a sign-in.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{DeliveryFailure, TrustTokens};
use nephometer_model::Secret;
use quick_cache::sync::Cache;

use super::failure::undelivered;
use crate::keystone::{KeystoneError, Session};

/// As many sessions are kept.
const KEPT: usize = 1024;

/// Acts by trusts whose trustee is the user of one session.
pub struct TrustSessions {
    trustee: Arc<Session>,
    kept: Cache<String, Arc<Session>>,
}

impl TrustSessions {
    /// Trusts to the user of `trustee`.
    pub fn new(trustee: Arc<Session>) -> Self {
        Self { trustee, kept: Cache::new(KEPT) }
    }

    /// The session that acts by a trust.
    pub(super) fn session(&self, trust_id: &str) -> Arc<Session> {
        if let Some(session) = self.kept.get(trust_id) {
            return session;
        }
        let session = Arc::new(self.trustee.by_trust(trust_id));
        self.kept.insert(trust_id.to_owned(), Arc::clone(&session));
        session
    }

    /// What an attempt by a trust failed by. Who cannot sign in any more may have been given a new password, or the trust
    /// may be gone: nothing of it is kept.
    pub(super) fn failed(&self, trust_id: &str, error: &KeystoneError) -> DeliveryFailure {
        if matches!(error, KeystoneError::SignIn { .. }) {
            self.kept.remove(trust_id);
        }
        undelivered(error)
    }
}

#[async_trait]
impl TrustTokens for TrustSessions {
    async fn token(&self, trust_id: &str) -> Result<Secret, DeliveryFailure> {
        match self.session(trust_id).signed_in().await {
            Ok(signed) => Ok(signed.token.clone()),
            Err(error) => Err(self.failed(trust_id, &error)),
        }
    }

    fn forget(&self, trust_id: &str, _token: &Secret) {
        self.kept.remove(trust_id);
    }
}
