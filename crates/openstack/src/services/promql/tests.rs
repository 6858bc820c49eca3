//! Tests of the narrowing: every selector has the label, nothing else changes, what is odd is refused.

use proptest::prelude::*;

use super::*;

fn narrowed(query: &str) -> String {
    narrow(query, "project", "S").unwrap()
}

#[test]
fn every_selector_asks_for_the_label() {
    for (query, expected) in [
        ("up", r#"up{project="S"}"#),
        ("up{}", r#"up{project="S"}"#),
        (r#"up{a="b", c=~'d'}"#, r#"up{project="S",a="b", c=~'d'}"#),
        (r#"{__name__=~".+"}"#, r#"{project="S",__name__=~".+"}"#),
        (r#"{"metric with blanks"}"#, r#"{project="S","metric with blanks"}"#),
        ("job:rate:sum", r#"job:rate:sum{project="S"}"#),
        ("rate(http_requests[5m])", r#"rate(http_requests{project="S"}[5m])"#),
        ("sum by (a, b) (x) / y", r#"sum by (a, b) (x{project="S"}) / y{project="S"}"#),
        ("sum(x) by (a)", r#"sum(x{project="S"}) by (a)"#),
        ("sum without(a)(x)", r#"sum without(a)(x{project="S"})"#),
        (
            "a * on(l) group_left(m) b and ignoring(x) c",
            r#"a{project="S"} * on(l) group_left(m) b{project="S"} and ignoring(x) c{project="S"}"#,
        ),
        ("a + group_left b", r#"a{project="S"} + group_left b{project="S"}"#),
        ("a > bool 1", r#"a{project="S"} > bool 1"#),
        ("a == bool b", r#"a{project="S"} == bool b{project="S"}"#),
        ("topk(3, x offset 5m)", r#"topk(3, x{project="S"} offset 5m)"#),
        ("x offset -1h30m", r#"x{project="S"} offset -1h30m"#),
        (
            "max_over_time(rate(x[5m])[1h:5m] @ end())",
            r#"max_over_time(rate(x{project="S"}[5m])[1h:5m] @ end())"#,
        ),
        ("x[1h:] @ 1609746000", r#"x{project="S"}[1h:] @ 1609746000"#),
        ("time() - x", r#"time() - x{project="S"}"#),
        ("-x + 1.5e-3 * 0x1F + inf + NaN", r#"-x{project="S"} + 1.5e-3 * 0x1F + inf + NaN"#),
        (
            r#"label_replace(x, "a", "$1", "b", "(y{z})")"#,
            r#"label_replace(x{project="S"}, "a", "$1", "b", "(y{z})")"#,
        ),
        ("x # y\r\n + z", "x{project=\"S\"} # y\r\n + z{project=\"S\"}"),
        ("x\r+ z # y", "x{project=\"S\"}\r+ z{project=\"S\"} # y"),
        ("info", r#"info{project="S"}"#),
        ("x # y\n + z", "x{project=\"S\"} # y\n + z{project=\"S\"}"),
        // Words of the language may be metrics.
        ("sum", r#"sum{project="S"}"#),
        ("by + offset", r#"by{project="S"} + offset{project="S"}"#),
        ("and and or", r#"and{project="S"} and or{project="S"}"#),
        ("a + bool", r#"a{project="S"} + bool{project="S"}"#),
        ("a > bool and and b", r#"a{project="S"} > bool and{project="S"} and b{project="S"}"#),
        ("a * on(l) group_left or", r#"a{project="S"} * on(l) group_left or{project="S"}"#),
        ("inf{}", r#"inf{project="S"}"#),
        (r#"x{or="1"}"#, r#"x{project="S",or="1"}"#),
        ("SUM(x) BY (a)", r#"SUM(x{project="S"}) BY (a)"#),
        ("1 + 2", "1 + 2"),
        ("vector(1)", "vector(1)"),
    ] {
        assert_eq!(narrowed(query), expected);
    }
}

#[test]
fn what_is_odd_is_refused() {
    for query in [
        "",
        "x y",
        "x{a=\"b\"",
        "x)",
        "(x",
        "x{a=\"b\" or c=\"d\"}",
        "x{a=\"b\"}{}",
        "x +",
        "\"open",
        "é",
        "sum by (a) x",
        "x[5m",
        "x{(}",
        "x offset y",
        "x @ y",
        "x;y",
        "()",
        "a > bool and b",
        "x # y\r or z",
        "x # y\r\r\n or z",
        "x # y\r",
        "info(x)",
        "Info(x, {a=~\".+\"})",
    ] {
        assert!(narrow(query, "project", "S").is_err(), "{query}");
    }
    assert!(narrow("x", "no label", "S").is_err());
    assert!(narrow("x", "", "S").is_err());
}

#[test]
fn values_cannot_leave_their_quotes() {
    assert_eq!(narrow("x", "p", "a\"b\\c\nd").unwrap(), r#"x{p="a\"b\\c\nd"}"#);
}

/// Queries made of operands and operators, with the number of their selectors.
fn query() -> impl Strategy<Value = (String, usize)> {
    let selector = prop_oneof![
        "[a-z_:][a-z0-9_:]{0,6}"
            .prop_filter("no word of the language", |name| !["inf", "nan", "bool"].contains(&name.as_str())),
        "[a-z]{1,5}\\{[a-z]=\"[a-z{}()]{0,5}\"\\}",
        "\\{[a-z]{1,3}=~'[a-z\"]{0,5}'\\}",
    ];
    let leaf = prop_oneof![
        selector.prop_map(|text| (text, 1)),
        "[1-9][0-9]{0,3}".prop_map(|text| (text, 0)),
        Just(("time()".to_owned(), 0)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop_oneof![
            Just(" + "),
            Just(" and "),
            Just(" or on(a) "),
            Just(" > bool "),
            Just(" * on(a) group_left(b) "),
            Just(" unless "),
            Just("/"),
            Just(" == ")
        ];
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|((a, m), operator, (b, n))| (format!("{a}{operator}{b}"), m + n)),
            inner.clone().prop_map(|(a, n)| (format!("({a})"), n)),
            inner.clone().prop_map(|(a, n)| (format!("sum by (x, y) ({a})"), n)),
            inner.clone().prop_map(|(a, n)| (format!("abs({a}) # {{"), n)).prop_map(|(a, n)| (a + "\n", n)),
            (inner.clone(), inner).prop_map(|((a, m), (b, n))| (format!("topk({a}, {b})"), m + n)),
        ]
    })
}

proptest! {
    #[test]
    fn as_many_labels_as_selectors((query, selectors) in query()) {
        let narrowed = narrow(&query, "project", "S").unwrap();
        prop_assert_eq!(narrowed.matches("project=\"S\"").count(), selectors);
        let plain = narrowed.replace("{project=\"S\"}", "").replace("project=\"S\",", "");
        prop_assert_eq!(plain, query);
    }

    #[test]
    fn nothing_breaks_it(query in "\\PC{0,60}") {
        drop(narrow(&query, "project", "S"));
    }

    #[test]
    fn nothing_like_promql_breaks_it(query in "[a-c(){}\\[\\]=~!\"',:@+ 1m]{0,40}") {
        drop(narrow(&query, "project", "S"));
    }
}
