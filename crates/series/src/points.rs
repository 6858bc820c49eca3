//! A series of points as two columns.

/// Points in ascending order of time, each timestamp once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    /// Nanoseconds since the epoch, strictly ascending.
    pub timestamps_ns: Vec<i64>,
    /// One value for each timestamp.
    pub values: Vec<f64>,
}

impl Points {
    /// How many points there are.
    pub fn len(&self) -> usize {
        self.timestamps_ns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ns.is_empty()
    }

    /// The points as pairs of nanoseconds and value, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.timestamps_ns.iter().copied().zip(self.values.iter().copied())
    }

    /// Keeps the points in `[start_ns, stop_ns)`; a missing bound keeps everything on its side.
    pub fn cut(&mut self, start_ns: Option<i64>, stop_ns: Option<i64>) {
        if let Some(stop) = stop_ns {
            let end = self.timestamps_ns.partition_point(|t| *t < stop);
            self.timestamps_ns.truncate(end);
            self.values.truncate(end);
        }
        if let Some(start) = start_ns {
            let begin = self.timestamps_ns.partition_point(|t| *t < start);
            self.timestamps_ns.drain(..begin);
            self.values.drain(..begin);
        }
    }
}

impl FromIterator<(i64, f64)> for Points {
    /// The caller gives ascending timestamps.
    fn from_iter<I: IntoIterator<Item = (i64, f64)>>(points: I) -> Self {
        let (timestamps_ns, values) = points.into_iter().unzip();
        Self { timestamps_ns, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_is_half_open() {
        let all: Points = [(10, 1.0), (20, 2.0), (30, 3.0)].into_iter().collect();
        let cut = |start, stop| {
            let mut points = all.clone();
            points.cut(start, stop);
            points.values
        };
        assert_eq!(cut(None, None), [1.0, 2.0, 3.0]);
        assert_eq!(cut(Some(20), None), [2.0, 3.0]);
        assert_eq!(cut(Some(11), Some(30)), [2.0]);
        assert!(cut(Some(30), Some(10)).is_empty());
    }
}
