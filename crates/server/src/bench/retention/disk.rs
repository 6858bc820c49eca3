//! What the data takes on disk over time, and whether the line is flat once everything has come of age.

use std::path::Path;

use serde::Serialize;

/// A figure may be so much larger in the second half of what is looked at than in the first.
const MAX_GROWTH: f64 = 1.15;

/// The data directory at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Simulated time in hours.
    pub(super) hours: f64,
    /// Files of the measures: parts and log.
    pub(super) part_bytes: u64,
    pub(super) parts: u64,
    pub(super) log_bytes: u64,
    /// Everything else in the data directory.
    pub(super) index_bytes: u64,
}

impl Sample {
    /// Looks at the data directory of a server of ours.
    pub(super) fn of(data_dir: &Path, hours: f64) -> Self {
        let (part_bytes, parts) = files(&data_dir.join("measures/parts"));
        let (log_bytes, _) = files(&data_dir.join("measures/log"));
        let (index_bytes, _) = files(data_dir);
        Self { hours, part_bytes, parts, log_bytes, index_bytes }
    }
}

/// Bytes and number of the files in a directory; those that go away meanwhile do not count.
fn files(directory: &Path) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir(directory) else { return (0, 0) };
    let sizes =
        entries.flatten().filter_map(|entry| entry.metadata().ok().filter(std::fs::Metadata::is_file));
    sizes.fold((0, 0), |(bytes, count), file| (bytes + file.len(), count + 1))
}

/// One figure over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Line {
    min: f64,
    max: f64,
    mean: f64,
    last: f64,
    /// By least squares.
    slope_an_hour: f64,
    /// Mean of the second half over that of the first.
    growth: f64,
}

impl Line {
    fn of(samples: &[Sample], figure: impl Fn(&Sample) -> u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "figures for reports")]
        let points: Vec<(f64, f64)> = samples.iter().map(|s| (s.hours, figure(s) as f64)).collect();
        let (first, second) = points.split_at(points.len() / 2);
        let (middle, mean) = (mean(points.iter().map(|p| p.0)), mean(points.iter().map(|p| p.1)));
        let spread: f64 = points.iter().map(|(x, _)| (x - middle) * (x - middle)).sum();
        let along: f64 = points.iter().map(|(x, y)| (x - middle) * (y - mean)).sum();
        Self {
            min: points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min),
            max: points.iter().map(|p| p.1).fold(0.0, f64::max),
            mean,
            last: points.last().map_or(0.0, |p| p.1),
            slope_an_hour: if spread > 0.0 { along / spread } else { 0.0 },
            growth: self::mean(second.iter().map(|p| p.1)) / self::mean(first.iter().map(|p| p.1)).max(1.0),
        }
    }

    fn is_flat(&self) -> bool {
        self.growth <= MAX_GROWTH
    }

    fn text(&self, name: &str) -> String {
        format!(
            "{name}: min {:.0}, max {:.0}, last {:.0}, {:+.1} an hour, second half {:.3} × the first{}",
            self.min,
            self.max,
            self.last,
            self.slope_an_hour,
            self.growth,
            if self.is_flat() { "" } else { ": NOT FLAT" }
        )
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// What became of the disk after everything had come of age for the first time.
#[derive(Debug, Clone, Default, Serialize)]
pub(in super::super) struct DiskUse {
    /// Simulated hours that were looked at.
    hours: f64,
    /// Parts and log.
    bytes: Line,
    parts: Line,
    log_bytes: Line,
    index_bytes: Line,
    /// Parts and log after the server had settled, and measures that can matter to what is shown then.
    pub(super) settled_bytes: u64,
    pub(super) shown_measures: u64,
}

impl DiskUse {
    /// Of `samples`, those after `warm_hours`.
    pub(super) fn of(samples: &[Sample], warm_hours: f64) -> Self {
        let first = samples.partition_point(|sample| sample.hours < warm_hours);
        let seen = &samples[first..];
        let line = |figure: fn(&Sample) -> u64| Line::of(seen, figure);
        Self {
            hours: seen.last().map_or(0.0, |last| last.hours - seen[0].hours),
            bytes: line(|s| s.part_bytes + s.log_bytes),
            parts: line(|s| s.parts),
            log_bytes: line(|s| s.log_bytes),
            index_bytes: line(|s| s.index_bytes),
            settled_bytes: 0,
            shown_measures: 0,
        }
    }

    /// Lines that are not flat. The index keeps the size that it once had.
    pub(in super::super) fn problems(&self) -> u64 {
        [self.bytes, self.parts].iter().filter(|line| !line.is_flat()).count() as u64
    }

    /// For people.
    pub(in super::super) fn lines(&self) -> Vec<String> {
        vec![
            format!("disk over the last {:.1} simulated hours", self.hours),
            self.bytes.text("bytes of parts and log"),
            self.parts.text("parts"),
            format!("bytes of log: max {:.0}, last {:.0}", self.log_bytes.max, self.log_bytes.last),
            format!("bytes of index: max {:.0}, last {:.0}", self.index_bytes.max, self.index_bytes.last),
            format!("settled: {} bytes for {} measures that show", self.settled_bytes, self.shown_measures),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bytes: impl Fn(u32) -> u64) -> Vec<Sample> {
        (0..40)
            .map(|at| Sample { hours: f64::from(at), part_bytes: bytes(at), ..Sample::default() })
            .collect()
    }

    #[test]
    fn flat_and_growing_lines() {
        let saw = DiskUse::of(&samples(|at| 1000 + u64::from(at % 5) * 100), 10.0);
        assert_eq!(saw.problems(), 0);
        assert!((saw.bytes.min - 1000.0).abs() < 1e-9 && (saw.hours - 29.0).abs() < 1e-9);
        let leak = DiskUse::of(&samples(|at| 1000 + u64::from(at) * 20), 10.0);
        assert_eq!(leak.problems(), 1);
        assert!((leak.bytes.slope_an_hour - 20.0).abs() < 1e-6);
        assert!(leak.lines()[1].contains("NOT FLAT"));
        assert_eq!(DiskUse::of(&samples(|at| u64::from(at < 5) * 9), 10.0).problems(), 0);
    }
}
