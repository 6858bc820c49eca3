//! The load: groups of metrics whose measures are written batch by batch, and the timing of requests.

use anyhow::{Result, bail};
use nephometer_model::time::NS_PER_SECOND;
use nephometer_model::{Clock, SystemClock, Timestamp};

use crate::client::{Answer, Connection};

use super::values::{Random, Walk, write_integer};

/// All series begin here: 2024-01-01T00:00:00Z, in seconds.
const START_SECONDS: i64 = 1_704_067_200;

/// How a batch names its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchForm {
    /// `{"<metric id>": [measures]}`.
    ByMetricId,
    /// `{"<resource id>": {"<name>": [measures]}}`, metrics made on the way.
    ByResourceAndName,
}

impl BatchForm {
    /// Where such batches are posted.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::ByMetricId => "/v1/batch/metrics/measures",
            Self::ByResourceAndName => "/v1/batch/resources/metrics/measures?create_metrics=true",
        }
    }
}

/// The metrics of one resource, written together.
pub(super) struct Group {
    pub(super) resource: String,
    /// Names and, where they were made beforehand, ids.
    pub(super) names: Vec<String>,
    pub(super) ids: Vec<String>,
    walks: Vec<Walk>,
    random: Random,
    next_seconds: i64,
    /// Measures of each metric that have been acknowledged.
    pub(super) acknowledged: u64,
}

impl Group {
    /// Group `index` of the run.
    pub(super) fn new(index: u64, resource: String, names: Vec<String>, ids: Vec<String>, seed: u64) -> Self {
        let mut random = Random::new(seed ^ (index + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let first = index * names.len() as u64;
        let walks = (0..names.len() as u64).map(|i| Walk::start(first + i, &mut random)).collect();
        Self { resource, names, ids, walks, random, next_seconds: START_SECONDS, acknowledged: 0 }
    }

    /// Writes the next `measures` of each metric, `step_seconds` apart, as the body of a request.
    pub(super) fn write_batch(
        &mut self,
        form: BatchForm,
        measures: u32,
        step_seconds: u32,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.push(b'{');
        let keys = match form {
            BatchForm::ByMetricId => &self.ids,
            BatchForm::ByResourceAndName => {
                write_key(out, &self.resource);
                out.push(b'{');
                &self.names
            }
        };
        for (position, (key, walk)) in keys.iter().zip(&mut self.walks).enumerate() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            write_key(out, key);
            let mut clock = Face::at(self.next_seconds);
            write_measures(out, walk, &mut self.random, &mut clock, measures, step_seconds);
        }
        out.extend_from_slice(if form == BatchForm::ByMetricId { b"}" } else { b"}}" });
        self.next_seconds += i64::from(measures) * i64::from(step_seconds);
    }

    /// Writes the next `measures` of the first metric as the body of `POST /v1/metric/{id}/measures`.
    pub(super) fn write_list(&mut self, measures: u32, step_seconds: u32, out: &mut Vec<u8>) {
        out.clear();
        let mut clock = Face::at(self.next_seconds);
        write_measures(out, &mut self.walks[0], &mut self.random, &mut clock, measures, step_seconds);
        self.next_seconds += i64::from(measures) * i64::from(step_seconds);
    }
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\": ");
}

fn write_measures(
    out: &mut Vec<u8>,
    walk: &mut Walk,
    random: &mut Random,
    clock: &mut Face,
    measures: u32,
    step_seconds: u32,
) {
    out.push(b'[');
    for position in 0..measures {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        walk.step(step_seconds, random);
        out.extend_from_slice(b"{\"timestamp\": \"");
        clock.write(out);
        out.extend_from_slice(b"\", \"value\": ");
        walk.write(out);
        out.push(b'}');
        clock.advance(step_seconds);
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
            self.date = Timestamp::from_ns(day * 86_400 * NS_PER_SECOND).isoformat();
            self.date.truncate("2024-01-01T".len());
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

/// What a worker saw.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) latencies_ns: Vec<u64>,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) items: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
}

impl Tally {
    /// Adds another worker's.
    pub(super) fn merge(&mut self, other: Self) {
        self.latencies_ns.extend(other.latencies_ns);
        self.refused += other.refused;
        self.failed += other.failed;
        self.items += other.items;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }

    /// Sends a request and measures it; a 503 is tried again when the server says so.
    pub(super) fn timed(
        &mut self,
        clock: &SystemClock,
        connection: &mut Connection,
        (method, path): (&str, &str),
        body: &[u8],
    ) -> Result<Answer> {
        const MAX_REFUSALS: u32 = 60;
        for _ in 0..MAX_REFUSALS {
            let begin = clock.monotonic_ns();
            let answer = connection.request(method, path, body)?;
            if answer.status == 503 {
                self.refused += 1;
                std::thread::sleep(std::time::Duration::from_secs(answer.retry_after_seconds.unwrap_or(1)));
                continue;
            }
            self.latencies_ns.push(clock.monotonic_ns() - begin);
            self.bytes_sent += body.len() as u64;
            self.bytes_received += answer.body.len() as u64;
            if !(200..300).contains(&answer.status) {
                self.failed += 1;
                tracing::warn!(status = answer.status, body = %String::from_utf8_lossy(&answer.body), "refused");
            }
            return Ok(answer);
        }
        bail!("{method} {path}: 503, {MAX_REFUSALS} times in a row")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_and_times_go_on() {
        let names = vec!["a".to_owned(), "b".to_owned()];
        let mut group = Group::new(0, "r".to_owned(), names, vec!["i".to_owned(), "j".to_owned()], 1);
        let mut body = Vec::new();
        group.write_batch(BatchForm::ByMetricId, 2, 43_200, &mut body);
        let first: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(first["i"][0]["timestamp"], "2024-01-01T00:00:00");
        assert_eq!(first["j"][1]["timestamp"], "2024-01-01T12:00:00");
        group.write_batch(BatchForm::ByResourceAndName, 3, 60, &mut body);
        let second: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(second["r"]["b"][2]["timestamp"], "2024-01-02T00:02:00");
        assert_eq!(second["r"]["a"].as_array().unwrap().len(), 3);
        group.write_list(1, 1, &mut body);
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(list[0]["timestamp"], "2024-01-02T00:03:00");
    }
}
