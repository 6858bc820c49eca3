//! The alarm API under the matrix, by both sets of upstream's rules: alarms of tenant `a` with planted texts, and one of
//! tenant `b`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nephometer_api::aodh;
use nephometer_api::gnocchi::{self, GnocchiSettings, GnocchiState};
use nephometer_api::limits::{LimitSettings, Limits};
use nephometer_drivers::NewDelivery;
use nephometer_model::{AlarmCounts, AlarmId};
use nephometer_openstack::policy::{PolicyOptions, RuleSet};
use nephometer_testkit::alarm_app::AlarmApp;
use nephometer_testkit::app::START;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::callers::Callers;
use crate::matrix::{Api, Operation};
use crate::world::{Question, Tenants, World};

/// A minute.
const MINUTE_NS: i64 = 60_000_000_000;
/// A resource of project `a`, with a metric `cpu`.
const VM: &str = "5ca1ab1e-0000-4000-8000-00000000000a";
/// The rules that tell readers from members, and project's tokens from others'.
const TODAYS: &str = "today's";
/// The rules beside which those of earlier releases admit.
const LENIENT: &str = "lenient";

pub(crate) fn api() -> Api {
    let operation = |route: aodh::Route| Operation {
        route: format!("{} {}", route.method, route.path),
        promised: aodh::statuses(&route),
    };
    Api {
        operations: aodh::routes().into_iter().map(operation).collect(),
        table: include_str!("alarm.toml"),
        rule_sets: &[TODAYS, LENIENT],
        world: |callers, tenants, rules| Box::pin(build(callers, tenants, rules == TODAYS)),
    }
}

/// A world that is being made.
struct Making {
    world: World,
    app: Arc<AlarmApp>,
    callers: Arc<Callers>,
}

async fn build(callers: Arc<Callers>, tenants: Tenants, is_strict: bool) -> World {
    let options = PolicyOptions { enforce_scope: is_strict, enforce_new_defaults: is_strict };
    let builder = AlarmApp::builder().authenticator(Arc::clone(&callers.authenticator));
    let builder = builder.settings(|settings| settings.counts_evaluations = true);
    let app = Arc::new(builder.rules(options, "").unwrap().start().await.unwrap());
    let world = World {
        router: app.router.clone(),
        names: BTreeMap::new(),
        bodies: BTreeMap::new(),
        planted: Vec::new(),
        watched: Vec::new(),
        watched_by_a: Vec::new(),
        _keeps: Box::new(Arc::clone(&app)),
    };
    let mut making = Making { world, app, callers };
    making.common();
    making.tenant_b().await;
    making.app.clock.advance_ns(MINUTE_NS);
    if tenants == Tenants::Both {
        making.tenant_a().await;
    }
    making.app.clock.advance_ns(MINUTE_NS);
    making.watch();
    making.world
}

/// The body of a silence that lasts.
fn silence(comment: &str) -> Value {
    json!({"ends_at": "2026-02-01T00:00:00", "comment": comment})
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

    /// Who the callers are.
    fn common(&mut self) {
        let keystone = self.callers.keystone;
        for (name, id) in [
            ("a", &keystone.projects["a"]),
            ("b", &keystone.projects["b"]),
            ("a-member", &keystone.users["a-member"]),
        ] {
            self.name(name, &json!(id));
        }
    }

    /// Makes an alarm, and counts an evaluation of it.
    async fn alarm(&mut self, who: &str, name: &str, project: &str, body: Value) {
        let made = self.make(who, "POST /v2/alarms", body, 201).await;
        self.name(name, &made["alarm_id"]);
        let alarm_id = AlarmId(self.world.names[name].clone());
        let project_id = self.callers.keystone.projects[project].clone();
        let counts = AlarmCounts { alarm_id, project_id, insufficient_data: 1, ok: 2, alarm: 3 };
        self.app.store().count(vec![counts]).await.unwrap();
    }

    async fn quota(&self, project: &str, limit: u32) {
        let project = &self.callers.keystone.projects[project];
        let body = json!({"project_id": project, "quotas": [{"resource": "alarms", "limit": limit}]});
        self.make("admin", "POST /v2/quotas", body, 201).await;
    }

    async fn tenant_b(&mut self) {
        let body = json!({"name": "b's", "type": "event", "event_rule": {}});
        self.alarm("stranger", "theirs", "b", body).await;
        self.quota("b", 7).await;
        let made = self.make("stranger", "POST /v2/silences", silence("b's"), 201).await;
        self.name("their-hush", &made["silence_id"]);
    }

    /// Alarms of project `a`: `own` is a member's, with a past and a trust; `given` an administrator has made for the
    /// project.
    async fn tenant_a(&mut self) {
        let rule = json!({"metric": "planted-metric", "resource_id": "planted-resource", "resource_type": "generic",
                          "aggregation_method": "mean", "threshold": 31337.5});
        let body = json!({"name": "planted-past", "description": "planted-description",
            "type": "gnocchi_resources_threshold", "gnocchi_resources_threshold_rule": rule,
            "alarm_actions": ["http://planted-host/", "trust+http://planted-friend/"]});
        self.alarm("member", "own", "a", body.clone()).await;
        let path = format!("/v2/alarms/{}", self.world.names["own"]);
        let mut present = body;
        present["name"] = json!("planted-present");
        self.make("member", &format!("PUT {path}"), present, 200).await;
        self.make("member", &format!("PUT {path}/state"), json!("alarm"), 200).await;
        let project = &self.callers.keystone.projects["a"];
        let body = json!({"name": "planted-given", "type": "event", "project_id": project,
                          "event_rule": {"event_type": "planted-event"}});
        self.alarm("admin", "given", "a", body).await;
        self.quota("a", 31337).await;
        let made = self.make("member", "POST /v2/silences", silence("planted-comment"), 201).await;
        self.name("hush", &made["silence_id"]);
        self.dead_delivery().await;
        self.measured().await;
        self.plant();
    }

    /// A message of `own` that was given up.
    async fn dead_delivery(&self) {
        let message = NewDelivery {
            id: Uuid::from_u128(1),
            alarm_id: AlarmId(self.world.names["own"].clone()),
            project_id: Some(self.callers.keystone.projects["a"].clone()),
            action: "trust+http://trust1:delete@planted-friend/".to_owned(),
            payload: "{}".to_owned(),
            not_before: START,
            group: None,
        };
        self.app.store().add_deliveries(vec![message]).await.unwrap();
        assert_eq!(self.app.give_up_due("planted-error").await.unwrap(), 1);
    }

    /// A resource of project `a` with a metric and its measures, by the metric API.
    async fn measured(&mut self) {
        let state = GnocchiState {
            service: Arc::clone(&self.app.metrics),
            authenticator: Arc::clone(&self.callers.authenticator),
            enforcer: Arc::new(RuleSet::defaults()),
            limits: Arc::new(Limits::new(LimitSettings::default(), self.app.clock.clone())),
            settings: GnocchiSettings::default(),
        };
        let alarms = std::mem::replace(&mut self.world.router, gnocchi::router(state));
        let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 100}]});
        self.make("admin", "POST /v1/archive_policy", policy, 201).await;
        let body = json!({"id": VM, "project_id": self.callers.keystone.projects["a"],
                          "metrics": {"cpu": {"archive_policy_name": "p"}}});
        let vm = self.make("member", "POST /v1/resource/generic", body, 201).await;
        self.name("vm.cpu", &vm["metrics"]["cpu"]);
        let path = format!("POST /v1/metric/{}/measures", self.world.names["vm.cpu"]);
        let measure = json!([{"timestamp": "2026-01-01T00:00:00", "value": 31337.25}]);
        self.make("member", &path, measure, 202).await;
        self.world.router = alarms;
    }

    /// What only tenant `a`'s things have.
    fn plant(&mut self) {
        let shared = ["b", "theirs", "their-hush"];
        let texts = ["planted-", "31337", "trust1"].map(str::to_owned);
        let ids = self.world.names.iter().filter(|(name, _)| !shared.contains(&name.as_str()));
        self.world.planted = texts.into_iter().chain(ids.map(|(_, id)| id.clone())).collect();
    }

    fn watch(&mut self) {
        let histories = ["own", "given", "theirs"].into_iter().filter_map(|name| self.world.names.get(name));
        let histories = histories.map(|id| format!("/v2/alarms/{id}/history"));
        let projects = ["a", "b"].map(|name| format!("/v2/quotas?project_id={}", self.world.names[name]));
        let all = [
            "/v2/alarms?q.field=all_projects&q.value=true",
            "/v2/metrics?all_projects=true",
            "/v2/silences?all_projects=true",
            "/v2/deliveries",
        ];
        let watched = all.map(str::to_owned).into_iter().chain(projects).chain(histories);
        self.world.watched = watched.collect();
        let of_a = ["own", "given"].into_iter().filter_map(|name| self.world.names.get(name));
        let of_a = of_a.map(|id| format!("/v2/alarms/{id}/history"));
        let lists = ["/v2/alarms", "/v2/quotas", "/v2/metrics", "/v2/silences"].map(str::to_owned);
        self.world.watched_by_a = lists.into_iter().chain(of_a).collect();
    }
}
