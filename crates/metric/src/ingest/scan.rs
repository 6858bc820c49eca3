//! The one-pass reader of usual bodies. Every function answers nothing where it meets something unusual.

use std::borrow::Cow;

use nephometer_model::Timestamp;
use nephometer_model::time::{IsoReader, TimeForm, TimeInput, parse_float};

use super::{Measures, MetricBatch, NamedRun, ResourceBatch, ResourceRuns, metric_id, resource_id};

/// How deep values that nobody asked for may be nested.
const MAX_SKIPPED_DEPTH: u32 = 32;

/// A smallest measure, `{"timestamp":1,"value":1},`, in bytes; a usual one is thrice as long.
const USUAL_MEASURE_BYTES: usize = 64;

pub(super) fn measures(text: &str, now: Timestamp) -> Option<Measures> {
    let mut scanner = Scanner::new(text, now);
    scanner.list()?;
    scanner.end()?;
    Some(scanner.measures)
}

pub(super) fn metric_batch(text: &str, now: Timestamp) -> Option<MetricBatch> {
    let mut scanner = Scanner::new(text, now);
    let mut runs = Vec::new();
    scanner.object(|scanner, key| {
        let id = metric_id(key)?;
        runs.push((id, scanner.list()?));
        Some(())
    })?;
    scanner.end()?;
    Some(MetricBatch { runs, measures: scanner.measures })
}

pub(super) fn resource_batch<'a>(
    text: &'a str,
    creator: Option<&str>,
    now: Timestamp,
) -> Option<ResourceBatch<'a>> {
    let mut scanner = Scanner::new(text, now);
    let mut resources = Vec::new();
    scanner.object(|scanner, original_id| {
        let id = resource_id(original_id, creator).ok()?;
        // Neighbours have much the same metrics.
        let expected = resources.last().map_or(0, |resource: &ResourceRuns<'_>| resource.runs.len());
        let mut runs = Vec::with_capacity(expected);
        scanner.object(|scanner, name| {
            runs.push(scanner.named_run(name)?);
            Some(())
        })?;
        resources.push(ResourceRuns { original_id: Cow::Borrowed(original_id), id, runs });
        Some(())
    })?;
    scanner.end()?;
    Some(ResourceBatch { resources, measures: scanner.measures })
}

/// How many bytes come before the first quote, backslash or control character, eight of them looked at together.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        // The highest bit of each byte that is sought; above the first such byte a borrow may mark others.
        let zeros = |word: u64, below: u64| word.wrapping_sub(ONES * below) & !word;
        let sought = (zeros(quote, 1) | zeros(backslash, 1) | zeros(word, 0x20)) & HIGHS;
        if sought != 0 {
            return number * 8 + sought.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    now: Timestamp,
    iso: IsoReader,
    measures: Measures,
}

/// A scalar that may be a timestamp or a value.
#[derive(Clone, Copy)]
enum Token<'a> {
    Number(f64),
    Text(&'a str),
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, now: Timestamp) -> Self {
        let expected = text.len() / USUAL_MEASURE_BYTES;
        let measures =
            Measures { timestamps_ns: Vec::with_capacity(expected), values: Vec::with_capacity(expected) };
        Self { text, bytes: text.as_bytes(), at: 0, now, iso: IsoReader::new(), measures }
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// The next byte, where it is `byte`.
    #[inline]
    fn take_exactly(&mut self, byte: u8) -> Option<()> {
        (*self.bytes.get(self.at)? == byte).then(|| self.at += 1)
    }

    /// After an element: whether another one follows, or `close`.
    #[inline]
    fn another(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// A string without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        self.at += plain_len(self.bytes.get(start..)?);
        self.take_exactly(b'"')?;
        self.text.get(start..self.at - 1)
    }

    /// Takes a key and its colon, where the key is `name`.
    #[inline]
    fn take_key(&mut self, name: &str) -> bool {
        if self.peek() != Some(b'"') {
            return false;
        }
        let (start, end) = (self.at + 1, self.at + 1 + name.len());
        if self.bytes.get(start..end) != Some(name.as_bytes()) || self.bytes.get(end) != Some(&b'"') {
            return false;
        }
        self.at = end + 1;
        let is_key = self.take(b':').is_some();
        if !is_key {
            self.at = start - 1;
        }
        is_key
    }

    /// An object whose entries `entry` reads, given their keys.
    fn object(&mut self, mut entry: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            entry(self, key)?;
            if !self.another(b'}')? {
                return Some(());
            }
        }
    }

    /// A list of measures; answers how many.
    fn list(&mut self) -> Option<u32> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(0);
        }
        let before = self.measures.len();
        let mut form = None;
        loop {
            let (time, value) = self.measure()?;
            let ns = self.timestamp(&mut form, time)?;
            let value = match value {
                Token::Number(value) => value,
                Token::Text(text) => parse_float(text)?,
            };
            self.measures.timestamps_ns.push(ns);
            self.measures.values.push(value);
            if !self.another(b']')? {
                return u32::try_from(self.measures.len() - before).ok();
            }
        }
    }

    #[inline]
    fn measure(&mut self) -> Option<(Token<'a>, Token<'a>)> {
        let (mut time, mut value) = (None, None);
        self.take(b'{')?;
        loop {
            if self.take_key("timestamp") {
                time = Some(self.scalar()?);
            } else if self.take_key("value") {
                value = Some(self.scalar()?);
            } else {
                self.string()?;
                self.take(b':')?;
                self.skip(0)?;
            }
            if !self.another(b'}')? {
                return Some((time?, value?));
            }
        }
    }

    #[inline]
    fn timestamp(&mut self, form: &mut Option<TimeForm>, token: Token<'a>) -> Option<i64> {
        if let Token::Text(text) = token
            && matches!(form, None | Some(TimeForm::Iso))
            && let Some(ns) = self.iso.read_ns(text.as_bytes())
        {
            *form = Some(TimeForm::Iso);
            return (ns >= 0).then_some(ns);
        }
        let input = match token {
            Token::Number(seconds) => TimeInput::Number(seconds),
            Token::Text(text) => TimeInput::Text(text),
        };
        let form = *form.get_or_insert_with(|| TimeForm::of(input));
        form.read(&mut self.iso, input, self.now).ok().map(Timestamp::ns)
    }

    #[inline]
    fn scalar(&mut self) -> Option<Token<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Token::Text),
            b'-' | b'0'..=b'9' => self.number().map(Token::Number),
            b't' => self.literal("true").map(|()| Token::Number(1.0)),
            b'f' => self.literal("false").map(|()| Token::Number(0.0)),
            b'N' => self.literal("NaN").map(|()| Token::Number(f64::NAN)),
            b'I' => self.literal("Infinity").map(|()| Token::Number(f64::INFINITY)),
            _ => None,
        }
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        let end = self.at + literal.len();
        if self.bytes.get(self.at..end)? != literal.as_bytes() {
            return None;
        }
        self.at = end;
        Some(())
    }

    /// How many digits stand next; `mantissa` takes them in, modulo 2^64.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0')) {
            if digit > 9 {
                break;
            }
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        self.at - start
    }

    /// A JSON number, correctly rounded; one beyond the range of f64 is unusual.
    #[inline]
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        let negative = self.bytes[self.at] == b'-';
        self.at += usize::from(negative);
        if negative && self.bytes.get(self.at) == Some(&b'I') {
            return self.literal("Infinity").map(|()| f64::NEG_INFINITY);
        }
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        let mut mantissa = 0;
        let whole = self.digits(&mut mantissa);
        if whole == 0 || (leading_zero && whole > 1) {
            return None;
        }
        let mut fraction = 0;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits(&mut mantissa);
            if fraction == 0 {
                return None;
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) || whole + fraction > 15 {
            return self.long_number(start);
        }
        // Both operands are exact, so that one division rounds once.
        #[expect(clippy::cast_precision_loss, reason = "at most 15 digits")]
        let value = mantissa as f64 / POWERS_OF_TEN[fraction];
        Some(if negative { -value } else { value })
    }

    #[cold]
    fn long_number(&mut self, start: usize) -> Option<f64> {
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            if self.digits(&mut 0) == 0 {
                return None;
            }
        }
        let value: f64 = self.text.get(start..self.at)?.parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// A value that nobody asked for.
    fn skip(&mut self, depth: u32) -> Option<()> {
        if depth > MAX_SKIPPED_DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(|scanner, _| scanner.skip(depth + 1)),
            b'[' => {
                self.at += 1;
                if self.peek()? == b']' {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    self.skip(depth + 1)?;
                    if !self.another(b']')? {
                        return Some(());
                    }
                }
            }
            b'n' => self.literal("null"),
            _ => self.scalar().map(|_| ()),
        }
    }

    /// What stands for a named metric: a list of measures, or an object with one.
    fn named_run(&mut self, name: &'a str) -> Option<NamedRun<'a>> {
        let mut run = NamedRun { name: Cow::Borrowed(name), policy_name: None, unit: None, len: 0 };
        if self.peek()? == b'[' {
            run.len = self.list()?;
            return Some(run);
        }
        let mut len = None;
        self.object(|scanner, key| {
            match key {
                "measures" if len.is_none() => len = Some(scanner.list()?),
                "archive_policy_name" => run.policy_name = Some(Cow::Borrowed(scanner.string()?)),
                "unit" => run.unit = Some(Cow::Borrowed(scanner.string()?)),
                _ => return None,
            }
            Some(())
        })?;
        run.len = len?;
        Some(run)
    }
}

const POWERS_OF_TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
