//! How the rows of a page are found: by the keys of those that match, or by a walk through the order of the page.
//!
//! Neither database knows how many rows have a value of an attribute, so we look: the keys that a condition with an
//! index leads to are loaded as far as it matters. Few keys are looked up and sorted. Where all conditions lead to
//! many, a walk in the order of the page soon has its rows, and keys that are at hand spare it from looking at each
//! row, or are few where all conditions hold.

use std::borrow::Cow;

use nephometer_model::Filter;

use super::Listing;
use super::patterns;
use crate::Failure;
use crate::columns::Branch;
use crate::filter::Look;
use crate::session::{Session, Statement, query_one};
use crate::value::Value;

/// Up to so many keys are loaded without a thought.
const FEW: usize = if cfg!(test) { 2 } else { 4000 };
/// More keys than this are never loaded.
const MANY: usize = if cfg!(test) { 10 } else { 128 * 1024 };

// What things cost, in nanoseconds, measured with a million resources that are not in memory of the process.
/// Loading a key and telling it to the database again,
const LOAD_NS: f64 = 190.0;
/// finding a row by its key,
const ROW_NS: f64 = 3000.0;
/// going to the next row of an index,
const STEP_NS: f64 = 250.0;
/// asking another table about a row,
const TEST_NS: f64 = 1500.0;
/// and looking at the next value of an attribute.
const SCAN_NS: f64 = 100.0;
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
    condition: Cow<'a, Filter>,
    keys: Option<Vec<i64>>,
}

impl Candidate<'_> {
    /// Whether it leads to few keys, which are loaded.
    fn has_few(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.len() <= FEW)
    }
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
    let mut keys = session.keys(&statement.text, &statement.params).await?;
    if keys.len() > most {
        return Ok(None);
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(Some(keys))
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
        let keys = load(session, listing, condition, FEW).await?;
        candidates.push(Candidate { condition: Cow::Borrowed(condition), keys });
    }
    let may_load = !candidates.is_empty() || tests.iter().any(|test| scope.is_scanned(test));
    let size = if may_load { size(session).await? } else { 0.0 };
    let limit = limit as f64;
    if !candidates.iter().any(Candidate::has_few) && may_load {
        let scan = Costs { size, limit, unknown: 0 };
        find_by_pattern(session, listing, &mut candidates, &mut tests, &scan).await?;
    }
    let costs = Costs { size, limit, unknown: tests.len() };
    if !candidates.iter().any(Candidate::has_few) {
        let most = costs.worth_loading(candidates.len());
        for candidate in candidates.iter_mut().filter(|candidate| candidate.keys.is_none()) {
            candidate.keys = load(session, listing, &candidate.condition, most).await?;
        }
    }
    let mut tests: Vec<Filter> = tests.into_iter().cloned().collect();
    let Some(keys) = gathered(candidates, &mut tests) else {
        return Ok(Plan { way: Way::Walk, keys: None, tests: all(tests) });
    };
    let (gather, walk) = costs.ends(keys.len() as f64, tests.len());
    let way = if gather <= walk { Way::Gather } else { Way::Walk };
    Ok(Plan { way, keys: Some(keys), tests: all(tests) })
}

/// Turns the first of the conditions without an index, for which a look at values is worth while, into a candidate.
async fn find_by_pattern<'a>(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    candidates: &mut Vec<Candidate<'a>>,
    tests: &mut Vec<&'a Filter>,
    costs: &Costs,
) -> Result<(), Failure> {
    let scope = listing.scope(Branch::Current, Look::Search);
    let mut place = 0;
    while let Some(&condition) = tests.get(place) {
        place += 1;
        if !scope.is_scanned(condition) {
            continue;
        }
        let share = patterns::share(session, listing, condition, costs.size).await?;
        if let Some(values) = patterns::values(session, listing, condition, share, costs.size).await? {
            tests.remove(place - 1);
            let keys = match &values {
                Filter::In(_, values) if values.is_empty() => Some(Vec::new()),
                values => load(session, listing, values, FEW).await?,
            };
            candidates.push(Candidate { condition: Cow::Owned(values), keys });
            return Ok(());
        }
        if costs.is_scan_cheaper(share)
            && let Some(keys) = load(session, listing, condition, MANY).await?
        {
            tests.remove(place - 1);
            candidates.push(Candidate { condition: Cow::Borrowed(condition), keys: Some(keys) });
            return Ok(());
        }
    }
    Ok(())
}

/// The keys that all loaded candidates have, if there are any such; conditions that were not loaded become tests.
fn gathered(mut candidates: Vec<Candidate<'_>>, tests: &mut Vec<Filter>) -> Option<Vec<i64>> {
    let mut common: Option<Vec<i64>> = None;
    candidates.sort_by_key(|candidate| candidate.keys.as_ref().map(Vec::len));
    for Candidate { condition, keys } in candidates {
        match (keys, &mut common) {
            (None, _) => tests.push(condition.into_owned()),
            (Some(keys), None) => common = Some(keys),
            (Some(keys), Some(common)) => common.retain(|key| keys.binary_search(key).is_ok()),
        }
    }
    common
}

fn all(mut tests: Vec<Filter>) -> Filter {
    match tests.len() {
        0 => Filter::All,
        1 => tests.remove(0),
        _ => Filter::And(tests),
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
    /// What it costs to end with `keys` keys and `tests` tests: gathering, and walking.
    fn ends(&self, keys: f64, tests: usize) -> (f64, f64) {
        let share = (keys / self.size).min(1.0);
        let matching = share * UNKNOWN_SHARE.powi(i32::try_from(self.unknown).unwrap_or(i32::MAX));
        let steps = (self.limit / matching.max(f64::MIN_POSITIVE)).min(self.size);
        let tests = tests as f64 * TEST_NS;
        (keys * (ROW_NS + tests), keys * LOAD_NS + steps * (STEP_NS + share * tests))
    }

    /// How many keys are worth loading, where there are more than few for each of the candidates. For a single
    /// condition that is less than what a walk costs that tests each row, which is soon done where many match.
    fn worth_loading(&self, candidates: usize) -> usize {
        if candidates > 1 || self.unknown > 0 {
            return MANY;
        }
        let most = (self.limit * self.size * (STEP_NS + TEST_NS) / LOAD_NS).sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "no negative number; saturates"
        )]
        let most = most as usize;
        most.min(MANY)
    }

    /// Whether looking at all values of an attribute costs less than a walk that meets rows that match by this share.
    fn is_scan_cheaper(&self, share: f64) -> bool {
        let steps = (self.limit / share.max(f64::MIN_POSITIVE)).min(self.size);
        self.size * SCAN_NS < steps * (STEP_NS + TEST_NS)
    }
}

/// The parameter for keys.
pub(super) fn keys_value(keys: &[i64]) -> Value {
    Value::Ints(keys.to_vec())
}
