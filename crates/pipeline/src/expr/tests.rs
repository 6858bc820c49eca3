//! Expressions as configuration files have them. What Python itself makes of thousands of others is compared in
//! `conformance/pipeline`.

use serde_json::json;

use super::*;

fn value_of(text: &str, value: &Json) -> Result<Json, String> {
    let expression = Expression::compile(text).map_err(|error| format!("syntax: {error}"))?;
    expression.evaluate_json(&[("value", value)]).map_err(|error| error.to_string())
}

#[test]
fn attributes_of_dynamic_pollsters() {
    for (text, value, expected) in [
        ("value.split('$')[0]", json!("x$y"), json!("x")),
        ("value['s'] if 's' in value else ''", json!({"s": "x"}), json!("x")),
        ("value['s'] if 's' in value else ''", json!({}), json!("")),
        ("value or 'd'", json!(null), json!("d")),
        ("sum(value)", json!([1, 2, 3]), json!(6)),
        ("len(value) + 1", json!([1, 2, 3]), json!(4)),
        ("[v['id'] for v in value if v.get('up')]", json!([{"id": 1, "up": true}, {"id": 2}]), json!([1])),
        ("list(filter(lambda x: x > 1, map(int, value)))", json!(["1", "2"]), json!([2])),
        ("f\"{value['a']:>5}|{value['b']!r}\"", json!({"a": 1, "b": "x"}), json!("    1|'x'")),
        ("re.sub(r'([0-9]+)GB', '\\\\1', value)", json!("12GB"), json!("12")),
        ("json.dumps(value)", json!({"a": [1, 2.5, null]}), json!("{\"a\": [1, 2.5, null]}")),
        ("{k: v * 2 for k, v in value.items()}", json!({"a": 1}), json!({"a": 2})),
        ("sorted(value, key=lambda d: d['n'], reverse=True)[0]['n']", json!([{"n": 1}, {"n": 3}]), json!(3)),
        ("value[::-1][:2]", json!("abc"), json!("cb")),
        ("1 < value <= 3 and not value == 2", json!(3), json!(true)),
        ("'%s-%05.1f' % ('a', value)", json!(2.25), json!("a-002.2")),
        ("'{}/{n:03d}'.format(value, n=7)", json!("x"), json!("x/007")),
        ("reduce(lambda a, b: a * b, value, 1)", json!([2, 3, 4]), json!(24)),
        ("(lambda x, y=2: x ** y)(value)", json!(3), json!(9)),
        ("max((v for v in value), default=0)", json!([]), json!(0)),
        ("-2 ** 2 + 7 // -2 - 7 % -3 + 2 ** -1", json!(null), json!(-5.5)),
        ("round(2.5) + round(value, 1)", json!(2.25), json!(4.2)),
    ] {
        assert_eq!(value_of(text, &value), Ok(expected), "{text}");
    }
}

#[test]
fn errors_have_pythons_kind() {
    for (text, value, kind) in [
        ("value['x']", json!({}), "KeyError: 'x'"),
        ("value[5]", json!([1]), "IndexError: list index out of range"),
        ("1 / 0", json!(null), "ZeroDivisionError: division by zero"),
        ("value + 1", json!("a"), "TypeError: unsupported operand type(s) for +: 'str' and 'int'"),
        ("nothing", json!(null), "NameError: name 'nothing' is not defined"),
        ("int('x')", json!(null), "ValueError: invalid literal for int() with base 10: 'x'"),
        ("value.append(1)", json!([]), "UnsupportedError: `append`: expressions change nothing"),
        ("value.foo", json!(1), "AttributeError: 'int' object has no attribute 'foo'"),
        ("open('/etc/passwd')", json!(null), "NameError: name 'open' is not defined"),
        ("float('nan')", json!(null), "ValueError: nan has no form in JSON"),
    ] {
        assert_eq!(value_of(text, &value), Err(kind.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    for text in [
        "",
        "1 +",
        "a b",
        "x = 1",
        "(1",
        "[1, 2",
        "'a",
        "import os",
        "lambda",
        "a if b",
        "f'{'",
        "1 2",
        "a..b",
        "*a",
        "a := 1",
        "0(",
        "f(a",
        "f(a=",
        "a not",
        "a is",
    ] {
        assert!(Expression::compile(text).is_err(), "{text}");
    }
    assert!(Expression::compile(&"(".repeat(5000)).is_err());
    assert!(Expression::compile(&"1+".repeat(3000)).is_err());
    assert!(Expression::compile(&"-".repeat(5000)).is_err());
    assert!(Expression::compile(&vec!["a"; 3000].join(".")).is_err());
}

#[test]
fn an_expression_may_break_off_anywhere() {
    for text in [
        "f(a, b=lambda x, y=1: x not in y)[1:2:3].c if a is not b else {k: v for k, (v, w) in m if w}",
        "-1.5e3 ** ~2 <= (a, *b) or [x for x in 'a' \"b\"] and f'{a!r:>{w}} {{' rb'x'",
    ] {
        for (end, _) in text.char_indices() {
            drop(Expression::compile(&text[..end]));
        }
    }
}

#[test]
fn whatever_is_asked_ends() {
    for text in [
        "'a' * 10 ** 12",
        "[0] * 10 ** 9",
        "10 ** 10 ** 10",
        "1 << 10 ** 9",
        "sum(range(10 ** 12))",
        "(lambda f: f(f))(lambda f: f(f))",
        "reduce(lambda a, b: [a], range(100000), 0)",
        "reduce(lambda f, x: lambda: f, range(100000), 0)",
        "[x for x in range(10**5) for y in range(10**5)]",
        "f'{1:1000000}'",
        "re.sub('(a*)*b', '', 'a' * 30)",
        "re.sub(r'(a|a)*\\1b', '', 'a' * 60)",
        "'a'.replace('', 'b' * 10 ** 7)",
        "(0,) * 10 ** 12",
    ] {
        let expression = Expression::compile(text).unwrap();
        let result = expression.evaluate(&Names::default());
        if let Ok(value) = result {
            assert!(text.starts_with("re.sub"), "{text} is {value:?}");
        }
    }
}

#[test]
fn scales_of_transformers_see_attributes() {
    struct Sample<'a>(&'a serde_json::Map<String, Json>);
    impl<'a> Scope<'a> for Sample<'a> {
        fn get(&self, name: &str) -> Option<Value<'a>> {
            (name == "resource_metadata").then_some(Value::Namespace(Some(Attributes::Map(self.0))))
        }
        fn unknown(&self, _name: &str) -> Option<Value<'a>> {
            Some(Value::Namespace(None))
        }
    }
    let expression = Expression::compile("100.0 / (10**9 * (resource_metadata.cpu_number or 1))").unwrap();
    for (metadata, expected) in
        [(json!({"cpu_number": 2}), 5e-8), (json!({}), 1e-7), (json!({"cpu_number": 0}), 1e-7)]
    {
        let value = expression.evaluate(&Sample(metadata.as_object().unwrap())).unwrap();
        assert_eq!(value.as_f64(), Some(expected));
    }
    let missing = Expression::compile("nothing.at.all or 7").unwrap();
    assert_eq!(missing.evaluate(&Sample(&serde_json::Map::new())).unwrap().as_f64(), Some(7.0));
}
