//! The CPU that a whole request takes, `GET /v1/metric/<id>` through the router to the index and back, by each way to sign in
//! and with limits: `cargo bench -p nephometer-api --bench request`.
//!
//! What is measured is CPU time of all threads of this process, over one application, in turns of a hundred requests a way, so
//! that what else the machine does touches all ways alike. Printed are each way's median, and the median of what it took
//! more than the first way in the same turn.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use nephometer_api::gnocchi::{self, GnocchiSettings, GnocchiState};
use nephometer_api::limits::{Allowance, LimitSettings, Limits, Rate};
use nephometer_drivers::{Authenticator, BasicAuthenticator};
use nephometer_model::SystemClock;
use nephometer_openstack::policy::RuleSet;
use nephometer_testkit::app::TestApp;
use nephometer_testkit::tokens::{trusting_authenticator, usual_token};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tower::ServiceExt as _;

/// Turns of each way.
const TURNS: usize = 600;
/// Requests of a turn.
const REQUESTS: usize = 100;

/// One way to ask.
struct Way {
    name: &'static str,
    router: Router,
    sign_in: (HeaderName, HeaderValue),
    /// CPU of each turn, in nanoseconds a request.
    cpu_ns: Vec<f64>,
}

impl Way {
    fn new(
        name: &'static str,
        app: &TestApp,
        authenticator: Arc<dyn Authenticator>,
        sign_in: (HeaderName, HeaderValue),
        limits: LimitSettings,
    ) -> Self {
        let router = gnocchi::router(GnocchiState {
            service: Arc::clone(&app.service),
            authenticator,
            enforcer: Arc::new(RuleSet::defaults()),
            limits: Arc::new(Limits::new(limits, Arc::new(SystemClock::new()))),
            settings: GnocchiSettings::default(),
        });
        Self { name, router, sign_in, cpu_ns: Vec::new() }
    }

    async fn ask(&self, path: &str) {
        let request = Request::builder().uri(path).header(header::HOST, "localhost");
        let request = request.header(header::ACCEPT, "application/json");
        let request = request.header(self.sign_in.0.clone(), self.sign_in.1.clone());
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("routers do not fail");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    async fn turn(&mut self, path: &str) {
        let before_ns = cpu_ns();
        for _ in 0..REQUESTS {
            self.ask(path).await;
        }
        self.cpu_ns.push((cpu_ns() - before_ns) / REQUESTS as f64);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// CPU time of this process so far, in nanoseconds.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn plenty() -> LimitSettings {
    let measures = Some(Rate { per_second: NonZeroU64::MAX, burst: NonZeroU64::MAX });
    let usual = Allowance { requests_in_flight: Some(NonZeroU32::MAX), measures };
    LimitSettings { usual, ..LimitSettings::default() }
}

fn ways(app: &TestApp) -> Vec<Way> {
    let name = || (header::AUTHORIZATION, HeaderValue::from_static("basic YWRtaW46"));
    let token = || {
        let token = HeaderValue::from_str(&usual_token('u')).expect("a header's value");
        (HeaderName::from_static("x-auth-token"), token)
    };
    let basic = || Arc::new(BasicAuthenticator);
    let keystone = || Arc::new(trusting_authenticator());
    vec![
        Way::new("a user's name", app, basic(), name(), LimitSettings::default()),
        Way::new("a known token", app, keystone(), token(), LimitSettings::default()),
        Way::new("a user's name, limits on", app, basic(), name(), plenty()),
        Way::new("a known token, limits on", app, keystone(), token(), plenty()),
    ]
}

/// The path of a new metric.
async fn metric(app: &TestApp) -> String {
    let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 10}]});
    app.post("/v1/archive_policy", &policy).await.expect(201);
    let body = json!({"archive_policy_name": "p"});
    let metric = app.request(Method::POST, "/v1/metric").json(&body).send().await.expect(201).json();
    format!("/v1/metric/{}", metric["id"].as_str().expect("an id"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let app = TestApp::start().await.expect("the application starts");
    let path = metric(&app).await;
    let mut ways = ways(&app);
    for way in &mut ways {
        way.turn(&path).await;
        way.cpu_ns.clear();
    }
    for _ in 0..TURNS {
        for way in &mut ways {
            way.turn(&path).await;
        }
    }
    for way in &ways {
        let own_us = median(way.cpu_ns.iter().copied()) / 1e3;
        let more_us = median(way.cpu_ns.iter().zip(&ways[0].cpu_ns).map(|(own, first)| own - first)) / 1e3;
        println!("{:<26} {own_us:>8.2} us CPU a request {more_us:>+8.2} us", way.name);
    }
}
