//! Connects alarms with the message bus: events and upstream's evaluators in, upstream's notifier out.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nephometer_alarm::bus::{ActionInbox, BusNotifier, EventInbox};
use nephometer_alarm::evaluate::Recorder;
use nephometer_alarm::event::{EventListener, ListenerParts};
use nephometer_alarm::notify::{DispatcherSettings, Notifiers};
use nephometer_drivers::{AlarmStore, MessageHandler, Subscription};
use nephometer_model::Clock;
use nephometer_openstack::messaging::{RabbitSink, RabbitSource};
use tokio::sync::Notify;

use crate::config::{Config, DeliverBy};
use crate::wiring::Parts;

/// A bus that was away is tried again after so long at most: it is one for all alarms, and nobody's but the cloud's own.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Something that is listened to.
pub(crate) struct Inbox {
    /// The role's name.
    pub(crate) name: &'static str,
    pub(crate) source: RabbitSource,
    pub(crate) subscription: Subscription,
    pub(crate) handler: Arc<dyn MessageHandler>,
}

/// What of the bus is listened to; nothing where there is none.
pub(crate) fn inboxes(config: &Config, parts: &Parts, deliveries: &Arc<Notify>) -> Result<Vec<Inbox>> {
    let mut inboxes = Vec::new();
    if !config.messaging.is_on() {
        return Ok(inboxes);
    }
    let mut listen = |name, subscription, handler| -> Result<()> {
        let source =
            RabbitSource::new(&config.messaging, &format!("nephometer {name}")).context("messaging")?;
        inboxes.push(Inbox { name, source, subscription, handler });
        Ok(())
    };
    let store = || Arc::clone(&parts.index) as Arc<dyn AlarmStore>;
    let clock = || Arc::clone(&parts.clock) as Arc<dyn Clock>;
    let settings = &config.alarm_bus;
    if settings.hear_events {
        let listener = EventListener::new(ListenerParts {
            store: store(),
            clock: clock(),
            recorder: Recorder::new(Arc::clone(&parts.clock) as _, config.alarm.recording()),
            deliveries: Arc::clone(deliveries),
        });
        listen("listener", settings.events(), Arc::new(EventInbox(Arc::new(listener))) as _)?;
    }
    if settings.hear_evaluators {
        let inbox = ActionInbox { store: store(), clock: clock(), deliveries: Arc::clone(deliveries) };
        listen("notifier_inbox", settings.evaluators(), Arc::new(inbox) as _)?;
    }
    Ok(inboxes)
}

/// Those who carry out actions, where that is left to upstream's notifier.
pub(crate) fn notifiers(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Notifiers>> {
    if config.alarm_bus.deliver_by != DeliverBy::Bus {
        return Ok(None);
    }
    let sink = RabbitSink::new(&config.messaging, "nephometer evaluator").context("messaging")?;
    let destination = config.alarm_bus.notifier();
    let notifier = BusNotifier { sink: Arc::new(sink), destination, clock: Arc::clone(clock) };
    Ok(Some(notifier.for_all_schemes()))
}

/// How the dispatcher works, which has only the bus to wait for where upstream's notifier delivers.
pub(crate) fn pace(config: &Config, settings: DispatcherSettings) -> DispatcherSettings {
    match config.alarm_bus.deliver_by {
        DeliverBy::Outbox => settings,
        DeliverBy::Bus => {
            let longest_pause = settings.longest_pause.min(LONGEST_PAUSE);
            DispatcherSettings { longest_pause, max_attempts: u32::MAX, ..settings }
        }
    }
}
