//! Resource filters in their text form: `flavor = "m1" and not (host in [a, b] or ended_at = null)`.

use nephometer_model::Filter;
use serde_json::Value;

use super::QueryError;
use super::json::{entry, parse_filter};

/// How deep conditions may be nested.
const MAX_DEPTH: usize = 64;

/// The condition that `text` states.
///
/// Words bind from tightest to loosest: `not`, `and`, `∧`, `or`, `∨`. Values are `null`, `true`, `false`, numbers,
/// UUIDs, bare words, quoted text and lists. As upstream's grammar, but `==` is accepted and words end where
/// identifiers end, so that attributes such as `notes` or `nullable` can be named. What is found is checked by the
/// rules of the JSON form.
pub fn parse_filter_text(text: &str, creator: Option<&str>) -> Result<Filter, QueryError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let query = parser.level(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.expected("end of text"));
    }
    Ok(parse_filter(&query, creator)?)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// Operators between conditions, loosest first.
const LEVELS: [&str; 4] = ["∨", "or", "∧", "and"];

/// Operators inside conditions; longer ones before their beginnings.
const COMPARISONS: [&str; 18] =
    [">=", "<=", "!=", ">", "<", "==", "=", "eq", "ne", "lt", "gt", "ge", "le", "in", "like", "≠", "≥", "≤"];

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> QueryError {
        let before = &self.text[..self.at];
        let position = before.chars().count();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let found = match self.rest().chars().next() {
            Some(c) => format!("'{c}'"),
            None => "end of text".to_owned(),
        };
        QueryError::Syntax(format!(
            "Expected {what}, found {found}  (at char {position}), (line:{line}, col:{column})"
        ))
    }

    /// Takes `token` where it stands next; a word only where no longer identifier stands there.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let Some(after) = self.rest().strip_prefix(token) else { return false };
        let is_word = token.as_bytes()[0].is_ascii_alphabetic();
        if is_word && after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        self.at += token.len();
        true
    }

    /// Conditions joined by the operator of `level` and by tighter ones.
    fn level(&mut self, level: usize) -> Result<Value, QueryError> {
        let Some(operator) = LEVELS.get(level) else { return self.negation() };
        let mut operands = vec![self.level(level + 1)?];
        while self.take(operator) {
            operands.push(self.level(level + 1)?);
        }
        if operands.len() == 1 {
            return Ok(operands.remove(0));
        }
        Ok(entry(*operator, Value::Array(operands)))
    }

    fn negation(&mut self) -> Result<Value, QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.expected("conditions that are nested less deeply"));
        }
        let start = self.at;
        // An attribute may itself be called `not`.
        let parsed = if self.take("not") && !self.at_comparison() {
            entry("not", self.negation()?)
        } else {
            self.at = start;
            self.atom()?
        };
        self.depth -= 1;
        Ok(parsed)
    }

    fn at_comparison(&mut self) -> bool {
        self.skip_space();
        let at = self.at;
        let found = self.comparison().is_some();
        self.at = at;
        found
    }

    fn atom(&mut self) -> Result<Value, QueryError> {
        if !self.take("(") {
            return self.condition();
        }
        let inner = self.level(0)?;
        if self.take(")") { Ok(inner) } else { Err(self.expected("')'")) }
    }

    fn comparison(&mut self) -> Option<&'static str> {
        COMPARISONS.into_iter().find(|operator| self.take(operator))
    }

    fn condition(&mut self) -> Result<Value, QueryError> {
        let attribute = match self.term()? {
            Value::String(name) => name,
            other => other.to_string(),
        };
        let operator = self.comparison().ok_or_else(|| self.expected("operator"))?;
        let value = self.term()?;
        Ok(entry(operator, entry(attribute, value)))
    }

    fn term(&mut self) -> Result<Value, QueryError> {
        self.skip_space();
        let rest = self.rest();
        if let Some(length) = uuid_length(rest) {
            return Ok(self.text_term(length));
        }
        let word =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
        match rest.as_bytes().first() {
            Some(b'A'..=b'Z' | b'a'..=b'z') => Ok(match self.text_term(word) {
                Value::String(text) if matches!(text.as_str(), "None" | "none" | "null") => Value::Null,
                Value::String(text) if matches!(text.as_str(), "True" | "true") => Value::Bool(true),
                Value::String(text) if matches!(text.as_str(), "False" | "false") => Value::Bool(false),
                text => text,
            }),
            Some(b'0'..=b'9' | b'+' | b'-') => self.number(),
            Some(quote @ (b'"' | b'\'')) => self.quoted(char::from(*quote)),
            Some(b'[') => self.list(),
            _ => Err(self.expected("value")),
        }
    }

    fn text_term(&mut self, length: usize) -> Value {
        let text = &self.rest()[..length];
        self.at += length;
        Value::String(text.to_owned())
    }

    fn number(&mut self) -> Result<Value, QueryError> {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sign = usize::from(matches!(bytes[0], b'+' | b'-'));
        let mut length = sign + digits(sign);
        if length == sign {
            return Err(self.expected("number"));
        }
        if bytes.get(length) == Some(&b'.') {
            length += 1 + digits(length + 1);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = bytes.get(length + 1 + sign..).map_or(0, |_| digits(length + 1 + sign));
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let parsed = self.rest()[..length].parse::<f64>().ok().and_then(serde_json::Number::from_f64);
        let number = parsed.ok_or_else(|| self.expected("number"))?;
        self.at += length;
        Ok(Value::Number(number))
    }

    fn quoted(&mut self, quote: char) -> Result<Value, QueryError> {
        let inner = &self.rest()[1..];
        let end = inner.find([quote, '\n', '\r']).filter(|end| inner[*end..].starts_with(quote));
        let end = end.ok_or_else(|| self.expected("closed quotes"))?;
        self.at += end + 2;
        Ok(Value::String(inner[..end].to_owned()))
    }

    fn list(&mut self) -> Result<Value, QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.expected("lists that are nested less deeply"));
        }
        self.at += 1;
        let mut values = Vec::new();
        if !self.take("]") {
            loop {
                values.push(self.term()?);
                if !self.take(",") {
                    break;
                }
            }
            if !self.take("]") {
                return Err(self.expected("']'"));
            }
        }
        self.depth -= 1;
        Ok(Value::Array(values))
    }
}

/// Length of the UUID at the start of `text`: 8-4-4-4-12 hexadecimal digits, each dash optional.
fn uuid_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    for (group, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if group > 0 && bytes.get(at) == Some(&b'-') {
            at += 1;
        }
        let field = bytes.get(at..at + digits)?;
        if !field.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        at += digits;
    }
    let ends = bytes.get(at).is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'_');
    ends.then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn same(text: &str, query: &Value) {
        assert_eq!(parse_filter_text(text, None).unwrap(), parse_filter(query, None).unwrap(), "{text}");
    }

    #[test]
    fn means_what_json_means() {
        same(
            "foo=7EED6CC3-EDC8-48C9-8EF6-8A36B9ACC91C",
            &json!({"=": {"foo": "7EED6CC3-EDC8-48C9-8EF6-8A36B9ACC91C"}}),
        );
        same(
            "foo=7EED6CC3EDC848C98EF68A36B9ACC91C",
            &json!({"=": {"foo": "7EED6CC3EDC848C98EF68A36B9ACC91C"}}),
        );
        same("foo=bar", &json!({"=": {"foo": "bar"}}));
        same("foo!=1", &json!({"!=": {"foo": 1.0}}));
        same("foo like '%foo'", &json!({"like": {"foo": "%foo"}}));
        same("foo >= -5.5e3", &json!({">=": {"foo": -5500.0}}));
        same("foo≠null", &json!({"≠": {"foo": null}}));
        same(
            "notes == 'a' and nullable=True",
            &json!({"and": [{"=": {"notes": "a"}}, {"=": {"nullable": true}}]}),
        );
        same("not = 1", &json!({"=": {"not": 1.0}}));
        same("foo in ['a', b, 3]", &json!({"in": {"foo": ["a", "b", 3.0]}}));
        same(
            "not (foo = bar or foo = 2)",
            &json!({"not": {"or": [{"=": {"foo": "bar"}}, {"=": {"foo": 2.0}}]}}),
        );
        same(
            "foo=\"quote\" or not foo=b and z>3 ∨ y<1",
            &json!({"∨": [{"or": [{"=": {"foo": "quote"}},
                {"and": [{"not": {"=": {"foo": "b"}}}, {">": {"z": 3.0}}]}]}, {"<": {"y": 1.0}}]}),
        );
        same(
            "a=1 and b=2 and c=3",
            &json!({"and": [{"=": {"a": 1.0}}, {"=": {"b": 2.0}}, {"=": {"c": 3.0}}]}),
        );
    }

    #[test]
    fn refuses_with_upstreams_prefix() {
        for text in ["", "id", "id foo bar", "id =", "(a=1", "a=1 b=2", "a='x", "a in [1", "a = -", "and"] {
            let error = parse_filter_text(text, None).unwrap_err().to_string();
            assert!(error.starts_with("Invalid filter: Expected "), "{text}: {error}");
        }
        let error = parse_filter_text("a in []", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "length of value must be at least 1 for dictionary value @ data['in']['a']"
        );
        assert!(parse_filter_text(&"(".repeat(100_000), None).is_err());
        assert!(parse_filter_text(&"not ".repeat(100_000), None).is_err());
        assert!(parse_filter_text(&format!("a in {}", "[".repeat(100_000)), None).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = parse_filter_text(&text, None);
        }

        #[test]
        fn never_panics_near_the_grammar(words in proptest::collection::vec(
            prop_oneof![Just("not"), Just("and"), Just("or"), Just("("), Just(")"), Just("="), Just("in"), Just("["),
                Just("]"), Just(","), Just("a"), Just("1.e"), Just("1e+"), Just("'"), Just("\"x\""), Just("∧"), Just("null")],
            0..20,
        ), glue in prop_oneof![Just(""), Just(" ")]) {
            let _ = parse_filter_text(&words.join(glue), None);
        }
    }
}
