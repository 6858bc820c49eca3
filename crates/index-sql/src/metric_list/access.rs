//! Which metrics a caller may see: those that users of its project have made, and those of resources that it may see.
//!
//! The metrics of one creator are in the order of ids in an index, and few resources have few metrics: these are
//! searched apart and put together. Where a caller may see very many resources, a walk through all metrics in the order
//! of the page soon has enough.

use nephometer_drivers::{MetricAccess, MetricQuery};
use nephometer_model::Filter;

use crate::Failure;
use crate::columns::Branch;
use crate::filter::{Look, Scope, creator_of_project};
use crate::session::{Session, Statement, query_one};
use crate::types::{self, StoredType};
use crate::value::Value;

/// Up to so many creators are searched apart.
const CREATORS_APART: usize = if cfg!(test) { 1 } else { 50 };
/// Keys of more resources than this are not loaded.
const MANY_RESOURCES: i64 = 128 * 1024;

// What things cost, in nanoseconds: finding a resource's metrics,
const OWNER_NS: f64 = 1000.0;
/// looking at one of them,
const METRIC_NS: f64 = 150.0;
/// and going to the next metric in the order of a page, and asking whose it is.
const STEP_NS: f64 = 300.0;

/// What a caller may see.
pub(super) enum Visible {
    All,
    /// Metrics of these creators, and those of these resources; searched apart. A metric may be both.
    Apart {
        creators: Vec<i64>,
        resources: Vec<i64>,
    },
    /// The same, found by looking at each metric.
    Each {
        creators: Vec<i64>,
        resources: Owners,
    },
}

/// Whose metrics these are.
pub(super) enum Owners {
    Keys(Vec<i64>),
    /// Those that match; columns of this type.
    Matching {
        filter: Filter,
        stored: StoredType,
        now: nephometer_model::Timestamp,
    },
}

/// What `access` lets a caller see.
pub(super) async fn resolve(
    session: &mut dyn Session,
    query: &MetricQuery,
    access: &MetricAccess,
) -> Result<Visible, Failure> {
    let creators = match &access.created_by_project_id {
        None => Vec::new(),
        Some(project) => {
            let mut statement = Statement::new(session.dialect());
            let creator = creator_of_project(&mut statement, project);
            session.keys(&format!("SELECT x.pk FROM creator x WHERE {creator}"), &statement.params).await?
        }
    };
    let Some(filter) = &access.resource_filter else {
        return Ok(Visible::Apart { creators, resources: Vec::new() });
    };
    let stored = types::require(session, types::GENERIC, "").await?;
    let now = session.shared().clock.now();
    let scope = Scope { stored: &stored, branch: Branch::Current, history: false, now, look: Look::Search };
    let filter = scope.folded(filter);
    scope.condition(&mut Statement::new(session.dialect()), &filter)?;
    let is_narrow = query.ids.is_some() || query.resource_ids.is_some();
    if is_narrow || !scope.is_indexed(&filter) {
        return Ok(Visible::Each { creators, resources: Owners::Matching { filter, stored, now } });
    }
    let mut statement = Statement::new(session.dialect());
    let search = scope.key_search(&mut statement, &filter)?;
    let limit = statement.param(MANY_RESOURCES);
    let mut resources = session.keys(&format!("{search} LIMIT {limit}"), &statement.params).await?;
    let more = i64::try_from(resources.len()).unwrap_or(i64::MAX) == MANY_RESOURCES;
    resources.sort_unstable();
    resources.dedup();
    if query.page.limit.is_none() && !more {
        return Ok(Visible::Apart { creators, resources });
    }
    let is_walk = more || walk_is_cheaper(session, query, resources.len()).await?;
    Ok(match (is_walk, more) {
        (false, _) => Visible::Apart { creators, resources },
        (true, false) => Visible::Each { creators, resources: Owners::Keys(resources) },
        (true, true) => Visible::Each { creators, resources: Owners::Matching { filter, stored, now } },
    })
}

/// Whether a page is sooner found among all metrics than among those of so many resources.
async fn walk_is_cheaper(
    session: &mut dyn Session,
    query: &MetricQuery,
    resources: usize,
) -> Result<bool, Failure> {
    let Some(limit) = query.page.limit else { return Ok(false) };
    let sql =
        "SELECT (SELECT coalesce(max(key), 0) FROM metric), (SELECT coalesce(max(pk), 0) FROM resource)";
    let mut row = query_one(session, sql, &[]).await?;
    let (metrics, all) = (row.int()? as f64, (row.int()? as f64).max(1.0));
    let share = (resources as f64 / all).clamp(f64::MIN_POSITIVE, 1.0);
    let gather = share * (all * OWNER_NS + metrics * METRIC_NS);
    let walk = (limit as f64 / share).min(metrics) * STEP_NS;
    Ok(walk < gather)
}

/// A search for metrics.
pub(super) struct Search {
    /// What must hold, if anything.
    pub(super) condition: Option<String>,
    /// Whether all that match are found first, and then sorted.
    pub(super) is_gathered: bool,
}

impl Search {
    fn walked(condition: Option<String>) -> Self {
        Self { condition, is_gathered: false }
    }
}

impl Visible {
    /// Searches that together find each metric; some find the same ones.
    pub(super) fn searches(&self, statement: &mut Statement) -> Result<Vec<Search>, Failure> {
        let dialect = statement.dialect;
        Ok(match self {
            Self::All => vec![Search::walked(None)],
            Self::Each { creators, resources } => {
                let creators = statement.param(Value::Ints(creators.clone()));
                let creators = dialect.any_of(&dialect.unindexed("m.creator_pk"), &creators, false);
                let owners = resources.condition(statement)?;
                vec![Search::walked(Some(format!("({creators} OR {owners})")))]
            }
            Self::Apart { creators, resources } => {
                let mut searches = Vec::new();
                if creators.len() <= CREATORS_APART {
                    for creator in creators {
                        let creator = statement.param(*creator);
                        searches.push(Search::walked(Some(format!("m.creator_pk = {creator}"))));
                    }
                } else {
                    let creators = statement.param(Value::Ints(creators.clone()));
                    searches.push(Search::walked(Some(dialect.any_of("m.creator_pk", &creators, false))));
                }
                if !resources.is_empty() {
                    let resources = statement.param(Value::Ints(resources.clone()));
                    // Nothing is asked that the index of owners does not hold.
                    let condition = Some(dialect.any_of("m.resource_pk", &resources, false));
                    searches.push(Search { condition, is_gathered: true });
                }
                searches
            }
        })
    }
}

impl Owners {
    /// The condition that a metric is of one of them.
    fn condition(&self, statement: &mut Statement) -> Result<String, Failure> {
        let dialect = statement.dialect;
        Ok(match self {
            Self::Keys(keys) => {
                let keys = statement.param(Value::Ints(keys.clone()));
                dialect.any_of(&dialect.unindexed("m.resource_pk"), &keys, false)
            }
            Self::Matching { filter, stored, now } => {
                let look = Look::Row("r.pk");
                let scope = Scope { stored, branch: Branch::Current, history: false, now: *now, look };
                let condition = scope.condition(statement, filter)?;
                let fence = scope.fence(dialect);
                format!("EXISTS (SELECT 1 FROM resource r WHERE r.pk = m.resource_pk AND {condition}{fence})")
            }
        })
    }
}
