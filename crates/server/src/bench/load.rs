//! The load: groups of series that are written together, and the bodies of their requests.

use nephometer_model::Timestamp;
use nephometer_model::time::NS_PER_SECOND;

use super::values::{Random, Walk, write_integer};

/// All series begin here: 2024-01-01T00:00:00Z, in seconds.
pub(super) const START_SECONDS: i64 = 1_704_067_200;

/// How requests name their series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"<metric id>": [measures]}`.
    ByMetricId,
    /// As Ceilometer's publisher does: `{"<resource id>": {"<name>": {"archive_policy_name": …, "unit": …,
    /// "measures": [measures]}}}`, metrics made on the way.
    ByResourceAndName,
    /// VictoriaMetrics' JSON lines: a line a series, values and times as columns.
    ImportLines,
}

impl Form {
    /// Where such bodies are posted.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::ByMetricId => "/v1/batch/metrics/measures",
            Self::ByResourceAndName => "/v1/batch/resources/metrics/measures?create_metrics=true",
            Self::ImportLines => "/api/v1/import",
        }
    }

    /// What stands around the series of a body.
    fn frame(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::ByMetricId => (b"{", b"}"),
            Self::ByResourceAndName => (b"{", b"}}"),
            Self::ImportLines => (b"", b""),
        }
    }

    /// What stands after the measures of a series.
    fn close(self) -> &'static [u8] {
        match self {
            Self::ByMetricId => b"",
            Self::ByResourceAndName => b"}",
            Self::ImportLines => b"}\n",
        }
    }

    /// What stands before the measures of a series; `previous` is the resource of the series before it in the body.
    fn open(self, name: &SeriesName, previous: Option<&str>, policy: &str) -> String {
        let SeriesName { resource, name, id } = name;
        let comma = if previous.is_some() { ", " } else { "" };
        match self {
            Self::ByMetricId => format!("{comma}\"{id}\": "),
            Self::ByResourceAndName => {
                let entry = format!(
                    "\"{name}\": {{\"archive_policy_name\": \"{policy}\", \"unit\": \"B\", \"measures\": "
                );
                match previous {
                    Some(previous) if previous == resource => format!(", {entry}"),
                    Some(_) => format!("}}, \"{resource}\": {{{entry}"),
                    None => format!("\"{resource}\": {{{entry}"),
                }
            }
            Self::ImportLines => {
                format!("{{\"metric\":{{\"__name__\":\"{name}\",\"resource\":\"{resource}\"}},")
            }
        }
    }
}

/// What a series is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeriesName {
    pub(super) resource: String,
    pub(super) name: String,
    /// Id of its metric, where that is known before the load.
    pub(super) id: String,
}

struct Series {
    open: Box<[u8]>,
    walk: Walk,
}

/// Series that are written by one request.
pub(super) struct Group {
    form: Form,
    step_seconds: u32,
    series: Vec<Series>,
    random: Random,
    next_seconds: i64,
    /// Its last series, which is read back.
    pub(super) last: SeriesName,
    /// Measures of each series that have been acknowledged.
    pub(super) acknowledged: u64,
}

impl Group {
    /// Group `index` of a run; its times are `index` seconds after those of group 0, within the step.
    pub(super) fn new(
        index: usize,
        names: &[SeriesName],
        (form, policy): (Form, &str),
        step_seconds: u32,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed ^ (index as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut series = Vec::with_capacity(names.len());
        let mut previous = None;
        for (at, name) in names.iter().enumerate() {
            let open = form.open(name, previous, policy).into_bytes().into_boxed_slice();
            let walk = Walk::start((index * names.len() + at) as u64, &mut random);
            series.push(Series { open, walk });
            previous = Some(name.resource.as_str());
        }
        let offset = (index as u64 % u64::from(step_seconds)).cast_signed();
        let last = names.last().cloned().unwrap_or_default();
        let next_seconds = START_SECONDS + offset;
        Self { form, step_seconds, series, random, next_seconds, last, acknowledged: 0 }
    }

    /// How its bodies name their series.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Ids of its metrics, where the load is by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.series.iter().filter_map(|series| str::from_utf8(&series.open).ok()?.split('"').nth(1))
    }

    /// When its next measure will be, in seconds.
    pub(super) fn next_seconds(&self) -> i64 {
        self.next_seconds
    }

    /// How many series it has.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Appends the next `measures` of each series as the body of a request.
    pub(super) fn write_body(&mut self, measures: u32, out: &mut Vec<u8>) {
        let (begin, end) = self.form.frame();
        out.extend_from_slice(begin);
        for series in &mut self.series {
            out.extend_from_slice(&series.open);
            let run = Run { first: self.next_seconds, step: self.step_seconds, measures };
            match self.form {
                Form::ImportLines => write_columns(out, &mut series.walk, &mut self.random, &run),
                _ => write_measures(out, &mut series.walk, &mut self.random, &run),
            }
            out.extend_from_slice(self.form.close());
        }
        out.extend_from_slice(end);
        self.next_seconds += i64::from(measures) * i64::from(self.step_seconds);
    }
}

/// Times of some measures: the first in seconds, the step, how many.
struct Run {
    first: i64,
    step: u32,
    measures: u32,
}

fn write_measures(out: &mut Vec<u8>, walk: &mut Walk, random: &mut Random, run: &Run) {
    let mut clock = Face::at(run.first);
    out.push(b'[');
    for position in 0..run.measures {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        walk.step(run.step, random);
        out.extend_from_slice(b"{\"timestamp\": \"");
        clock.write(out);
        out.extend_from_slice(b"\", \"value\": ");
        walk.write(out);
        out.push(b'}');
        clock.advance(run.step);
    }
    out.push(b']');
}

fn write_columns(out: &mut Vec<u8>, walk: &mut Walk, random: &mut Random, run: &Run) {
    out.extend_from_slice(b"\"values\":[");
    for position in 0..run.measures {
        if position > 0 {
            out.push(b',');
        }
        walk.step(run.step, random);
        walk.write(out);
    }
    out.extend_from_slice(b"],\"timestamps\":[");
    for position in 0..run.measures {
        if position > 0 {
            out.push(b',');
        }
        write_integer(out, (run.first + i64::from(position) * i64::from(run.step)) * 1000);
    }
    out.push(b']');
}

/// A clock that shows its time as `2024-01-01T00:00:00`.
struct Face {
    seconds: i64,
    day: i64,
    date: String,
}

impl Face {
    fn at(seconds: i64) -> Self {
        let mut face = Self { seconds, day: i64::MIN, date: String::new() };
        face.advance(0);
        face
    }

    fn advance(&mut self, seconds: u32) {
        self.seconds += i64::from(seconds);
        let day = self.seconds.div_euclid(86_400);
        if day != self.day {
            self.day = day;
            self.date = date_of(day);
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let of_day = self.seconds.rem_euclid(86_400);
        out.extend_from_slice(self.date.as_bytes());
        for (part, end) in [(of_day / 3600, b":".as_slice()), (of_day / 60 % 60, b":"), (of_day % 60, b"")] {
            if part < 10 {
                out.push(b'0');
            }
            write_integer(out, part);
            out.extend_from_slice(end);
        }
    }
}

/// `2024-01-01T` of a day since 1970.
fn date_of(day: i64) -> String {
    let mut date = Timestamp::from_ns(day * 86_400 * NS_PER_SECOND).isoformat();
    date.truncate("2024-01-01T".len());
    date
}

/// Seconds since 1970 as ISO text without a zone.
pub(super) fn iso(seconds: i64) -> String {
    let mut text = Vec::new();
    Face::at(seconds).write(&mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Bodies that were made before the time is taken, so that making them costs the server nothing.
#[derive(Default)]
pub(super) struct Bodies {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Bodies {
    /// The next `rounds` bodies of each group, round by round.
    pub(super) fn of(groups: &mut [Group], rounds: usize, measures: u32) -> Self {
        let mut bodies = Self::default();
        for _ in 0..rounds {
            for group in &mut *groups {
                group.write_body(measures, &mut bodies.bytes);
                bodies.ends.push(bodies.bytes.len());
            }
        }
        bodies
    }

    /// One after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn names() -> Vec<SeriesName> {
        let name = |resource: &str, name: &str, id: &str| SeriesName {
            resource: resource.to_owned(),
            name: name.to_owned(),
            id: id.to_owned(),
        };
        vec![name("r", "a", "i"), name("r", "b", "j"), name("s", "a", "k")]
    }

    fn bodies(form: Form, step_seconds: u32, measures: u32) -> Vec<String> {
        let mut groups = [Group::new(0, &names(), (form, "p"), step_seconds, 1)];
        let bodies = Bodies::of(&mut groups, 2, measures);
        bodies.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect()
    }

    #[test]
    fn bodies_are_json_and_times_go_on() {
        let by_id = bodies(Form::ByMetricId, 43_200, 2);
        let first: Value = serde_json::from_str(&by_id[0]).unwrap();
        assert_eq!(first["i"][0]["timestamp"], "2024-01-01T00:00:00");
        assert_eq!(first["k"][1]["timestamp"], "2024-01-01T12:00:00");
        let by_name = bodies(Form::ByResourceAndName, 60, 3);
        let second: Value = serde_json::from_str(&by_name[1]).unwrap();
        assert_eq!(second["r"]["b"]["measures"][2]["timestamp"], "2024-01-01T00:05:00");
        assert_eq!(second["s"]["a"]["measures"].as_array().unwrap().len(), 3);
        assert_eq!(second["s"]["a"]["archive_policy_name"], "p");
    }

    #[test]
    fn lines_hold_the_same_values() {
        let by_id: Value = serde_json::from_str(&bodies(Form::ByMetricId, 60, 4)[1]).unwrap();
        let lines = &bodies(Form::ImportLines, 60, 4)[1];
        let line: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(line["metric"]["__name__"], "b");
        assert_eq!(line["timestamps"][3], (START_SECONDS + 7 * 60) * 1000);
        for at in 0..4 {
            assert_eq!(line["values"][at], by_id["j"][at]["value"]);
        }
        assert_eq!(iso(START_SECONDS + 3661), "2024-01-01T01:01:01");
    }
}
