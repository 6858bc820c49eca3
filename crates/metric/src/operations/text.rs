//! Operations written as an s-expression, read into the same lists that JSON gives.

use serde_json::Value;

/// How deep expressions may be nested.
const MAX_DEPTH: usize = 64;

/// The first expression of `text` as nested lists of words. What follows it is ignored. Words end at white space and
/// parentheses, or are quoted. Errors with a reason in upstream's form.
pub(super) fn parse_expression(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    if !reader.rest().starts_with('(') {
        return Err(reader.expected("'('"));
    }
    reader.list(0)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> String {
        let before = &self.text[..self.at];
        let position = before.chars().count();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let word = self.rest().split(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let found = if word.is_empty() { "end of text".to_owned() } else { format!("'{word}'") };
        format!("Expected {what}, found {found}  (at char {position}), (line:{line}, col:{column})")
    }

    /// Reads on from an opening parenthesis.
    fn list(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(self.expected("expressions that are nested less deeply"));
        }
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.skip_space();
            match self.rest().chars().next() {
                None => return Err(self.expected("')'")),
                Some('(') => elements.push(self.list(depth + 1)?),
                Some(')') => {
                    self.at += 1;
                    return Ok(Value::Array(elements));
                }
                Some(c) => elements.push(Value::String(self.word(c).to_owned())),
            }
        }
    }

    fn word(&mut self, first: char) -> &'a str {
        let rest = self.rest();
        if matches!(first, '"' | '\'')
            && let Some(end) = rest[1..].find(first)
        {
            self.at += end + 2;
            return &rest[1..=end];
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_first_expression() {
        for (text, expected) in [
            ("(metric a mean)", json!(["metric", "a", "mean"])),
            (
                " ( + (metric (a mean)(b max)) 2 ) extra)",
                json!(["+", ["metric", ["a", "mean"], ["b", "max"]], "2"]),
            ),
            ("(metric \"a b\" 'c)')", json!(["metric", "a b", "c)"])),
            ("()", json!([])),
            ("(a)(b)", json!(["a"])),
        ] {
            assert_eq!(parse_expression(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("2", "Expected '(', found '2'  (at char 0), (line:1, col:1)"),
            ("(metric a mean", "Expected ')', found end of text  (at char 14), (line:1, col:15)"),
            ("", "Expected '(', found end of text  (at char 0), (line:1, col:1)"),
        ] {
            assert_eq!(parse_expression(text), Err(expected.to_owned()), "{text}");
        }
        assert!(parse_expression(&"(".repeat(1_000_000)).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[() a\"'é\n]{0,40}") {
            let _ = parse_expression(&text);
        }
    }
}
