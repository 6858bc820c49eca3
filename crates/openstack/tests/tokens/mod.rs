//! Callers' tokens of every kind, as a real Keystone vouches for them.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use nephometer_drivers::{AuthError, Authenticator};
use nephometer_model::{Clock, Identity, ManualClock, SystemClock};
use nephometer_openstack::keystone::{
    AuthtokenSettings, Credentials, DomainRef, NamedIn, Scope, Secret, Session, SignIn,
};
use nephometer_openstack::token::KeystoneAuthenticator;
use nephometer_testkit::keystone::Keystone;

/// An API's authenticator, by `clock`.
fn authenticator(keystone: &Keystone, clock: Arc<dyn Clock>) -> Arc<KeystoneAuthenticator> {
    let session = keystone.session("nephometer", keystone.project("service")).unwrap();
    Arc::new(KeystoneAuthenticator::new(Arc::new(session), &AuthtokenSettings::default(), clock))
}

async fn shown(
    authenticator: &KeystoneAuthenticator,
    user: &Secret,
    service: Option<&Secret>,
) -> Result<Identity, AuthError> {
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", HeaderValue::from_str(user.expose()).unwrap());
    if let Some(service) = service {
        headers.insert("x-service-token", HeaderValue::from_str(service.expose()).unwrap());
    }
    headers.insert("x-roles", HeaderValue::from_static("admin"));
    authenticator.authenticate(&headers).await
}

async fn token_of(session: &Session) -> Secret {
    session.signed_in().await.unwrap().token.clone()
}

fn is_refused(outcome: &Result<Identity, AuthError>) -> bool {
    matches!(outcome, Err(AuthError::NotSignedIn { .. }))
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn tokens_of_every_scope() {
    let keystone = Keystone::shared().unwrap();
    let authenticator = authenticator(keystone, Arc::new(SystemClock::new()));
    for (user, project, role) in
        [("a-reader", "a", "reader"), ("b-member", "b", "member"), ("c-admin", "c", "admin")]
    {
        let token = keystone.token(user, project).await.unwrap();
        let identity = shown(&authenticator, &token, None).await.unwrap();
        let (user_id, project_id) = (&keystone.users[user], &keystone.projects[project]);
        assert_eq!(identity.creator.as_ref(), Some(&format!("{user_id}:{project_id}")));
        assert_eq!((identity.user_id.as_ref(), identity.user_name.as_deref()), (Some(user_id), Some(user)));
        assert_eq!(identity.project_id.as_ref(), Some(project_id));
        assert!(identity.roles.iter().any(|has| has == role), "{identity:?}");
        assert_eq!(identity.roles.iter().any(|has| has == "admin"), role == "admin");
        assert!(identity.filters_rows && identity.system_scope.is_none());
    }
    let system = token_of(&keystone.session("system-reader", Scope::System).unwrap()).await;
    let system = shown(&authenticator, &system, None).await.unwrap();
    assert_eq!((system.system_scope.as_deref(), &system.project_id), (Some("all"), &None));
    assert_eq!(system.creator, Some(format!("{}:", keystone.users["system-reader"])));
    let owner = Scope::Domain(DomainRef::Id(keystone.domains["other"].clone()));
    let domain = token_of(&keystone.session("other-admin", owner).unwrap()).await;
    let domain = shown(&authenticator, &domain, None).await.unwrap();
    assert_eq!(domain.domain_id.as_ref(), keystone.domains.get("other"));
    let (id, secret) = keystone.application_credential("a-member", "a", None).await.unwrap();
    let sign_in = SignIn::ApplicationCredential { credential: NamedIn::Id(id), secret };
    let config = keystone.config(Credentials { sign_in, scope: Scope::Default });
    let token = token_of(&Session::new(config, Arc::new(SystemClock::new())).unwrap()).await;
    assert!(shown(&authenticator, &token, None).await.is_ok());
    assert!(is_refused(&shown(&authenticator, &Secret::new("gAAAAABnotatoken"), None).await));
    let service = keystone.token("nova", "service").await.unwrap();
    let member = keystone.token("a-member", "a").await.unwrap();
    let passed_on = shown(&authenticator, &member, Some(&service)).await.unwrap();
    assert_eq!(passed_on.service_roles, ["service"]);
    assert_eq!(passed_on.service_user_id.as_ref(), keystone.users.get("nova"));
    assert!(is_refused(&shown(&authenticator, &member, Some(&token)).await), "no service");
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn a_revoked_token_goes_on_for_the_cache_time() {
    let keystone = Keystone::shared().unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
    let authenticator = authenticator(keystone, Arc::clone(&clock) as _);
    let token = keystone.token("b-member", "b").await.unwrap();
    assert!(shown(&authenticator, &token, None).await.is_ok());
    keystone.admin().unwrap().revoke(&token).await.unwrap();
    clock.advance_ns(299_000_000_000);
    assert!(shown(&authenticator, &token, None).await.is_ok());
    clock.advance_ns(1_000_000_000);
    assert!(is_refused(&shown(&authenticator, &token, None).await));
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn a_thousand_at_once_ask_once_and_what_has_ended_has_ended() {
    let keystone = Keystone::start(12).unwrap();
    let authenticator = authenticator(&keystone, Arc::new(SystemClock::new()));
    authenticator.prepare().await.unwrap();
    let token = keystone.token("a-member", "a").await.unwrap();
    let before = keystone.requests("GET /v3/auth/tokens").unwrap();
    let askers: Vec<_> = (0..1000)
        .map(|_| {
            let (authenticator, token) = (Arc::clone(&authenticator), token.clone());
            tokio::spawn(async move { shown(&authenticator, &token, None).await.is_ok() })
        })
        .collect();
    for asker in askers {
        assert!(asker.await.unwrap());
    }
    assert_eq!(keystone.requests("GET /v3/auth/tokens").unwrap() - before, 1);
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert!(is_refused(&shown(&authenticator, &token, None).await));
    let service = keystone.token("nova", "service").await.unwrap();
    let passed_on = shown(&authenticator, &token, Some(&service)).await.unwrap();
    assert_eq!(passed_on.user_name.as_deref(), Some("a-member"), "a service goes on with it");
    assert!(is_refused(&shown(&authenticator, &token, None).await));
    let fresh = keystone.token("a-member", "a").await.unwrap();
    assert!(shown(&authenticator, &fresh, None).await.is_ok());
    let unknown = keystone.token("b-member", "b").await.unwrap();
    drop(keystone);
    assert!(matches!(shown(&authenticator, &unknown, None).await, Err(AuthError::Unavailable(_))));
    assert_eq!(authenticator.status().is_reachable, Some(false));
}
