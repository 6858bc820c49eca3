//! F-strings: text with expressions in braces.

use super::ast::{Conversion, Piece};
use super::error::ExpressionSyntaxError;
use super::lexer::unescape;
use super::parser::{MAX_DEPTH, parse_nested};

/// The pieces of the f-string with `text` between its quotes.
pub(super) fn pieces(text: &str, raw: bool, depth: usize) -> Result<Vec<Piece>, ExpressionSyntaxError> {
    if depth >= MAX_DEPTH {
        return Err(ExpressionSyntaxError::new("the expression is nested too deeply", text, 0));
    }
    let mut reader = Reader { text, at: 0, raw, depth };
    let pieces = reader.pieces(false)?;
    if reader.at < text.len() {
        return reader.error("a single `}` in an f-string");
    }
    Ok(pieces)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    raw: bool,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn error<T>(&self, message: &str) -> Result<T, ExpressionSyntaxError> {
        Err(ExpressionSyntaxError::new(message, self.text, self.at))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Text and values until the end; in a format, until the brace that ends its value.
    fn pieces(&mut self, in_format: bool) -> Result<Vec<Piece>, ExpressionSyntaxError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        while let Some(next) = self.rest().find(['{', '}']) {
            plain.push_str(&self.rest()[..next]);
            self.at += next;
            let brace = &self.rest()[..1];
            if !in_format && self.rest()[1..].starts_with(brace) {
                plain.push_str(brace);
                self.at += 2;
                continue;
            }
            self.push_text(&mut pieces, &plain)?;
            plain.clear();
            if brace == "}" {
                return Ok(pieces);
            }
            self.at += 1;
            pieces.push(self.value(in_format)?);
        }
        plain.push_str(self.rest());
        self.at = self.text.len();
        self.push_text(&mut pieces, &plain)?;
        Ok(pieces)
    }

    fn push_text(&self, pieces: &mut Vec<Piece>, text: &str) -> Result<(), ExpressionSyntaxError> {
        let text = if self.raw { Ok(text.to_owned()) } else { unescape(text) };
        match text {
            Ok(text) if text.is_empty() => {}
            Ok(text) => pieces.push(Piece::Text(text.into())),
            Err((message, _)) => return self.error(message),
        }
        Ok(())
    }

    /// What stands behind an opening brace, and the closing one.
    fn value(&mut self, in_format: bool) -> Result<Piece, ExpressionSyntaxError> {
        let start = self.at;
        let end = self.expression_end()?;
        let text = &self.text[start..end];
        if text.contains('\\') {
            return self.error("a backslash in the expression of an f-string");
        }
        let node = parse_nested(&format!("({text})"), self.depth + 1)
            .map_err(|error| ExpressionSyntaxError::new(error.message, self.text, start))?;
        if text.trim().is_empty() {
            return self.error("an empty expression in an f-string");
        }
        self.at = end;
        if self.rest().starts_with('=') {
            return self.error("`=` in the expression of an f-string is not supported");
        }
        let mut conversion = Conversion::None;
        if self.rest().starts_with('!') {
            conversion = match self.rest().get(1..2) {
                Some("s") => Conversion::Str,
                Some("r") => Conversion::Repr,
                Some("a") => Conversion::Ascii,
                _ => return self.error("the conversion of an f-string is s, r or a"),
            };
            self.at += 2;
        }
        let mut spec = Vec::new();
        if self.rest().starts_with(':') {
            if in_format {
                return self.error("formats are nested too deeply");
            }
            self.at += 1;
            spec = self.pieces(true)?;
        }
        if !self.rest().starts_with('}') {
            return self.error("a `}` is missing in an f-string");
        }
        self.at += 1;
        Ok(Piece::Value { node, conversion, spec })
    }

    /// Where the expression that begins here ends: before a `:`, `!`, `=` or `}` that is not inside brackets or texts.
    fn expression_end(&self) -> Result<usize, ExpressionSyntaxError> {
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        let mut at = self.at;
        while let Some(byte) = bytes.get(at) {
            let next = bytes.get(at + 1);
            match byte {
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' if open > 0 => open -= 1,
                b'}' | b':' if open == 0 => return Ok(at),
                b'!' if open == 0 && next != Some(&b'=') => return Ok(at),
                b'=' if open == 0 && next != Some(&b'=') && !self.compares(at) => return Ok(at),
                b'"' | b'\'' => {
                    let end = bytes[at + 1..].iter().position(|other| other == byte);
                    let Some(end) = end else { return self.error("a text does not end in an f-string") };
                    at += end + 1;
                }
                _ => {}
            }
            at += 1;
        }
        self.error("a `}` is missing in an f-string")
    }

    /// Whether the `=` at `at` is the end of a comparison.
    fn compares(&self, at: usize) -> bool {
        at > self.at && matches!(self.text.as_bytes()[at - 1], b'=' | b'!' | b'<' | b'>')
    }
}
