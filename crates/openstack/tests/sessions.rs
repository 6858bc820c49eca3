//! Sessions towards services that refuse, stumble, hang or lie: what is tried again, what is not, and who waits for whom.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use nephometer_model::{ManualClock, SystemClock, Timestamp};
use nephometer_openstack::keystone::{KeystoneError, Request, Session, SessionConfig, Url, ValidationError};
use support::{Fake, PASSWORD, Reply, Seen};

const NS: i64 = 1_000_000_000;

fn session(config: SessionConfig) -> Session {
    Session::new(config, Arc::new(SystemClock::new())).unwrap()
}

fn get() -> Request {
    Request::new(Method::GET, "metric", "/v1/metric")
}

/// Signs in, and gives everything else to `reply`, with the number of the request.
async fn fake(reply: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |number, seen, url| match seen.is_sign_in() {
        true => Reply::token(&format!("token-{number}"), url),
        false => reply(number, seen),
    })
    .await
}

#[tokio::test]
async fn a_request_carries_token_query_and_body() {
    let fake = fake(|_, _| Reply::json(200, "{}")).await;
    let request = Request::new(Method::POST, "metric", "/v1/metric").query("a", "b c").json(&[1, 2]);
    let session = session(fake.config());
    let answer = session.request(&request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"{}"[..]));
    assert_eq!(format!("{request:?}"), "POST metric /v1/metric");
    let signed = session.signed_in().await.unwrap();
    let shown = format!("{answer:?} {signed:?} {:?}", fake.config());
    assert!(
        shown.contains("status: 200") && !shown.contains("token-0") && !shown.contains(PASSWORD),
        "{shown}"
    );
    let seen = &fake.seen()[1];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/metric?a=b+c"));
    assert_eq!(seen.header("x-auth-token"), Some("token-0"));
    assert_eq!((seen.header("content-type"), seen.body.as_str()), (Some("application/json"), "[1,2]"));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_told_without_it() {
    let fake = Fake::start(|_, _, _| {
        let text = format!(r#"{{"error": {{"code": 401, "message": "wrong: {PASSWORD}"}}}}"#);
        Reply::json(401, &text)
    })
    .await;
    let error = session(fake.config()).request(&get()).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(matches!(error, KeystoneError::SignIn { .. }));
    let text = format!("{error} {error:?}");
    assert!(text.contains("user n of domain default") && !text.contains(PASSWORD), "{text}");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn what_is_busy_is_asked_again() {
    let fake = Fake::start(|number, seen, url| match (number, seen.is_sign_in()) {
        (0, _) => Reply::HangUp,
        (1 | 3 | 4, _) => Reply::busy(),
        (_, true) => Reply::token("t", url),
        _ => Reply::json(200, "{}"),
    })
    .await;
    session(fake.config()).request(&get()).await.unwrap();
    assert_eq!(fake.seen().len(), 6);
    let fake = self::fake(|_, _| Reply::busy()).await;
    let error = session(fake.config()).request(&get()).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("503"), "{error}");
    assert_eq!(fake.seen().len(), 5, "one attempt and three more");
}

#[tokio::test]
async fn what_may_have_happened_is_not_done_twice() {
    for reply in [Reply::busy as fn() -> Reply, || Reply::HangUp] {
        let fake = fake(move |_, _| reply()).await;
        let session = session(fake.config());
        let post = Request::new(Method::POST, "metric", "/v1/metric").json(&1);
        assert!(session.request(&post).await.unwrap_err().is_temporary());
        assert_eq!(fake.seen().len(), 2);
        assert!(session.request(&post.repeatable()).await.unwrap_err().is_temporary());
        assert_eq!(fake.seen().len(), 6);
    }
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    for status in [400, 403, 404, 409, 413, 429] {
        let fake = fake(move |_, _| Reply::json(status, r#"{"message": "no"}"#)).await;
        let error = session(fake.config()).request(&get()).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert!(error.to_string().ends_with(": no"), "{error}");
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn long_waits_are_left_to_the_caller() {
    let fake = fake(|_, _| Reply::Answer(503, "Retry-After: 120\r\n".to_owned(), String::new())).await;
    let error = session(fake.config()).request(&get()).await.unwrap_err();
    assert!(matches!(error, KeystoneError::Unavailable { retry_after_seconds: Some(120), .. }), "{error:?}");
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn nobody_there() {
    // Port 1 is nobody's.
    let mut config = support::config(&"http://127.0.0.1:1/".parse().unwrap());
    config.http.max_retries = 1;
    let error = session(config).signed_in().await.unwrap_err();
    assert!(
        error.is_temporary() && error.to_string().contains("http://127.0.0.1:1/v3/auth/tokens"),
        "{error}"
    );
}

#[tokio::test]
async fn silence_ends() {
    let fake = fake(|_, _| Reply::Silence).await;
    let mut config = fake.config();
    config.http.timeout = Duration::from_millis(300);
    let error = session(config).request(&get()).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("0.3 s"), "{error}");
}

#[tokio::test]
async fn redirections_are_told_and_not_followed() {
    let elsewhere = fake(|_, _| Reply::status(200)).await;
    let location = format!("Location: {}secret?x=1\r\n", elsewhere.url);
    let fake = fake(move |_, _| Reply::Answer(302, location.clone(), String::new())).await;
    let error = session(fake.config()).request(&get()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("points to {}secret", elsewhere.url)), "{error}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_replaced_once() {
    let fake = fake(|_, seen| match seen.header("x-auth-token") {
        Some("token-0") => Reply::status(401),
        _ => Reply::json(200, "{}"),
    })
    .await;
    let session = Arc::new(session(fake.config()));
    let requests = (0..20).map(|_| {
        let session = Arc::clone(&session);
        tokio::spawn(async move { session.request(&get()).await.map(|answer| answer.status) })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap().unwrap(), StatusCode::OK);
    }
    assert_eq!(fake.sign_ins(), 2, "once for all at first, once for all after the 401");
    let fake = self::fake(|_, _| Reply::status(401)).await;
    let error = self::session(fake.config()).request(&get()).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(fake.seen().len(), 4, "two sign-ins, two attempts, no more");
}

#[tokio::test]
async fn many_share_a_failure() {
    let fake = Fake::start(|_, _, _| Reply::status(401)).await;
    let session = Arc::new(session(fake.config()));
    let all: Vec<_> = (0..50)
        .map(|_| {
            let session = Arc::clone(&session);
            tokio::spawn(async move { session.signed_in().await.is_err() })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap());
    }
    assert_eq!(fake.seen().len(), 1);
    assert!(session.signed_in().await.is_err());
    assert_eq!(fake.seen().len(), 2, "who comes later tries anew");
}

#[tokio::test]
async fn an_asker_that_gives_up_leaves_the_others_alone() {
    let slow = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&slow);
    let fake = Fake::start(move |_, _, url| match still.swap(false, Ordering::SeqCst) {
        true => Reply::Silence,
        false => Reply::token("t", url),
    })
    .await;
    let session = Arc::new(session(fake.config()));
    let first = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.signed_in().await.is_ok() }
    });
    while fake.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    first.abort();
    assert_eq!(session.signed_in().await.unwrap().token.expose(), "t");
}

#[tokio::test]
async fn tokens_are_renewed_in_time_and_used_to_their_end() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let fake = Fake::start(move |number, _, url| match is_down.load(Ordering::SeqCst) {
        true => Reply::Answer(503, "Retry-After: 60\r\n".to_owned(), String::new()),
        false => Reply::token(&format!("token-{number}"), url),
    })
    .await;
    // The clock here and that of Keystone are years apart.
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(NS)));
    let session = Session::new(fake.config(), Arc::clone(&clock) as _).unwrap();
    let current = async || session.signed_in().await.map(|signed| signed.token.expose().to_owned());
    assert_eq!(current().await.unwrap(), "token-0");
    clock.advance_ns(3299 * NS);
    assert_eq!(current().await.unwrap(), "token-0");
    clock.advance_ns(NS);
    assert_eq!(current().await.unwrap(), "token-1", "five minutes before the end");
    down.store(true, Ordering::SeqCst);
    clock.advance_ns(3599 * NS);
    assert_eq!(current().await.unwrap(), "token-1", "Keystone is away, but the token is still good");
    let asked = fake.seen().len();
    assert_eq!(current().await.unwrap(), "token-1");
    assert_eq!(fake.seen().len(), asked, "it is not asked again at once");
    clock.advance_ns(NS);
    assert!(current().await.unwrap_err().is_temporary());
    down.store(false, Ordering::SeqCst);
    assert!(current().await.is_ok());
}

#[tokio::test]
async fn validation_tells_wrong_tokens_from_wrong_services() {
    let outcome = async |status: u16, body: &'static str| {
        let fake = fake(move |_, _| Reply::json(status, body)).await;
        let outcome = session(fake.config()).validate("subject", false).await;
        let asked = fake.seen()[1].clone();
        assert_eq!(asked.path, "/v3/auth/tokens?nocatalog=1");
        assert_eq!(asked.header("x-subject-token"), Some("subject"));
        outcome
    };
    let error = r#"{"error": {"code": 404, "message": "no such token"}}"#;
    assert_eq!(outcome(404, error).await, Err(ValidationError::Invalid));
    for (status, body) in [
        (404, "<html>not found</html>"),
        (403, r#"{"error": {"code": 403, "message": "You may not"}}"#),
        (401, error),
        (400, error),
        (200, "{}"),
    ] {
        assert!(matches!(outcome(status, body).await, Err(ValidationError::Unavailable(_))), "{status}");
    }
    let body = r#"{"token": {"user": {"id": "x"}, "issued_at": "2026-11-20T08:00:00Z",
        "expires_at": "2026-11-20T09:00:00Z", "roles": [{"id": "r", "name": "member"}]}}"#;
    assert!(outcome(200, body).await.unwrap().has_role("member"));
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_asked_about() {
    let fake = fake(|_, _| Reply::status(500)).await;
    let session = session(fake.config());
    for subject in ["", "a\nb", "a\0b", &"x".repeat(10_000)] {
        assert_eq!(session.validate(subject, false).await, Err(ValidationError::Invalid));
    }
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn expired_tokens_and_older_catalogues() {
    let fake = fake(|_, _| Reply::json(404, r#"{"error": {}}"#)).await;
    let mut config = fake.config();
    config.endpoint_overrides.insert("identity".to_owned(), fake.url.join("/identity/v2.0/").unwrap());
    config.endpoint_overrides.insert("image".to_owned(), "http://image:9292/".parse::<Url>().unwrap());
    let session = session(config);
    assert_eq!(session.validate("s", true).await, Err(ValidationError::Invalid));
    assert_eq!(fake.seen()[1].path, "/identity/v3/auth/tokens?nocatalog=1&allow_expired=1");
    assert_eq!(session.endpoint("image").await.unwrap().as_str(), "http://image:9292/");
    let missing = session.endpoint("dns").await.unwrap_err().to_string();
    assert!(missing.ends_with("service type dns; it has identity, metric"), "{missing}");
}

#[tokio::test]
async fn something_else_than_keystone() {
    for reply in [
        || Reply::json(200, "<html>"),
        || Reply::json(201, "{}"),
        || Reply::Answer(201, "X-Subject-Token: t\r\n".to_owned(), "{}".to_owned()),
    ] {
        let fake = Fake::start(move |_, _, _| reply()).await;
        let error = session(fake.config()).signed_in().await.unwrap_err();
        assert!(
            matches!(error, KeystoneError::Malformed { .. }) && error.to_string().contains("auth_url"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_service_that_is_entered_later_is_found() {
    let fake = Fake::start(move |number, seen, url| match seen.is_sign_in() {
        true => match Reply::token(&format!("token-{number}"), url) {
            // The second catalogue has another service.
            Reply::Answer(status, head, body) if number > 0 => {
                Reply::Answer(status, head, body.replace("\"identity\"", "\"messaging\""))
            }
            first => first,
        },
        false => Reply::json(200, "{}"),
    })
    .await;
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(NS)));
    let session = Session::new(fake.config(), Arc::clone(&clock) as _).unwrap();
    let request = Request::new(Method::GET, "messaging", "/v2/queues");
    for _ in 0..3 {
        let error = session.request(&request).await.unwrap_err();
        assert!(matches!(error, KeystoneError::NoEndpoint { .. }), "{error}");
    }
    // The catalogue is new: it is believed.
    assert_eq!(fake.seen().len(), 1);
    clock.advance_ns(300 * NS);
    session.request(&request).await.unwrap();
    assert_eq!(fake.seen().len(), 3);
    // What the catalogue has costs nothing more, however old it is.
    clock.advance_ns(700 * NS);
    session.request(&request).await.unwrap();
    assert_eq!(fake.seen().len(), 4);
}
