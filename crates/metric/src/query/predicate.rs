//! Conditions on measured values: `{"and": [{">=": [{"+": 23}, 50]}, {"!=": 55}]}`.

use nephometer_series::{BinaryOp, ValueExpression};
use serde_json::Value;

use crate::InvalidInput;

/// The condition that `query` states on the value of a point.
pub fn parse_predicate(query: &Value) -> Result<ValueExpression, InvalidInput> {
    let (operator, operand) = only_entry(query)?;
    let all = match operator {
        "and" | "∧" => true,
        "or" | "∨" => false,
        // Upstream's validator lets it pass and its evaluation refuses it.
        "not" => return Err(InvalidInput::key("Unknown operator not", operator)),
        _ => return parse_operation(operator, operand),
    };
    let parse = |(index, query)| parse_predicate(query).map_err(|error| error.at(index));
    let parts = operand
        .as_array()
        .ok_or_else(|| InvalidInput::new("expected a list"))
        .and_then(|parts| parts.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>())
        .map_err(|error| error.under(operator))?;
    Ok(if all { ValueExpression::All(parts) } else { ValueExpression::Any(parts) })
}

fn only_entry(query: &Value) -> Result<(&str, &Value), InvalidInput> {
    let object = query.as_object().ok_or_else(|| InvalidInput::new("expected a dictionary"))?;
    let mut entries = object.iter();
    let first = entries.next().ok_or_else(|| InvalidInput::new("length of value must be at least 1"))?;
    match entries.next() {
        None => Ok((first.0, first.1)),
        Some(_) => Err(InvalidInput::new("length of value must be at most 1")),
    }
}

fn operator(name: &str) -> Result<BinaryOp, InvalidInput> {
    let known = BinaryOp::parse(name).filter(|op| op.in_searches());
    known.ok_or_else(|| InvalidInput::key("not a valid value", name))
}

/// An operator and its operand.
fn parse_operation(name: &str, operand: &Value) -> Result<ValueExpression, InvalidInput> {
    let op = operator(name)?;
    parse_operand(op, operand).map_err(|error| error.under(name))
}

/// The operand of an operator: a number that the value meets, or two expressions.
fn parse_operand(op: BinaryOp, operand: &Value) -> Result<ValueExpression, InvalidInput> {
    match operand {
        Value::Number(number) => Ok(ValueExpression::Value(op, number.as_f64().unwrap_or(f64::NAN))),
        Value::Array(pair) => {
            let [left, right] = pair.as_slice() else {
                let bound = if pair.len() < 2 { "least" } else { "most" };
                return Err(InvalidInput::new(format!("length of value must be at {bound} 2")));
            };
            let left = parse_side(left).map_err(|error| error.at(0))?;
            let right = parse_side(right).map_err(|error| error.at(1))?;
            Ok(ValueExpression::Binary(op, Box::new(left), Box::new(right)))
        }
        _ => Err(InvalidInput::new("expected float")),
    }
}

fn parse_side(value: &Value) -> Result<ValueExpression, InvalidInput> {
    if let Value::Number(number) = value {
        return Ok(ValueExpression::Constant(number.as_f64().unwrap_or(f64::NAN)));
    }
    let (name, operand) = only_entry(value)?;
    parse_operation(name, operand)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(query: &Value) -> Vec<f64> {
        let predicate = parse_predicate(query).unwrap();
        [1.0, 4.0, 9.0, -2.0].into_iter().filter(|value| predicate.matches(*value)).collect()
    }

    #[test]
    fn selects_values() {
        assert_eq!(found(&json!({">=": [{"+": 3}, 7]})), [4.0, 9.0]);
        assert_eq!(found(&json!({"=": [{"%": 2}, 0]})), [4.0, -2.0]);
        assert_eq!(found(&json!({">": [{"*": 2}, {"+": 1}]})), [4.0, 9.0]);
        assert_eq!(found(&json!({"∧": [{"≥": 1}, {"or": [{"lt": 2}, {"eq": 9}]}]})), [1.0, 9.0]);
        assert_eq!(found(&json!({"+": 2})), [1.0, 4.0, 9.0]);
    }

    #[test]
    fn refuses_what_is_none() {
        for query in [
            json!(5),
            json!({}),
            json!({"=": 1, "<": 2}),
            json!({"foo": 1}),
            json!({"max": 1}),
            json!({"=": "1"}),
            json!({"=": [1]}),
            json!({"=": [1, 2, 3]}),
            json!({"=": [1, "x"]}),
            json!({"and": 5}),
            json!({"and": [5]}),
            json!({"=": [{"and": []}, 1]}),
        ] {
            assert!(parse_predicate(&query).is_err(), "{query}");
        }
        let error = parse_predicate(&json!({"and": [{"foo": 1}]})).unwrap_err();
        assert_eq!(error.to_string(), "not a valid value @ data['and'][0]['foo']");
    }
}
