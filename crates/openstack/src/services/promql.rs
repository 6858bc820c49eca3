//! Narrowing of PromQL: a label is asked for in every selector of a query, so that it sees one project's series.
//!
//! The query is read token by token, as far as it takes to know which words are metrics. What cannot be read for certain
//! is refused, never sent: a selector that is not narrowed would show other projects' series.

mod lexer;

use lexer::{Kind, Token, tokens};

/// Why a query cannot be narrowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query cannot be narrowed to a project: {0}")]
pub struct PromqlError(String);

/// Operators that are words, between operands.
const WORDS_BETWEEN: [&str; 4] = ["and", "or", "unless", "atan2"];
/// Words behind an operator that have a list of labels, or may have one.
const WORDS_OF_LABELS: [&str; 4] = ["on", "ignoring", "group_left", "group_right"];
/// Aggregations, which may have their labels before their operand.
const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];

/// A function that reads series which no selector names, to take labels from them.
const READS_MORE: &str = "info";

/// What is to come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Operand,
    Operator,
}

/// `query` with `label="value"` asked for in every selector.
///
/// # Errors
/// A query that is not understood, or a label that cannot be one.
pub fn narrow(query: &str, label: &str, value: &str) -> Result<String, PromqlError> {
    let mut chars = label.chars();
    let is_name = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(PromqlError(format!("`{label}` is no name of a label")));
    }
    let tokens = tokens(query).map_err(PromqlError)?;
    let matcher = format!("{label}={}", quoted(value));
    Rewriter { query, tokens, at: 0, depth: 0, copied: 0, out: String::new(), matcher }.run()
}

/// A string of PromQL that says `text`.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Rewriter<'a> {
    query: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// So much of the query is in `out`.
    copied: usize,
    out: String,
    matcher: String,
}

impl<'a> Rewriter<'a> {
    fn run(mut self) -> Result<String, PromqlError> {
        let mut want = Want::Operand;
        while let Some(token) = self.peek(0) {
            want = match want {
                Want::Operand => self.operand(token)?,
                Want::Operator => self.operator(token)?,
            };
        }
        if want == Want::Operand || self.depth > 0 {
            return Err(PromqlError("it ends too early".to_owned()));
        }
        self.copy_to(self.query.len());
        Ok(self.out)
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn next_is(&self, ahead: usize, text: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.kind == Kind::Sign && token.text == text)
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push_str(&self.query[self.copied..end]);
        self.copied = end;
    }

    fn odd(token: Token<'_>) -> PromqlError {
        PromqlError(format!("`{}` is not expected at byte {}", token.text, token.start))
    }

    fn operand(&mut self, token: Token<'a>) -> Result<Want, PromqlError> {
        match (token.kind, token.text) {
            (Kind::Number | Kind::Text, _) => {
                self.at += 1;
                Ok(Want::Operator)
            }
            (Kind::Sign, "+" | "-") => {
                self.at += 1;
                Ok(Want::Operand)
            }
            (Kind::Sign, "(") => {
                self.open();
                Ok(Want::Operand)
            }
            // A function without arguments.
            (Kind::Sign, ")") if self.at > 0 && self.is_call_before() => {
                self.close(token)?;
                Ok(Want::Operator)
            }
            (Kind::Sign, "{") => {
                self.braces()?;
                Ok(Want::Operator)
            }
            (Kind::Word, word) => self.word(token, word),
            _ => Err(Self::odd(token)),
        }
    }

    /// Whether the parenthesis before this token opened a call.
    fn is_call_before(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
        before(1).is_some_and(|token| token.kind == Kind::Sign && token.text == "(")
            && before(2).is_some_and(|token| token.kind == Kind::Word)
    }

    fn word(&mut self, token: Token<'a>, word: &str) -> Result<Want, PromqlError> {
        let lower = word.to_ascii_lowercase();
        let is_aggregation = AGGREGATIONS.contains(&lower.as_str());
        if is_aggregation && self.label_word(1) {
            self.at += 1;
            self.labels()?;
            let opened = self.peek(0).filter(|_| self.next_is(0, "("));
            opened.ok_or_else(|| Self::odd(token))?;
            self.open();
            return Ok(Want::Operand);
        }
        if self.next_is(1, "(") {
            if lower == READS_MORE {
                return Err(PromqlError(format!("`{word}` reads series that no selector names")));
            }
            self.at += 1;
            self.open();
            return Ok(Want::Operand);
        }
        self.at += 1;
        if matches!(lower.as_str(), "inf" | "nan") && !self.next_is(0, "{") {
            return Ok(Want::Operator);
        }
        if self.next_is(0, "{") {
            self.braces()?;
        } else {
            self.copy_to(token.start + token.text.len());
            self.out.push_str(&format!("{{{}}}", self.matcher));
        }
        Ok(Want::Operator)
    }

    /// Whether a word before a list of labels stands there, with its list.
    fn label_word(&self, ahead: usize) -> bool {
        let is_word = self.peek(ahead).is_some_and(|token| {
            token.kind == Kind::Word && matches!(token.text.to_ascii_lowercase().as_str(), "by" | "without")
        });
        is_word && self.next_is(ahead + 1, "(")
    }

    fn operator(&mut self, token: Token<'a>) -> Result<Want, PromqlError> {
        match (token.kind, token.text) {
            (Kind::Sign, ")") => {
                self.close(token)?;
                Ok(Want::Operator)
            }
            (Kind::Sign, ",") if self.depth > 0 => {
                self.at += 1;
                Ok(Want::Operand)
            }
            (Kind::Sign, "[") => self.range(),
            (Kind::Sign, "@") => self.at_modifier(),
            (Kind::Sign, "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | "<" | ">" | "<=" | ">=") => {
                self.between()
            }
            (Kind::Word, word) => self.operator_word(token, &word.to_ascii_lowercase()),
            _ => Err(Self::odd(token)),
        }
    }

    fn operator_word(&mut self, token: Token<'a>, word: &str) -> Result<Want, PromqlError> {
        match word {
            _ if WORDS_BETWEEN.contains(&word) => self.between(),
            "offset" => {
                self.at += 1;
                if self.next_is(0, "-") || self.next_is(0, "+") {
                    self.at += 1;
                }
                let span = self.peek(0).filter(|token| token.kind == Kind::Number);
                span.ok_or_else(|| Self::odd(token))?;
                self.at += 1;
                Ok(Want::Operator)
            }
            "by" | "without" if self.next_is(1, "(") => {
                self.labels()?;
                Ok(Want::Operator)
            }
            _ => Err(Self::odd(token)),
        }
    }

    /// An operator between operands, with what says how they are matched.
    fn between(&mut self) -> Result<Want, PromqlError> {
        self.at += 1;
        while let Some(token) = self.peek(0).filter(|token| token.kind == Kind::Word) {
            let word = token.text.to_ascii_lowercase();
            let is_of_labels = WORDS_OF_LABELS.contains(&word.as_str());
            // `bool (` reads like a call, which comes to the same.
            let is_bool = word == "bool" && !self.next_is(1, "(") && !self.next_is(1, "{");
            if is_of_labels && self.next_is(1, "(") {
                self.labels()?;
            } else if (is_bool || (is_of_labels && word.starts_with("group_"))) && self.more_follows() {
                self.at += 1;
            } else {
                break;
            }
        }
        Ok(Want::Operand)
    }

    /// Whether an operand begins behind this token.
    fn more_follows(&self) -> bool {
        self.peek(1).is_some_and(|token| match token.kind {
            Kind::Word | Kind::Number | Kind::Text => true,
            Kind::Sign => matches!(token.text, "(" | "{" | "-" | "+"),
        })
    }

    /// A word and its list of labels.
    fn labels(&mut self) -> Result<(), PromqlError> {
        self.at += 2;
        while let Some(token) = self.peek(0) {
            self.at += 1;
            match (token.kind, token.text) {
                (Kind::Sign, ")") => return Ok(()),
                (Kind::Word | Kind::Text, _) | (Kind::Sign, ",") => {}
                _ => return Err(Self::odd(token)),
            }
        }
        Err(PromqlError("a list of labels does not end".to_owned()))
    }

    /// The braces of a selector, in which the label is asked for first.
    fn braces(&mut self) -> Result<(), PromqlError> {
        let open = self.at;
        let mut at = open + 1;
        while let Some(token) = self.tokens.get(at).copied() {
            match (token.kind, token.text) {
                (Kind::Sign, "}") => {
                    let is_empty = at == open + 1;
                    self.copy_to(self.tokens[open].start + 1);
                    let matcher = self.matcher.clone();
                    self.out.push_str(&matcher);
                    if !is_empty {
                        self.out.push(',');
                    }
                    self.at = at + 1;
                    return Ok(());
                }
                // Other systems know alternatives in braces; the label would hold for one of them only.
                (Kind::Word, word) if word.eq_ignore_ascii_case("or") && !self.is_label(at) => {
                    return Err(Self::odd(token));
                }
                (Kind::Word | Kind::Text, _) | (Kind::Sign, "=" | "!=" | "=~" | "!~" | ",") => at += 1,
                _ => return Err(Self::odd(token)),
            }
        }
        Err(PromqlError("a brace is not closed".to_owned()))
    }

    /// Whether the token is compared with something.
    fn is_label(&self, at: usize) -> bool {
        let next = self.tokens.get(at + 1);
        next.is_some_and(|token| token.kind == Kind::Sign && token.text.contains(['=', '~']))
    }

    /// `[5m]`, `[1h:5m]`, `[1h:]`.
    fn range(&mut self) -> Result<Want, PromqlError> {
        self.at += 1;
        while let Some(token) = self.peek(0) {
            self.at += 1;
            match (token.kind, token.text) {
                (Kind::Sign, "]") => return Ok(Want::Operator),
                (Kind::Number, _) | (Kind::Sign, ":") => {}
                _ => return Err(Self::odd(token)),
            }
        }
        Err(PromqlError("a bracket is not closed".to_owned()))
    }

    /// `@ 1609746000`, `@ start()`, `@ end()`.
    fn at_modifier(&mut self) -> Result<Want, PromqlError> {
        let sign = self.tokens[self.at];
        self.at += 1;
        if self.next_is(0, "-") || self.next_is(0, "+") {
            self.at += 1;
        }
        match self.peek(0) {
            Some(token) if token.kind == Kind::Number => self.at += 1,
            Some(token)
                if matches!(token.text.to_ascii_lowercase().as_str(), "start" | "end")
                    && self.next_is(1, "(")
                    && self.next_is(2, ")") =>
            {
                self.at += 3;
            }
            _ => return Err(Self::odd(sign)),
        }
        Ok(Want::Operator)
    }

    fn open(&mut self) {
        self.depth += 1;
        self.at += 1;
    }

    fn close(&mut self, token: Token<'_>) -> Result<(), PromqlError> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| Self::odd(token))?;
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
