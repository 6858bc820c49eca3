//! The default definitions, and what is said of others that are wrong.

use serde_json::json;

use super::*;

#[test]
fn the_defaults_are_whole() {
    let definitions = ResourceDefinitions::parse(DEFAULT_DEFINITIONS).unwrap();
    assert_eq!(definitions.problems(), [] as [String; 0]);
    let names: Vec<_> = definitions.archive_policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["ceilometer-low", "ceilometer-low-rate", "ceilometer-high", "ceilometer-high-rate"]);
    let cpu = definitions.metric("cpu").unwrap();
    assert_eq!(cpu.resource.resource_type(), "instance");
    assert_eq!(cpu.archive_policy(None), "ceilometer-low-rate");
    assert_eq!(cpu.archive_policy(Some("high")), "high");
    let memory = definitions.metric("memory").unwrap();
    assert_eq!(memory.archive_policy(None), "ceilometer-low");
    assert!(definitions.metric("no.such.meter").is_none());
    assert!(definitions.resources.iter().all(ResourceDefinition::reads_metadata_alone));
}

#[test]
fn attributes_are_what_their_paths_find_first() {
    let definitions = ResourceDefinitions::parse(DEFAULT_DEFINITIONS).unwrap();
    let instance = definitions.metric("cpu").unwrap().resource;
    let attributes =
        |metadata: Value| Value::Object(instance.attributes(&json!({"resource_metadata": metadata})));
    let polled = json!({"instance_host": "c1", "host": "hash", "flavor": {"id": "1", "name": "m1"}, "image_ref": null,
        "user_metadata": {"server_group": "g"}, "display_name": "vm"});
    assert_eq!(
        attributes(polled),
        json!({"host": "c1", "display_name": "vm", "flavor_id": "1", "flavor_name": "m1", "server_group": "g"})
    );
    let notified = json!({"host": "c2", "flavor_id": "7", "flavor_name": "m7"});
    assert_eq!(attributes(notified), json!({"host": "c2", "flavor_id": "7", "flavor_name": "m7"}));
}

#[test]
fn the_last_definition_of_a_metric_counts_and_wrong_ones_cost_only_themselves() {
    let definitions = ResourceDefinitions::parse(
        "
archive_policy_default: mine
archive_policies:
  - {name: p, definition: [{granularity: 5 parsecs}]}
resources:
  - {resource_type: a, metrics: [m, other], archive_policy: old}
  - {resource_type: b, metrics: {m: {archive_policy_name: own}}}
  - {metrics: [m]}
  - {resource_type: c}
  - {resource_type: d, metrics: 5}
  - {resource_type: e, metrics: [m], event_delete: x}
  - {resource_type: f, metrics: [m], attributes: {host: 'a.('}}
",
    )
    .unwrap();
    let of = |name| {
        let metric = definitions.metric(name).unwrap();
        (metric.resource.resource_type().to_owned(), metric.archive_policy(Some("url")).to_owned())
    };
    assert_eq!(of("m"), ("b".to_owned(), "url".to_owned()));
    assert_eq!(of("other"), ("a".to_owned(), "old".to_owned()));
    assert_eq!(definitions.metric("m").unwrap().archive_policy(None), "own");
    let problems = definitions.problems();
    assert_eq!(problems.len(), 6, "{problems:?}");
    assert_eq!(problems[1], "resource without type: Required field resource_type not specified");
    assert_eq!(problems[2], "resource c: Required field metrics not specified");
    assert!(ResourceDefinitions::parse("[1]").is_err());
}
