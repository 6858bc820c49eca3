//! Actions that stay in this process: lines in the log, and the memory of `test://`.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{Delivery, DeliveryFailure};
use parking_lot::Mutex;

use super::{Address, Notifier, Parcel, Told};
use crate::definition::shown;

/// As many messages are remembered by `test://`.
const REMEMBERED: usize = 1000;

/// Writes a line into the log, with upstream's words.
pub struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    async fn deliver(&self, _: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        for delivery in parcel.deliveries() {
            let told = Told::of(delivery)?;
            let action = shown(&delivery.message.action);
            tracing::info!(
                "Notifying alarm {} {} of {} priority from {} to {} with action {action} because {}.",
                told.alarm_name,
                told.alarm_id,
                told.severity,
                told.previous,
                told.current,
                told.reason
            );
        }
        Ok(())
    }
}

/// Remembers the last messages; clones share them.
#[derive(Clone, Default)]
pub struct TestNotifier {
    messages: Arc<Mutex<VecDeque<Delivery>>>,
}

impl TestNotifier {
    /// What it remembers, oldest first.
    pub fn messages(&self) -> Vec<Delivery> {
        self.messages.lock().iter().cloned().collect()
    }
}

#[async_trait]
impl Notifier for TestNotifier {
    async fn deliver(&self, _: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        let mut messages = self.messages.lock();
        messages.extend(parcel.deliveries().iter().cloned());
        let surplus = messages.len().saturating_sub(REMEMBERED);
        messages.drain(..surplus);
        Ok(())
    }
}
