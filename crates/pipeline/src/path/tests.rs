//! Paths of upstream's definition files, and the dialect's corners.

use nephometer_model::{Meter, MeterType};
use serde_json::json;

use super::*;

fn found(path: &str, value: &Value) -> Result<Vec<Value>, String> {
    let path = Path::compile(path).map_err(|error| format!("syntax: {error}"))?;
    let found = path.find(value).map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|found| found.into_value().into_owned()).collect())
}

#[test]
fn finds_what_definition_files_ask_for() {
    let value = json!({
        "payload": {
            "image_id": null, "tenant": "t", "dotted.name": 7,
            "instances": [{"name": "x", "v": 1}, {"name": "y", "v": 2}],
            "meta": [{"key": "image_id", "value": "i"}, {"key": "k", "value": "w"}],
            "text": "a.b.c",
        },
        "metadata": {"timestamp": "2026"},
    });
    for (path, expected) in [
        ("$.payload.tenant", json!(["t"])),
        ("payload.tenant", json!(["t"])),
        ("payload['dotted.name']", json!([7])),
        ("payload.'dotted.name'", json!([7])),
        ("payload.missing", json!([])),
        ("payload.(image_id|tenant)", json!([null, "t"])),
        ("(payload.missing)|(payload.tenant)", json!(["t"])),
        ("payload.tenant|metadata.timestamp", json!([])),
        ("payload.instances[*].name", json!(["x", "y"])),
        ("payload.instances.[*].v", json!([1, 2])),
        ("payload.instances[-1].name", json!(["y"])),
        ("payload.instances[7]", json!([])),
        ("payload.instances[?name = 'y'].v", json!([2])),
        ("payload.instances[?(@.v > 1)].name", json!(["y"])),
        ("payload.instances[?(@.v >= 1 & @.name ~ '[x]')].v", json!([1])),
        ("payload.meta[?key=image_id].value", json!(["i"])),
        ("payload.text.`split(., 1, 1)`", json!(["b.c"])),
        ("payload.text.`split(., 2, -1)`", json!(["c"])),
        ("payload.text.`split(., 9, -1)`", json!([])),
        ("payload.text.`sub(/a/, z)`", json!(["z.b.c"])),
        ("payload.text.`sub(/q/, z)`", json!([])),
        ("payload.instances.`len`", json!([2])),
        ("payload.instances[\\v].[0].v", json!([2])),
        ("$.payload.instances[0].v + $.payload.instances[1].v", json!([3])),
        ("$.payload.tenant + '-' + $.payload.text", json!(["t-a.b.c"])),
        ("$.payload.instances[0].v * 2 + 1", json!([3])),
        ("payload..name", json!(["x", "y"])),
        ("payload.*.[0].name", json!(["x"])),
    ] {
        let found = found(path, &value);
        if path == "payload.*.[0].name" {
            // A number has no elements, and breaks off the whole.
            assert!(found.is_err());
            continue;
        }
        assert_eq!(found.map(Value::from), Ok(expected), "{path}");
    }
}

/// As upstream's grammar groups them.
#[test]
fn brackets_and_numbers_take_what_is_before_them() {
    let value = json!({"a": [5, [6]], "b": [7, {"c": 8}], "t": "x", "n": 2});
    for (path, expected) in [
        ("a|b[0]", json!([5, 7])),
        ("a|(b[0])", json!([[5, [6]], 7])),
        ("a where `this`[0]", json!([5])),
        ("$.n + $.b[0]", json!([9])),
        ("$.t + 1 | n", json!([2])),
        ("$.n + 1 . n", json!([])),
        ("$.n + 1 .. n", json!([])),
        ("$.n - 1 - 1 where n", json!([])),
        ("$.n - 1 - $.n", json!([3])),
        ("$.n . 1 + 2 | `this`", json!([3, 2])),
        ("n | 1 + $.n . `this`", json!([2, 3])),
        ("$.n - 1 | n - 1", json!([0, 1])),
        ("$.n * 2[0:1] + 1", json!([5])),
        ("n where `sorted`", json!([2])),
        ("n.(`sorted`..`this`)", json!([2])),
        ("b[?`sorted`].c", json!([8])),
    ] {
        assert_eq!(found(path, &value).map(Value::from), Ok(expected), "{path}");
    }
    for path in ["1 + 2.5", "(1) + 2", "1 + 2,b", "1 2", "a . 1", "a[?1 = 1]"] {
        assert!(Path::compile(path).is_err(), "{path}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for path in [
        "",
        "a.",
        "p.1",
        "a & b",
        "%",
        "B/s",
        "a -1",
        "true.x",
        "`foo`",
        "a[",
        "'a",
        "a b",
        "a / b",
        "2",
        "a[?b ~ 5]",
    ] {
        assert!(Path::compile(path).is_err(), "{path}");
    }
    let deep = "(".repeat(1000);
    assert!(Path::compile(&deep).is_err());
    assert!(Path::compile(&vec!["a"; 1000].join(".")).is_err());
    // Each part is short enough.
    let nested = (0..20).fold("a".to_owned(), |inner, _| format!("({inner}){}", ".a".repeat(50)));
    assert!(Path::compile(&nested).is_err());
}

#[test]
fn a_match_knows_its_path() {
    let value = json!({"payload": {"l": [{"z": 1}]}});
    let path = Path::compile("payload.l[0].z").unwrap();
    let found = path.find(&value).unwrap();
    assert_eq!(found[0].path(), "payload.l.[0].z");
}

#[test]
fn samples_are_searched_by_their_fields() {
    let mut sample = Sample::new(&Meter::new("cpu", MeterType::Cumulative, "ns"), 5_i64, "i");
    sample.resource_id = Some("r".into());
    let Value::Object(metadata) = json!({"instance_host": null, "host": "h", "flavor": {"name": "m1"}})
    else {
        unreachable!()
    };
    sample.metadata = metadata.into();
    for (path, expected) in [
        ("resource_metadata.(instance_host|host)", Some(json!("h"))),
        ("resource_metadata.flavor.name", Some(json!("m1"))),
        ("resource_id", Some(json!("r"))),
        ("volume", Some(json!(5))),
        ("user_id", None),
        ("nothing", None),
        ("$.resource_metadata.`len`", Some(json!(3))),
        ("resource_metadata", Some(json!({"instance_host": null, "host": "h", "flavor": {"name": "m1"}}))),
    ] {
        let path = Path::compile(path).unwrap();
        let found = path.first_of_sample(&sample).unwrap().map(std::borrow::Cow::into_owned);
        assert_eq!(found, expected, "{}", path.text());
        let map = Value::Object(sample.to_map());
        assert_eq!(path.first(&map).unwrap().map(std::borrow::Cow::into_owned), expected);
    }
}

#[test]
fn a_path_tells_whether_it_stays_below_a_field() {
    for (path, stays) in [
        ("resource_metadata.(instance_host|host)", true),
        ("$.resource_metadata.a[0].b", true),
        ("(resource_metadata.a)|(resource_metadata.b)", true),
        ("resource_metadata..x", true),
        ("resource_metadata.a|project_id", true),
        ("(resource_metadata.a)|project_id", false),
        ("resource_metadata.a.$.project_id", false),
        ("resource_metadata.`parent`.project_id", false),
        ("project_id", false),
        ("$.resource_metadata.a + $.project_id", false),
    ] {
        assert_eq!(Path::compile(path).unwrap().stays_below("resource_metadata"), stays, "{path}");
    }
}
