//! Times as polled samples write them.

use nephometer_model::Timestamp;

/// ISO 8601 in UTC without a zone.
pub(crate) fn naive(at: Timestamp) -> String {
    let mut text = at.isoformat();
    text.truncate(text.len() - "+00:00".len());
    text
}
