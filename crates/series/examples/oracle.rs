//! Answers questions about series, one JSON object a line, for `conformance/series/differential.py`.
//!
//! Numbers of series travel as the bits of an f64 in an unsigned integer, so that NaN and infinities survive. A
//! question names a `kind`; the answer is `{"ok": …}`, or `{"error": "…"}` where an operation refuses.

use std::io::{BufRead, Write};

use nephometer_model::{AggregationMethod, Timespan};
use nephometer_series::matrix::{CrossMethod, Fill, Matrix, Operand, binary, clip, unary};
use nephometer_series::{
    BinaryOp, Calendar, Duplicates, Grouping, Points, UnaryOp, ValueExpression, aggregate_many, resample,
    sort_and_deduplicate,
};
use serde_json::{Value, json};

type Answer = Result<Value, String>;

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(|error| error.to_string())
            .and_then(|question| answer(&question));
        let answer = answer.map_or_else(|error| json!({ "error": error }), |ok| json!({ "ok": ok }));
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(question: &Value) -> Answer {
    match text(&question["kind"])? {
        "aggregate" => aggregated(question),
        "resample" => {
            let points = points(&question["points"])?;
            Ok(pack(&resample(&points, grouping(&question["grouping"])?, method(&question["method"])?)))
        }
        "deduplicate" => deduplicated(question),
        "predicate" => found(question),
        "operations" => operations(question),
        other => Err(format!("no such kind: {other}")),
    }
}

fn aggregated(question: &Value) -> Answer {
    let points = points(&question["points"])?;
    let methods = list(&question["methods"])?.iter().map(method).collect::<Result<Vec<_>, _>>()?;
    let previous = match &question["previous"] {
        Value::Null => None,
        pair => Some((integer(&pair[0])?, number(&pair[1])?)),
    };
    let width = Timespan::from_ns(integer(&question["granularity"])?);
    let results = aggregate_many(&points.timestamps_ns, &points.values, previous, width, &methods);
    Ok(results.iter().map(pack).collect())
}

fn deduplicated(question: &Value) -> Answer {
    let mut all = Points::default();
    for batch in list(&question["batches"])? {
        let mut batch = points(batch)?;
        sort_and_deduplicate(&mut batch.timestamps_ns, &mut batch.values, Duplicates::Smallest);
        all.timestamps_ns.extend(batch.timestamps_ns);
        all.values.extend(batch.values);
    }
    sort_and_deduplicate(&mut all.timestamps_ns, &mut all.values, Duplicates::Newest);
    Ok(pack(&all))
}

fn found(question: &Value) -> Answer {
    let expression = expression(&question["tree"])?;
    let values = list(&question["values"])?.iter().map(number).collect::<Result<Vec<_>, _>>()?;
    Ok(values.iter().map(|value| expression.matches(*value)).collect())
}

fn expression(tree: &Value) -> Result<ValueExpression, String> {
    let Some((name, argument)) = tree.as_object().and_then(|object| object.iter().next()) else {
        return Ok(ValueExpression::Constant(tree.as_f64().ok_or("a number is missing")?));
    };
    let parts = || list(argument)?.iter().map(expression).collect::<Result<Vec<_>, _>>();
    match (name.as_str(), BinaryOp::parse(name)) {
        ("and", _) => Ok(ValueExpression::All(parts()?)),
        ("or", _) => Ok(ValueExpression::Any(parts()?)),
        (_, None) => Err(format!("no such operator: {name}")),
        (_, Some(op)) if argument.is_number() => {
            Ok(ValueExpression::Value(op, argument.as_f64().unwrap_or_default()))
        }
        (_, Some(op)) => {
            let (left, right) = (expression(&argument[0])?, expression(&argument[1])?);
            Ok(ValueExpression::Binary(op, Box::new(left), Box::new(right)))
        }
    }
}

fn operations(question: &Value) -> Answer {
    let series = list(&question["series"])?.iter().map(points).collect::<Result<Vec<_>, _>>()?;
    let fill = match &question["fill"] {
        Value::Null => Fill::Null,
        Value::String(name) => Fill::parse(name).ok_or("no such fill")?,
        bits => Fill::Value(number(bits)?),
    };
    let mut matrix = Matrix::align(grouping(&question["granularity"])?, &series, fill);
    if let Some(overlap) = question["overlap"].as_array() {
        let given = |at: usize| overlap[at].as_bool().unwrap_or_default();
        matrix
            .require_overlap(overlap[0].as_f64().unwrap_or_default(), given(1), given(2))
            .map_err(|error| error.to_string())?;
    }
    let Operand::Series(result) = evaluate(&question["tree"], &matrix)? else {
        return Err("a number is no series".to_owned());
    };
    Ok((0..result.columns.len())
        .map(|column| pack(&result.points(column, fill.drops_gaps()).collect()))
        .collect())
}

fn evaluate(node: &Value, matrix: &Matrix) -> Result<Operand, String> {
    let Some(nodes) = node.as_array() else {
        return Ok(Operand::Number(node.as_f64().ok_or("a number is missing")?));
    };
    let name = text(&nodes[0])?;
    let inner = |at: usize| evaluate(&nodes[at], matrix);
    let series = |at: usize| match inner(at)? {
        Operand::Series(matrix) => Ok(matrix),
        Operand::Number(_) => Err("series expected".to_owned()),
    };
    let refused = |error: nephometer_series::matrix::OperationError| error.to_string();
    let cross = || CrossMethod::parse(text(&nodes[1])?).ok_or_else(|| "no such method".to_owned());
    Ok(match (name, BinaryOp::parse(name), UnaryOp::parse(name)) {
        ("metric", ..) => Operand::Series(matrix.select(&columns(&nodes[1..])?)),
        ("aggregate", ..) => Operand::Series(series(2)?.aggregate(cross()?)),
        ("rolling", ..) => {
            let window = usize::try_from(integer(&nodes[2])?).map_err(|error| error.to_string())?;
            Operand::Series(series(3)?.rolling(cross()?, window).map_err(refused)?)
        }
        ("resample", ..) => Operand::Series(series(3)?.resample(grouping(&nodes[2])?, method(&nodes[1])?)),
        ("rateofchange", ..) => Operand::Series(series(1)?.rate_of_change()),
        ("rateofchangesec", ..) => Operand::Series(series(1)?.rate_of_change_per_second()),
        ("clip", ..) => {
            let high = if nodes.len() > 3 { Some(inner(3)?) } else { None };
            clip(inner(1)?, inner(2)?, high).map_err(refused)?
        }
        (_, Some(op), _) => binary(op, inner(1)?, inner(2)?).map_err(refused)?,
        (_, _, Some(op)) => unary(op, inner(1)?),
        _ => return Err(format!("no such operation: {name}")),
    })
}

/// The columns that references `[["m0", "mean"], …]` name, ascending.
fn columns(references: &[Value]) -> Result<Vec<usize>, String> {
    let mut columns = Vec::new();
    for reference in references {
        let digits = text(&reference[0])?.trim_start_matches('m');
        columns.push(digits.parse().map_err(|_| format!("no such series: {reference}"))?);
    }
    columns.sort_unstable();
    Ok(columns)
}

fn grouping(value: &Value) -> Result<Grouping, String> {
    match value.as_str() {
        Some(letter) => Ok(Grouping::Calendar(Calendar::parse(letter).ok_or("no such period")?)),
        None => Ok(Grouping::Span(Timespan::from_ns(integer(value)?))),
    }
}

fn method(value: &Value) -> Result<AggregationMethod, String> {
    AggregationMethod::parse(text(value)?).ok_or_else(|| format!("no such method: {value}"))
}

fn points(value: &Value) -> Result<Points, String> {
    Ok(Points {
        timestamps_ns: list(&value[0])?.iter().map(integer).collect::<Result<_, _>>()?,
        values: list(&value[1])?.iter().map(number).collect::<Result<_, _>>()?,
    })
}

fn pack(points: &Points) -> Value {
    let bits: Vec<u64> = points.values.iter().map(|value| value.to_bits()).collect();
    json!([points.timestamps_ns, bits])
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| format!("not a list: {value}"))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("not a text: {value}"))
}

fn integer(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("not an integer: {value}"))
}

fn number(value: &Value) -> Result<f64, String> {
    value.as_u64().map(f64::from_bits).ok_or_else(|| format!("not the bits of a number: {value}"))
}
