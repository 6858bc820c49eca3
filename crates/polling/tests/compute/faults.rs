//! What goes wrong costs itself and no more.

use std::time::Duration;

use nephometer_polling::{DiscoveryError, PollError};
use nephometer_testkit::libvirt::{Call, FakeDomain, FakeLibvirt, Fault};

use crate::{Bench, client};

fn many(count: u32) -> FakeLibvirt {
    FakeLibvirt::start((0..count).map(FakeDomain::numbered).collect()).unwrap()
}

#[tokio::test]
async fn a_daemon_that_is_restarted_in_a_poll_is_asked_again() {
    for call in [Call::Open, Call::Stats, Call::Xml] {
        let bench = Bench::plain(many(5));
        bench.daemon.fail(call, Some(Fault::BreakOff(2)));
        assert_eq!(bench.all(10).await["cpu"].len(), 5, "{call:?}");
    }
    // A connection that has ended while nobody used it is not even waited for.
    let bench = Bench::plain(many(5));
    bench.all(10).await;
    bench.daemon.fail(Call::Stats, Some(Fault::BreakOff(1)));
    assert_eq!(bench.all(10).await["cpu_util"].len(), 5);
}

#[tokio::test]
async fn a_daemon_that_stays_away_costs_the_cycle_and_is_asked_once() {
    let bench = Bench::plain(many(2));
    let cycle = bench.cycle(10);
    let resources = bench.resources(&cycle).await.unwrap();
    bench.daemon.fail(Call::Stats, Some(Fault::BreakOff(u32::MAX)));
    let cycle = bench.cycle(10);
    assert!(matches!(bench.resources(&cycle).await, Err(DiscoveryError::Failed(_))));
    let before = bench.daemon.connections();
    for meter in ["cpu", "memory", "network.incoming.bytes"] {
        assert!(matches!(bench.poll(&cycle, meter, &resources).await, Err(PollError::Failed(_))), "{meter}");
    }
    assert_eq!(bench.daemon.connections(), before, "the cycle has its answer");
    bench.daemon.fail(Call::Stats, None);
    assert_eq!(bench.all(10).await["cpu"].len(), 2);
}

#[tokio::test]
async fn a_guest_that_is_deleted_in_a_poll_is_left_out() {
    let bench = Bench::plain(many(3));
    // Between statistics and XML.
    bench.daemon.domains()[1].xml.clear();
    let samples = bench.all(10).await;
    assert_eq!(samples["cpu"].len(), 2);
    // Between the list and the reading.
    let resources = bench.resources(&bench.cycle(10)).await.unwrap();
    bench.daemon.domains().remove(0);
    let left = bench.poll(&bench.cycle(10), "cpu", &resources).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn a_guest_that_hangs_costs_its_time_limit_and_itself() {
    let mut domains: Vec<_> = (0..3).map(FakeDomain::numbered).collect();
    domains[0].busy = true;
    let daemon = FakeLibvirt::start(domains).unwrap();
    // Opening is answered; the question that waits for the domain is not. The first connection asks in bulk.
    let client = client(&daemon, Duration::from_millis(300));
    client.domains().await.unwrap();
    daemon.fail(Call::Open, Some(Fault::Hang));
    let records = client.domains().await.unwrap();
    let partial: Vec<_> =
        records.iter().filter(|record| record.partial).map(|record| &record.domain.name).collect();
    assert_eq!(partial, ["instance-00000000"]);
    assert_eq!(records.len(), 3);
}

#[tokio::test]
async fn strangers_and_broken_metadata_cost_that_domain() {
    let mut domains: Vec<_> = (0..4).map(FakeDomain::numbered).collect();
    domains[0].xml = "<domain><name>x</name></domain>".to_owned();
    domains[1].xml = domains[1].xml.replace("<nova:disk>1<", "<nova:disk>many<");
    domains[2].xml = "<domain".to_owned();
    let bench = Bench::plain(FakeLibvirt::start(domains).unwrap());
    let samples = bench.all(10).await;
    assert_eq!(samples["disk.root.size"].len(), 1);
    assert_eq!(samples["memory.usage"].len(), 1);
}
