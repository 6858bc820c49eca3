//! How actions of alarms reach services of the cloud: by their owners' trusts, over message queues, at stacks.

use std::time::Duration;

use async_trait::async_trait;
use nephometer_model::Secret;
use serde_json::Value;
use uuid::Uuid;

/// Why a message did not reach its target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFailure {
    /// Another attempt may succeed.
    #[error("{reason}")]
    Later {
        /// What happened, without secrets.
        reason: String,
        /// How long the target asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// No attempt will succeed until somebody mends something.
    #[error("{0}")]
    Final(String),
}

impl DeliveryFailure {
    /// What another attempt may mend, for this reason.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), retry_after: None }
    }
}

/// Tokens of trusts.
#[async_trait]
pub trait TrustTokens: Send + Sync {
    /// A token that is good for what the trust is good for.
    async fn token(&self, trust_id: &str) -> Result<Secret, DeliveryFailure>;

    /// A service did not take the token: the next one is a fresh one.
    fn forget(&self, trust_id: &str, token: &Secret);
}

/// By what right a queue is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueAccess {
    /// The service's own.
    Service,
    /// That of a trust, by its id.
    Trust(String),
    /// That of a signature, as Zaqar made it.
    PreSigned {
        /// The project of the queue.
        project_id: String,
        /// What may be used, in the order that was signed.
        paths: Vec<String>,
        /// How it may be used, in the order that was signed.
        methods: Vec<String>,
        /// Until when, as it was signed.
        expires: String,
        /// The signature.
        signature: Secret,
    },
}

/// A message for a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueMessage {
    /// Names the message, the same at each attempt.
    pub id: Uuid,
    /// The queue.
    pub queue: String,
    /// By what right.
    pub access: QueueAccess,
    /// What is said.
    pub body: Value,
    /// Who is subscribed to the queue before, if they are not yet.
    pub subscribers: Vec<String>,
    /// How long subscriptions hold; seconds.
    pub ttl_seconds: i64,
}

/// Message queues of the cloud.
#[async_trait]
pub trait MessageQueues: Send + Sync {
    /// Puts a message into its queue, which is made if it is not there.
    async fn post(&self, message: QueueMessage) -> Result<(), DeliveryFailure>;
}

/// Members of a stack's group that are to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnhealthyMembers {
    /// The trust by which it is done.
    pub trust_id: String,
    /// The stack below which the members are.
    pub stack_id: String,
    /// The resource group in which they are marked.
    pub group_id: String,
    /// Physical ids of the load balancer's members.
    pub member_ids: Vec<String>,
}

/// Stacks that heal themselves.
#[async_trait]
pub trait StackHealer: Send + Sync {
    /// Marks members as unhealthy and has the stack updated as it is. How many of them the stack has; where it is none,
    /// nothing is updated.
    async fn heal(&self, members: UnhealthyMembers) -> Result<usize, DeliveryFailure>;
}
