//! The project whose own samples are left out: Gnocchi's storage in Swift would otherwise be metered into itself.

use std::sync::Arc;

use nephometer_drivers::{CloudCall, CloudError, CloudReader};
use serde_json::Value;
use tokio::sync::OnceCell;

/// A project by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectToFilter {
    /// Its name.
    pub name: String,
    /// The name of its domain.
    pub domain: String,
}

/// Finds the project's id when it is first wanted.
pub struct ProjectFilter {
    wanted: Option<(ProjectToFilter, Arc<dyn CloudReader>)>,
    /// The id, or that Keystone does not know it.
    found: OnceCell<Option<String>>,
}

impl ProjectFilter {
    /// Leaves out `project` as `cloud` knows it.
    pub fn new(project: ProjectToFilter, cloud: Arc<dyn CloudReader>) -> Self {
        Self { wanted: Some((project, cloud)), found: OnceCell::new() }
    }

    /// Leaves nothing out.
    pub fn off() -> Self {
        Self { wanted: None, found: OnceCell::new() }
    }

    /// The project's id; nothing where there is none to leave out. The error says why nobody knows yet.
    pub(super) async fn project_id(&self) -> Result<Option<String>, String> {
        let Some((project, cloud)) = &self.wanted else { return Ok(None) };
        self.found.get_or_try_init(|| find(project, cloud.as_ref())).await.cloned()
    }
}

async fn find(project: &ProjectToFilter, cloud: &dyn CloudReader) -> Result<Option<String>, String> {
    let why = |error: CloudError| format!("Keystone does not tell the project to filter: {error}");
    let domains = ask(cloud, "domains", &[("name", &project.domain)]).await.map_err(why)?;
    let found = match first_id(&domains, "domains") {
        Some(domain) => {
            let query = [("name", project.name.as_str()), ("domain_id", domain.as_str())];
            first_id(&ask(cloud, "projects", &query).await.map_err(why)?, "projects")
        }
        None => None,
    };
    if found.is_none() {
        tracing::warn!(
            "Filtered project [{}] not found in keystone, ignoring the filter_project option",
            project.name
        );
    }
    Ok(found)
}

/// What Keystone lists.
async fn ask(cloud: &dyn CloudReader, what: &str, query: &[(&str, &str)]) -> Result<Value, CloudError> {
    // Keystone's address is that of its v3 API.
    let path = format!("/{what}");
    let call =
        query.iter().fold(CloudCall::get("identity", &path), |call, (name, value)| call.query(name, value));
    let answer = cloud.call(&call).await?;
    if answer.status != 200 {
        return Err(CloudError::Unavailable(format!("{path} was answered with {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| CloudError::Unavailable(error.to_string()))
}

fn first_id(answer: &Value, what: &str) -> Option<String> {
    answer[what][0]["id"].as_str().map(str::to_owned)
}
