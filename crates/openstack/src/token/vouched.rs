//! What Keystone vouches for, as handlers and rules see it.

use nephometer_model::{Identity, Timestamp};

use crate::keystone::TokenInfo;

/// A valid token.
#[derive(Debug)]
pub(super) struct Vouched {
    /// Whose it is.
    pub(super) identity: Identity,
    /// From then on it counts only where a service goes on with it.
    pub(super) ends_at: Timestamp,
}

impl Vouched {
    /// Takes over what Keystone says. As upstream has it, the creator of things is `user:project`, without a project
    /// where the token has none.
    pub(super) fn new(info: TokenInfo) -> Self {
        let (project, user) = (info.project, info.user);
        let project_id = project.as_ref().map(|project| project.id.clone());
        let identity = Identity {
            creator: Some(creator(&user.id, project_id.as_deref())),
            user: None,
            user_id: Some(user.id),
            user_name: Some(user.name),
            user_domain_id: Some(user.domain.id),
            project_id,
            project_name: project.as_ref().map(|project| project.name.clone()),
            project_domain_id: project.map(|project| project.domain.id),
            domain_id: info.domain.map(|domain| domain.id),
            roles: info.roles.into_iter().map(|role| role.name).collect(),
            system_scope: info.system_all.then(|| "all".to_owned()),
            trust_id: info.trust.map(|trust| trust.id),
            is_admin_project: info.is_admin_project,
            service_roles: Vec::new(),
            service_user_id: None,
            service_project_id: None,
            filters_rows: true,
        };
        Self { identity, ends_at: info.expires_at }
    }

    /// The identity of a request that `service` passes on.
    pub(super) fn passed_on_by(&self, service: &Self) -> Identity {
        let service = &service.identity;
        Identity {
            service_roles: service.roles.clone(),
            service_user_id: service.user_id.clone(),
            service_project_id: service.project_id.clone(),
            ..self.identity.clone()
        }
    }

    /// Whether it has one of `roles`.
    pub(super) fn has_any(&self, roles: &[String]) -> bool {
        roles.iter().any(|role| self.identity.roles.contains(role))
    }
}

/// Nobody, where requests without a valid token go on: no roles, no project, rows filtered.
pub(super) fn nobody() -> Identity {
    Identity { creator: Some(creator("", None)), filters_rows: true, ..Identity::default() }
}

fn creator(user_id: &str, project_id: Option<&str>) -> String {
    format!("{user_id}:{}", project_id.unwrap_or_default())
}
