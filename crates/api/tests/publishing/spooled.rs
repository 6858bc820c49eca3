//! The factory's publishers: what the metric service cannot take now waits on disk, and arrives once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nephometer_metric::LocalMetricWriter;
use nephometer_model::{SecretUrl, SystemClock};
use nephometer_pipeline::Publisher;
use nephometer_pipeline::publish::{PublisherFactory, PublisherParts, PublisherSettings};
use nephometer_testkit::app::TestApp;

use crate::support::{Watched, cpu};
use crate::writer;

fn factory(spools: &Path, writer: Arc<Watched<LocalMetricWriter>>) -> PublisherFactory {
    let mut settings = PublisherSettings::default();
    settings.spool.batch_samples = 10;
    let parts = PublisherParts {
        clock: Arc::new(SystemClock::new()),
        host: "here".to_owned(),
        bus: None,
        open_bus: None,
        queues: None,
        metric_writer: Some(writer),
        cloud: None,
    };
    PublisherFactory::new(settings, parts, spools)
}

fn gnocchi(factory: &PublisherFactory) -> Arc<dyn Publisher> {
    factory.publisher(&SecretUrl::new("gnocchi://")).unwrap()
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..200 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come about");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_now_is_stored_later_in_order_after_a_restart() {
    let app = TestApp::start().await.unwrap();
    let spools = tempfile::tempdir().unwrap();
    let watched = Watched::new(writer(&app.service));
    let instance = "11111111-2222-4333-8444-555555555555";
    let first = factory(spools.path(), watched.clone());
    gnocchi(&first).publish(&[cpu(instance, 0, 0.0)]).await.unwrap();
    // Away until told otherwise.
    watched.away.store(u64::MAX, Ordering::SeqCst);
    for second in 1..=50 {
        let published = gnocchi(&first).publish(&[cpu(instance, second, f64::from(second))]).await;
        assert_eq!(published, Ok(()), "it is safe on disk");
    }
    let (_, counts) = first.counts().pop().unwrap();
    assert_eq!((counts.spool.samples, counts.delivered, counts.given_back), (50, 1, 0));
    drop(first);
    watched.away.store(0, Ordering::SeqCst);
    watched.asked();
    let second = factory(spools.path(), watched.clone());
    // The tasks of a publisher that is gone let go of its spool, soon; nobody has asked for it again.
    until(|| second.abandoned().len() == 1).await;
    let publisher = gnocchi(&second);
    // What comes while something waits, waits behind it.
    let waiting = || second.counts()[0].1;
    until(|| (waiting().delivered, waiting().spool.samples) == (50, 0)).await;
    assert!(second.abandoned().is_empty());
    let asked: Vec<_> = watched.asked().into_iter().filter(|asked| asked.starts_with("measures")).collect();
    assert_eq!(asked, ["measures 10"; 5]);
    publisher.publish(&[cpu(instance, 51, 51.0)]).await.unwrap();
    let measures =
        app.get(&format!("/v1/resource/generic/{instance}/metric/cpu/measures?aggregation=mean")).await;
    assert_eq!(measures.json()[0][2], 25.5, "0 to 51, once each");
}
