//! Simple queries: conditions in parameters of the request, all of which must hold.

use nephometer_drivers::{AlarmFilter, AlarmValue};
use nephometer_model::time::parse_timestamp;
use nephometer_model::{Operator, Timespan, Timestamp, python};

use super::{QueryError, boolean, is_boolean};
use crate::event::convertible;

/// A condition as a request gives it: `q.field`, `q.op`, `q.value`, `q.type`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryItem {
    /// What is compared.
    pub field: String,
    /// How; `eq` where the request says nothing.
    pub op: String,
    /// With what.
    pub value: String,
    /// What the value is; empty where the request says nothing.
    pub kind: String,
}

/// Gathers the conditions of a request from its parameters, in order: `q.field` and so on, zipped by their places, or
/// `q[0].field` with the place written out. Other parameters are not looked at.
///
/// # Errors
/// A condition without field or value, and a part of one that means nothing.
pub fn query_items<'a>(
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<QueryItem>, QueryError> {
    let mut parts: [Vec<(usize, &str)>; 4] = Default::default();
    const NAMES: [&str; 4] = ["field", "op", "value", "type"];
    for (name, value) in parameters {
        let Some((place, part)) = part_of(name) else { continue };
        let Some(at) = NAMES.iter().position(|known| *known == part) else {
            return Err(QueryError(format!("Unknown argument: \"{name}\"")));
        };
        let place = place.unwrap_or(parts[at].len());
        parts[at].push((place, value));
    }
    let mut places: Vec<usize> = parts.iter().flatten().map(|(place, _)| *place).collect();
    places.sort_unstable();
    places.dedup();
    let given = |at: usize, place: usize| {
        let found: Option<&(usize, &str)> = parts[at].iter().find(|(other, _)| *other == place);
        found.map(|(_, value)| (*value).to_owned())
    };
    let missing = |name: &str| QueryError::invalid(name, "None", "Mandatory field missing.");
    let item = |place: usize| {
        let op = given(1, place).filter(|op| !op.is_empty()).unwrap_or_else(|| "eq".to_owned());
        Ok(QueryItem {
            field: given(0, place).ok_or_else(|| missing("field"))?,
            op,
            value: given(2, place).ok_or_else(|| missing("value"))?,
            kind: given(3, place).unwrap_or_default(),
        })
    };
    places.into_iter().map(item).collect()
}

/// Place (if written out) and part of a parameter's name; nothing where it belongs to no condition.
fn part_of(name: &str) -> Option<(Option<usize>, &str)> {
    let rest = name.strip_prefix('q')?;
    if let Some(part) = rest.strip_prefix('.') {
        return Some((None, part));
    }
    let (place, part) = rest.strip_prefix('[')?.split_once("].")?;
    Some((Some(place.parse().ok()?), part))
}

/// What a simple query of alarms asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// All conditions but those on projects.
    pub filter: AlarmFilter,
    /// Alarms of all projects, or expressly not.
    pub all_projects: Option<bool>,
    /// The projects asked for; of several none can match.
    pub project_ids: Vec<String>,
}

/// Fields of a simple query of alarms.
const LIST_FIELDS: [&str; 10] = [
    "all_projects",
    "enabled",
    "name",
    "project_id",
    "repeat_actions",
    "severity",
    "state",
    "timestamp",
    "type",
    "user_id",
];

/// A set as Python writes it, sorted.
fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<_> = words.into_iter().map(python::repr_str).collect();
    words.sort_unstable();
    words.dedup();
    format!("{{{}}}", words.join(", "))
}

/// Understands a simple query of alarms.
///
/// # Errors
/// Fields and operators that it does not know, and values that are not what they should be.
pub fn list_query(items: &[QueryItem]) -> Result<ListQuery, QueryError> {
    let unknown: Vec<_> =
        items.iter().map(|item| item.field.as_str()).filter(|field| !LIST_FIELDS.contains(field)).collect();
    if !unknown.is_empty() {
        let reason = format!("only fields {} are allowed", set(LIST_FIELDS));
        return Err(QueryError::invalid("field", &set(unknown), &reason));
    }
    let others: Vec<_> = items.iter().map(|item| item.op.as_str()).filter(|op| *op != "eq").collect();
    if !others.is_empty() {
        return Err(QueryError::invalid("op", &set(others), "only operations {'eq'} are allowed"));
    }
    let mut query = ListQuery { filter: AlarmFilter::All, all_projects: None, project_ids: Vec::new() };
    for item in items {
        match item.field.as_str() {
            "all_projects" => query.all_projects = Some(truth(item)?),
            "project_id" => query.project_ids.push(item.value.clone()),
            _ => query.filter = query.filter.and(condition(item)?),
        }
    }
    query.project_ids.dedup();
    Ok(query)
}

fn truth(item: &QueryItem) -> Result<bool, QueryError> {
    let refuse = || format!("Unable to convert the value {} to the expected data type boolean.", item.value);
    boolean(&item.value).ok_or_else(|| QueryError(refuse()))
}

fn condition(item: &QueryItem) -> Result<AlarmFilter, QueryError> {
    convertible(&item.value, &item.kind).map_err(QueryError)?;
    let value = match item.field.as_str() {
        column if is_boolean(column) => AlarmValue::Bool(truth(item)?),
        "timestamp" => AlarmValue::Time(time(&item.value)?),
        _ => AlarmValue::Text(item.value.clone()),
    };
    Ok(AlarmFilter::Compare(Operator::Eq, item.field.clone(), value))
}

/// A point in time in ISO 8601; without zone in UTC.
fn time(text: &str) -> Result<Timestamp, QueryError> {
    let refuse = || QueryError::invalid("timestamp", text, "invalid timestamp format");
    if !text.contains('-') {
        return Err(refuse());
    }
    // Nothing of this form is relative to the present.
    parse_timestamp(text, Timestamp::default()).map_err(|_| refuse())
}

/// What a simple query of an alarm's history asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// All conditions.
    pub filter: AlarmFilter,
    /// The projects asked for, which the caller must be allowed to see.
    pub project_ids: Vec<String>,
}

/// Fields of a simple query of history, as refusals list them.
const HISTORY_FIELDS: [&str; 6] = ["project", "search_offset", "severity", "timestamp", "type", "user"];

/// Understands a simple query of an alarm's history.
///
/// # Errors
/// Fields and operators that it does not know, and values that are not what they should be.
pub fn history_query(items: &[QueryItem]) -> Result<HistoryQuery, QueryError> {
    let mut query = HistoryQuery { filter: AlarmFilter::All, project_ids: Vec::new() };
    let offset = search_offset(items)?;
    for item in items {
        let column = match item.field.as_str() {
            "search_offset" => continue,
            "timestamp" => {
                query.filter = query.filter.and(moment(item, offset)?);
                continue;
            }
            "project" | "project_id" => {
                query.project_ids.push(item.value.clone());
                "project_id"
            }
            "user" | "user_id" => "user_id",
            "severity" => "severity",
            "type" => "type",
            _ => return Err(unrecognised(item)),
        };
        if item.op != "eq" {
            return Err(unimplemented(item));
        }
        query.filter = query.filter.and(AlarmFilter::eq_text(column, &item.value));
    }
    Ok(query)
}

fn unimplemented(item: &QueryItem) -> QueryError {
    QueryError::invalid("op", &item.op, &format!("unimplemented operator for {}", item.field))
}

fn unrecognised(item: &QueryItem) -> QueryError {
    let kind = if item.kind.is_empty() { "Unset".to_owned() } else { item.kind.clone() };
    let keys = HISTORY_FIELDS.map(python::repr_str).join(", ");
    QueryError(format!(
        "Unknown argument: \"{}\": unrecognized field in query: [<Query {} {} {} {kind}>], valid keys: [{keys}]",
        item.field,
        python::repr_str(&item.field),
        item.op,
        python::repr_str(&item.value),
    ))
}

/// The minutes by which a range of time is widened.
fn search_offset(items: &[QueryItem]) -> Result<Timespan, QueryError> {
    let Some(item) = items.iter().find(|item| item.field == "search_offset") else {
        return Ok(Timespan::from_ns(0));
    };
    if !items.iter().any(|item| item.field == "timestamp") {
        let reason = "search_offset cannot be used without timestamp";
        return Err(QueryError::invalid("field", "search_offset", reason));
    }
    let minutes: i64 = item.value.trim().parse().map_err(|_| {
        QueryError::invalid("value", &item.value, "search_offset must be a whole number of minutes")
    })?;
    Ok(Timespan::from_seconds(minutes.saturating_mul(60)))
}

/// A condition on the time, widened by `offset`.
fn moment(item: &QueryItem, offset: Timespan) -> Result<AlarmFilter, QueryError> {
    let operator = Operator::parse(&item.op).ok_or_else(|| unimplemented(item))?;
    let at = time(&item.value)?;
    let widened = match operator {
        Operator::Gt | Operator::Ge => at.ns().saturating_sub(offset.ns()),
        Operator::Lt | Operator::Le => at.ns().saturating_add(offset.ns()),
        Operator::Eq | Operator::Ne => return Err(unimplemented(item)),
    };
    let value = AlarmValue::Time(Timestamp::from_ns(widened));
    Ok(AlarmFilter::Compare(operator, "timestamp".to_owned(), value))
}
