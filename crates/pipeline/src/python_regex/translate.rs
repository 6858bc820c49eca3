//! From Python's dialect of regular expressions to that of `fancy_regex`.

use super::RegexError;

/// Escapes of letters that mean the same in both.
const SAME: &str = "abfnrtvdDsSwWBA";

/// `text` in the other dialect. With `before_line_end`, `$` matches before a line end that is the text's last character.
pub(super) fn translate(text: &str, before_line_end: bool) -> Result<String, RegexError> {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { chars: &chars, at: 0, out: String::with_capacity(text.len() + 16) };
    let mut multi_line = false;
    while let Some(c) = reader.next() {
        match c {
            '\\' => reader.escape(false)?,
            '[' => reader.class()?,
            '$' if before_line_end && !multi_line => reader.out.push_str(r"(?=\n?\z)"),
            '{' => reader.brace(),
            '(' => {
                reader.out.push('(');
                multi_line |= reader.group()?;
            }
            other => reader.out.push(other),
        }
    }
    Ok(reader.out)
}

struct Reader<'t> {
    chars: &'t [char],
    at: usize,
    out: String,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// What stands behind an opening parenthesis; tells whether it sets the flag `m`.
    fn group(&mut self) -> Result<bool, RegexError> {
        if self.peek(0) != Some('?') {
            return Ok(false);
        }
        let rest: String =
            self.chars[self.at + 1..].iter().take_while(|c| c.is_ascii_alphabetic() || **c == '-').collect();
        let end = self.peek(1 + rest.len());
        if rest.is_empty() || !matches!(end, Some(')' | ':')) {
            return Ok(false);
        }
        if let Some(flag) = rest.chars().find(|c| matches!(c, 'a' | 'L' | 'u')) {
            return Err(RegexError(format!("the flag `{flag}` of regular expressions is not supported")));
        }
        Ok(rest.split('-').next().is_some_and(|set| set.contains('m')))
    }

    /// A brace that is no repetition is itself.
    fn brace(&mut self) {
        let rest = &self.chars[self.at..];
        let end = rest.iter().position(|c| *c == '}');
        let inner: Option<String> = end.map(|end| rest[..end].iter().collect());
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match inner.as_deref().map(|inner| inner.split_once(',').unwrap_or((inner, inner))) {
            Some((least, most))
                if is_number(least) && is_number(most) && !(least.is_empty() && most.is_empty()) =>
            {
                self.out.push('{');
                if least.is_empty() {
                    self.out.push('0');
                }
            }
            Some(("", "")) if inner.as_deref() == Some(",") => {
                self.at += 2;
                self.out.push('*');
            }
            _ => self.out.push_str(r"\{"),
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), RegexError> {
        let Some(c) = self.next() else {
            return Err(RegexError("bad escape (end of pattern)".to_owned()));
        };
        match c {
            'b' if in_class => self.out.push_str(r"\x08"),
            'b' => self.out.push_str(r"\b"),
            'Z' if !in_class => self.out.push_str(r"\z"),
            '0' => self.octal(0),
            '1'..='9' if !in_class => self.digits(c)?,
            '1'..='7' => self.octal(c.to_digit(8).unwrap_or_default()),
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            _ if SAME.contains(c) && !(in_class && matches!(c, 'A' | 'B')) => self.out.extend(['\\', c]),
            _ if c.is_ascii_alphanumeric() => return Err(RegexError(format!("bad escape \\{c}"))),
            '<' | '>' => self.out.push(c),
            _ if c.is_ascii_punctuation() => self.out.extend(['\\', c]),
            _ => self.out.push(c),
        }
        Ok(())
    }

    /// A reference to a group, or three octal digits.
    fn digits(&mut self, first: char) -> Result<(), RegexError> {
        let octal = |c: Option<char>| c.filter(|c| ('0'..='7').contains(c));
        if let (Some(a), Some(b), Some(c)) = (octal(Some(first)), octal(self.peek(0)), octal(self.peek(1))) {
            let code = [a, b, c].iter().fold(0, |code, c| code * 8 + c.to_digit(8).unwrap_or_default());
            if code > 0o377 {
                return Err(RegexError("an octal escape is out of range".to_owned()));
            }
            self.at += 2;
            self.out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(());
        }
        let mut number = first.to_string();
        if let Some(second) = self.peek(0).filter(char::is_ascii_digit) {
            self.at += 1;
            number.push(second);
        }
        // Parentheses keep digits that follow apart from it.
        self.out.push_str(&format!("(?:\\{number})"));
        Ok(())
    }

    fn octal(&mut self, mut code: u32) {
        for _ in 0..2 {
            let Some(digit) = self.peek(0).and_then(|c| c.to_digit(8)) else { break };
            self.at += 1;
            code = code * 8 + digit;
        }
        self.out.push_str(&format!("\\x{{{code:x}}}"));
    }

    fn code(&mut self, digits: usize) -> Result<(), RegexError> {
        let end = (self.at + digits).min(self.chars.len());
        let code: String = self.chars[self.at..end].iter().collect();
        if code.len() < digits || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RegexError(format!("incomplete escape of {digits} digits")));
        }
        self.at = end;
        self.out.push_str(&format!("\\x{{{code}}}"));
        Ok(())
    }

    /// A set of characters: brackets and doubled signs in it have no meaning of their own in Python.
    fn class(&mut self) -> Result<(), RegexError> {
        self.out.push('[');
        if self.peek(0) == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.next() else {
                return Err(RegexError("unterminated character set".to_owned()));
            };
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '-' if first || self.peek(0) == Some(']') => self.out.push_str(r"\-"),
                '[' | ']' | '&' | '~' | '^' => self.out.extend(['\\', c]),
                other => self.out.push(other),
            }
            first = false;
        }
    }
}
