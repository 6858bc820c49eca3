//! What goes wrong with expressions, in Python's kinds.

use std::fmt;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {at} of `{text}`")]
pub struct ExpressionSyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where, in characters from 1.
    pub at: usize,
    /// The expression, cut to a readable length.
    pub text: String,
}

impl ExpressionSyntaxError {
    pub(super) fn new(message: impl Into<String>, text: &str, byte: usize) -> Self {
        let at = text.get(..byte).map_or(0, |before| before.chars().count()) + 1;
        let cut = match text.char_indices().nth(200) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        Self { message: message.into(), at, text: cut }
    }
}

/// The kind of an error. All but the last two are Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No such attribute or method.
    Attribute,
    /// An index beyond the end.
    Index,
    /// No such key.
    Key,
    /// No such name.
    Name,
    /// A number too large for its kind.
    Overflow,
    /// A wrong regular expression.
    Regex,
    /// A value of the wrong type.
    Type,
    /// A value of the right type that will not do.
    Value,
    /// Division by zero.
    ZeroDivision,
    /// More work or memory than an expression may use.
    Limit,
    /// Something that Python can and we do not.
    Unsupported,
}

impl Fault {
    /// Its name in Python's texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attribute => "AttributeError",
            Self::Index => "IndexError",
            Self::Key => "KeyError",
            Self::Name => "NameError",
            Self::Overflow => "OverflowError",
            Self::Regex => "re.error",
            Self::Type => "TypeError",
            Self::Value => "ValueError",
            Self::ZeroDivision => "ZeroDivisionError",
            Self::Limit => "LimitError",
            Self::Unsupported => "UnsupportedError",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}: {message}")]
pub struct EvalError {
    /// The kind.
    pub fault: Fault,
    /// What exactly.
    pub message: String,
}

impl EvalError {
    pub(super) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }
    pub(super) fn of_type(message: impl Into<String>) -> Self {
        Self::new(Fault::Type, message)
    }
    pub(super) fn of_value(message: impl Into<String>) -> Self {
        Self::new(Fault::Value, message)
    }
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Fault::Unsupported, message)
    }
}
