//! What can be wrong with a policy file, and what looks as if it were.

use super::MAX_CHAIN;

/// Why a policy file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// Neither YAML nor JSON, or not a mapping of names to rules.
    #[error("{file}: not a mapping of rule names to rules: {reason}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A rule that does not parse.
    #[error("{file}: rule `{rule}`: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// The rule's name.
        rule: String,
        /// What is wrong.
        reason: String,
    },
    /// A rule that refers to itself, directly or through others.
    #[error("rule `{rule}` refers to itself through {through}")]
    Cycle {
        /// Its name.
        rule: String,
        /// The rules on the way.
        through: String,
    },
    /// More than 32 rules that refer to each other in a row.
    #[error("rule `{0}` refers to rules that refer to rules, more than {MAX_CHAIN} times")]
    TooDeep(String),
}

/// Something in a policy file that is allowed and probably a mistake, or that will not work forever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyWarning {
    /// A rule that neither the program nor another rule asks for.
    Unused {
        /// Its name.
        rule: String,
        /// The rule that may have been meant.
        suggestion: Option<String>,
    },
    /// A reference to a rule that does not exist, which refuses.
    Undefined {
        /// The rule that refers.
        rule: String,
        /// What it refers to.
        reference: String,
        /// The rule that may have been meant.
        suggestion: Option<String>,
    },
    /// A rule by a name that upstream gave up.
    Renamed {
        /// The name in the file.
        rule: String,
        /// The name of today.
        name: String,
        /// The release that changed it.
        since: String,
    },
    /// A rule that says what the default says.
    Redundant(String),
}

impl std::fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let suggestion = match self {
            Self::Unused { rule, suggestion } => {
                write!(f, "nothing asks for rule `{rule}`")?;
                suggestion
            }
            Self::Undefined { rule, reference, suggestion } => {
                write!(f, "rule `{rule}` refers to `{reference}`, which does not exist and refuses")?;
                suggestion
            }
            Self::Renamed { rule, name, since } => {
                return write!(f, "rule `{rule}` is called `{name}` since {since}: rename it");
            }
            Self::Redundant(rule) => return write!(f, "rule `{rule}` says what the default says"),
        };
        suggestion.as_ref().map_or(Ok(()), |name| write!(f, "; did you mean `{name}`?"))
    }
}
