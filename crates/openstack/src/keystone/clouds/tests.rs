//! Which cloud is found, and what it amounts to.

use std::time::Duration;

use super::*;
use crate::keystone::{DomainRef, Interface, NamedIn, Scope, SignIn};

const CLOUDS: &str = "
clouds:
  lab:
    auth:
      auth_url: http://lab:5000/v3
      username: admin
      project_name: admin
      user_domain_name: Default
      project_domain_id: default
    regions:
    - One
    - name: Two
      values: {interface: admin}
    interface: internal
    cacert: /etc/ca.pem
    api_timeout: 12.5
    metric_endpoint_override: http://metric:8041
  other:
    auth_type: v3applicationcredential
    auth: {auth_url: 'https://other/identity', application_credential_id: 123, application_credential_secret: 10}
    verify: false
";
const SECURE: &str = "
clouds:
  lab: {auth: {password: hunter2}}
";

fn source(files: &[(&str, &str)], variables: &[(&str, &str)]) -> (CloudSource, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (CloudSource { variables, directories: vec![dir.path().join("none"), dir.path().to_owned()] }, dir)
}

fn load(
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
    name: Option<&str>,
) -> Result<SessionConfig, String> {
    let (source, _dir) = source(files, variables);
    source.load(name).map_err(|error| error.to_string())
}

const BOTH: &[(&str, &str)] = &[("clouds.yaml", CLOUDS), ("secure.yaml", SECURE)];

#[test]
fn a_cloud_with_its_secrets_elsewhere() {
    let config = load(BOTH, &[("OS_CLOUD", "lab")], None).unwrap();
    assert_eq!(config.auth_url.as_str(), "http://lab:5000/v3");
    let SignIn::Password { password, .. } = &config.credentials.sign_in else { panic!() };
    assert_eq!(password.expose(), "hunter2");
    let owner = DomainRef::Id("default".to_owned());
    assert_eq!(config.credentials.scope, Scope::Project(NamedIn::Name { name: "admin".to_owned(), owner }));
    assert_eq!((config.region.as_deref(), config.interface), (Some("One"), Interface::Internal));
    assert_eq!(config.http.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(config.http.timeout, Duration::from_millis(12_500));
    assert_eq!(config.endpoint_overrides["metric"].as_str(), "http://metric:8041/");
}

#[test]
fn regions() {
    let two = load(BOTH, &[("OS_CLOUD", "lab"), ("OS_REGION_NAME", "Two")], None).unwrap();
    assert_eq!((two.region.as_deref(), two.interface), (Some("Two"), Interface::Admin));
    let none = load(BOTH, &[("OS_CLOUD", "lab"), ("OS_REGION_NAME", "Three")], None).unwrap_err();
    assert_eq!(none, "region_name: the cloud has no region `Three`; it has One, Two");
}

#[test]
fn names_beat_variables_and_numbers_are_texts() {
    let config = load(BOTH, &[("OS_CLOUD", "lab")], Some("other")).unwrap();
    let SignIn::ApplicationCredential { credential, secret } = &config.credentials.sign_in else { panic!() };
    assert_eq!((credential, secret.expose()), (&NamedIn::Id("123".to_owned()), "10"));
    assert!(config.http.insecure && config.http.ca_file.is_none());
    assert_eq!(config.interface, Interface::Public);
}

#[test]
fn variables_alone() {
    let variables = [
        ("OS_AUTH_URL", "http://keystone:5000"),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", "hunter2"),
        ("OS_TENANT_NAME", "demo"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
        ("OS_REGION_NAME", "One"),
        ("OS_ENDPOINT_TYPE", "internalURL"),
        ("OS_IDENTITY_API_VERSION", "3"),
        ("OS_ALARMING_ENDPOINT_OVERRIDE", "http://alarm:8042"),
        ("OS_TEST_PATH", "tests"),
        ("PATH", "/bin"),
    ];
    let config = load(BOTH, &variables, None).unwrap();
    assert_eq!(config.auth_url.as_str(), "http://keystone:5000/");
    assert_eq!((config.region.as_deref(), config.interface), (Some("One"), Interface::Internal));
    assert_eq!(config.endpoint_overrides["alarming"].as_str(), "http://alarm:8042/");
    assert_eq!(load(&[], &variables, Some("envvars")).unwrap(), config);
    let by_token = [("OS_AUTH_URL", "http://k"), ("OS_TOKEN", "t"), ("OS_PROJECT_ID", "p")];
    assert!(matches!(load(&[], &by_token, None).unwrap().credentials.sign_in, SignIn::Token { .. }));
}

#[test]
fn which_cloud() {
    let none = load(&[], &[("OS_CLOUD", "lab")], None).unwrap_err();
    assert_eq!(none, "OS_CLOUD: there is no cloud `lab`; no clouds.yaml with clouds was found");
    let unclear = load(BOTH, &[("OS_REGION_NAME", "One")], None).unwrap_err();
    assert_eq!(unclear, "OS_CLOUD: is needed to choose a cloud; there are lab, other");
    let only = "clouds: {a: {auth: {auth_url: http://a, token: t}}}";
    assert_eq!(load(&[("clouds.yml", only)], &[], None).unwrap().auth_url.as_str(), "http://a/");
    let (mut source, dir) = source(BOTH, &[("OS_CLOUD", "a")]);
    let path = dir.path().join("elsewhere.yaml");
    std::fs::write(&path, only).unwrap();
    source.variables.insert("OS_CLIENT_CONFIG_FILE".to_owned(), path.to_str().unwrap().to_owned());
    assert!(source.load(None).is_ok());
    assert!(source.load(Some("other")).is_err(), "the first file counts alone");
}

#[test]
fn problems_tell_the_field_and_no_secret() {
    let broken = "clouds:\n  lab:\n    auth:\n      password: \"hunter2\n  x: [";
    let error = load(&[("clouds.yaml", broken)], &[], None).unwrap_err();
    assert!(
        error.contains("clouds.yaml: is not a file of clouds in YAML") && !error.contains("hunter2"),
        "{error}"
    );
    let wrong = "clouds: {a: {auth: {auth_url: http://u:hunter2@a, username: u, password: hunter2}, api_timeout: soon,
        profile: vexxhost, image_endpoint_override: 'ftp://x'}}";
    let error = load(&[("clouds.yaml", wrong)], &[], None).unwrap_err();
    for field in ["api_timeout", "profile", "image_endpoint_override", "auth_url", "user_domain_name"] {
        assert!(error.contains(&format!("{field}: ")), "{field} in {error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
    assert!(!format!("{:?}", source(BOTH, &[]).0.files().unwrap()).contains("hunter2"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_file_or_a_problem(text in "(clouds: )?[{}a-z:\\[\\], \n\"'&*|>#!-]{0,60}") {
        if let Err(error) = read(Path::new("clouds.yaml"), &text) {
            proptest::prop_assert!(error.to_string().starts_with("clouds.yaml: is not a file of clouds in YAML"));
        }
    }
}
