//! Archive policies, their definitions, and the rules that choose a policy by metric name.

use serde::{Deserialize, Serialize};

use crate::{MethodSet, PolicyKey, Timespan};

/// One definition of an archive policy: how wide a bucket is and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyItem {
    /// Width of a bucket, positive.
    pub granularity: Timespan,
    /// Number of buckets kept, counted back from the newest; nothing means all of them.
    pub points: Option<u64>,
}

/// One definition as a client gives it: any two parts fix the third.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyItemSpec {
    /// Width of a bucket.
    pub granularity: Option<Timespan>,
    /// Number of buckets kept.
    pub points: Option<u64>,
    /// How far back it reaches.
    pub timespan: Option<Timespan>,
}

/// A policy to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArchivePolicy {
    /// Unique name.
    pub name: String,
    /// How many coarsest buckets late measures may reach back.
    pub back_window: u64,
    /// Names of methods, with signs and `*` (see [`MethodSet::select`]); nothing means the configured defaults.
    pub methods: Option<Vec<String>>,
    /// Definitions.
    pub definition: Vec<PolicyItemSpec>,
}

/// Why a definition cannot be. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// All three were given and disagree.
    #[error("timespan ≠ granularity × points")]
    Mismatch,
    /// The timespan does not hold a single bucket.
    #[error("Calculated number of points is < 0")]
    NoPoints,
    /// Less than two of the three were given.
    #[error("At least two of granularity/points/timespan must be provided")]
    Underspecified,
    /// A granularity of zero.
    #[error("Granularity should be > 0")]
    ZeroGranularity,
    /// A span beyond what 64 bits of nanoseconds hold.
    #[error("timespan is too large")]
    Overflow,
    /// Two definitions of one width; the number is in seconds.
    #[error("More than one archive policy uses granularity `{0:?}'")]
    Duplicate(f64),
}

impl PolicyItem {
    /// The definition that the given parts determine; any two fix the third, a granularity alone is unlimited.
    pub fn resolve(
        granularity: Option<Timespan>,
        points: Option<u64>,
        timespan: Option<Timespan>,
    ) -> Result<Self, PolicyError> {
        let item = match (granularity, points, timespan) {
            (Some(granularity), Some(points), Some(timespan)) => {
                let item = Self { granularity, points: Some(points) };
                if item.timespan_checked()? != Some(timespan) {
                    return Err(PolicyError::Mismatch);
                }
                item
            }
            (Some(granularity), Some(points), None) => Self { granularity, points: Some(points) },
            (Some(granularity), None, Some(timespan)) => {
                if granularity.ns() <= 0 {
                    return Err(PolicyError::ZeroGranularity);
                }
                let points = u64::try_from(timespan.ns() / granularity.ns()).unwrap_or(0);
                if points == 0 {
                    return Err(PolicyError::NoPoints);
                }
                Self { granularity, points: Some(points) }
            }
            (None, Some(points), Some(timespan)) => {
                let divisor = i64::try_from(points).map_err(|_| PolicyError::ZeroGranularity)?;
                if divisor == 0 {
                    return Err(PolicyError::NoPoints);
                }
                Self { granularity: Timespan::from_ns(timespan.ns() / divisor), points: Some(points) }
            }
            (Some(granularity), None, None) => Self { granularity, points: None },
            _ => return Err(PolicyError::Underspecified),
        };
        if item.granularity.ns() <= 0 {
            return Err(PolicyError::ZeroGranularity);
        }
        item.timespan_checked()?;
        Ok(item)
    }

    fn timespan_checked(&self) -> Result<Option<Timespan>, PolicyError> {
        let Some(points) = self.points else { return Ok(None) };
        let points = i64::try_from(points).map_err(|_| PolicyError::Overflow)?;
        let span = self.granularity.ns().checked_mul(points).ok_or(PolicyError::Overflow)?;
        Ok(Some(Timespan::from_ns(span)))
    }

    /// How far back from the newest bucket this definition reaches; nothing means for ever.
    pub fn timespan(&self) -> Option<Timespan> {
        self.timespan_checked().unwrap_or(None)
    }
}

/// A named set of aggregation methods and definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePolicy {
    /// Storage identity; zero before the index has allotted one.
    pub key: PolicyKey,
    /// Unique name.
    pub name: String,
    /// How many buckets of the coarsest definition late measures may reach back under upstream's rule.
    pub back_window: u64,
    /// Definitions in the order given, with unique granularities, never empty.
    pub definition: Vec<PolicyItem>,
    /// What is computed for each bucket.
    pub methods: MethodSet,
}

impl ArchivePolicy {
    /// Checks that `definition` has no two items of one granularity.
    pub fn check_definition(definition: &[PolicyItem]) -> Result<(), PolicyError> {
        for (position, item) in definition.iter().enumerate() {
            if definition[..position].iter().any(|other| other.granularity == item.granularity) {
                return Err(PolicyError::Duplicate(item.granularity.seconds()));
            }
        }
        Ok(())
    }

    /// The definition whose buckets are `granularity` wide.
    pub fn item(&self, granularity: Timespan) -> Option<&PolicyItem> {
        self.definition.iter().find(|item| item.granularity == granularity)
    }

    /// Granularities, coarsest first: the order in which measures are listed.
    pub fn granularities_coarsest_first(&self) -> Vec<Timespan> {
        let mut widths: Vec<_> = self.definition.iter().map(|item| item.granularity).collect();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        widths
    }

    /// Upstream's default policies: bool, low, medium, high. Keys are zero.
    pub fn upstream_defaults() -> Vec<Self> {
        let span = |seconds: i64| Timespan::from_ns(seconds * 1_000_000_000);
        let item = |granularity: i64, seconds: i64| PolicyItem {
            granularity: span(granularity),
            points: Some((seconds / granularity).unsigned_abs()),
        };
        let policy = |name: &str, back_window, definition, methods| Self {
            key: PolicyKey(0),
            name: name.to_owned(),
            back_window,
            definition,
            methods,
        };
        let day = 86_400;
        let last = MethodSet::new([crate::AggregationMethod::of(crate::Reducer::Last)]);
        let usual = MethodSet::upstream_default();
        vec![
            policy("bool", 3600, vec![item(1, 365 * day)], last),
            policy("low", 0, vec![item(300, 30 * day)], usual.clone()),
            policy("medium", 0, vec![item(60, 7 * day), item(3600, 365 * day)], usual.clone()),
            policy("high", 0, vec![item(1, 3600), item(60, 7 * day), item(3600, 365 * day)], usual),
        ]
    }
}

/// Chooses an archive policy for metrics whose name matches a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePolicyRule {
    /// Unique name.
    pub name: String,
    /// Glob over the whole metric name: `*`, `?`, `[seq]`, `[!seq]`.
    pub metric_pattern: String,
    /// The policy chosen.
    pub archive_policy_name: String,
}

/// Whether `name` matches the glob `pattern` as Python's `fnmatchcase` decides: whole string, case-sensitive; an
/// unclosed bracket is a literal.
pub fn glob_match(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() {
            return pattern[p..].iter().all(|c| *c == '*');
        }
        if let Some(next) = match_one(&pattern, p, name[n]) {
            p = next;
            n += 1;
            continue;
        }
        let Some((after_star, from)) = retry else { return false };
        retry = Some((after_star, from + 1));
        (p, n) = (after_star, from + 1);
    }
}

/// Where the pattern goes on when its element at `p` takes `c`.
fn match_one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => {
            let negated = pattern.get(p + 1) == Some(&'!');
            let first = p + 1 + usize::from(negated);
            // A bracket right after the opening belongs to the set.
            let close = (first + 1..pattern.len()).find(|at| pattern[*at] == ']');
            let Some(close) = close else { return (c == '[').then_some(p + 1) };
            (set_contains(&pattern[first..close], c) != negated).then_some(close + 1)
        }
        literal => (literal == c).then_some(p + 1),
    }
}

fn set_contains(set: &[char], c: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            if (set[at]..=set[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: i64) -> Timespan {
        Timespan::from_ns(n * 1_000_000_000)
    }

    #[test]
    fn two_of_three_fix_the_third() {
        let item = PolicyItem::resolve(Some(seconds(7)), None, Some(seconds(3600))).unwrap();
        assert_eq!((item.points, item.timespan()), (Some(514), Some(seconds(3598))));
        let item = PolicyItem::resolve(None, Some(7), Some(seconds(3600))).unwrap();
        assert_eq!(item.granularity.ns(), 514_285_714_285);
        assert_eq!(PolicyItem::resolve(Some(seconds(1)), None, None).unwrap().timespan(), None);
        let error = PolicyItem::resolve(Some(seconds(1)), Some(2), Some(seconds(3)));
        assert_eq!(error, Err(PolicyError::Mismatch));
        assert_eq!(PolicyItem::resolve(None, Some(2), None), Err(PolicyError::Underspecified));
        assert_eq!(
            PolicyItem::resolve(Some(seconds(10)), None, Some(seconds(3))),
            Err(PolicyError::NoPoints)
        );
    }

    #[test]
    fn duplicate_granularity_text() {
        let item = PolicyItem { granularity: seconds(1), points: None };
        let error = ArchivePolicy::check_definition(&[item, item]).unwrap_err();
        assert_eq!(error.to_string(), "More than one archive policy uses granularity `1.0'");
    }

    #[test]
    fn globs_as_fnmatch() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("disk.*", "disk.io.rate", true),
            ("disk.*", "disk", false),
            ("d?sk", "disk", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[abc", "[abc", true),
            ("*a*b", "xaybzb", true),
            ("*a*b", "xaybzc", false),
        ] {
            assert_eq!(glob_match(pattern, name), expected, "{pattern} {name}");
        }
    }
}
