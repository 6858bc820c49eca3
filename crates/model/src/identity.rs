//! Who asks, and what is asked about, in the terms that policy rules compare.

use std::collections::BTreeMap;

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// What is stored as creator of things made by this request; with Keystone `user_id:project_id`, else the user's
    /// name; nothing for an anonymous request.
    pub creator: Option<String>,
    /// The user's name (basic, remote user) as rules see it under `user`.
    pub user: Option<String>,
    /// Keystone user.
    pub user_id: Option<String>,
    /// Keystone project that the token is scoped to.
    pub project_id: Option<String>,
    /// Keystone domain that the token is scoped to.
    pub domain_id: Option<String>,
    /// Role names as given.
    pub roles: Vec<String>,
    /// Scope `all` where the request counts as system-scoped.
    pub system_scope: Option<String>,
    /// Whether lists and searches are narrowed to the project's own rows (Keystone), or not (basic, remote user).
    pub filters_rows: bool,
}

/// The object of a decision, flattened: `resource.project_id`, `creator`, … to its value; absent keys never match.
pub type PolicyTarget = BTreeMap<String, String>;
