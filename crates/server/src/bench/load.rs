//! The load: groups of series that are written together, and the bodies of their requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nephometer_model::time::NS_PER_SECOND;
use nephometer_model::{MetricId, Timestamp};

use super::names::{Form, Names};
use super::values::{Random, Walk, write_integer};

/// All series begin here, but those of long runs: 2024-01-01T00:00:00Z, in seconds.
pub(super) const START_SECONDS: i64 = 1_704_067_200;

/// Where the values and times of a group come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Number of the group in its run; its times are so many seconds after those of group 0, within the step.
    pub(super) index: usize,
    pub(super) begin_seconds: i64,
    pub(super) step_seconds: u32,
    pub(super) seed: u64,
}

/// What is known of a group by those who read it while another thread writes it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) names: Arc<Names>,
    pub(super) origin: Origin,
    /// Measures of each series that have been acknowledged.
    acknowledged: Arc<AtomicU64>,
}

/// Series that are written by one request.
pub(super) struct Group {
    record: Record,
    walks: Vec<Walk>,
    random: Random,
    next_seconds: i64,
}

impl Record {
    /// Measures of each series that have been acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// The first `count` measures of series `at`, written one a request, made anew from the seed: times in seconds and
    /// values.
    pub(super) fn measures(&self, at: usize, count: u64) -> Vec<(i64, f64)> {
        let mut group = Group::new(Arc::clone(&self.names), self.origin);
        let mut measure = || {
            let seconds = group.next_seconds;
            group.advance();
            (seconds, group.walks[at].value())
        };
        (0..count).map(|_| measure()).collect()
    }
}

impl Group {
    /// A group that nothing has been written of.
    pub(super) fn new(names: Arc<Names>, origin: Origin) -> Self {
        let Origin { index, begin_seconds, step_seconds, seed } = origin;
        let mut random = Random::new(seed ^ (index as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let walks =
            (0..names.len).map(|at| Walk::start((index * names.len + at) as u64, &mut random)).collect();
        let offset = (index as u64 % u64::from(step_seconds)).cast_signed();
        let record = Record { names, origin, acknowledged: Arc::default() };
        Self { record, walks, random, next_seconds: begin_seconds + offset }
    }

    /// What others may know of it.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// How its series are named.
    pub(super) fn names(&self) -> &Names {
        &self.record.names
    }

    /// Ids of its metrics, where the load is by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = MetricId> {
        self.names().ids.iter().copied()
    }

    /// When its next measure will be, in seconds.
    pub(super) fn next_seconds(&self) -> i64 {
        self.next_seconds
    }

    /// How many series it has.
    pub(super) fn len(&self) -> usize {
        self.walks.len()
    }

    /// Measures of each series that have been acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.record.acknowledged()
    }

    /// Notes that so many measures more of each series have been acknowledged.
    pub(super) fn note_acknowledged(&self, measures: u64) {
        self.record.acknowledged.fetch_add(measures, Ordering::AcqRel);
    }

    /// Appends the next `measures` of each series as the body of a request.
    pub(super) fn write_body(&mut self, measures: u32, out: &mut Vec<u8>) {
        let Self { record: Record { names, origin, .. }, walks, random, .. } = self;
        let (begin, end) = names.form.frame();
        out.extend_from_slice(begin);
        for (at, walk) in walks.iter_mut().enumerate() {
            names.open(at, out);
            let run = Run { first: self.next_seconds, step: origin.step_seconds, measures };
            match names.form {
                Form::ImportLines => write_columns(out, walk, random, &run),
                _ => write_measures(out, walk, random, &run),
            }
            out.extend_from_slice(names.form.close());
        }
        out.extend_from_slice(end);
        self.next_seconds += i64::from(measures) * i64::from(origin.step_seconds);
    }

    /// Goes on by one measure of each series without writing it.
    fn advance(&mut self) {
        let step_seconds = self.record.origin.step_seconds;
        self.walks.iter_mut().for_each(|walk| walk.step(step_seconds, &mut self.random));
        self.next_seconds += i64::from(step_seconds);
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
    use nephometer_model::{IdSource, ManualClock, ResourceId};
    use serde_json::Value;

    use super::*;

    const POLICY: &str = "p";

    /// Two series of one resource and one of another.
    fn group(form: Form, step_seconds: u32) -> Group {
        let source = ManualClock::at(Timestamp::from_ns(0));
        let names = Names {
            form,
            policy: POLICY,
            resources: (0..2).map(|_| ResourceId(source.uuid())).collect(),
            per_resource: 2,
            ids: if form == Form::ByMetricId {
                (0..3).map(|_| MetricId(source.uuid())).collect()
            } else {
                Vec::new()
            },
            len: 3,
        };
        let origin = Origin { index: 0, begin_seconds: START_SECONDS, step_seconds, seed: 1 };
        Group::new(Arc::new(names), origin)
    }

    fn bodies(group: Group, measures: u32) -> (Vec<String>, Group) {
        let mut groups = [group];
        let bodies = Bodies::of(&mut groups, 2, measures);
        let [group] = groups;
        (bodies.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect(), group)
    }

    #[test]
    fn bodies_are_json_and_times_go_on() {
        let (by_id, group) = bodies(self::group(Form::ByMetricId, 43_200), 2);
        let first: Value = serde_json::from_str(&by_id[0]).unwrap();
        let ids: Vec<String> = group.ids().map(|id| id.to_string()).collect();
        assert_eq!(first[&ids[0]][0]["timestamp"], "2024-01-01T00:00:00");
        assert_eq!(first[&ids[2]][1]["timestamp"], "2024-01-01T12:00:00");
        let (by_name, group) = bodies(self::group(Form::ByResourceAndName, 60), 3);
        let second: Value = serde_json::from_str(&by_name[1]).unwrap();
        let [r, s] = [0, 2].map(|at| group.names().resource(at).0.to_string());
        assert_eq!(second[&r]["bench_001"]["measures"][2]["timestamp"], "2024-01-01T00:05:00");
        assert_eq!(second[&s]["bench_000"]["measures"].as_array().unwrap().len(), 3);
        assert_eq!(second[&s]["bench_000"]["archive_policy_name"], POLICY);
    }

    #[test]
    fn readers_know_what_was_written() {
        let (bodies, group) = bodies(group(Form::ByMetricId, 60), 1);
        group.note_acknowledged(2);
        let record = group.record();
        for (at, id) in group.ids().enumerate() {
            let measures = record.measures(at, record.acknowledged());
            for (body, (seconds, value)) in bodies.iter().zip(measures) {
                let body: Value = serde_json::from_str(body).unwrap();
                let measure = &body[&id.to_string()][0];
                assert_eq!(measure["timestamp"], iso(seconds));
                assert!((measure["value"].as_f64().unwrap() - value).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn lines_hold_the_same_values() {
        let (by_id, group) = bodies(self::group(Form::ByMetricId, 60), 4);
        let by_id: Value = serde_json::from_str(&by_id[1]).unwrap();
        let id = group.ids().nth(1).unwrap().to_string();
        let lines = &bodies(self::group(Form::ImportLines, 60), 4).0[1];
        let line: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(line["metric"]["__name__"], "bench_001");
        assert_eq!(line["timestamps"][3], (START_SECONDS + 7 * 60) * 1000);
        for at in 0..4 {
            assert_eq!(line["values"][at], by_id[&id][at]["value"]);
        }
        assert_eq!(iso(START_SECONDS + 3661), "2024-01-01T01:01:01");
    }
}
