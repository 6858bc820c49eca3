//! Options of a definition, one by one.

use std::time::Duration;

use nephometer_model::python;
use serde_json::Value as Json;

use super::answer::Handler;
use super::attribute::Attribute;
use super::definition::listed;
use super::error::DefinitionError;
use super::yaml::Yaml;

/// A definition's options. One that is null counts as not there; one that nobody knows is passed over.
pub(super) struct Options<'y>(pub(super) &'y Yaml);

/// What an option says, in words.
pub(super) fn shown(value: Option<&Yaml>) -> String {
    value.map_or_else(String::new, Yaml::to_string)
}

/// The attribute expression of an option.
pub(super) fn compile(field: &'static str, text: &str) -> Result<Attribute, DefinitionError> {
    Attribute::compile(text).map_err(|reason| DefinitionError::Expression {
        field,
        text: text.to_owned(),
        reason,
    })
}

/// An option of the wrong kind. What may be a secret, whatever its kind, is not shown.
fn form(field: &'static str, wanted: &'static str, value: &Yaml) -> DefinitionError {
    let value = match field {
        "authentication_parameters" | "headers" => "***".to_owned(),
        _ => value.to_string(),
    };
    DefinitionError::Form { field, wanted, value }
}

impl Options<'_> {
    /// Whether a command is asked.
    pub(super) fn is_command(&self) -> bool {
        self.0.get("host_command").is_some_and(Yaml::is_true)
    }

    /// Whether another API than OpenStack's is asked.
    pub(super) fn is_other(&self) -> bool {
        self.0.get("module").is_some_and(Yaml::is_true)
    }

    /// Whether a switch is on, which it is where nothing is said.
    pub(super) fn is_on(&self, field: &str) -> bool {
        let is_off = |value: &Yaml| {
            let word = value.as_str().unwrap_or_default().to_ascii_lowercase();
            !value.is_true() || matches!(word.as_str(), "no" | "off")
        };
        !self.0.get(field).is_some_and(is_off)
    }

    /// Whether everything is there that such a pollster must have, in upstream's order.
    pub(super) fn require(&self) -> Result<(), DefinitionError> {
        let (command, other) = (self.is_command(), self.is_other());
        let mut required = vec!["name", "sample_type", "unit"];
        if !command {
            required.extend((!other).then_some("endpoint_type"));
            required.push("url_path");
        }
        // Upstream puts its tables of options together kind by kind.
        required.extend(command.then_some("host_command"));
        required.push("value_attribute");
        if other {
            required.extend(["module", "authentication_object"]);
        }
        let says = |field: &str| self.0.get(field).is_some_and(Yaml::is_true);
        let missing: Vec<_> = required.into_iter().filter(|field| !says(field)).collect();
        if missing.is_empty() { Ok(()) } else { Err(DefinitionError::Missing(listed(&missing))) }
    }

    /// An option that is a text; empty where it is not there.
    pub(super) fn text(&self, field: &'static str) -> Result<String, DefinitionError> {
        let Some(value) = self.0.get(field) else { return Ok(String::new()) };
        value.as_str().map(str::to_owned).ok_or_else(|| form(field, "a text", value))
    }

    /// An option that is an attribute expression; nothing where it is empty.
    pub(super) fn attribute(&self, field: &'static str) -> Result<Option<Attribute>, DefinitionError> {
        let text = self.text(field)?;
        if text.is_empty() { Ok(None) } else { compile(field, &text).map(Some) }
    }

    /// An option in seconds.
    pub(super) fn seconds(
        &self,
        field: &'static str,
        may_be_none: bool,
    ) -> Result<Option<Duration>, DefinitionError> {
        let Some(value) = self.0.get(field) else { return Ok(None) };
        let number = match value {
            Yaml::Scalar(Json::Number(number)) => number.as_f64(),
            _ => None,
        };
        let fits = |seconds: &f64| *seconds > 0.0 || (may_be_none && *seconds == 0.0);
        let wanted = if may_be_none { "a number of seconds, or 0" } else { "a number of seconds" };
        let seconds = number.filter(fits).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.map(Some).ok_or_else(|| form(field, wanted, value))
    }

    /// Key and expression of each field of metadata; the key is the expression's text.
    pub(super) fn metadata(&self) -> Result<Vec<(String, Attribute)>, DefinitionError> {
        const FIELD: &str = "metadata_fields";
        let Some(value) = self.0.get(FIELD) else { return Ok(Vec::new()) };
        let Yaml::List(fields) = value else { return Err(form(FIELD, "a list of texts", value)) };
        let field = |field: &Yaml| {
            let text = field.as_str().ok_or_else(|| form(FIELD, "a list of texts", value))?;
            Ok((text.to_owned(), compile(FIELD, text)?))
        };
        fields.iter().map(field).collect()
    }

    /// A map's entries; none where it is not there or empty in any way.
    fn map(&self, field: &'static str) -> Result<&[(Yaml, Yaml)], DefinitionError> {
        match self.0.get(field) {
            Some(Yaml::Map(entries)) => Ok(entries),
            Some(value) if value.is_true() => Err(form(field, "a map", value)),
            _ => Ok(&[]),
        }
    }

    pub(super) fn metadata_mapping(&self) -> Result<Vec<(String, String)>, DefinitionError> {
        let entries = self.map("metadata_mapping")?.iter();
        Ok(entries.map(|(key, name)| (key.to_string(), name.to_string())).collect())
    }

    /// What readings stand for; keys keep their kind.
    pub(super) fn value_mapping(&self) -> Result<Vec<(Json, Json)>, DefinitionError> {
        let entries = self.map("value_mapping")?.iter();
        Ok(entries.map(|(key, value)| (key.to_json(), value.to_json())).collect())
    }

    /// What raw values are looked for in.
    pub(super) fn skip(&self) -> Result<Option<Json>, DefinitionError> {
        const FIELD: &str = "skip_sample_values";
        match self.0.get(FIELD) {
            Some(value @ (Yaml::List(_) | Yaml::Map(_))) => Ok(value.is_true().then(|| value.to_json())),
            Some(value) if value.as_str().is_some() => Ok(Some(value.to_json())),
            Some(value) => Err(form(FIELD, "a list", value)),
            None => Ok(None),
        }
    }

    /// Headers of requests. Numbers (microversions) are taken as they are written.
    pub(super) fn headers(&self) -> Result<Vec<(String, String)>, DefinitionError> {
        const FIELD: &str = "headers";
        let header = |(name, value): &(Yaml, Yaml)| {
            let (name, value) = (name.to_string(), value.to_string());
            let fits =
                http::HeaderName::try_from(&name).is_ok() && http::HeaderValue::try_from(&value).is_ok();
            let wanted = "a map of names and values of headers";
            let wrong = || DefinitionError::Form { field: FIELD, wanted, value: name.clone() };
            fits.then_some((name.clone(), value)).ok_or_else(wrong)
        };
        self.map(FIELD)?.iter().map(header).collect()
    }

    pub(super) fn handlers(&self) -> Result<Vec<Handler>, DefinitionError> {
        let Some(value) = self.0.get("response_handlers") else { return Ok(vec![Handler::Json]) };
        let Yaml::List(names) = value else { return Err(DefinitionError::HandlersForm(value.type_name())) };
        let handler = |name: &Yaml| {
            let mut known = Handler::KNOWN.iter();
            let found = known.find(|(known, _)| name.as_str() == Some(*known));
            found.map(|(_, handler)| *handler).ok_or_else(|| DefinitionError::Handler(name.to_string()))
        };
        names.iter().map(handler).collect()
    }

    /// For which entries nothing extra is asked: those that have one of these parts.
    pub(super) fn extra_skip(&self) -> Result<Vec<Json>, DefinitionError> {
        let Some(value) = self.0.get("extra_metadata_fields_skip") else { return Ok(Vec::new()) };
        let is_fit = |item: &Yaml| matches!(item, Yaml::Map(_)) || !item.is_true();
        let Yaml::List(items) = value else { return Err(extra_skip(value)) };
        if !items.iter().all(is_fit) {
            return Err(extra_skip(value));
        }
        Ok(items.iter().filter(|item| item.is_true()).map(Yaml::to_json).collect())
    }

    /// Names that paths and commands see.
    pub(super) fn variables(&self) -> Result<Vec<(String, Json)>, DefinitionError> {
        let entries = self.map("base_metadata")?.iter();
        Ok(entries.map(|(name, value)| (python::str(&name.to_json()), value.to_json())).collect())
    }
}

fn extra_skip(value: &Yaml) -> DefinitionError {
    DefinitionError::ExtraSkip { value: value.to_string(), kind: value.type_name() }
}
