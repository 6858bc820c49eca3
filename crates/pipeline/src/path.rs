//! Paths into samples, notifications and events (spec ceilometer 7.2): the dialect of `jsonpath-rw` with its extensions, in
//! which definition files name what they want.
//!
//! A path is compiled once and then only followed. Pure; bounded in depth, and in the places that one evaluation visits.
//! Where upstream's library breaks off with an exception (an index into null, a comparison of text with a number) the path
//! has an error, too. Intersections (`&` outside of filters), which upstream reads but never evaluates, are refused at once.

mod filter;
mod find;
mod lexer;
mod node;
mod parser;
mod sort;

use std::borrow::Cow;
use std::fmt;

use nephometer_model::Sample;
use serde_json::Value;

use find::Finder;
pub use find::Match;
use node::Node;

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {at}")]
pub struct PathSyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where, in characters from 1.
    pub at: usize,
}

/// Why a path that is right cannot be followed in this value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(pub String);

/// A compiled path.
#[derive(Clone)]
pub struct Path {
    text: String,
    root: Node,
}

impl Path {
    /// The longest path that is read, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Reads `text`.
    pub fn compile(text: &str) -> Result<Self, PathSyntaxError> {
        Ok(Self { text: text.to_owned(), root: parser::parse(text)? })
    }

    /// Reads several paths of which the first that finds something counts: a list under `fields`.
    pub fn compile_any<T: AsRef<str>>(texts: &[T]) -> Result<Self, PathSyntaxError> {
        match texts {
            [only] => Self::compile(only.as_ref()),
            _ => {
                let alternatives: Vec<String> =
                    texts.iter().map(|text| format!("({})", text.as_ref())).collect();
                Self::compile(&alternatives.join("|"))
            }
        }
    }

    /// What it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it looks at nothing but what is below `field` of the root.
    pub fn stays_below(&self, field: &str) -> bool {
        self.root.begins_with(field)
    }

    /// All matches in `value`, in order, nulls included.
    pub fn find<'a>(&self, value: &'a Value) -> Result<Vec<Match<'a>>, PathError> {
        Finder::new().find_in(&self.root, value)
    }

    /// The first match in `value` that is not null.
    pub fn first<'a>(&self, value: &'a Value) -> Result<Option<Cow<'a, Value>>, PathError> {
        Ok(first_of(self.find(value)?))
    }

    /// The first match in the fields of `sample` that is not null. Its fields have the names that publishers of plain
    /// samples write (`resource_metadata`, `volume`).
    pub fn first_of_sample<'a>(&self, sample: &'a Sample) -> Result<Option<Cow<'a, Value>>, PathError> {
        Ok(first_of(Finder::new().find_in_sample(&self.root, sample)?))
    }
}

fn first_of(matches: Vec<Match<'_>>) -> Option<Cow<'_, Value>> {
    matches.into_iter().map(Match::into_value).find(|value| !value.is_null())
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Path").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests;
