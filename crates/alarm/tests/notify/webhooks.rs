//! What receivers are sent, and what becomes of it: slow ones, broken ones, ones that point elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nephometer_alarm::notify::{DispatcherSettings, WebhookSettings};
use nephometer_drivers::{AlarmStore, NewDelivery};

use crate::receiver::{Receiver, Reply};
use crate::world::{PAYLOAD, World, local, quick, until, webhooks};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_goes_out_as_upstream_sends_it() {
    let receiver = Receiver::start(|_, _| Reply::status(200)).await;
    let world = World::start(local(), quick());
    let message = world.message("a", &receiver.url("/hook?x=1&y=%20z"));
    world.tell(vec![message.clone()]).await;
    assert!(world.settle().await.is_empty());
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/hook?x=1&y=%20z"));
    assert_eq!(seen[0].body, PAYLOAD);
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("x-openstack-request-id"), Some(format!("req-{}", message.id).as_str()));
    assert_eq!(seen[0].header("idempotency-key"), Some(message.id.to_string().as_str()));
    assert_eq!(seen[0].header("x-auth-token"), None);
    assert_eq!(world.handle.status().delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_repeated_under_one_id() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Reply::status(500),
        1 => Reply::Answer(429, "Retry-After: 1\r\n".to_owned()),
        2 => Reply::HangUp,
        3 => Reply::status(408),
        _ => Reply::status(204),
    })
    .await;
    let world = World::start(local(), quick());
    world.tell_one(&receiver.url("/")).await;
    assert!(world.settle().await.is_empty());
    let seen = receiver.seen();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|one| one.header("idempotency-key") == seen[0].header("idempotency-key")));
    assert!(seen[2].at - seen[1].at >= Duration::from_millis(990), "Retry-After is heard");
    let status = world.handle.status();
    assert_eq!((status.delivered, status.retried, status.dead), (1, 4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_given_up_at_once() {
    let receiver = Receiver::start(|_, _| Reply::status(404)).await;
    let world = World::start(local(), quick());
    world.tell_one(&receiver.url("/secret-path?token=hush")).await;
    let text = world.dead_text().await;
    assert!(text.ends_with("/secret-path answered with 404 Not Found"), "{text}");
    assert!(!text.contains("hush"));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enough_is_enough() {
    let receiver = Receiver::start(|_, _| Reply::status(503)).await;
    let world = World::start(local(), DispatcherSettings { max_attempts: 3, ..quick() });
    world.tell_one(&receiver.url("/")).await;
    let text = world.dead_text().await;
    assert!(text.starts_with("given up after 3 attempts: ") && text.contains("503"), "{text}");
    assert_eq!(receiver.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_carries_out_is_told() {
    let world = World::start(local(), quick());
    world.tell_one("zaqar://?topic=t").await;
    assert!(world.dead_text().await.contains("not configured"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_networks_are_closed_by_address_name_and_redirection() {
    let hidden = Receiver::start(|_, _| Reply::status(200)).await;
    let port = hidden.address.port();
    let world = World::start(webhooks(&[]), quick());
    let actions = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://2130706433:{port}/"),
    ];
    let messages = actions.iter().map(|action| world.message("a", action)).collect();
    world.tell(messages).await;
    let dead = world.settle().await;
    assert_eq!(dead.len(), actions.len());
    for one in &dead {
        let text = one.last_error.as_deref().unwrap();
        assert!(text.contains("is closed to notifications") || text.contains("which is closed"), "{text}");
    }
    assert!(hidden.seen().is_empty());
    // A target that is open points to one that is not.
    let target = format!("Location: http://127.0.0.9:{port}/\r\n");
    let open = Receiver::start(move |_, _| Reply::Answer(307, target.clone())).await;
    let world = World::start(webhooks(&["127.0.0.1"]), quick());
    world.tell_one(&open.url("/")).await;
    assert!(world.dead_text().await.starts_with("127.0.0.9 is in the network 127.0.0.0/8"));
    assert_eq!((open.seen().len(), hidden.seen().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirections_are_followed_as_upstream_does() {
    let last = Receiver::start(|_, _| Reply::status(200)).await;
    let (see_other, again) = (last.url("/other"), last.url("/again"));
    let first = Receiver::start(move |_, seen| match seen.path.as_str() {
        "/302" => Reply::Answer(302, format!("Location: {see_other}\r\n")),
        "/308" => Reply::Answer(308, format!("Location: {again}\r\n")),
        "/relative" => Reply::Answer(303, "Location: here?a=b\r\n".to_owned()),
        "/loop" => Reply::Answer(302, "Location: /loop\r\n".to_owned()),
        "/304" => Reply::status(304),
        "/gopher" => Reply::Answer(302, "Location: gopher://x/\r\n".to_owned()),
        _ => Reply::status(200),
    })
    .await;
    let world = World::start(local(), quick());
    let paths = ["/302", "/308", "/relative", "/304", "/loop", "/gopher"];
    world.tell(paths.iter().map(|path| world.message(path, &first.url(path))).collect()).await;
    let dead = world.settle().await;
    let texts: Vec<_> = dead.iter().map(|one| one.last_error.as_deref().unwrap()).collect();
    assert_eq!(dead.len(), 2);
    assert!(texts.contains(&"more than 10 redirections"), "{texts:?}");
    assert!(texts.iter().any(|text| text.ends_with("redirects to what is no address")), "{texts:?}");
    let seen = last.seen();
    let of = |path: &str| seen.iter().find(|seen| seen.path == path).unwrap();
    assert_eq!((of("/other").method.as_str(), of("/other").body.as_str()), ("GET", ""));
    assert_eq!((of("/again").method.as_str(), of("/again").body.as_str()), ("POST", PAYLOAD));
    assert!(first.seen().iter().any(|seen| seen.method == "GET" && seen.path == "/here?a=b"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_holds_nobody_up() {
    let hanging = Receiver::start(|_, _| Reply::Silence).await;
    let quick_one = Receiver::start(|_, _| Reply::status(200)).await;
    let mut world =
        World::start(local(), DispatcherSettings { grace: Duration::from_millis(100), ..quick() });
    let stuck: Vec<_> =
        (0..600).map(|number| world.message(&format!("stuck-{number}"), &hanging.url("/"))).collect();
    world.tell(stuck).await;
    until(async || hanging.seen().len() >= 4).await;
    let begun = tokio::time::Instant::now();
    let fine: Vec<_> =
        (0..200).map(|number| world.message(&format!("fine-{number}"), &quick_one.url("/"))).collect();
    world.tell(fine).await;
    until(async || quick_one.seen().len() == 200).await;
    // All that are due are taken before long; the hanging one has its two seconds each time.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(hanging.most_at_once() <= 4, "{}", hanging.most_at_once());
    world.stop().await;
    // What was not told is free for others at once.
    let left = world.index.outbox().await.unwrap();
    assert_eq!(left.waiting, 600);
    assert!(world.handle.status().returned > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_alarm_keep_their_order() {
    let receiver = Receiver::start(|number, _| Reply::status(if number % 3 == 0 { 500 } else { 200 })).await;
    let world = World::start(local(), quick());
    let messages: Vec<_> = (0..20)
        .map(|number| NewDelivery { payload: number.to_string(), ..world.message("a", &receiver.url("/")) })
        .collect();
    world.tell(messages).await;
    assert!(world.settle().await.is_empty());
    let mut told: Vec<u32> = receiver.seen().iter().map(|seen| seen.body.parse().unwrap()).collect();
    assert!(told.is_sorted(), "{told:?}");
    told.dedup();
    assert_eq!(told, (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_receiver_is_kept_busy_and_two_dispatchers_tell_once() {
    let receiver = Receiver::start(|_, _| Reply::status(200)).await;
    let world = World::start(local(), quick());
    let second = world.other(Arc::clone(&world.index) as _, quick());
    let second = tokio::spawn(second.run(std::future::pending()));
    let messages: Vec<_> =
        (0..2000).map(|number| world.message(&format!("a-{number}"), &receiver.url("/"))).collect();
    world.tell(messages).await;
    assert!(world.settle().await.is_empty());
    let seen = receiver.seen();
    let ids: std::collections::HashSet<_> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!((seen.len(), ids.len()), (2000, 2000));
    second.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked_as_settings_and_address_say() {
    use nephometer_testkit::certificates::Authority;
    let authority = Authority::new("notify tests").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca_file = authority.write(directory.path(), "ca").unwrap();
    let (certificate_file, key_file) =
        authority.issue(&["client"]).unwrap().write(directory.path(), "client").unwrap();
    let server = authority.issue(&["localhost", "127.0.0.1"]).unwrap();
    let receiver = Receiver::start_tls(&server, &authority).await;
    let SocketAddr::V4(address) = receiver.address else { panic!("not version 4") };
    let url = format!("https://127.0.0.1:{}/x", address.port());
    let full = WebhookSettings {
        certificate_file: Some(certificate_file.clone()),
        key_file: Some(key_file.clone()),
        ca_file: Some(ca_file),
        ..local()
    };
    let one_try = || DispatcherSettings { max_attempts: 1, ..quick() };
    let world = World::start(full.clone(), one_try());
    world.tell_one(&url).await;
    let dead = world.settle().await;
    assert!(dead.is_empty(), "{dead:?}");
    let seen = receiver.seen().len();
    assert_eq!(seen, 1);
    // An authority that is not known.
    let world = World::start(WebhookSettings { ca_file: None, ..full.clone() }, one_try());
    world.tell_one(&url).await;
    let text = world.dead_text().await;
    assert!(text.contains("certificate"), "{text}");
    world
        .tell(vec![world.message("b", &format!("{url}?aodh-alarm-ssl-verify=1&aodh-alarm-ssl-verify=0"))])
        .await;
    world.tell(vec![world.message("c", &format!("{url}?aodh-alarm-ssl-verify=yes"))]).await;
    let dead = world.settle().await;
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().any(|one| one.last_error.as_deref().unwrap().contains("neither 0 nor 1")));
    assert_eq!(receiver.seen().last().unwrap().path, "/x?aodh-alarm-ssl-verify=1&aodh-alarm-ssl-verify=0");
    // Settings that check nothing, and an address that wants it checked.
    let lax = WebhookSettings { ca_file: None, verify: false, ..full.clone() };
    let world = World::start(lax, one_try());
    world.tell_one(&url).await;
    assert!(world.settle().await.is_empty());
    world.tell_one(&format!("{url}?aodh-alarm-ssl-verify=1")).await;
    assert!(world.dead_text().await.contains("certificate"));
    // The server wants to know who calls.
    let world = World::start(WebhookSettings { certificate_file: None, key_file: None, ..full }, one_try());
    world.tell_one(&url).await;
    assert!(world.dead_text().await.starts_with("given up after 1 attempts"));
}
