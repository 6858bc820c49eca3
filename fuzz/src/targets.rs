//! What is done with bytes, by the name of the target.

use nephometer_drivers::PolicyEnforcer as _;
use nephometer_metric::StatsdAccumulator;
use nephometer_metric::influxdb::{read_create_database, read_lines};
use nephometer_metric::ingest::{read_measures, read_metric_batch, read_resource_batch};
use nephometer_metric::operations::parse_operations;
use nephometer_metric::prometheus::read_remote_write;
use nephometer_metric::query::{parse_filter, parse_filter_text, parse_predicate};
use nephometer_model::time::{parse_float, parse_offset, parse_timespan, parse_timestamp};
use nephometer_model::{Identity, PolicyTarget, SecretUrl, Timestamp, parse_python_uuid};
use nephometer_openstack::policy::RuleSet;
use nephometer_pipeline::expr::{Expression, Names, Value as ExpressionValue};
use nephometer_pipeline::path::Path;
use nephometer_pipeline::{NameKind, PipelineConfig};
use nephometer_series::codec::{RawBlock, RollupBlock};
use serde_json::Value;

use crate::{log, promql};

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_ns(1_767_225_600_000_000_000);
/// A block of so few bytes must not claim more memory than this.
const MAX_BLOCK_BYTES: usize = 64 << 20;

/// Every target. A seed corpus is in `seeds/<name>`.
pub(crate) const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("measures", measures),
    ("query_text", |data| with_text(data, |text| drop(parse_filter_text(text, Some("user:project"))))),
    ("query_json", query_json),
    ("operations_text", |data| {
        with_text(data, |text| drop(parse_operations(&Value::String(text.to_owned()))));
    }),
    ("times", times),
    ("influxdb", influxdb),
    ("remote_write", remote_write),
    ("statsd", |data| drop(StatsdAccumulator::new(100).receive(data, NOW))),
    ("policy_file", policy_file),
    ("raw_block", raw_block),
    ("rollup_block", rollup_block),
    ("log_records", log::replay_records),
    ("secret_url", secret_url),
    ("libvirt_reply", nephometer_polling::libvirt::read_any_reply),
    ("domain_xml", |data| with_text(data, |text| drop(nephometer_polling::libvirt::Description::read(text)))),
    ("pollster_file", |data| with_text(data, nephometer_polling::dynamic::read_any_definitions)),
    ("pollster_answer", nephometer_polling::dynamic::read_any_answer),
    ("expression", expression),
    ("path", path),
    ("pipeline_file", |data| with_text(data, |text| drop(PipelineConfig::parse(text, NameKind::Meters)))),
    ("promql", promql::narrowing),
];

fn with_text(data: &[u8], take: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(data) {
        take(text);
    }
}

fn measures(data: &[u8]) {
    drop(read_measures(data, NOW));
    drop(read_metric_batch(data, NOW));
    drop(read_resource_batch(data, Some("user:project"), NOW));
}

fn query_json(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    drop(parse_filter(&value, Some("user:project")));
    drop(parse_predicate(&value));
    drop(parse_operations(&value));
}

fn times(data: &[u8]) {
    with_text(data, |text| {
        let _ = parse_timestamp(text, NOW);
        let _ = parse_timespan(text);
        let _ = parse_offset(text);
        parse_float(text);
        parse_python_uuid(text);
    });
}

fn influxdb(data: &[u8]) {
    drop(read_lines(data, "resource", NOW));
    with_text(data, |text| drop(read_create_database(text)));
}

fn remote_write(data: &[u8]) {
    const MAX_BYTES: usize = 1 << 20;
    drop(read_remote_write(data, MAX_BYTES));
    // What the messages inside say is out of reach behind a checksum of chance.
    if let Ok(compressed) = snap::raw::Encoder::new().compress_vec(data) {
        drop(read_remote_write(&compressed, MAX_BYTES));
    }
}

/// Decisions by rules that load have reasons that lead to them.
fn policy_file(data: &[u8]) {
    with_text(data, |text| {
        let Ok((rules, _)) = RuleSet::with_file(text) else { return };
        let target = PolicyTarget::from(
            [("project_id", "p"), ("creator", "u:p")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let caller = Identity {
            user_id: Some("u".to_owned()),
            project_id: Some("p".to_owned()),
            roles: vec!["member".to_owned()],
            ..Identity::default()
        };
        for (name, _) in rules.rules() {
            for identity in [&caller, &Identity::default()] {
                let explained = rules.explain(name, &target, identity).holds;
                assert_eq!(rules.allows(name, &target, identity), explained, "{name}");
            }
        }
    });
}

/// A first line of JSON, which `value` means, and an expression.
fn expression(data: &[u8]) {
    with_text(data, |text| {
        let (first, rest) = text.split_once('\n').unwrap_or(("null", text));
        let value: Value = serde_json::from_str(first).unwrap_or_default();
        let Ok(expression) = Expression::compile(rest) else { return };
        let names = Names(vec![("value", ExpressionValue::from_json(&value))]);
        drop(expression.evaluate(&names).and_then(|value| value.to_json()));
    });
}

/// A first line of JSON to search, and a path.
fn path(data: &[u8]) {
    with_text(data, |text| {
        let (first, rest) = text.split_once('\n').unwrap_or(("null", text));
        let value: Value = serde_json::from_str(first).unwrap_or_default();
        let Ok(path) = Path::compile(rest) else { return };
        for found in path.find(&value).unwrap_or_default() {
            found.path();
        }
    });
}

fn raw_block(data: &[u8]) {
    let Ok(block) = RawBlock::parse(data.to_vec()) else { return };
    assert!(block.memory_bytes() < MAX_BLOCK_BYTES);
    for index in 0..block.entries().len().min(20) {
        let (mut timestamps_ns, mut values) = (Vec::new(), Vec::new());
        drop(block.decode(index, 0..i64::MAX, &mut timestamps_ns, &mut values));
        assert_eq!(timestamps_ns.len(), values.len());
        drop(block.newest(index, &(0..i64::MAX)));
    }
}

fn rollup_block(data: &[u8]) {
    let Ok(block) = RollupBlock::parse(data.to_vec()) else { return };
    assert!(block.memory_bytes() < MAX_BLOCK_BYTES);
    for index in 0..block.entries().len().min(20) {
        drop(block.decode_slots(index, &mut Vec::new()));
        for column in block.columns(index) {
            drop(block.decode_column(index, *column, &mut Vec::new()));
        }
    }
}

/// A password is not shown, whatever stands around it.
fn secret_url(data: &[u8]) {
    with_text(data, |text| {
        let (before, after) = text.split_once('\n').unwrap_or((text, ""));
        for url in [
            format!("postgresql://u:{before}HUSH{after}@h/d"),
            format!("postgresql://u:p@h/d?sslmode=require&password={}HUSH", before.replace('&', "")),
        ] {
            let shown = SecretUrl::new(&url).to_string();
            assert!(!shown.contains("HUSH"), "{shown}");
        }
    });
}
