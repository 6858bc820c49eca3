//! What services are asked, and what their answers mean. Zaqar, Heat, Octavia and Prometheus are played by a fake; their
//! requests are those of the services' own clients.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{
    DeliveryFailure, MessageQueues, MetricRead, MetricReadError, MetricReader, MetricSubject, PoolMembers,
    PoolMembersError, PrometheusReader, QueueAccess, QueueMessage, StackHealer, TrustTokens,
    UnhealthyMembers,
};
use nephometer_model::{Clock, ManualClock, SystemClock, Timespan, Timestamp};
use nephometer_openstack::keystone::{HttpOptions, Secret, Session};
use nephometer_openstack::services::{
    GnocchiReader, HeatStacks, OctaviaPools, PrometheusAddress, PrometheusHttp, TrustSessions, ZaqarQueues,
};
use serde_json::{Value, json};
use support::{Fake, Reply, Seen};
use uuid::Uuid;

const SERVICES: [&str; 4] = ["messaging", "orchestration", "load-balancer", "metric-storage"];

/// A cloud in one fake: signing in gives the token `t`, or `by-<trust>`; the rest answers as the test wants.
async fn cloud(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Fake, Arc<Session>) {
    let fake = Fake::start(move |_, seen, url| {
        if !seen.is_sign_in() {
            return reply(seen);
        }
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        match body["auth"]["scope"]["OS-TRUST:trust"]["id"].as_str() {
            Some("gone") => Reply::json(404, r#"{"error": {"message": "no such trust"}}"#),
            Some(trust) => Reply::token(&format!("by-{trust}"), url),
            None => Reply::token("t", url),
        }
    })
    .await;
    let mut config = fake.config();
    for service in SERVICES {
        config.endpoint_overrides.insert(service.to_owned(), fake.url.clone());
    }
    config.http = HttpOptions { max_retries: 0, timeout: Duration::from_secs(2), ..config.http };
    let session = Arc::new(Session::new(config, Arc::new(SystemClock::new())).unwrap());
    (fake, session)
}

impl Seen {
    fn token(&self) -> Option<&str> {
        self.header("x-auth-token")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What was asked besides tokens.
fn asked(fake: &Fake) -> Vec<Seen> {
    fake.seen().into_iter().filter(|seen| !seen.is_sign_in()).collect()
}

fn read(subject: MetricSubject) -> MetricRead {
    let start = 1_767_355_860_000_000_000_i64;
    MetricRead {
        subject,
        method: "rate:mean".to_owned(),
        granularity: Timespan::from_seconds(60),
        start: Timestamp::from_ns(start),
        stop: Timestamp::from_ns(start + 360_000_001_000),
        project_id: None,
    }
}

fn of_resource() -> MetricSubject {
    MetricSubject::OfResource { resource_id: "a/b".to_owned(), metric: "cpu util".to_owned() }
}

fn of_resources(search: Value) -> MetricSubject {
    MetricSubject::OfResources { metric: "cpu".to_owned(), resource_type: "instance".to_owned(), search }
}

fn reader(session: &Arc<Session>) -> GnocchiReader {
    GnocchiReader::new(Arc::clone(session), Arc::new(SystemClock::new()) as Arc<dyn Clock>)
}

const MEASURES: &str = r#"[["2026-01-02T12:11:00+00:00", 300.0, 9.0], ["2026-01-02T12:11:00+00:00", 60.0, 1.5],
    ["2026-01-02T12:12:00+00:00", 60.0, null], ["2026-01-02T12:13:00+00:00", 60.0, 2]]"#;

#[tokio::test]
async fn gnocchi_is_asked_as_upstream_asks_it() {
    let (fake, session) = cloud(|seen| match seen.path.contains("/measures") {
        true => Reply::json(200, MEASURES),
        false => Reply::json(200, &format!(r#"{{"measures": {{"aggregated": {MEASURES}}}}}"#)),
    })
    .await;
    let metrics = MetricSubject::Metrics(vec!["m1".to_owned(), "m2".to_owned()]);
    let subjects = [of_resource(), metrics, of_resources(json!({"=": {"id": "x"}}))];
    let reader = reader(&session);
    for (number, subject) in subjects.into_iter().enumerate() {
        let answers = reader.read(vec![read(subject)]).await;
        let values: Vec<_> = answers[0].as_ref().unwrap().iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [1.5, 2.0], "{number}");
    }
    let seen = asked(&fake);
    let span = "start=2026-01-02T12%3A11%3A00&stop=2026-01-02T12%3A17%3A00.000001";
    let path = "/v1/resource/generic/a%2Fb/metric/cpu%20util/measures";
    let query = format!("aggregation=rate%3Amean&granularity=60&{span}&refresh=False");
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("GET", format!("{path}?{query}").as_str()));
    assert_eq!(seen[0].token(), Some("t"));
    let query = format!("details=False&granularity=60&needed_overlap=0&{span}&use_history=False");
    for aggregates in &seen[1..] {
        assert_eq!(aggregates.method, "POST");
        assert_eq!(aggregates.path, format!("/v1/aggregates?{query}"));
    }
    let operations = json!(["aggregate", "rate:mean", ["metric", "m1", "mean"], ["metric", "m2", "mean"]]);
    assert_eq!(seen[1].json(), json!({"operations": operations}));
    assert_eq!(
        seen[2].json(),
        json!({"operations": ["aggregate", "rate:mean", ["metric", "cpu", "mean"]],
            "search": {"=": {"id": "x"}}, "resource_type": "instance"})
    );
}

#[tokio::test]
async fn what_gnocchi_refuses_is_told_apart() {
    let absent = |text: &str| json!({"code": 404, "title": "Not Found", "description": text}).to_string();
    let cases = [
        (404, absent("Metric cpu does not exist"), MetricReadError::NoSuchMetric),
        (404, absent("Resource r does not exist"), MetricReadError::NoSuchResource),
        (
            404,
            absent("Aggregation method 'x' at granularity '1' for metric m does not exist"),
            MetricReadError::NoSuchAggregate,
        ),
        (
            404,
            json!({"description": {"cause": "Metrics not found", "detail": ["m"]}}).to_string(),
            MetricReadError::NoSuchMetric,
        ),
        (400, absent("Invalid"), MetricReadError::Refused { status: 400, text: "Invalid".to_owned() }),
        (403, "<p>no".to_owned(), MetricReadError::Refused { status: 403, text: "<p>no".to_owned() }),
    ];
    for (status, body, expected) in cases {
        let (_fake, session) = cloud(move |_| Reply::json(status, &body)).await;
        assert_eq!(reader(&session).read(vec![read(of_resource())]).await, [Err(expected)]);
    }
    for reply in [
        || Reply::status(500),
        || Reply::HangUp,
        || Reply::Silence,
        || Reply::json(200, "{}"),
        || Reply::json(200, "no"),
    ] {
        let (_fake, session) = cloud(move |_| reply()).await;
        let answers = reader(&session).read(vec![read(of_resource())]).await;
        assert!(matches!(&answers[0], Err(MetricReadError::Unavailable(_))), "{answers:?}");
    }
}

#[tokio::test]
async fn a_projects_rights_are_heeded() {
    let (fake, session) = cloud(|seen| match seen.path.as_str() {
        "/v1/resource/generic/mine" => Reply::json(200, r#"{"project_id": "p"}"#),
        "/v1/resource/generic/made" => Reply::json(200, r#"{"project_id": "q", "creator": "u:p"}"#),
        "/v1/metric/mine" => Reply::json(200, r#"{"creator": "u:q", "resource": {"project_id": "p"}}"#),
        path if path.starts_with("/v1/resource/generic/") && !path.contains("/measures") => {
            Reply::json(200, r#"{"project_id": "q", "creator": "u:q"}"#)
        }
        path if path.starts_with("/v1/metric/") => {
            Reply::json(200, r#"{"creator": "u:q", "resource": null}"#)
        }
        path if path.contains("/aggregates") => Reply::json(200, r#"{"measures": {"aggregated": []}}"#),
        _ => Reply::json(200, "[]"),
    })
    .await;
    let reader = reader(&session);
    let own = |subject| MetricRead { project_id: Some("p".to_owned()), ..read(subject) };
    let resource =
        |id: &str| own(MetricSubject::OfResource { resource_id: id.to_owned(), metric: "m".to_owned() });
    let metric = |id: &str| own(MetricSubject::Metrics(vec![id.to_owned()]));
    let reads = vec![
        resource("mine"),
        resource("made"),
        resource("theirs"),
        metric("mine"),
        metric("theirs"),
        own(of_resources(json!({}))),
    ];
    let answers = reader.read(reads).await;
    let fine = Ok(Vec::new());
    assert_eq!(
        answers,
        [
            fine.clone(),
            fine.clone(),
            Err(MetricReadError::NoSuchResource),
            fine.clone(),
            Err(MetricReadError::NoSuchMetric),
            fine
        ]
    );
    let search = asked(&fake).iter().find(|seen| seen.body.contains("search")).unwrap().json();
    assert_eq!(
        search["search"],
        json!({"or": [{"=": {"project_id": "p"}}, {"=": {"created_by_project_id": "p"}}]})
    );
}

#[tokio::test]
async fn readings_are_tried_and_methods_are_kept() {
    let (fake, session) = cloud(|seen| match seen.path.as_str() {
        "/v1/capabilities" => Reply::json(200, r#"{"aggregation_methods": ["mean", "rate:mean"]}"#),
        path if path.starts_with("/v1/search/resource/instance") => Reply::json(200, "[]"),
        path if path.starts_with("/v1/search/resource/odd") => {
            Reply::json(400, r#"{"description": "Invalid"}"#)
        }
        _ => Reply::json(404, r#"{"description": "Resource type other does not exist"}"#),
    })
    .await;
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1)));
    let reader = GnocchiReader::new(session, Arc::clone(&clock) as Arc<dyn Clock>);
    for _ in 0..3 {
        assert_eq!(reader.aggregation_methods().await.unwrap(), ["mean", "rate:mean"]);
    }
    assert_eq!(asked(&fake).len(), 1);
    clock.advance_ns(3_601_000_000_000);
    reader.aggregation_methods().await.unwrap();
    assert_eq!(asked(&fake).len(), 2);
    let of_type = |name: &str| {
        read(MetricSubject::OfResources {
            metric: "m".to_owned(),
            resource_type: name.to_owned(),
            search: json!({}),
        })
    };
    assert_eq!(reader.check(&of_type("instance")).await, Ok(()));
    assert_eq!(reader.check(&read(of_resource())).await, Ok(()));
    for name in ["odd", "other"] {
        let refused = reader.check(&of_type(name)).await;
        assert!(matches!(refused, Err(MetricReadError::Refused { status: 400, .. })), "{refused:?}");
    }
    assert_eq!(reader.series(&[read(of_resource())]).await, [None]);
}

fn message(access: QueueAccess, subscribers: &[&str]) -> QueueMessage {
    QueueMessage {
        id: Uuid::from_u128(7),
        queue: "a-b c".to_owned(),
        access,
        body: json!({"body": {"alarm_id": "a"}}),
        subscribers: subscribers.iter().map(|text| (*text).to_owned()).collect(),
        ttl_seconds: 60,
    }
}

fn queues(session: &Arc<Session>) -> ZaqarQueues {
    let trusts = Arc::new(TrustSessions::new(Arc::clone(session)));
    ZaqarQueues::new(Arc::clone(session), trusts, "messaging")
}

#[tokio::test]
async fn messages_are_posted_by_every_right() {
    let (fake, session) = cloud(|seen| match seen.path.ends_with("/subscriptions") {
        true => Reply::json(409, "{}"),
        false => Reply::json(201, "{}"),
    })
    .await;
    let queues = queues(&session);
    queues.post(message(QueueAccess::Service, &["mailto:x@y"])).await.unwrap();
    queues.post(message(QueueAccess::Trust("tr".to_owned()), &[])).await.unwrap();
    let signed = QueueAccess::PreSigned {
        project_id: "p".to_owned(),
        paths: vec!["/a".to_owned(), "/b".to_owned()],
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        expires: "2030-01-01T00:00:00".to_owned(),
        signature: Secret::new("sig"),
    };
    queues.post(message(signed, &[])).await.unwrap();
    let seen = asked(&fake);
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let posted = "/v2/queues/a-b%20c/messages";
    assert_eq!(paths, ["/v2/queues/a-b%20c/subscriptions", posted, posted, posted]);
    assert_eq!(seen[0].json(), json!({"subscriber": "mailto:x@y", "ttl": 60, "options": {}}));
    assert_eq!(seen[1].json(), json!({"messages": [{"body": {"alarm_id": "a"}}]}));
    assert_eq!(seen[1].header("client-id"), Some(Uuid::from_u128(7).to_string().as_str()));
    let tokens: Vec<_> = seen.iter().map(Seen::token).collect();
    assert_eq!(tokens, [Some("t"), Some("t"), Some("by-tr"), None]);
    let signed = ["url-signature", "url-methods", "url-paths", "url-expires", "x-project-id"];
    let values: Vec<_> = signed.iter().map(|name| seen[3].header(name).unwrap()).collect();
    assert_eq!(values, ["sig", "GET,POST", "/a,/b", "2030-01-01T00:00:00", "p"]);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let (_fake, session) = cloud(|_| Reply::busy()).await;
    let failure = queues(&session).post(message(QueueAccess::Service, &[])).await.unwrap_err();
    assert!(matches!(failure, DeliveryFailure::Later { .. }), "{failure:?}");
    let (_fake, session) = cloud(|_| Reply::json(403, "{}")).await;
    let failure = queues(&session).post(message(QueueAccess::Service, &[])).await.unwrap_err();
    assert!(matches!(failure, DeliveryFailure::Final(_)), "{failure:?}");
    let gone = QueueAccess::Trust("gone".to_owned());
    let failure = queues(&session).post(message(gone, &[])).await.unwrap_err();
    assert!(
        matches!(&failure, DeliveryFailure::Final(text) if text.contains("no such trust")),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_trusts_token_is_kept_until_it_is_forgotten() {
    let (fake, session) = cloud(|_| Reply::status(200)).await;
    let trusts = TrustSessions::new(session);
    for _ in 0..3 {
        assert_eq!(trusts.token("tr").await.unwrap().expose(), "by-tr");
    }
    assert_eq!(fake.sign_ins(), 1);
    trusts.forget("tr", &Secret::new("by-tr"));
    trusts.token("tr").await.unwrap();
    assert_eq!(fake.sign_ins(), 2);
    assert!(matches!(trusts.token("gone").await, Err(DeliveryFailure::Final(_))));
}

#[tokio::test]
async fn unhealthy_members_are_replaced() {
    let (fake, session) = cloud(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/stacks/root") => Reply::Answer(
            302,
            "Location: http://heat.example/v1/p/stacks/name/root\r\n".to_owned(),
            String::new(),
        ),
        ("GET", "/stacks/asg") => Reply::json(200, r#"{"stack": {"stack_name": "group", "id": "asg"}}"#),
        ("GET", path) if path.contains("physical_resource_id=m1&") => {
            Reply::json(200, r#"{"resources": [{"parent_resource": "member one"}]}"#)
        }
        ("GET", _) => Reply::json(200, r#"{"resources": []}"#),
        _ => Reply::status(202),
    })
    .await;
    let healer = HeatStacks::new(Arc::new(TrustSessions::new(session)));
    let members = |ids: &[&str]| UnhealthyMembers {
        trust_id: "tr".to_owned(),
        stack_id: "root".to_owned(),
        group_id: "asg".to_owned(),
        member_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    assert_eq!(healer.heal(members(&["m1", "m2"])).await, Ok(1));
    let seen = asked(&fake);
    assert!(seen.iter().all(|seen| seen.token() == Some("by-tr")));
    assert_eq!(seen[1].path, "/stacks/name/root/resources?physical_resource_id=m1&nested_depth=3");
    let patches: Vec<_> = seen.iter().filter(|seen| seen.method == "PATCH").collect();
    assert_eq!(patches[0].path, "/stacks/group/asg/resources/member%20one");
    let mark = json!({"mark_unhealthy": true, "resource_status_reason": "unhealthy load balancer member"});
    assert_eq!(patches[0].json(), mark);
    assert_eq!((patches[1].path.as_str(), patches[1].json()), ("/stacks/name/root", json!({})));
    assert_eq!(patches.len(), 2);
    assert_eq!(healer.heal(members(&["m3"])).await, Ok(0));
    assert_eq!(asked(&fake).iter().filter(|seen| seen.method == "PATCH").count(), 2);
}

#[tokio::test]
async fn members_are_read_page_by_page() {
    let (fake, session) = cloud(|seen| match seen.path.as_str() {
        "/v2.0/lbaas/pools/pool/members" => Reply::json(
            200,
            r#"{"members": [{"id": "1"}], "members_links": [{"rel": "next", "href": "http://elsewhere/x?limit=1&marker=1"}]}"#,
        ),
        "/v2.0/lbaas/pools/pool/members?marker=1" => Reply::json(200, r#"{"members": [{"id": "2"}]}"#),
        "/v2.0/lbaas/pools/down/members" => Reply::status(503),
        _ => Reply::json(404, r#"{"faultstring": "no pool"}"#),
    })
    .await;
    let pools = OctaviaPools::new(session);
    assert_eq!(pools.members("pool").await.unwrap(), [json!({"id": "1"}), json!({"id": "2"})]);
    assert_eq!(asked(&fake).len(), 2);
    let refused = PoolMembersError::Refused(r#"{"faultstring": "no pool"}"#.to_owned());
    assert_eq!(pools.members("none").await, Err(refused));
    assert!(matches!(pools.members("down").await, Err(PoolMembersError::Unreachable(_))));
}

#[tokio::test]
async fn prometheus_is_asked_and_narrowed() {
    const VECTOR: &str = r#"{"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {}, "value": [1.0, "1.5"]}, {"metric": {}, "value": [1.0, "+Inf"]}]}}"#;
    let reply = |seen: &Seen| match seen.path.as_str() {
        "/root/api/v1/query?query=scalar" => {
            Reply::json(200, r#"{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}"#)
        }
        path if path.ends_with("query=bad") => {
            Reply::json(400, r#"{"status": "error", "error": "parse error"}"#)
        }
        path if path.ends_with("query=down") => Reply::status(503),
        _ => Reply::json(200, VECTOR),
    };
    let (fake, session) = cloud(reply).await;
    let clock = Arc::new(SystemClock::new()) as Arc<dyn Clock>;
    let catalogued = PrometheusHttp::new(Some(session), None, "project", &clock).unwrap();
    assert_eq!(catalogued.query("up", None).await.unwrap(), [1.5, f64::INFINITY]);
    catalogued.query("up", Some("S")).await.unwrap();
    let seen = asked(&fake);
    assert_eq!((seen[0].path.as_str(), seen[0].token()), ("/api/v1/query?query=up", Some("t")));
    assert_eq!(seen[1].path, "/api/v1/query?query=up%7Bproject%3D%22S%22%7D");
    let refused = catalogued.query("up{", Some("S")).await;
    assert!(matches!(refused, Err(MetricReadError::Refused { status: 400, .. })), "{refused:?}");
    assert_eq!(asked(&fake).len(), 2, "what is not understood is not sent");
    let address = PrometheusAddress { url: fake.url.join("/root").unwrap(), ca_file: None };
    let plain = PrometheusHttp::new(None, Some(address), "project", &clock).unwrap();
    assert_eq!(plain.query("scalar", None).await.unwrap(), [2.0]);
    assert_eq!(asked(&fake)[2].token(), None);
    let bad = MetricReadError::Refused { status: 400, text: "parse error".to_owned() };
    assert_eq!(plain.query("bad", None).await, Err(bad));
    let nowhere = PrometheusHttp::new(None, None, "project", &clock).unwrap();
    assert!(matches!(nowhere.query("up", None).await, Err(MetricReadError::Unavailable(_))));
}
