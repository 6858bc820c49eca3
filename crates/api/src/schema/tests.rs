//! Messages, places and their order, against upstream's.

use serde_json::json;

use super::*;

fn policy_like() -> Schema {
    Schema::Object(vec![
        Key::required("name", Schema::Str),
        Key::with_default("back_window", json!(0), Schema::CoerceInt { min: 0 }),
        Key::required(
            "definition",
            Schema::Length {
                of: Box::new(Schema::List(Box::new(Schema::Object(vec![
                    Key::optional("points", Schema::CoerceInt { min: 1 }),
                    Key::optional("unit", Schema::Str),
                ])))),
                min: 1,
                max: usize::MAX,
            },
        ),
    ])
}

fn error(schema: &Schema, value: Value) -> String {
    schema.check(value).unwrap_err().to_string()
}

#[test]
fn first_error_in_the_clients_order_comes_before_missing_keys() {
    let schema = policy_like();
    assert_eq!(error(&schema, json!({})), "required key not provided @ data['name']");
    assert_eq!(error(&schema, json!({"zip": 1, "name": 2})), "extra keys not allowed @ data['zip']");
    assert_eq!(
        error(&schema, json!({"name": 2, "zip": 1})),
        "expected str for dictionary value @ data['name']"
    );
    assert_eq!(error(&schema, json!([])), "expected a dictionary");
}

#[test]
fn places_inside_lists_name_the_index() {
    let schema = policy_like();
    let body = json!({"name": "a", "definition": [{"points": 3}, {"points": "x"}]});
    let invalid = schema.check(body).unwrap_err();
    assert_eq!(invalid.to_string(), "expected int for dictionary value @ data['definition'][1]['points']");
    assert_eq!(invalid.detail(), ["definition", "1", "points"]);
    assert_eq!(
        error(&schema, json!({"name": "a", "definition": [{"points": 0}]})),
        "value must be at least 1 for dictionary value @ data['definition'][0]['points']"
    );
    assert_eq!(
        error(&schema, json!({"name": "a", "definition": []})),
        "length of value must be at least 1 for dictionary value @ data['definition']"
    );
    assert_eq!(
        error(&schema, json!({"name": "a", "definition": ["x"]})),
        "expected a dictionary @ data['definition'][0]"
    );
}

#[test]
fn coercion_is_pythons() {
    let schema = Schema::CoerceInt { min: 0 };
    for (value, expected) in [(json!("2"), 2), (json!(10.7), 10), (json!(true), 1), (json!(" 7 "), 7)] {
        assert_eq!(schema.check(value).unwrap(), json!(expected));
    }
    for value in [json!(null), json!("1.5"), json!([]), json!({})] {
        assert_eq!(error(&schema, value), "expected int");
    }
}

#[test]
fn alternatives_report_the_deepest_error() {
    let schema = Schema::MapOf(Box::new(Schema::Any(vec![
        Schema::Object(vec![Key::required("type", Schema::Literal("bool"))]),
        Schema::Object(vec![Key::required("type", Schema::Literal("string"))]),
    ])));
    assert_eq!(
        error(&schema, json!({"a": {"type": "what"}})),
        "not a valid value for dictionary value @ data['a']['type']"
    );
    assert_eq!(error(&schema, json!({"a": {}})), "required key not provided @ data['a']['type']");
    assert_eq!(error(&schema, json!({"a": 1})), "expected a dictionary for dictionary value @ data['a']");
}

#[test]
fn defaults_are_filled_in_and_custom_checks_convert() {
    let checked = policy_like().check(json!({"name": "a", "definition": [{}]})).unwrap();
    assert_eq!(checked["back_window"], json!(0));
    let doubled = Schema::custom(|value| value.as_i64().map(|n| json!(n * 2)).ok_or("no number".to_owned()));
    assert_eq!(doubled.check(json!(4)).unwrap(), json!(8));
    assert_eq!(error(&doubled, json!("x")), "no number");
}
