//! One line: `name:value|type[|@rate]`.

use nephometer_model::time::parse_float;

/// Why a line is dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatsdLineError {
    /// Not text.
    #[error("not UTF-8")]
    NotText,
    /// Too few or too many parts between bars.
    #[error("Invalid number of | in `{0}'")]
    Bars(String),
    /// No single colon between name and value, or a name that is empty or cannot be stored.
    #[error("no name and value in `{0}'")]
    NameAndValue(String),
    /// The value is no number.
    #[error("no number in `{0}'")]
    Number(String),
    /// A rate that is none, or none is allowed.
    #[error("Invalid sampling in `{0}'")]
    Sampling(String),
    /// A type other than counter, gauge and timer.
    #[error("Unknown metric type `{0}'")]
    Type(String),
    /// So many names in one interval that no new one fits.
    #[error("too many names in one interval: `{0}' is dropped")]
    TooManyNames(String),
}

/// What a line measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Added up.
    Counter,
    /// The last one counts.
    Latest,
}

/// A line that could be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Name of the metric: the line's name, a bar, the line's type.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Scaled up by the rate.
    pub(super) value: f64,
}

/// Reads a line. Slashes in names, which no path could hold, become underscores.
pub(super) fn parse(line: &str) -> Result<Line, StatsdLineError> {
    let shown = || line.chars().take(200).collect::<String>();
    let parts: Vec<&str> = line.split('|').collect();
    let (pair, kind, sampling) = match parts.as_slice() {
        [pair, kind] => (*pair, *kind, None),
        [pair, kind, sampling] => (*pair, *kind, Some(*sampling)),
        _ => return Err(StatsdLineError::Bars(shown())),
    };
    let (name, value) = pair
        .split_once(':')
        .filter(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains(':'))
        .ok_or_else(|| StatsdLineError::NameAndValue(shown()))?;
    let value = parse_float(value).ok_or_else(|| StatsdLineError::Number(shown()))?;
    let (kind_of, rate_allowed) = match kind {
        "c" => (Kind::Counter, true),
        "g" | "ms" => (Kind::Latest, false),
        other => return Err(StatsdLineError::Type(other.chars().take(20).collect())),
    };
    let rate = match sampling {
        None => 1.0,
        Some(text) => text
            .strip_prefix('@')
            .and_then(parse_float)
            .filter(|rate| rate_allowed && rate.is_finite() && *rate > 0.0)
            .ok_or_else(|| StatsdLineError::Sampling(shown()))?,
    };
    Ok(Line {
        name: format!("{}|{kind}", name.replace('/', "_")),
        kind: kind_of,
        value: value * (1.0 / rate),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_lines() {
        let read = |line| parse(line).map(|line| (line.name, line.value));
        assert_eq!(read("x:45|c"), Ok(("x|c".to_owned(), 45.0)));
        assert_eq!(read("x:2|c|@0.2"), Ok(("x|c".to_owned(), 10.0)));
        assert_eq!(read("a/b:-3.5|g"), Ok(("a_b|g".to_owned(), -3.5)));
        assert_eq!(read("t:320|ms"), Ok(("t|ms".to_owned(), 320.0)));
    }

    #[test]
    fn drops_what_is_none() {
        use StatsdLineError as E;
        let error = |line: &str| parse(line).unwrap_err();
        assert!(matches!(error("x:1"), E::Bars(_)));
        assert!(matches!(error("x:1|c|@1|x"), E::Bars(_)));
        assert!(matches!(error("x|c"), E::NameAndValue(_)));
        assert!(matches!(error(":1|c"), E::NameAndValue(_)));
        assert!(matches!(error("a\0:1|c"), E::NameAndValue(_)));
        assert!(matches!(error("a:b:1|c"), E::NameAndValue(_)));
        assert!(matches!(error("x:y|c"), E::Number(_)));
        assert!(matches!(error("x:1|s"), E::Type(_)));
        for sampling in ["0.1", "@0", "@-1", "@x", "@inf"] {
            assert!(matches!(error(&format!("x:1|c|{sampling}")), E::Sampling(_)), "{sampling}");
        }
        assert!(matches!(error("x:1|g|@0.5"), E::Sampling(_)));
    }

    proptest! {
        #[test]
        fn never_panics(line in "\\PC{0,40}") {
            let _ = parse(&line);
        }

        #[test]
        fn never_panics_near_the_grammar(line in "[ax/:|@.0-9cgms-]{0,20}") {
            let _ = parse(&line);
        }
    }
}
