//! What a request with a token that is known costs: `cargo bench -p nephometer-openstack`.

use std::sync::Arc;

use async_trait::async_trait;
use divan::Bencher;
use http::{HeaderMap, HeaderValue};
use nephometer_drivers::{Authenticator, BasicAuthenticator};
use nephometer_model::{Clock, SystemClock, Timestamp};
use nephometer_openstack::keystone::{
    AuthtokenSettings, KeystoneError, Named, Owned, TokenInfo, ValidationError,
};
use nephometer_openstack::token::{KeystoneAuthenticator, TokenSource};

fn main() {
    divan::main();
}

/// Vouches for everybody: only the first request of a run comes here.
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
            expires_at: Timestamp::from_ns(now.ns() + 3_600_000_000_000),
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

fn measured(bencher: Bencher<'_, '_>, authenticator: &dyn Authenticator, headers: &HeaderMap) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let first = runtime.block_on(authenticator.authenticate(headers));
    assert!(first.is_ok(), "{first:?}");
    bencher.bench_local(|| futures::executor::block_on(authenticator.authenticate(headers)));
}

#[divan::bench]
fn basic(bencher: Bencher<'_, '_>) {
    let headers =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("basic YWRtaW46"))]);
    measured(bencher, &BasicAuthenticator, &headers);
}

/// With a Fernet token of usual length, and once more with that of a service.
#[divan::bench(args = [1, 2])]
fn known_tokens(bencher: Bencher<'_, '_>, tokens: usize) {
    let settings =
        AuthtokenSettings { service_token_roles: vec!["admin".to_owned()], ..AuthtokenSettings::default() };
    let source = Arc::new(Trusting(SystemClock::new()));
    let authenticator = KeystoneAuthenticator::new(source, &settings, Arc::new(SystemClock::new()));
    let token = |letter: &str| HeaderValue::from_str(&letter.repeat(183)).expect("a header's value");
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", token("u"));
    if tokens == 2 {
        headers.insert("x-service-token", token("s"));
    }
    measured(bencher, &authenticator, &headers);
}
