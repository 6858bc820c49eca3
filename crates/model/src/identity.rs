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
    /// Keystone user's name.
    pub user_name: Option<String>,
    /// Domain that the Keystone user belongs to.
    pub user_domain_id: Option<String>,
    /// Name of the project that the token is scoped to.
    pub project_name: Option<String>,
    /// Domain that this project belongs to.
    pub project_domain_id: Option<String>,
    /// Role names as given.
    pub roles: Vec<String>,
    /// Scope `all` where the request counts as system-scoped.
    pub system_scope: Option<String>,
    /// The trust that the token was made from.
    pub trust_id: Option<String>,
    /// Whether the token's project is the deployment's admin project.
    pub is_admin_project: bool,
    /// Roles of the service that passes the request on for the user, by its own token.
    pub service_roles: Vec<String>,
    /// Keystone user of that service.
    pub service_user_id: Option<String>,
    /// Keystone project of that service.
    pub service_project_id: Option<String>,
    /// Whether lists and searches are narrowed to the project's own rows (Keystone), or not (basic, remote user).
    pub filters_rows: bool,
}

/// The object of a decision, flattened: `resource.project_id`, `creator`, … to its value; absent keys never match.
pub type PolicyTarget = BTreeMap<String, String>;
