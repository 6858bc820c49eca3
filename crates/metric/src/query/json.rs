//! Resource filters in their JSON form: one operator a level.

use nephometer_model::{Comparison, Filter, FilterValue, resource_id_from};
use serde_json::{Map, Value};

use crate::InvalidInput;

/// The condition that `query` states; an empty object is everything. Values of `id` are transformed for `creator`,
/// who asks. Errors are worded as upstream's validator words them.
pub fn parse_filter(query: &Value, creator: Option<&str>) -> Result<Filter, InvalidInput> {
    let Some((operator, operand)) = at_most_one(query, 0)? else { return Ok(Filter::All) };
    parse_operator(operator, operand, creator)
}

/// The single entry of an object, or nothing where it is empty; at least `min` entries are due.
fn at_most_one(value: &Value, min: usize) -> Result<Option<(&String, &Value)>, InvalidInput> {
    let length = match value {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        Value::String(text) => text.chars().count(),
        _ => return Err(InvalidInput::new("invalid value or type")),
    };
    if length < min {
        return Err(InvalidInput::new(format!("length of value must be at least {min}")));
    }
    if length > 1 {
        return Err(InvalidInput::new("length of value must be at most 1"));
    }
    let map = value.as_object().ok_or_else(|| InvalidInput::new("expected a dictionary"))?;
    Ok(map.iter().next())
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "=" | "==" | "eq" => Comparison::Eq,
        "<" | "lt" => Comparison::Lt,
        ">" | "gt" => Comparison::Gt,
        "<=" | "≤" | "le" => Comparison::Le,
        ">=" | "≥" | "ge" => Comparison::Ge,
        "!=" | "≠" | "ne" => Comparison::Ne,
        "like" => Comparison::Like,
        _ => return None,
    })
}

fn parse_operator(operator: &str, operand: &Value, creator: Option<&str>) -> Result<Filter, InvalidInput> {
    if let Some(comparison) = comparison(operator) {
        return compare(comparison, operand, creator).map_err(|error| error.under(operator));
    }
    let parsed = match operator {
        "in" => contained(operand, creator),
        "and" | "∧" => parse_all(operand, creator).map(Filter::And),
        "or" | "∨" => parse_all(operand, creator).map(Filter::Or),
        "not" => parse_filter(operand, creator).map(|inner| Filter::Not(Box::new(inner))),
        _ => return Err(InvalidInput::key("not a valid value", operator)),
    };
    parsed.map_err(|error| error.under(operator))
}

fn parse_all(operand: &Value, creator: Option<&str>) -> Result<Vec<Filter>, InvalidInput> {
    let queries = non_empty_list(operand)?;
    let parse = |(index, query)| parse_filter(query, creator).map_err(|error| error.at(index));
    queries.iter().enumerate().map(parse).collect()
}

fn non_empty_list(value: &Value) -> Result<&Vec<Value>, InvalidInput> {
    let list = value.as_array().ok_or_else(|| InvalidInput::new("expected a list"))?;
    if list.is_empty() {
        return Err(InvalidInput::new("length of value must be at least 1"));
    }
    Ok(list)
}

/// The only attribute of an object, with its operand.
fn attribute(operand: &Value) -> Result<(&str, &Value), InvalidInput> {
    let empty = || InvalidInput::new("length of value must be at least 1");
    let (name, value) = at_most_one(operand, 1)?.ok_or_else(empty)?;
    Ok((name, value))
}

fn compare(comparison: Comparison, operand: &Value, creator: Option<&str>) -> Result<Filter, InvalidInput> {
    let (name, value) = attribute(operand)?;
    if comparison == Comparison::Like && name == "id" {
        return Err(InvalidInput::key("value must not be one of ['id']", name));
    }
    let value = scalar(name, value, creator).map_err(|error| error.under(name))?;
    Ok(Filter::Compare(comparison, name.to_owned(), value))
}

fn contained(operand: &Value, creator: Option<&str>) -> Result<Filter, InvalidInput> {
    let (name, values) = attribute(operand)?;
    let read = |(index, value)| scalar(name, value, creator).map_err(|error| error.at(index));
    let values = non_empty_list(values)
        .and_then(|values| values.iter().enumerate().map(read).collect::<Result<_, _>>())
        .map_err(|error| error.under(name))?;
    Ok(Filter::In(name.to_owned(), values))
}

/// A value to compare with; for `id` it must be text that names a resource.
fn scalar(name: &str, value: &Value, creator: Option<&str>) -> Result<FilterValue, InvalidInput> {
    if name == "id" {
        let text = value.as_str().ok_or_else(|| InvalidInput::new("not a valid value"))?;
        let id = resource_id_from(text, creator).map_err(|error| InvalidInput::new(error.to_string()))?;
        return Ok(FilterValue::Text(id.to_string()));
    }
    Ok(match value {
        Value::Null => FilterValue::Null,
        Value::Bool(truth) => FilterValue::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => FilterValue::Integer(integer),
            None => FilterValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => FilterValue::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => return Err(InvalidInput::new("expected str")),
    })
}

/// An object of one entry: how the text form hands its parts to the checks of this one.
pub(super) fn entry(key: impl Into<String>, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.into(), value)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_operator() {
        let parse = |query: Value| parse_filter(&query, Some("foobar")).unwrap();
        assert_eq!(parse(json!({})), Filter::All);
        let one = |comparison| Filter::Compare(comparison, "x".into(), FilterValue::Integer(1));
        for (operator, comparison) in
            [("≠", Comparison::Ne), ("≤", Comparison::Le), ("ge", Comparison::Ge), ("==", Comparison::Eq)]
        {
            assert_eq!(parse(json!({operator: {"x": 1}})), one(comparison));
        }
        let both = vec![one(Comparison::Lt), Filter::Not(Box::new(one(Comparison::Gt)))];
        assert_eq!(parse(json!({"∧": [{"<": {"x": 1}}, {"not": {"gt": {"x": 1}}}]})), Filter::And(both));
        let id = FilterValue::Text("2fbfbb20-8d56-5e1e-afb9-b3007da11fdf".into());
        assert_eq!(parse(json!({"in": {"id": ["foobar"]}})), Filter::In("id".into(), vec![id]));
        let values = vec![FilterValue::Null, FilterValue::Bool(true), FilterValue::Number(1.5)];
        assert_eq!(parse(json!({"in": {"y": [null, true, 1.5]}})), Filter::In("y".into(), values));
    }

    /// Texts observed on upstream's validator.
    #[test]
    fn words_errors_as_upstream() {
        for (query, expected) in [
            (json!([]), "expected a dictionary"),
            (json!("ab"), "length of value must be at most 1"),
            (json!(5), "invalid value or type"),
            (json!({"=": {}}), "length of value must be at least 1 for dictionary value @ data['=']"),
            (json!({"=": 5}), "invalid value or type for dictionary value @ data['=']"),
            (json!({"=": [1]}), "expected a dictionary for dictionary value @ data['=']"),
            (
                json!({"=": {"a": 1, "b": 2}}),
                "length of value must be at most 1 for dictionary value @ data['=']",
            ),
            (json!({"a": 1, "b": 2}), "length of value must be at most 1"),
            (json!({"foo": {}}), "not a valid value @ data['foo']"),
            (
                json!({"=": {"id": "a/b"}}),
                "'/' is not supported in resource id for dictionary value @ data['=']['id']",
            ),
            (json!({"ne": {"x": [1]}}), "expected str for dictionary value @ data['ne']['x']"),
            (json!({"like": {"id": "x"}}), "value must not be one of ['id'] @ data['like']['id']"),
            (json!({"in": {"x": 5}}), "expected a list for dictionary value @ data['in']['x']"),
            (
                json!({"in": {"x": []}}),
                "length of value must be at least 1 for dictionary value @ data['in']['x']",
            ),
            (json!({"in": {"x": ["a", [1]]}}), "expected str @ data['in']['x'][1]"),
            (json!({"in": {"id": ["a/b"]}}), "'/' is not supported in resource id @ data['in']['id'][0]"),
            (json!({"and": []}), "length of value must be at least 1 for dictionary value @ data['and']"),
            (json!({"and": [{"foo": 1}]}), "not a valid value @ data['and'][0]['foo']"),
            (json!({"and": [5]}), "invalid value or type @ data['and'][0]"),
            (
                json!({"and": [{}, {"=": {"x": []}}]}),
                "expected str for dictionary value @ data['and'][1]['=']['x']",
            ),
            (json!({"not": 5}), "invalid value or type for dictionary value @ data['not']"),
            (json!({"not": {"foo": 1}}), "not a valid value @ data['not']['foo']"),
        ] {
            let error = parse_filter(&query, None).unwrap_err();
            assert_eq!(error.to_string(), expected, "{query}");
        }
    }
}
