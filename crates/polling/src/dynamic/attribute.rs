//! Attribute expressions: a path into an object, and operations on what it leads to (`a.b | len(value) | value + 1`).

use nephometer_model::python;
use nephometer_pipeline::expr::{EvalError, Expression, Fault, Names, Value};
use serde_json::Value as Json;

/// A compiled attribute expression.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    text: String,
    /// Keys one after another; nothing for the object itself.
    path: Option<Vec<String>>,
    operations: Vec<Expression>,
}

impl Attribute {
    /// Reads `text`; an error says which part of it is wrong.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let mut parts = text.split('|');
        let path = parts.next().unwrap_or_default().trim();
        let path = (path != ".").then(|| path.split('.').map(str::to_owned).collect());
        let operation = |part: &str| {
            if !part.contains("value") {
                return Err(format!("The attribute field operation [{part}] must use the [value] variable."));
            }
            Expression::compile(part.trim()).map_err(|error| error.to_string())
        };
        let operations = parts.map(operation).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), path, operations })
    }

    /// What it was compiled from.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its value for `object`.
    pub(super) fn evaluate<'a>(&'a self, object: &'a Json) -> Result<Value<'a>, EvalError> {
        let keys = self.path.as_deref().unwrap_or_default();
        let found = keys.iter().try_fold(object, |at, key| item(at, key))?;
        self.operations.iter().try_fold(Value::from_json(found), |value, operation| {
            operation.evaluate(&Names(vec![("value", value)]))
        })
    }

    /// [`Self::evaluate`] as JSON. The error names the expression.
    pub(super) fn json(&self, object: &Json) -> Result<Json, String> {
        self.evaluate(object).and_then(|value| value.to_json()).map_err(|error| self.failed(&error))
    }

    /// As [`Self::json`], but out of `object` itself where that costs no copy: what is taken is null afterwards.
    pub(super) fn take(&self, object: &mut Json) -> Result<Json, String> {
        if !self.operations.is_empty() {
            return self.json(object);
        }
        let mut at = object;
        for key in self.path.as_deref().unwrap_or_default() {
            item(at, key).map_err(|error| self.failed(&error))?;
            at = &mut at[key.as_str()];
        }
        Ok(at.take())
    }

    /// The text of an error in it.
    pub(super) fn failed(&self, error: &EvalError) -> String {
        format!("[{}]: {error}", self.text)
    }
}

/// `object[key]`.
fn item<'a>(object: &'a Json, key: &str) -> Result<&'a Json, EvalError> {
    let wrong = |message: &str| EvalError { fault: Fault::Type, message: message.to_owned() };
    match object {
        Json::Object(map) => {
            map.get(key).ok_or_else(|| EvalError { fault: Fault::Key, message: python::repr_str(key) })
        }
        Json::Array(_) => Err(wrong("list indices must be integers or slices, not str")),
        Json::String(_) => Err(wrong("string indices must be integers, not 'str'")),
        other => {
            let name = Value::from_json(other).type_name();
            Err(wrong(&format!("'{name}' object is not subscriptable")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value_of(text: &str, object: &Json) -> Result<Json, String> {
        Attribute::compile(text)?.json(object)
    }

    #[test]
    fn paths_lead_into_objects_and_operations_follow() {
        for (text, object, expected) in [
            ("s | value.split('$')[0]", json!({"s": "x$y"}), json!("x")),
            (". | value['s'] if 's' in value else ''", json!({"s": "x$y"}), json!("x$y")),
            ("n | value or 'd'", json!({"n": null}), json!("d")),
            ("a.b | sum(value)", json!({"a": {"b": [1, 2, 3]}}), json!(6)),
            ("a.b | len(value) | value + 1", json!({"a": {"b": [1, 2, 3]}}), json!(4)),
            (" a ", json!({"a": 1}), json!(1)),
            (".", json!([1]), json!([1])),
            ("a.", json!({"a": {"": 2}}), json!(2)),
            ("l | filter(lambda v: v > 1, value) | list(value)", json!({"l": [1, 2]}), json!([2])),
        ] {
            assert_eq!(value_of(text, &object), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_have_pythons_words() {
        for (text, object, expected) in [
            ("a.b", json!({"a": {}}), "[a.b]: KeyError: 'b'"),
            ("a . b", json!({"a": {"b": 1}}), "[a . b]: KeyError: 'a '"),
            ("a.0", json!({"a": [1]}), "[a.0]: TypeError: list indices must be integers or slices, not str"),
            ("a.b", json!({"a": "x"}), "[a.b]: TypeError: string indices must be integers, not 'str'"),
            ("a.b", json!({"a": null}), "[a.b]: TypeError: 'NoneType' object is not subscriptable"),
            ("a | value / 0", json!({"a": 1}), "[a | value / 0]: ZeroDivisionError: division by zero"),
            (
                "a | 1 + 1",
                json!({"a": 1}),
                "The attribute field operation [ 1 + 1] must use the [value] variable.",
            ),
        ] {
            assert_eq!(value_of(text, &object), Err(expected.to_owned()), "{text}");
        }
        assert!(Attribute::compile("a | value +").is_err());
    }

    #[test]
    fn what_a_plain_path_leads_to_is_taken() {
        let mut object = json!({"a": {"b": [1], "c": 2}});
        assert_eq!(Attribute::compile("a.b").unwrap().take(&mut object), Ok(json!([1])));
        assert_eq!(object, json!({"a": {"b": null, "c": 2}}));
        assert_eq!(Attribute::compile("a | value['c']").unwrap().take(&mut object), Ok(json!(2)));
        assert!(Attribute::compile("a.x").unwrap().take(&mut object).is_err());
    }
}
