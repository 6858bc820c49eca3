//! Tokens of PromQL.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name: of a metric, a label, a function, or a word of the language.
    Word,
    /// A number or a span of time.
    Number,
    /// A quoted string.
    Text,
    /// Anything else.
    Sign,
}

/// A token, and where it begins in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) start: usize,
}

const SIGNS: [&str; 22] = [
    "==", "!=", "=~", "!~", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "+", "-", "*", "/", "%", "^", "@",
    "<", ">",
];

/// Cuts a query into tokens; blanks and comments go.
pub(super) fn tokens(query: &str) -> Result<Vec<Token<'_>>, String> {
    let (mut tokens, mut start) = (Vec::new(), 0);
    let mut in_brackets = false;
    while let Some(first) = query[start..].chars().next() {
        let rest = &query[start..];
        let (kind, length) = match first {
            ' ' | '\t' | '\r' | '\n' => {
                start += 1;
                continue;
            }
            '#' => {
                start += comment(rest)?;
                continue;
            }
            '"' | '\'' | '`' => (Kind::Text, string(rest, first)?),
            'a'..='z' | 'A'..='Z' | '_' => (Kind::Word, while_name(rest)),
            // In brackets a colon parts a span from a step; elsewhere it begins a name.
            ':' if !in_brackets => (Kind::Word, while_name(rest)),
            '0'..='9' | '.' => (Kind::Number, number(rest)),
            ':' | '=' => (Kind::Sign, if rest.starts_with("==") || rest.starts_with("=~") { 2 } else { 1 }),
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| format!("`{first}` at byte {start} is no part of PromQL"))?;
                (Kind::Sign, sign.len())
            }
        };
        let text = &rest[..length];
        match text {
            "[" => in_brackets = true,
            "]" => in_brackets = false,
            _ => {}
        }
        tokens.push(Token { kind, text, start });
        start += length;
    }
    Ok(tokens)
}

/// The length of a comment up to the end of its line. Prometheus ends it at a carriage return, too, and others do not: what
/// is behind one would be read in two ways.
fn comment(text: &str) -> Result<usize, String> {
    let line = text.split('\n').next().unwrap_or(text);
    let ended = line.len() < text.len();
    let said = if ended { line.strip_suffix('\r').unwrap_or(line) } else { line };
    if said.contains('\r') {
        return Err("a comment has a carriage return in it".to_owned());
    }
    Ok(line.len())
}

fn while_name(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len())
}

/// The length of a number or span: `1`, `1.5e-3`, `0x1F`, `1h30m`, `5m`.
fn number(text: &str) -> usize {
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let is_sign_of_exponent = matches!(byte, b'+' | b'-')
            && !is_hex
            && end > 0
            && matches!(bytes[end - 1], b'e' | b'E')
            && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || is_sign_of_exponent) {
            break;
        }
        end += 1;
    }
    end
}

/// The length of a string with its quotes.
fn string(text: &str, quote: char) -> Result<usize, String> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            '\n' if quote != '`' => break,
            _ if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err("a string does not end".to_owned())
}
