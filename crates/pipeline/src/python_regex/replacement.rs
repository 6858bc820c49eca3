//! What matches are replaced by: text with references to groups.

use super::{Captures, PythonRegex, RegexError};

/// A compiled replacement of `re.sub`.
#[derive(Debug, Clone)]
pub struct Replacement(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads `text`, whose references are to groups of `regex`: `\1`, `\g<1>`, `\g<name>`.
    pub fn new(text: &str, regex: &PythonRegex) -> Result<Self, RegexError> {
        let mut pieces = Pieces(Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            pieces.text(&rest[..at]);
            rest = &rest[at + 1..];
            let Some(escaped) = rest.chars().next() else {
                return Err(RegexError("bad escape (end of pattern)".to_owned()));
            };
            rest = &rest[escaped.len_utf8()..];
            match escaped {
                'g' => rest = pieces.named_group(rest, regex)?,
                '0' => rest = pieces.octal("0", rest, 2),
                '1'..='9' => rest = pieces.numbered_group(escaped, rest, regex)?,
                'a' => pieces.text("\u{7}"),
                'b' => pieces.text("\u{8}"),
                'f' => pieces.text("\u{c}"),
                'n' => pieces.text("\n"),
                'r' => pieces.text("\r"),
                't' => pieces.text("\t"),
                'v' => pieces.text("\u{b}"),
                '\\' => pieces.text("\\"),
                c if c.is_ascii_alphabetic() => return Err(RegexError(format!("bad escape \\{c}"))),
                c => pieces.text(&format!("\\{c}")),
            }
        }
        pieces.text(rest);
        Ok(Self(pieces.0))
    }

    /// Writes what `found` is replaced by. Groups that took no part are empty.
    pub fn write(&self, found: &Captures<'_>, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(number) => {
                    out.push_str(found.get(*number).map_or("", |group| group.as_str()));
                }
            }
        }
    }
}

struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    fn group(&mut self, number: usize, regex: &PythonRegex) -> Result<(), RegexError> {
        if number > regex.groups() {
            return Err(RegexError(format!("invalid group reference {number}")));
        }
        self.0.push(Piece::Group(number));
        Ok(())
    }

    /// `<name>` behind `\g`; returns what follows it.
    fn named_group<'t>(&mut self, rest: &'t str, regex: &PythonRegex) -> Result<&'t str, RegexError> {
        let inner = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((name, rest)) = inner else { return Err(RegexError("missing group name".to_owned())) };
        let number = name.parse().ok().or_else(|| regex.group_named(name));
        let Some(number) = number else { return Err(RegexError(format!("unknown group name '{name}'"))) };
        self.group(number, regex)?;
        Ok(rest)
    }

    /// One or two digits, or three octal ones; returns what follows them.
    fn numbered_group<'t>(
        &mut self,
        first: char,
        rest: &'t str,
        regex: &PythonRegex,
    ) -> Result<&'t str, RegexError> {
        let octal = |text: &str| text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let two = rest.get(..2).filter(|two| octal(two));
        if ('1'..='3').contains(&first) && two.is_some() {
            return Ok(self.octal(&first.to_string(), rest, 2));
        }
        let second = rest.bytes().next().filter(u8::is_ascii_digit);
        let number = first.to_digit(10).unwrap_or_default() as usize;
        match second {
            Some(second) => {
                self.group(number * 10 + usize::from(second - b'0'), regex)?;
                Ok(&rest[1..])
            }
            None => {
                self.group(number, regex)?;
                Ok(rest)
            }
        }
    }

    fn octal<'t>(&mut self, first: &str, rest: &'t str, most: usize) -> &'t str {
        let end = rest.bytes().take(most).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
        let code = u32::from_str_radix(&format!("{first}{}", &rest[..end]), 8).unwrap_or_default();
        self.text(&char::from_u32(code).map_or_else(String::new, String::from));
        &rest[end..]
    }
}
