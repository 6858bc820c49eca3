//! What upstream does not have: rules tried on past data, silences.

use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::{Value, json};

use super::support::{ADMIN, NOBODY, OWNER, SECOND_NS, STRANGER, of_type};

fn text(answer: &Value) -> &str {
    answer["error_message"]["faultstring"].as_str().unwrap()
}

#[tokio::test]
async fn a_rule_is_tried_on_what_was_and_nothing_is_stored() {
    let app = AlarmApp::start().await.unwrap();
    let rule = json!({"metric": "cpu", "resource_id": "vm", "resource_type": "generic", "aggregation_method": "mean",
                      "threshold": 1});
    let mut alarm = of_type("gnocchi_resources_threshold", &rule);
    alarm.as_object_mut().unwrap().remove("name");
    alarm["state"] = json!("ok");
    let ask = async |body: Value, status: u16| {
        app.post(OWNER, "/v2/alarms/preview", &body).await.expect(status).json()
    };
    let body = json!({"alarm": alarm, "start": "-2 hours", "stop": "-1 hour"});
    let preview = ask(body, 200).await;
    assert_eq!(
        (&preview["start"], &preview["stop"], &preview["state"]),
        (&json!("2025-12-31T22:00:00"), &json!("2025-12-31T23:00:00"), &json!("insufficient data")),
        "{preview}"
    );
    let transitions = preview["transitions"].as_array().unwrap();
    assert_eq!(transitions.len(), 1, "{preview}");
    assert_eq!(transitions[0]["timestamp"], "2025-12-31T22:00:00");
    let states = [&transitions[0]["previous"], &transitions[0]["current"]];
    assert_eq!(states, [&json!("ok"), &json!("insufficient data")]);
    assert!(!transitions[0]["reason"].as_str().unwrap().is_empty());
    let warning = "metric cpu of resource vm: the resource does not exist";
    assert_eq!(preview["warnings"], json!([warning]));
    assert_eq!(app.get(OWNER, "/v2/alarms").await.expect(200).json(), json!([]));
    for (body, expected) in [
        (json!({}), "alarm. Value: 'None'. Mandatory field missing."),
        (json!({"alarm": alarm, "start": "now", "stop": "-1 hour"}), "start must be before stop"),
        (json!({"alarm": alarm, "start": "yesterday-ish"}), "Unable to convert timestamps"),
        (json!({"alarm": alarm, "begin": "now"}), "Unknown attribute for argument body: begin"),
        (json!({"alarm": alarm, "every": 0}), "Value should be greater or equal to 1"),
        (json!({"alarm": alarm, "start": "2000-01-01", "every": 1}), "are allowed"),
        (
            json!({"alarm": of_type("event", &json!({}))}),
            "alarms of type event watch nothing whose past is known",
        ),
        (json!({"alarm": 7}), "Wrong type"),
    ] {
        let refused = ask(body, 400).await;
        assert!(text(&refused).contains(expected), "{expected} not in {refused}");
    }
    let body = json!({ "alarm": alarm });
    app.post(NOBODY, "/v2/alarms/preview", &body).await.expect(403);
}

#[tokio::test]
async fn silences_are_their_projects() {
    let app = AlarmApp::start().await.unwrap();
    let made = async |who: Who<'_>, body: Value, status: u16| {
        app.post(who, "/v2/silences", &body).await.expect(status).json()
    };
    let listed = async |who: Who<'_>, query: &str| {
        let list = app.get(who, &format!("/v2/silences{query}")).await.expect(200).json();
        list.as_array().unwrap().len()
    };
    let filter = "{\"=\": {\"name\": \"disk\"}}";
    let own = made(OWNER, json!({"ends_at": "+1 hour", "filter": filter, "comment": "works"}), 201).await;
    assert_eq!(
        own,
        json!({
            "silence_id": own["silence_id"], "project_id": OWNER.project, "user_id": OWNER.user, "filter": filter,
            "comment": "works", "starts_at": "2026-01-01T00:00:00", "ends_at": "2026-01-01T01:00:00",
        })
    );
    for (who, body, status) in [
        (STRANGER, json!({"ends_at": "+1 hour", "project_id": OWNER.project}), 401),
        (STRANGER, json!({"ends_at": "+1 hour", "project_id": null}), 403),
        (NOBODY, json!({"ends_at": "+1 hour"}), 403),
        (OWNER, json!({}), 400),
        (OWNER, json!({"ends_at": "-1 hour"}), 400),
        (OWNER, json!({"ends_at": "+1 hour", "starts_at": "+2 hours"}), 400),
        (OWNER, json!({"ends_at": "+1 hour", "filter": "{"}), 400),
        (OWNER, json!({"ends_at": "+1 hour", "filter": "{\"=~\": {\"name\": \"(\"}}"}), 400),
        (OWNER, json!({"ends_at": "+1 hour", "filter": "é".repeat(3000)}), 400),
        (OWNER, json!({"ends_at": "+1 hour", "until": "later"}), 400),
    ] {
        made(who, body, status).await;
    }
    made(ADMIN, json!({"ends_at": "+2 hours", "project_id": null}), 201).await;
    assert_eq!((listed(OWNER, "").await, listed(STRANGER, "").await), (1, 0));
    assert_eq!(listed(ADMIN, "?all_projects=true").await, 2);
    app.get(OWNER, "/v2/silences?all_projects=true").await.expect(403);
    let one = format!("/v2/silences/{}", own["silence_id"].as_str().unwrap());
    for path in [one.as_str(), "/v2/silences/nonsense"] {
        let refused = app.delete(STRANGER, path).await.expect(404).json();
        assert!(text(&refused).ends_with(" not found"), "{refused}");
    }
    app.delete(OWNER, &one).await.expect(204);
    app.delete(OWNER, &one).await.expect(404);
    assert_eq!(listed(OWNER, "").await, 0);
}

#[tokio::test]
async fn a_project_has_not_too_many_silences() {
    let app = AlarmApp::start().await.unwrap();
    let body = json!({"ends_at": "+1 hour"});
    for _ in 0..100 {
        app.post(OWNER, "/v2/silences", &body).await.expect(201);
    }
    let refused = app.post(OWNER, "/v2/silences", &body).await.expect(403).json();
    assert_eq!(text(&refused), "A project may have 100 silences at a time");
    app.post(STRANGER, "/v2/silences", &body).await.expect(201);
    app.clock.advance_ns(3_600 * SECOND_NS);
    app.post(OWNER, "/v2/silences", &body).await.expect(201);
}
