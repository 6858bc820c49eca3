//! What clients do with alarms: one method for each thing that a route offers, with policy, ownership, history and quotas
//! as Aodh has them.

mod alarms;
mod deliveries;
mod lists;
mod preview;
mod quotas;
mod records;
mod scope;
mod silences;
mod trusts;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use nephometer_drivers::{AlarmStore, AlarmStoreError, MetricReadError, MetricReader, PolicyEnforcer};
use nephometer_model::{AlarmId, Clock, IdSource, Identity, PolicyTarget, Secret};
use tokio::sync::Notify;

use crate::definition::DefinitionError;
use crate::query::QueryError;

pub use preview::Preview;
pub use quotas::parse_truth;
pub use records::{constraints, naive, stored_detail};
pub use trusts::TrustKeeper;

/// What an operator decides about alarms.
#[derive(Debug, Clone)]
pub struct AlarmSettings {
    /// Whether changes are recorded.
    pub record_history: bool,
    /// Whether changes that are recorded, and deletions, are told on the message bus.
    pub announce: bool,
    /// Most actions of each list of an alarm; nothing for no limit.
    pub max_actions: Option<usize>,
    /// Most alarms of a project without a quota of its own; nothing for no limit.
    pub project_quota: Option<u64>,
    /// Most alarms of a user in all projects; nothing for no limit.
    pub user_quota: Option<u64>,
    /// Whether evaluations are counted and counters shown.
    pub counts_evaluations: bool,
    /// Seconds from evaluation to evaluation in a preview that does not say otherwise.
    pub evaluation_interval_seconds: u32,
    /// Windows of previews reach back that much further, as the evaluator's do; seconds.
    pub ingestion_lag_seconds: i64,
}

impl Default for AlarmSettings {
    fn default() -> Self {
        Self {
            record_history: true,
            announce: false,
            max_actions: None,
            project_quota: None,
            user_quota: None,
            counts_evaluations: false,
            evaluation_interval_seconds: 60,
            ingestion_lag_seconds: 0,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Recognised by the API.
    pub identity: Identity,
    /// The token that it came with, for trusts.
    pub token: Option<Secret>,
}

/// Knows the project under which collectors store what they measure of all projects.
#[async_trait]
pub trait CollectorProject: Send + Sync {
    /// Its id; nothing where there is no such project.
    ///
    /// # Errors
    /// Why that cannot be told at the moment.
    async fn id(&self) -> Result<Option<String>, MetricReadError>;
}

/// Why the service refuses. `Display` is the text for the client.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AlarmError {
    /// The definition is wrong, or not for this caller.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The query is wrong.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// No such alarm, or not for this caller: 404.
    #[error("Alarm {0} not found")]
    NoSuchAlarm(AlarmId),
    /// No rule allows it: 403.
    #[error("RBAC Authorization Failed")]
    Forbidden,
    /// Something of another user or project: 401, as upstream answers.
    #[error("Not Authorized to access {aspect} {id}")]
    NotAuthorized {
        /// `user` or `project`.
        aspect: &'static str,
        /// Which.
        id: String,
    },
    /// As many alarms as allowed are there: 403.
    #[error("Alarm quota exceeded for user {user} on project {project}")]
    QuotaExceeded {
        /// The owner.
        user: String,
        /// Its project.
        project: String,
    },
    /// As many silences as a project may have are there: 403.
    #[error("A project may have {0} silences at a time")]
    TooManySilences(usize),
    /// Counters are not kept: 403.
    #[error("metrics endpoint is disabled")]
    NoCounters,
    /// The metric service refuses what the alarm would read, with this status.
    #[error("{text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its reason.
        text: String,
    },
    /// A service that is needed does not answer: 503.
    #[error("{0}")]
    Unavailable(String),
    /// The store; not for the client's eyes but for those that say so.
    #[error(transparent)]
    Store(AlarmStoreError),
}

impl From<AlarmStoreError> for AlarmError {
    fn from(error: AlarmStoreError) -> Self {
        match error {
            AlarmStoreError::NoSuchAlarm(id) => Self::NoSuchAlarm(id),
            AlarmStoreError::Query(_) | AlarmStoreError::NoSuchMarker(_) => {
                Self::Query(QueryError(error.to_string()))
            }
            AlarmStoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            other => Self::Store(other),
        }
    }
}

impl From<MetricReadError> for AlarmError {
    fn from(error: MetricReadError) -> Self {
        match error {
            MetricReadError::Refused { status, text } => Self::Refused { status, text },
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// What the service stands on.
pub struct AlarmParts {
    /// Alarms and their history.
    pub store: Arc<dyn AlarmStore>,
    /// Judges what rules would read.
    pub reader: Arc<dyn MetricReader>,
    /// Decides by named rules.
    pub enforcer: Arc<dyn PolicyEnforcer>,
    /// Makes trusts; without it trust actions are refused.
    pub trusts: Option<Arc<dyn TrustKeeper>>,
    /// Where there is Keystone.
    pub collector: Option<Arc<dyn CollectorProject>>,
    /// Dates changes.
    pub clock: Arc<dyn Clock>,
    /// Names alarms and records.
    pub ids: Arc<dyn IdSource>,
    /// What the operator decided.
    pub settings: AlarmSettings,
}

/// The alarm service. Cheap to share behind an `Arc`.
pub struct AlarmService {
    parts: AlarmParts,
    /// An evaluator of this process, which is to hear of changes at once.
    evaluator: OnceLock<Arc<Notify>>,
}

/// The rule that lets a caller see alarms of all projects.
const ALL_PROJECTS: &str = "segregation";
/// The rule that lets a caller act on any alarm.
const ADMIN: &str = "context_is_admin";

impl AlarmService {
    /// A service over these parts.
    pub fn new(parts: AlarmParts) -> Self {
        Self { parts, evaluator: OnceLock::new() }
    }

    /// What the operator decided.
    pub fn settings(&self) -> &AlarmSettings {
        &self.parts.settings
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn AlarmStore> {
        &self.parts.store
    }

    /// From now on `evaluator` is woken when alarms change.
    pub fn wake(&self, evaluator: Arc<Notify>) {
        if self.evaluator.set(evaluator).is_err() {
            tracing::warn!("a second evaluator in this process is not woken by changes of alarms");
        }
    }

    fn changed(&self) {
        if let Some(evaluator) = self.evaluator.get() {
            evaluator.notify_one();
        }
    }

    fn holds(&self, rule: &str, target: &PolicyTarget, caller: &Caller) -> bool {
        self.parts.enforcer.allows(rule, target, &caller.identity)
    }

    /// Whether the caller's view is not confined to its project.
    fn sees_all(&self, caller: &Caller) -> bool {
        self.holds(ALL_PROJECTS, &PolicyTarget::new(), caller)
    }

    fn is_admin(&self, caller: &Caller) -> bool {
        self.holds(ADMIN, &PolicyTarget::new(), caller)
    }

    /// Refuses unless `rule` lets the caller act on things of `project`.
    fn require(&self, rule: &str, project: Option<&str>, caller: &Caller) -> Result<(), AlarmError> {
        let target = project.map(|project| ("project_id".to_owned(), project.to_owned()));
        let target: PolicyTarget = target.into_iter().collect();
        if self.holds(rule, &target, caller) { Ok(()) } else { Err(AlarmError::Forbidden) }
    }

    /// Refuses unless `rule` lets the caller act on things of its own project.
    fn require_own(&self, rule: &str, caller: &Caller) -> Result<(), AlarmError> {
        let own = if self.sees_all(caller) { None } else { own_project(caller) };
        self.require(rule, own, caller)
    }
}

/// The project that the caller works in.
fn own_project(caller: &Caller) -> Option<&str> {
    caller.identity.project_id.as_deref().filter(|project| !project.is_empty())
}

/// The user that the caller is.
fn own_user(caller: &Caller) -> Option<&str> {
    caller.identity.user_id.as_deref().filter(|user| !user.is_empty())
}
