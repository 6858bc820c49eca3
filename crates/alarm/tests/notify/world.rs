//! A dispatcher between a real outbox and whoever receives.

use std::sync::Arc;
use std::time::Duration;

use nephometer_alarm::notify::{
    Dispatcher, DispatcherHandle, DispatcherParts, DispatcherSettings, Networks, Notifiers, WebhookNotifier,
    WebhookSettings,
};
use nephometer_drivers::{AlarmStore, Delivery, LeaseStore, NewDelivery};
use nephometer_index_sql::{SqlIndex, SqliteSettings};
use nephometer_model::{AlarmId, Clock, IdSource, SystemClock};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub(crate) const PAYLOAD: &str = r#"{"alarm_name": "n", "alarm_id": "a", "severity": "low", "previous": "ok", "current": "alarm", "reason": "because", "reason_data": {"count": 1}}"#;

pub(crate) fn webhooks(allow: &[&str]) -> WebhookSettings {
    let allow: Vec<_> = allow.iter().map(|text| (*text).to_owned()).collect();
    WebhookSettings {
        certificate_file: None,
        key_file: None,
        ca_file: None,
        verify: true,
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
        networks: Networks::new(&allow, &[]).unwrap(),
    }
}

pub(crate) fn quick() -> DispatcherSettings {
    DispatcherSettings {
        poll: Duration::from_millis(20),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(50),
        ..DispatcherSettings::default()
    }
}

fn parts(
    webhooks: WebhookSettings,
    index: &Arc<SqlIndex>,
    leases: Arc<dyn LeaseStore>,
    clock: &Arc<SystemClock>,
    wake: &Arc<Notify>,
) -> DispatcherParts {
    let shared = Arc::clone(clock) as Arc<dyn Clock>;
    let notifier = WebhookNotifier::new(webhooks, None, Arc::clone(&shared)).unwrap();
    DispatcherParts {
        store: Arc::clone(index) as Arc<dyn AlarmStore>,
        leases,
        clock: shared,
        notifiers: Notifiers::local().with(&WebhookNotifier::SCHEMES, notifier),
        deliveries: Arc::clone(wake),
        member: clock.uuid(),
    }
}

/// A dispatcher over an index of its own.
pub(crate) struct World {
    pub(crate) index: Arc<SqlIndex>,
    pub(crate) clock: Arc<SystemClock>,
    wake: Arc<Notify>,
    pub(crate) handle: DispatcherHandle,
    stop: Option<oneshot::Sender<()>>,
    run: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn start(webhooks: WebhookSettings, settings: DispatcherSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let file = SqliteSettings::at(directory.path().join("index.db"));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let index = Arc::new(SqlIndex::open_sqlite(&file, shared).unwrap());
        let wake = Arc::new(Notify::new());
        let leases = Arc::clone(&index) as Arc<dyn LeaseStore>;
        let parts = parts(webhooks, &index, leases, &clock, &wake);
        let dispatcher = Dispatcher::new(parts, settings);
        let handle = dispatcher.handle();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(dispatcher.run(async { drop(stopped.await) }));
        let (stop, run) = (Some(stop), Some(run));
        Self { index, clock, wake, handle, stop, run, _directory: directory }
    }

    /// Another dispatcher over the same index, which learns by `leases` who lives.
    pub(crate) fn other(&self, leases: Arc<dyn LeaseStore>, settings: DispatcherSettings) -> Dispatcher {
        Dispatcher::new(parts(local(), &self.index, leases, &self.clock, &self.wake), settings)
    }

    /// The first dispatcher is gone without a word.
    pub(crate) fn kill(&mut self) {
        self.run.take().unwrap().abort();
    }

    pub(crate) fn message(&self, alarm: &str, action: &str) -> NewDelivery {
        NewDelivery {
            id: self.clock.uuid(),
            alarm_id: AlarmId(alarm.to_owned()),
            project_id: None,
            action: action.to_owned(),
            payload: PAYLOAD.to_owned(),
            not_before: self.clock.now(),
            group: None,
        }
    }

    pub(crate) async fn tell(&self, messages: Vec<NewDelivery>) {
        self.index.add_deliveries(messages).await.unwrap();
        self.wake.notify_one();
    }

    pub(crate) async fn tell_one(&self, action: &str) {
        self.tell(vec![self.message("a", action)]).await;
    }

    /// Waits until nothing waits, and gives what was given up.
    pub(crate) async fn settle(&self) -> Vec<Delivery> {
        until(async || self.index.outbox().await.unwrap().waiting == 0).await;
        self.index.dead_deliveries(1000).await.unwrap()
    }

    pub(crate) async fn dead_text(&self) -> String {
        let dead = self.settle().await;
        assert_eq!(dead.len(), 1);
        dead[0].last_error.clone().unwrap()
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        self.run.take().unwrap().await.unwrap();
    }
}

pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 30 s");
}

pub(crate) fn local() -> WebhookSettings {
    webhooks(&["127.0.0.0/8", "::1/128"])
}
