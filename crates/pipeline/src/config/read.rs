//! Reads and checks a file, in upstream's order.

use std::collections::HashSet;
use std::sync::Arc;

use nephometer_model::python;
use serde_json::{Map, Value};

use super::{PipelineConfig, PipelineConfigError, Sink, Source, pipeline_name};
use crate::transform::Transformer;
use crate::{NameKind, NamePatterns};

type Result<T> = std::result::Result<T, PipelineConfigError>;

/// More of a wrong part than this is not repeated, in characters.
const SHOWN: usize = 2000;

fn invalid(part: &Value, reason: impl Into<String>) -> PipelineConfigError {
    let part = python::repr(part);
    let part = match part.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &part[..at]),
        None => part,
    };
    PipelineConfigError::Invalid { part, reason: reason.into() }
}

impl PipelineConfig {
    /// Reads a file's text. Of `kind` events, it is an event_pipeline.yaml.
    pub fn parse(text: &str, kind: NameKind) -> Result<Self> {
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        let file: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| PipelineConfigError::Yaml(error.to_string()))?;
        let (Some(sources), Some(sinks)) = (file.get("sources"), file.get("sinks")) else {
            return Err(invalid(&file, "Both sources & sinks are required"));
        };
        let sources = named(&file, sources, "source", |source| read_source(source, kind))?;
        let sinks = named(&file, sinks, "sink", read_sink)?;
        let mut pipelines = HashSet::new();
        for (source, part) in &sources {
            if source.sinks.is_empty() {
                return Err(invalid(part, format!("No sink defined in source {}", source.name)));
            }
            for sink in &source.sinks {
                if !sinks.iter().any(|(known, _)| known.name == *sink) {
                    return Err(invalid(part, format!("Dangling sink {sink} from source {}", source.name)));
                }
                let name = pipeline_name(&source.name, sink);
                if !pipelines.insert(Arc::clone(&name)) {
                    return Err(invalid(
                        &file,
                        format!(
                            "Duplicate pipeline name: {name}. Ensure pipeline names are unique. (name is the source \
                             and sink names combined)"
                        ),
                    ));
                }
            }
        }
        let plain = |(part, _)| part;
        Ok(Self {
            sources: sources.into_iter().map(|(source, _)| source).collect(),
            sinks: sinks.into_iter().map(plain).collect(),
        })
    }
}

/// Reads the parts of one kind; two of the same name are refused before either is looked at further.
fn named<'f, T>(
    file: &Value,
    list: &'f Value,
    kind: &str,
    read: impl Fn(&'f Value) -> Result<T>,
) -> Result<Vec<(T, &'f Value)>> {
    let Value::Array(parts) = list else {
        return Err(invalid(file, format!("{kind}s should be a list")));
    };
    let mut names = HashSet::new();
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let name = part.get("name").map_or_else(|| "None".to_owned(), python::str);
        if !names.insert(name.clone()) {
            return Err(invalid(file, format!("Duplicated {kind} names: {name}")));
        }
        out.push((read(part)?, part));
    }
    Ok(out)
}

fn fields<'f>(part: &'f Value, kind: &str) -> Result<&'f Map<String, Value>> {
    part.as_object().ok_or_else(|| invalid(part, format!("a {kind} should be a mapping")))
}

fn name(part: &Value, fields: &Map<String, Value>) -> Result<Arc<str>> {
    match fields.get("name") {
        None => Err(invalid(part, "Required field name not specified")),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(invalid(part, "the name should be a text"))
        }
        Some(name) => Ok(python::str(name).into()),
    }
}

fn read_source(part: &Value, kind: NameKind) -> Result<Source> {
    let fields = fields(part, "source")?;
    let name = name(part, fields)?;
    let sinks = fields.get("sinks").ok_or_else(|| invalid(part, "Required field sinks not specified"))?;
    let listed = fields.get(kind.as_str());
    // Releases before Liberty called meters counters.
    let listed = listed.or_else(|| fields.get("counters").filter(|_| kind == NameKind::Meters));
    let missing = match kind {
        NameKind::Meters => "Missing meters value",
        NameKind::Events => "No events specified",
    };
    let listed = listed.ok_or_else(|| invalid(part, missing))?;
    let names = NamePatterns::from_value(listed, kind).map_err(|error| invalid(part, error.to_string()))?;
    Ok(Source { name, names, sinks: texts(part, sinks, "sinks")? })
}

fn read_sink(part: &Value) -> Result<Sink> {
    let fields = fields(part, "sink")?;
    let name = name(part, fields)?;
    let publishers = texts(part, fields.get("publishers").unwrap_or(&Value::Null), "publishers")?;
    if publishers.is_empty() {
        return Err(invalid(part, "No publisher specified"));
    }
    let publishers = publishers
        .iter()
        .map(|address| if address.contains("://") { address.to_string() } else { format!("{address}://") });
    let transformers = match fields.get("transformers") {
        None | Some(Value::Null) => &Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(invalid(part, "transformers should be a list")),
    };
    let transformers = transformers
        .iter()
        .map(|transformer| Transformer::read(transformer).map_err(|error| invalid(part, error.to_string())));
    Ok(Sink { name, transformers: transformers.collect::<Result<_>>()?, publishers: publishers.collect() })
}

/// A list of texts; null is an empty one, and a text alone a list of one.
fn texts(part: &Value, value: &Value, key: &str) -> Result<Vec<Arc<str>>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.as_str().into()]),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                let text = item.as_str().map(Arc::from);
                text.ok_or_else(|| invalid(part, format!("{key} should be a list of names, not {item}")))
            })
            .collect(),
        other => Err(invalid(part, format!("{key} should be a list of names, not {other}"))),
    }
}
