//! What alarms watch: defaults, what the metric service makes of it, and the project that it is confined to.

use nephometer_drivers::MetricReadError;
use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::{Value, json};

use crate::support::*;

const MEMBER: Who<'_> = Who { roles: "nonadmin", ..OWNER };

#[tokio::test]
async fn what_a_rule_leaves_out_has_defaults() {
    let app = AlarmApp::start().await.unwrap();
    let body = of_type(TYPE, &json!({"metrics": METRICS, "aggregation_method": "mean", "threshold": 300.0}));
    let made = create(&app, OWNER, &body).await;
    let description = format!("{TYPE} alarm rule");
    assert_eq!((&made["state"], &made["description"]), (&json!("insufficient data"), &json!(description)));
    let rule = json!({"metrics": METRICS, "threshold": 300.0, "comparison_operator": "eq",
                      "aggregation_method": "mean", "evaluation_periods": 1, "granularity": 60});
    assert_eq!(made[RULE], rule);
    let kept = with(&rule, &json!({"scope_to_project": OWNER.project}));
    assert_eq!(found(&app, &made["alarm_id"]).await.rule.to_value(), kept);
}

#[tokio::test]
async fn rules_of_all_three_kinds_are_listed() {
    let app = AlarmApp::start().await.unwrap();
    let common = json!({"aggregation_method": "mean", "threshold": 2.0, "comparison_operator": "gt"});
    let of_resource = json!({"metric": "meter.test", "resource_type": "instance", "resource_id": "6841c175"});
    let of_resources = json!({"metric": "meter.test", "resource_type": "generic",
                              "query": "{\"=\": {\"project_id\": \"p\"}}"});
    for (name, kind, special) in [
        ("name1", "gnocchi_resources_threshold", of_resource),
        ("name2", TYPE, json!({"metrics": METRICS})),
        ("name3", "gnocchi_aggregation_by_resources_threshold", of_resources),
    ] {
        let body = with(&of_type(kind, &with(&common, &special)), &json!({"name": name}));
        create(&app, OWNER, &body).await;
    }
    let alarms = list(&app, OWNER, "/v2/alarms?sort=name").await;
    assert_eq!(each(&alarms, "name"), ["name1", "name2", "name3"]);
    assert_eq!(alarms[0]["gnocchi_resources_threshold_rule"]["metric"], "meter.test");
    let of_kinds = alarms.iter().map(|alarm| {
        let keys = alarm.as_object().unwrap().keys();
        keys.filter(|key| key.ends_with("_rule")).count()
    });
    assert_eq!(of_kinds.collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn methods_are_those_of_the_metric_service() {
    let app = AlarmApp::start().await.unwrap();
    let body = of_type(TYPE, &with(&rule(), &json!({"aggregation_method": "middling"})));
    let text = refusal(&app, OWNER, &body, 400).await;
    assert!(text.starts_with("aggregation_method should be in ["), "{text}");
    assert!(text.ends_with("] not middling"), "{text}");
    create(&app, OWNER, &of_type(TYPE, &with(&rule(), &json!({"aggregation_method": "rate:last"})))).await;
}

fn of_group() -> Value {
    of_type("gnocchi_aggregation_by_resources_threshold", &search("{\"=\": {\"project_id\": \"my_group\"}}"))
}

fn search(query: &str) -> Value {
    json!({"metric": "ameter", "comparison_operator": "le", "aggregation_method": "count", "threshold": 50.0,
           "evaluation_periods": 3, "granularity": 180, "resource_type": "generic", "query": query})
}

/// A search as it is narrowed for a project where collectors store under `<my-uuid>`.
fn narrowed(project: &str) -> Value {
    json!({"and": [
        {"or": [
            {"=": {"created_by_project_id": project}},
            {"and": [{"=": {"created_by_project_id": "<my-uuid>"}}, {"=": {"project_id": project}}]},
        ]},
        {"=": {"project_id": "my_group"}},
    ]})
}

fn query_of(alarm: &Value) -> Value {
    let text = alarm["gnocchi_aggregation_by_resources_threshold_rule"]["query"].as_str().unwrap();
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn searches_are_confined_to_the_owners_project_and_tried() {
    let app = AlarmApp::builder().collector("<my-uuid>").start().await.unwrap();
    let made = create(&app, OWNER, &of_group()).await;
    assert_eq!(query_of(&made), narrowed(OWNER.project));
    let judged = app.reader.judged.lock().clone();
    assert_eq!(judged.len(), 1);
    assert_eq!(judged[0].method, "count");
    let tried = format!("{:?}", judged[0].subject);
    assert!(tried.contains("created_by_project_id") && tried.contains("ameter"), "{tried}");
    assert_eq!(judged[0].stop.ns() - judged[0].start.ns(), 86_400 * SECOND_NS);
}

#[tokio::test]
async fn administrators_search_without_bounds_for_themselves_and_with_for_others() {
    let app = AlarmApp::builder().collector("<my-uuid>").start().await.unwrap();
    let made = create(&app, ADMIN, &of_group()).await;
    assert_eq!(query_of(&made), json!({"=": {"project_id": "my_group"}}));
    let made = create(&app, ADMIN, &with(&of_group(), &json!({"project_id": "theirs"}))).await;
    assert_eq!(query_of(&made), narrowed("theirs"));
}

#[tokio::test]
async fn a_metric_service_that_refuses_or_is_away_is_told() {
    let app = AlarmApp::start().await.unwrap();
    let refused = MetricReadError::Refused { status: 400, text: "no such thing".to_owned() };
    *app.reader.refusal.lock() = Some(refused);
    assert_eq!(refusal(&app, OWNER, &of_group(), 400).await, "no such thing");
    *app.reader.refusal.lock() = Some(MetricReadError::Unavailable("not there".to_owned()));
    assert_eq!(refusal(&app, OWNER, &of_group(), 503).await, "not there");
    assert_eq!(refusal(&app, OWNER, &definition("added"), 503).await, "not there");
}

#[tokio::test]
async fn searches_must_mean_something() {
    let app = AlarmApp::start().await.unwrap();
    let with_query = |query: &str| of_type("gnocchi_aggregation_by_resources_threshold", &search(query));
    let text = refusal(&app, OWNER, &with_query("no JSON"), 400).await;
    assert_eq!(text, "Invalid input for field/attribute rule/query. Value: 'no JSON'. ");
    refusal(&app, OWNER, &with_query("{\"nonsense\": 1}"), 400).await;
    let object = with(&search(""), &json!({"query": {"=": {"project_id": "my_group"}}}));
    let body = of_type("gnocchi_aggregation_by_resources_threshold", &object);
    assert!(refusal(&app, OWNER, &body, 400).await.contains("Wrong type. Expected '<class 'str'>'"));
}

fn prometheus() -> Value {
    let rule = json!({"query": "ceilometer_cpu", "comparison_operator": "le", "threshold": 50});
    of_type("prometheus", &rule)
}

/// The project to which a Prometheus alarm is confined. No answer tells it.
async fn scope(app: &AlarmApp, who: Who<'_>, body: &Value) -> Value {
    let made = create(app, who, body).await;
    assert!(made["prometheus_rule"].get("scope_to_project").is_none());
    found(app, &made["alarm_id"]).await.rule.to_value()["scope_to_project"].clone()
}

#[tokio::test]
async fn an_administrators_selectors_are_not_confined() {
    let app = AlarmApp::start().await.unwrap();
    assert_eq!(scope(&app, ADMIN, &prometheus()).await, Value::Null);
}

#[tokio::test]
async fn selectors_for_another_project_are_confined_to_it() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&prometheus(), &json!({"project_id": "theirs"}));
    assert_eq!(scope(&app, ADMIN, &body).await, "theirs");
}

#[tokio::test]
async fn a_members_selectors_are_confined_to_its_project() {
    let app = AlarmApp::start().await.unwrap();
    assert_eq!(scope(&app, MEMBER, &prometheus()).await, OWNER.project);
}

#[tokio::test]
async fn a_member_has_no_selectors_for_another_project() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&prometheus(), &json!({"project_id": "another_project_id"}));
    let text = refusal(&app, MEMBER, &body, 401).await;
    assert_eq!(text, "Not Authorized to access project another_project_id");
}

fn part(changes: &Value) -> Value {
    let whole = json!({"metrics": METRICS, "evaluation_periods": 5, "threshold": 0.8, "aggregation_method": "mean",
                       "granularity": 60, "comparison_operator": "gt", "type": TYPE});
    with(&whole, changes)
}

fn composite(first: &Value) -> Value {
    let others = [
        part(&json!({"evaluation_periods": 4, "threshold": 200.0, "aggregation_method": "max"})),
        part(&json!({"evaluation_periods": 3, "threshold": 1000.0})),
    ];
    of_type("composite", &json!({"or": [first, {"and": others}]}))
}

#[tokio::test]
async fn composite_rules_are_kept_as_given() {
    let app = AlarmApp::start().await.unwrap();
    let body = composite(&part(&json!({})));
    let made = create(&app, OWNER, &body).await;
    assert_eq!(made["composite_rule"], body["composite_rule"]);
    let kept = found(&app, &made["alarm_id"]).await.rule.to_value();
    let first = with(&part(&json!({})), &json!({"scope_to_project": OWNER.project}));
    assert_eq!(kept["or"][0], first);
    assert_eq!(kept["or"][1]["and"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn parts_of_a_composite_rule_have_known_types() {
    let app = AlarmApp::start().await.unwrap();
    let text = refusal(&app, OWNER, &composite(&part(&json!({"type": "non-type"}))), 400).await;
    assert!(text.contains("Unsupported sub-rule type"), "{text}");
}

#[tokio::test]
async fn parts_of_a_composite_rule_have_defaults() {
    let app = AlarmApp::start().await.unwrap();
    let short = |threshold: f64| json!({"metrics": METRICS, "threshold": threshold, "aggregation_method": "mean", "type": TYPE});
    let made = create(&app, OWNER, &of_type("composite", &json!({"and": [short(0.8), short(200.0)]}))).await;
    let defaults = json!({"evaluation_periods": 1, "granularity": 60, "comparison_operator": "eq"});
    assert_eq!(made["composite_rule"]["and"][0], with(&short(0.8), &defaults));
}

#[tokio::test]
async fn thresholds_of_a_composite_rule_are_numbers() {
    let app = AlarmApp::start().await.unwrap();
    let text = refusal(&app, OWNER, &composite(&part(&json!({"threshold": false}))), 400).await;
    assert_eq!(
        text,
        "Invalid input for field/attribute threshold. Value: 'False'. Wrong type. Expected '<class 'float'>', got \
         '<class 'bool'>'"
    );
}
