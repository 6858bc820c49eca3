//! What goes over the wire, and what is made of the answers.

use std::time::Duration;

use nephometer_polling::libvirt::{LibvirtClient, LibvirtError, LibvirtUri};
use nephometer_testkit::libvirt::{CLIENT_SESSION, Call, FakeDomain, FakeLibvirt, Fault};

use crate::client;

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_recorded_answer_is_read_whole() {
    let daemon = FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap();
    let records = client(&daemon, LIMIT).domains().await.unwrap();
    let [record] = records.as_slice() else { panic!("{} domains", records.len()) };
    assert_eq!(record.domain.name, "instance-00000005");
    assert_eq!(record.domain.uuid.to_string(), "02eacd57-1358-4614-b3af-19e93bedf787");
    assert_eq!((record.domain.run, record.partial), (3, false));
    // As virsh printed them beside the recording.
    let stats = &record.stats;
    assert_eq!((stats.state, stats.cpu_time_ns), (Some(1), Some(24_842_475_000)));
    assert_eq!((stats.balloon.available, stats.balloon.usable), (Some(94_788), Some(71_684)));
    assert_eq!((stats.vcpu_current, stats.vcpu_maximum, stats.vcpus.len()), (Some(1), Some(1), 1));
    assert_eq!((&*stats.nics[0].name, &*stats.disks[0].name), ("tap4370fddf-b8", "vda"));
    assert!(stats.disks[0].read_bytes.is_some() && stats.nics[0].tx_drop == Some(0));
    let description = record.description.as_ref().unwrap();
    assert_eq!(description.architecture.as_deref(), Some("x86_64"));
    assert_eq!(description.nics[0].mac.as_deref(), Some("fa:16:3e:4f:b1:3e"));
    let nova = description.nova.as_ref().unwrap().as_ref().unwrap();
    assert_eq!((nova.flavor.name.as_str(), nova.flavor.memory_mib), ("m1.lab", 128));
}

/// A daemon's `virsh` and ours open a connection with the same bytes, but for the flag that asks to read only.
#[test]
fn virsh_speaks_as_we_do() {
    let auth_list =
        [0, 0, 0, 28, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 66, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(CLIENT_SESSION[..28], auth_list);
    // Their serial is not ours; program, version and procedure are.
    let stats = CLIENT_SESSION.windows(4).position(|bytes| bytes == [0, 0, 1, 0x58]).unwrap();
    assert_eq!(CLIENT_SESSION[stats - 8..stats], [0x20, 0, 0x80, 0x86, 0, 0, 0, 1]);
}

#[tokio::test]
async fn one_bulk_call_and_the_xml_of_each_over_one_connection() {
    let daemon = FakeLibvirt::start((0..30).map(FakeDomain::numbered).collect()).unwrap();
    let client = client(&daemon, LIMIT);
    for _ in 0..2 {
        assert_eq!(client.domains().await.unwrap().len(), 30);
        let asked = daemon.take_asked();
        assert_eq!(asked.iter().filter(|call| **call == Call::Stats).count(), 1);
        assert_eq!(asked.iter().filter(|call| **call == Call::Xml).count(), 30);
    }
    assert_eq!(daemon.connections(), 1);
}

#[tokio::test]
async fn changed_xml_is_seen_though_the_domain_goes_on() {
    let daemon = FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap();
    let client = client(&daemon, LIMIT);
    let first = client.domains().await.unwrap().remove(0).description.unwrap();
    let same = client.domains().await.unwrap().remove(0).description.unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &same));
    let xml = daemon.domains()[0].xml.replace("m1.lab", "m2.lab").replace("dev='vda'", "dev='vdb'");
    daemon.domains()[0].xml = xml;
    let changed = client.domains().await.unwrap().remove(0).description.unwrap();
    assert_eq!(&*changed.disks[0].device, "vdb");
    assert_eq!(changed.nova.as_ref().unwrap().as_ref().unwrap().flavor.name, "m2.lab");
}

#[tokio::test]
async fn an_old_daemon_is_asked_without_the_flag() {
    let daemon = FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap();
    daemon.forget_nowait();
    assert_eq!(client(&daemon, LIMIT).domains().await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_bulk_statistics_fail_each_domain_is_asked() {
    let daemon = FakeLibvirt::start((0..12).map(FakeDomain::numbered).collect()).unwrap();
    daemon.spoil_bulk();
    assert_eq!(client(&daemon, LIMIT).domains().await.unwrap().len(), 12);
}

#[tokio::test]
async fn a_busy_domain_is_asked_again_by_itself() {
    let mut domains: Vec<_> = (0..3).map(FakeDomain::numbered).collect();
    domains[1].busy = true;
    let daemon = FakeLibvirt::start(domains).unwrap();
    let records = client(&daemon, LIMIT).domains().await.unwrap();
    assert!(records.iter().all(|record| !record.partial && record.stats.disks[0].read_bytes.is_some()));
    assert_eq!(daemon.take_asked().iter().filter(|call| **call == Call::Stats).count(), 2);
}

#[tokio::test]
async fn sizes_come_in_the_order_in_which_they_were_asked() {
    let mut domains: Vec<_> = (0..20).map(FakeDomain::numbered).collect();
    for (number, domain) in (0..).zip(&mut domains) {
        domain.block_info = [number, number + 1, number + 2];
    }
    let daemon = FakeLibvirt::start(domains).unwrap();
    let client = client(&daemon, LIMIT);
    let mut devices: Vec<_> =
        client.domains().await.unwrap().into_iter().map(|record| (record.domain, "vda".into())).collect();
    devices[7].0.uuid = uuid::Uuid::nil();
    let infos = client.block_infos(&devices).await;
    for (number, info) in (0..).zip(&infos) {
        match info {
            Ok(info) => {
                assert_eq!((info.allocation, info.capacity, info.physical), (number, number + 1, number + 2))
            }
            Err(error) => assert!(number == 7 && error.is_no_domain(), "{error}"),
        }
    }
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let uri = LibvirtUri::parse("qemu+unix:///system?socket=/nowhere/sock", None).unwrap();
    let error = LibvirtClient::new(uri, LIMIT).with_pauses(&[]).domains().await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot connect to libvirt at /nowhere/sock: No such file"),
        "{error}"
    );
    let daemon = FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap();
    daemon.fail(Call::Stats, Some(Fault::Hang));
    let error = client(&daemon, Duration::from_millis(200)).domains().await.unwrap_err();
    assert!(matches!(error, LibvirtError::TimedOut { call: "statistics of domains", .. }), "{error}");
}

#[tokio::test]
async fn a_drivers_own_daemon_comes_first_and_a_stale_socket_is_passed_over() {
    let daemon = FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap();
    let runtime = tempfile::tempdir().unwrap();
    let directory = runtime.path().join("libvirt");
    std::fs::create_dir(&directory).unwrap();
    let (own, for_all) = (directory.join("virtqemud-sock"), directory.join("libvirt-sock"));
    let ask = async || {
        let uri = LibvirtUri::parse("qemu:///session", Some(runtime.path())).unwrap();
        LibvirtClient::new(uri, Duration::from_millis(200)).with_pauses(&[]).domains().await
    };
    let error = ask().await.unwrap_err();
    assert!(error.to_string().contains("libvirt-sock: No such file"), "{error}");
    std::os::unix::fs::symlink(daemon.socket(), &own).unwrap();
    assert_eq!(ask().await.unwrap().len(), 1);
    // One that hangs is waited for once, and is not covered up by the absence of the other.
    daemon.fail(Call::Open, Some(Fault::Hang));
    let before = daemon.connections();
    assert!(matches!(ask().await, Err(LibvirtError::TimedOut { .. })));
    assert_eq!(daemon.connections(), before + 1);
    daemon.fail(Call::Open, None);
    std::fs::remove_file(&own).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&own).unwrap());
    std::os::unix::fs::symlink(daemon.socket(), &for_all).unwrap();
    assert_eq!(ask().await.unwrap().len(), 1);
}
