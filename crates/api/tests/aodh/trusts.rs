//! Actions that need a trust of their owner: made with the alarm, shared, told to nobody, deleted with the last of them.

use nephometer_testkit::alarm_app::AlarmApp;
use serde_json::{Value, json};

use crate::support::*;

const ACTION: &str = "trust+http://my.server:1234/foo";

fn with_trust() -> Value {
    with(&definition("trusting"), &json!({"ok_actions": [ACTION]}))
}

#[tokio::test]
async fn a_trust_is_made_and_deleted_with_its_alarm() {
    let app = AlarmApp::start().await.unwrap();
    let made = create(&app, OWNER, &with_trust()).await;
    let who = (OWNER.user.to_owned(), OWNER.project.to_owned(), Vec::new());
    assert_eq!(*app.trusts.made_for.lock(), [who]);
    let kept = found(&app, &made["alarm_id"]).await;
    assert_eq!(kept.ok_actions.unwrap(), ["trust+http://trust1:delete@my.server:1234/foo"]);
    assert_eq!(made["ok_actions"], json!([ACTION]));
    let path = format!("/v2/alarms/{}", made["alarm_id"].as_str().unwrap());
    assert_eq!(app.get(OWNER, &path).await.expect(200).json()["ok_actions"], json!([ACTION]));
    app.delete(OWNER, &path).await.expect(204);
    assert_eq!(*app.trusts.deleted.lock(), ["trust1"]);
}

#[tokio::test]
async fn a_trust_comes_and_goes_with_its_actions() {
    let app = seeded().await;
    let path = "/v2/alarms/a";
    let trusting = json!({"ok_actions": ["trust+http://something/ok"]});
    update(&app, OWNER, "a", &trusting).await;
    let kept = found(&app, &json!("a")).await;
    assert_eq!(kept.ok_actions.unwrap(), ["trust+http://trust1:delete@something/ok"]);
    assert_eq!(app.get(OWNER, path).await.expect(200).json()["ok_actions"], trusting["ok_actions"]);
    update(&app, OWNER, "a", &json!({"alarm_actions": ["trust+zaqar://?queue_name=q"]})).await;
    let kept = found(&app, &json!("a")).await;
    assert_eq!(kept.alarm_actions.unwrap(), ["trust+zaqar://trust1@?queue_name=q"]);
    assert_eq!((app.trusts.made_for.lock().len(), app.trusts.deleted.lock().len()), (1, 0));
    let plain = json!({"ok_actions": ["http://no-trust-something/ok"], "alarm_actions": []});
    update(&app, OWNER, "a", &plain).await;
    assert_eq!(*app.trusts.deleted.lock(), ["trust1"]);
    assert_eq!(app.get(OWNER, path).await.expect(200).json()["ok_actions"], plain["ok_actions"]);
}

#[tokio::test]
async fn sending_an_alarm_back_keeps_its_trust_and_records_nothing() {
    let app = AlarmApp::start().await.unwrap();
    let made = create(&app, OWNER, &with_trust()).await;
    let id = made["alarm_id"].as_str().unwrap();
    update(&app, OWNER, id, &json!({})).await;
    assert_eq!(history(&app, OWNER, id).await.len(), 1);
    assert_eq!((app.trusts.made_for.lock().len(), app.trusts.deleted.lock().len()), (1, 0));
}

#[tokio::test]
async fn a_client_names_no_trust() {
    let app = AlarmApp::start().await.unwrap();
    let body = with(&definition("trusting"), &json!({"ok_actions": ["trust+http://stolen@my.server/foo"]}));
    assert_eq!(refusal(&app, OWNER, &body, 400).await, "trust URL cannot contain a trust ID.");
    assert!(app.trusts.made_for.lock().is_empty());
}

#[tokio::test]
async fn no_alarm_is_made_without_its_trust_and_no_trust_stays_without_its_alarm() {
    let app = AlarmApp::builder().settings(|settings| settings.user_quota = Some(0)).start().await.unwrap();
    refusal(&app, OWNER, &with_trust(), 403).await;
    assert_eq!(*app.trusts.deleted.lock(), ["trust1"]);
    let app = AlarmApp::start().await.unwrap();
    *app.trusts.refuses.lock() = true;
    assert_eq!(refusal(&app, OWNER, &with_trust(), 403).await, "no trusts here");
    assert!(list(&app, OWNER, "/v2/alarms").await.is_empty());
}
