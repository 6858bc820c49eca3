//! Division of work among processes without a coordinator: the work of a group is cut into shares, each held by at most
//! one member by a lease with an epoch. What a member writes for a share is refused when its epoch is over.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::IndexError;

/// A share of a group's work, held until the lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Which share, from 0.
    pub share: u16,
    /// Rises with every change of the holder.
    pub epoch: i64,
}

/// By what a write shows that its writer still holds the share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The group.
    pub group: String,
    /// The share and its epoch.
    pub lease: Lease,
}

/// Leases in the index. Time is the database's, so that members' clocks need not agree.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Says that `member` of `group` lives, renews what it holds for `length`, and has it take its fair part of the
    /// group's `shares`: shares that are free or whose lease has ended, up to `shares / live members` rounded up; what
    /// it holds beyond that is given back. All shares that it holds now. To be called every third of `length`.
    async fn renew(
        &self,
        group: &str,
        member: Uuid,
        shares: u16,
        length: Duration,
    ) -> Result<Vec<Lease>, IndexError>;

    /// Gives back all that `member` holds: it stops.
    async fn leave(&self, group: &str, member: Uuid) -> Result<(), IndexError>;
}
