//! Whose token counts, for how long, and how often Keystone is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use nephometer_drivers::{AuthError, Authenticator};
use nephometer_model::{Clock, Identity, ManualClock, Timestamp};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::{KeystoneAuthenticator, TokenSource};
use crate::keystone::{AuthtokenSettings, KeystoneError, Named, Owned, TokenInfo, ValidationError};

const SECOND_NS: i64 = 1_000_000_000;
const START: Timestamp = Timestamp::from_ns(1_700_000_000 * SECOND_NS);
const URI: &str = "https://keystone/v3";

/// A Keystone whose tokens end when a test says, and which answers when a test lets it.
struct Fake {
    clock: Arc<ManualClock>,
    /// By token: its only role, and when it ends.
    tokens: Mutex<BTreeMap<String, (String, Timestamp)>>,
    asked: Mutex<Vec<(String, bool)>>,
    gate: Semaphore,
    is_down: Mutex<bool>,
}

#[async_trait]
impl TokenSource for Fake {
    async fn validate(&self, token: &str, expired_too: bool) -> Result<TokenInfo, ValidationError> {
        self.asked.lock().push((token.to_owned(), expired_too));
        drop(self.gate.acquire().await.unwrap());
        if *self.is_down.lock() {
            let (url, reason) = (URI.to_owned(), "it is away".to_owned());
            let error = KeystoneError::Unavailable { url, reason, retry_after_seconds: None };
            return Err(ValidationError::Unavailable(error));
        }
        assert_ne!(token, "panic");
        let (role, expires_at) = self.tokens.lock().get(token).cloned().ok_or(ValidationError::Invalid)?;
        if self.clock.now() >= expires_at && !expired_too {
            return Err(ValidationError::Invalid);
        }
        Ok(info(token, &role, expires_at))
    }

    async fn prepare(&self) -> Result<(), KeystoneError> {
        Ok(())
    }
}

fn info(token: &str, role: &str, expires_at: Timestamp) -> TokenInfo {
    let named = |name: &str| Named { id: format!("{name}-id"), name: name.to_owned() };
    let owned =
        |name: &str| Owned { id: format!("{name}-id"), name: name.to_owned(), domain: named("Default") };
    TokenInfo {
        user: owned(token),
        project: Some(owned("a")),
        domain: None,
        system_all: false,
        is_domain: false,
        is_admin_project: true,
        roles: vec![named(role)],
        expires_at,
        issued_at: START,
        methods: Vec::new(),
        audit_ids: Vec::new(),
        trust: None,
        application_credential: None,
    }
}

struct Bench {
    fake: Arc<Fake>,
    clock: Arc<ManualClock>,
    authenticator: Arc<KeystoneAuthenticator>,
}

impl Bench {
    fn new() -> Self {
        Self::with(AuthtokenSettings::default())
    }

    fn with(settings: AuthtokenSettings) -> Self {
        let settings = AuthtokenSettings { www_authenticate_uri: URI.to_owned(), ..settings };
        let clock = Arc::new(ManualClock::at(START));
        let fake = Fake {
            clock: Arc::clone(&clock),
            tokens: Mutex::default(),
            asked: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            is_down: Mutex::new(false),
        };
        let fake = Arc::new(fake);
        let source = Arc::clone(&fake) as Arc<dyn TokenSource>;
        let authenticator = Arc::new(KeystoneAuthenticator::new(source, &settings, Arc::clone(&clock) as _));
        Self { fake, clock, authenticator }
    }

    fn token(self, token: &str, role: &str, seconds: i64) -> Self {
        let ends_at = Timestamp::from_ns(START.ns() + seconds * SECOND_NS);
        self.fake.tokens.lock().insert(token.to_owned(), (role.to_owned(), ends_at));
        self
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance_ns(seconds * SECOND_NS);
    }

    fn asked(&self) -> usize {
        self.fake.asked.lock().len()
    }

    async fn ask(&self, headers: &[(&'static str, &str)]) -> Result<Identity, AuthError> {
        self.authenticator.authenticate(&headers_of(headers)).await
    }

    async fn as_user(&self, token: &str) -> Result<Identity, AuthError> {
        self.ask(&[("x-auth-token", token)]).await
    }
}

fn headers_of(headers: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    headers.iter().map(pair).collect()
}

fn refused() -> Result<Identity, AuthError> {
    Err(AuthError::NotSignedIn { keystone_uri: URI.to_owned() })
}

#[tokio::test]
async fn a_token_is_an_identity_and_other_headers_are_nothing() {
    let bench = Bench::new().token("t", "member", 3600);
    let identity = bench
        .ask(&[("x-auth-token", " t "), ("x-roles", "admin"), ("x-user-id", "root"), ("x-project-id", "b")])
        .await
        .unwrap();
    assert_eq!(identity.creator.as_deref(), Some("t-id:a-id"));
    assert_eq!((identity.user_id.as_deref(), identity.project_id.as_deref()), (Some("t-id"), Some("a-id")));
    assert_eq!(identity.roles, ["member"]);
    assert!(identity.filters_rows && identity.system_scope.is_none() && identity.service_roles.is_empty());
    assert_eq!(bench.ask(&[("x-user-id", "root"), ("x-identity-status", "Confirmed")]).await, refused());
    assert_eq!(bench.ask(&[("x-storage-token", "t")]).await.unwrap(), identity);
    assert_eq!(bench.ask(&[("x-storage-token", "t"), ("x-auth-token", "")]).await, refused());
    for nonsense in ["", "   ", "\u{e9}"] {
        assert_eq!(bench.as_user(nonsense).await, refused());
    }
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn answers_are_used_for_the_cache_time_and_no_longer() {
    let bench = Bench::new().token("t", "member", 3600);
    assert!(bench.as_user("t").await.is_ok());
    bench.fake.tokens.lock().clear();
    bench.wait(299);
    assert!(bench.as_user("t").await.is_ok(), "revoked, and not noticed yet");
    assert_eq!(bench.asked(), 1);
    bench.wait(1);
    assert_eq!(bench.as_user("t").await, refused());
    assert_eq!(bench.asked(), 2);
    bench.wait(9);
    assert_eq!(bench.as_user("t").await, refused());
    assert_eq!(bench.asked(), 2, "refusals are remembered as well,");
    let bench = bench.token("t", "member", 3600);
    bench.wait(1);
    assert!(bench.as_user("t").await.is_ok(), "but briefly");
    let status = bench.authenticator.status();
    assert_eq!((status.hits, status.misses, status.upstream_calls), (2, 3, 3));
    assert_eq!((status.is_reachable, status.remembered), (Some(true), 1));
}

#[tokio::test]
async fn tokens_end_when_they_end() {
    let bench = Bench::new().token("t", "member", 60);
    assert!(bench.as_user("t").await.is_ok());
    bench.wait(60);
    assert_eq!(bench.as_user("t").await, refused());
    assert_eq!(bench.asked(), 1, "nobody needs to be asked");
    let bench = Bench::with(AuthtokenSettings { token_cache_time: 0, ..AuthtokenSettings::default() })
        .token("t", "member", 60);
    for _ in 0..3 {
        assert!(bench.as_user("t").await.is_ok());
        assert_eq!(bench.as_user("no").await, refused());
    }
    assert_eq!(bench.asked(), 6, "without a cache every request asks");
}

#[tokio::test]
async fn a_service_goes_on_with_a_token_that_has_ended() {
    let bench = Bench::new().token("u", "member", 60).token("s", "service", 3600).token("x", "member", 3600);
    bench.wait(61);
    assert_eq!(bench.as_user("u").await, refused());
    let identity = bench.ask(&[("x-auth-token", "u"), ("x-service-token", "s")]).await.unwrap();
    assert_eq!((identity.user_id.as_deref(), identity.roles), (Some("u-id"), vec!["member".to_owned()]));
    assert_eq!(identity.service_roles, ["service"]);
    assert_eq!(identity.service_user_id.as_deref(), Some("s-id"));
    assert_eq!(bench.as_user("u").await, refused(), "by itself it has ended all the same");
    for service in ["x", "no", "\u{e9}"] {
        assert_eq!(bench.ask(&[("x-auth-token", "x"), ("x-service-token", service)]).await, refused());
    }
    assert!(bench.ask(&[("x-auth-token", "x"), ("x-service-token", "")]).await.is_ok());
    assert_eq!(bench.ask(&[("x-service-token", "s")]).await, refused());
}

#[tokio::test]
async fn services_without_the_role_where_it_is_not_required() {
    let settings = AuthtokenSettings { service_token_roles_required: false, ..AuthtokenSettings::default() };
    let bench = Bench::with(settings).token("u", "member", 60).token("x", "member", 3600);
    let both = [("x-auth-token", "u"), ("x-service-token", "x")];
    assert_eq!(bench.ask(&both).await.unwrap().service_roles, ["member"]);
    bench.wait(61);
    assert_eq!(bench.ask(&both).await, refused(), "it is a service token, but not believed about ended ones");
}

#[tokio::test]
async fn where_the_decision_is_delayed() {
    let settings = AuthtokenSettings { delay_auth_decision: true, ..AuthtokenSettings::default() };
    let bench = Bench::with(settings).token("u", "member", 60);
    for headers in [&[][..], &[("x-auth-token", "no")], &[("x-service-token", "u")]] {
        let nobody = bench.ask(headers).await.unwrap();
        assert_eq!(nobody.creator.as_deref(), Some(":"));
        assert!(nobody.roles.is_empty() && nobody.project_id.is_none() && nobody.filters_rows);
    }
    let identity = bench.ask(&[("x-auth-token", "u"), ("x-service-token", "no")]).await.unwrap();
    assert!(identity.user_id.is_some() && identity.service_roles.is_empty());
}

#[tokio::test]
async fn while_keystone_is_away() {
    let bench = Bench::new().token("t", "member", 3600).token("new", "member", 3600);
    assert!(bench.as_user("t").await.is_ok());
    *bench.fake.is_down.lock() = true;
    assert!(matches!(bench.as_user("new").await, Err(AuthError::Unavailable(_))));
    assert!(matches!(
        bench.ask(&[("x-auth-token", "t"), ("x-service-token", "new")]).await,
        Err(AuthError::Unavailable(_))
    ));
    assert!(bench.as_user("t").await.is_ok(), "what is known goes on working");
    let status = bench.authenticator.status();
    assert_eq!((status.is_reachable, status.upstream_failures), (Some(false), 2));
    assert!(status.failure.unwrap().contains("it is away"));
    *bench.fake.is_down.lock() = false;
    assert!(bench.as_user("new").await.is_ok(), "that nobody knew is not remembered");
    assert_eq!(bench.authenticator.status().failure, None);
}

/// Lets what can run now run.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_question_for_all_who_wait_whoever_goes_away() {
    let bench = Bench::new().token("t", "member", 3600);
    bench.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    let askers: Vec<_> = (0..1000)
        .map(|_| {
            let authenticator = Arc::clone(&bench.authenticator);
            tokio::spawn(
                async move { authenticator.authenticate(&headers_of(&[("x-auth-token", "t")])).await },
            )
        })
        .collect();
    settle().await;
    assert_eq!(bench.asked(), 1);
    askers[0].abort();
    settle().await;
    bench.fake.gate.add_permits(1000);
    for (number, asker) in askers.into_iter().enumerate() {
        match asker.await {
            Ok(outcome) => assert!(outcome.is_ok()),
            Err(error) => assert!(number == 0 && error.is_cancelled()),
        }
    }
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn questions_are_bounded_and_a_failure_is_not_for_ever() {
    let bench = Bench::new();
    bench.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    let askers: Vec<_> = (0..5000)
        .map(|number| {
            let authenticator = Arc::clone(&bench.authenticator);
            tokio::spawn(async move {
                let token = format!("no-{number}");
                authenticator.authenticate(&headers_of(&[("x-auth-token", &token)])).await
            })
        })
        .collect();
    settle().await;
    assert_eq!(bench.asked(), super::authenticator::MAX_AT_ONCE);
    bench.fake.gate.add_permits(10_000);
    let mut turned_away = 0;
    for asker in askers {
        match asker.await.unwrap() {
            Err(AuthError::Unavailable(_)) => turned_away += 1,
            outcome => assert_eq!(outcome, refused()),
        }
    }
    assert_eq!(turned_away, 5000 - super::authenticator::MAX_WAITING);
    for _ in 0..2 {
        assert!(matches!(bench.as_user("panic").await, Err(AuthError::Unavailable(_))));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Show { token: usize, passed_on: bool },
    Revoke(usize),
    Issue(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_usize, any::<bool>()).prop_map(|(token, passed_on)| Step::Show { token, passed_on }),
        1 => (0..3_usize).prop_map(Step::Revoke),
        2 => (0..3_usize).prop_map(Step::Issue),
        3 => (1..200_i64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Seconds of the last time that Keystone would have said yes, or no, by token and manner of showing it.
#[derive(Default)]
struct Truths {
    yes: BTreeMap<usize, i64>,
    no: BTreeMap<(usize, bool), i64>,
}

proptest! {
    /// Whatever happens: nobody is let in longer than the cache time after Keystone would have let them in, and nobody is
    /// kept out longer than a refusal is remembered.
    #[test]
    fn right_within_the_cache_time(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let bench = Bench::new().token("s", "service", 1_000_000);
        let ends_at = |token: usize| Timestamp::from_ns(START.ns() + [100, 700, 2000][token] * SECOND_NS);
        let mut truths = Truths::default();
        for step in steps {
            match step {
                Step::Wait(seconds) => bench.wait(seconds),
                Step::Revoke(token) => drop(bench.fake.tokens.lock().remove(&format!("t{token}"))),
                Step::Issue(token) => {
                    let role = ("member".to_owned(), ends_at(token));
                    bench.fake.tokens.lock().insert(format!("t{token}"), role);
                }
                Step::Show { token, passed_on } => {
                    let name = format!("t{token}");
                    let second = (bench.clock.now().ns() - START.ns()) / SECOND_NS;
                    let is_issued = bench.fake.tokens.lock().contains_key(&name);
                    let truth = is_issued && (passed_on || bench.clock.now() < ends_at(token));
                    let mut headers = vec![("x-auth-token", name.as_str())];
                    headers.extend(passed_on.then_some(("x-service-token", "s")));
                    let is_let_in = runtime.block_on(bench.ask(&headers)).is_ok();
                    if truth {
                        truths.yes.insert(token, second);
                    } else {
                        truths.no.insert((token, passed_on), second);
                    }
                    let since = |then: Option<&i64>| then.map_or(i64::MAX, |then| second - then);
                    if is_let_in {
                        prop_assert!(since(truths.yes.get(&token)) < 300);
                        prop_assert!(passed_on || bench.clock.now() < ends_at(token));
                    } else if truth {
                        prop_assert!(since(truths.no.get(&(token, passed_on))) < 10);
                    }
                }
            }
        }
    }
}
