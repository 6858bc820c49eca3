//! Nested lists become a tree of operations, checked as upstream's validator checks them.

use nephometer_model::{AggregationMethod, time};
use nephometer_series::matrix::CrossMethod;
use nephometer_series::{BinaryOp, Grouping, UnaryOp};
use serde_json::Value;

use super::text::parse_expression;
use super::{Node, OperationsError, Reference};
use crate::{InvalidInput, MeasureError};

/// The operations that `value` states, as nested lists or as text. Errors are worded as upstream's validator words
/// them, seen from `value` itself.
pub fn parse_operations(value: &Value) -> Result<Node, MeasureError> {
    let parsed;
    let value = match value {
        Value::String(text) => {
            parsed = parse_expression(text).map_err(OperationsError::Syntax)?;
            &parsed
        }
        value => value,
    };
    Ok(parse_list(value)?)
}

type Parsed = Result<Node, InvalidInput>;

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// An operation. An error without a path is about the operation as a whole.
fn parse_list(value: &Value) -> Parsed {
    let Value::Array(list) = value else {
        let message = format!("Expected a tuple/list, got a <class '{}'>", python_type(value));
        return Err(InvalidInput::new(message));
    };
    let Some((name, args)) = list.split_first() else {
        return Err(InvalidInput::new("Operation must not be empty"));
    };
    if args.is_empty() {
        return Err(InvalidInput::new("Operation need at least one argument"));
    }
    if name == "metric" {
        return parse_metric(args);
    }
    let invalid = || {
        let shown = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        InvalidInput::new(format!("'{shown}' operation invalid"))
    };
    // Only a malformed metric somewhere inside is reported as such.
    let parsed = name.as_str().map_or_else(|| Err(invalid()), |name| parse_operation(name, args));
    parsed.map_err(|error| if error.path.is_empty() { invalid() } else { error })
}

/// `REF, METHOD` or `[REF, METHOD], …`.
fn parse_metric(args: &[Value]) -> Parsed {
    if let [Value::String(name), Value::String(method)] = args {
        return Ok(Node::Metric(vec![Reference { name: name.clone(), method: method.clone() }]));
    }
    let read = |(index, pair): (usize, &Value)| match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(name), Value::String(method)]) => {
            Ok(Reference { name: name.clone(), method: method.clone() })
        }
        Some([_, _]) => Err(InvalidInput::new("expected str").at(index)),
        _ => Err(InvalidInput::new("None").at(index)),
    };
    args.iter().enumerate().map(read).collect::<Result<_, _>>().map(Node::Metric)
}

/// Says only that the operation does not fit; the caller words it.
fn misfit() -> InvalidInput {
    InvalidInput::new("")
}

fn parse_operation(name: &str, args: &[Value]) -> Parsed {
    match (name, args) {
        ("aggregate", [method, nodes @ ..]) if !nodes.is_empty() => {
            let method = cross_method(method)?;
            Ok(Node::Aggregate(method, nodes.iter().map(parse_list).collect::<Result<_, _>>()?))
        }
        ("rolling", [method, window, node]) => {
            let (method, window) = (cross_method(method)?, window_of(window)?);
            Ok(Node::Rolling(method, window, Box::new(parse_list(node)?)))
        }
        ("resample", [method, span, node]) => {
            let method = method.as_str().and_then(AggregationMethod::parse).ok_or_else(misfit)?;
            let span = span_of(span)?;
            Ok(Node::Resample(method, Grouping::Span(span), Box::new(parse_list(node)?)))
        }
        ("clip", [_, _] | [_, _, _]) => {
            let nodes = args.iter().map(parse_operand).collect::<Result<_, _>>()?;
            Ok(Node::Clip(nodes, args.to_vec()))
        }
        ("rateofchange" | "rateofchangesec", [node]) => {
            let per_second = name == "rateofchangesec";
            Ok(Node::RateOfChange { per_second, node: Box::new(parse_list(node)?) })
        }
        (_, [left, right]) => {
            let op = BinaryOp::parse(name).ok_or_else(misfit)?;
            let nodes = [parse_operand(left)?, parse_operand(right)?];
            Ok(Node::Binary(op, Box::new(nodes), [left.clone(), right.clone()]))
        }
        (_, [node]) => {
            let op = UnaryOp::parse(name).ok_or_else(misfit)?;
            Ok(Node::Unary(op, Box::new(parse_operand(node)?)))
        }
        _ => Err(misfit()),
    }
}

/// A number, or what reads as one, or an operation.
fn parse_operand(value: &Value) -> Parsed {
    number_of(value).map_or_else(|| parse_list(value), |number| Ok(Node::Number(number)))
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(text) => time::parse_float(text),
        _ => None,
    }
}

fn cross_method(value: &Value) -> Result<CrossMethod, InvalidInput> {
    value.as_str().and_then(CrossMethod::parse).ok_or_else(misfit)
}

/// A whole number of at least one; fractions of numbers are cut, as Python's `int()` cuts them.
fn window_of(value: &Value) -> Result<usize, InvalidInput> {
    let number = match value {
        Value::String(text) => text.trim().parse::<u32>().ok().map(f64::from),
        value => number_of(value),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    let window = number.filter(|number| (1.0..4e9).contains(number)).map(|number| number as usize);
    window.ok_or_else(misfit)
}

fn span_of(value: &Value) -> Result<nephometer_model::Timespan, InvalidInput> {
    let span = match value {
        Value::String(text) => time::parse_timespan(text),
        value => time::timespan_from_seconds(number_of(value).ok_or_else(misfit)?),
    };
    span.map_err(|_| misfit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn error(operations: &Value) -> String {
        match parse_operations(operations) {
            Err(MeasureError::Invalid(error)) => error.under("operations").to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Texts observed on upstream's validator.
    #[test]
    fn words_errors_as_upstream() {
        let m = json!(["metric", "a", "mean"]);
        for (operations, expected) in [
            (json!([]), "Operation must not be empty for dictionary value @ data['operations']"),
            (
                json!({}),
                "Expected a tuple/list, got a <class 'dict'> for dictionary value @ data['operations']",
            ),
            (
                json!(5),
                "Expected a tuple/list, got a <class 'int'> for dictionary value @ data['operations']",
            ),
            (
                json!(["metric"]),
                "Operation need at least one argument for dictionary value @ data['operations']",
            ),
            (json!(["metric", 1]), "None @ data['operations'][0]"),
            (json!(["metric", "a"]), "None @ data['operations'][0]"),
            (json!(["metric", "a", "mean", "x"]), "None @ data['operations'][0]"),
            (json!(["metric", ["a", 1]]), "expected str @ data['operations'][0]"),
            (json!(["metric", ["a", "mean"], ["a"]]), "None @ data['operations'][1]"),
            (
                json!(["foo", ["metric", 1]]),
                "'foo' operation invalid for dictionary value @ data['operations']",
            ),
            (json!(["+", m, ["metric", 1]]), "None @ data['operations'][0]"),
            (json!(["+", m]), "'+' operation invalid for dictionary value @ data['operations']"),
            (json!(["+", m, null]), "'+' operation invalid for dictionary value @ data['operations']"),
            (json!(["+", ["foo", 1], 2]), "'+' operation invalid for dictionary value @ data['operations']"),
            (
                json!(["aggregate", "foo", m]),
                "'aggregate' operation invalid for dictionary value @ data['operations']",
            ),
            (
                json!(["rolling", "mean", m]),
                "'rolling' operation invalid for dictionary value @ data['operations']",
            ),
            (
                json!(["rolling", "mean", 0, m]),
                "'rolling' operation invalid for dictionary value @ data['operations']",
            ),
            (
                json!("(resample mean invalid (metric a mean))"),
                "'resample' operation invalid for dictionary value @ data['operations']",
            ),
            (
                json!(["resample", "var", 60, m]),
                "'resample' operation invalid for dictionary value @ data['operations']",
            ),
            (
                json!("((metric a mean))"),
                "Operation need at least one argument for dictionary value @ data['operations']",
            ),
            (json!([1, 2]), "'1' operation invalid for dictionary value @ data['operations']"),
        ] {
            assert_eq!(error(&operations), expected, "{operations}");
        }
        assert!(error(&json!("(metroc foo bar")).contains("Syntax"));
    }

    #[test]
    fn both_forms_are_one_language() {
        for (text, list) in [
            (
                "(aggregate rate:mean (metric a mean))",
                json!(["aggregate", "rate:mean", ["metric", "a", "mean"]]),
            ),
            (
                "(+ (metric (a mean) (b max)) nan)",
                json!(["+", ["metric", ["a", "mean"], ["b", "max"]], "nan"]),
            ),
            ("(rolling mean 2 (metric a mean))", json!(["rolling", "mean", 2.7, ["metric", "a", "mean"]])),
            (
                "(resample 95pct 1m (metric a mean))",
                json!(["resample", "95pct", 60, ["metric", "a", "mean"]]),
            ),
            ("(clip (metric a mean) 1)", json!(["clip", ["metric", "a", "mean"], true])),
            ("(neg (abs 3))", json!(["neg", ["abs", 3]])),
            ("(rateofchangesec (metric a mean))", json!(["rateofchangesec", ["metric", "a", "mean"]])),
            (
                "(aggregate sum (metric a mean) (metric b mean))",
                json!(["aggregate", "sum", ["metric", "a", "mean"], ["metric", "b", "mean"]]),
            ),
        ] {
            let (text, list) = (parse_operations(&json!(text)).unwrap(), parse_operations(&list).unwrap());
            assert_eq!(text.references(), list.references());
            let shape = |node: &Node| format!("{node:?}").split('[').next().map(str::to_owned);
            assert_eq!(shape(&text), shape(&list));
        }
        let node = parse_operations(&json!("(- (metric (a mean) (b max)) (metric a mean))")).unwrap();
        assert_eq!(node.references().len(), 2);
    }

    proptest! {
        #[test]
        fn never_panics(words in proptest::collection::vec(prop_oneof![
            Just("("), Just(")"), Just("metric"), Just("aggregate"), Just("mean"), Just("rolling"), Just("2"),
            Just("clip"), Just("+"), Just("resample"), Just("a"),
        ], 0..24)) {
            let _ = parse_operations(&Value::String(words.join(" ")));
        }
    }
}
