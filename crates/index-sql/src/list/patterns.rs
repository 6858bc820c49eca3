//! How common what conditions ask for is, as far as samples tell; and patterns, which no order of values leads to: which
//! values they match where an attribute has few different ones.

use nephometer_model::{Filter, FilterValue};

use super::Listing;
use super::plan::keys_value;
use crate::Failure;
use crate::columns::Branch;
use crate::filter::Look;
use crate::session::{Session, Statement};
use crate::value::Row;

/// Resources that are asked in order to learn something about all.
const SAMPLES: u16 = if cfg!(test) { 10 } else { 400 };
/// So many different values of an attribute, as samples tell, are few;
const FEW_VALUES: f64 = if cfg!(test) { 10.0 } else { 3000.0 };
/// more than these are not looked at.
const MANY_VALUES: i64 = if cfg!(test) { 20 } else { 5000 };
/// A condition that so many rows fulfil is left to a walk.
const COMMON: f64 = if cfg!(test) { 0.7 } else { 0.1 };
/// Keys all over an index of this size, in step with nothing that numbers resources: the generator SplitMix64.
fn samples(size: f64) -> Vec<i64> {
    let sample = |number: u16| {
        let mut bits = u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        #[expect(clippy::cast_possible_truncation, reason = "keys are whole")]
        let key = (bits as f64 / 2_f64.powi(64) * size) as i64 + 1;
        key
    };
    (0..SAMPLES).map(sample).collect()
}

/// What share of the resources fulfils each condition, about: between 0 and 1, and neither of them.
pub(super) async fn shares(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    conditions: &[&Filter],
    size: f64,
) -> Result<Vec<f64>, Failure> {
    let mut statement = Statement::new(session.dialect());
    let scope = listing.scope(Branch::Current, Look::Row("r.pk"));
    let mut counts = Vec::with_capacity(conditions.len());
    for condition in conditions {
        let condition = scope.condition(&mut statement, condition)?;
        counts.push(format!("count(CASE WHEN {condition} THEN 1 END)"));
    }
    let samples = statement.param(keys_value(&samples(size)));
    let sampled = statement.dialect.any_of("r.pk", &samples, false);
    statement.push(&format!("SELECT {} FROM resource r WHERE {sampled}", counts.join(", ")));
    let rows = session.query_once(&statement.text, &statement.params).await?;
    let mut row = rows.into_iter().next().unwrap_or_else(|| Row::new(Vec::new()));
    let share = |found: i64| (found as f64 + 0.5) / (f64::from(SAMPLES) + 1.0);
    conditions.iter().map(|_| row.int().map(share)).collect()
}

/// A condition that means the same as one that is a pattern of an attribute of few different values, and that an index
/// leads to: these values. `share` is what [`shares`] has told of the condition.
pub(super) async fn values(
    session: &mut dyn Session,
    listing: &Listing<'_>,
    condition: &Filter,
    share: f64,
    size: f64,
) -> Result<Option<Filter>, Failure> {
    let scope = listing.scope(Branch::Current, Look::Search);
    let (Filter::Compare(_, name, _), Some(attribute)) = (condition, scope.pattern_of(condition)) else {
        return Ok(None);
    };
    if share > COMMON || !has_few_values(session, attribute, size).await? {
        return Ok(None);
    }
    let mut statement = Statement::new(session.dialect());
    let search = scope.value_search(&mut statement, condition, attribute, MANY_VALUES)?;
    let mut values = Vec::new();
    let mut is_complete = false;
    for mut row in session.query_once(&search, &statement.params).await? {
        match row.opt_text()? {
            Some(text) => values.push(FilterValue::Text(text)),
            None => is_complete = true,
        }
    }
    Ok(is_complete.then(|| Filter::In(name.clone(), values)))
}

/// Whether there are few different values of an attribute: values that samples have twice tell how many they have missed
/// (Chao's estimate).
async fn has_few_values(session: &mut dyn Session, attribute: i64, size: f64) -> Result<bool, Failure> {
    let mut statement = Statement::new(session.dialect());
    let samples = statement.param(keys_value(&samples(size)));
    let sampled = statement.dialect.any_of("a.resource_pk", &samples, false);
    statement.push(&format!(
        "SELECT count(*), count(CASE WHEN v.times = 1 THEN 1 END), count(CASE WHEN v.times = 2 THEN 1 END) \
         FROM (SELECT count(*) AS times FROM resource_attribute a WHERE {sampled} AND a.attribute_pk = {attribute} \
         AND a.text IS NOT NULL GROUP BY a.text) v"
    ));
    let rows = session.query_once(&statement.text, &statement.params).await?;
    let Some(mut row) = rows.into_iter().next() else { return Ok(false) };
    let (seen, once, twice) = (row.int()? as f64, row.int()? as f64, row.int()? as f64);
    let missed = if once > 0.0 { once * once / (2.0 * twice) } else { 0.0 };
    Ok(seen + missed <= FEW_VALUES)
}
