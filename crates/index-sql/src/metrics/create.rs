//! Making metrics: one, or very many at once.

use std::collections::{BTreeSet, HashMap, HashSet};

use nephometer_drivers::{IndexError, NewMetric};
use nephometer_model::{Metric, MetricId, ResourceId, SeriesKey};

use super::{by_id, by_pair, resource_pks};
use crate::session::Session;
use crate::value::{Batch, ColumnType, Value};
use crate::{Failure, labels, policies};

/// Columns of a row that is made.
pub(crate) const ROWS: [(&str, ColumnType); 6] = [
    ("id", ColumnType::Uuid),
    ("resource_pk", ColumnType::Int),
    ("name_pk", ColumnType::Int),
    ("unit_pk", ColumnType::Int),
    ("creator_pk", ColumnType::Int),
    ("policy_key", ColumnType::Int),
];

/// Metrics that are to be there, with the keys of what they refer to.
struct Wanted<'a> {
    news: &'a [NewMetric],
    resources: HashMap<ResourceId, i64>,
    policies: HashMap<String, (i64, i64)>,
    labels: HashMap<String, i64>,
    creators: HashMap<String, i64>,
}

impl<'a> Wanted<'a> {
    async fn resolve(session: &mut dyn Session, news: &'a [NewMetric]) -> Result<Self, Failure> {
        let ids: Vec<_> = news.iter().filter_map(|new| new.resource_id).collect();
        let resources = resource_pks(session, &ids).await?;
        let names: HashSet<_> = news.iter().map(|new| new.policy_name.as_str()).collect();
        let policies = policies::keys_by_name(session, names).await?;
        for new in news {
            if let Some(id) = new.resource_id.filter(|id| !resources.contains_key(id)) {
                return Err(IndexError::NoSuchResource(id).into());
            }
            if !policies.contains_key(&new.policy_name) {
                return Err(IndexError::NoSuchArchivePolicy(new.policy_name.clone()).into());
            }
        }
        let mut texts = BTreeSet::new();
        let mut creators = BTreeSet::new();
        for new in news {
            texts.extend(new.name.as_deref());
            texts.extend(new.unit.as_deref());
            creators.extend(new.creator.as_deref());
        }
        let labels = labels::intern(session, texts).await?;
        let creators = labels::intern_creators(session, creators).await?;
        Ok(Self { news, resources, policies, labels, creators })
    }

    fn label(&self, text: Option<&String>) -> Option<i64> {
        text.and_then(|text| self.labels.get(text)).copied()
    }

    /// Keys of the resource and the name where the metric has both.
    fn pair(&self, new: &NewMetric) -> Option<(i64, i64)> {
        Some((*self.resources.get(&new.resource_id?)?, self.label(new.name.as_ref())?))
    }

    /// Those that are there already.
    async fn find(&self, session: &mut dyn Session) -> Result<Found, Failure> {
        let pairs: HashSet<_> = self.news.iter().filter_map(|new| self.pair(new)).collect();
        let ids: Vec<_> = self.news.iter().filter(|new| self.pair(new).is_none()).map(|new| new.id).collect();
        let mut found = Found::default();
        if !pairs.is_empty() {
            by_pair(session, pairs).await?.into_iter().for_each(|metric| found.add(metric));
        }
        if !ids.is_empty() {
            by_id(session, &ids).await?.into_iter().for_each(|metric| found.add(metric));
        }
        Ok(found)
    }

    /// Makes those that are not `found` and adds them there; where the id or the name of one is taken it is not made.
    async fn make_missing(&self, session: &mut dyn Session, found: &mut Found) -> Result<(), Failure> {
        let mut batch = Batch::new(&ROWS);
        let mut missing = Vec::new();
        for new in self.news.iter().filter(|new| found.get(new).is_none()) {
            missing.push(new);
            batch.push(self.row(new));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut keys = session.insert_new("metric", "key", &batch).await?;
        let policies = policies::by_key(session, self.policies.values().copied()).await?;
        for new in missing {
            // Of those with the same name or id only the first was made.
            if found.get(new).is_some() {
                continue;
            }
            let Some(key) = keys.remove(&new.id.0) else { continue };
            let policy = self.policies.get(&new.policy_name).and_then(|(key, _)| policies.get(key));
            let policy = policy.cloned().ok_or_else(|| Failure::Internal("a policy has gone".to_owned()))?;
            found.add(Metric {
                id: new.id,
                key: SeriesKey(key.cast_unsigned()),
                name: new.name.clone(),
                unit: new.unit.clone(),
                creator: new.creator.clone(),
                resource_id: new.resource_id,
                policy,
            });
        }
        Ok(())
    }

    fn row(&self, new: &NewMetric) -> Vec<Value> {
        let creator = new.creator.as_ref().and_then(|text| self.creators.get(text)).copied();
        vec![
            new.id.0.into(),
            new.resource_id.and_then(|id| self.resources.get(&id)).copied().into(),
            self.label(new.name.as_ref()).into(),
            self.label(new.unit.as_ref()).into(),
            creator.into(),
            self.policies.get(&new.policy_name).map_or(Value::Null, |(key, _)| (*key).into()),
        ]
    }
}

/// Metrics that are there, by id, and those of resources by name.
#[derive(Default)]
struct Found {
    by_id: HashMap<MetricId, Metric>,
    by_name: HashMap<ResourceId, HashMap<String, MetricId>>,
}

impl Found {
    fn add(&mut self, metric: Metric) {
        if let (Some(resource_id), Some(name)) = (metric.resource_id, &metric.name) {
            self.by_name.entry(resource_id).or_default().insert(name.clone(), metric.id);
        }
        self.by_id.insert(metric.id, metric);
    }

    /// The metric that answers for `new`: of the same resource and name; without these, of the same id.
    fn get(&self, new: &NewMetric) -> Option<&Metric> {
        let id = match (new.resource_id, &new.name) {
            (Some(resource_id), Some(name)) => self.by_name.get(&resource_id)?.get(name)?,
            _ => &new.id,
        };
        self.by_id.get(id)
    }
}

fn taken(new: &NewMetric) -> Failure {
    IndexError::NamedMetricAlreadyExists(new.name.clone().unwrap_or_else(|| new.id.to_string())).into()
}

pub(crate) async fn create(session: &mut dyn Session, new: &NewMetric) -> Result<Metric, Failure> {
    let wanted = Wanted::resolve(session, std::slice::from_ref(new)).await?;
    let mut found = wanted.find(session).await?;
    if found.get(new).is_some() {
        return Err(taken(new));
    }
    wanted.make_missing(session, &mut found).await?;
    found.get(new).cloned().ok_or_else(|| taken(new))
}

pub(crate) async fn create_or_get(
    session: &mut dyn Session,
    news: &[NewMetric],
) -> Result<Vec<Metric>, Failure> {
    let wanted = Wanted::resolve(session, news).await?;
    let mut found = wanted.find(session).await?;
    wanted.make_missing(session, &mut found).await?;
    news.iter().map(|new| found.get(new).cloned().ok_or_else(|| taken(new))).collect()
}
