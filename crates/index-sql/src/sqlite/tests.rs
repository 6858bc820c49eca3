//! Groups of writes, and what happens when they cannot be written.

use nephometer_drivers::IndexError;
use nephometer_model::{ManualClock, Timestamp};

use super::*;
use crate::policies::PolicyCache;
use crate::session::Session;

fn open(path: &Path) -> SqliteDatabase {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
    let shared = Arc::new(Shared { clock, policies: PolicyCache::default() });
    SqliteDatabase::open(&SqliteSettings::at(path.join("index.sqlite")), &shared).unwrap()
}

async fn add_label(session: &mut dyn Session, text: &str) -> Result<(), Failure> {
    if text.starts_with("unwelcome") {
        return Err(IndexError::Changed.into());
    }
    session.execute("INSERT INTO label (text) VALUES ($1)", &[text.into()]).await?;
    if text.starts_with("refused") {
        return Err(IndexError::Changed.into());
    }
    assert!(!text.starts_with("panic"), "as the test wants it");
    Ok(())
}

async fn count(session: &mut dyn Session) -> Result<i64, Failure> {
    crate::session::query_one(session, "SELECT count(*) FROM label", &[]).await?.int()
}

async fn limit_pages(session: &mut dyn Session, pages: i64) -> Result<(), Failure> {
    session.query(&format!("PRAGMA max_page_count = {pages}"), &[]).await.map(drop)
}

fn add(database: &SqliteDatabase, text: impl Into<String>) -> Result<(), Failure> {
    database.run_blocking(true, text.into(), |session, text| Box::pin(add_label(session, text)))
}

fn counted(database: &SqliteDatabase) -> i64 {
    database.run_blocking(false, (), |session, ()| Box::pin(count(session))).unwrap()
}

#[test]
fn a_failing_write_takes_nothing_along() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path());
    let (sender, answers) = std::sync::mpsc::channel();
    for number in 0..400 {
        let text = format!("{} {number}", ["good", "refused", "panic", "unwelcome"][number % 4]);
        let sender = sender.clone();
        database.submit(
            true,
            text,
            |session, text: &String| Box::pin(add_label(session, text)),
            move |outcome| {
                sender.send((number, outcome)).unwrap();
            },
        );
    }
    drop(sender);
    for (number, outcome) in answers {
        match number % 4 {
            0 => outcome.unwrap(),
            1 | 3 => assert_eq!(outcome, Err(Failure::Index(IndexError::Changed))),
            _ => assert!(matches!(outcome, Err(Failure::Internal(_)))),
        }
    }
    assert_eq!(counted(&database), 100);
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads_until_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path());
    add(&database, "first").unwrap();
    let limit = |pages: i64| {
        database.run_blocking(true, pages, |session, pages| Box::pin(limit_pages(session, *pages))).unwrap();
    };
    limit(1);
    let mut written = 1;
    let failure = loop {
        match add(&database, format!("{written:0>3000}")) {
            Ok(()) => written += 1,
            Err(failure) => break failure,
        }
    };
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure}");
    assert_eq!(counted(&database), written);
    limit(100_000);
    add(&database, "x".repeat(3000)).unwrap();
    assert_eq!(counted(&database), written + 1);
}
