//! The notifier: carries what waits in the outbox to its targets.
//!
//! A [`Dispatcher`] takes messages that are due, hands each to the [`Notifier`] of its scheme, and says how that ended:
//! delivered, again later, given up. A message is told at least once, with the same id at each attempt; messages of one
//! alarm to one target are told in their order. A target that is slow or down holds nobody up but itself.

mod address;
mod dispatcher;
mod lanes;
mod life;
mod local;
mod networks;
mod pace;
mod parcel;
mod services;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_drivers::{Delivery, DeliveryFailure};
use serde::Deserialize;
use serde_json::Value;

use crate::definition::ActionScheme;

pub use address::Address;
pub use dispatcher::{Dispatcher, DispatcherHandle, DispatcherParts, DispatcherSettings, DispatcherStatus};
pub use local::{LogNotifier, TestNotifier};
pub use networks::{Closed, NetworkError, Networks};
pub use parcel::Parcel;
pub use services::{HeatNotifier, ZaqarNotifier};
pub use webhook::{WebhookError, WebhookNotifier, WebhookSettings};

/// Tells targets of some schemes.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// One attempt. Where the parcel holds several messages, they are told as one, or one after the other where the target
    /// knows no groups.
    async fn deliver(&self, address: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure>;

    /// How long a message rests between attempts at most, for a target that is one for all and nobody's but the cloud's own;
    /// there its attempts are not counted. Nothing for targets that are treated as configured.
    fn longest_pause(&self) -> Option<Duration> {
        None
    }
}

/// Who carries out which actions.
#[derive(Clone, Default)]
pub struct Notifiers {
    by_scheme: HashMap<ActionScheme, Arc<dyn Notifier>>,
}

impl Notifiers {
    /// `log://` and `test://` alone.
    pub fn local() -> Self {
        Self::default()
            .with(&[ActionScheme::Log], LogNotifier)
            .with(&[ActionScheme::Test], TestNotifier::default())
    }

    /// Has `notifier` carry out actions of `schemes`.
    #[must_use]
    pub fn with(mut self, schemes: &[ActionScheme], notifier: impl Notifier + 'static) -> Self {
        let notifier: Arc<dyn Notifier> = Arc::new(notifier);
        self.by_scheme.extend(schemes.iter().map(|scheme| (*scheme, Arc::clone(&notifier))));
        self
    }

    async fn deliver(&self, address: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        let Some(notifier) = self.by_scheme.get(&address.scheme) else {
            let text =
                "actions of this scheme are not carried out: the service that they need is not configured";
            return Err(DeliveryFailure::Final(text.to_owned()));
        };
        notifier.deliver(address, parcel).await
    }

    /// See [`Notifier::longest_pause`].
    fn longest_pause(&self, scheme: ActionScheme) -> Option<Duration> {
        self.by_scheme.get(&scheme)?.longest_pause()
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What a message says, taken from its payload.
#[derive(Deserialize)]
struct Told {
    alarm_name: String,
    alarm_id: String,
    severity: String,
    previous: String,
    current: String,
    reason: String,
    #[serde(default)]
    reason_data: Value,
}

impl Told {
    fn of(delivery: &Delivery) -> Result<Self, DeliveryFailure> {
        let told = serde_json::from_str(&delivery.message.payload);
        told.map_err(|error| DeliveryFailure::Final(format!("the message cannot be read: {error}")))
    }
}
