//! Texts of paths as tokens.

use super::PathSyntaxError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, or a text in quotes.
    Id(String),
    Where,
    Int(i64),
    Float(f64),
    /// A word that begins with true or false: these are never names.
    Bool(bool),
    /// What stands between backquotes.
    Operator(String),
    Compare(&'static str),
    /// `/` or `\`, with the comma before it: sort upwards, or downwards.
    Sort {
        down: bool,
    },
    DoubleDot,
    Symbol(char),
    End,
}

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, PathSyntaxError> {
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { chars: &chars, at: 0 };
    let mut out = Vec::new();
    loop {
        while lexer.peek(0).is_some_and(|c| matches!(c, ' ' | '\t' | '\n')) {
            lexer.at += 1;
        }
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
    chars: &'t [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, PathSyntaxError> {
        Err(PathSyntaxError { message: message.into(), at: self.at + 1 })
    }

    fn starts_with(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(at, c)| self.peek(at) == Some(c))
    }

    fn take(&mut self, token: Token, length: usize) -> Result<Token, PathSyntaxError> {
        self.at += length;
        Ok(token)
    }

    fn next(&mut self) -> Result<Token, PathSyntaxError> {
        let Some(first) = self.peek(0) else { return Ok(Token::End) };
        for (word, value) in [("true", true), ("false", false)] {
            if self.starts_with(word) {
                return self.take(Token::Bool(value), word.len());
            }
        }
        if let Some((down, length)) = self.sort() {
            return self.take(Token::Sort { down }, length);
        }
        if let Some(name) = self.name() {
            self.at += name.chars().count();
            return Ok(if name == "where" { Token::Where } else { Token::Id(name) });
        }
        let signed = first == '-' && self.peek(1).is_some_and(|c| c.is_ascii_digit());
        if signed || first.is_ascii_digit() {
            return self.number();
        }
        match first {
            '\'' | '"' | '`' => self.quoted(first),
            '.' if self.peek(1) == Some('.') => self.take(Token::DoubleDot, 2),
            '*' | '.' | '[' | ']' | '(' | ')' | '$' | ',' | ':' | '|' | '&' | '?' | '@' | '+' | '-' => {
                self.take(Token::Symbol(first), 1)
            }
            _ => {
                let operators = ["==", "<=", ">=", "!=", "=", "<", ">", "~"];
                match operators.into_iter().find(|operator| self.starts_with(operator)) {
                    Some(operator) => self.take(Token::Compare(operator), operator.len()),
                    None => self.error(format!("unexpected character `{first}`")),
                }
            }
        }
    }

    /// A mark of sorting, and how long it is with the comma and space before it.
    fn sort(&self) -> Option<(bool, usize)> {
        let mut length = usize::from(self.peek(0) == Some(','));
        while self.peek(length).is_some_and(char::is_whitespace) {
            length += 1;
        }
        match self.peek(length)? {
            '/' => Some((false, length + 1)),
            '\\' => Some((true, length + 1)),
            _ => None,
        }
    }

    fn name(&self) -> Option<String> {
        let at = usize::from(self.peek(0) == Some('@'));
        self.peek(at).filter(|c| c.is_ascii_alphabetic() || *c == '_')?;
        let rest = self.chars[self.at + at + 1..].iter();
        let inner = rest.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-'));
        let length = at + 1 + inner.count();
        Some(self.chars[self.at..self.at + length].iter().collect())
    }

    fn number(&mut self) -> Result<Token, PathSyntaxError> {
        let sign = usize::from(self.peek(0) == Some('-'));
        let digits =
            |from: usize| self.chars[self.at + from..].iter().take_while(|c| c.is_ascii_digit()).count();
        let whole = sign + digits(sign);
        let fraction = if self.peek(whole) == Some('.') { digits(whole + 1) } else { 0 };
        let length = if fraction > 0 { whole + 1 + fraction } else { whole };
        let text: String = self.chars[self.at..self.at + length].iter().collect();
        let token = if fraction > 0 {
            text.parse().map(Token::Float).ok()
        } else {
            text.parse().map(Token::Int).ok()
        };
        match token {
            Some(token) => self.take(token, length),
            None => self.error("this number is too large"),
        }
    }

    /// A text in quotes; a backslash takes the character behind it as it is.
    fn quoted(&mut self, quote: char) -> Result<Token, PathSyntaxError> {
        let mut text = String::new();
        let mut at = self.at + 1;
        loop {
            match self.chars.get(at) {
                None => return self.error("this text does not end"),
                Some(c) if *c == quote => break,
                Some('\\') => {
                    at += 1;
                    match self.chars.get(at) {
                        None | Some('\n') => return self.error("a backslash at the end of a text"),
                        Some(c) => text.push(*c),
                    }
                }
                Some(c) => text.push(*c),
            }
            at += 1;
        }
        self.at = at + 1;
        Ok(if quote == '`' { Token::Operator(text) } else { Token::Id(text) })
    }
}
