//! TLS towards a real PostgreSQL: who is believed, who is let in, and what is said where nobody is.

use std::path::PathBuf;

use nephometer_index_sql::{OpenError, PostgresSettings, SqlIndex};
use nephometer_model::Secret;
use nephometer_testkit::certificates::Authority;
use nephometer_testkit::postgres::{Postgres, PostgresTls};

use crate::support;

/// The server lets these in: with TLS only, without TLS only, by certificate only.
const HBA: &str = "
hostssl   all private 127.0.0.1/32 scram-sha-256
hostnossl all plain   127.0.0.1/32 scram-sha-256
hostssl   all shown   127.0.0.1/32 cert";
const PASSWORD: &str = "hush-hush";

struct Place {
    cluster: Postgres,
    files: tempfile::TempDir,
    url: String,
}

impl Place {
    /// A cluster whose certificate is for `names`, with files of its authority (`ca`), of another one (`other`) and of a
    /// client of each (`shown`, `stranger`).
    fn start(names: &[&str], years: std::ops::Range<i32>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (authority, other) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
        let server = authority.issue_for_years(names, years).unwrap();
        let tls = PostgresTls {
            certificate: server.certificate,
            key: server.key,
            client_authority: authority.pem(),
            hba: HBA.to_owned(),
        };
        authority.write(files.path(), "ca").unwrap();
        other.write(files.path(), "other").unwrap();
        authority.issue(&["shown"]).unwrap().write(files.path(), "shown").unwrap();
        other.issue(&["shown"]).unwrap().write(files.path(), "stranger").unwrap();
        let cluster = Postgres::start_with(&tls).unwrap();
        for role in ["private", "plain", "shown"] {
            cluster.sql(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")).unwrap();
        }
        let url = cluster.fresh_database().unwrap();
        Self { cluster, files, url }
    }

    /// A connection string of `role`; `options` may name files as `{ca}`.
    fn url(&self, role: &str, options: &str) -> String {
        let mut options = options.to_owned();
        for name in ["ca", "other", "shown", "stranger"] {
            options = options.replace(&format!("{{{name}}}"), &self.file(name).display().to_string());
        }
        format!("{}?{options}", self.url.replace("nephometer@", &format!("{role}@")))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(format!("{name}.pem"))
    }

    /// Whether a connection that `role` makes has TLS; or why there is none.
    async fn connect(&self, role: &str, options: &str) -> Result<bool, String> {
        let settings = PostgresSettings {
            password: Secret::new(PASSWORD),
            wait_seconds: 5,
            connections: 1,
            ..PostgresSettings::at(self.url(role, options))
        };
        let opened = SqlIndex::connect_postgres(&settings, support::clock()).await;
        let index = opened.map_err(|error: OpenError| error.to_string())?;
        let question = format!(
            "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = '{role}'"
        );
        let answer = self.cluster.sql(&question).unwrap();
        drop(index);
        // The server must have noticed before the next one asks.
        while !self.cluster.sql(&question).unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(matches!(answer.as_str(), "t" | "f"), "one connection: {answer}");
        Ok(answer == "t")
    }
}

/// What is expected: TLS, no TLS, or words in an error.
type Expected = Result<bool, &'static [&'static str]>;

async fn check(place: &Place, cases: &[(&str, &str, Expected)]) {
    for (role, options, expected) in cases {
        let found = place.connect(role, options).await;
        match (expected, found) {
            (Ok(tls), Ok(found)) => assert_eq!(*tls, found, "{role} {options}"),
            (Err(words), Err(text)) => {
                let clean = !text.contains(PASSWORD);
                assert!(clean && words.iter().all(|word| text.contains(word)), "{role} {options}: {text}");
            }
            (_, found) => panic!("{role} {options}: {found:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_mean_what_libpq_means() {
    let place = Place::start(&["127.0.0.1"], 1975..4096);
    let cases: &[(&str, &str, Expected)] = &[
        ("private", "", Ok(true)),
        ("private", "sslmode=require", Ok(true)),
        ("private", "sslmode=require&sslrootcert={ca}", Ok(true)),
        ("private", "sslmode=verify-ca&sslrootcert={ca}", Ok(true)),
        ("private", "sslmode=verify-full&sslrootcert={ca}", Ok(true)),
        ("private", "sslmode=verify-full&sslrootcert={ca}&channel_binding=require", Ok(true)),
        ("private", "sslmode=disable", Err(&["pg_hba.conf", "sslmode=require"])),
        ("plain", "sslmode=disable", Ok(false)),
        // The server refuses the user with TLS: libpq tries without.
        ("plain", "sslmode=prefer", Ok(false)),
        ("plain", "sslmode=require", Err(&["pg_hba.conf"])),
        // Not verified by the wrong authority where the mode says that it matters.
        ("private", "sslmode=require&sslrootcert={other}", Err(&["UnknownIssuer", "sslrootcert"])),
        ("private", "sslmode=verify-ca&sslrootcert={other}", Err(&["UnknownIssuer", "sslrootcert"])),
        ("private", "sslmode=verify-full&sslrootcert=system", Err(&["UnknownIssuer"])),
        (
            "shown",
            "sslmode=verify-full&sslrootcert={ca}&sslcert={shown}&sslkey={key}",
            Err(&["sslkey", "read"]),
        ),
        ("shown", "sslmode=verify-full&sslrootcert={ca}", Err(&["client certificate", "sslcert and sslkey"])),
        (
            "private",
            "sslmode=verify-full&sslrootcert=/nowhere.pem",
            Err(&["sslrootcert: /nowhere.pem cannot be read"]),
        ),
        ("private", "sslmode=require&sslcert={shown}", Err(&["no private key"])),
        ("nobody", "sslmode=require", Err(&["pg_hba.conf"])),
    ];
    check(&place, cases).await;
    let key = |name: &str| place.files.path().join(format!("{name}.key")).display().to_string();
    let with_key = |name: &str| {
        format!("sslmode=verify-full&sslrootcert={{ca}}&sslcert={{{name}}}&sslkey={}", key(name))
    };
    assert_eq!(place.connect("shown", &with_key("shown")).await, Ok(true));
    let refused = place.connect("shown", &with_key("stranger")).await.unwrap_err();
    assert!(refused.contains("does not take our certificate"), "{refused}");
    let mixed = format!("sslmode=require&sslcert={{shown}}&sslkey={}", key("stranger"));
    let refused = place.connect("shown", &mixed).await.unwrap_err();
    assert!(refused.contains("sslcert and sslkey cannot be used together"), "{refused}");
    let wrong = PostgresSettings {
        password: Secret::new("hush-wrong"),
        ..PostgresSettings::at(place.url("private", ""))
    };
    let refused = SqlIndex::connect_postgres(&wrong, support::clock()).await.err().unwrap().to_string();
    assert!(refused.contains("check user and password") && !refused.contains("hush"), "{refused}");
    let missing = PostgresSettings { password: Secret::default(), ..wrong };
    let refused = SqlIndex::connect_postgres(&missing, support::clock()).await.err().unwrap().to_string();
    assert!(refused.contains("wants a password"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_dates_of_certificates_matter() {
    let elsewhere = Place::start(&["db.example"], 1975..4096);
    let verified = "sslmode=verify-full&sslrootcert={ca}";
    check(
        &elsewhere,
        &[
            ("private", "sslmode=verify-ca&sslrootcert={ca}", Ok(true)),
            ("private", verified, Err(&["db.example", "subjectAltName"])),
        ],
    )
    .await;
    // By its name, at an address that is told beside it.
    let named = elsewhere.url.replace("127.0.0.1", "db.example");
    let url = format!("{}?{verified}&hostaddr=127.0.0.1", named.replace("nephometer@", "private@"));
    let url = url.replace("{ca}", &elsewhere.file("ca").display().to_string());
    let settings = PostgresSettings { password: Secret::new(PASSWORD), ..PostgresSettings::at(url) };
    SqlIndex::connect_postgres(&settings, support::clock()).await.unwrap();
    let ended = Place::start(&["127.0.0.1"], 1999..2001);
    check(
        &ended,
        &[
            ("private", "sslmode=require", Ok(true)),
            ("private", verified, Err(&["expired", "new certificate"])),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_enough_only_where_that_is_said() {
    let url = support::fresh_postgres().await;
    for (mode, works) in [("prefer", true), ("disable", true), ("require", false)] {
        let settings = PostgresSettings::at(format!("{url}?sslmode={mode}"));
        let opened = SqlIndex::connect_postgres(&settings, support::clock()).await;
        assert_eq!(opened.is_ok(), works, "{mode}");
        if let Err(error) = opened {
            assert!(error.to_string().contains("turn on `ssl` there"), "{error}");
        }
    }
}
