//! Pages: `limit`, `marker`, `sort` of lists, and the `Link` header that leads to the next page.

use axum::response::Response;
use http::header::{self, HeaderValue};
use nephometer_drivers::{Direction, NullOrder, Page, Sort};
use serde_json::json;

use super::call::Call;
use super::error::ApiError;
use crate::http::query;

/// Parameters that the link takes from the page and not from the request.
const OWN: [&str; 3] = ["limit", "marker", "sort"];

/// What page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: Page,
    limit: usize,
    /// Sort keys as given, or the list's defaults.
    sorts: Vec<String>,
}

fn refused(reason: &str) -> ApiError {
    ApiError::bad_request(json!({"cause": "Argument value error", "reason": reason}))
}

impl Paging {
    /// Reads the parameters; `default_sorts` are upstream's for the list.
    pub(super) fn of(call: &Call, default_sorts: &[&str]) -> Result<Self, ApiError> {
        let max_limit = call.state.settings.max_limit;
        let limit = match call.query.single("limit") {
            Ok(None) => max_limit,
            Ok(Some(text)) => read_limit(text)?.min(max_limit),
            Err(_) => return Err(refused("expected int for dictionary value @ data['limit']")),
        };
        let Ok(marker) = call.query.single("marker") else {
            return Err(refused("expected str for dictionary value @ data['marker']"));
        };
        let given: Vec<_> =
            call.query.all("sort").filter(|sort| !sort.is_empty()).map(str::to_owned).collect();
        let sorts = match call.query.first("sort") {
            None => default_sorts.iter().map(|sort| (*sort).to_owned()).collect(),
            Some(_) => given,
        };
        let page = Page {
            limit: Some(limit),
            marker: marker.filter(|marker| !marker.is_empty()).map(str::to_owned),
            sorts: read_sorts(&sorts)?,
        };
        Ok(Self { page, limit: usize::try_from(limit).unwrap_or(usize::MAX), sorts })
    }

    /// Adds the link to the next page where the page is full. `marker` is that of its last row.
    pub(super) fn link(
        &self,
        call: &Call,
        response: &mut Response,
        rows: usize,
        marker: impl FnOnce() -> String,
    ) {
        if rows == 0 || rows < self.limit {
            return;
        }
        let (limit, marker) = (self.limit.to_string(), marker());
        let mut pairs: Vec<(&str, &str)> =
            call.query.pairs().filter(|(name, _)| !OWN.contains(name)).collect();
        pairs.push(("limit", &limit));
        pairs.push(("marker", &marker));
        pairs.extend(self.sorts.iter().map(|sort| ("sort", sort.as_str())));
        pairs.sort_by_key(|(name, _)| *name);
        let url = format!("{}?{}", call.base.url(&call.path), query::encode(pairs));
        if let Ok(link) = HeaderValue::from_str(&format!("<{url}>; rel=\"next\"")) {
            response.headers_mut().append(header::LINK, link);
        }
    }
}

fn read_limit(text: &str) -> Result<u64, ApiError> {
    let number: i128 =
        text.trim().parse().map_err(|_| refused("expected int for dictionary value @ data['limit']"))?;
    if number < 1 {
        return Err(refused("value must be at least 1 for dictionary value @ data['limit']"));
    }
    Ok(u64::try_from(number).unwrap_or(u64::MAX))
}

/// Every key once: where it comes again, it decides nothing, and thousands of them are more than SQL takes.
fn read_sorts(texts: &[String]) -> Result<Vec<Sort>, ApiError> {
    let mut sorts: Vec<Sort> = Vec::new();
    for text in texts {
        let sort = read_sort(text)?;
        if !sorts.iter().any(|known| known.key == sort.key) {
            sorts.push(sort);
        }
    }
    Ok(sorts)
}

fn read_sort(text: &str) -> Result<Sort, ApiError> {
    let (key, direction) = text.split_once(':').unwrap_or((text, ""));
    let (direction, nulls) = match direction.trim() {
        "" | "asc" => (Direction::Ascending, None),
        "desc" => (Direction::Descending, None),
        "asc-nullsfirst" => (Direction::Ascending, Some(NullOrder::First)),
        "asc-nullslast" => (Direction::Ascending, Some(NullOrder::Last)),
        "desc-nullsfirst" => (Direction::Descending, Some(NullOrder::First)),
        "desc-nullslast" => (Direction::Descending, Some(NullOrder::Last)),
        _ => {
            return Err(ApiError::bad_request(
                "Invalid pagination: `Unknown sort direction, must be one of: asc-nullsfirst, asc-nullslast, \
                 desc-nullsfirst, desc-nullslast'",
            ));
        }
    };
    Ok(Sort { key: key.trim().to_owned(), direction, nulls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_read_and_refused() {
        let sort = read_sort("ended_at:desc-nullslast").unwrap();
        assert_eq!((sort.direction, sort.nulls), (Direction::Descending, Some(NullOrder::Last)));
        assert_eq!(read_sort("id").unwrap().key, "id");
        assert!(read_sort("id:up").unwrap_err().detail.as_str().unwrap().contains("Unknown sort direction"));
        assert_eq!(read_limit("7").unwrap(), 7);
        assert!(read_limit("0").is_err() && read_limit("x").is_err() && read_limit("-1").is_err());
    }
}
