//! What was received since the last flush.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use nephometer_model::Timestamp;

use super::line::{Kind, Line, StatsdLineError, parse};

/// The state of one interval: counters added up, the last value of gauges and timers.
#[derive(Debug)]
pub struct StatsdAccumulator {
    max_names: usize,
    pending: HashMap<String, Pending>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Pending {
    kind: Kind,
    /// When the last line came.
    at: Timestamp,
    value: f64,
}

/// One measure for each name that was received in an interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatsdFlush {
    pending: Vec<(String, Pending)>,
}

impl StatsdFlush {
    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many measures there are.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Name of the metric, time of the last line and value of each measure.
    pub fn measures(&self) -> impl Iterator<Item = (&str, Timestamp, f64)> {
        self.pending.iter().map(|(name, pending)| (name.as_str(), pending.at, pending.value))
    }
}

impl StatsdAccumulator {
    /// Nothing yet; keeps at most `max_names` names an interval.
    pub fn new(max_names: usize) -> Self {
        Self { max_names, pending: HashMap::new() }
    }

    /// Takes in the lines of a datagram, or of a piece of a stream that ends with a line. A line that cannot be read
    /// costs only itself; answers why each of those was dropped.
    pub fn receive(&mut self, datagram: &[u8], now: Timestamp) -> Vec<StatsdLineError> {
        let lines = datagram.split(|byte| *byte == b'\n');
        let lines =
            lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty());
        let taken = lines.map(|line| {
            let text = std::str::from_utf8(line).map_err(|_| StatsdLineError::NotText)?;
            self.add(parse(text)?, now)
        });
        taken.filter_map(Result::err).collect()
    }

    fn add(&mut self, line: Line, now: Timestamp) -> Result<(), StatsdLineError> {
        let Line { name, kind, value } = line;
        let names = self.pending.len();
        match self.pending.entry(name) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.value = if kind == Kind::Counter { known.value + value } else { value };
                known.at = now;
            }
            Entry::Vacant(new) if names < self.max_names => {
                new.insert(Pending { kind, at: now, value });
            }
            Entry::Vacant(new) => return Err(StatsdLineError::TooManyNames(new.into_key())),
        }
        Ok(())
    }

    /// Ends the interval: what was received, by name; the state is empty afterwards.
    pub fn take(&mut self) -> StatsdFlush {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        pending.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        StatsdFlush { pending }
    }

    /// Takes back a flush that could not be stored: counters go on from it, newer gauges and timers stay.
    pub fn give_back(&mut self, flush: StatsdFlush) {
        for (name, old) in flush.pending {
            let names = self.pending.len();
            match self.pending.entry(name) {
                Entry::Occupied(mut known) => {
                    if old.kind == Kind::Counter {
                        known.get_mut().value += old.value;
                    }
                }
                Entry::Vacant(new) if names < self.max_names => {
                    new.insert(old);
                }
                Entry::Vacant(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_ns(second * 1_000_000_000)
    }

    fn taken(accumulator: &mut StatsdAccumulator) -> Vec<(String, Timestamp, f64)> {
        let flush = accumulator.take();
        flush.measures().map(|(name, at, value)| (name.to_owned(), at, value)).collect()
    }

    #[test]
    fn counters_add_up_and_the_rest_is_last() {
        let mut accumulator = StatsdAccumulator::new(10);
        let dropped = accumulator.receive(b"x:45|c\nbad\n\nx:2|c|@0.2\r\ny:1|g\nt:5|ms\n\xff:1|c", at(1));
        assert_eq!(dropped.len(), 2);
        accumulator.receive(b"y:-2|g", at(2));
        assert_eq!(
            taken(&mut accumulator),
            [
                ("t|ms".to_owned(), at(1), 5.0),
                ("x|c".to_owned(), at(1), 55.0),
                ("y|g".to_owned(), at(2), -2.0)
            ]
        );
        assert!(accumulator.take().is_empty());
    }

    #[test]
    fn names_are_bounded() {
        let mut accumulator = StatsdAccumulator::new(1);
        let dropped = accumulator.receive(b"x:1|c\ny:1|c\nx:1|c", at(1));
        assert_eq!(dropped, [StatsdLineError::TooManyNames("y|c".to_owned())]);
        assert_eq!(accumulator.take().len(), 1);
    }

    #[test]
    fn a_flush_that_failed_is_not_lost() {
        let mut accumulator = StatsdAccumulator::new(10);
        accumulator.receive(b"x:1|c\ny:1|g\nz:1|c", at(1));
        let flush = accumulator.take();
        accumulator.receive(b"x:2|c\ny:2|g", at(2));
        accumulator.give_back(flush);
        assert_eq!(
            taken(&mut accumulator),
            [("x|c".to_owned(), at(2), 3.0), ("y|g".to_owned(), at(2), 2.0), ("z|c".to_owned(), at(1), 1.0)]
        );
    }
}
