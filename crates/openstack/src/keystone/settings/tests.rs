//! Which settings work, and what is said about those that do not.

use super::*;

fn password_settings() -> KeystoneSettings {
    KeystoneSettings {
        auth_url: "http://keystone:5000".to_owned(),
        username: "gnocchi".to_owned(),
        user_domain_name: "Default".to_owned(),
        password: Secret::new("hunter2"),
        project_name: "service".to_owned(),
        project_domain_name: "Default".to_owned(),
        ..KeystoneSettings::default()
    }
}

fn named(name: &str) -> NamedIn<DomainRef> {
    NamedIn::Name { name: name.to_owned(), owner: DomainRef::Name("Default".to_owned()) }
}

fn texts(settings: &KeystoneSettings) -> Vec<String> {
    settings.problems().iter().map(Problem::to_string).collect()
}

#[test]
fn a_service_user() {
    let settings = password_settings();
    assert_eq!(settings.problems(), []);
    let config = settings.open().unwrap();
    assert_eq!(config.auth_url.as_str(), "http://keystone:5000/");
    let sign_in = SignIn::Password { user: named("gnocchi"), password: Secret::new("hunter2") };
    assert_eq!(config.credentials, Credentials { sign_in, scope: Scope::Project(named("service")) });
    assert_eq!((config.interface, config.region), (Interface::Internal, None));
    assert_eq!(config.http.max_retries, 3);
    assert!(config.endpoint_overrides.is_empty());
}

#[test]
fn default_domains_and_ids() {
    let settings = KeystoneSettings {
        user_domain_name: String::new(),
        project_domain_name: String::new(),
        default_domain_name: "Default".to_owned(),
        endpoint_override: "https://keystone.internal/identity".to_owned(),
        ..password_settings()
    };
    let config = settings.open().unwrap();
    assert_eq!(config.credentials.scope, Scope::Project(named("service")));
    assert_eq!(config.endpoint_overrides["identity"].as_str(), "https://keystone.internal/identity");
    let settings =
        KeystoneSettings { user_id: "u".to_owned(), project_id: "p".to_owned(), ..password_settings() };
    let credentials = settings.open().unwrap().credentials;
    assert_eq!(credentials.scope, Scope::Project(NamedIn::Id("p".to_owned())));
    assert!(matches!(credentials.sign_in, SignIn::Password { user: NamedIn::Id(_), .. }));
}

#[test]
fn every_problem_is_told_at_once() {
    let settings = KeystoneSettings {
        auth_url: "keystone:5000".to_owned(),
        username: "gnocchi".to_owned(),
        interface: "private".to_owned(),
        system_scope: "some".to_owned(),
        keyfile: "key.pem".to_owned(),
        timeout: 0.0,
        ..KeystoneSettings::default()
    };
    assert_eq!(
        texts(&settings),
        [
            "auth_url: expected an address such as https://host:5000/v3, found `keystone:5000`",
            "user_domain_name: is needed with username `gnocchi`; most often it is Default",
            "password: is needed (or password_file with a path)",
            "system_scope: expected all or nothing, found `some`",
            "interface: expected public, internal or admin, found `private`",
            "certfile: is needed where keyfile is given",
            "timeout: expected seconds between 0.001 and 3600, found 0",
        ]
    );
    assert!(matches!(settings.open(), Err(KeystoneError::Settings(problems)) if problems.len() == 7));
}

#[test]
fn contradictions() {
    let two_scopes = KeystoneSettings { trust_id: "t".to_owned(), ..password_settings() };
    assert!(texts(&two_scopes)[0].contains("a token has one scope"));
    let unwanted = KeystoneSettings {
        auth_type: "v3applicationcredential".to_owned(),
        application_credential_id: "id".to_owned(),
        application_credential_secret: Secret::new("hunter2"),
        ..password_settings()
    };
    assert!(texts(&unwanted)[0].contains("has a scope of its own"));
    let unknown = KeystoneSettings { auth_type: "v3oidcpassword".to_owned(), ..password_settings() };
    assert!(texts(&unknown)[0].contains("found `v3oidcpassword`"));
    let unsure = KeystoneSettings { insecure: true, cafile: "ca.pem".to_owned(), ..password_settings() };
    assert!(texts(&unsure)[0].contains("contradicts cafile"));
}

#[test]
fn an_application_credential_by_name_needs_its_user() {
    let settings = KeystoneSettings {
        auth_type: "v3applicationcredential".to_owned(),
        auth_url: "http://keystone:5000/v3".to_owned(),
        application_credential_name: "meter".to_owned(),
        application_credential_secret: Secret::new("hunter2"),
        ..KeystoneSettings::default()
    };
    assert_eq!(texts(&settings), ["username: is needed (or user_id)"]);
    let settings = KeystoneSettings { user_id: "u".to_owned(), ..settings };
    assert_eq!(texts(&settings), [""; 0]);
}

#[test]
fn secrets_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let settings = KeystoneSettings {
        password: Secret::default(),
        password_file: path.to_str().unwrap().to_owned(),
        ..password_settings()
    };
    assert_eq!(settings.problems(), [], "the file is not looked at before it is needed");
    let error = settings.open().unwrap_err().to_string();
    assert!(error.contains("cannot be read") && !error.contains("is needed"), "{error}");
    std::fs::write(&path, "hunter2 \r\n").unwrap();
    assert_eq!(settings.open().unwrap().credentials.secret().expose(), "hunter2 ");
    std::fs::write(&path, "\n").unwrap();
    assert!(settings.open().unwrap_err().to_string().contains("password: is needed"));
}

#[test]
fn secrets_are_shown_nowhere() {
    let mut settings = AuthtokenSettings { session: password_settings(), ..AuthtokenSettings::default() };
    let shown = |settings: &AuthtokenSettings| {
        let config = settings.session.open().map(|config| format!("{config:?}"));
        let json = serde_json::to_string(settings).unwrap();
        format!("{settings:?} {json} {:?} {config:?}", settings.problems())
    };
    assert!(!shown(&settings).contains("hunter2"));
    settings.session.auth_url = "http://gnocchi:hunter2@keystone:5000".to_owned();
    settings.session.timeout = -1.0;
    let problems: Vec<_> = settings.problems().iter().map(Problem::to_string).collect();
    assert_eq!(problems[0], "auth_url: must hold no user and password: there are settings for them");
    assert!(!problems.join(" ").contains("hunter2"));
}

#[test]
fn the_section_is_plain_data() {
    let read = |text: &str| serde_json::from_str::<AuthtokenSettings>(text);
    let settings =
        read(r#"{"auth_url": "http://k", "password": "hunter2", "token_cache_time": 60}"#).unwrap();
    assert_eq!((settings.token_cache_time, settings.session.password.expose()), (60, "hunter2"));
    assert_eq!(settings.authenticate_uri(), "http://k");
    assert_eq!(settings.service_token_roles, ["service"]);
    let defaults = serde_json::to_value(AuthtokenSettings::default()).unwrap();
    let again: AuthtokenSettings = serde_json::from_value(defaults).unwrap();
    assert_eq!(again, AuthtokenSettings::default());
    let error = read(r#"{"password": ["hunter2"]}"#).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}
