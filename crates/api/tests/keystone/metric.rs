//! The metric API under the matrix: things of tenant `a` with planted texts and values, and a few of tenant `b`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nephometer_api::gnocchi;
use nephometer_testkit::app::TestApp;
use serde_json::{Value, json};

use crate::callers::Callers;
use crate::matrix::{Api, Building, Operation};
use crate::remote_write;
use crate::world::{Question, Tenants, World};

/// A second.
const SECOND_NS: i64 = 1_000_000_000;
/// What a resource is called that somebody with the role of an administrator has made for project `a`.
const GIVEN: &str = "5ca1ab1e-0000-4000-8000-00000000000a";
/// The same of one that InfluxDB's lines have made.
const LINES: &str = "5ca1ab1e-0000-4000-8000-00000000000b";
/// The same of one that nobody has made yet.
const FRESH: &str = "5ca1ab1e-0000-4000-8000-00000000000c";

pub(crate) fn api() -> Api {
    let operation = |route: gnocchi::Route| Operation {
        route: format!("{} {}", route.method, route.path),
        promised: gnocchi::statuses(&route),
    };
    Api {
        operations: gnocchi::routes().into_iter().map(operation).collect(),
        table: include_str!("metric.toml"),
        // Upstream's rules have neither scopes nor earlier defaults that differ.
        rule_sets: &["upstream's"],
        world: |callers, tenants, _| Box::pin(build(callers, tenants, "")),
    }
}

/// The same under rules that let everybody read metrics and search resources, and write.
pub(crate) fn open_api() -> Api {
    const OPEN: &str = "{\"get metric\": \"@\", \"search resource\": \"@\", \"post measures\": \"@\"}";
    let world = |callers, tenants, _: &'static str| -> Building { Box::pin(build(callers, tenants, OPEN)) };
    Api { world, ..api() }
}

/// A world that is being made.
struct Making {
    world: World,
    app: Arc<TestApp>,
    callers: Arc<Callers>,
}

/// A world with these tenants; `rules` is what an operator's file of rules says.
async fn build(callers: Arc<Callers>, tenants: Tenants, rules: &str) -> World {
    let builder = TestApp::builder().authenticator(Arc::clone(&callers.authenticator)).rules(rules).unwrap();
    let app = Arc::new(builder.start().await.unwrap());
    let world = World {
        router: app.router.clone(),
        names: BTreeMap::new(),
        bodies: BTreeMap::from([("remote-write", remote_write::body("node", "h:1", "up", 1.0, 9))]),
        planted: Vec::new(),
        watched: Vec::new(),
        watched_by_a: Vec::new(),
        _keeps: Box::new(Arc::clone(&app)),
    };
    let mut making = Making { world, app, callers };
    making.common().await;
    making.tenant_b().await;
    making.app.clock.advance_ns(SECOND_NS);
    if tenants == Tenants::Both {
        making.tenant_a().await;
    }
    making.app.clock.advance_ns(60 * SECOND_NS);
    making.watch();
    making.world
}

impl Making {
    async fn make(&self, who: &str, what: &str, body: Value, status: u16) -> Value {
        let (method, path) = what.split_once(' ').unwrap();
        let question = Question::json(method, path, &body);
        self.world.ask(self.callers.named(who), &question).await.expect(status)
    }

    fn name(&mut self, name: &str, id: &Value) {
        self.world.names.insert(name.to_owned(), id.as_str().unwrap().to_owned());
    }

    /// Names a resource, and its metrics by their names.
    fn name_resource(&mut self, name: &str, made: &Value) {
        self.name(name, &made["id"]);
        for (metric, id) in made["metrics"].as_object().unwrap() {
            self.name(&format!("{name}.{metric}"), id);
        }
    }

    /// What the administrator has made, and who the callers are.
    async fn common(&mut self) {
        let policy = |name: &str| json!({"name": name, "definition": [{"granularity": 60, "points": 100}]});
        for (what, body) in [
            ("POST /v1/archive_policy", policy("p")),
            ("POST /v1/archive_policy", policy("spare")),
            (
                "POST /v1/archive_policy_rule",
                json!({"name": "all", "metric_pattern": "*", "archive_policy_name": "p"}),
            ),
            (
                "POST /v1/archive_policy_rule",
                json!({"name": "spare", "metric_pattern": "spare.*", "archive_policy_name": "p"}),
            ),
            (
                "POST /v1/resource_type",
                json!({"name": "vm", "attributes": {"flavor": {"type": "string", "required": false}}}),
            ),
            ("POST /v1/resource_type", json!({"name": "spare"})),
            ("POST /v1/resource_type", json!({"name": "telegraf"})),
            (
                "POST /v1/resource_type",
                json!({"name": "prometheus", "attributes": {"job": {"type": "string"},
                    "instance": {"type": "string"}}}),
            ),
        ] {
            self.make("admin", what, body, 201).await;
        }
        let keystone = self.callers.keystone;
        for (name, id) in [
            ("a", &keystone.projects["a"]),
            ("b", &keystone.projects["b"]),
            ("a-member", &keystone.users["a-member"]),
        ] {
            self.name(name, &json!(id));
        }
        self.name("fresh", &json!(FRESH));
    }

    async fn tenant_b(&mut self) {
        let body = json!({"id": "b-vm", "project_id": self.callers.keystone.projects["b"], "flavor": "small",
            "metrics": {"cpu": {"archive_policy_name": "p"}}});
        let made = self.make("stranger", "POST /v1/resource/vm", body, 201).await;
        self.name_resource("theirs", &made);
        self.measure("stranger", "theirs", 7.0).await;
    }

    /// A measure of a resource's metric `cpu`, by the names of both, which also leaves the metric in the cache.
    async fn measure(&self, who: &str, resource: &str, value: f64) {
        let path = format!("POST /v1/resource/vm/{}/metric/cpu/measures", self.world.names[resource]);
        self.make(who, &path, json!([{"timestamp": "2026-01-01T00:00:00", "value": value}]), 202).await;
    }

    /// Things of project `a`: `own` is a member's, with a past; `given` an administrator has made for the project, as
    /// agents do; `lone` is a metric without a resource; `lines` came by InfluxDB's protocol.
    async fn tenant_a(&mut self) {
        let project = self.callers.keystone.projects["a"].clone();
        let vm = |id: &str, metrics: Value| json!({"id": id, "project_id": project, "user_id": "planted-user", "flavor": "planted-past", "metrics": metrics});
        let cpu = json!({"archive_policy_name": "p", "unit": "planted-unit"});
        let body = vm("planted-original", json!({"cpu": cpu, "planted-metric": cpu}));
        let own = self.make("member", "POST /v1/resource/vm", body, 201).await;
        self.name_resource("own", &own);
        let body = vm(GIVEN, json!({"cpu": {"archive_policy_name": "p"}}));
        let given = self.make("admin", "POST /v1/resource/vm", body, 201).await;
        self.name_resource("given", &given);
        let path = format!("PATCH /v1/resource/vm/{}", self.world.names["own"]);
        self.make("member", &path, json!({"flavor": "planted-present"}), 200).await;
        let body = json!({"name": "planted-lone", "archive_policy_name": "p"});
        let lone = self.make("member", "POST /v1/metric", body, 201).await;
        self.name("lone", &lone["id"]);
        self.measure("member", "own", 31337.25).await;
        self.measure("admin", "given", 31337.5).await;
        let path = format!("/v1/metric/{}/measures", self.world.names["lone"]);
        let point = json!([{"timestamp": "2026-01-01T00:00:00", "value": 31337.75}]);
        self.make("member", &format!("POST {path}"), point, 202).await;
        self.lines().await;
        self.plant();
    }

    async fn lines(&mut self) {
        let line = format!("m,host={LINES} planted=31338.5 1767225600000000000");
        let mut question = Question::json("POST", "/v1/influxdb/write?db=telegraf", &Value::Null);
        question.body = line.into();
        self.world.ask(self.callers.named("member"), &question).await.expect(204);
        let path = format!("GET /v1/resource/telegraf/{LINES}");
        let lines = self.make("member", &path, Value::Null, 200).await;
        self.name("lines", &lines["id"]);
        self.name("lines.m", &lines["metrics"]["m.planted"]);
    }

    fn plant(&mut self) {
        let texts = ["planted-", "31337.", "31338.5"].map(str::to_owned);
        let shared = ["b", "fresh", "theirs", "theirs.cpu"];
        let ids = self.world.names.iter().filter(|(name, _)| !shared.contains(&name.as_str()));
        self.world.planted = texts.into_iter().chain(ids.map(|(_, id)| id.clone())).collect();
    }

    fn watch(&mut self) {
        let lists = [
            "/v1/resource/generic?history=true&details=true",
            "/v1/metric",
            "/v1/archive_policy",
            "/v1/archive_policy_rule",
            "/v1/resource_type",
        ];
        let measures = |metric: &str| {
            let id = self.world.names.get(metric);
            id.map(|id| format!("/v1/metric/{id}/measures"))
        };
        let of_a = ["own.cpu", "given.cpu", "lone", "lines.m"].into_iter().filter_map(measures);
        let watched: Vec<_> = lists.map(str::to_owned).into_iter().chain(of_a).collect();
        self.world.watched = watched.iter().cloned().chain(measures("theirs.cpu")).collect();
        self.world.watched_by_a = watched;
    }
}
