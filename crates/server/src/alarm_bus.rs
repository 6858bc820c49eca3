//! Connects alarms with the message bus: events and upstream's evaluators in, upstream's notifier out.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use nephometer_alarm::bus::{ActionInbox, BusNotifier, ChangeNotifier, EventInbox};
use nephometer_alarm::evaluate::Recorder;
use nephometer_alarm::event::{EventListener, ListenerParts};
use nephometer_alarm::notify::Notifiers;
use nephometer_drivers::{MessageHandler, MessageSink, Subscription};
use nephometer_model::Clock;
use nephometer_openstack::messaging::{RabbitSink, RabbitSource};

use crate::config::{Config, DeliverBy};
use crate::stage::Stage;

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
    let recording = stage.config.alarm.recording(stage.config.alarm_bus.announces());
    let listener = EventListener::new(ListenerParts {
        store: stage.alarm_store()?,
        clock: stage.clock(),
        recorder: Recorder::new(Arc::clone(&stage.parts.clock) as _, recording),
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

/// Those who carry out actions and tell of changes: `own`, or upstream's notifier where that is who delivers.
pub(crate) fn notifiers(config: &Config, own: Notifiers, clock: &Arc<dyn Clock>) -> Result<Notifiers> {
    let settings = &config.alarm_bus;
    if settings.deliver_by == DeliverBy::Outbox && !settings.announces() {
        return Ok(own);
    }
    let sink = RabbitSink::new(&config.messaging, "nephometer notifier").context("messaging")?;
    let sink = Arc::new(sink) as Arc<dyn MessageSink>;
    let notifiers = match settings.deliver_by {
        DeliverBy::Outbox => own,
        DeliverBy::Bus => {
            let (sink, clock) = (Arc::clone(&sink), Arc::clone(clock));
            BusNotifier { sink, destination: settings.notifier(), clock }.for_all_schemes()
        }
    };
    if !settings.announces() {
        return Ok(notifiers);
    }
    let changes = ChangeNotifier { sink, destinations: settings.changes() };
    Ok(notifiers.with(&ChangeNotifier::SCHEMES, changes))
}
