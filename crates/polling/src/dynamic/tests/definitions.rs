//! What definitions may say, and what is said of wrong ones.

use std::time::Duration;

use super::super::definition::{Definition, Source};
use super::super::yaml::Yaml;

/// A definition with all that it must have, but for what `more` says otherwise.
pub(super) fn with(more: &str) -> String {
    let said: Yaml = Yaml::parse(&format!("{{{more}}}")).unwrap();
    let Yaml::Map(said) = said else { panic!("{more}") };
    let mut fields: Vec<String> = if more.is_empty() { Vec::new() } else { vec![more.to_owned()] };
    for (name, value) in [
        ("name", "dynamic.a"),
        ("sample_type", "gauge"),
        ("unit", "B"),
        ("value_attribute", "v"),
        ("endpoint_type", "compute"),
        ("url_path", "v1/x"),
    ] {
        if !said.iter().any(|(key, _)| key.as_str() == Some(name)) {
            fields.push(format!("{name}: {value}"));
        }
    }
    format!("{{{}}}", fields.join(", "))
}

fn read(more: &str) -> Result<Definition, String> {
    let map: Yaml = Yaml::parse(&with(more)).unwrap();
    Definition::read(&map).map_err(|error| error.to_string())
}

const NAMES: &str = r"^([\w-]+)(\.[\w-]+)*(\.{[\w-]+})?$";

#[test]
fn wrong_definitions_are_told_in_upstreams_words() {
    let name = |text: &str| format!("Pollster name [{text}] does not match [{NAMES}].");
    for (more, words) in [
        ("name: 'a b'", name("a b")),
        ("name: a..b", name("a..b")),
        ("name: 'a.{b}.c'", name("a.{b}.c")),
        ("name: 7", name("7")),
        ("sample_type: counter", "Invalid sample type [counter]. Valid ones are [('gauge', 'delta', 'cumulative')].".into()),
        ("unit: '', url_path: ~", "Required fields ['unit', 'url_path'] not specified.".into()),
        ("name: ~, value_attribute: ''", "Required fields ['name', 'value_attribute'] not specified.".into()),
        ("endpoint_type: ~", "Required fields ['endpoint_type'] not specified.".into()),
        (
            "module: awsauth, endpoint_type: ~, value_attribute: ~",
            "Required fields ['value_attribute', 'authentication_object'] not specified.".into(),
        ),
        (
            "host_command: echo, endpoint_type: ~, url_path: ~, unit: ~, value_attribute: ~",
            "Required fields ['unit', 'value_attribute'] not specified.".into(),
        ),
        (
            "name: 'a.{b}', value_attribute: v",
            r"Pollster value_attribute [v] does not match [^(\[(\w+)\])((\.\w+)+)$].".into(),
        ),
        (
            "name: 'a.{b}', value_attribute: '[v].x | value'",
            r"Pollster value_attribute [[v].x | value] does not match [^(\[(\w+)\])((\.\w+)+)$].".into(),
        ),
        (
            "response_handlers: json",
            "Invalid response_handlers configuration. It must be a list. Provided value type: str".into(),
        ),
        (
            "response_handlers: [json, yaml]",
            "Invalid response_handler value [yaml]. Accepted values are [json, xml, text]".into(),
        ),
        (
            "extra_metadata_fields_skip: {a: 1}",
            "Invalid extra_metadata_fields_skip configuration. It must be a list of maps. Provided value: {'a': 1}, value \
             type: dict."
                .into(),
        ),
        (
            "extra_metadata_fields_skip: [{a: 1}, x]",
            "Invalid extra_metadata_fields_skip configuration. It must be a list of maps. Provided value: [{'a': 1}, \
             'x'], value type: list."
                .into(),
        ),
        (
            "value_attribute: 'a | 1 + 1'",
            "value_attribute [a | 1 + 1]: The attribute field operation [ 1 + 1] must use the [value] variable.".into(),
        ),
    ] {
        assert_eq!(read(more).map(|_| ()), Err(words), "{more}");
    }
}

#[test]
fn what_upstream_finds_out_later_is_told_at_once() {
    for (more, words) in [
        ("timeout: 0", "timeout must be a number of seconds, not [0]"),
        ("timeout: soon", "timeout must be a number of seconds, not [soon]"),
        (
            "extra_metadata_fields_cache_seconds: -1",
            "extra_metadata_fields_cache_seconds must be a number of seconds, or 0",
        ),
        ("headers: [a]", "headers must be a map, not [***]"),
        ("headers: {'a b': c}", "headers must be a map of names and values of headers, not [a b]"),
        (
            "module: awsauth, authentication_object: S3Auth, authentication_parameters: [a, b]",
            "authentication_parameters must be a text, not [***]",
        ),
        ("metadata_fields: a", "metadata_fields must be a list of texts, not [a]"),
        ("metadata_fields: [1]", "metadata_fields must be a list of texts, not [[1]]"),
        ("metadata_mapping: [a]", "metadata_mapping must be a map, not [['a']]"),
        ("value_mapping: x", "value_mapping must be a map, not [x]"),
        ("skip_sample_values: 5", "skip_sample_values must be a list, not [5]"),
        ("url_path: 7", "url_path must be a text, not [7]"),
        ("url_path: '7'", "url_path [7]: TypeError: `7` comes to a int, not to a str"),
        ("response_entries_key: 'a | b'", "response_entries_key [a | b]: The attribute field operation"),
        ("user_id_attribute: 'a | value ++'", "user_id_attribute [a | value ++]:"),
        (
            "module: my_auth, authentication_object: MyAuth",
            "authentication_object [MyAuth] of module [my_auth] is Python code, which is not loaded; there is \
             awsauth.S3Auth (access key, secret key, host of the service),",
        ),
        ("extra_metadata_fields: [x]", "extra_metadata_fields must be a map, or a list of maps, not [x]"),
        (
            "extra_metadata_fields: {name: e.f, url_path: x}",
            "extra_metadata_fields [e.f]: Required fields ['endpoint_type'] not specified.",
        ),
    ] {
        let error = read(more).map(|_| ()).unwrap_err();
        assert!(error.starts_with(words), "{more}: {error}");
    }
}

#[test]
fn what_is_not_said_has_upstreams_defaults() {
    let definition = read("timeout: ~, response_handlers: ~, nobody_knows: this").unwrap();
    assert_eq!(definition.timeout, Duration::from_secs(30));
    assert_eq!((definition.handlers.len(), definition.ids.len(), definition.metadata.len()), (1, 0, 0));
    assert!(definition.preserve_mapped_metadata && definition.skip.is_none());
    assert_eq!(
        (definition.default_value.clone(), definition.discovery()),
        (serde_json::json!(-1), "endpoint:compute".into())
    );
    let written =
        read("preserve_mapped_metadata: no, value_attribute: n, unit: y, value_mapping: {n: 1, off: 2}")
            .unwrap();
    assert!(!written.preserve_mapped_metadata && &*written.meter.unit == "y");
    assert_eq!(written.value_mapping[0].0, serde_json::json!("n"));
    let command = read("host_command: 'echo 1', endpoint_type: ~, url_path: ~, timeout: 1.5").unwrap();
    assert_eq!((command.discovery(), command.timeout), ("local_node".into(), Duration::from_millis(1500)));
    let module = "module: awsauth, authentication_object: S3Auth, barbican_secret_id: s-1";
    assert_eq!(read(module).unwrap().discovery(), "barbican:s-1");
    // A command comes before another API.
    let both = read(&format!("{module}, host_command: 'echo 1'")).unwrap();
    assert!(matches!(both.source, Source::Command(_)));
}

#[test]
fn extra_metadata_inherits_what_it_does_not_say() {
    let extra = "extra_metadata_fields_cache_seconds: 60, extra_metadata_fields_skip: [{a: 1}], sample_type: delta, \
                 extra_metadata_fields: [{name: e, endpoint_type: identity, url_path: \"'x/' + sample['id']\", value: w}, \
                 {name: f, endpoint_type: identity, url_path: z, unit: s, extra_metadata_fields_cache_seconds: 0}]";
    let definition = read(extra).unwrap();
    let extras = &definition.extras;
    assert_eq!((&*extras[0].definition.meter.unit, &*extras[1].definition.meter.unit), ("B", "s"));
    assert_eq!(extras[0].definition.meter.meter_type, nephometer_model::MeterType::Delta);
    assert_eq!(extras[0].definition.cache_for, Duration::from_secs(60));
    assert!(extras[1].definition.cache_for.is_zero());
    assert!(extras[1].is_skipped(&serde_json::json!({"a": 1, "b": 2})));
}

#[test]
fn the_documented_example_is_sound() {
    let page = include_str!("../../../../../doc/dynamic-pollsters.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let Yaml::List(definitions) = Yaml::parse(example).unwrap() else { panic!("{example}") };
    let read: Vec<_> = definitions.iter().map(|map| Definition::read(map).unwrap()).collect();
    let discoveries: Vec<_> = read.iter().map(Definition::discovery).collect();
    assert_eq!(discoveries, ["endpoint:compute", "endpoint:sharev2", "local_node"]);
}
