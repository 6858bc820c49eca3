//! `[alarm_bus]`: what alarms hear and say on the message bus that `[messaging]` names.

use nephometer_alarm::bus::{CHANGE_PRIORITY, EVENT_TOPIC, EXCHANGES, NOTIFIER_TOPIC, PRIORITY};
use nephometer_drivers::{Destination, Subscription};
use nephometer_openstack::messaging::MessagingSettings;
use serde::{Deserialize, Serialize};

use super::Problem;

/// Who carries messages of alarms to their targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliverBy {
    /// Our own notifier.
    #[default]
    Outbox,
    /// Upstream's, which is told over the bus.
    Bus,
}

/// The keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlarmBusSection {
    /// Whether events for event alarms are heard.
    pub(crate) hear_events: bool,
    /// Their topic.
    pub(crate) event_topic: String,
    /// The exchanges of those who send them.
    pub(crate) event_exchanges: Vec<String>,
    /// Most messages that are dealt with at once.
    pub(crate) batch_size: u16,
    /// Whether messages of upstream's evaluator and listener are delivered.
    pub(crate) hear_evaluators: bool,
    /// Who delivers our own.
    pub(crate) deliver_by: DeliverBy,
    /// The topics on which changes of alarms are told; none where they are not.
    pub(crate) change_topics: Vec<String>,
    /// The topic of messages from evaluators to notifiers.
    pub(crate) notifier_topic: String,
    /// Aodh's exchange.
    pub(crate) control_exchange: String,
}

impl Default for AlarmBusSection {
    fn default() -> Self {
        Self {
            hear_events: true,
            event_topic: EVENT_TOPIC.to_owned(),
            event_exchanges: EXCHANGES.map(str::to_owned).to_vec(),
            batch_size: 50,
            hear_evaluators: false,
            deliver_by: DeliverBy::default(),
            change_topics: Vec::new(),
            notifier_topic: NOTIFIER_TOPIC.to_owned(),
            control_exchange: EXCHANGES[0].to_owned(),
        }
    }
}

impl AlarmBusSection {
    /// What is wrong with the section, and with the bus.
    pub(super) fn problems(&self, messaging: &MessagingSettings) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(error) = messaging.check() {
            problems.push(Problem::new(format!("messaging.{error}")));
        }
        let mut say = |text: &str| problems.push(Problem::new(format!("alarm_bus.{text}")));
        if self.batch_size == 0 {
            say("batch_size: must be at least 1");
        }
        if self.hear_events && self.event_exchanges.is_empty() {
            say("event_exchanges: must name an exchange, or hear_events be false");
        }
        if self.deliver_by == DeliverBy::Bus && self.hear_evaluators {
            say(
                "deliver_by: with `bus` our own messages would come back to us: hear_evaluators must be false",
            );
        }
        if !messaging.is_on() && (self.deliver_by == DeliverBy::Bus || self.hear_evaluators) {
            say("deliver_by and hear_evaluators need messaging.transport_url");
        }
        if self.change_topics.iter().any(String::is_empty) {
            say("change_topics: a topic must have a name");
        }
        if !messaging.is_on() && self.announces() {
            say("change_topics: needs messaging.transport_url");
        }
        problems
    }

    /// Whether changes of alarms are told.
    pub(crate) fn announces(&self) -> bool {
        !self.change_topics.is_empty()
    }

    /// Where changes of alarms are told.
    pub(crate) fn changes(&self) -> Vec<Destination> {
        let destination = |topic: &String| Destination {
            exchange: self.control_exchange.clone(),
            topic: topic.clone(),
            priority: CHANGE_PRIORITY.to_owned(),
        };
        self.change_topics.iter().map(destination).collect()
    }

    /// The events that are heard.
    pub(crate) fn events(&self) -> Subscription {
        self.subscription(&self.event_topic, self.event_exchanges.clone())
    }

    /// The messages of upstream's evaluators.
    pub(crate) fn evaluators(&self) -> Subscription {
        self.subscription(&self.notifier_topic, vec![self.control_exchange.clone()])
    }

    fn subscription(&self, topic: &str, exchanges: Vec<String>) -> Subscription {
        let (topic, priority) = (topic.to_owned(), PRIORITY.to_owned());
        Subscription { topic, priority, exchanges, batch: self.batch_size }
    }

    /// Where upstream's notifier listens.
    pub(crate) fn notifier(&self) -> Destination {
        Destination {
            exchange: self.control_exchange.clone(),
            topic: self.notifier_topic.clone(),
            priority: PRIORITY.to_owned(),
        }
    }
}
