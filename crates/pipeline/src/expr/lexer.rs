//! Texts of expressions as tokens.

use super::error::ExpressionSyntaxError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Int(i128),
    Float(f64),
    Text(String),
    /// The text between the quotes of an f-string.
    FString {
        text: String,
        raw: bool,
    },
    Name(String),
    Symbol(&'static str),
    End,
}

/// Symbols, the longer ones before those they begin with.
const SYMBOLS: [&str; 37] = [
    "**", "//", "==", "!=", "<=", ">=", "<<", ">>", ":=", "->", "...", "+", "-", "*", "/", "%", "<", ">",
    "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "&", "|", "^", "~", "@", ";", "!", "?", "$",
];

/// A token and the byte at which it begins.
pub(super) type Placed = (Token, usize);

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, ExpressionSyntaxError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    loop {
        lexer.skip_space();
        let at = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        out.push((token, at));
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error<T>(&self, message: impl Into<String>, at: usize) -> Result<T, ExpressionSyntaxError> {
        Err(ExpressionSyntaxError::new(message, self.text, at))
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']).len();
    }

    fn next(&mut self) -> Result<Token, ExpressionSyntaxError> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        let second = self.rest()[first.len_utf8()..].chars().next();
        if first.is_ascii_digit() || (first == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        if let Some(prefix) = self.text_prefix() {
            return self.text(&prefix);
        }
        if first == '_' || first.is_alphabetic() {
            let rest = self.rest();
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            let name = rest[..end].to_owned();
            self.at += end;
            return Ok(Token::Name(name));
        }
        match SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => self.error(format!("unexpected character `{first}`"), self.at),
        }
    }

    fn digits(&mut self, accept: impl Fn(char) -> bool) -> Result<String, ExpressionSyntaxError> {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !accept(c)).unwrap_or(rest.len());
        let digits = rest[..end].to_owned();
        self.at += end;
        if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
            return self.error("invalid number", start);
        }
        Ok(digits.replace('_', ""))
    }

    fn number(&mut self) -> Result<Token, ExpressionSyntaxError> {
        let start = self.at;
        let lower = self.rest().get(..2).unwrap_or_default().to_ascii_lowercase();
        if let Some(radix) = [("0x", 16), ("0o", 8), ("0b", 2)].iter().find(|(prefix, _)| lower == *prefix) {
            self.at += 2;
            if self.peek() == Some('_') {
                self.at += 1;
            }
            let digits = self.digits(|c| c.is_digit(radix.1))?;
            return match i128::from_str_radix(&digits, radix.1) {
                Ok(value) => self.number_end(Token::Int(value), start),
                Err(_) => self.error("invalid number", start),
            };
        }
        let mut text = self.digits(|c| c.is_ascii_digit())?;
        let mut whole = true;
        if self.peek() == Some('.') {
            whole = false;
            self.at += 1;
            text.push('.');
            text.push_str(&self.digits(|c| c.is_ascii_digit())?);
        }
        if let Some('e' | 'E') = self.peek() {
            let sign = self.rest()[1..].starts_with(['+', '-']);
            if self.rest()[1 + usize::from(sign)..].starts_with(|c: char| c.is_ascii_digit()) {
                whole = false;
                text.push_str(&self.rest()[..1 + usize::from(sign)]);
                self.at += 1 + usize::from(sign);
                text.push_str(&self.digits(|c| c.is_ascii_digit())?);
            }
        }
        if whole && text.len() > 1 && text.starts_with('0') && !text.trim_matches('0').is_empty() {
            return self.error("leading zeros in whole numbers are not allowed", start);
        }
        let token =
            if whole { text.parse().map(Token::Int).ok() } else { text.parse().map(Token::Float).ok() };
        match token {
            Some(token) => self.number_end(token, start),
            None => self.error("this number is too large", start),
        }
    }

    /// A number is not followed by letters that would make it another.
    fn number_end(&self, token: Token, start: usize) -> Result<Token, ExpressionSyntaxError> {
        let after = self.rest();
        let word =
            ["and", "else", "for", "if", "in", "is", "not", "or"].iter().any(|word| after.starts_with(word));
        if !word && after.starts_with(|c: char| c == '_' || c.is_alphanumeric()) {
            return self.error("invalid number", start);
        }
        Ok(token)
    }

    /// The letters before a quote, where there is a text.
    fn text_prefix(&self) -> Option<String> {
        let rest = self.rest();
        let quote = rest.bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''))?;
        let prefix = rest.get(..quote)?.to_ascii_lowercase();
        matches!(prefix.as_str(), "" | "r" | "u" | "f" | "fr" | "rf" | "b" | "br" | "rb").then_some(prefix)
    }

    fn text(&mut self, prefix: &str) -> Result<Token, ExpressionSyntaxError> {
        let start = self.at;
        if prefix.contains('b') {
            return self.error("bytes are not supported", start);
        }
        self.at += prefix.len();
        let quote = &self.rest()[..1];
        let quote =
            if self.rest().starts_with(&quote.repeat(3)) { quote.repeat(3) } else { quote.to_owned() };
        self.at += quote.len();
        let from = self.at;
        loop {
            let rest = self.rest();
            if rest.starts_with(&quote) {
                break;
            }
            match rest.chars().next() {
                None => return self.error("this text does not end", start),
                Some('\n') if quote.len() == 1 => return self.error("this text does not end", start),
                Some('\\') => {
                    let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                    self.at += 1 + escaped;
                }
                Some(c) => self.at += c.len_utf8(),
            }
        }
        let inner = self.text[from..self.at].to_owned();
        self.at += quote.len();
        let raw = prefix.contains('r');
        if prefix.contains('f') {
            return Ok(Token::FString { text: inner, raw });
        }
        if raw {
            return Ok(Token::Text(inner));
        }
        match unescape(&inner) {
            Ok(text) => Ok(Token::Text(text)),
            Err((message, at)) => self.error(message, from + at),
        }
    }
}

/// What a text without prefix means; else what is wrong with it, and at which byte.
pub(super) fn unescape(text: &str) -> Result<String, (&'static str, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(next) = text[at..].find('\\') {
        out.push_str(&text[at..at + next]);
        at += next + 1;
        let Some(escaped) = text[at..].chars().next() else { return Err(("a backslash at the end", at)) };
        let place = at - 1;
        at += escaped.len_utf8();
        match escaped {
            '\n' => {}
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '\\' | '\'' | '"' => out.push(escaped),
            'x' | 'u' | 'U' => {
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code =
                    text.get(at..at + digits).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
                let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
                let Some(code) = code else { return Err(("a wrong escape", place)) };
                at += digits;
                match char::from_u32(code) {
                    Some(c) => out.push(c),
                    None => return Err(("halves of surrogate pairs are not supported", place)),
                }
            }
            '0'..='7' => {
                let rest = &text[at - 1..];
                let end = rest.find(|c: char| !('0'..='7').contains(&c)).unwrap_or(rest.len()).min(3);
                let code = u32::from_str_radix(&rest[..end], 8).unwrap_or_default();
                at += end - 1;
                out.extend(char::from_u32(code));
            }
            'N' => return Err(("names of characters are not supported", place)),
            other => out.extend(['\\', other]),
        }
    }
    out.push_str(&text[at..]);
    Ok(out)
}
