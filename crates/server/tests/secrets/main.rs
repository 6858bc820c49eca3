//! Secrets are planted in every setting and in requests, the built program is made to fail in many ways at the most
//! talkative level, and all that it prints, answers and writes is searched for them. Messages of panics: `src/panics.rs`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cloud;
mod needles;
mod program;

use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use nephometer_testkit::certificates::Authority;
use nephometer_testkit::postgres::{Postgres, PostgresTls};

use cloud::{Cloud, Mood};
use needles::Needles;
use program::{Server, Told, ask, run, status};

const INDEX_PASSWORD: &str = "idx-5f0c-hush-7f3a9c1d";
const KEYSTONE_PASSWORD: &str = "ksp-91aa-hush-2b6e0d44";
const SERVICE_TOKEN: &str = "gAAAAABsvc-3c7d-hush-e81f";
const USER_TOKEN: &str = "gAAAAABusr-c02b-hush-9e57";
const UNKNOWN_TOKEN: &str = "gAAAAABunk-77e1-hush-0aa3";
const OTHER_SERVICE_TOKEN: &str = "gAAAAABosv-d19c-hush-4b08";
const BASIC_PASSWORD: &str = "bas-6e3d-hush-c5528f10";
const IN_QUERY: &str = "qry-08b4-hush-aa19d7e3";

/// Both formats, as talkative as can be.
const LOGS: [&[&str]; 2] = [&["log.level=trace", "log.format=text"], &["log.level=trace", "log.format=json"]];

/// Where `url` has the index' password wrongly, and what an operator is told nevertheless.
const WRONG_URLS: [(&str, &str); 7] = [
    ("u:SECRET@host/database", "expected postgresql://"),
    ("SECRET", "expected postgresql://"),
    ("mysql://u:SECRET@host/database", "expected postgresql://"),
    ("postgresql://u:SECRET@host:port/database", "port"),
    ("postgresql://u:SECRET@127.0.0.1/database?sslmode=SECRET", "verify-full"),
    ("postgresql://u:SECRET@127.0.0.1/database?SECRET=1", "not known"),
    ("postgresql://u:p@ss:SECRET@127.0.0.1/database", "port"),
];

#[test]
fn settings_are_not_repeated_however_wrong_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let needles = Needles::new(&[INDEX_PASSWORD]);
    for (url, told) in WRONG_URLS {
        let url = format!("index.url={}", url.replace("SECRET", INDEX_PASSWORD));
        for subcommand in ["check-config", "upgrade", "serve"] {
            let (ok, output) =
                run(directory.path(), &[subcommand], &Told { set: &[&url], ..Told::default() });
            needles.check(&url, &output);
            let text = String::from_utf8_lossy(&output);
            assert!(!ok && text.contains(told), "{url}: {text}");
        }
    }
    for text in [
        "[keystone_authtoken]\npassword = [\"SECRET\"]",
        "[keystone_authtoken]\npassword = SECRET",
        "[keystone_authtoken]\npassword = \"SECRET",
        "[keystone_authtoken]\npasword = \"SECRET\"",
        "[index]\nurl = { password = \"SECRET\" }",
        "[index]\npassword = 'SECRET'\npassword_file = '/x'",
        "[metric_api]\nauth_mode = 'keystone'\n[keystone_authtoken]\nauth_url = 'http://u:SECRET@h'\npassword = 'SECRET'",
    ] {
        let file = text.replace("SECRET", KEYSTONE_PASSWORD);
        let (ok, output) = run(directory.path(), &["check-config"], &Told { file: &file, ..Told::default() });
        Needles::new(&[KEYSTONE_PASSWORD]).check(text, &output);
        assert!(!ok, "{text}");
    }
    // Files that are not what they should be, with a key's beginning in one of them.
    let key = directory.path().join("key.pem");
    std::fs::write(
        &key,
        format!("-----BEGIN PRIVATE KEY-----\n{KEYSTONE_PASSWORD}\n-----END PRIVATE KEY-----\n"),
    )
    .unwrap();
    let certificate = Authority::new("ours").unwrap().issue(&["127.0.0.1"]).unwrap();
    let (certificate, _) = certificate.write(directory.path(), "server").unwrap();
    let (key, certificate) = (key.display(), certificate.display());
    for text in [
        format!("[metric_api]\ntls_cert_file = '{certificate}'\ntls_key_file = '{key}'"),
        format!("[metric_api]\ntls_cert_file = '{key}'"),
        format!("[index]\nurl = 'postgresql://h/d?sslmode=require&sslcert={certificate}&sslkey={key}'"),
        format!("[index]\nurl = 'postgresql://h/d?sslmode=verify-ca&sslrootcert={key}'"),
        format!("[index]\nurl_file = '{key}'"),
        format!(
            "[metric_api]\nauth_mode = 'keystone'\n[keystone_authtoken]\nauth_url = 'http://h'\nusername = 'u'\n\
             default_domain_id = 'd'\npassword = 'p'\ncertfile = '{certificate}'\nkeyfile = '{key}'"
        ),
    ] {
        let (ok, output) = run(directory.path(), &["check-config"], &Told { file: &text, ..Told::default() });
        Needles::new(&[KEYSTONE_PASSWORD]).check(&text, &output);
        assert!(!ok, "{text}");
    }
    let flag = format!("keystone_authtoken.password:{KEYSTONE_PASSWORD}");
    let (ok, output) = run(directory.path(), &["check-config"], &Told { set: &[&flag], ..Told::default() });
    Needles::new(&[KEYSTONE_PASSWORD]).check("--set without =", &output);
    assert!(!ok);
}

/// Keys whose name says that they hold a secret, by section.
fn secret_keys() -> Vec<String> {
    let documented: toml::Table = include_str!("../../../../doc/nephometer.toml").parse().unwrap();
    let mut keys = Vec::new();
    for (section, table) in &documented {
        for (key, value) in table.as_table().unwrap() {
            let is_secret = ["password", "secret", "token"].iter().any(|end| key.ends_with(end));
            if value.is_str() && is_secret {
                keys.push(format!("{section}.{key}"));
            }
        }
    }
    assert!(keys.len() >= 4, "{keys:?}");
    keys
}

#[test]
fn the_configuration_is_shown_without_secrets_wherever_they_come_from() {
    let directory = tempfile::tempdir().unwrap();
    let needles = Needles::new(&[KEYSTONE_PASSWORD, INDEX_PASSWORD]);
    let keys = secret_keys();
    let url = format!("postgresql://u:{INDEX_PASSWORD}@h/d?sslmode=require");
    let set: Vec<_> = keys.iter().map(|key| format!("{key}={KEYSTONE_PASSWORD}")).collect();
    let set: Vec<_> = set.iter().map(String::as_str).collect();
    let names: Vec<_> =
        keys.iter().map(|key| format!("NEPHOMETER__{}", key.to_uppercase().replace('.', "__"))).collect();
    let mut env: Vec<_> = names.iter().map(|name| (name.as_str(), KEYSTONE_PASSWORD)).collect();
    env.push(("NEPHOMETER__INDEX__URL", &url));
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for key in &keys {
        let (section, name) = key.split_once('.').unwrap();
        sections.entry(section).or_default().push_str(&format!("{name} = \"{KEYSTONE_PASSWORD}\"\n"));
    }
    let file: String = sections.iter().map(|(name, lines)| format!("[{name}]\n{lines}")).collect();
    for told in [
        Told { set: &set, ..Told::default() },
        Told { env: &env, ..Told::default() },
        Told { file: &file, ..Told::default() },
    ] {
        let (ok, output) = run(directory.path(), &["config", "show"], &told);
        let text = String::from_utf8_lossy(&output).into_owned();
        assert!(ok && text.matches("\"(secret)\"").count() == keys.len(), "{text}");
        needles.check("config show", &output);
        if !told.env.is_empty() {
            assert!(text.contains("url = \"postgresql://u:(secret)@h/d?sslmode=require\""), "{text}");
        }
    }
    let old = format!(
        "[indexer]\nurl = postgresql://u:{INDEX_PASSWORD}@h/d\n[keystone_authtoken]\npassword = {KEYSTONE_PASSWORD}\n\
         token = {KEYSTONE_PASSWORD}\nadmin_password = {KEYSTONE_PASSWORD}\n[storage]\ns3_secret_access_key = \
         {KEYSTONE_PASSWORD}\nredis_url = redis://:{KEYSTONE_PASSWORD}@h\n"
    );
    let path = directory.path().join("gnocchi.conf");
    std::fs::write(&path, old).unwrap();
    let (ok, output) = run(directory.path(), &["config", "import", path.to_str().unwrap()], &Told::default());
    assert!(ok);
    needles.check("config import", &output);
}

/// What a caller sends: method and path, headers, body.
type Sent = (&'static str, Vec<(&'static str, String)>, String);

/// What callers show, most of it wrong.
fn requests() -> Vec<Sent> {
    let basic = |user: &str| {
        let pair = format!("{user}:{BASIC_PASSWORD}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    let token = |token: &str| vec![("X-Auth-Token", token.to_owned())];
    let both = |token: &str, service: &str| {
        vec![("X-Auth-Token", token.to_owned()), ("X-Service-Token", service.to_owned())]
    };
    vec![
        ("GET /v1/metric", token(USER_TOKEN), String::new()),
        ("GET /v1/metric", token(UNKNOWN_TOKEN), String::new()),
        ("GET /v1/nowhere", token(UNKNOWN_TOKEN), String::new()),
        ("GET /v1/metric", both(USER_TOKEN, OTHER_SERVICE_TOKEN), String::new()),
        ("GET /v1/metric", both(USER_TOKEN, &format!("{OTHER_SERVICE_TOKEN}\u{e9}")), String::new()),
        ("GET /v1/metric", token(&format!("{UNKNOWN_TOKEN} {UNKNOWN_TOKEN}")), String::new()),
        ("GET /v1/metric", vec![("Authorization", basic("admin"))], String::new()),
        ("GET /v1/metric", vec![("Authorization", format!("Bearer {USER_TOKEN}"))], String::new()),
        ("GET /v1/metric", vec![("Authorization", format!("Basic {BASIC_PASSWORD}!"))], String::new()),
        ("POST /v1/metric", both(USER_TOKEN, USER_TOKEN), "{\"archive_policy_name\": \"low\"}".to_owned()),
        (
            "POST /v1/metric",
            vec![("Authorization", basic("admin"))],
            "{\"archive_policy_name\": \"low\"}".to_owned(),
        ),
        ("POST /v1/metric", token(USER_TOKEN), "{\"archive_policy_name\": ".to_owned()),
        ("POST /v1/batch/metrics/measures", token(USER_TOKEN), "{\"x\": [{}]}".to_owned()),
        (
            "POST /v1/nowhere",
            vec![("Authorization", basic("jd")), ("Cookie", USER_TOKEN.to_owned())],
            String::new(),
        ),
        ("PATCH /v1/resource/generic/x", token(USER_TOKEN), "[]".to_owned()),
    ]
}

/// Sends every request, over both versions of HTTP, with a secret in the query too; no answer repeats a header.
fn send_all(server: &Server, needles: &Needles) {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (what, headers, body) in requests() {
        let given: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        needles.check(what, &ask(&server.metric_api, what, &given, &body));
        let (method, path) = what.split_once(' ').unwrap();
        let with_query = format!("{what}?token={IN_QUERY}&limit={IN_QUERY}");
        ask(&server.metric_api, &with_query, &given, &body);
        let url = format!("http://{}{path}?token={IN_QUERY}", server.metric_api);
        let mut request =
            http::Request::builder().method(method).uri(url).header("content-type", "application/json");
        for (name, value) in &headers {
            request = request.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = runtime.block_on(async {
            let answer = client.request(request).await.unwrap();
            let head = format!("{:?}", answer.headers());
            [head.as_bytes(), &answer.into_body().collect().await.unwrap().to_bytes()].concat()
        });
        needles.check(&format!("{what} over HTTP/2"), &answer);
    }
    for path in ["/status", "/metrics"] {
        needles.check(
            path,
            &ask(&server.admin, &format!("GET {path}?x={IN_QUERY}"), &[("X-Auth-Token", USER_TOKEN)], ""),
        );
    }
}

const ALL: [&str; 8] = [
    INDEX_PASSWORD,
    KEYSTONE_PASSWORD,
    SERVICE_TOKEN,
    USER_TOKEN,
    UNKNOWN_TOKEN,
    OTHER_SERVICE_TOKEN,
    BASIC_PASSWORD,
    IN_QUERY,
];

#[test]
fn a_server_with_basic_authentication_keeps_no_password() {
    let needles = Needles::new(&ALL);
    for logs in LOGS {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &Told { set: logs, ..Told::default() });
        send_all(&server, &needles);
        let (ok, shown) = run(directory.path(), &["status", "--json"], &Told::default());
        assert!(ok);
        needles.check("status", &shown);
        needles.check_files(&directory.path().join("data"));
        needles.check("the log", &server.stop());
        needles.check_files(directory.path());
    }
}

#[test]
fn a_server_with_keystone_shows_no_token_and_no_password_whatever_keystone_answers() {
    let needles = Needles::new(&ALL);
    for logs in LOGS {
        let cloud = Cloud::start(SERVICE_TOKEN, USER_TOKEN);
        let auth_url = format!("keystone_authtoken.auth_url={}", cloud.url);
        let own = [
            auth_url.as_str(),
            "metric_api.auth_mode=keystone",
            "keystone_authtoken.username=nephometer",
            "keystone_authtoken.default_domain_id=default",
            "keystone_authtoken.http_request_max_retries=0",
            "keystone_authtoken.token_cache_time=0",
        ];
        let set = [logs, &own].concat();
        for first in [Mood::Works, Mood::Refuses, Mood::Breaks, Mood::HangsUp] {
            let directory = tempfile::tempdir().unwrap();
            let env = [("NEPHOMETER__KEYSTONE_AUTHTOKEN__PASSWORD", KEYSTONE_PASSWORD)];
            let told = Told { set: &set, env: &env, ..Told::default() };
            cloud.now(first);
            let server = Server::start(directory.path(), &told);
            server.until_it_says(if first == Mood::Works {
                "signed in to Keystone"
            } else {
                "Keystone cannot be asked"
            });
            let moods = match first {
                Mood::Works => vec![Mood::Works, Mood::Forbids, Mood::Babbles, Mood::Breaks, Mood::HangsUp],
                other => vec![other],
            };
            for mood in moods {
                cloud.now(mood);
                let answer = ask(&server.metric_api, "GET /v1/metric", &[("X-Auth-Token", USER_TOKEN)], "");
                assert_eq!(status(&answer), if mood == Mood::Works { 200 } else { 503 }, "{mood:?}");
                send_all(&server, &needles);
                let (ok, shown) = run(directory.path(), &["status"], &told);
                assert!(ok);
                needles.check(&format!("status, {mood:?}"), &shown);
            }
            let log = server.stop();
            needles.check(&format!("the log, {first:?}"), &log);
            let repeats = matches!(first, Mood::Works | Mood::Refuses);
            assert!(
                !repeats || String::from_utf8_lossy(&log).contains("(secret)"),
                "Keystone's words are told"
            );
            needles.check_files(directory.path());
        }
    }
}

#[test]
fn a_server_with_postgresql_shows_no_password() {
    let authority = Authority::new("ours").unwrap();
    let certificate = authority.issue(&["127.0.0.1"]).unwrap();
    let cluster = Postgres::start_with(&PostgresTls {
        certificate: certificate.certificate,
        key: certificate.key,
        client_authority: authority.pem(),
        hba: "host all nobody 127.0.0.1/32 scram-sha-256\nhost all clear 127.0.0.1/32 password".to_owned(),
    })
    .unwrap();
    for role in ["nobody", "clear"] {
        cluster.sql(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{INDEX_PASSWORD}'")).unwrap();
    }
    let needles = Needles::new(&ALL);
    for (logs, role) in LOGS.into_iter().zip(["nobody", "clear"]) {
        let directory = tempfile::tempdir().unwrap();
        let database = cluster.fresh_database().unwrap();
        let address = |password: &str| {
            let role = format!("{role}{password}@");
            format!("{}?sslmode=require", database.replace("nephometer@", &role))
        };
        let (with, without) = (address(&format!(":{INDEX_PASSWORD}")), address(""));
        let files = tempfile::tempdir().unwrap();
        let (url_file, password_file) = (files.path().join("url"), files.path().join("password"));
        std::fs::write(&url_file, format!("{with}\n")).unwrap();
        std::fs::write(&password_file, format!("{INDEX_PASSWORD}\n")).unwrap();
        let url_file = format!("index.url_file={}", url_file.display());
        let password_file = format!("index.password_file={}", password_file.display());
        let (with, without) = (format!("index.url={with}"), format!("index.url={without}"));
        let own: [&[&str]; 3] = [&[&with], &[&url_file], &[&without, &password_file]];
        for own in own {
            let set = [logs, own].concat();
            let told = Told { set: &set, ..Told::default() };
            let (ok, output) = run(directory.path(), &["check-config"], &told);
            assert!(ok, "{}", String::from_utf8_lossy(&output));
            needles.check("check-config", &output);
            let server = Server::start(directory.path(), &told);
            send_all(&server, &needles);
            needles.check("the log", &server.stop());
            needles.check_files(directory.path());
        }
        // A password that is wrong, or missing; a database that is not there.
        let wrong = format!("index.url={}", address(&format!(":{INDEX_PASSWORD}x")));
        let nowhere = with.replace("/test_", &format!("/{IN_QUERY}_"));
        for (own, expected) in [
            (&wrong, "check user and password"),
            (&without, "wants a password"),
            (&nowhere, "CREATE DATABASE"),
        ] {
            let set = [logs, &[own.as_str()]].concat();
            let (ok, output) = run(directory.path(), &["serve"], &Told { set: &set, ..Told::default() });
            let text = String::from_utf8_lossy(&output);
            assert!(!ok && text.contains(expected), "{text}");
            Needles::new(&[INDEX_PASSWORD]).check("serve", &output);
        }
    }
}
