//! Times at which alarms are evaluated: windows that cron texts open, in zones.

mod cron;
mod search;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use nephometer_model::{TimeConstraint, Timestamp};

pub use cron::{Cron, CronError};
use search::Moment;

/// Why a time constraint cannot be used. Texts are those of upstream's API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeConstraintError {
    /// No such zone in the IANA database.
    #[error("Timezone {0} is not valid")]
    Zone(String),
    /// No cron text.
    #[error(transparent)]
    Cron(#[from] CronError),
}

/// The zone of that IANA name, written exactly so; UTC for empty.
///
/// # Errors
/// [`TimeConstraintError::Zone`] where there is none.
pub fn zone(name: &str) -> Result<TimeZone, TimeConstraintError> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let found = TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name));
    found.ok_or_else(|| TimeConstraintError::Zone(name.to_owned()))
}

/// A time constraint, understood.
#[derive(Debug, Clone)]
struct Window {
    cron: Cron,
    zone: TimeZone,
    duration_seconds: i64,
}

/// All time constraints of an alarm, understood.
#[derive(Debug, Clone, Default)]
pub struct Windows(Vec<Window>);

/// Nanoseconds of a minute.
const MINUTE_NS: i128 = 60_000_000_000;

impl Window {
    fn new(constraint: &TimeConstraint) -> Result<Self, TimeConstraintError> {
        let cron = Cron::parse(&constraint.start)?;
        let zone = zone(&constraint.timezone)?;
        Ok(Self { cron, zone, duration_seconds: constraint.duration_seconds })
    }

    /// Whether `now` is in the window, or within a minute of a start. Spans are those of the clock on the wall, as
    /// upstream has it: a window that a change of the clocks falls into is longer or shorter than it says.
    fn holds(&self, now: Timestamp) -> bool {
        let Some(now) = Moment::at(now, &self.zone) else { return false };
        let Some(last) = self.cron.previous(&now, &self.zone) else { return false };
        if let Some(next) = self.cron.next(&last, &self.zone)
            && now.wall_ns_since(&next).abs() < MINUTE_NS
        {
            return true;
        }
        let open_ns = now.wall_ns_since(&last);
        open_ns >= 0 && open_ns <= i128::from(self.duration_seconds) * 1_000_000_000
    }
}

impl Windows {
    /// Understands constraints.
    ///
    /// # Errors
    /// The first thing wrong with them.
    pub fn new(constraints: &[TimeConstraint]) -> Result<Self, TimeConstraintError> {
        constraints.iter().map(Window::new).collect::<Result<_, _>>().map(Self)
    }

    /// Understands stored constraints: those that cannot be understood never hold, as upstream's evaluator fails on
    /// them, unless one before them holds.
    pub fn of_stored(constraints: &[TimeConstraint]) -> Option<Self> {
        let windows: Vec<_> = constraints.iter().map_while(|one| Window::new(one).ok()).collect();
        (constraints.is_empty() || !windows.is_empty()).then_some(Self(windows))
    }

    /// Whether an alarm with these constraints is evaluated at `now`: always without any, else where one holds.
    pub fn hold(&self, now: Timestamp) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.holds(now))
    }
}
