//! Tokens as a real Keystone described them.

use super::*;
use crate::keystone::Catalog;
use crate::keystone::Interface;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/keystone/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn info(name: &str) -> TokenInfo {
    parse(&fixture(name)).unwrap()
}

fn role_names(info: &TokenInfo) -> Vec<&str> {
    let mut names: Vec<_> = info.roles.iter().map(|role| role.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_members_token() {
    let info = info("GET-v3-auth-tokens-validate-nocatalog");
    assert_eq!((info.user.id.as_str(), info.user.name.as_str()), ("1e8aeca8c622403285afed5adfd374f4", "lab"));
    assert_eq!(info.user.domain, Named { id: "default".to_owned(), name: "Default".to_owned() });
    let project = info.project.as_ref().unwrap();
    assert_eq!((project.id.as_str(), project.name.as_str()), ("4167364ebdb64f15ad5cdeb3a37cd8f8", "lab"));
    assert_eq!(role_names(&info), ["member", "reader"]);
    assert!(info.has_role("Member") && !info.has_role("admin"));
    assert_eq!(info.issued_at.isoformat(), "2026-11-20T08:07:45+00:00");
    assert_eq!(info.expires_at.isoformat(), "2026-11-20T09:07:45+00:00");
    assert_eq!(info.methods, ["password"]);
    assert_eq!(info.audit_ids, ["nrqUN-U6QCGOUBHdNRqdMA"]);
    assert!(info.is_admin_project && !info.is_domain && !info.system_all);
    assert!(info.domain.is_none() && info.trust.is_none() && info.application_credential.is_none());
}

#[test]
fn other_scopes() {
    let system = info("POST-v3-auth-tokens-system-scoped");
    assert!(system.system_all && system.project.is_none());
    assert_eq!(role_names(&system), ["admin", "manager", "member", "reader"]);
    let unscoped = info("POST-v3-auth-tokens-unscoped");
    assert!(unscoped.roles.is_empty() && unscoped.project.is_none() && !unscoped.system_all);
    let limited = info("POST-v3-auth-tokens-application-credential");
    let credential = limited.application_credential.unwrap();
    assert_eq!((credential.name.as_str(), credential.restricted), ("tmpac", true));
    assert_eq!(limited.methods, ["application_credential"]);
}

#[test]
fn trusts_domains_and_admin_projects() {
    let body =
        br#"{"token": {"user": {"id": "u"}, "domain": {"id": "d", "name": "D"}, "is_admin_project": false,
        "system": null, "OS-TRUST:trust": {"id": "t", "impersonation": true,
        "trustee_user": {"id": "service"}, "trustor_user": {"id": "u"}},
        "expires_at": "2026-11-20T09:07:45.000000Z", "issued_at": "2026-11-20T08:07:45.5Z"}}"#;
    let info: TokenInfo = parse(body).unwrap();
    assert_eq!(info.domain.unwrap().name, "D");
    assert!(!info.is_admin_project && !info.system_all);
    let trust = info.trust.unwrap();
    assert_eq!((trust.trustee_user.id.as_str(), trust.impersonation), ("service", true));
    assert_eq!(info.issued_at.ns() % 1_000_000_000, 500_000_000);
}

#[test]
fn what_is_no_token() {
    for body in ["", "{}", "[]", r#"{"token": {}}"#, r#"{"error": {"code": 404}}"#, "<html>"] {
        assert!(parse::<TokenInfo>(body.as_bytes()).is_err(), "{body}");
    }
    let never =
        r#"{"token": {"user": {"id": "u"}, "expires_at": "soon", "issued_at": "2026-11-20T08:07:45Z"}}"#;
    let reason = parse::<TokenInfo>(never.as_bytes()).unwrap_err();
    assert!(reason.contains("line 1, column") && !reason.contains("soon"), "{reason}");
}

#[test]
fn a_real_catalogue() {
    #[derive(Deserialize)]
    struct WithCatalog {
        catalog: Catalog,
    }
    let catalog = parse::<WithCatalog>(&fixture("POST-v3-auth-tokens-member")).unwrap().catalog;
    let find = |wanted| catalog.endpoint(wanted, Interface::Public, Some("RegionOne")).ok();
    assert_eq!(find("identity"), Some("http://127.0.0.1:25000/v3"));
    assert_eq!(find("metric"), Some("http://127.0.0.1:28041"));
    assert_eq!(find("alarming"), Some("http://127.0.0.1:28042"));
    assert_eq!(find("alarm"), Some("http://127.0.0.1:28042"));
    assert_eq!(find("volumev3"), Some("http://127.0.0.1:28776/v3"), "found by the official name");
    assert!(find("volumev2").is_some_and(|url| url.ends_with("/v3")), "an alias finds the official type");
    assert!(find("dns").is_none());
}
