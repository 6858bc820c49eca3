//! The CPU that a whole request takes, `GET /v1/metric/<id>` through the router to the index and back, by each way to sign in
//! and with limits: `cargo bench -p nephometer-api --bench request`.
//!
//! What is measured is CPU time of all threads of this process, in turns of a few hundred requests a way, so that what
//! else the machine does touches all ways alike; printed are medians and how far each lies above the first.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use axum::body::Body;
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use nephometer_api::limits::{Allowance, LimitSettings, Rate};
use nephometer_drivers::BasicAuthenticator;
use nephometer_testkit::app::{TestApp, TestAppBuilder};
use nephometer_testkit::tokens::{trusting_authenticator, usual_token};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tower::ServiceExt as _;

/// Turns of each way.
const TURNS: usize = 60;
/// Requests of a turn.
const REQUESTS: usize = 400;

/// One way to ask.
struct Way {
    name: &'static str,
    app: TestApp,
    sign_in: (HeaderName, HeaderValue),
    /// Path of the metric.
    path: String,
    /// CPU of each turn, in nanoseconds a request.
    cpu_ns: Vec<f64>,
}

impl Way {
    async fn prepare(
        name: &'static str,
        builder: TestAppBuilder,
        sign_in: (HeaderName, HeaderValue),
    ) -> Self {
        let app = builder.start().await.expect("the application starts");
        let post = async |path, body: serde_json::Value| {
            let request = app.request(http::Method::POST, path).without(&header::AUTHORIZATION);
            let request = request.header(sign_in.0.clone(), sign_in.1.to_str().expect("a text"));
            request.json(&body).send().await.expect(201).json()
        };
        let policy = json!({"name": "p", "definition": [{"granularity": 60, "points": 10}]});
        post("/v1/archive_policy", policy).await;
        let metric = post("/v1/metric", json!({"archive_policy_name": "p"})).await;
        let path = format!("/v1/metric/{}", metric["id"].as_str().expect("an id"));
        Self { name, app, sign_in, path, cpu_ns: Vec::new() }
    }

    async fn ask(&self) {
        let request = Request::builder().uri(&self.path).header(header::HOST, "localhost");
        let request = request.header(header::ACCEPT, "application/json");
        let request = request.header(self.sign_in.0.clone(), self.sign_in.1.clone());
        let request = request.body(Body::empty()).expect("a request");
        let answer = self.app.router.clone().oneshot(request).await.expect("routers do not fail");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    async fn turn(&mut self) {
        let before_ns = cpu_ns();
        for _ in 0..REQUESTS {
            self.ask().await;
        }
        self.cpu_ns.push((cpu_ns() - before_ns) / REQUESTS as f64);
    }

    fn median_ns(&self) -> f64 {
        let mut sorted = self.cpu_ns.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
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

async fn ways() -> Vec<Way> {
    let name = || (header::AUTHORIZATION, HeaderValue::from_static("basic YWRtaW46"));
    let token = || {
        let token = HeaderValue::from_str(&usual_token('u')).expect("a header's value");
        (HeaderName::from_static("x-auth-token"), token)
    };
    let basic = || TestApp::builder().authenticator(Arc::new(BasicAuthenticator));
    let keystone = || TestApp::builder().authenticator(Arc::new(trusting_authenticator()));
    vec![
        Way::prepare("a user's name", basic(), name()).await,
        Way::prepare("a known token", keystone(), token()).await,
        Way::prepare("a user's name, limits on", basic().limits(plenty()), name()).await,
        Way::prepare("a known token, limits on", keystone().limits(plenty()), token()).await,
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut ways = ways().await;
    for way in &mut ways {
        way.turn().await;
        way.cpu_ns.clear();
    }
    for _ in 0..TURNS {
        for way in &mut ways {
            way.turn().await;
        }
    }
    let least_ns = ways[0].median_ns();
    for way in &ways {
        let (median_ns, more_ns) = (way.median_ns(), way.median_ns() - least_ns);
        println!("{:<26} {:>8.2} us CPU a request {:>+8.2} us", way.name, median_ns / 1e3, more_ns / 1e3);
    }
}
