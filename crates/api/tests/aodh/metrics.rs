//! Counts of evaluations.

use nephometer_alarm::service::AlarmSettings;
use nephometer_model::{Alarm, AlarmCounts, AlarmId};
use nephometer_testkit::alarm_app::{AlarmApp, Who};
use serde_json::{Value, json};

use crate::alarms::POLICY;
use crate::support::*;

const READER: Who<'_> = Who { user: "some_user", project: "project1", roles: "reader" };
const ROOT: Who<'_> = Who { roles: "admin", ..READER };

fn counting() -> AlarmSettings {
    AlarmSettings { counts_evaluations: true, ..AlarmSettings::default() }
}

async fn counted() -> AlarmApp {
    let app = AlarmApp::start().await.unwrap().again(counting(), "").unwrap();
    for (id, project, [insufficient_data, ok, alarm]) in
        [("alarm1", "project1", [2, 1, 0]), ("alarm2", "project2", [0, 0, 1])]
    {
        store(&app, Alarm { project_id: Some(project.to_owned()), ..stored(id) }).await;
        let (alarm_id, project_id) = (AlarmId(id.to_owned()), project.to_owned());
        let counts = AlarmCounts { alarm_id, project_id, insufficient_data, ok, alarm };
        app.store().count(vec![counts]).await.unwrap();
    }
    app
}

fn first() -> Value {
    let counters = json!({"insufficient data": 2, "ok": 1, "alarm": 0});
    json!({"alarm_id": "alarm1", "project_id": "project1", "state_counters": counters})
}

fn second() -> Value {
    let counters = json!({"insufficient data": 0, "ok": 0, "alarm": 1});
    json!({"alarm_id": "alarm2", "project_id": "project2", "state_counters": counters})
}

#[tokio::test]
async fn callers_read_the_counts_of_their_project() {
    let app = counted().await;
    let counts = app.get(READER, "/v2/metrics").await.expect(200).json();
    assert_eq!(counts, json!({"evaluation_results": [first()]}));
}

#[tokio::test]
async fn counts_are_refused_where_the_policy_says_so() {
    let app = counted().await.again(counting(), POLICY).unwrap();
    let refused = app.get(READER, "/v2/metrics").await.expect(403);
    assert_eq!(fault(&refused), "RBAC Authorization Failed");
}

#[tokio::test]
async fn administrators_read_the_counts_of_all_projects() {
    let app = counted().await;
    let counts = app.get(ROOT, "/v2/metrics?all_projects=true").await.expect(200).json();
    assert_eq!(counts, json!({"evaluation_results": [first(), second()]}));
}

#[tokio::test]
async fn others_do_not_read_the_counts_of_all_projects() {
    let app = counted().await;
    for policy in ["", POLICY] {
        let app = app.again(counting(), policy).unwrap();
        let refused = app.get(READER, "/v2/metrics?all_projects=true").await.expect(403);
        assert_eq!(fault(&refused), "RBAC Authorization Failed");
    }
}

#[tokio::test]
async fn there_are_no_counts_where_nobody_counts() {
    let app = AlarmApp::start().await.unwrap();
    let refused = app.get(READER, "/v2/metrics").await.expect(403);
    assert_eq!(fault(&refused), "metrics endpoint is disabled");
}
