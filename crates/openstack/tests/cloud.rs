//! What pollsters ask: with the session's token, only where it may go, and no faster than is allowed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{CloudCall, CloudError, CloudMethod, CloudReader, CloudTarget};
use nephometer_model::{Clock, SystemClock};
use nephometer_openstack::keystone::{HttpOptions, Session};
use nephometer_openstack::services::{CloudPace, CloudSession};
use support::{Fake, Reply, Seen};

async fn cloud(
    pace: CloudPace,
    reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Fake, CloudSession) {
    let fake = Fake::start(move |_, seen, url| match seen.is_sign_in() {
        true => Reply::token("t", url),
        false => reply(seen),
    })
    .await;
    let mut config = fake.config();
    config.http = HttpOptions { max_retries: 0, timeout: Duration::from_secs(5), ..config.http };
    let clock = Arc::new(SystemClock::new());
    let session = Session::new(config, Arc::clone(&clock) as _).unwrap();
    (fake, CloudSession::new(Arc::new(session), clock, pace))
}

fn to(target: CloudTarget) -> CloudCall {
    CloudCall::to(target)
}

#[tokio::test]
async fn a_call_goes_out_with_its_query_its_headers_and_the_token() {
    let reply = |_: &Seen| Reply::Answer(204, "X-Account-Object-Count: 7\r\n".to_owned(), String::new());
    let (fake, cloud) = cloud(CloudPace::default(), reply).await;
    let mut call =
        CloudCall::get("metric", "/v1/x?a=1").query("b", "2 3").header("X-Auth-All-Projects", "True");
    call.method = CloudMethod::Head;
    let answer = cloud.call(&call).await.unwrap();
    assert_eq!((answer.status, answer.headers["x-account-object-count"].as_bytes()), (204, &b"7"[..]));
    let seen = fake.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("HEAD", "/v1/x?a=1&b=2+3"));
    assert_eq!((seen.header("x-auth-token"), seen.header("x-auth-all-projects")), (Some("t"), Some("True")));
}

#[tokio::test]
async fn refusals_are_answers_and_absence_is_told_apart() {
    let (_fake, cloud) = cloud(CloudPace::default(), |seen| match seen.path.as_str() {
        "/gone" => Reply::json(404, "{}"),
        _ => Reply::status(500),
    })
    .await;
    assert_eq!(cloud.call(&CloudCall::get("metric", "/gone")).await.unwrap().status, 404);
    let broken = cloud.call(&CloudCall::get("metric", "/broken")).await;
    assert!(matches!(broken, Err(CloudError::Unavailable(_))), "{broken:?}");
    let absent = cloud.call(&CloudCall::get("volumev3", "/volumes")).await;
    assert!(matches!(absent, Err(CloudError::NoService(_))), "{absent:?}");
    assert_eq!(cloud.endpoints("volumev3").await, Ok(Vec::new()));
    assert_eq!(cloud.endpoints("metric").await.unwrap().len(), 1);
}

#[tokio::test]
async fn links_lead_only_to_hosts_of_the_catalogue() {
    let (fake, cloud) = cloud(CloudPace::default(), |_| Reply::json(200, "{}")).await;
    let (elsewhere, _) = self::cloud(CloudPace::default(), |_| Reply::json(200, "{}")).await;
    let within = fake.url.join("/v1/next?marker=1").unwrap();
    assert!(cloud.call(&to(CloudTarget::Link(within.to_string()))).await.is_ok());
    let foreign = cloud.call(&to(CloudTarget::Link(elsewhere.url.to_string()))).await;
    assert!(matches!(foreign, Err(CloudError::Invalid(_))), "{foreign:?}");
    assert_eq!(elsewhere.seen().len(), 0);
    assert!(cloud.call(&to(CloudTarget::Configured(elsewhere.url.to_string()))).await.is_ok());
    let unfit = cloud.call(&to(CloudTarget::Configured("file:///etc/passwd".to_owned()))).await;
    assert!(matches!(unfit, Err(CloudError::Invalid(_))), "{unfit:?}");
}

#[tokio::test]
async fn a_service_is_asked_no_faster_than_is_allowed() {
    let pace = CloudPace { calls_per_second: 50.0, at_once: 8 };
    let (_fake, cloud) = cloud(pace, |_| Reply::json(200, "{}")).await;
    let call = CloudCall::get("metric", "/");
    cloud.call(&call).await.unwrap();
    let clock = SystemClock::new();
    let calls = (0..10).map(|_| cloud.call(&call));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    // The first of the ten may follow 20 ms after the one before.
    assert!(clock.monotonic_ns() >= 180_000_000, "{} ns", clock.monotonic_ns());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let (_fake, cloud) = cloud(CloudPace::default(), |_| Reply::Silence).await;
    let mut call = CloudCall::get("metric", "/");
    call.timeout = Some(Duration::from_millis(50));
    assert!(matches!(cloud.call(&call).await, Err(CloudError::Unavailable(_))));
}
