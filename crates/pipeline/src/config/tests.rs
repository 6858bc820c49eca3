//! Files of all releases, and what is said of wrong ones.

use super::*;
use crate::NameKind;

const LIBERTY: &str = r#"
sources:
    - name: meter_source
      interval: 600
      meters: ["*"]
      sinks: [meter_sink]
    - name: cpu_source
      interval: 600
      meters: [cpu]
      sinks: [cpu_sink, cpu_delta_sink]
    - name: disk_source
      interval: 600
      meters: [disk.read.bytes, disk.device.read.bytes]
      sinks: [disk_sink]
sinks:
    - name: meter_sink
      transformers:
      publishers: [notifier://]
    - name: cpu_sink
      transformers:
          - name: "rate_of_change"
            parameters:
                target:
                    name: "cpu_util"
                    unit: "%"
                    type: "gauge"
                    max: 100
                    scale: "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"
      publishers: [notifier]
    - name: cpu_delta_sink
      transformers:
          - name: "delta"
            parameters: {target: {name: cpu.delta}, growth_only: True}
      publishers: [notifier://]
    - name: disk_sink
      transformers:
          - name: "rate_of_change"
            parameters:
                source:
                    map_from:
                        name: "(disk\\.device|disk)\\.(read|write)\\.(bytes|requests)"
                        unit: "(B|request)"
                target:
                    map_to: {name: "\\1.\\2.\\3.rate", unit: "\\1/s"}
                    type: "gauge"
      publishers: [notifier://]
"#;

#[test]
fn files_of_old_and_new_releases_are_read() {
    let old = PipelineConfig::parse(LIBERTY, NameKind::Meters).unwrap();
    assert_eq!(old.sources.len(), 3);
    assert_eq!(old.sinks[1].publishers, ["notifier://"]);
    let counts: Vec<usize> = old.sinks.iter().map(|sink| sink.transformers.len()).collect();
    assert_eq!(counts, [0, 1, 1, 1]);
    let ours = PipelineConfig::parse(DEFAULT_PIPELINE_YAML, NameKind::Meters).unwrap();
    assert_eq!(ours.sinks[0].publishers, ["gnocchi://"]);
    assert!(ours.sources[0].names.matches("anything"));
    let events =
        "sources: [{name: e, events: ['!a.*'], sinks: [e]}]\nsinks: [{name: e, publishers: ['x://']}]";
    let events = PipelineConfig::parse(events, NameKind::Events).unwrap();
    assert!(!events.sources[0].names.matches("a.b"));
}

#[test]
fn wrong_files_are_refused_in_upstreams_words() {
    let sink = "{name: k, publishers: [test://]}";
    let source = "{name: s, meters: ['*'], sinks: [k]}";
    let file = |sources: &str, sinks: &str| format!("sources: [{sources}]\nsinks: [{sinks}]");
    for (text, message) in [
        ("sources: []".to_owned(), "Pipeline {'sources': []}: Both sources & sinks are required"),
        (
            file("{meters: ['*'], sinks: [k]}", sink),
            "Pipeline {'meters': ['*'], 'sinks': ['k']}: Required field name not specified",
        ),
        (
            file("{name: s, meters: ['*']}", sink),
            "Pipeline {'name': 's', 'meters': ['*']}: Required field sinks not specified",
        ),
        (file("{name: s, sinks: [k]}", sink), "Pipeline {'name': 's', 'sinks': ['k']}: Missing meters value"),
        (
            file("{name: s, meters: [], sinks: [k]}", sink),
            "Pipeline {'name': 's', 'meters': [], 'sinks': ['k']}: No meters specified",
        ),
        (
            file("{name: s, meters: [a, '!b'], sinks: [k]}", sink),
            "Pipeline {'name': 's', 'meters': ['a', '!b'], 'sinks': ['k']}: Both included and excluded meters specified",
        ),
        (
            file("{name: s, meters: [a, '*'], sinks: [k]}", sink),
            "Pipeline {'name': 's', 'meters': ['a', '*'], 'sinks': ['k']}: Included meters specified with wildcard",
        ),
        (
            file("{name: s, meters: ['*'], sinks: []}", sink),
            "Pipeline {'name': 's', 'meters': ['*'], 'sinks': []}: No sink defined in source s",
        ),
        (
            file("{name: s, meters: ['*'], sinks: [q]}", sink),
            "Pipeline {'name': 's', 'meters': ['*'], 'sinks': ['q']}: Dangling sink q from source s",
        ),
        (
            file(source, "{publishers: [test://]}"),
            "Pipeline {'publishers': ['test://']}: Required field name not specified",
        ),
        (file(source, "{name: k}"), "Pipeline {'name': 'k'}: No publisher specified"),
        (
            file(source, "{name: k, publishers: [t], transformers: [{name: magic}]}"),
            "Pipeline {'name': 'k', 'publishers': ['t'], 'transformers': [{'name': 'magic'}]}: No transformer named magic loaded",
        ),
    ] {
        let error = PipelineConfig::parse(&text, NameKind::Meters).unwrap_err();
        assert_eq!(error.to_string(), message, "{text}");
    }
    for (text, message) in [
        (file(&format!("{source}, {source}"), sink), "Duplicated source names: s"),
        (file(source, &format!("{sink}, {sink}")), "Duplicated sink names: k"),
        (
            file("{name: s, meters: ['*'], sinks: [k, k]}", sink),
            "Duplicate pipeline name: s:k. Ensure pipeline names are unique. (name is the source and sink names combined)",
        ),
        (
            file(
                source,
                "{name: k, publishers: [t], transformers: [{name: rate_of_change, parameters: {target: {scale: '1 +'}}}]}",
            ),
            "rate_of_change: scale: the expression ends too early, at character 4 of `1 +`",
        ),
    ] {
        let error = PipelineConfig::parse(&text, NameKind::Meters).unwrap_err().to_string();
        assert!(error.ends_with(message), "{error}");
    }
}
