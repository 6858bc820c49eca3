//! Pages: how many rows, after which one, in what order.

use nephometer_drivers::{Direction, NullOrder, Page, Sort};

use super::{Listed, QueryError};

/// The page that the parameters `sort` (each), `limit` and `marker` of a request ask for.
///
/// # Errors
/// What of them cannot be.
pub fn parse_page(
    listed: Listed,
    sorts: &[&str],
    limit: Option<&str>,
    marker: Option<&str>,
) -> Result<Page, QueryError> {
    let sorts = sorts.iter().map(|text| sort(listed, text)).collect::<Result<Vec<_>, _>>()?;
    let marker = marker.filter(|marker| !marker.is_empty()).map(str::to_owned);
    let limit = match limit.map(count).transpose()? {
        // By itself zero stands for no limit.
        Some(0) if sorts.is_empty() && marker.is_none() => None,
        limit => limit,
    };
    Ok(Page { limit, marker, sorts })
}

fn count(text: &str) -> Result<u64, QueryError> {
    let number: i64 = text.trim().parse().map_err(|_| {
        let error = format!("invalid literal for int() with base 10: '{text}'");
        QueryError::invalid("limit", text, &format!("unable to convert to int. Error: {error}"))
    })?;
    u64::try_from(number).map_err(|_| QueryError::invalid("limit", text, "it should be a positive integer."))
}

fn sort(listed: Listed, text: &str) -> Result<Sort, QueryError> {
    let (key, direction) = text.split_once(':').unwrap_or((text, "asc"));
    let keys = listed.sort_keys();
    if !keys.contains(&key) {
        let keys: Vec<_> = keys.iter().map(|key| format!("'{key}'")).collect();
        let reason = format!(
            "the sort parameter should be a pair of sort key and sort dir combined with ':', or only sort key \
             specified and sort dir will be default 'asc', the supported sort keys are: ({})",
            keys.join(", ")
        );
        return Err(QueryError::invalid("sort", text, &reason));
    }
    let (direction, nulls) = match direction {
        "asc" => (Direction::Ascending, None),
        "desc" => (Direction::Descending, None),
        "asc-nullsfirst" => (Direction::Ascending, Some(NullOrder::First)),
        "asc-nullslast" => (Direction::Ascending, Some(NullOrder::Last)),
        "desc-nullsfirst" => (Direction::Descending, Some(NullOrder::First)),
        "desc-nullslast" => (Direction::Descending, Some(NullOrder::Last)),
        _ => {
            let reason = "Unknown sort direction, must be one of: asc-nullsfirst, asc-nullslast, desc-nullsfirst, \
                          desc-nullslast, asc, desc";
            return Err(QueryError::invalid("sort", text, reason));
        }
    };
    Ok(Sort { key: key.to_owned(), direction, nulls })
}
