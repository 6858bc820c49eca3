//! Errors of sessions as contracts say them.

use std::time::Duration;

use http::StatusCode;
use nephometer_drivers::{DeliveryFailure, MetricReadError};

use crate::keystone::KeystoneError;

/// Whether another attempt may end otherwise.
fn may_pass(error: &KeystoneError) -> bool {
    match error {
        // A service may be entered into the catalogue yet.
        KeystoneError::Unavailable { .. }
        | KeystoneError::Malformed { .. }
        | KeystoneError::NoEndpoint { .. } => true,
        KeystoneError::Settings(_) => false,
        KeystoneError::SignIn { status, .. } | KeystoneError::Refused { status, .. } => {
            status.is_server_error()
                || matches!(
                    *status,
                    StatusCode::REQUEST_TIMEOUT
                        | StatusCode::CONFLICT
                        | StatusCode::TOO_EARLY
                        | StatusCode::TOO_MANY_REQUESTS
                )
        }
    }
}

/// Why a message was not delivered.
pub(super) fn undelivered(error: &KeystoneError) -> DeliveryFailure {
    if !may_pass(error) {
        return DeliveryFailure::Final(error.to_string());
    }
    let retry_after = match error {
        KeystoneError::Unavailable { retry_after_seconds, .. } => {
            retry_after_seconds.map(Duration::from_secs)
        }
        _ => None,
    };
    DeliveryFailure::Later { reason: error.to_string(), retry_after }
}

/// Why there is no reading.
pub(super) fn unread(error: &KeystoneError) -> MetricReadError {
    match error {
        KeystoneError::Refused { status, message, .. } => {
            MetricReadError::Refused { status: status.as_u16(), text: message.clone() }
        }
        other => MetricReadError::Unavailable(other.to_string()),
    }
}
