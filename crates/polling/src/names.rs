//! Names of projects and users for samples that carry their ids: asked of Keystone once, and remembered for a while.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{CloudCall, CloudReader};
use nephometer_model::{Clock, Sample};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_cache::sync::Cache;
use serde_json::Value;

/// A name is good for so long; upstream's cache keeps it as long.
const GOOD_FOR: Duration = Duration::from_secs(600);
/// That there is none, or that Keystone could not say, is remembered for so long.
const MISSING_FOR: Duration = Duration::from_secs(60);
/// Most ids that are remembered.
const REMEMBERED: usize = 20_000;

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Project,
    User,
}

impl Kind {
    /// The path of its collection, and the key of one in an answer.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Project => ("projects", "project"),
            Self::User => ("users", "user"),
        }
    }
}

type Key = (Kind, Arc<str>);

#[derive(Debug, Clone)]
struct Known {
    name: Option<Arc<str>>,
    until_ns: u64,
}

/// Looks names up.
pub struct IdentityNames {
    cloud: Arc<dyn CloudReader>,
    clock: Arc<dyn Clock>,
    known: Cache<Key, Known>,
}

impl IdentityNames {
    /// Names as the Keystone of `cloud` has them.
    pub fn new(cloud: Arc<dyn CloudReader>, clock: Arc<dyn Clock>) -> Self {
        Self { cloud, clock, known: Cache::new(REMEMBERED) }
    }

    /// Adds names to samples that have ids. What cannot be found out stays without.
    pub async fn fill(&self, samples: &mut [Sample]) {
        let mut names: HashMap<Key, Option<Arc<str>>> = HashMap::new();
        for sample in samples {
            for (kind, id) in [(Kind::Project, &sample.project_id), (Kind::User, &sample.user_id)] {
                let Some(id) = id else { continue };
                let key = (kind, Arc::clone(id));
                if let Entry::Vacant(entry) = names.entry(key) {
                    let name = self.name(entry.key()).await;
                    entry.insert(name);
                }
            }
            let name = |kind, id: &Option<Arc<str>>| names.get(&(kind, Arc::clone(id.as_ref()?))).cloned()?;
            sample.project_name = name(Kind::Project, &sample.project_id).or(sample.project_name.take());
            sample.user_name = name(Kind::User, &sample.user_id).or(sample.user_name.take());
        }
    }

    async fn name(&self, key: &Key) -> Option<Arc<str>> {
        let now_ns = self.clock.monotonic_ns();
        if let Some(known) = self.known.get(key).filter(|known| known.until_ns > now_ns) {
            return known.name;
        }
        let name = self.ask(key).await;
        let good_for = if name.is_some() { GOOD_FOR } else { MISSING_FOR };
        let until_ns = now_ns.saturating_add(u64::try_from(good_for.as_nanos()).unwrap_or(u64::MAX));
        self.known.insert(key.clone(), Known { name: name.clone(), until_ns });
        name
    }

    async fn ask(&self, (kind, id): &Key) -> Option<Arc<str>> {
        let (collection, member) = kind.words();
        let path = format!("/{collection}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
        let answer = match self.cloud.call(&CloudCall::get("identity", &path)).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "the name of {member} {id} cannot be asked for");
                return None;
            }
        };
        if answer.status != 200 {
            tracing::warn!(status = answer.status, "Keystone does not tell the name of {member} {id}");
            return None;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body[member]["name"].as_str().map(Arc::from)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use nephometer_drivers::{CloudAnswer, CloudError, CloudTarget};
    use nephometer_model::{ManualClock, Meter, MeterType, Timestamp};
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Keystone(Mutex<Vec<String>>);

    #[async_trait]
    impl CloudReader for Keystone {
        async fn endpoints(&self, _: &str) -> Result<Vec<String>, CloudError> {
            Ok(Vec::new())
        }

        async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
            let CloudTarget::Service { service_type, path } = &call.target else { panic!("{call:?}") };
            assert_eq!(service_type, "identity");
            self.0.lock().push(path.clone());
            let (status, body) = match path.as_str() {
                "/projects/p" => (200, r#"{"project": {"name": "demo"}}"#),
                "/users/u%2F1" => (200, r#"{"user": {"name": "ann"}}"#),
                "/users/away" => return Err(CloudError::Unavailable("away".to_owned())),
                _ => (404, "{}"),
            };
            Ok(CloudAnswer { status, headers: http::HeaderMap::new(), body: body.into() })
        }

        async fn project_id(&self) -> Result<Option<String>, CloudError> {
            Ok(None)
        }
    }

    fn sample(project: &str, user: &str) -> Sample {
        let mut sample = Sample::new(&Meter::new("m", MeterType::Gauge, "B"), 1_i64, "i");
        sample.project_id = Some(project.into());
        sample.user_id = Some(user.into());
        sample
    }

    #[tokio::test]
    async fn names_are_asked_for_once() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
        let keystone = Arc::new(Keystone::default());
        let names = IdentityNames::new(Arc::clone(&keystone) as _, Arc::clone(&clock) as _);
        let mut samples = [sample("p", "u/1"), sample("p", "away"), sample("gone", "u/1")];
        names.fill(&mut samples).await;
        names.fill(&mut samples).await;
        let found: Vec<_> =
            samples.iter().map(|s| (s.project_name.as_deref(), s.user_name.as_deref())).collect();
        assert_eq!(found, [(Some("demo"), Some("ann")), (Some("demo"), None), (None, Some("ann"))]);
        assert_eq!(*keystone.0.lock(), ["/projects/p", "/users/u%2F1", "/users/away", "/projects/gone"]);
        clock.advance_ns(61_000_000_000);
        names.fill(&mut samples).await;
        assert_eq!(keystone.0.lock().len(), 6);
    }
}
