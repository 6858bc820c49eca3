//! Input that breaks a schema, reported as upstream's validator reports it.

use std::fmt;

pub use nephometer_model::python::repr_str as python_str;

/// A step into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into an object, by key.
    Key(String),
    /// Into a list, by position.
    Index(usize),
}

/// The first thing wrong with a body. Displayed it is upstream's `reason`, such as
/// `expected a list for dictionary value @ data['in']['x']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidInput {
    /// What is wrong.
    pub message: String,
    /// Whether it is the value of an object's key that is wrong.
    pub dictionary_value: bool,
    /// Where, from the outside in.
    pub path: Vec<Step>,
}

impl std::error::Error for InvalidInput {}

impl InvalidInput {
    /// Something wrong at the place that is being looked at.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), dictionary_value: false, path: Vec::new() }
    }

    /// The same, seen from the object that holds the place as value of `key`.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        self.dictionary_value |= self.path.is_empty();
        self.path.insert(0, Step::Key(key.to_owned()));
        self
    }

    /// The same, seen from the list that holds the place at `index`.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.path.insert(0, Step::Index(index));
        self
    }

    /// Something wrong with a key itself, seen from its object.
    pub fn key(message: impl Into<String>, key: &str) -> Self {
        Self { message: message.into(), dictionary_value: false, path: vec![Step::Key(key.to_owned())] }
    }

    /// The path as upstream's `detail` shows it: every step as text.
    pub fn detail(&self) -> Vec<String> {
        let text = |step: &Step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
        };
        self.path.iter().map(text).collect()
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.dictionary_value {
            f.write_str(" for dictionary value")?;
        }
        if self.path.is_empty() {
            return Ok(());
        }
        f.write_str(" @ data")?;
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, "[{}]", python_str(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_as_upstream() {
        let error = InvalidInput::new("expected str").at(1).under("x").under("in");
        assert_eq!(error.to_string(), "expected str @ data['in']['x'][1]");
        let error = InvalidInput::new("expected a list").under("and");
        assert_eq!(error.to_string(), "expected a list for dictionary value @ data['and']");
        assert_eq!(
            InvalidInput::key("not a valid value", "foo").to_string(),
            "not a valid value @ data['foo']"
        );
    }
}
