//! Addresses and commands: texts, or expressions that make them of what is known.

use nephometer_pipeline::expr::{EvalError, Expression, Fault, Names, Value};
use serde_json::Value as Json;

/// Names that an expression sees.
pub(super) type Variables<'v> = [(&'v str, &'v Json)];

/// A text that is tried as an expression first, as upstream has it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    text: String,
    expression: Option<Expression>,
}

impl Template {
    /// What `text` says.
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), expression: Expression::compile(text.trim_start()).ok() }
    }

    /// Its value where that is a text, else itself. An expression whose value is other data, or that is too much work, is
    /// an error: it would not mean itself.
    pub(super) fn render(&self, variables: &Variables<'_>) -> Result<String, EvalError> {
        let itself = || Ok(self.text.clone());
        let Some(expression) = &self.expression else { return itself() };
        let names = variables.iter().map(|(name, value)| (*name, Value::from_json(value)));
        match expression.evaluate(&Names(names.collect())) {
            Ok(Value::Str(text)) => Ok(text.to_string()),
            // Names of functions and modules are words that stand for themselves.
            Ok(Value::Other(_)) => itself(),
            Ok(other) => {
                let message = format!("`{}` comes to a {}, not to a str", self.text, other.type_name());
                Err(EvalError { fault: Fault::Type, message })
            }
            Err(error) if matches!(error.fault, Fault::Limit | Fault::Unsupported) => Err(error),
            Err(_) => itself(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_mean_themselves_unless_they_are_expressions() {
        let sample = json!({"id": "i-1", "flavor": {"id": "m1"}});
        let render = |text: &str| Template::new(text).render(&[("sample", &sample)]);
        for (text, expected) in [
            ("servers/detail?all_tenants=true", "servers/detail?all_tenants=true"),
            ("v1/test/endpoint/fake", "v1/test/endpoint/fake"),
            ("servers", "servers"),
            ("json", "json"),
            ("'flavors/' + str(sample['flavor']['id'])", "flavors/m1"),
            ("f\"/v2/{sample['id']}\"", "/v2/i-1"),
            ("'flavors/' + sample['nothing']", "'flavors/' + sample['nothing']"),
            ("echo \"a b\"", "echo \"a b\""),
        ] {
            assert_eq!(render(text), Ok(expected.to_owned()), "{text}");
        }
        assert_eq!(render("7").unwrap_err().to_string(), "TypeError: `7` comes to a int, not to a str");
        assert_eq!(render("'a' * 10**9").unwrap_err().fault, Fault::Limit);
    }
}
