//! What upstream gets wrong and clients do not count on: here it is right. Numbers are those of the list of such things that
//! the compatibility notes keep; each is one behaviour that a client or an operator can meet over HTTP.

use nephometer_model::{Alarm, AlarmRule};
use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::{Value, json};

use crate::support::*;

const MEMBER: Who<'_> = Who { roles: "member", ..OWNER };

/// 1: upstream takes a stored −1 for a limit, and stores it when quotas are read.
#[tokio::test]
async fn no_limit_is_no_limit_and_reading_quotas_stores_nothing() {
    let app = AlarmApp::start().await.unwrap();
    app.get(OWNER, "/v2/quotas").await.expect(200);
    create(&app, OWNER, &definition("first")).await;
    assert!(app.store().quotas(OWNER.project).await.unwrap().is_empty());
    let none = json!({"project_id": OWNER.project, "quotas": [{"resource": "alarms", "limit": -1}]});
    app.post(ADMIN, "/v2/quotas", &none).await.expect(201);
    create(&app, OWNER, &definition("second")).await;
}

/// 2: upstream holds a user's alarms of all projects against the project's quota.
#[tokio::test]
async fn a_projects_quota_counts_the_projects_alarms() {
    let app = AlarmApp::start().await.unwrap();
    let one = json!({"project_id": OWNER.project, "quotas": [{"resource": "alarms", "limit": 1}]});
    app.post(ADMIN, "/v2/quotas", &one).await.expect(201);
    let elsewhere = Who { project: "elsewhere", ..OWNER };
    create(&app, elsewhere, &definition("alarm")).await;
    create(&app, OWNER, &definition("alarm")).await;
    let colleague = Who { user: "a-colleague", ..OWNER };
    refusal(&app, colleague, &definition("alarm"), 403).await;
}

/// 3: upstream never evaluates an alarm again whose PUT left out `evaluate_timestamp`.
#[tokio::test]
async fn when_an_alarm_was_evaluated_is_not_the_clients_to_say() {
    let app = AlarmApp::start().await.unwrap();
    let later = json!({"evaluate_timestamp": "2030-01-01T00:00:00"});
    let made = create(&app, OWNER, &with(&definition("alarm"), &later)).await;
    assert_eq!(made["evaluate_timestamp"], "2026-01-01T00:00:00");
    let path = format!("/v2/alarms/{}", made["alarm_id"].as_str().unwrap());
    for body in [definition("alarm"), with(&definition("alarm"), &later)] {
        let put = app.put(OWNER, &path, &body).await.expect(200).json();
        assert_eq!(put["evaluate_timestamp"], "2026-01-01T00:00:00");
    }
}

/// 6: upstream checks the first of two projects and lists the second.
#[tokio::test]
async fn a_project_named_twice_opens_no_other_one() {
    let app = seeded().await;
    let named = |first: &str, second: &str| {
        format!("/v2/alarms?q.field=project_id&q.value={first}&q.field=project_id&q.value={second}")
    };
    for path in [named(STRANGER.project, OWNER.project), named(OWNER.project, STRANGER.project)] {
        fault(&app.get(STRANGER, &path).await.expect(401));
    }
    assert_eq!(list(&app, ADMIN, &named(OWNER.project, OWNER.project)).await.len(), 3);
    assert!(list(&app, ADMIN, &named(OWNER.project, STRANGER.project)).await.is_empty());
}

/// 7: upstream lets parts of composite rules read what other projects measure, with any method.
#[tokio::test]
async fn parts_of_composite_rules_are_judged_and_confined_as_rules_are() {
    let app = AlarmApp::start().await.unwrap();
    let part = |kind: &str, rule: &Value| with(rule, &json!({"type": kind}));
    let body = |part: Value| of_type("composite", &json!({"and": [part, part]}));
    let wrong = with(&rule(), &json!({"aggregation_method": "middling"}));
    let text = refusal(&app, MEMBER, &body(part(TYPE, &wrong)), 400).await;
    assert!(text.starts_with("aggregation_method should be in ["), "{text}");
    let selector = json!({"query": "up", "threshold": 1.0});
    let made = create(&app, MEMBER, &body(part("prometheus", &selector))).await;
    let kept = found(&app, &made["alarm_id"]).await.rule.to_value();
    assert_eq!(kept["and"][0]["scope_to_project"], OWNER.project);
    assert!(!made.to_string().contains("scope_to_project"));
    let search = json!({"metric": "cpu", "aggregation_method": "mean", "threshold": 1.0, "resource_type": "generic",
                        "query": "{\"=\": {\"user_id\": \"u\"}}"});
    let made = create(&app, MEMBER, &body(part("gnocchi_aggregation_by_resources_threshold", &search))).await;
    let query: Value =
        serde_json::from_str(made["composite_rule"]["and"][1]["query"].as_str().unwrap()).unwrap();
    assert_eq!(query["and"][0], json!({"=": {"created_by_project_id": OWNER.project}}));
}

/// 8: upstream tells trusts in searches and in history.
#[tokio::test]
async fn no_answer_tells_a_trust() {
    let app = AlarmApp::start().await.unwrap();
    let action = json!({"alarm_actions": ["trust+http://my.server/foo"]});
    let made = create(&app, OWNER, &with(&definition("trusting"), &action)).await;
    let id = made["alarm_id"].as_str().unwrap();
    update(&app, OWNER, id, &json!({"alarm_actions": ["trust+http://my.server/bar"]})).await;
    let one = format!("/v2/alarms/{id}");
    let answers = [
        app.get(OWNER, &one).await,
        app.get(OWNER, "/v2/alarms").await,
        app.get(OWNER, &format!("{one}/history")).await,
        app.post(OWNER, "/v2/query/alarms", &json!({})).await,
        app.post(OWNER, "/v2/query/alarms/history", &json!({})).await,
    ];
    for answer in answers {
        let text = answer.expect(200).text();
        assert!(text.contains("my.server") && !text.contains("trust1"), "{text}");
    }
}

/// 9: upstream wraps a search once more with each PUT.
#[tokio::test]
async fn a_search_that_is_sent_back_is_not_narrowed_again() {
    let app = AlarmApp::builder().collector("<my-uuid>").start().await.unwrap();
    let rule = json!({"metric": "cpu", "aggregation_method": "mean", "threshold": 1.0, "resource_type": "generic",
                      "query": "{\"=\": {\"user_id\": \"u\"}}"});
    let body = of_type("gnocchi_aggregation_by_resources_threshold", &rule);
    let made = create(&app, OWNER, &body).await;
    let id = made["alarm_id"].as_str().unwrap();
    let put = update(&app, OWNER, id, &json!({})).await;
    let key = "gnocchi_aggregation_by_resources_threshold_rule";
    assert_eq!(put[key]["query"], made[key]["query"]);
    assert_eq!(history(&app, OWNER, id).await.len(), 1, "nothing changed");
}

/// 10: upstream refuses composite rules with Prometheus parts once an alarm of that type was made.
#[tokio::test]
async fn the_project_of_one_selector_is_not_anothers() {
    let app = AlarmApp::start().await.unwrap();
    let selector = json!({"query": "up", "threshold": 1.0});
    for (who, project) in [(MEMBER, OWNER.project), (STRANGER, STRANGER.project)] {
        let made = create(&app, who, &of_type("prometheus", &selector)).await;
        let kept = found(&app, &made["alarm_id"]).await.rule.to_value();
        assert_eq!(kept["scope_to_project"], project);
        let part = with(&selector, &json!({"type": "prometheus"}));
        create(&app, who, &of_type("composite", &json!({"or": [part]}))).await;
    }
    let sent = with(&selector, &json!({"scope_to_project": "theirs"}));
    let text = refusal(&app, MEMBER, &of_type("prometheus", &sent), 400).await;
    assert_eq!(text, "Unknown attribute for argument data.prometheus_rule: scope_to_project");
}

/// 16: upstream refuses lists in which there is an alarm of a type that it does not know.
#[tokio::test]
async fn alarms_of_unknown_types_are_shown() {
    let app = seeded().await;
    let rule = AlarmRule::from_stored("weather", json!({"sky": "grey"}));
    store(&app, Alarm { rule, ..stored("odd") }).await;
    assert_eq!(list(&app, OWNER, "/v2/alarms").await.len(), 4);
    let alarm = app.get(OWNER, "/v2/alarms/odd").await.expect(200).json();
    assert_eq!((&alarm["type"], &alarm["weather_rule"]), (&json!("weather"), &json!({"sky": "grey"})));
    app.delete(OWNER, "/v2/alarms/odd").await.expect(204);
}

/// 17: upstream compares truths as text, and identifiers that look like numbers as numbers.
#[tokio::test]
async fn truths_are_truths_and_identifiers_are_text() {
    let app = seeded().await;
    store(&app, Alarm { enabled: Some(false), ..stored("off") }).await;
    let by = |field: &str, value: &str| format!("/v2/alarms?q.field={field}&q.value={value}&sort=alarm_id");
    for (value, ids) in [("true", vec!["a", "b", "c"]), ("False", vec!["off"]), ("0", vec!["off"])] {
        assert_eq!(each(&list(&app, OWNER, &by("enabled", value)).await, "alarm_id"), ids, "{value}");
    }
    assert_eq!(each(&list(&app, OWNER, &by("repeat_actions", "true")).await, "alarm_id"), ["a"]);
    fault(&app.get(OWNER, &by("enabled", "perhaps")).await.expect(400));
    for digits in ["42", "None", "[1]", "1e3"] {
        let who = Who { project: digits, ..OWNER };
        create(&app, who, &with(&definition("alarm"), &json!({"name": digits}))).await;
        let path = by("project_id", &digits.replace('[', "%5B").replace(']', "%5D"));
        assert_eq!(each(&list(&app, who, &path).await, "name"), [digits]);
        assert_eq!(each(&list(&app, who, "/v2/alarms").await, "name"), [digits]);
    }
}

/// 18: upstream takes any text for true.
#[tokio::test]
async fn counts_of_all_projects_are_given_where_they_are_asked_for() {
    let app =
        AlarmApp::builder().settings(|settings| settings.counts_evaluations = true).start().await.unwrap();
    let reader = Who { roles: "reader", ..OWNER };
    app.get(reader, "/v2/metrics?all_projects=false").await.expect(200);
    app.get(reader, "/v2/metrics?all_projects=0").await.expect(200);
    app.get(reader, "/v2/metrics?all_projects=true").await.expect(403);
    fault(&app.get(reader, "/v2/metrics?all_projects=zz").await.expect(400));
}

/// 19: upstream fails on directions and markers that it does not know, and leaves out rows after a marker that sort like it.
#[tokio::test]
async fn pages_miss_no_row_and_wrong_ones_are_refused() {
    let app = AlarmApp::start().await.unwrap();
    for id in ["d", "b", "e", "a", "c"] {
        store(&app, Alarm { name: "the same".to_owned(), ..stored(id) }).await;
    }
    for sort in ["name", "severity:desc", "timestamp:desc", "state:asc-nullsfirst"] {
        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let page = list(&app, OWNER, &format!("/v2/alarms?sort={sort}&limit=2{marker}")).await;
            let Some(last) = page.last() else { break };
            marker = format!("&marker={}", last["alarm_id"].as_str().unwrap());
            seen.extend(each(&page, "alarm_id").iter().map(|id| (*id).to_owned()));
        }
        seen.sort_unstable();
        assert_eq!(seen, ["a", "b", "c", "d", "e"], "{sort}");
    }
    for wrong in ["sort=name:up", "sort=name:ASC", "sort=colour", "marker=nothing", "limit=-1", "limit=x"] {
        fault(&app.get(OWNER, &format!("/v2/alarms?{wrong}")).await.expect(400));
    }
}

/// 30: upstream takes null for what must be there, and fails on containers of the wrong kind.
#[tokio::test]
async fn what_must_be_there_is_not_null_and_containers_are_what_they_should_be() {
    let app = AlarmApp::start().await.unwrap();
    let rule_with = |changes: Value| json!({(RULE): with(&rule(), &changes)});
    for changes in [
        json!({"name": null}),
        rule_with(json!({"threshold": null})),
        rule_with(json!({"aggregation_method": null})),
        rule_with(json!({"metrics": "text"})),
        json!({(RULE): "text"}),
        json!({(RULE): []}),
        json!({"ok_actions": "http://one"}),
        json!({"time_constraints": {}}),
        json!({"time_constraints": ["text"]}),
    ] {
        refusal(&app, OWNER, &with(&definition("alarm"), &changes), 400).await;
    }
    refusal(&app, OWNER, &of_type("composite", &json!({"and": []})), 400).await;
    create(&app, OWNER, &of_type("event", &json!({"query": null}))).await;
}

/// 31: upstream refuses conditions of event alarms without a type, and those on times.
#[tokio::test]
async fn conditions_of_event_alarms_may_have_any_type_or_none() {
    let app = AlarmApp::start().await.unwrap();
    for kind in [json!({}), json!({"type": ""}), json!({"type": "datetime"})] {
        let condition =
            with(&json!({"field": "traits.at", "op": "gt", "value": "2026-01-01T00:00:00"}), &kind);
        create(&app, OWNER, &of_type("event", &json!({"query": [condition]}))).await;
    }
}

/// 33: upstream drops the zone of a time.
#[tokio::test]
async fn zones_are_converted() {
    let app = seeded().await;
    let exactly = |text: &str| json!({"filter": json!({"=": {"timestamp": text}}).to_string()});
    let count = |text| app.post(OWNER, "/v2/query/alarms", text);
    let [in_zone, as_if_in_utc] = ["2013-01-01T01:00:00+01:00", "2013-01-01T00:00:00+01:00"].map(exactly);
    assert_eq!(count(&in_zone).await.expect(200).json().as_array().unwrap().len(), 3);
    assert_eq!(count(&as_if_in_utc).await.expect(200).json().as_array().unwrap().len(), 0);
}

/// 34: upstream hides the creation of an alarm from its owner where an administrator has made it.
#[tokio::test]
async fn owners_see_the_creation_of_what_administrators_made_for_them() {
    let app = AlarmApp::start().await.unwrap();
    let root = Who { user: "root", project: "root-project", roles: "admin" };
    let made = create(&app, root, &with(&definition("alarm"), &json!({"project_id": OWNER.project}))).await;
    let history = history(&app, OWNER, made["alarm_id"].as_str().unwrap()).await;
    assert_eq!(each(&history, "type"), ["creation"]);
    assert_eq!(
        (each(&history, "project_id"), each(&history, "on_behalf_of")),
        (vec!["root-project"], vec![OWNER.project])
    );
}

/// 38: upstream makes alarms of no project for administrators whose token is scoped to none.
#[tokio::test]
async fn a_user_without_a_project_says_whose_an_alarm_is() {
    let app = AlarmApp::start().await.unwrap();
    let nowhere = Who { user: "root", project: "", roles: "admin" };
    let text = refusal(&app, nowhere, &definition("alarm"), 400).await;
    assert_eq!(text, "Invalid input for field/attribute project_id. Value: 'None'. Mandatory field missing.");
    create(&app, nowhere, &with(&definition("alarm"), &json!({"project_id": "theirs"}))).await;
    fault(&app.get(nowhere, "/v2/quotas").await.expect(400));
}

/// Queries that make upstream fail.
#[tokio::test]
async fn queries_that_mean_nothing_are_refused() {
    let app = seeded().await;
    for path in [
        "/v2/alarms?q.field=name",
        "/v2/alarms?q.value=name",
        "/v2/alarms?q.field=timestamp&q.value=yesterday",
        "/v2/alarms?q.field=timestamp&q.op=gt&q.value=2026-01-01T00:00:00",
        "/v2/alarms/a/history?q.field=metadata.x&q.value=1",
    ] {
        fault(&app.get(OWNER, path).await.expect(400));
    }
    let regex = json!({"filter": json!({"=~": {"name": "("}}).to_string()});
    fault(&app.post(OWNER, "/v2/query/alarms", &regex).await.expect(400));
    let nothing = json!({"filter": null, "orderby": null, "limit": null});
    let found = app.post(OWNER, "/v2/query/alarms", &nothing).await.expect(200).json();
    assert_eq!(found.as_array().unwrap().len(), 3);
}
