//! What guests have in common: owners, flavors, images, states, the names of what is known of them.

use serde_json::Value;

use crate::pool::Pool;

/// Texts and values that several guests have.
#[derive(Default)]
pub(super) struct Common {
    pub(super) texts: Pool<str>,
    pub(super) values: Pool<Value>,
}
