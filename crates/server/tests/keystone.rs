//! The built program with a real Keystone, as clients of the cloud meet it. Ignored where nobody asked for one:
//! `./test keystone` runs these, and so does `cargo test -p nephometer-server --test keystone -- --ignored`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nephometer_openstack::keystone::{Request, Scope};
use nephometer_testkit::keystone::Keystone;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");

/// A running server that asks Keystone who its callers are; killed when the test ends.
struct Server {
    child: Child,
    directory: tempfile::TempDir,
    address: String,
    alarm_api: String,
}

impl Server {
    fn start(auth_url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        let mut child = command("serve", &data_dir, auth_url).stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !greeting.contains("Next:") {
            assert!(lines.read_line(&mut greeting).unwrap() > 0, "the server ended: {greeting}");
        }
        assert!(greeting.contains("openstack metric"), "{greeting}");
        let run: Value = serde_json::from_slice(&std::fs::read(data_dir.join("run.json")).unwrap()).unwrap();
        let address = |api: &str| run[api].as_str().unwrap().to_owned();
        let (address, alarm_api) = (address("metric_api"), address("alarm_api"));
        Self { child, directory, address, alarm_api }
    }

    fn status(&self, auth_url: &str) -> Value {
        let data_dir = self.directory.path().join("data");
        let output = command("status", &data_dir, auth_url).arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Head and body of the answer to a request with `headers`.
    async fn request(&self, what: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
        request(&self.address, what, headers, body).await
    }

    /// Status and JSON of the answer to a request with a token.
    async fn with_token(&self, what: &str, token: &str, body: &Value) -> (u16, Value) {
        with_token(&self.address, what, token, body).await
    }

    /// The same at the alarm API.
    async fn alarm(&self, what: &str, token: &str, body: &Value) -> (u16, Value) {
        with_token(&self.alarm_api, what, token, body).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(subcommand: &str, data_dir: &Path, auth_url: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(subcommand).env_remove("NEPHOMETER_CONFIG");
    command.env("NEPHOMETER__KEYSTONE_AUTHTOKEN__PASSWORD", "pw-nephometer");
    let data_dir = format!("storage.data_dir={}", data_dir.display());
    let auth_url = format!("keystone_authtoken.auth_url={auth_url}");
    for setting in [
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.enabled=false",
        "self_monitoring.enabled=false",
        "metric_api.auth_mode=keystone",
        "keystone_authtoken.username=nephometer",
        "keystone_authtoken.project_name=service",
        "keystone_authtoken.default_domain_name=Default",
        "keystone_authtoken.interface=public",
        "keystone_authtoken.http_request_max_retries=0",
        "keystone_authtoken.www_authenticate_uri=http://keystone.example/v3",
        &data_dir,
        &auth_url,
    ] {
        command.args(["--set", setting]);
    }
    command
}

async fn request(address: &str, what: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn with_token(address: &str, what: &str, token: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (head, body) = request(address, what, &[("X-Auth-Token", token)], &body).await;
    (status_of(&head), serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn status_of(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn who_has_no_valid_token_is_told_where_to_get_one() {
    let keystone = Keystone::shared().unwrap();
    let server = Server::start(keystone.url.as_str());
    let forged = [
        ("X-User-Id", "root"),
        ("X-Roles", "admin"),
        ("X-Project-Id", "p"),
        ("X-Identity-Status", "Confirmed"),
        ("Authorization", "basic YWRtaW46"),
    ];
    for headers in [&[][..], &[("X-Auth-Token", "gAAAAABnotatoken")], &forged] {
        let (head, body) = server.request("GET /v1/metric", headers, "").await;
        assert_eq!(status_of(&head), 401, "{head}");
        let head = head.to_lowercase();
        assert!(head.contains("www-authenticate: keystone uri=\"http://keystone.example/v3\"\r\n"), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        assert_eq!(
            body,
            "{\"error\": {\"code\": 401, \"title\": \"Unauthorized\", \"message\": \"The request you have made \
             requires authentication.\"}}"
        );
    }
    let (head, _) = server.request("GET /healthcheck", &[], "").await;
    assert_eq!(status_of(&head), 200);
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn projects_see_their_own() {
    let keystone = Keystone::shared().unwrap();
    let server = Server::start(keystone.url.as_str());
    let mut tokens = std::collections::BTreeMap::new();
    for user in ["a-reader", "a-member", "b-member", "c-admin"] {
        tokens.insert(user, keystone.token(user, &user[..1]).await.unwrap());
    }
    tokens.insert("nova", keystone.token("nova", "service").await.unwrap());
    let system = keystone.session("system-reader", Scope::System).unwrap();
    tokens.insert("system-reader", system.signed_in().await.unwrap().token.clone());
    let ask =
        async |user: &str, what: &str| server.with_token(what, tokens[user].expose(), &Value::Null).await;
    let project = &keystone.projects["a"];
    let body = json!({"id": "vm", "project_id": project, "metrics": {"cpu": {"archive_policy_name": "low"}}});
    let (status, made) =
        server.with_token("POST /v1/resource/generic", tokens["a-member"].expose(), &body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["creator"], format!("{}:{project}", keystone.users["a-member"]));
    let (vm, cpu) = (made["id"].as_str().unwrap(), made["metrics"]["cpu"].as_str().unwrap());
    let measures = format!("/v1/metric/{cpu}/measures");
    let point = json!([{"timestamp": "2026-11-20T12:00:00", "value": 1}]);
    for (user, expected) in
        [("a-member", 202), ("a-reader", 202), ("b-member", 403), ("nova", 202), ("c-admin", 202)]
    {
        let what = format!("POST {measures}");
        let (status, answer) = server.with_token(&what, tokens[user].expose(), &point).await;
        assert_eq!(status, expected, "{user}: {answer}");
    }
    for (user, resource, reading, count) in [
        ("a-member", 200, 200, 1),
        ("a-reader", 200, 200, 1),
        ("b-member", 404, 403, 0),
        ("nova", 404, 200, 0),
        ("c-admin", 200, 200, 1),
    ] {
        assert_eq!(ask(user, &format!("GET /v1/resource/generic/{vm}")).await.0, resource, "{user}");
        assert_eq!(ask(user, &format!("GET {measures}")).await.0, reading, "{user}");
        for list in ["GET /v1/resource/generic", "GET /v1/metric"] {
            let (status, rows) = ask(user, list).await;
            assert_eq!((status, rows.as_array().unwrap().len()), (200, count), "{user} {list}: {rows}");
        }
    }
    for path in [&format!("/v1/resource/generic/{vm}"), "/v1/resource/generic", "/v1/metric", &measures] {
        assert_eq!(
            ask("system-reader", &format!("GET {path}")).await.0,
            403,
            "who is in no project owns nothing"
        );
    }
    assert_eq!(ask("a-member", "GET /v1/status").await.0, 403);
    assert_eq!(ask("c-admin", "GET /v1/status").await.0, 200);
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn alarms_are_their_projects_and_act_by_trusts_of_their_owners() {
    let keystone = Keystone::shared().unwrap();
    let server = Server::start(keystone.url.as_str());
    let (head, _) = request(&server.alarm_api, "GET /v2/alarms", &[], "").await;
    assert_eq!(status_of(&head), 401, "{head}");
    let mut tokens = std::collections::BTreeMap::new();
    for user in ["a-reader", "a-member", "b-member", "c-admin"] {
        tokens.insert(user, keystone.token(user, &user[..1]).await.unwrap());
    }
    let ask =
        async |user: &str, what: &str, body: &Value| server.alarm(what, tokens[user].expose(), body).await;
    let trusts = async |user: &str| {
        let (id, admin) = (&keystone.users[user], keystone.admin().unwrap());
        let list =
            Request::new(http::Method::GET, "identity", "/OS-TRUST/trusts").query("trustor_user_id", id);
        let list: Value = serde_json::from_slice(&admin.request(&list).await.unwrap().body).unwrap();
        list["trusts"].as_array().unwrap().len()
    };
    let alarm = json!({
        "name": "a",
        "type": "event",
        "event_rule": {"event_type": "image.update"},
        "alarm_actions": ["trust+http://receiver.example/hook"],
    });
    assert_eq!(ask("a-reader", "POST /v2/alarms", &alarm).await.0, 403);
    let (status, made) = ask("a-member", "POST /v2/alarms", &alarm).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["project_id"], &made["alarm_actions"]),
        (&json!(keystone.projects["a"]), &alarm["alarm_actions"])
    );
    assert_eq!(trusts("a-member").await, 1);
    let one = format!("/v2/alarms/{}", made["alarm_id"].as_str().unwrap());
    for (user, shown, listed) in [("a-reader", 200, 1), ("b-member", 404, 0), ("c-admin", 200, 0)] {
        assert_eq!(ask(user, &format!("GET {one}"), &Value::Null).await.0, shown, "{user}");
        let (status, list) = ask(user, "GET /v2/alarms", &Value::Null).await;
        assert_eq!((status, list.as_array().unwrap().len()), (200, listed), "{user}: {list}");
    }
    assert_eq!(ask("a-member", &format!("PUT {one}"), &made).await.1["alarm_id"], made["alarm_id"]);
    assert_eq!(trusts("a-member").await, 1, "the trust is kept");
    assert_eq!(ask("c-admin", &format!("DELETE {one}"), &Value::Null).await.0, 204);
    assert_eq!(trusts("a-member").await, 0, "nobody needs the trust any more");
    let search = json!({
        "name": "search",
        "type": "gnocchi_aggregation_by_resources_threshold",
        "gnocchi_aggregation_by_resources_threshold_rule": {
            "metric": "cpu", "query": "{\"=\": {\"id\": \"vm\"}}", "resource_type": "generic", "threshold": 1,
            "aggregation_method": "mean",
        },
    });
    let (status, made) = ask("a-member", "POST /v2/alarms", &search).await;
    assert_eq!(status, 201, "{made}");
    let query = made["gnocchi_aggregation_by_resources_threshold_rule"]["query"].as_str().unwrap();
    for project in [&keystone.projects["a"], &keystone.projects["service"]] {
        assert!(query.contains(project.as_str()), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Keystone: ./test keystone"]
async fn a_thousand_requests_with_a_new_token_ask_once_and_keystone_may_go_away() {
    let keystone = Keystone::start(3600).unwrap();
    let auth_url = keystone.url.to_string();
    let server = Arc::new(Server::start(&auth_url));
    let token = keystone.token("a-member", "a").await.unwrap();
    let calls = || keystone.requests("GET /v3/auth/tokens").unwrap();
    let before = calls();
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let (server, token) = (Arc::clone(&server), token.clone());
            tokio::spawn(
                async move { server.with_token("GET /v1/metric", token.expose(), &Value::Null).await.0 },
            )
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(calls() - before, 1);
    let status = server.status(&auth_url);
    let figures = &status["keystone"];
    assert_eq!((&figures["is_reachable"], &figures["upstream_calls"]), (&json!(true), &json!(1)), "{status}");
    let counted = figures["cache_hits"].as_u64().unwrap() + figures["cache_misses"].as_u64().unwrap();
    assert_eq!(counted, 1000, "{status}");
    let unknown = keystone.token("b-member", "b").await.unwrap();
    drop(keystone);
    let (head, _) = server.request("GET /v1/metric", &[("X-Auth-Token", unknown.expose())], "").await;
    assert_eq!(status_of(&head), 503, "{head}");
    assert!(head.to_lowercase().contains("\r\nretry-after: "), "{head}");
    assert_eq!(server.with_token("GET /v1/metric", token.expose(), &Value::Null).await.0, 200);
    assert_eq!(server.status(&auth_url)["keystone"]["is_reachable"], json!(false));
}

#[tokio::test]
async fn a_server_starts_without_keystone() {
    // Port 1 is nobody's.
    let server = Server::start("http://127.0.0.1:1/v3");
    let (head, _) = server.request("GET /v1/metric", &[("X-Auth-Token", "t")], "").await;
    assert_eq!(status_of(&head), 503, "{head}");
    let (head, _) = server.request("GET /v1/metric", &[], "").await;
    assert_eq!(status_of(&head), 401, "nobody needs to be asked about no token: {head}");
    let status = server.status("http://127.0.0.1:1/v3");
    assert_eq!(status["keystone"]["is_reachable"], json!(false), "{status}");
}

/// OpenStack's own client as a user of the cloud runs it.
struct Client<'a> {
    program: PathBuf,
    keystone: &'a Keystone,
}

impl Client<'_> {
    /// What a command shows, as JSON.
    fn run(&self, user: &str, arguments: &[&str]) -> Value {
        let said = self.say(user, &[arguments, &["-f", "json"]].concat());
        serde_json::from_str(&said).unwrap()
    }

    fn say(&self, user: &str, arguments: &[&str]) -> String {
        let output = Command::new(&self.program)
            .arg("metric")
            .args(arguments)
            .env("OS_AUTH_URL", self.keystone.url.as_str())
            .env("OS_IDENTITY_API_VERSION", "3")
            .env("OS_USERNAME", user)
            .env("OS_PASSWORD", format!("pw-{user}"))
            .env("OS_USER_DOMAIN_NAME", "Default")
            .env("OS_PROJECT_NAME", &user[..1])
            .env("OS_PROJECT_DOMAIN_NAME", "Default")
            .output()
            .unwrap();
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{user} {arguments:?}: {said}{complained}");
        said.into_owned()
    }
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn openstack_metric_from_end_to_end() {
    let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let output = Command::new(conformance.join("venv")).arg("gnocchi").output().unwrap();
    let environment = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let keystone = Keystone::start(3600).unwrap();
    let server = Server::start(keystone.url.as_str());
    keystone.add_endpoint("metric", &format!("http://{}", server.address)).await.unwrap();
    let client = Client { program: environment.join("bin/openstack"), keystone: &keystone };
    let made = client.run("a-member", &["resource", "create", "vm", "--create-metric", "cpu:low"]);
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["created_by_project_id"].as_str(), keystone.projects.get("a").map(String::as_str));
    let shown = client.run("a-member", &["show", "cpu", "--resource-id", &id]);
    let metric = shown["id"].as_str().unwrap().to_owned();
    let alone = client.run("a-member", &["create", "--archive-policy-name", "low", "alone"]);
    assert!(alone["id"].is_string(), "{alone}");
    client.say("a-member", &["measures", "add", "-m", "2026-11-20T12:00:00@42", &metric]);
    let measures = client.run("a-member", &["measures", "show", "--aggregation", "mean", &metric]);
    assert!(measures.as_array().unwrap().iter().any(|row| row["value"] == json!(42.0)), "{measures}");
    for (user, rows) in [("a-member", 1), ("a-reader", 1), ("b-member", 0), ("c-admin", 1)] {
        let resources = client.run(user, &["resource", "list"]);
        assert_eq!(resources.as_array().map(Vec::len), Some(rows), "{user}: {resources}");
        let metrics = client.run(user, &["list"]);
        assert!(
            metrics.as_array().is_some_and(|metrics| (metrics.is_empty()) == (rows == 0)),
            "{user}: {metrics}"
        );
    }
}
