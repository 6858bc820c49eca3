//! States of things as numbers (spec ceilometer 3.3, a to f), whatever the case that services write them in.

use nephometer_model::Volume;
use serde_json::Value;

use super::object::Reading;

/// Names of states and their numbers.
pub(super) type Codes = &'static [(&'static str, i64)];

/// The number of a state that is empty or that the table does not have.
const UNKNOWN: i64 = -1;

/// Networks, VPN and firewall services.
pub(super) const NETWORK: Codes = &[
    ("inactive", 0),
    ("active", 1),
    ("pending_create", 2),
    ("down", 3),
    ("created", 4),
    ("pending_update", 5),
    ("pending_delete", 6),
    ("error", 7),
];

/// What load balancers do.
pub(super) const OPERATING: Codes =
    &[("online", 1), ("draining", 2), ("offline", 3), ("degraded", 4), ("error", 5), ("no_monitor", 6)];

/// What is done to load balancers.
pub(super) const PROVISIONING: Codes = &[
    ("active", 1),
    ("deleted", 2),
    ("error", 3),
    ("pending_create", 4),
    ("pending_update", 5),
    ("pending_delete", 6),
];

/// Zones.
pub(super) const ZONE: Codes = &[("active", 1), ("pending", 2), ("error", 3), ("deleted", 4)];

/// Shares.
pub(super) const SHARE: Codes = &[
    ("available", 1),
    ("creating", 2),
    ("deleting", 3),
    ("error", 4),
    ("error_deleting", 5),
    ("migrating", 6),
    ("extending", 7),
    ("shrinking", 8),
    ("reverting", 9),
    ("inactive", 10),
    ("manage_starting", 11),
    ("manage_error", 12),
    ("unmanage_starting", 13),
    ("unmanage_error", 14),
    ("unmanaged", 15),
    ("extending_error", 16),
    ("shrinking_error", 17),
    ("reverting_error", 18),
    ("awaiting_transfer", 19),
    ("backup_creating", 20),
    ("backup_restoring", 21),
    ("backup_restoring_error", 22),
    ("creating_from_snapshot", 23),
    ("shrinking_possible_data_loss_error", 24),
    ("migrating_to", 25),
    ("replication_change", 26),
];

/// The number of the state in an object's field.
pub(super) fn code(object: &Value, field: &str, codes: Codes) -> Reading {
    let state = object[field].as_str().unwrap_or_default();
    let known = codes.iter().find(|(name, _)| name.eq_ignore_ascii_case(state));
    if known.is_none() {
        tracing::warn!(field, state, "a state without a number counts as {UNKNOWN}");
    }
    Ok(Some(Volume::Int(known.map_or(UNKNOWN, |(_, number)| *number))))
}
