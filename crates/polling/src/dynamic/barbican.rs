//! Credentials that Barbican keeps.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{CloudCall, CloudReader, CloudTarget};
use nephometer_model::Secret;
use reqwest::Url;

use crate::{Cycle, Discovery, DiscoveryError, Resource};

/// The type of Barbican's service in the catalogue.
const SERVICE_TYPE: &str = "key-manager";
/// What there is to poll where there is no secret: the API itself, which may need none.
pub(super) const NOTHING: &str = "No secrets found";

/// `barbican:<id>` is the secret of that id.
pub(super) struct Barbican {
    pub(super) cloud: Arc<dyn CloudReader>,
}

#[async_trait]
impl Discovery for Barbican {
    fn name(&self) -> &str {
        "barbican"
    }

    async fn discover(&self, _: &Cycle, parameter: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let id = parameter.unwrap_or_default();
        let found = secret(self.cloud.as_ref(), id).await?;
        // The id alone is shown and remembered, not what it stands for.
        Ok(vec![match found {
            Some(secret) => Resource::typed(format!("barbican:{id}"), Arc::new(secret)),
            None => Resource::from_id(NOTHING),
        }])
    }
}

/// The secret `id`; nothing where there is no id or no Barbican.
pub(super) async fn secret(cloud: &dyn CloudReader, id: &str) -> Result<Option<Secret>, DiscoveryError> {
    if id.is_empty() {
        return Ok(None);
    }
    let Some(endpoint) = cloud.endpoints(SERVICE_TYPE).await?.into_iter().next() else {
        tracing::warn!(secret = id, "the catalogue has no {SERVICE_TYPE} that would have the secret");
        return Ok(None);
    };
    let failed = |reason: String| DiscoveryError::Failed(format!("the secret {id}: {reason}"));
    // A path from the root, so that the address's own path does not count.
    let path = format!("/v1/secrets/{id}/payload");
    let url =
        Url::parse(&endpoint).and_then(|url| url.join(&path)).map_err(|error| failed(error.to_string()))?;
    let call = CloudCall::to(CloudTarget::Configured(url.into())).header("accept", "*/*");
    let answer = cloud.call(&call).await?;
    if answer.status != 200 {
        return Err(failed(format!("Barbican answered with {}", answer.status)));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| failed("it is no text".to_owned()))?;
    Ok(Some(Secret::new(text)))
}
