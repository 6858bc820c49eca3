//! A pollster as its definition has it, read and checked once.

use std::sync::LazyLock;
use std::time::Duration;

use nephometer_model::{Meter, MeterType, python};
use nephometer_pipeline::python_regex::PythonRegex;
use serde_json::Value as Json;

use super::answer::Handler;
use super::attribute::Attribute;
use super::error::DefinitionError;
use super::extra::Extra;
use super::options::{self, Options};
use super::signer::Signer;
use super::template::Template;
use super::yaml::Yaml;

/// Names of pollsters, as upstream allows them.
const NAME: &str = r"^([\w-]+)(\.[\w-]+)*(\.{[\w-]+})?$";
/// Names of pollsters that make several meters.
const MULTI_NAME: &str = r".*(\.{(\w+)})$";
/// Where such a pollster's readings are.
const MULTI_VALUE: &str = r"^(\[(\w+)\])((\.\w+)+)$";

/// How long an answer may take where the definition does not say, in seconds.
const TIMEOUT_SECONDS: f64 = 30.0;
/// How long answers about extra metadata are kept where nothing says how long, in seconds.
const CACHE_SECONDS: f64 = 3600.0;

/// What is read of an entry.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// One value.
    Single(Attribute),
    /// A value of each element of a list, of a meter for each name.
    Multi {
        /// The list.
        list: Attribute,
        /// What stands for an element's name in the pollster's, `{name}`.
        placeholder: String,
        /// Where an element has its name.
        name: Attribute,
        /// Where an element has its value.
        value: Attribute,
    },
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A service of the cloud, with the session's token.
    OpenStack {
        /// Its type in the catalogue.
        endpoint_type: String,
        /// What is asked for below its address.
        path: Template,
    },
    /// Any other HTTP API.
    Other {
        /// Its address.
        url: String,
        /// How requests are signed.
        signer: Signer,
        /// Where the credentials are in Barbican.
        secret_id: String,
    },
    /// A command of this host.
    Command(Template),
}

/// A pollster's definition.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) meter: Meter,
    pub(super) source: Source,
    pub(super) reading: Reading,
    /// Key and where its value is.
    pub(super) metadata: Vec<(String, Attribute)>,
    /// Key and what else it is called.
    pub(super) metadata_mapping: Vec<(String, String)>,
    pub(super) preserve_mapped_metadata: bool,
    /// What raw values are looked for in; nothing where it is empty.
    pub(super) skip: Option<Json>,
    /// What readings stand for.
    pub(super) value_mapping: Vec<(Json, Json)>,
    pub(super) default_value: Json,
    pub(super) entries: Option<Attribute>,
    pub(super) next_page: Option<Attribute>,
    /// Where an entry has what samples take from its keys `user_id`, `project_id` and `id`.
    pub(super) ids: Vec<(&'static str, Attribute)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) handlers: Vec<Handler>,
    /// Names that a path or command sees.
    pub(super) variables: Vec<(String, Json)>,
    pub(super) extras: Vec<Extra>,
    /// How long answers are kept, where this is extra metadata.
    pub(super) cache_for: Duration,
}

fn regex(text: &str) -> PythonRegex {
    PythonRegex::new(text).expect("our own expressions compile")
}

static NAME_REGEX: LazyLock<PythonRegex> = LazyLock::new(|| regex(NAME));
static MULTI_NAME_REGEX: LazyLock<PythonRegex> = LazyLock::new(|| regex(MULTI_NAME));
static MULTI_VALUE_REGEX: LazyLock<PythonRegex> = LazyLock::new(|| regex(MULTI_VALUE));

/// A group of a match at the beginning of `text`; the last argument is the group's number.
fn group<'t>(regex: &PythonRegex, text: &'t str, number: usize) -> Option<&'t str> {
    let found = regex.match_start(text).ok().flatten()?;
    Some(found.get(number)?.as_str())
}

impl Definition {
    /// Reads the definition of a pollster.
    pub(super) fn read(map: &Yaml) -> Result<Self, DefinitionError> {
        let definition = Self::read_with(map, Duration::from_secs_f64(CACHE_SECONDS))?;
        // What an address comes to is known here, unless it is that of extra metadata.
        let (field, template) = match &definition.source {
            Source::OpenStack { path, .. } => ("url_path", path),
            Source::Command(command) => ("host_command", command),
            Source::Other { .. } => return Ok(definition),
        };
        let variables: Vec<_> =
            definition.variables.iter().map(|(name, value)| (name.as_str(), value)).collect();
        template.render(&variables).map_err(|error| DefinitionError::Expression {
            field,
            text: options::shown(map.get(field)),
            reason: error.to_string(),
        })?;
        Ok(definition)
    }

    /// The same for extra metadata whose answers are kept for `cache_for` unless it says otherwise.
    pub(super) fn read_with(map: &Yaml, cache_for: Duration) -> Result<Self, DefinitionError> {
        let options = Options(map);
        let name = name(&options)?;
        let meter_type = meter_type(&options)?;
        let multi = group(&MULTI_NAME_REGEX, &name, 2).map(str::to_owned);
        if let (Some(_), Some(value)) = (&multi, map.get("value_attribute")) {
            matches("value_attribute", MULTI_VALUE, &MULTI_VALUE_REGEX, value)?;
        }
        options.extra_skip()?;
        let handlers = options.handlers()?;
        options.require()?;
        let own_cache = options.seconds("extra_metadata_fields_cache_seconds", true)?;
        let cache_for = own_cache.unwrap_or(cache_for);
        let ids = ids(&options)?;
        Ok(Self {
            source: source(&options)?,
            reading: reading(&options, &name, multi)?,
            metadata: options.metadata()?,
            metadata_mapping: options.metadata_mapping()?,
            preserve_mapped_metadata: options.is_on("preserve_mapped_metadata"),
            skip: options.skip()?,
            value_mapping: options.value_mapping()?,
            default_value: map.get("default_value").map_or(Json::from(-1), Yaml::to_json),
            entries: options.attribute("response_entries_key")?,
            next_page: options.attribute("next_sample_url_attribute")?,
            ids,
            headers: options.headers()?,
            timeout: options.seconds("timeout", false)?.unwrap_or(Duration::from_secs_f64(TIMEOUT_SECONDS)),
            handlers,
            variables: options.variables()?,
            extras: Extra::read_all(map, cache_for)?,
            cache_for,
            meter: Meter::new(&name, meter_type, &options::shown(map.get("unit"))),
        })
    }

    /// The discovery that lists what it reads.
    pub(super) fn discovery(&self) -> String {
        match &self.source {
            Source::OpenStack { endpoint_type, .. } => format!("endpoint:{endpoint_type}"),
            Source::Other { secret_id, .. } => format!("barbican:{secret_id}"),
            Source::Command(_) => "local_node".to_owned(),
        }
    }
}

fn matches(
    field: &'static str,
    pattern: &'static str,
    regex: &PythonRegex,
    value: &Yaml,
) -> Result<String, DefinitionError> {
    let text = value.as_str().filter(|text| regex.match_start(text).is_ok_and(|found| found.is_some()));
    let wrong = || DefinitionError::Pattern { field, value: value.to_string(), pattern };
    text.map(str::to_owned).ok_or_else(wrong)
}

fn name(options: &Options<'_>) -> Result<String, DefinitionError> {
    match options.0.get("name") {
        Some(value) => matches("name", NAME, &NAME_REGEX, value),
        // It is told among others that are missing.
        None => Ok(String::new()),
    }
}

fn meter_type(options: &Options<'_>) -> Result<MeterType, DefinitionError> {
    match options.0.get("sample_type") {
        None => Ok(MeterType::Gauge),
        Some(value) => value
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| DefinitionError::SampleType(value.to_string())),
    }
}

fn source(options: &Options<'_>) -> Result<Source, DefinitionError> {
    if options.is_command() {
        return Ok(Source::Command(Template::new(&options.text("host_command")?)));
    }
    if !options.is_other() {
        let endpoint_type = options.text("endpoint_type")?;
        return Ok(Source::OpenStack { endpoint_type, path: Template::new(&options.text("url_path")?) });
    }
    let (module, object) = (options.text("module")?, options.text("authentication_object")?);
    let signer = Signer::known(&module, &object, &options.text("authentication_parameters")?);
    let signer = signer.ok_or_else(|| DefinitionError::Authentication {
        object,
        module,
        known: Signer::all().to_owned(),
    })?;
    Ok(Source::Other {
        url: options.text("url_path")?,
        signer,
        secret_id: options.text("barbican_secret_id")?,
    })
}

fn reading(options: &Options<'_>, name: &str, multi: Option<String>) -> Result<Reading, DefinitionError> {
    let text = options.text("value_attribute")?;
    let Some(field) = multi else {
        return Ok(Reading::Single(options::compile("value_attribute", &text)?));
    };
    let list = group(&MULTI_VALUE_REGEX, &text, 2).unwrap_or_default();
    let value = group(&MULTI_VALUE_REGEX, &text, 3).unwrap_or_default();
    Ok(Reading::Multi {
        list: options::compile("value_attribute", list)?,
        placeholder: name.rsplit('.').next().unwrap_or_default().to_owned(),
        name: options::compile("name", &field)?,
        value: options::compile("value_attribute", value.trim_start_matches('.'))?,
    })
}

/// Attributes of ids that are copied: those of other names, and all of other APIs than OpenStack's, as upstream has it.
fn ids(options: &Options<'_>) -> Result<Vec<(&'static str, Attribute)>, DefinitionError> {
    let known = [
        ("user_id_attribute", "user_id"),
        ("project_id_attribute", "project_id"),
        ("resource_id_attribute", "id"),
    ];
    let always = options.is_other() && !options.is_command();
    let mut ids = Vec::new();
    for (field, key) in known {
        let text = match options.0.get(field) {
            Some(_) => options.text(field)?,
            None => key.to_owned(),
        };
        if !text.is_empty() && (always || text != key) {
            ids.push((key, options::compile(field, &text)?));
        }
    }
    Ok(ids)
}

/// Names as Python prints a list of them.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| python::repr_str(name)).collect();
    format!("[{}]", quoted.join(", "))
}
