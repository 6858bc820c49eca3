//! Tokens without a Keystone: for benches, where only what happens in this process counts.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{Clock, SystemClock, Timestamp};
use nephometer_openstack::keystone::{
    AuthtokenSettings, KeystoneError, Named, Owned, TokenInfo, ValidationError,
};
use nephometer_openstack::token::{KeystoneAuthenticator, TokenSource};

/// How long the tokens are valid, in nanoseconds.
const VALID_NS: i64 = 3_600_000_000_000;

/// Says of every token that it is the administrator's: only the first request with a token comes here.
struct Trusting(SystemClock);

#[async_trait]
impl TokenSource for Trusting {
    async fn validate(&self, _: &str, _: bool) -> Result<TokenInfo, ValidationError> {
        let id = || "0123456789abcdef0123456789abcdef".to_owned();
        let named = |name: &str| Named { id: id(), name: name.to_owned() };
        let owned = |name: &str| Owned { id: id(), name: name.to_owned(), domain: named("Default") };
        let now = self.0.now();
        Ok(TokenInfo {
            user: owned("ceilometer"),
            project: Some(owned("service")),
            domain: None,
            system_all: false,
            is_domain: false,
            is_admin_project: true,
            roles: ["admin", "manager", "member", "reader"].map(named).into(),
            expires_at: Timestamp::from_ns(now.ns() + VALID_NS),
            issued_at: now,
            methods: vec!["password".to_owned()],
            audit_ids: Vec::new(),
            trust: None,
            application_credential: None,
        })
    }

    async fn prepare(&self) -> Result<(), KeystoneError> {
        Ok(())
    }
}

/// An authenticator for which every token is an administrator's, also as a service's own.
pub fn trusting_authenticator() -> KeystoneAuthenticator {
    let settings =
        AuthtokenSettings { service_token_roles: vec!["admin".to_owned()], ..AuthtokenSettings::default() };
    let clock = SystemClock::new();
    KeystoneAuthenticator::new(Arc::new(Trusting(clock)), &settings, Arc::new(clock))
}

/// A token of the length that Fernet tokens usually have.
pub fn usual_token(letter: char) -> String {
    letter.to_string().repeat(183)
}
