//! The contracts of alarms and leases: each method is one operation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_drivers::{
    AlarmFilter, AlarmLimits, AlarmNews, AlarmStore, AlarmStoreError, Applied, ChangeRecord, Delivery,
    DeliveryEnd, IndexError, Lease, LeaseStore, NewDelivery, OutboxCounts, Page, Silence, Transition,
};
use nephometer_model::{Alarm, AlarmChange, AlarmCounts, AlarmId, AlarmState, Quota, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use super::changes::Creation;
use super::{apply, changes, counters, history, list, news, outbox, quotas, silences};
use crate::Failure;
use crate::index::SqlIndex;
use crate::leases::{self, Renewal};
use crate::session::{Access, Operation};

impl From<Failure> for AlarmStoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Alarm(error) => error,
            other => match IndexError::from(other) {
                IndexError::Unavailable(text) => Self::Unavailable(text),
                IndexError::Internal(text) => Self::Internal(text),
                other => Self::Internal(other.to_string()),
            },
        }
    }
}

impl SqlIndex {
    async fn look<A, T>(&self, args: A, operation: Operation<A, T>) -> Result<T, AlarmStoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.operate(Access::Read, args, operation).await.map_err(Into::into)
    }

    async fn change<A, T>(&self, args: A, operation: Operation<A, T>) -> Result<T, AlarmStoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.operate(Access::Lock, args, operation).await.map_err(Into::into)
    }
}

#[async_trait]
impl AlarmStore for SqlIndex {
    async fn create(
        &self,
        alarm: Alarm,
        record: ChangeRecord,
        limits: AlarmLimits,
    ) -> Result<Alarm, AlarmStoreError> {
        let creation = Creation { alarm, record, limits };
        self.change(creation, |session, creation| Box::pin(changes::create(session, creation))).await
    }

    async fn alarm(&self, id: &AlarmId) -> Result<Alarm, AlarmStoreError> {
        self.look(id.clone(), |session, id| Box::pin(list::get(session, id))).await
    }

    async fn alarms(&self, filter: &AlarmFilter, page: &Page) -> Result<Vec<Alarm>, AlarmStoreError> {
        let args = (filter.clone(), page.clone());
        self.look(args, |session, args| Box::pin(list::list(session, args))).await
    }

    async fn update(&self, alarm: Alarm, record: ChangeRecord) -> Result<Alarm, AlarmStoreError> {
        self.change((alarm, record), |session, args| Box::pin(changes::update(session, args))).await
    }

    async fn delete(
        &self,
        id: &AlarmId,
        version: i64,
        deliveries: Vec<NewDelivery>,
    ) -> Result<(), AlarmStoreError> {
        let args = (id.clone(), version, deliveries);
        self.change(args, |session, args| Box::pin(changes::delete(session, args))).await
    }

    async fn apply(&self, transitions: Vec<Transition>) -> Result<Vec<Applied>, AlarmStoreError> {
        if transitions.is_empty() {
            return Ok(Vec::new());
        }
        self.change(transitions, |session, transitions| Box::pin(apply::apply(session, transitions))).await
    }

    async fn history(&self, filter: &AlarmFilter, page: &Page) -> Result<Vec<AlarmChange>, AlarmStoreError> {
        let args = (filter.clone(), page.clone());
        self.look(args, |session, args| Box::pin(history::list(session, args))).await
    }

    async fn expire_history(&self, before: Timestamp, batch: u64) -> Result<u64, AlarmStoreError> {
        self.change((before, batch), |session, args| Box::pin(history::expire(session, args))).await
    }

    async fn quotas(&self, project_id: &str) -> Result<Vec<Quota>, AlarmStoreError> {
        self.look(project_id.to_owned(), |session, id| Box::pin(quotas::list(session, id))).await
    }

    async fn set_quotas(&self, project_id: &str, quotas: Vec<Quota>) -> Result<Vec<Quota>, AlarmStoreError> {
        let args = (project_id.to_owned(), quotas);
        self.change(args, |session, args| Box::pin(quotas::set(session, args))).await
    }

    async fn delete_quotas(&self, project_id: &str) -> Result<(), AlarmStoreError> {
        self.change(project_id.to_owned(), |session, id| Box::pin(quotas::delete(session, id))).await
    }

    async fn count(&self, evaluations: Vec<AlarmCounts>) -> Result<(), AlarmStoreError> {
        self.change(evaluations, |session, counts| Box::pin(counters::count(session, counts))).await
    }

    async fn counts(&self, project_id: Option<&str>) -> Result<Vec<AlarmCounts>, AlarmStoreError> {
        let project_id = project_id.map(str::to_owned);
        self.look(project_id, |session, id| Box::pin(counters::counts(session, id))).await
    }

    async fn states(&self) -> Result<Vec<(AlarmState, u64)>, AlarmStoreError> {
        self.look((), |session, ()| Box::pin(counters::states(session))).await
    }

    async fn news(&self, since: &[(u16, i64)]) -> Result<AlarmNews, AlarmStoreError> {
        self.look(since.to_vec(), |session, since| Box::pin(news::news(session, since))).await
    }

    async fn take_deliveries(
        &self,
        member: Uuid,
        length: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, AlarmStoreError> {
        self.change((member, length, limit), |session, args| Box::pin(outbox::take(session, args))).await
    }

    async fn end_deliveries(
        &self,
        member: Uuid,
        ends: Vec<(Uuid, DeliveryEnd)>,
    ) -> Result<(), AlarmStoreError> {
        self.change((member, ends), |session, args| Box::pin(outbox::end(session, args))).await
    }

    async fn add_deliveries(&self, messages: Vec<NewDelivery>) -> Result<(), AlarmStoreError> {
        self.change(messages, |session, messages| Box::pin(outbox::add(session, messages))).await
    }

    fn hear_of_deliveries(&self, wake: &Arc<Notify>) -> bool {
        self.listen(outbox::NEWS, wake)
    }

    async fn dead_deliveries(&self, limit: u32) -> Result<Vec<Delivery>, AlarmStoreError> {
        self.look(limit, |session, limit| Box::pin(outbox::dead(session, limit))).await
    }

    async fn revive_deliveries(&self, ids: Option<Vec<Uuid>>) -> Result<u64, AlarmStoreError> {
        self.change(ids, |session, ids| Box::pin(outbox::revive(session, ids))).await
    }

    async fn expire_deliveries(&self, before: Timestamp) -> Result<u64, AlarmStoreError> {
        self.change(before, |session, before| Box::pin(outbox::expire(session, before))).await
    }

    async fn outbox(&self) -> Result<OutboxCounts, AlarmStoreError> {
        self.look((), |session, ()| Box::pin(outbox::counts(session))).await
    }

    async fn put_silence(&self, silence: Silence) -> Result<(), AlarmStoreError> {
        self.change(silence, |session, silence| Box::pin(silences::put(session, silence))).await
    }

    async fn silences(
        &self,
        project_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Silence>, AlarmStoreError> {
        let args = (project_id.map(str::to_owned), now);
        self.look(args, |session, args| Box::pin(silences::list(session, args))).await
    }

    async fn delete_silence(&self, id: Uuid) -> Result<bool, AlarmStoreError> {
        self.change(id, |session, id| Box::pin(silences::delete(session, id))).await
    }

    async fn expire_silences(&self, before: Timestamp) -> Result<u64, AlarmStoreError> {
        self.change(before, |session, before| Box::pin(silences::expire(session, before))).await
    }
}

#[async_trait]
impl LeaseStore for SqlIndex {
    async fn renew(
        &self,
        group: &str,
        member: Uuid,
        shares: u16,
        length: Duration,
    ) -> Result<Vec<Lease>, IndexError> {
        let renewal = Renewal { group: group.to_owned(), member, shares, length };
        self.operate(Access::Lock, renewal, |session, renewal| Box::pin(leases::renew(session, renewal)))
            .await
            .map_err(Into::into)
    }

    async fn leave(&self, group: &str, member: Uuid) -> Result<(), IndexError> {
        let args = (group.to_owned(), member);
        self.operate(Access::Lock, args, |session, args| Box::pin(leases::leave(session, args)))
            .await
            .map_err(Into::into)
    }
}
