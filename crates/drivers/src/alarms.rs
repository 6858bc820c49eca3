//! The store of alarms: definitions and states, history, quotas, counters, and the outbox of notifications. Each method
//! is one transaction. Times are kept in whole microseconds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_model::{Alarm, AlarmChange, AlarmCounts, AlarmId, AlarmState, Operator, Quota, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{Fence, Page};

/// Alarms are divided into so many shares by [`share_of`]; a number that never changes in a database.
pub const ALARM_SHARES: u16 = 64;

/// The group of leases under which evaluators hold shares of alarms.
pub const EVALUATORS: &str = "alarm-evaluators";

/// The group in which notifiers say that they live; it has no shares.
pub const NOTIFIERS: &str = "alarm-notifiers";

/// Which share an alarm belongs to: FNV-1a of its id, which stays the same for ever.
pub fn share_of(id: &AlarmId) -> u16 {
    let hash = id.0.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u16::try_from((hash >> 32) % u64::from(ALARM_SHARES)).unwrap_or(0)
}

/// Why the store of alarms could not do it. Texts are upstream's where clients match them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AlarmStoreError {
    /// No such alarm.
    #[error("Alarm {0} not found")]
    NoSuchAlarm(AlarmId),
    /// The alarm changed since the caller looked at it.
    #[error("the alarm has changed meanwhile")]
    Changed,
    /// As many alarms as allowed are there.
    #[error("the quota of alarms is used up")]
    QuotaExceeded,
    /// The row after which a page begins is not among those that the query finds.
    #[error("Marker {0} not found.")]
    NoSuchMarker(String),
    /// A sort key, direction, field, value or regular expression that cannot be used.
    #[error("{0}")]
    Query(String),
    /// The database does not answer or is overloaded: try again later.
    #[error("the index is unavailable: {0}")]
    Unavailable(String),
    /// Anything else; not for the client's eyes.
    #[error("index: {0}")]
    Internal(String),
}

/// A value that a column is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum AlarmValue {
    /// True or false; compared with text columns as `true`, `false`.
    Bool(bool),
    /// A number; compared with text columns by its shortest decimal text (`5`, not `5.0`).
    Number(f64),
    /// Text; compared with columns that are truths if it is `true` or `false` in any case.
    Text(String),
    /// A point in time, for columns that are times.
    Time(Timestamp),
}

/// A condition over the columns of alarms or of history. Columns of alarms: `alarm_id`, `type`, `enabled`, `name`,
/// `description`, `timestamp`, `user_id`, `project_id`, `state`, `state_timestamp`, `state_reason`, `ok_actions`,
/// `alarm_actions`, `insufficient_data_actions`, `repeat_actions`, `rule`, `time_constraints`, `severity`,
/// `evaluate_timestamp`; of history: `event_id`, `alarm_id`, `type`, `severity`, `detail`, `user_id`, `project_id`,
/// `on_behalf_of`, `timestamp`. Text compares by code point; severities compare as text except when sorting. A column
/// without value matches nothing (SQL's unknown, also under `Not`). A comparison of a column with what it cannot
/// be is an [`AlarmStoreError::Query`].
#[derive(Debug, Clone, PartialEq)]
pub enum AlarmFilter {
    /// Everything.
    All,
    /// One column against one value. The columns that hold JSON (actions, `rule`, `time_constraints`) compare as the text
    /// that is stored.
    Compare(Operator, String, AlarmValue),
    /// The text of a column holds a match of a regular expression (the `regex` crate's syntax, unanchored); conditions
    /// of this kind may be decided by the program after the fetch, never after the page was cut.
    Matches(String, String),
    /// One column among several values.
    In(String, Vec<AlarmValue>),
    /// All conditions hold.
    And(Vec<AlarmFilter>),
    /// At least one condition holds.
    Or(Vec<AlarmFilter>),
    /// The condition is known not to hold.
    Not(Box<AlarmFilter>),
}

impl AlarmFilter {
    /// Both conditions; `All` disappears.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) => other,
            (this, Self::All) => this,
            (this, other) => Self::And(vec![this, other]),
        }
    }

    /// `column = text`.
    pub fn eq_text(column: &str, text: &str) -> Self {
        Self::Compare(Operator::Eq, column.to_owned(), AlarmValue::Text(text.to_owned()))
    }
}

/// What a project and a user may have at most, where the project has no quota of its own; nothing means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlarmLimits {
    /// Alarms of a project.
    pub project: Option<u64>,
    /// Alarms of a user in all projects.
    pub user: Option<u64>,
}

/// The action by which changes of alarms are told on the cloud's message bus; no alarm can have it. Its messages outlive
/// their alarm: that it was deleted is one of them.
pub const BUS_ACTION: &str = "bus:";

/// With what a message may go out as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryGroup {
    /// Messages of one project to one action go together where this is equal.
    pub key: String,
    /// How long a message waits for others at most, once it may be sent.
    pub wait: Duration,
}

/// A message to one target, in the outbox until it was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Names the message: repeated deliveries carry it, so that receivers can tell.
    pub id: Uuid,
    /// Which alarm; messages of one alarm to one target are delivered in their order.
    pub alarm_id: AlarmId,
    /// Its owner's project.
    pub project_id: Option<String>,
    /// The target: an action as stored, trust ids included.
    pub action: String,
    /// What is told: JSON of a [`nephometer_model::Notification`], as the alarm service writes it.
    pub payload: String,
    /// Not to be sent before.
    pub not_before: Timestamp,
    /// Nothing where it goes out alone.
    pub group: Option<DeliveryGroup>,
}

/// What is kept and told of a change of an alarm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeRecord {
    /// For the alarm's history.
    pub change: Option<AlarmChange>,
    /// Who is told.
    pub deliveries: Vec<NewDelivery>,
}

impl From<AlarmChange> for ChangeRecord {
    fn from(change: AlarmChange) -> Self {
        Self { change: Some(change), deliveries: Vec::new() }
    }
}

/// A message that somebody has taken to deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What is to be delivered.
    pub message: NewDelivery,
    /// When it was put into the outbox.
    pub created_at: Timestamp,
    /// Attempts before this one.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

/// How an attempt to deliver ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The target has it: the row goes.
    Delivered,
    /// Not yet: again at `at`.
    Retry {
        /// When.
        at: Timestamp,
        /// Why it failed.
        error: String,
    },
    /// Not tried: for somebody else, or for later. Its attempts stay as many as they were.
    Returned {
        /// Not before.
        at: Timestamp,
    },
    /// Given up: it stays as a dead letter until it is sent again or expires.
    Dead {
        /// Why it failed.
        error: String,
    },
}

/// A decision of an evaluator, or a state set by hand, to be written at once with what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Which alarm.
    pub alarm_id: AlarmId,
    /// The version that the decision was made on.
    pub version: i64,
    /// Shows that the writer still holds the alarm's share; nothing for who needs no share.
    pub fence: Option<Fence>,
    /// The new state and its reason; nothing where only `deliveries` are wanted (repeated actions).
    pub state: Option<(AlarmState, String)>,
    /// When: becomes `state_timestamp` (if the state differs) and `evaluate_timestamp`.
    pub at: Timestamp,
    /// What history says of it.
    pub change: Option<AlarmChange>,
    /// Who is told.
    pub deliveries: Vec<NewDelivery>,
}

/// What became of a [`Transition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Written: the alarm's version is this now.
    Done(i64),
    /// Not written: the alarm has another version by now, or is gone.
    Stale,
    /// Not written: the share has another holder.
    Fenced,
}

/// What of the alarms of some shares is new.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlarmNews {
    /// Alarms that were made or changed by others than evaluators' transitions.
    pub changed: Vec<Alarm>,
    /// Alarms that were deleted.
    pub deleted: Vec<AlarmId>,
    /// To be given to the next call, by share.
    pub revisions: Vec<(u16, i64)>,
}

/// What the outbox holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Messages to be delivered.
    pub waiting: u64,
    /// When the oldest of them was put there.
    pub oldest: Option<Timestamp>,
    /// Messages that were given up.
    pub dead: u64,
}

/// Notifications of some alarms are held back until `ends_at`. An addition to upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its name.
    pub id: Uuid,
    /// The project whose alarms it is about; nothing for all.
    pub project_id: Option<String>,
    /// Who made it.
    pub user_id: Option<String>,
    /// Which alarms: JSON text of a complex query's filter.
    pub filter: String,
    /// For people.
    pub comment: String,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
}

/// Alarms and what belongs to them.
///
/// Each change of an alarm raises its version. A change by [`AlarmStore::create`], [`AlarmStore::update`] or
/// [`AlarmStore::delete`], and a transition without a fence, is news for evaluators ([`AlarmStore::news`]).
#[async_trait]
pub trait AlarmStore: Send + Sync {
    /// Adds an alarm (its version is ignored) with the first record of its history, unless its project or user has as
    /// many as allowed: quota of the project if it has one, else `limits.project`; then `limits.user`. Counting and
    /// adding are one step, also for concurrent callers. [`AlarmStoreError::Changed`] where the id is taken.
    async fn create(
        &self,
        alarm: Alarm,
        record: ChangeRecord,
        limits: AlarmLimits,
    ) -> Result<Alarm, AlarmStoreError>;

    /// One alarm.
    async fn alarm(&self, id: &AlarmId) -> Result<Alarm, AlarmStoreError>;

    /// Alarms that match. Sort keys are columns; `severity` sorts by meaning. Without sorts: `timestamp` descending. The
    /// tie-breaker is `alarm_id`; the marker is an alarm's id, which must be among those that match.
    async fn alarms(&self, filter: &AlarmFilter, page: &Page) -> Result<Vec<Alarm>, AlarmStoreError>;

    /// Replaces an alarm that still has `alarm.version`, else fails with [`AlarmStoreError::Changed`].
    async fn update(&self, alarm: Alarm, record: ChangeRecord) -> Result<Alarm, AlarmStoreError>;

    /// Removes an alarm that still has `version`, else fails with [`AlarmStoreError::Changed`]; with it go its history, its
    /// counters and what waits for it in the outbox but for messages to the bus, to which `deliveries` are added.
    async fn delete(
        &self,
        id: &AlarmId,
        version: i64,
        deliveries: Vec<NewDelivery>,
    ) -> Result<(), AlarmStoreError>;

    /// Writes decisions, each whole or not at all, and tells what became of each.
    async fn apply(&self, transitions: Vec<Transition>) -> Result<Vec<Applied>, AlarmStoreError>;

    /// History that matches; sorted and paged as alarms are, by `event_id`.
    async fn history(&self, filter: &AlarmFilter, page: &Page) -> Result<Vec<AlarmChange>, AlarmStoreError>;

    /// Removes up to `batch` records of history older than `before`; how many.
    async fn expire_history(&self, before: Timestamp, batch: u64) -> Result<u64, AlarmStoreError>;

    /// Quotas of a project.
    async fn quotas(&self, project_id: &str) -> Result<Vec<Quota>, AlarmStoreError>;

    /// Sets quotas; all of the projects named afterwards.
    async fn set_quotas(&self, project_id: &str, quotas: Vec<Quota>) -> Result<Vec<Quota>, AlarmStoreError>;

    /// Removes all quotas of a project.
    async fn delete_quotas(&self, project_id: &str) -> Result<(), AlarmStoreError>;

    /// Adds to counters of evaluations; unknown alarms are skipped. Beyond 2,000,000,000 a counter begins at 1 again.
    async fn count(&self, evaluations: Vec<AlarmCounts>) -> Result<(), AlarmStoreError>;

    /// Counters of a project's alarms, or of all, that have any.
    async fn counts(&self, project_id: Option<&str>) -> Result<Vec<AlarmCounts>, AlarmStoreError>;

    /// How many alarms are in each state, disabled ones left out.
    async fn states(&self) -> Result<Vec<(AlarmState, u64)>, AlarmStoreError>;

    /// What is new in these shares since the revision given with each; 0 for everything. An alarm that is deleted and
    /// not among `deleted` because it was long ago is not in `changed` of revision 0 either.
    async fn news(&self, since: &[(u16, i64)]) -> Result<AlarmNews, AlarmStoreError>;

    /// Takes up to `limit` messages that are due, those that are so for longest first, for `member` to deliver within
    /// `length`; then they are free again. What a member has that does not live any more is free at once. Of the messages
    /// of one alarm to one target only the oldest that waits can be taken (with those of its group behind it), and none
    /// while another one is being delivered. Messages of one alarm to one target come in their order.
    /// Messages of a group come together: when one of them is due, those that may be sent come with it, as far as `limit`
    /// reaches and none of the same target before them stays; those that were tried come when they are due.
    /// Members live as [`LeaseStore::renew`](crate::LeaseStore::renew) of the group [`NOTIFIERS`] says; who does not,
    /// takes nothing.
    async fn take_deliveries(
        &self,
        member: Uuid,
        length: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, AlarmStoreError>;

    /// Says how deliveries ended; those that `member` does not hold any more are skipped. What nobody has taken from it, it
    /// holds, even if it was dead meanwhile. Messages of one alarm to one target that it took together end together.
    async fn end_deliveries(
        &self,
        member: Uuid,
        ends: Vec<(Uuid, DeliveryEnd)>,
    ) -> Result<(), AlarmStoreError>;

    /// Puts messages into the outbox that no alarm's transition made (from a bus); known ids are skipped.
    async fn add_deliveries(&self, messages: Vec<NewDelivery>) -> Result<(), AlarmStoreError>;

    /// Whether the database tells of messages that anybody puts into the outbox; if so, `wake` is woken from now on, as long as
    /// somebody else has it: now, and soon after each time. What comes while the database cannot be reached may go untold, so
    /// that whoever delivers looks from time to time, too.
    fn hear_of_deliveries(&self, _wake: &Arc<Notify>) -> bool {
        false
    }

    /// Messages that were given up, newest first.
    async fn dead_deliveries(&self, limit: u32) -> Result<Vec<Delivery>, AlarmStoreError>;

    /// Has messages that were given up delivered again, all or those of the ids; how many.
    async fn revive_deliveries(&self, ids: Option<Vec<Uuid>>) -> Result<u64, AlarmStoreError>;

    /// Forgets messages that were given up before `before`; how many.
    async fn expire_deliveries(&self, before: Timestamp) -> Result<u64, AlarmStoreError>;

    /// What the outbox holds.
    async fn outbox(&self) -> Result<OutboxCounts, AlarmStoreError>;

    /// Adds or replaces a silence.
    async fn put_silence(&self, silence: Silence) -> Result<(), AlarmStoreError>;

    /// Silences that have not ended at `now`, of a project or all.
    async fn silences(
        &self,
        project_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Silence>, AlarmStoreError>;

    /// Removes a silence; whether there was one.
    async fn delete_silence(&self, id: Uuid) -> Result<bool, AlarmStoreError>;

    /// Forgets silences that ended before `before`; how many.
    async fn expire_silences(&self, before: Timestamp) -> Result<u64, AlarmStoreError>;
}
