//! Messages that were given up.

use nephometer_drivers::NewDelivery;
use nephometer_model::AlarmId;
use nephometer_testkit::alarm_app::AlarmApp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::*;

/// Messages to these targets, of an alarm each, that were given up one after the other.
async fn given_up(targets: &[&str]) -> (AlarmApp, Vec<Uuid>) {
    let app = AlarmApp::start().await.unwrap();
    let mut ids = Vec::new();
    for (number, target) in (100..).zip(targets) {
        let message = NewDelivery {
            id: Uuid::from_u128(number),
            alarm_id: AlarmId(format!("alarm{number}")),
            project_id: Some(OWNER.project.to_owned()),
            action: (*target).to_owned(),
            payload: json!({"alarm_name": "hot", "current": "alarm"}).to_string(),
            not_before: LONG_AGO,
            group: None,
        };
        ids.push(message.id);
        app.store().add_deliveries(vec![message]).await.unwrap();
        give_up(&app).await;
    }
    (app, ids)
}

/// Takes what is due and gives it up; how many messages.
async fn give_up(app: &AlarmApp) -> usize {
    app.clock.advance_ns(SECOND_NS);
    app.give_up_due("the target is gone").await.unwrap()
}

async fn retried(app: &AlarmApp, body: Value) -> Value {
    app.post(ADMIN, "/v2/deliveries/retry", &body).await.expect(200).json()["retried"].clone()
}

#[tokio::test]
async fn administrators_see_what_was_given_up_and_no_secrets() {
    let targets = ["trust+https://trust-1:delete@target:1/a?b=c", "https://user:secret@target/", "log://"];
    let (app, ids) = given_up(&targets).await;
    let dead = list(&app, ADMIN, "/v2/deliveries").await;
    let shown = ["log://", "https://target/", "trust+https://target:1/a?b=c"];
    assert_eq!(each(&dead, "action"), shown);
    let first = &dead[2];
    assert_eq!(first["delivery_id"], ids[0].to_string());
    assert_eq!((&first["alarm_id"], &first["project_id"]), (&json!("alarm100"), &json!(OWNER.project)));
    assert_eq!((&first["attempts"], &first["last_error"]), (&json!(1), &json!("the target is gone")));
    assert_eq!(first["notification"], json!({"alarm_name": "hot", "current": "alarm"}));
    let newest = list(&app, ADMIN, "/v2/deliveries?limit=1").await;
    assert_eq!(each(&newest, "action"), shown[..1]);
    for limit in ["0", "1001", "many"] {
        fault(&app.get(ADMIN, &format!("/v2/deliveries?limit={limit}")).await.expect(400));
    }
}

#[tokio::test]
async fn administrators_have_them_sent_again() {
    let (app, ids) = given_up(&["http://a/", "http://b/", "http://c/"]).await;
    assert_eq!(retried(&app, json!({"ids": [ids[1], Uuid::nil()]})).await, 1);
    assert_eq!(each(&list(&app, ADMIN, "/v2/deliveries").await, "action"), ["http://c/", "http://a/"]);
    assert_eq!(give_up(&app).await, 1);
    assert_eq!(retried(&app, json!({"ids": []})).await, 0);
    assert_eq!(retried(&app, json!({})).await, 3);
    assert_eq!(list(&app, ADMIN, "/v2/deliveries").await, Vec::<Value>::new());
    assert_eq!(give_up(&app).await, 3);
    for body in [json!({"ids": "all"}), json!({"ids": ["x"]}), json!({"id": []}), json!([])] {
        fault(&app.post(ADMIN, "/v2/deliveries/retry", &body).await.expect(400));
    }
    assert_eq!(give_up(&app).await, 0);
}

#[tokio::test]
async fn others_neither_see_nor_send_them() {
    let (app, _) = given_up(&["http://a/"]).await;
    for who in [OWNER, STRANGER, NOBODY] {
        app.get(who, "/v2/deliveries").await.expect(403);
        app.post(who, "/v2/deliveries/retry", &json!({})).await.expect(403);
    }
    assert_eq!(give_up(&app).await, 0);
}
