//! How the rows of a page are found: by the keys of those that match, or by a walk through the order of the page.
//!
//! Neither database knows how many rows have a value of an attribute, so we look: the keys that a condition with an
//! index leads to are counted as far as it matters. Few keys are looked up and sorted. Where all conditions lead to
//! many, a walk in the order of the page soon has its rows, and keys that are worth the loading spare it from looking
//! at each row, or are few where all conditions hold.

use nephometer_model::Filter;

use super::Listing;
use crate::Failure;
use crate::columns::Branch;
use crate::filter::Look;
use crate::session::{Session, Statement, query_one};
use crate::value::Value;

/// Up to so many keys are loaded without a thought.
const FEW: usize = if cfg!(test) { 2 } else { 4000 };
/// Resources that are asked in order to learn whether a condition without an index is a common one,
const SAMPLES: i64 = if cfg!(test) { 10 } else { 1000 };
/// which it is where so many of them fulfil it.
const COMMON: i64 = if cfg!(test) { 2 } else { 3 };
/// Keys are counted up to here; more of them are never loaded.
const MANY: i64 = if cfg!(test) { 10 } else { 128 * 1024 };

// What things cost, in nanoseconds, measured with a million resources that are not in memory of the process.
/// Counting a key and loading it,
const LOAD_NS: f64 = 150.0;
/// finding a row by its key,
const ROW_NS: f64 = 3000.0;
/// going to the next row of an index,
const STEP_NS: f64 = 250.0;
/// and asking another table about a row.
const TEST_NS: f64 = 1500.0;
/// Multiples of it, without their whole parts, lie evenly between 0 and 1 and in step with nothing.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// What share of rows we think fulfils a condition about which nothing is known.
const UNKNOWN_SHARE: f64 = 0.5;

/// Where to look for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As the database thinks best: for lists that are no pages.
    Free,
    /// At the rows of the keys; they are sorted.
    Gather,
    /// At rows in the order of the list until the page is full.
    Walk,
}

/// How to find the rows of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) way: Way,
    /// Ascending; if there, all rows that match are among these.
    pub(super) keys: Option<Vec<i64>>,
    /// What must hold besides.
    pub(super) tests: Filter,
}

/// A condition with an index.
struct Candidate<'a> {
    condition: &'a Filter,
    /// How many keys it leads to, up to [`MANY`].
    count: i64,
    keys: Option<Vec<i64>>,
}

/// The conditions that all rows must fulfil.
fn conjuncts<'a>(filter: &'a Filter, found: &mut Vec<&'a Filter>) {
    match filter {
        Filter::All => {}
        Filter::And(parts) => parts.iter().for_each(|part| conjuncts(part, found)),
        other => found.push(other),
    }
}

/// The keys that a condition leads to, sorted, each once; nothing where there are more than `most`.
async fn load(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    condition: &Filter,
    most: usize,
) -> Result<Option<Vec<i64>>, Failure> {
    let mut statement = Statement::new(session.dialect());
    let search = listing.scope(Branch::Current, Look::Search).key_search(&mut statement, condition)?;
    // One more tells that there are more; some may have come twice.
    let limit = statement.param(i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX));
    statement.push(&format!("{search} LIMIT {limit}"));
    let rows = session.query_once(&statement.text, &statement.params).await?;
    if rows.len() > most {
        return Ok(None);
    }
    let mut keys = rows.into_iter().map(|mut row| row.int()).collect::<Result<Vec<_>, _>>()?;
    keys.sort_unstable();
    keys.dedup();
    Ok(Some(keys))
}

/// Whether a walk soon meets rows that fulfil a condition: resources all over the index are asked.
async fn is_common(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    condition: &Filter,
) -> Result<bool, Failure> {
    let mut statement = Statement::new(session.dialect());
    let look = Look::Row("r.pk");
    let condition = listing.scope(Branch::Current, look).condition(&mut statement, condition)?;
    let size = size(session).await?;
    #[expect(clippy::cast_possible_truncation, reason = "keys are whole")]
    let sample = |number: i64| ((number as f64 * GOLDEN).fract() * size) as i64 + 1;
    let samples = statement.param(keys_value(&(0..SAMPLES).map(sample).collect::<Vec<_>>()));
    let sampled = statement.dialect.any_of("r.pk", &samples, false);
    statement.push(&format!("SELECT count(*) FROM resource r WHERE {sampled} AND {condition}"));
    let rows = session.query_once(&statement.text, &statement.params).await?;
    Ok(rows.into_iter().next().map_or(Ok(0), |mut row| row.int())? >= COMMON)
}

async fn count(session: &mut dyn Session, listing: &Listing<'_>, condition: &Filter) -> Result<i64, Failure> {
    let mut statement = Statement::new(session.dialect());
    let search = listing.scope(Branch::Current, Look::Search).key_search(&mut statement, condition)?;
    let limit = statement.param(MANY);
    statement.push(&format!("SELECT count(*) FROM ({search} LIMIT {limit}) k"));
    let rows = session.query_once(&statement.text, &statement.params).await?;
    rows.into_iter().next().map_or(Ok(0), |mut row| row.int())
}

/// The plan for `listing`.
pub(super) async fn find(session: &mut dyn Session, listing: &Listing<'_>) -> Result<Plan, Failure> {
    let scope = listing.scope(Branch::Current, Look::Search);
    // What is wrong with the filter must come out however rows are found.
    scope.condition(&mut Statement::new(session.dialect()), &listing.filter)?;
    let Some(limit) = listing.query.page.limit.filter(|_| !listing.query.history) else {
        return Ok(Plan { way: Way::Free, keys: None, tests: listing.filter.clone() });
    };
    let mut conditions = Vec::new();
    conjuncts(&listing.filter, &mut conditions);
    let (indexed, mut tests): (Vec<&Filter>, Vec<&Filter>) =
        conditions.into_iter().partition(|condition| scope.is_indexed(condition));
    let mut candidates = Vec::new();
    for condition in indexed {
        candidates.push(Candidate {
            condition,
            count: 0,
            keys: load(session, listing, condition, FEW).await?,
        });
    }
    if candidates.iter().all(|candidate| candidate.keys.is_none())
        && let Some(place) = tests.iter().position(|test| scope.is_scanned(test))
        && !is_common(session, listing, tests[place]).await?
        && let Some(keys) = load(session, listing, tests[place], 2 * FEW).await?
    {
        candidates.push(Candidate { condition: tests.remove(place), count: 0, keys: Some(keys) });
    }
    let size = if candidates.is_empty() { 0.0 } else { size(session).await? };
    let costs = Costs { size, limit: limit as f64, unknown: tests.len() };
    if candidates.iter().all(|candidate| candidate.keys.is_none()) {
        load_worthwhile(session, listing, &mut candidates, &costs).await?;
    }
    let loaded = candidates.iter().any(|candidate| candidate.keys.is_some());
    let keys = gathered(candidates, &mut tests);
    if !loaded {
        return Ok(Plan { way: Way::Walk, keys: None, tests: all(&tests) });
    }
    let (gather, walk) = costs.ends(keys.len() as f64, 1.0, 0);
    let way = if gather <= walk { Way::Gather } else { Way::Walk };
    Ok(Plan { way, keys: Some(keys), tests: all(&tests) })
}

/// Loads the keys of those candidates, all of many keys, that are worth it.
async fn load_worthwhile(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    candidates: &mut [Candidate<'_>],
    costs: &Costs,
) -> Result<(), Failure> {
    for candidate in candidates.iter_mut() {
        candidate.count = count(session, listing, candidate.condition).await?;
    }
    candidates.sort_by_key(|candidate| candidate.count);
    let counts: Vec<i64> = candidates.iter().map(|candidate| candidate.count).collect();
    for candidate in &mut candidates[..costs.best(&counts)] {
        candidate.keys = load(session, listing, candidate.condition, usize::MAX).await?;
    }
    Ok(())
}

/// The keys that all loaded candidates have; conditions that were not loaded become tests.
fn gathered<'a>(candidates: Vec<Candidate<'a>>, tests: &mut Vec<&'a Filter>) -> Vec<i64> {
    let mut common: Option<Vec<i64>> = None;
    for Candidate { condition, keys, .. } in candidates {
        match (keys, &mut common) {
            (None, _) => tests.push(condition),
            (Some(keys), None) => common = Some(keys),
            (Some(keys), Some(common)) => common.retain(|key| keys.binary_search(key).is_ok()),
        }
    }
    common.unwrap_or_default()
}

fn all(tests: &[&Filter]) -> Filter {
    match tests {
        [] => Filter::All,
        [test] => (*test).clone(),
        tests => Filter::And(tests.iter().map(|test| (*test).clone()).collect()),
    }
}

/// How many resources there are, about: none more than this.
async fn size(session: &mut dyn Session) -> Result<f64, Failure> {
    let sql = "SELECT coalesce(max(pk), 0) FROM resource";
    Ok(query_one(session, sql, &[]).await?.int()? as f64)
}

/// What is known when a choice is made.
struct Costs {
    size: f64,
    limit: f64,
    /// Conditions without an index.
    unknown: usize,
}

impl Costs {
    /// What it costs to end with `keys` keys, if `tests` further conditions have this share of the rows: gathering, and
    /// walking.
    fn ends(&self, keys: f64, share: f64, tests: usize) -> (f64, f64) {
        let tests = (tests + self.unknown) as f64 * TEST_NS;
        let gather = keys * (ROW_NS + tests);
        let unknown = UNKNOWN_SHARE.powi(i32::try_from(self.unknown).unwrap_or(i32::MAX));
        let matching = (keys / self.size).min(1.0) * share * unknown;
        let steps = (self.limit / matching.max(f64::MIN_POSITIVE)).min(self.size);
        let walk = keys * LOAD_NS + steps * (STEP_NS + (keys / self.size).min(1.0) * tests);
        (gather, walk)
    }

    /// How many of the candidates, by their ascending counts, are worth loading.
    fn best(&self, counts: &[i64]) -> usize {
        let loadable = counts.iter().take_while(|count| **count < MANY).count();
        let share = |count: &i64| {
            if *count < MANY { *count as f64 / self.size } else { UNKNOWN_SHARE }
        };
        let cost = |loaded: usize| {
            let (loaded, rest) = counts.split_at(loaded);
            let left: f64 = rest.iter().map(share).product();
            if loaded.is_empty() {
                let (_, walk) = self.ends(self.size, left, rest.len());
                // Nothing is loaded.
                return walk - self.size * LOAD_NS;
            }
            let keys = self.size * loaded.iter().map(share).product::<f64>();
            let (gather, walk) = self.ends(keys, left, rest.len());
            loaded.iter().map(|count| *count as f64 * LOAD_NS).sum::<f64>() + gather.min(walk)
        };
        (0..=loadable).min_by(|one, other| cost(*one).total_cmp(&cost(*other))).unwrap_or_default()
    }
}

/// The parameter for keys.
pub(super) fn keys_value(keys: &[i64]) -> Value {
    Value::Ints(keys.to_vec())
}
