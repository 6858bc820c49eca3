//! Files that change, and files that cannot be used.

use std::path::Path;

use nephometer_model::{ManualClock, Timestamp};
use nephometer_testkit::certificates::{Authority, Issued};
use tempfile::TempDir;

use super::*;

/// 2026-01-01.
const NOW_SECONDS: i64 = 1_767_225_600;

struct Site {
    directory: TempDir,
    authority: Authority,
    clock: Arc<ManualClock>,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(NOW_SECONDS * 1_000_000_000)));
        let site =
            Self { directory: TempDir::new().unwrap(), authority: Authority::new("a").unwrap(), clock };
        site.put(&site.issue(2025..2027));
        site
    }

    fn issue(&self, years: std::ops::Range<i32>) -> Issued {
        self.authority.issue_for_years(&["localhost"], years).unwrap()
    }

    fn put(&self, issued: &Issued) {
        issued.write(self.directory.path(), "server").unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings {
            cert_file: self.path("server.pem"),
            key_file: self.path("server.key"),
            clients: Clients::Unasked,
            versions: TlsVersions::From12,
            handshake_timeout: Duration::from_secs(10),
            protocols: HTTP_PROTOCOLS,
        }
    }

    fn open(&self) -> Tls {
        Tls::open(self.settings(), Arc::clone(&self.clock) as _).unwrap()
    }
}

fn not_after(tls: &Tls) -> String {
    tls.status().validity.not_after()
}

#[test]
fn a_new_certificate_is_taken_when_its_files_hold_still() {
    let site = Site::new();
    let tls = site.open();
    assert_eq!(not_after(&tls), "2027-01-01T00:00:00Z");
    assert!(!tls.reload_if_changed().unwrap());
    let new = site.issue(2025..2031);
    std::fs::write(site.path("server.pem"), &new.certificate).unwrap();
    assert!(!tls.reload_if_changed().unwrap(), "the key may be on its way");
    std::fs::write(site.path("server.key"), &new.key).unwrap();
    assert!(!tls.reload_if_changed().unwrap());
    assert!(tls.reload_if_changed().unwrap());
    assert_eq!(not_after(&tls), "2031-01-01T00:00:00Z");
    assert_eq!((tls.status().reloads, tls.status().failure), (1, None));
}

#[test]
fn a_bad_new_certificate_changes_nothing_and_is_reported_once() {
    let site = Site::new();
    let tls = site.open();
    let of_another = site.issue(2025..2031).key;
    let bad: [(&str, &dyn Fn()); 5] = [
        ("cannot be used with the key", &|| std::fs::write(site.path("server.key"), &of_another).unwrap()),
        ("holds no private key", &|| std::fs::write(site.path("server.key"), "nothing").unwrap()),
        ("cannot read", &|| std::fs::remove_file(site.path("server.key")).unwrap()),
        ("holds no certificate", &|| std::fs::write(site.path("server.pem"), "").unwrap()),
        ("is damaged", &|| {
            std::fs::write(site.path("server.pem"), "-----BEGIN CERTIFICATE-----\nAA").unwrap()
        }),
    ];
    for (expected, spoil) in bad {
        spoil();
        assert!(!tls.reload_if_changed().unwrap(), "{expected}");
        let error = tls.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!tls.reload_if_changed().unwrap() && !tls.reload_if_changed().unwrap(), "reported once");
        assert!(tls.status().failure.unwrap().contains(expected));
        assert_eq!(not_after(&tls), "2027-01-01T00:00:00Z");
    }
    site.put(&site.issue(2025..2031));
    tls.reload().unwrap();
    assert_eq!((not_after(&tls).as_str(), tls.status().failure), ("2031-01-01T00:00:00Z", None));
}

#[test]
fn a_certificate_out_of_date_is_served_at_a_start_but_replaces_none() {
    let site = Site::new();
    let tls = site.open();
    for years in [2020..2021, 2027..2030] {
        site.put(&site.issue(years));
        assert!(tls.reload().unwrap_err().to_string().contains("out of date"));
        assert_eq!(not_after(&tls), "2027-01-01T00:00:00Z");
    }
    let started = site.open();
    assert!(!started.status().validity.contains(NOW_SECONDS));
    site.clock.advance_ns(400 * 86_400 * 1_000_000_000);
    let taken = (0..3).filter(|_| tls.reload_if_changed().unwrap()).count();
    assert_eq!((taken, not_after(&tls).as_str()), (1, "2030-01-01T00:00:00Z"), "it has become good");
}

#[test]
fn an_end_that_is_near_is_told() {
    let site = Site::new();
    let tls = site.open();
    let status = tls.status();
    assert!(!status.is_ending && status.left_seconds == 365 * 86_400, "{status:?}");
    site.clock.advance_ns(350 * 86_400 * 1_000_000_000);
    assert!(tls.status().is_ending);
    site.clock.advance_ns(16 * 86_400 * 1_000_000_000);
    assert_eq!(tls.status().left_seconds, -86_400);
}

#[test]
fn authorities_of_clients_are_checked_and_followed() {
    let site = Site::new();
    let ca_file = site.authority.write(site.directory.path(), "ca").unwrap();
    let asking = |ca_file: &Path| {
        let settings = TlsSettings { clients: Clients::MustProve(ca_file.to_owned()), ..site.settings() };
        Tls::open(settings, Arc::clone(&site.clock) as _)
    };
    let tls = asking(&ca_file).unwrap();
    Authority::new("b").unwrap().write(site.directory.path(), "ca").unwrap();
    assert_eq!((0..3).filter(|_| tls.reload_if_changed().unwrap()).count(), 1);
    std::fs::write(&ca_file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let error = asking(&ca_file).err().unwrap().to_string();
    assert!(error.contains("the authorities in") && error.contains("ca.pem"), "{error}");
    assert!(asking(&site.path("none")).is_err());
}

#[test]
fn keys_are_repeated_by_no_error() {
    let site = Site::new();
    std::fs::write(site.path("server.key"), "-----BEGIN PRIVATE KEY-----\nhunter2!\n").unwrap();
    let error = Tls::open(site.settings(), Arc::clone(&site.clock) as _).err().unwrap();
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
}
