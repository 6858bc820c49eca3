//! What is wrong with definitions, in upstream's words where it has some.

use std::path::PathBuf;

/// Why a pollster cannot be made of its definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// A text has not the form that it must have.
    #[error("Pollster {field} [{value}] does not match [{pattern}].")]
    Pattern {
        /// The option.
        field: &'static str,
        /// What it says.
        value: String,
        /// The form, as a regular expression.
        pattern: &'static str,
    },
    /// `sample_type` is none.
    #[error("Invalid sample type [{0}]. Valid ones are [('gauge', 'delta', 'cumulative')].")]
    SampleType(String),
    /// Options that must say something do not: their names as Python prints a list.
    #[error("Required fields {0} not specified.")]
    Missing(String),
    /// `response_handlers` is no list.
    #[error("Invalid response_handlers configuration. It must be a list. Provided value type: {0}")]
    HandlersForm(&'static str),
    /// `response_handlers` names what there is not.
    #[error("Invalid response_handler value [{0}]. Accepted values are [json, xml, text]")]
    Handler(String),
    /// `extra_metadata_fields_skip` is no list of maps.
    #[error(
        "Invalid extra_metadata_fields_skip configuration. It must be a list of maps. Provided value: {value}, value \
         type: {kind}."
    )]
    ExtraSkip {
        /// What it is.
        value: String,
        /// Its type.
        kind: &'static str,
    },
    /// An option is of the wrong kind.
    #[error("{field} must be {wanted}, not [{value}]")]
    Form {
        /// The option.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it says.
        value: String,
    },
    /// An expression that cannot be used.
    #[error("{field} [{text}]: {reason}")]
    Expression {
        /// The option.
        field: &'static str,
        /// The expression.
        text: String,
        /// Why.
        reason: String,
    },
    /// `module` and `authentication_object` name Python code that the program has no counterpart of.
    #[error(
        "authentication_object [{object}] of module [{module}] is Python code, which is not loaded; there is {known}"
    )]
    Authentication {
        /// The object.
        object: String,
        /// Its module.
        module: String,
        /// What there is instead.
        known: String,
    },
    /// One of `extra_metadata_fields`.
    #[error("extra_metadata_fields [{name}]: {error}")]
    Extra {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: Box<DefinitionError>,
    },
}

/// A pollster that is left out because its definition is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: Error [{error}] while loading dynamic pollster [{name}].", file.display())]
pub struct DefinitionProblem {
    /// The file.
    pub file: PathBuf,
    /// The pollster's name.
    pub name: String,
    /// What is wrong.
    pub error: DefinitionError,
}

/// Why no pollsters can be made of files at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DynamicError {
    /// A directory or a file cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is no YAML.
    #[error("{}: Invalid YAML syntax in Definitions file: {reason}", file.display())]
    Syntax {
        /// Which.
        file: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A file holds something else than a list of definitions.
    #[error("{}: it must hold a list of pollsters, not a {kind}", file.display())]
    NoList {
        /// Which.
        file: PathBuf,
        /// What it holds, by Python's name.
        kind: &'static str,
    },
    /// A definition has no name.
    #[error("{}: pollster {number} has no name", file.display())]
    NoName {
        /// The file.
        file: PathBuf,
        /// Which, from 1.
        number: usize,
    },
    /// The client for other APIs than OpenStack's cannot be made.
    #[error("no HTTP client for dynamic pollsters: {0}")]
    Client(String),
}
