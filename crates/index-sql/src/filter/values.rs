//! What the value of a query means for a column of some kind.

use nephometer_model::{FilterValue, Timestamp, parse_python_uuid, time};

use crate::columns::Kind;
use crate::value::Value;

/// The value as Python's `str` shows it: what a text column is compared with.
pub(crate) fn python_text(value: &FilterValue) -> String {
    match value {
        FilterValue::Null => "None".to_owned(),
        FilterValue::Bool(true) => "True".to_owned(),
        FilterValue::Bool(false) => "False".to_owned(),
        FilterValue::Integer(value) => value.to_string(),
        FilterValue::Number(value) => python_float(*value),
        FilterValue::Text(text) => text.clone(),
        FilterValue::Time(time) => time.isoformat(),
    }
}

/// The value as Python's `repr` shows it, for lists in error texts.
pub(crate) fn python_repr(value: &FilterValue) -> String {
    match value {
        FilterValue::Text(text) => {
            let escaped = text.replace('\\', "\\\\");
            match (text.contains('\''), text.contains('"')) {
                (true, false) => format!("\"{escaped}\""),
                _ => format!("'{}'", escaped.replace('\'', "\\'")),
            }
        }
        _ => python_text(value),
    }
}

/// A float as Python writes it: the shortest digits, exponents from 1e16 on and below 1e-4.
fn python_float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    if value != 0.0 && !(1e-4..1e16).contains(&value.abs()) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value:?}")
}

fn seconds_to_micros(seconds: f64) -> Option<i64> {
    // The float is scaled to nanoseconds first, as timestamps of measures are.
    #[expect(clippy::cast_possible_truncation, reason = "what lies outside saturates and is refused")]
    let ns = (seconds * 1e9) as i64;
    (seconds.is_finite() && ns != i64::MAX && ns != i64::MIN).then(|| Timestamp::from_ns(ns).micros())
}

fn time_micros(value: &FilterValue, now: Timestamp) -> Option<i64> {
    let micros = match value {
        FilterValue::Time(time) => return Some(time.micros()),
        FilterValue::Text(text) => return time::parse_timestamp(text, now).ok().map(Timestamp::micros),
        FilterValue::Integer(seconds) => seconds.checked_mul(1_000_000)?,
        FilterValue::Number(seconds) => seconds_to_micros(*seconds)?,
        FilterValue::Bool(value) => i64::from(*value) * 1_000_000,
        FilterValue::Null => return None,
    };
    (micros >= 0).then_some(micros)
}

fn span_micros(value: &FilterValue) -> Option<i64> {
    match value {
        FilterValue::Text(text) => time::parse_offset(text).ok().map(|span| span.ns().div_euclid(1000)),
        FilterValue::Integer(seconds) => seconds.checked_mul(1_000_000),
        FilterValue::Number(seconds) => seconds_to_micros(*seconds),
        FilterValue::Bool(value) => Some(i64::from(*value) * 1_000_000),
        FilterValue::Null | FilterValue::Time(_) => None,
    }
}

fn number(value: &FilterValue) -> Option<f64> {
    let number = match value {
        FilterValue::Bool(value) => f64::from(u8::from(*value)),
        #[expect(clippy::cast_precision_loss, reason = "numbers of resources are floats")]
        FilterValue::Integer(value) => *value as f64,
        FilterValue::Number(value) => *value,
        FilterValue::Text(text) => time::parse_float(text)?,
        FilterValue::Null | FilterValue::Time(_) => return None,
    };
    (!number.is_nan()).then_some(number)
}

fn truth(value: &FilterValue) -> Option<i64> {
    match value {
        FilterValue::Bool(value) => Some(i64::from(*value)),
        FilterValue::Integer(value @ (0 | 1)) => Some(*value),
        FilterValue::Number(value) if *value == 0.0 || *value == 1.0 => Some(i64::from(*value == 1.0)),
        FilterValue::Text(text) if text.eq_ignore_ascii_case("true") => Some(1),
        FilterValue::Text(text) if text.eq_ignore_ascii_case("false") => Some(0),
        _ => None,
    }
}

fn whole(value: &FilterValue) -> Option<i64> {
    match value {
        FilterValue::Bool(value) => Some(i64::from(*value)),
        FilterValue::Integer(value) => Some(*value),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "Python's int() truncates, and what lies outside saturates"
        )]
        FilterValue::Number(value) if value.is_finite() => Some(*value as i64),
        FilterValue::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn plain_text(value: &FilterValue) -> Option<String> {
    // Databases do not keep the character zero, so nothing can be compared with it.
    Some(python_text(value)).filter(|text| !text.contains('\0'))
}

fn uuid(value: &FilterValue) -> Option<uuid::Uuid> {
    match value {
        FilterValue::Text(text) => parse_python_uuid(text),
        _ => None,
    }
}

/// The value in the terms of a column, or nothing where it has no meaning there. Null is not meant here.
pub(crate) fn convert(kind: Kind, value: &FilterValue, now: Timestamp) -> Option<Value> {
    match kind {
        Kind::Text => plain_text(value).map(Value::Text),
        Kind::Id => uuid(value).map(Value::Uuid),
        Kind::UuidText => uuid(value).map(|id| Value::Text(id.to_string())),
        Kind::Number => number(value).map(Value::Real),
        Kind::Bool => truth(value).map(Value::Int),
        Kind::Time => time_micros(value, now).map(Value::Int),
        Kind::Span => span_micros(value).map(Value::Int),
        Kind::Whole => whole(value).map(Value::Int),
    }
}

/// All of the values as one array, or nothing where one of them has no meaning for the column.
pub(crate) fn convert_all(kind: Kind, values: &[&FilterValue], now: Timestamp) -> Option<Value> {
    let values = values.iter();
    match kind {
        Kind::Text => values.map(|value| plain_text(value)).collect::<Option<_>>().map(Value::Texts),
        Kind::Id => values.map(|value| uuid(value)).collect::<Option<_>>().map(Value::Uuids),
        Kind::UuidText => {
            values.map(|value| Some(uuid(value)?.to_string())).collect::<Option<_>>().map(Value::Texts)
        }
        Kind::Number => values.map(|value| number(value)).collect::<Option<_>>().map(Value::Reals),
        Kind::Bool => values.map(|value| truth(value)).collect::<Option<_>>().map(Value::Ints),
        Kind::Time => values.map(|value| time_micros(value, now)).collect::<Option<_>>().map(Value::Ints),
        Kind::Span => values.map(|value| span_micros(value)).collect::<Option<_>>().map(Value::Ints),
        Kind::Whole => values.map(|value| whole(value)).collect::<Option<_>>().map(Value::Ints),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_pythons() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (123_456_789.0, "123456789.0"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(python_text(&FilterValue::Number(value)), expected);
        }
        assert_eq!(python_repr(&FilterValue::Text("it's".to_owned())), "\"it's\"");
        assert_eq!(python_repr(&FilterValue::Text("a".to_owned())), "'a'");
    }

    #[test]
    fn numbers_are_seconds_where_times_are_compared() {
        let now = Timestamp::from_micros(100_000_000);
        let micros = |value| convert(Kind::Time, &value, now);
        assert_eq!(micros(FilterValue::Integer(2)), Some(Value::Int(2_000_000)));
        assert_eq!(micros(FilterValue::Text("-10 seconds".to_owned())), Some(Value::Int(90_000_000)));
        assert_eq!(micros(FilterValue::Number(-1.0)), None);
        assert_eq!(
            convert(Kind::Span, &FilterValue::Text("1 hour".to_owned()), now),
            Some(Value::Int(3_600_000_000))
        );
    }
}
