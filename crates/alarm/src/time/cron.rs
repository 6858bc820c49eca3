//! Cron texts as croniter, which upstream uses, understands them: five fields, a sixth for seconds, a seventh for years;
//! names, ranges that wrap, steps, `L`, `W`, `#`, `?`, `R` and the `@` words.

use std::collections::{BTreeMap, BTreeSet};

/// Why a text is no cron text; the texts are croniter's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CronError(String);

pub(super) const DAY: usize = 2;
pub(super) const MONTH: usize = 3;
pub(super) const WEEKDAY: usize = 4;

/// Smallest and largest value of each field: minute, hour, day, month, weekday (Sunday is 0), second, year.
const RANGES: [(u32, u32); 7] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59), (1970, 2099)];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What a field allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Field {
    /// Everything.
    pub(super) any: bool,
    /// These values.
    pub(super) values: BTreeSet<u32>,
    /// The last day of the month.
    pub(super) last: bool,
}

impl Field {
    /// Whether the field allows `value`.
    pub(super) fn allows(&self, value: u32) -> bool {
        self.any || self.values.contains(&value)
    }
}

/// Which of a month's days of one weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nth {
    /// The first is 1.
    Of(u32),
    /// The last.
    Last,
}

/// A cron text, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// Five to seven, in the order of the text.
    pub(super) fields: Vec<Field>,
    /// Weekdays that are meant in some weeks of a month only.
    pub(super) nth: BTreeMap<u32, BTreeSet<Nth>>,
    /// The working day nearest to this day of the month is meant.
    pub(super) nearest_weekday: Option<u32>,
}

/// What a text names in short.
fn alias(text: &str) -> &str {
    match text {
        "@midnight" | "@daily" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other => other,
    }
}

impl Cron {
    /// Understands `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let lower = text.to_lowercase();
        let lower = alias(&lower);
        let columns: Vec<&str> = lower
            .split([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
            .filter(|column| !column.is_empty())
            .collect();
        if !(5..=7).contains(&columns.len()) {
            return Err(CronError(
                "Exactly 5, 6 or 7 columns has to be specified for iterator expression.".to_owned(),
            ));
        }
        let mut reader = Reader { text, columns: &columns, nth: BTreeMap::new(), nearest_weekday: None };
        let fields = (0..columns.len()).map(|at| reader.field(at)).collect::<Result<Vec<_>, _>>()?;
        reader.check_weekdays(&fields[WEEKDAY])?;
        let Reader { nth, nearest_weekday, .. } = reader;
        Ok(Self { fields, nth, nearest_weekday })
    }

    /// Whether seconds are counted.
    pub(super) fn has_seconds(&self) -> bool {
        self.fields.len() > 5
    }
}

/// A piece of a field that is still to be understood.
#[derive(Debug, Clone)]
struct Item {
    text: String,
    nth: Option<Nth>,
}

/// A range as written.
struct Span {
    low: String,
    high: String,
    step: String,
    /// Only the lower bound was written.
    open: bool,
}

struct Reader<'a> {
    text: &'a str,
    columns: &'a [&'a str],
    nth: BTreeMap<u32, BTreeSet<Nth>>,
    nearest_weekday: Option<u32>,
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `low-high` or `low-high/step`.
fn closed(text: &str) -> Option<(&str, &str, &str)> {
    let (low, rest) = text.split_once('-')?;
    let (high, step) = rest.split_once('/').unwrap_or((rest, "1"));
    let fine = !low.is_empty() && !high.is_empty() && !high.contains('-') && digits(step);
    fine.then_some((low, high, step))
}

impl Span {
    /// `low-high`, with or without a step, `*/step` and `low/step`.
    fn read(text: &str, field: usize) -> Option<Self> {
        let (min, max) = RANGES[field];
        let made = |text: &str, open| {
            let (low, high, step) = closed(text)?;
            let [low, high, step] = [low, high, step].map(str::to_owned);
            Some(Self { low, high, step, open })
        };
        let all = text.strip_prefix("*/").filter(|step| !step.is_empty());
        let whole = all.map_or_else(|| text.to_owned(), |step| format!("{min}-{max}/{step}"));
        made(&whole, false).or_else(|| {
            let (low, step) = text.rsplit_once('/')?;
            made(&format!("{low}-{max}/{step}"), true)
        })
    }
}

/// The values of a range that may wrap around the end of its field; `step` counts across the end.
fn wrapped(low: u32, high: u32, step: u32, (min, max): (u32, u32)) -> Vec<u32> {
    let mut values: Vec<u32> = (low..=max).step_by(step as usize).collect();
    let last = values.last().copied().unwrap_or(max);
    // What of the last step lies behind the end, where the step leaves the field.
    let skipped = max - last;
    let skip = if last - min + step > max - min + 1 && skipped < step { step - skipped } else { 0 };
    values.extend((min + skip..=high).step_by(step as usize));
    values
}

impl Reader<'_> {
    fn wrong<T>(&self, why: &str) -> Result<T, CronError> {
        Err(CronError(format!("[{}] {why}", self.text)))
    }

    /// A name, in lower case, as the number that it stands for; nothing where it is `l` as a day.
    fn named(&self, field: usize, name: &str) -> Result<Option<u32>, CronError> {
        let names: &[&str] = match field {
            MONTH => &MONTHS,
            WEEKDAY => &WEEKDAYS,
            DAY if name == "l" => return Ok(None),
            _ => &[],
        };
        let first = u32::from(field == MONTH);
        let found = names.iter().zip(first..).find(|(known, _)| **known == name);
        match found {
            Some((_, number)) => Ok(Some(number)),
            None => Err(CronError(format!("[{}] is not acceptable", self.columns.join(" ")))),
        }
    }

    fn field(&mut self, at: usize) -> Result<Field, CronError> {
        let column = self.random(at, self.columns[at])?;
        let column = match column.as_str() {
            "?" if at == DAY || at == WEEKDAY => "*",
            "?" => {
                return self
                    .wrong("is not acceptable. Question mark can only used in day_of_month or day_of_week");
            }
            other if other.contains('?') => {
                return self.wrong("is not acceptable. Question mark can not used with other characters");
            }
            other => other,
        };
        let mut field = Field::default();
        let mut open: Vec<Item> =
            column.split(',').map(|text| Item { text: text.to_owned(), nth: None }).collect();
        let mut seen = BTreeSet::new();
        while let Some(mut item) = open.pop() {
            match at {
                WEEKDAY if item.nth.is_none() => self.weekday(&mut item)?,
                DAY => {
                    let alone = open.is_empty() && field == Field::default();
                    if self.working_day(&item.text, alone)? {
                        field.values.extend(self.nearest_weekday);
                        continue;
                    }
                }
                _ => {}
            }
            if let Some(span) = Span::read(&item.text, at) {
                let values = self.span(at, &span)?;
                let fresh: Vec<u32> = values.into_iter().filter(|value| seen.insert(*value)).collect();
                open.extend(fresh.iter().map(|value| Item { text: value.to_string(), nth: item.nth }));
            } else {
                self.single(at, &item, &mut field)?;
            }
        }
        self.widen(at, &mut field);
        Ok(field)
    }

    /// A field that names all values allows everything, unless day and weekday restrict each other.
    fn widen(&self, at: usize, field: &mut Field) {
        let (min, max) = RANGES[at];
        let len = field.values.len() + usize::from(field.any) + usize::from(field.last);
        let other_is_free = match at {
            DAY => self.columns[WEEKDAY].contains('*'),
            WEEKDAY => self.columns[DAY].contains('*'),
            _ => true,
        };
        field.any |= len == (max - min + 1) as usize && other_is_free;
    }

    /// `R`, `R(a-b)`, `R/n`, `R(a-b)/n`: some value, the same for a text for ever.
    fn random(&self, at: usize, column: &str) -> Result<String, CronError> {
        let Some(kind) = column.chars().next().filter(|kind| matches!(kind, 'h' | 'r')) else {
            return Ok(column.to_owned());
        };
        let rest = &column[1..];
        let (bounds, rest) = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((bounds, rest)) => (bounds.split_once('-').filter(|(a, b)| digits(a) && digits(b)), rest),
            None => (None, rest),
        };
        let divisor = rest.strip_prefix('/').filter(|divisor| digits(divisor));
        if (rest.is_empty() || divisor.is_some()) && (bounds.is_some() == column.contains('(')) {
            if kind == 'h' {
                return Err(CronError("Hashed definitions must include hash_id".to_owned()));
            }
            return self.drawn(at, column, bounds, divisor);
        }
        Ok(column.to_owned())
    }

    fn drawn(
        &self,
        at: usize,
        column: &str,
        bounds: Option<(&str, &str)>,
        divisor: Option<&str>,
    ) -> Result<String, CronError> {
        let (min, max) = RANGES[at];
        let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        let (low, high) = bounds.map_or((min, max), |(low, high)| (number(low), number(high)));
        if low >= high {
            return Err(CronError("Range end must be greater than range begin".to_owned()));
        }
        if low < min || high > max {
            return Err(CronError(format!("[{column}] is not acceptable, out of range")));
        }
        let draw = |high: u32| {
            let seed = self
                .text
                .bytes()
                .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
            (seed >> at) % (high - low + 1) + low
        };
        match divisor.map(number) {
            None => Ok(draw(high).to_string()),
            Some(0) => Err(CronError(format!("Bad expression: {column}"))),
            Some(divisor) => {
                let first = draw(low.saturating_add(divisor - 1).min(high));
                Ok(if first == high { first.to_string() } else { format!("{first}-{high}/{divisor}") })
            }
        }
    }

    /// Takes `#n` and `l` off a weekday.
    fn weekday(&self, item: &mut Item) -> Result<(), CronError> {
        if let Some((day, which)) = item.text.split_once('#').filter(|(_, which)| digits(which)) {
            let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let names = day.split_once('-').is_some_and(|(a, b)| {
                [WEEKDAYS.as_slice(), &MONTHS].iter().any(|names| names.contains(&a) && names.contains(&b))
            });
            if day.is_empty() || !(word(day) || names) {
                return Ok(());
            }
            match which.parse() {
                Ok(number @ 1..=5) => item.nth = Some(Nth::Of(number)),
                _ => return self.wrong(&format!("is not acceptable. Invalid day_of_week value: '{which}'")),
            }
            item.text.truncate(day.len());
        } else if let Some(day) = item.text.strip_prefix('l').filter(|day| digits(day)) {
            item.nth = Some(Nth::Last);
            item.text = day.to_owned();
        }
        Ok(())
    }

    /// Whether a day is `15w` or `w15`, which is then noted.
    fn working_day(&mut self, text: &str, alone: bool) -> Result<bool, CronError> {
        let day = text.strip_suffix('w').or_else(|| text.strip_prefix('w')).filter(|day| digits(day));
        let Some(day) = day else { return Ok(false) };
        match day.parse() {
            Ok(number @ 1..=31) if alone => self.nearest_weekday = Some(number),
            Ok(1..=31) => {
                return self.wrong(
                    "is not acceptable. 'W' can only be used with a single day value, not in a list or range",
                );
            }
            _ => {
                return self
                    .wrong(&format!("is not acceptable, nearest weekday day value '{day}' out of range"));
            }
        }
        Ok(true)
    }

    fn span(&self, at: usize, span: &Span) -> Result<Vec<u32>, CronError> {
        let (min, max) = RANGES[at];
        let bound = |text: &str| -> Result<u32, CronError> {
            let value = match text {
                _ if digits(text) => text.parse().ok(),
                _ => self.named(at, text)?,
            };
            match value {
                Some(7) if at == WEEKDAY => Ok(0),
                Some(value) => Ok(value),
                None => self
                    .wrong(&format!("bands '{}-{}' in field {at} are not acceptable", span.low, span.high)),
            }
        };
        let high = if at == DAY && span.high == "l" { "31" } else { &span.high };
        let (low, high) = (bound(&span.low)?, bound(high)?);
        let step = match span.step.parse::<u32>() {
            Ok(0) => return self.wrong(&format!("step '0' in field {at} is not acceptable")),
            // No field is that wide.
            step => step.unwrap_or(u32::MAX).min(10_000),
        };
        if low.max(high) > max {
            return Err(CronError(format!("{} is out of bands", self.text)));
        }
        Ok(match low.cmp(&high) {
            _ if span.open && low == high => vec![low],
            std::cmp::Ordering::Equal => (min..=max).step_by(step as usize).collect(),
            std::cmp::Ordering::Greater => wrapped(low, high, step, (min, max)),
            std::cmp::Ordering::Less => (low..=high).step_by(step as usize).collect(),
        })
    }

    fn single(&mut self, at: usize, item: &Item, field: &mut Field) -> Result<(), CronError> {
        let text = item.text.as_str();
        if text.starts_with('-') {
            return self.wrong("is not acceptable, negative numbers not allowed");
        }
        if text == "*" {
            field.any = true;
            return Ok(());
        }
        let number =
            if digits(text) { Some(text.parse().unwrap_or(u32::MAX)) } else { self.named(at, text)? };
        let Some(number) = number else {
            field.last = true;
            return Ok(());
        };
        let number = if at == WEEKDAY && number == 7 { 0 } else { number };
        let (min, max) = RANGES[at];
        if number < min || number > max {
            return self.wrong("is not acceptable, out of range");
        }
        field.values.insert(number);
        if let Some(nth) = item.nth {
            self.nth.entry(number).or_default().insert(nth);
        }
        Ok(())
    }

    fn check_weekdays(&self, field: &Field) -> Result<(), CronError> {
        let plain = field.values.iter().any(|day| !self.nth.contains_key(day));
        if self.nth.is_empty() || !plain || field.any || field.values.len() == 7 {
            return Ok(());
        }
        Err(CronError(format!(
            "day-of-week field does not support mixing literal values and nth day of week syntax.  Cron: '{}'",
            self.text
        )))
    }
}
