//! How the rows of a page are found: by the keys of those that match, or by a walk through the order of the page.
//!
//! Neither database knows how many rows have a value of an attribute, so we look: the keys that a condition with an
//! index leads to are loaded, if they are few, and then looked up and sorted. Where all conditions lead to many, samples
//! tell how many: a walk in the order of the page soon has its rows, and keys that are worth the loading spare it from
//! looking at each row, or are few where all conditions hold.

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
/// Keys of conditions that seem to have more than this are not loaded.
const MANY: usize = if cfg!(test) { 10 } else { 128 * 1024 };

// What things cost, in nanoseconds, measured with a million resources that are not in memory of the process.
/// Loading a key, or telling it to the database again,
const LOAD_NS: f64 = 150.0;
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

/// A condition that all rows must fulfil.
struct Condition<'a> {
    filter: Cow<'a, Filter>,
    /// Whether an index leads to its keys.
    is_indexed: bool,
    /// The keys that it leads to, ascending, where they are loaded.
    keys: Option<Vec<i64>>,
    /// What share of all resources fulfils it, about.
    share: f64,
}

impl Condition<'_> {
    /// Whether it leads to few keys, which are loaded.
    fn has_few(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.len() <= FEW)
    }

    /// Whether its keys may be loaded if the index has `size` resources.
    fn is_loadable(&self, size: f64) -> bool {
        self.keys.is_some() || (self.is_indexed && self.share * size < MANY as f64)
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
    let mut filters = Vec::new();
    conjuncts(&listing.filter, &mut filters);
    let mut conditions = Vec::new();
    let mut is_searchable = false;
    for filter in filters {
        let is_indexed = scope.is_indexed(filter);
        is_searchable |= is_indexed || scope.is_scanned(filter);
        let keys = if is_indexed { load(session, listing, filter, FEW).await? } else { None };
        conditions.push(Condition { filter: Cow::Borrowed(filter), is_indexed, keys, share: UNKNOWN_SHARE });
    }
    let size = if is_searchable { size(session).await? } else { 0.0 };
    let costs = Costs { size, limit: limit as f64 };
    if is_searchable && !conditions.iter().any(Condition::has_few) {
        load_worthwhile(session, listing, &mut conditions, &costs).await?;
    }
    let (loaded, tests): (Vec<Condition<'_>>, Vec<Condition<'_>>) =
        conditions.into_iter().partition(|condition| condition.keys.is_some());
    let share = tests.iter().map(|test| test.share).product();
    let tests: Vec<Filter> = tests.into_iter().map(|test| test.filter.into_owned()).collect();
    let Some(keys) = common_keys(loaded) else {
        return Ok(Plan { way: Way::Walk, keys: None, tests: all(tests) });
    };
    let (gather, walk) = costs.ends(keys.len() as f64, share, tests.len());
    let way = if gather <= walk { Way::Gather } else { Way::Walk };
    Ok(Plan { way, keys: Some(keys), tests: all(tests) })
}

/// Loads the keys of those conditions, none of which leads to few, that are worth it.
async fn load_worthwhile(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    conditions: &mut [Condition<'_>],
    costs: &Costs,
) -> Result<(), Failure> {
    let filters: Vec<&Filter> = conditions.iter().map(|condition| condition.filter.as_ref()).collect();
    let shares = patterns::shares(session, listing, &filters, costs.size).await?;
    for (condition, share) in conditions.iter_mut().zip(shares) {
        condition.share = share;
    }
    for condition in conditions.iter_mut().filter(|condition| !condition.is_indexed) {
        search_values(session, listing, condition, costs).await?;
        if condition.has_few() {
            return Ok(());
        }
    }
    let loadable = |condition: &Condition<'_>| condition.is_loadable(costs.size);
    conditions.sort_by(|one, other| {
        let last = |condition: &Condition<'_>| !loadable(condition);
        (last(one), one.keys.is_none())
            .cmp(&(last(other), other.keys.is_none()))
            .then(one.share.total_cmp(&other.share))
    });
    let best = costs.best(conditions);
    for condition in conditions[..best].iter_mut().filter(|condition| condition.keys.is_none()) {
        condition.keys = load(session, listing, &condition.filter, 2 * MANY).await?;
    }
    Ok(())
}

/// Finds what matches a pattern among the values of its attribute, if that is worth while.
async fn search_values(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    condition: &mut Condition<'_>,
    costs: &Costs,
) -> Result<(), Failure> {
    let filter = condition.filter.as_ref();
    let scope = listing.scope(Branch::Current, Look::Search);
    if !scope.is_scanned(filter) {
        return Ok(());
    }
    if let Some(values) = patterns::values(session, listing, filter, condition.share, costs.size).await? {
        condition.keys = match &values {
            Filter::In(_, values) if values.is_empty() => Some(Vec::new()),
            values => load(session, listing, values, FEW).await?,
        };
        condition.filter = Cow::Owned(values);
        condition.is_indexed = true;
    } else if costs.is_search_cheaper(condition.share, scope.is_grouped(session.dialect(), filter)) {
        condition.keys = load(session, listing, filter, MANY).await?;
    }
    Ok(())
}

/// The keys that all conditions have, if there are conditions.
fn common_keys(mut conditions: Vec<Condition<'_>>) -> Option<Vec<i64>> {
    let mut lists: Vec<Vec<i64>> = conditions.iter_mut().filter_map(|one| one.keys.take()).collect();
    lists.sort_by_key(Vec::len);
    lists.into_iter().reduce(|mut common, keys| {
        common.retain(|key| keys.binary_search(key).is_ok());
        common
    })
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
    /// Of the index.
    size: f64,
    /// Rows wanted.
    limit: f64,
}

impl Costs {
    /// How many rows a walk passes if this share of them is wanted.
    fn steps(&self, share: f64) -> f64 {
        (self.limit / share.max(f64::MIN_POSITIVE)).min(self.size)
    }

    /// What it costs to end with `keys` keys, if `tests` further conditions have this share of the rows: gathering, and
    /// walking.
    fn ends(&self, keys: f64, share: f64, tests: usize) -> (f64, f64) {
        let tests = tests as f64 * TEST_NS;
        let passing = (keys / self.size).min(1.0);
        let walk = keys * LOAD_NS + self.steps(passing * share) * (STEP_NS + passing * tests);
        (keys * (ROW_NS + tests), walk)
    }

    /// How many of the conditions it is best to have the keys of. First come those of which they are loaded, then those
    /// that can be, by their shares.
    fn best(&self, conditions: &[Condition<'_>]) -> usize {
        let fewest = conditions.iter().take_while(|condition| condition.keys.is_some()).count();
        let most = conditions.iter().take_while(|condition| condition.is_loadable(self.size)).count();
        let cost = |loaded: usize| {
            let (loaded, rest) = conditions.split_at(loaded);
            let product =
                |conditions: &[Condition<'_>]| conditions.iter().map(|one| one.share).product::<f64>();
            if loaded.is_empty() {
                return self.steps(product(rest)) * (STEP_NS + rest.len() as f64 * TEST_NS);
            }
            let loads = loaded.iter().filter(|condition| condition.keys.is_none()).map(|one| one.share);
            let (gather, walk) = self.ends(self.size * product(loaded), product(rest), rest.len());
            loads.sum::<f64>() * self.size * LOAD_NS + gather.min(walk)
        };
        (fewest..=most).min_by(|one, other| cost(*one).total_cmp(&cost(*other))).unwrap_or(fewest)
    }

    /// Whether a search for what matches, by this share, costs less than a walk that meets it: by groups of characters, or
    /// a look at all values of an attribute.
    fn is_search_cheaper(&self, share: f64, is_grouped: bool) -> bool {
        let search = self.size * if is_grouped { share * ROW_NS } else { SCAN_NS };
        search < self.steps(share) * (STEP_NS + TEST_NS)
    }
}

/// The parameter for keys.
pub(super) fn keys_value(keys: &[i64]) -> Value {
    Value::Ints(keys.to_vec())
}
