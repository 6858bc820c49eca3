//! Sort keys and pages: ORDER BY, and the condition that a row comes after the marker.

use nephometer_drivers::{Direction, IndexError, NullOrder, Sort};

use crate::Failure;
use crate::session::Statement;
use crate::value::{Row, Value};

/// One key; its value is the column `s<number>` of the rows that are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) nullable: bool,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

impl SortKey {
    /// The key that `sort` asks for; without an explicit order nulls are the largest values.
    pub(crate) fn new(sort: &Sort, nullable: bool) -> Self {
        let descending = sort.direction == Direction::Descending;
        let nulls_first = sort.nulls.map_or(descending, |order| order == NullOrder::First);
        Self { nullable, descending, nulls_first }
    }
}

/// An ascending key.
pub(crate) fn ascending(key: &str) -> Sort {
    Sort { key: key.to_owned(), direction: Direction::Ascending, nulls: None }
}

/// The keys asked for, or the default ones, and then those that make the order total.
pub(crate) fn completed(sorts: &[Sort], defaults: &[&str], ties: &[&str]) -> Vec<Sort> {
    let mut all: Vec<Sort> =
        if sorts.is_empty() { defaults.iter().map(|key| ascending(key)).collect() } else { sorts.to_vec() };
    for tie in ties {
        if !all.iter().any(|sort| sort.key == *tie) {
            all.push(ascending(tie));
        }
    }
    all
}

/// The error that a list cannot be sorted by `key`.
pub(crate) fn invalid_key(key: &str) -> IndexError {
    IndexError::Pagination(format!("Sort key supplied is invalid: {key}"))
}

/// The error that no row has this marker.
pub(crate) fn invalid_marker(marker: &str) -> IndexError {
    IndexError::Pagination(format!("Invalid marker: `{marker}'"))
}

/// ` ORDER BY …` over the columns `s0`, `s1`, ….
pub(crate) fn order_by(keys: &[SortKey]) -> String {
    let key = |(number, key): (usize, &SortKey)| {
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = match (key.nullable, key.nulls_first) {
            (false, _) => "",
            (true, true) => " NULLS FIRST",
            (true, false) => " NULLS LAST",
        };
        format!("u.s{number} {direction}{nulls}")
    };
    let keys: Vec<_> = keys.iter().enumerate().map(key).collect();
    format!(" ORDER BY {}", keys.join(", "))
}

/// The values of the keys in a row that begins with them.
pub(crate) fn marker_values(row: &mut Row, keys: &[SortKey]) -> Result<Vec<Value>, Failure> {
    keys.iter().map(|_| row.value()).collect()
}

/// The condition that a row comes after the one whose keys have the values `marker`.
pub(crate) fn after(statement: &mut Statement, keys: &[SortKey], marker: Vec<Value>) -> String {
    if let [first, ..] = keys
        && keys.iter().all(|key| !key.nullable && key.descending == first.descending)
    {
        // One comparison of rows: an index leads to just this place.
        let columns: Vec<_> = (0..keys.len()).map(|number| format!("u.s{number}")).collect();
        let values: Vec<_> = marker.into_iter().map(|value| statement.param(value)).collect();
        let operator = if first.descending { "<" } else { ">" };
        return format!("({}) {operator} ({})", columns.join(", "), values.join(", "));
    }
    let params: Vec<Option<String>> = marker
        .into_iter()
        .map(|value| if value == Value::Null { None } else { Some(statement.param(value)) })
        .collect();
    let mut alternatives = Vec::new();
    let mut same = String::new();
    for (number, (key, param)) in keys.iter().zip(&params).enumerate() {
        let column = format!("u.s{number}");
        alternatives.push(format!("({same}{})", later(&column, key, param.as_deref())));
        match param {
            Some(param) => same.push_str(&format!("{column} = {param} AND ")),
            None => same.push_str(&format!("{column} IS NULL AND ")),
        }
    }
    let any = format!("({})", alternatives.join(" OR "));
    match (keys.first(), params.first()) {
        // What the alternatives imply, in a form that an index can be entered with.
        (Some(key), Some(Some(param))) if !key.nullable => {
            format!("(u.s0 {}= {param} AND {any})", if key.descending { "<" } else { ">" })
        }
        _ => any,
    }
}

fn later(column: &str, key: &SortKey, param: Option<&str>) -> String {
    let Some(param) = param else {
        return if key.nulls_first { format!("{column} IS NOT NULL") } else { "1 = 0".to_owned() };
    };
    let operator = if key.descending { "<" } else { ">" };
    if key.nullable && !key.nulls_first {
        format!("({column} {operator} {param} OR {column} IS NULL)")
    } else {
        format!("{column} {operator} {param}")
    }
}
