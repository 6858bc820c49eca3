//! Sessions towards a real Keystone 30. Ignored where nobody asked for one: `./test keystone` runs these, and so does
//! `cargo test -p nephometer-openstack --test keystone -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tls_front;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use nephometer_model::{Clock, SystemClock, Timestamp};
use nephometer_openstack::keystone::{
    CloudSource, Credentials, Interface, KeystoneError, KeystoneSettings, NamedIn, NewTrust, Request, Scope,
    Secret, Session, SessionConfig, SignIn, TokenInfo, ValidationError,
};
use nephometer_testkit::keystone::Keystone;
use tls_front::TlsFront;

fn keystone() -> &'static Keystone {
    Keystone::shared().unwrap()
}

fn session(config: SessionConfig) -> Session {
    Session::new(config, Arc::new(SystemClock::new())).unwrap()
}

/// The service user, as our API has it.
fn service() -> Session {
    keystone().session("nephometer", keystone().project("service")).unwrap()
}

fn roles(info: &TokenInfo) -> Vec<&str> {
    let mut names: Vec<_> = info.roles.iter().map(|role| role.name.as_str()).collect();
    names.sort_unstable();
    names
}

async fn info(session: &Session) -> TokenInfo {
    session.signed_in().await.unwrap().info.clone()
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn passwords_in_every_scope() {
    let keystone = keystone();
    let member = info(&keystone.session("a-member", keystone.project("a")).unwrap()).await;
    assert_eq!(roles(&member), ["member", "reader"]);
    assert_eq!(member.project.as_ref().map(|project| &project.id), keystone.projects.get("a"));
    assert_eq!((member.user.name.as_str(), &member.user.id), ("a-member", &keystone.users["a-member"]));
    let admin = info(&keystone.admin().unwrap()).await;
    assert_eq!(roles(&admin), ["admin", "manager", "member", "reader"]);
    let system = info(&keystone.session("system-reader", Scope::System).unwrap()).await;
    assert!(system.system_all && system.project.is_none());
    assert_eq!(roles(&system), ["reader"]);
    let owner =
        Scope::Domain(nephometer_openstack::keystone::DomainRef::Id(keystone.domains["other"].clone()));
    let domain = info(&keystone.session("other-admin", owner).unwrap()).await;
    assert_eq!(domain.domain.as_ref().map(|domain| domain.name.as_str()), Some("other"));
    let unscoped = info(&keystone.session("a-member", Scope::Unscoped).unwrap()).await;
    assert!(unscoped.project.is_none() && unscoped.roles.is_empty());
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn tokens_of_another_scope() {
    let keystone = keystone();
    let unscoped = keystone.session("a-member", Scope::Unscoped).unwrap();
    let token = unscoped.signed_in().await.unwrap().token.clone();
    let credentials = Credentials { sign_in: SignIn::Token { token }, scope: keystone.project("a") };
    let scoped = info(&unscoped.with_credentials(credentials)).await;
    assert_eq!(roles(&scoped), ["member", "reader"]);
    assert!(scoped.methods.iter().any(|method| method == "token"), "{:?}", scoped.methods);
    let token = Secret::new("gAAAAABnotatoken");
    let credentials = Credentials { sign_in: SignIn::Token { token }, scope: keystone.project("a") };
    let error = unscoped.with_credentials(credentials).signed_in().await.unwrap_err();
    assert!(
        matches!(error, KeystoneError::SignIn { .. }) && !error.to_string().contains("notatoken"),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn application_credentials() {
    let keystone = keystone();
    let (id, secret) = keystone.application_credential("a-member", "a", None).await.unwrap();
    let sign_in = SignIn::ApplicationCredential { credential: NamedIn::Id(id.clone()), secret };
    let config = keystone.config(Credentials { sign_in, scope: Scope::Default });
    let signed = info(&session(config)).await;
    assert_eq!(signed.application_credential.as_ref().map(|credential| &credential.id), Some(&id));
    assert_eq!(signed.project.map(|project| project.name).as_deref(), Some("a"));
    let settings = KeystoneSettings {
        auth_type: "v3applicationcredential".to_owned(),
        auth_url: keystone.url.to_string(),
        application_credential_id: id,
        application_credential_secret: Secret::new("wrong"),
        ..KeystoneSettings::default()
    };
    let error = session(settings.open().unwrap()).signed_in().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn settings_variables_and_clouds() {
    let keystone = keystone();
    let named = |text: &str| text.to_owned();
    let settings = KeystoneSettings {
        auth_url: keystone.url.as_str().trim_end_matches("/v3").to_owned(),
        username: named("nephometer"),
        user_domain_name: named("Default"),
        password: Keystone::password("nephometer"),
        project_name: named("service"),
        project_domain_name: named("Default"),
        region_name: named("RegionOne"),
        ..KeystoneSettings::default()
    };
    let from_settings = session(settings.open().unwrap());
    assert_eq!(roles(&info(&from_settings).await), ["service"]);
    assert_eq!(from_settings.endpoint("identity").await.unwrap(), keystone.url);
    let dir = tempfile::tempdir().unwrap();
    let clouds = format!(
        "clouds: {{lab: {{auth: {{auth_url: '{}', username: a-member, password: pw-a-member, project_name: a}}}}}}",
        keystone.url
    );
    std::fs::write(dir.path().join("clouds.yaml"), clouds).unwrap();
    let variables = [("OS_CLOUD", "lab"), ("OS_DEFAULT_DOMAIN", "default")];
    let mut source = CloudSource {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        directories: vec![dir.path().to_owned()],
    };
    let error = source.load(None).unwrap_err().to_string();
    assert!(error.contains("user_domain_name"), "variables do not describe a cloud of a file: {error}");
    source.variables.clear();
    for (name, value) in [
        ("OS_AUTH_URL", keystone.url.as_str()),
        ("OS_USERNAME", "a-member"),
        ("OS_PASSWORD", "pw-a-member"),
        ("OS_PROJECT_NAME", "a"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
    ] {
        source.variables.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(roles(&info(&session(source.load(None).unwrap())).await), ["member", "reader"]);
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn a_wrong_password_is_tried_once() {
    let keystone = keystone();
    let mut credentials = keystone.credentials("c-reader", keystone.project("c"));
    if let SignIn::Password { password, .. } = &mut credentials.sign_in {
        *password = Secret::new("hunter2");
    }
    // Nobody else is refused with 401 at this address, which is Keystone's as well.
    let mut config = keystone.config(credentials);
    config.auth_url.set_path("/v3/");
    let before = keystone.requests("POST /v3/auth/tokens 401").unwrap();
    let error = session(config).signed_in().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(error.to_string().contains("user c-reader of domain default to project"), "{error}");
    assert!(keystone.requests("POST /v3/auth/tokens 401").unwrap() > before);
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn validation_and_revocation() {
    let keystone = keystone();
    let service = service();
    let token = keystone.token("b-reader", "b").await.unwrap();
    let about = service.validate(token.expose(), false).await.unwrap();
    assert_eq!((about.user.name.as_str(), roles(&about)), ("b-reader", vec!["reader"]));
    assert_eq!(about.project.as_ref().map(|project| project.domain.id.as_str()), Some("default"));
    assert_eq!(about.expires_at.ns() - about.issued_at.ns(), 3600 * 1_000_000_000);
    for wrong in ["garbage", "gAAAAABnotatoken", "é"] {
        assert_eq!(service.validate(wrong, false).await, Err(ValidationError::Invalid), "{wrong}");
    }
    service.revoke(&token).await.unwrap();
    assert_eq!(service.validate(token.expose(), false).await, Err(ValidationError::Invalid));
    assert_eq!(service.validate(token.expose(), true).await, Err(ValidationError::Invalid));
    assert_eq!(service.revoke(&token).await.unwrap_err().status(), Some(StatusCode::UNAUTHORIZED));
    let member = keystone.session("a-member", keystone.project("a")).unwrap();
    let others = keystone.token("b-member", "b").await.unwrap();
    let refused = member.validate(others.expose(), false).await.unwrap_err();
    assert!(matches!(refused, ValidationError::Unavailable(_)), "who may not ask knows nothing: {refused}");
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn a_revoked_token_of_ones_own_is_replaced() {
    let keystone = keystone();
    let service = service();
    let first = service.signed_in().await.unwrap();
    service.revoke(&first.token).await.unwrap();
    let token = keystone.token("c-member", "c").await.unwrap();
    assert!(service.validate(token.expose(), false).await.is_ok());
    assert_ne!(service.signed_in().await.unwrap().token, first.token);
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn tokens_end() {
    // A busy machine may need longer than a token lives to ask about it: then another one lives longer.
    for life_seconds in [4, 8, 16, 32] {
        if a_token_ends(life_seconds).await {
            return;
        }
    }
    panic!("Keystone is too slow to be asked within 32 s");
}

/// Whether a token was seen alive and then dead.
async fn a_token_ends(life_seconds: i64) -> bool {
    let keystone = keystone();
    let clock = SystemClock::new();
    let end = Timestamp::from_ns(clock.now().ns() + life_seconds * 1_000_000_000);
    let text = end.isoformat().replace("+00:00", "Z");
    let (id, secret) = keystone.application_credential("b-member", "b", Some(&text)).await.unwrap();
    let sign_in = SignIn::ApplicationCredential { credential: NamedIn::Id(id), secret };
    let short = session(keystone.config(Credentials { sign_in, scope: Scope::Default }));
    let Ok(signed) = short.signed_in().await else { return false };
    assert!(signed.info.expires_at <= end, "{}", signed.info.expires_at);
    let service = service();
    let alive = service.validate(signed.token.expose(), false).await.is_ok();
    if !alive && clock.now().ns() + 1_000_000_000 > signed.info.expires_at.ns() {
        return false;
    }
    assert!(alive);
    while clock.now() <= end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(service.validate(signed.token.expose(), false).await, Err(ValidationError::Invalid));
    assert!(
        short.with_scope(Scope::Default).signed_in().await.is_err(),
        "the credential has ended with the token"
    );
    true
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn short_lives() {
    let keystone = Keystone::start(8).unwrap();
    let service = keystone.session("nephometer", keystone.project("service")).unwrap();
    let token = keystone.token("a-member", "a").await.unwrap();
    let first = service.signed_in().await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(service.validate(token.expose(), false).await, Err(ValidationError::Invalid));
    let expired = service.validate(token.expose(), true).await.unwrap();
    assert_eq!(expired.user.name, "a-member", "services may ask about what has ended lately");
    assert_ne!(service.signed_in().await.unwrap().token, first.token, "renewed by itself");
    let address = keystone.url.socket_addrs(|| None).unwrap()[0];
    drop(keystone);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn trusts() {
    let keystone = keystone();
    let service = service();
    let trustor = keystone.token("c-member", "c").await.unwrap();
    let new = NewTrust {
        trustor_user_id: keystone.users["c-member"].clone(),
        project_id: keystone.projects["c"].clone(),
        roles: vec!["member".to_owned()],
        impersonation: true,
    };
    let trust = service.create_trust(&trustor, &new).await.unwrap();
    assert_eq!(trust.trustee_user_id, keystone.users["nephometer"]);
    let acting = service.by_trust(&trust.id);
    let signed = acting.signed_in().await.unwrap();
    assert_eq!(signed.info.user.name, "c-member");
    assert_eq!(signed.info.trust.as_ref().map(|trust| &trust.trustee_user.id), Some(&trust.trustee_user_id));
    let seen = service.validate(signed.token.expose(), false).await.unwrap();
    assert_eq!((seen.trust.is_some(), roles(&seen)), (true, vec!["member", "reader"]));
    service.delete_trust(&trustor, &trust.id).await.unwrap();
    service.delete_trust(&trustor, &trust.id).await.unwrap();
    assert_eq!(service.validate(signed.token.expose(), false).await, Err(ValidationError::Invalid));
    assert!(service.by_trust(&trust.id).signed_in().await.is_err());
    let again = service.create_trust(&trustor, &new).await.unwrap();
    let own = service.by_trust(&again.id).signed_in().await.unwrap().token.clone();
    service.delete_trust(&own, &again.id).await.unwrap();
    assert!(service.by_trust(&again.id).signed_in().await.is_err(), "a trust's token can end the trust");
    let too_much = NewTrust { roles: vec!["admin".to_owned()], ..new };
    assert!(service.create_trust(&trustor, &too_much).await.unwrap_err().status().is_some());
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn requests_by_catalogue() {
    let keystone = keystone();
    let admin = keystone.admin().unwrap();
    let request = Request::new(Method::GET, "identity", "/projects").query("name", "a");
    let answer =
        admin.request(&request.clone().interface(Interface::Internal).region("RegionOne")).await.unwrap();
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains(&keystone.projects["a"]) && !text.contains(&keystone.projects["b"]), "{text}");
    let nowhere = admin.request(&request.region("Nowhere")).await.unwrap_err();
    assert!(matches!(nowhere, KeystoneError::NoEndpoint { .. }));
    let member = keystone.session("a-member", keystone.project("a")).unwrap();
    let header = HeaderValue::from_static("application/json");
    let forbidden = Request::new(Method::GET, "identity", "/users").header(http::header::ACCEPT, header);
    let error = member.request(&forbidden).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
    assert!(error.to_string().contains("identity:list_users"), "{error}");
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn tls_with_an_authority_of_ones_own() {
    let keystone = keystone();
    let front = TlsFront::start(&keystone.url, false).await;
    let config = |front: &TlsFront| {
        let mut config = keystone.config(keystone.credentials("a-reader", keystone.project("a")));
        config.auth_url = front.url.clone();
        config.endpoint_overrides.insert("identity".to_owned(), front.url.clone());
        config.http.max_retries = 0;
        config
    };
    let distrusting = session(config(&front)).signed_in().await.unwrap_err();
    assert!(distrusting.to_string().to_lowercase().contains("certificate"), "{distrusting}");
    let mut trusting = config(&front);
    trusting.http.ca_file = Some(front.ca_file.clone());
    assert_eq!(roles(&info(&session(trusting.clone())).await), ["reader"]);
    let mut careless = config(&front);
    careless.http.insecure = true;
    assert_eq!(roles(&info(&session(careless)).await), ["reader"]);
    let picky = TlsFront::start(&keystone.url, true).await;
    let mut anonymous = config(&picky);
    anonymous.http.ca_file = Some(picky.ca_file.clone());
    assert!(session(anonymous.clone()).signed_in().await.unwrap_err().is_temporary());
    let mut known = anonymous;
    (known.http.cert_file, known.http.key_file) =
        (Some(picky.client_cert.clone()), Some(picky.client_key.clone()));
    assert_eq!(roles(&info(&session(known)).await), ["reader"]);
    trusting.http.ca_file = Some("/nonexistent/ca.pem".into());
    let error = Session::new(trusting, Arc::new(SystemClock::new())).err().unwrap().to_string();
    assert!(error.starts_with("cafile: /nonexistent/ca.pem cannot be read"), "{error}");
}
