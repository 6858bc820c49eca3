//! What one identity may take of the server, so that no project takes it from the others: requests in flight, and
//! measures written a second. One [`Limits`] serves all dialects of a process: what counts is the project, not the door.
//!
//! An identity is a Keystone project; a user where there is no project; or nobody. A request enters when its sender is
//! known and before its body is read, and never waits: where the identity has all that it may have in flight, it is
//! refused. Measures are counted when the body has been read and checked, before anything of it is stored; those of a
//! request that then fails are given back. What is refused stores nothing.
//!
//! The bucket is our own (`account`, forty lines) because keyed limiters of libraries know one quota for all keys, no
//! bound on the number of keys and no way back for what was taken; requests in flight would need a second table anyway.

mod account;
mod refusals;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use futures::StreamExt as _;
use http::HeaderMap;
use nephometer_drivers::{AuthError, Authenticator};
use nephometer_model::{Clock, Identity};

use account::Account;
pub use refusals::RefusalCounts;
use refusals::Refusals;
use table::Table;

/// Seconds after which a request that found too many in flight may try again.
const RETRY_IN_FLIGHT_SECONDS: u32 = 1;

/// Measures over time: so many a second in the long run, and at most so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How fast the bucket fills.
    pub per_second: NonZeroU64,
    /// How much it holds: the most measures of one request.
    pub burst: NonZeroU64,
}

/// What one identity may take; what is nothing here has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Most requests at one time, from the head to the last byte of the answer.
    pub requests_in_flight: Option<NonZeroU32>,
    /// Measures written.
    pub measures: Option<Rate>,
}

impl Allowance {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// What an operator decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// What every identity may take that is not named below.
    pub usual: Allowance,
    /// What these projects (by id) may take instead.
    pub projects: HashMap<String, Allowance>,
    /// What these users (by id, by name where callers have no ids) may take instead, where there is no project.
    pub users: HashMap<String, Allowance>,
}

/// Who is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// A Keystone project.
    Project(Arc<str>),
    /// A user where there is no project.
    User(Arc<str>),
    /// All callers without identity.
    Nobody,
    /// All for whom there was no room, because very many identities are busy at once.
    Others,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(id) => write!(f, "project {}", id.escape_debug()),
            Self::User(name) => write!(f, "user {}", name.escape_debug()),
            Self::Nobody => f.write_str("callers without identity"),
            Self::Others => f.write_str("further identities"),
        }
    }
}

/// Why a request is refused. `Display` is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It may come again when one of the others is answered.
    #[error("at most {max} requests at a time are served for {party}")]
    InFlight {
        /// The limit.
        max: NonZeroU32,
        /// Whose limit.
        party: Party,
    },
    /// It may come again when the bucket has filled.
    #[error("{party} may write {} measures a second and {} at once", .rate.per_second, .rate.burst)]
    Measures {
        /// The limit.
        rate: Rate,
        /// Whose limit.
        party: Party,
        /// When these measures would fit, if nobody else came.
        retry_after_seconds: u32,
    },
    /// It will never fit.
    #[error(
        "the request has {measures} measures, and {party} may write at most {} at once: send fewer in one request",
        .rate.burst
    )]
    RequestSize {
        /// How many it has.
        measures: u64,
        /// The limit.
        rate: Rate,
        /// Whose limit.
        party: Party,
    },
}

impl LimitError {
    /// When it is worth trying again; nothing where it never is.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::InFlight { .. } => Some(RETRY_IN_FLIGHT_SECONDS),
            Self::Measures { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Self::RequestSize { .. } => None,
        }
    }
}

/// A place among the requests in flight; given up when the last owner drops it.
#[derive(Debug)]
pub struct Permit(Arc<Account>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Who asks, and its place among the requests in flight; no place where it has no limits.
#[derive(Debug)]
pub struct Caller {
    /// Who asks.
    pub identity: Identity,
    /// Its place; to be kept until the answer is sent.
    pub permit: Option<Arc<Permit>>,
}

/// Why a caller does not get in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It was not recognised.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// It has too much under way.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

/// Measures that were counted; they are given back unless they are kept.
#[must_use = "what is not kept is given back"]
pub struct Charge<'a>(Option<Taken<'a>>);

struct Taken<'a> {
    account: &'a Account,
    clock: &'a dyn Clock,
    cost_ns: u64,
    at_ns: u64,
}

impl Charge<'_> {
    /// The measures are stored.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        if let Some(Taken { account, clock, cost_ns, at_ns }) = self.0.take() {
            account.give_back(cost_ns, clock.monotonic_ns().saturating_sub(at_ns));
        }
    }
}

/// How limits fare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitStatus {
    /// Requests refused since the start.
    pub refusals: RefusalCounts,
    /// Identities that are remembered, idle ones included whose room nobody needed.
    pub identities: u64,
    /// Who was refused most, most first, with how often at least; a few.
    pub most_refused: Vec<(Party, u64)>,
}

/// The limits of a process and what has been taken of them.
pub struct Limits {
    clock: Arc<dyn Clock>,
    projects: Table,
    users: Table,
    nobody: Option<Arc<Account>>,
    refusals: Refusals,
}

impl Limits {
    /// Limits of which nothing is taken. Time is the monotonic side of `clock`.
    pub fn new(settings: LimitSettings, clock: Arc<dyn Clock>) -> Self {
        let LimitSettings { usual, projects, users } = settings;
        Self {
            clock,
            projects: Table::new(usual, projects, Party::Project),
            users: Table::new(usual, users, Party::User),
            nobody: Account::limited(Party::Nobody, usual),
            refusals: Refusals::default(),
        }
    }

    /// Recognises who sends `headers` and lets it in.
    pub async fn admit(
        &self,
        authenticator: &dyn Authenticator,
        headers: &HeaderMap,
    ) -> Result<Caller, EntryError> {
        let identity = authenticator.authenticate(headers).await?;
        let permit = self.enter(&identity)?;
        Ok(Caller { identity, permit })
    }

    /// A place among the requests in flight; nothing where `identity` has no limits.
    pub fn enter(&self, identity: &Identity) -> Result<Option<Arc<Permit>>, LimitError> {
        let Some(account) = self.account(identity) else { return Ok(None) };
        match account.enter() {
            Ok(()) => Ok(Some(Arc::new(Permit(account)))),
            Err(max) => {
                let party = account.party().clone();
                Err(self.refusals.count(LimitError::InFlight { max, party }))
            }
        }
    }

    /// Counts `measures`, which are about to be stored by the request that has `permit`.
    pub fn charge<'a>(
        &'a self,
        permit: Option<&'a Arc<Permit>>,
        measures: usize,
    ) -> Result<Charge<'a>, LimitError> {
        let Some(account) = permit.map(|permit| &*permit.0) else { return Ok(Charge(None)) };
        let Some(rate) = account.measures().filter(|_| measures > 0) else { return Ok(Charge(None)) };
        let measures = u64::try_from(measures).unwrap_or(u64::MAX);
        if measures > rate.burst.get() {
            let party = account.party().clone();
            return Err(self.refusals.count(LimitError::RequestSize { measures, rate, party }));
        }
        let at_ns = self.clock.monotonic_ns();
        match account.take(rate, measures, at_ns) {
            Ok(cost_ns) => Ok(Charge(Some(Taken { account, clock: &*self.clock, cost_ns, at_ns }))),
            Err(wait_ns) => {
                let retry_after_seconds = u32::try_from(wait_ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
                let party = account.party().clone();
                Err(self.refusals.count(LimitError::Measures { rate, party, retry_after_seconds }))
            }
        }
    }

    /// How limits fare.
    pub fn status(&self) -> LimitStatus {
        LimitStatus {
            refusals: self.refusals.counts(),
            identities: (self.projects.len() + self.users.len()) as u64,
            most_refused: self.refusals.most(),
        }
    }

    fn account(&self, identity: &Identity) -> Option<Arc<Account>> {
        fn given(text: &Option<String>) -> Option<&str> {
            text.as_deref().filter(|text| !text.is_empty())
        }
        if let Some(project) = given(&identity.project_id) {
            return self.projects.account(project, &*self.clock);
        }
        let user = given(&identity.user_id).or(given(&identity.user)).or(given(&identity.creator));
        match user {
            Some(user) => self.users.account(user, &*self.clock),
            None => self.nobody.clone(),
        }
    }
}

/// The answer of a request that stays in flight until the answer is sent: where that is not ready yet, its body holds
/// the place.
pub fn hold(response: Response, permit: Option<Arc<Permit>>) -> Response {
    match permit {
        Some(permit) if response.body().size_hint().exact().is_none() => response.map(|body| {
            Body::from_stream(body.into_data_stream().inspect(move |_| {
                let _place = &permit;
            }))
        }),
        _ => response,
    }
}
