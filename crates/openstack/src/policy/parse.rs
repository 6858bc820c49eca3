//! The parser of oslo.policy's rule language: `and`, `or`, `not`, parentheses, `@`, `!` and `kind:match` checks, and of
//! its older form, a list of lists (or of ands).

use super::check::{Check, Piece, Template};
use super::file::RuleList;

/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 64;

/// Why a rule does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    #[error("ends where a check is expected")]
    UnexpectedEnd,
    #[error("unexpected `{0}`")]
    Unexpected(String),
    #[error("parentheses and `not` nest deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("`{0}` is no check: expected kind:match, @ or !")]
    NoCheck(String),
    #[error("`{0}`: only %(name)s can follow a % (write %% for a percent sign)")]
    Template(String),
    #[error("`{0}`: checks by another server (http:, https:) are not supported")]
    Remote(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(&'a str),
    /// A word in quotes, which is no check.
    Quoted(&'a str),
}

/// Parses a rule as text; empty means that everybody may.
pub(super) fn parse_text(text: &str) -> Result<Check, ParseError> {
    if text.is_empty() {
        return Ok(Check::Always);
    }
    let tokens = tokenize(text);
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let check = parser.any_of()?;
    match parser.peek() {
        None => Ok(check),
        Some(token) => Err(ParseError::Unexpected(show(token).to_owned())),
    }
}

/// Parses a rule as a list of lists of checks: one list must hold, all of its checks. An empty list means everybody.
pub(super) fn parse_lists(lists: &[RuleList]) -> Result<Check, ParseError> {
    if lists.is_empty() {
        return Ok(Check::Always);
    }
    let mut any = Vec::new();
    for list in lists {
        let checks: &[String] = match list {
            RuleList::One(check) => std::slice::from_ref(check),
            RuleList::All(checks) => checks,
        };
        if !checks.is_empty() {
            let all = checks.iter().map(|check| parse_check(check)).collect::<Result<_, _>>()?;
            any.push(single_or(all, Check::And));
        }
    }
    Ok(if any.is_empty() { Check::Never } else { single_or(any, Check::Or) })
}

/// Words are separated by white space; parentheses at their edges stand for themselves, those inside belong to them.
fn tokenize(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let without_open = word.trim_start_matches('(');
        tokens.extend((without_open.len()..word.len()).map(|_| Token::Open));
        let clean = without_open.trim_end_matches(')');
        if !clean.is_empty() {
            tokens.push(match clean.to_ascii_lowercase().as_str() {
                "and" => Token::And,
                "or" => Token::Or,
                "not" => Token::Not,
                _ if is_quoted(without_open) => Token::Quoted(clean),
                _ => Token::Check(clean),
            });
        }
        tokens.extend((clean.len()..without_open.len()).map(|_| Token::Close));
    }
    tokens
}

/// Whether a word begins and ends with the same quote, which makes it a string for oslo.policy: no check at all.
fn is_quoted(word: &str) -> bool {
    word.len() >= 2 && ['\'', '"'].iter().any(|quote| word.starts_with(*quote) && word.ends_with(*quote))
}

fn show<'a>(token: Token<'a>) -> &'a str {
    match token {
        Token::Open => "(",
        Token::Close => ")",
        Token::And => "and",
        Token::Or => "or",
        Token::Not => "not",
        Token::Check(text) | Token::Quoted(text) => text,
    }
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        let taken = self.peek() == Some(token);
        self.at += usize::from(taken);
        taken
    }

    fn any_of(&mut self) -> Result<Check, ParseError> {
        let mut checks = vec![self.all_of()?];
        while self.take(Token::Or) {
            checks.push(self.all_of()?);
        }
        Ok(single_or(checks, Check::Or))
    }

    fn all_of(&mut self) -> Result<Check, ParseError> {
        let mut checks = vec![self.one()?];
        while self.take(Token::And) {
            checks.push(self.one()?);
        }
        Ok(single_or(checks, Check::And))
    }

    fn one(&mut self) -> Result<Check, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        let token = self.peek().ok_or(ParseError::UnexpectedEnd)?;
        self.at += 1;
        let check = match token {
            Token::Check(text) => parse_check(text)?,
            Token::Quoted(text) => return Err(ParseError::NoCheck(text.to_owned())),
            Token::Not => Check::Not(Box::new(self.one()?)),
            Token::Open => {
                let inner = self.any_of()?;
                if !self.take(Token::Close) {
                    return Err(match self.peek() {
                        Some(token) => ParseError::Unexpected(show(token).to_owned()),
                        None => ParseError::UnexpectedEnd,
                    });
                }
                inner
            }
            _ => return Err(ParseError::Unexpected(show(token).to_owned())),
        };
        self.depth -= 1;
        Ok(check)
    }
}

fn single_or(mut checks: Vec<Check>, join: impl Fn(Vec<Check>) -> Check) -> Check {
    match checks.pop() {
        Some(only) if checks.is_empty() => only,
        last => {
            checks.extend(last);
            join(checks)
        }
    }
}

fn parse_check(text: &str) -> Result<Check, ParseError> {
    match text {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let no_check = || ParseError::NoCheck(text.to_owned());
    let (kind, matched) = text.split_once(':').ok_or_else(no_check)?;
    match kind {
        "" => Err(no_check()),
        "rule" => Ok(Check::Rule(matched.to_owned())),
        "role" => Ok(Check::Role(parse_template(matched)?)),
        "http" | "https" => Err(ParseError::Remote(text.to_owned())),
        _ => {
            let equals = parse_template(matched)?;
            Ok(match literal(kind) {
                Some(text) => Check::Literal { written: kind.to_owned(), text, equals },
                None => Check::Caller { attribute: kind.to_owned(), equals },
            })
        }
    }
}

/// The text of a literal as Python prints it: a quoted string, `None`, `True`, `False` or a number.
fn literal(kind: &str) -> Option<String> {
    for quote in ['\'', '"'] {
        if let Some(inner) = kind.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Some(inner.to_owned());
        }
    }
    if matches!(kind, "None" | "True" | "False") {
        return Some(kind.to_owned());
    }
    kind.parse::<i64>().ok().map(|number| number.to_string())
}

fn parse_template(text: &str) -> Result<Template, ParseError> {
    let bad = || ParseError::Template(text.to_owned());
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        if let Some(after_percent) = after.strip_prefix('%') {
            pieces.push(Piece::Text("%".to_owned()));
            rest = after_percent;
        } else {
            let (name, after_name) =
                after.strip_prefix('(').and_then(|inner| inner.split_once(")s")).ok_or_else(bad)?;
            pieces.push(Piece::Target(name.to_owned()));
            rest = after_name;
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(Template(pieces))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(attribute: &str, name: &str) -> Check {
        let equals = Template(vec![Piece::Target(name.to_owned())]);
        Check::Caller { attribute: attribute.to_owned(), equals }
    }

    fn role(name: &str) -> Check {
        Check::Role(Template(vec![Piece::Text(name.to_owned())]))
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        let parsed = parse_text("role:a or not role:b AND (role:c or project_id:%(project_id)s)").unwrap();
        let inner = Check::Or(vec![role("c"), caller("project_id", "project_id")]);
        let expected = Check::Or(vec![role("a"), Check::And(vec![Check::Not(Box::new(role("b"))), inner])]);
        assert_eq!(parsed, expected);
        assert_eq!(parse_text("((user:%(creator)s))"), Ok(caller("user", "creator")));
    }

    #[test]
    fn literals_and_percent_signs() {
        assert_eq!(
            parse_text("'Member':%(role.name)s"),
            Ok(Check::Literal {
                written: "'Member'".to_owned(),
                text: "Member".to_owned(),
                equals: Template(vec![Piece::Target("role.name".into())])
            })
        );
        let Ok(Check::Role(template)) = parse_text("role:50%%%(x)s!") else { panic!() };
        assert_eq!(template.0.len(), 4);
    }

    #[test]
    fn lists_are_ors_of_ands() {
        let lists = [RuleList::All(vec!["role:a".into(), "role:b".into()]), RuleList::One("role:c".into())];
        let expected = Check::Or(vec![Check::And(vec![role("a"), role("b")]), role("c")]);
        assert_eq!(parse_lists(&lists), Ok(expected));
        assert_eq!(parse_lists(&[]), Ok(Check::Always));
        assert_eq!(parse_lists(&[RuleList::All(Vec::new())]), Ok(Check::Never));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            (" ", "ends where"),
            ("role:a or", "ends where"),
            ("role:a role:b", "unexpected `role:b`"),
            ("(role:a", "ends where"),
            ("role:a)", "unexpected `)`"),
            ("admin", "no check"),
            ("'a:b'", "no check"),
            ("'a':'b'", "no check"),
            (":x", "no check"),
            ("http://server/%(name)s", "not supported"),
            ("role:%s", "only %(name)s"),
            ("and", "unexpected `and`"),
        ] {
            let error = parse_text(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(parse_text(&"(".repeat(100_000)), Err(ParseError::TooDeep));
        assert_eq!(parse_text(&"not ".repeat(100_000)), Err(ParseError::TooDeep));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = parse_text(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(words in prop::collection::vec(
            prop::sample::select(vec!["(", ")", "and", "or", "not", "@", "!", "role:a", "rule:b", "a:%(b)s", "'x':%%"]), 0..40)) {
            if let Ok(check) = parse_text(&words.join(" ")) {
                prop_assert_eq!(parse_text(&check.to_string()), Ok(check));
            }
            let _ = parse_text(&words.concat());
        }
    }
}
