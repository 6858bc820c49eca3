//! Connects alarms with the message bus: events and upstream's evaluators in, upstream's notifier out.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nephometer_alarm::bus::{ActionInbox, BusNotifier, EventInbox};
use nephometer_alarm::evaluate::Recorder;
use nephometer_alarm::event::{EventListener, ListenerParts};
use nephometer_alarm::notify::{DispatcherSettings, Notifiers};
use nephometer_drivers::{MessageHandler, Subscription};
use nephometer_model::Clock;
use nephometer_openstack::messaging::{RabbitSink, RabbitSource};

use crate::config::{Config, DeliverBy};
use crate::stage::Stage;

/// A bus that was away is tried again after so long at most: it is one for all alarms, and nobody's but the cloud's own.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is listened to, and who deals with it.
pub(crate) struct Inbox {
    pub(crate) subscription: Subscription,
    pub(crate) handler: Arc<dyn MessageHandler>,
}

/// The bus as the role `name` hears it.
pub(crate) fn source(config: &Config, name: &str) -> Result<RabbitSource> {
    RabbitSource::new(&config.messaging, &format!("nephometer {name}")).context("messaging")
}

/// Events that fire alarms.
pub(crate) fn events(stage: &Stage<'_>) -> Result<Inbox> {
    let listener = EventListener::new(ListenerParts {
        store: stage.alarm_store()?,
        clock: stage.clock(),
        recorder: Recorder::new(Arc::clone(&stage.parts.clock) as _, stage.config.alarm.recording()),
        deliveries: Arc::clone(&stage.deliveries),
    });
    let handler = Arc::new(EventInbox(Arc::new(listener)));
    Ok(Inbox { subscription: stage.config.alarm_bus.events(), handler })
}

/// What upstream's evaluators and listeners have decided.
pub(crate) fn evaluators(stage: &Stage<'_>) -> Result<Inbox> {
    let handler = Arc::new(ActionInbox {
        store: stage.alarm_store()?,
        clock: stage.clock(),
        deliveries: Arc::clone(&stage.deliveries),
    });
    Ok(Inbox { subscription: stage.config.alarm_bus.evaluators(), handler })
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
