//! Regular expressions as Python's `re` reads them, in configuration files of upstream's formats.
//!
//! The expression is translated to the dialect of `fancy_regex`, which knows look-around and back references as Python does;
//! where an expression uses neither it runs in linear time, and elsewhere its steps are bounded. Not supported are the flags
//! `a`, `L` and `u`, and bytes.

mod replacement;
mod translate;

use std::sync::OnceLock;

use fancy_regex::{Regex, RegexBuilder};

pub use replacement::Replacement;

/// A match and its groups.
pub type Captures<'t> = fancy_regex::Captures<'t, str>;

/// Why an expression, or a replacement, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexError(pub String);

/// Steps of backtracking in one search.
const MAX_STEPS: usize = 1_000_000;
/// Longest expression, in bytes.
const MAX_BYTES: usize = 16 << 10;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct PythonRegex {
    text: String,
    plain: Regex,
    /// As `plain`, for texts with a line end last: there, `$` matches before it too.
    before_line_end: Option<OnceLock<Option<Regex>>>,
}

impl PythonRegex {
    /// Compiles `text`.
    pub fn new(text: &str) -> Result<Self, RegexError> {
        if text.len() > MAX_BYTES {
            return Err(RegexError("the regular expression is too long".to_owned()));
        }
        let translated = translate::translate(text, false)?;
        let plain = build(&translated)?;
        let before_line_end = text.contains('$').then(OnceLock::new);
        Ok(Self { text: text.to_owned(), plain, before_line_end })
    }

    /// What it was compiled from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many groups it has, the whole match not counted.
    pub fn groups(&self) -> usize {
        self.plain.captures_len() - 1
    }

    /// The number of a named group.
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.plain.capture_names().position(|known| known == Some(name))
    }

    /// Names of groups, with their numbers.
    pub fn group_names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.plain.capture_names().enumerate().filter_map(|(at, name)| Some((at, name?)))
    }

    fn on(&self, text: &str) -> &Regex {
        let Some(strict) = self.before_line_end.as_ref().filter(|_| text.ends_with('\n')) else {
            return &self.plain;
        };
        let build_strict = || build(&translate::translate(&self.text, true).ok()?).ok();
        strict.get_or_init(build_strict).as_ref().unwrap_or(&self.plain)
    }

    /// The first match at `from` (a byte) or behind it.
    pub fn find_at<'t>(&self, text: &'t str, from: usize) -> Result<Option<Captures<'t>>, RegexError> {
        self.on(text).captures_from_pos(text, from).map_err(|error| RegexError(error.to_string()))
    }

    /// `re.search`.
    pub fn search<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, RegexError> {
        self.find_at(text, 0)
    }

    /// `re.match`: a match at the beginning.
    pub fn match_start<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, RegexError> {
        let found = self.search(text)?;
        match found {
            Some(found) if found.get(0).is_some_and(|whole| whole.start() == 0) => Ok(Some(found)),
            // What begins later is the first of all matches, so that none begins at the beginning.
            _ => Ok(None),
        }
    }

    /// All matches, as `re.finditer` goes through them: an empty one may follow another match directly. `each` says
    /// whether to go on.
    pub fn each_match<'t>(
        &self,
        text: &'t str,
        mut each: impl FnMut(&Captures<'t>) -> bool,
    ) -> Result<(), RegexError> {
        let (mut at, mut last_empty) = (0, None);
        while at <= text.len() {
            let Some(found) = self.find_at(text, at)? else { return Ok(()) };
            let Some(whole) = found.get(0) else { return Ok(()) };
            if whole.start() == whole.end() && last_empty == Some(whole.start()) {
                // Nothing was taken here already: go on behind the next character.
                at = whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8);
                last_empty = None;
                continue;
            }
            if !each(&found) {
                return Ok(());
            }
            at = whole.end();
            last_empty = (whole.start() == whole.end()).then_some(whole.end());
        }
        Ok(())
    }

    /// `re.sub`: `count` replacements at most, or all. What comes out is `max_bytes` long at most.
    pub fn replace(
        &self,
        text: &str,
        count: Option<usize>,
        max_bytes: usize,
        mut by: impl FnMut(&Captures<'_>, &mut String) -> Result<(), RegexError>,
    ) -> Result<String, RegexError> {
        let (mut out, mut copied, mut done) = (String::new(), 0, 0);
        let mut failed = None;
        self.each_match(text, |found| {
            let Some(whole) = found.get(0) else { return false };
            out.push_str(&text[copied..whole.start()]);
            copied = whole.end();
            failed = by(found, &mut out).err();
            if out.len() > max_bytes {
                failed = Some(RegexError("the text becomes too long".to_owned()));
            }
            done += 1;
            failed.is_none() && count != Some(done)
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        out.push_str(&text[copied..]);
        Ok(out)
    }

    /// `re.sub` with a replacement that was compiled for this expression.
    pub fn sub(&self, replacement: &Replacement, text: &str, max_bytes: usize) -> Result<String, RegexError> {
        self.replace(text, None, max_bytes, |found, out| {
            replacement.write(found, out);
            Ok(())
        })
    }
}

fn build(translated: &str) -> Result<Regex, RegexError> {
    RegexBuilder::new(translated)
        .backtrack_limit(MAX_STEPS)
        .build()
        .map_err(|error| RegexError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(pattern: &str, replacement: &str, text: &str) -> String {
        let regex = PythonRegex::new(pattern).unwrap();
        let replacement = Replacement::new(replacement, &regex).unwrap();
        regex.sub(&replacement, text, 1000).unwrap()
    }

    #[test]
    fn replaces_as_python_does() {
        for (pattern, replacement, text, expected) in [
            (
                r"(disk\.device|disk)\.(read|write)\.(bytes|requests)",
                r"\1.\2.\3.rate",
                "disk.device.read.bytes",
                "disk.device.read.bytes.rate",
            ),
            (r"(B|request)", r"\1/s", "B", "B/s"),
            ("x*", "-", "abxd", "-a-b--d-"),
            ("", "-", "ab", "-a-b-"),
            ("b|(?<=b)", "_", "abc", "a__c"),
            (r"(?P<first>\w)\w*", r"\g<first>.", "alpha beta", "a. b."),
            (r"a$", "X", "a\na\n", "a\nX\n"),
            (r"a\Z", "X", "a\n", "a\n"),
            (r"[[\]&&]", "", "a[b]c&d", "abcd"),
            (r"a{,2}b", "X", "aaab", "aX"),
            (r"x{y", "z", "x{y", "z"),
            (r"(a)(b)?", r"[\2]", "a", "[]"),
            (r"\<", "(", "<", "("),
            (r".", r"\g<0>\n", "é", "é\n"),
        ] {
            assert_eq!(sub(pattern, replacement, text), expected, "{pattern}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for pattern in [r"(", r"\K", r"[", r"(?P<a>", r"*a", r"\R"] {
            assert!(PythonRegex::new(pattern).is_err(), "{pattern}");
        }
        let regex = PythonRegex::new("(a)").unwrap();
        for replacement in [r"\2", r"\g<x>", r"\g<1", r"\q", "\\"] {
            assert!(Replacement::new(replacement, &regex).is_err(), "{replacement}");
        }
    }
}
