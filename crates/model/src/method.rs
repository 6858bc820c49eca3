//! Aggregation methods: the 108 reducers that upstream names and their `rate:` forms.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the values of one bucket become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reducer {
    /// Arithmetic mean.
    Mean,
    /// Sum, left to right.
    Sum,
    /// Newest value.
    Last,
    /// Largest value; NaN wins.
    Max,
    /// Smallest value; NaN loses.
    Min,
    /// Sample standard deviation; no value for a single measure.
    Std,
    /// Middle of the sorted values.
    Median,
    /// Oldest value.
    First,
    /// Number of values.
    Count,
    /// Percentile 1 to 99, linearly interpolated.
    Percentile(u8),
}

/// A reducer over values or, as `rate:X`, over the differences of consecutive measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregationMethod {
    /// Whether differences are reduced instead of values.
    pub rate: bool,
    /// What reduces them.
    pub reducer: Reducer,
}

const PLAIN: [(&str, Reducer); 9] = [
    ("mean", Reducer::Mean),
    ("sum", Reducer::Sum),
    ("last", Reducer::Last),
    ("max", Reducer::Max),
    ("min", Reducer::Min),
    ("std", Reducer::Std),
    ("median", Reducer::Median),
    ("first", Reducer::First),
    ("count", Reducer::Count),
];

impl Reducer {
    /// The reducer called `name` (`mean`, `95pct`, …).
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((_, reducer)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Some(*reducer);
        }
        let digits = name.strip_suffix("pct")?;
        let percent = digits.parse::<u8>().ok()?;
        let canonical = (1..=99).contains(&percent) && !digits.starts_with(['0', '+']);
        canonical.then_some(Self::Percentile(percent))
    }

    /// All 108 reducers, in upstream's order.
    pub fn all() -> impl Iterator<Item = Self> {
        PLAIN.iter().map(|(_, reducer)| *reducer).chain((1..=99).map(Self::Percentile))
    }
}

impl fmt::Display for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Percentile(percent) = self {
            return write!(f, "{percent}pct");
        }
        let name = PLAIN.iter().find(|(_, reducer)| reducer == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl AggregationMethod {
    /// The mean of the values, upstream's default.
    pub const MEAN: Self = Self::of(Reducer::Mean);

    /// `reducer` over values.
    pub const fn of(reducer: Reducer) -> Self {
        Self { rate: false, reducer }
    }

    /// `reducer` over differences.
    pub const fn rate_of(reducer: Reducer) -> Self {
        Self { rate: true, reducer }
    }

    /// The method called `name` (`mean`, `rate:95pct`, …), or nothing where no such method exists.
    pub fn parse(name: &str) -> Option<Self> {
        match name.strip_prefix("rate:") {
            Some(rest) => Reducer::parse(rest).map(Self::rate_of),
            None => Reducer::parse(name).map(Self::of),
        }
    }

    /// All 216 methods.
    pub fn all() -> impl Iterator<Item = Self> {
        Reducer::all().map(Self::of).chain(Reducer::all().map(Self::rate_of))
    }
}

impl fmt::Display for AggregationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rate {
            f.write_str("rate:")?;
        }
        self.reducer.fmt(f)
    }
}

impl Serialize for AggregationMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AggregationMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown aggregation method `{name}'")))
    }
}

/// The methods of an archive policy: unique, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MethodSet(Vec<AggregationMethod>);

impl MethodSet {
    /// The set of `methods`; repetitions are dropped.
    pub fn new(methods: impl IntoIterator<Item = AggregationMethod>) -> Self {
        let mut unique = Vec::new();
        for method in methods {
            if !unique.contains(&method) {
                unique.push(method);
            }
        }
        Self(unique)
    }

    /// Upstream's default: mean, min, max, sum, std, count.
    pub fn upstream_default() -> Self {
        use Reducer::{Count, Max, Mean, Min, Std, Sum};
        Self::new([Mean, Min, Max, Sum, Std, Count].map(AggregationMethod::of))
    }

    /// What a request for `names` selects, given the configured `defaults`: `*` is everything; a list of only
    /// `+m`/`-m` (or an empty one) starts from the defaults, any other from its plain names; then signs apply.
    /// Errors with the position of the first name that is no method.
    pub fn select(names: &[impl AsRef<str>], defaults: &Self) -> Result<Self, usize> {
        let mut plain = Vec::new();
        let mut signed = Vec::new();
        let mut everything = false;
        for (position, name) in names.iter().enumerate() {
            let name = name.as_ref();
            let method = |text: &str| AggregationMethod::parse(text).ok_or(position);
            match name.as_bytes().first() {
                _ if name == "*" => everything = true,
                Some(b'+') => signed.push((true, method(&name[1..])?)),
                Some(b'-') => signed.push((false, method(&name[1..])?)),
                _ => plain.push(method(name)?),
            }
        }
        if everything {
            return Ok(Self::new(AggregationMethod::all()));
        }
        let mut set = if plain.is_empty() { defaults.clone() } else { Self::new(plain) };
        for (add, method) in signed {
            set.0.retain(|known| *known != method);
            if add {
                set.0.push(method);
            }
        }
        Ok(set)
    }

    /// Whether `method` is in the set.
    pub fn contains(&self, method: AggregationMethod) -> bool {
        self.0.contains(&method)
    }

    /// The methods in order.
    pub fn iter(&self) -> impl Iterator<Item = AggregationMethod> + '_ {
        self.0.iter().copied()
    }

    /// Whether any method is a `rate:` form, so that differences need the measure before.
    pub fn has_rate(&self) -> bool {
        self.0.iter().any(|method| method.rate)
    }

    /// How many methods there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_count_216() {
        let all: Vec<_> = AggregationMethod::all().collect();
        assert_eq!(all.len(), 216);
        for method in all {
            assert_eq!(AggregationMethod::parse(&method.to_string()), Some(method));
        }
        for bad in ["", "0pct", "100pct", "05pct", "+5pct", "rate:rate:mean", "var", "nunique", "Mean"] {
            assert_eq!(AggregationMethod::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn selection_follows_signs() {
        let defaults = MethodSet::upstream_default();
        let names = |set: &MethodSet| set.iter().map(|m| m.to_string()).collect::<Vec<_>>();
        assert_eq!(MethodSet::select(&[] as &[&str], &defaults), Ok(defaults.clone()));
        assert_eq!(
            names(&MethodSet::select(&["-mean"], &defaults).unwrap()),
            ["min", "max", "sum", "std", "count"]
        );
        assert_eq!(names(&MethodSet::select(&["mean", "+std", "-max"], &defaults).unwrap()), ["mean", "std"]);
        assert_eq!(MethodSet::select(&["*"], &defaults).unwrap().len(), 216);
        assert_eq!(MethodSet::select(&["mean", "nope"], &defaults), Err(1));
    }
}
