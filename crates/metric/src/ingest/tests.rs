//! The scanner against the plain reader, and both against upstream's texts.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_ns(1_700_000_000_123_456_000);
const ID: &str = "37aec8b7-c0d9-445b-8ab9-d3c6312dcf5c";

fn read(body: &str) -> Result<Measures, BodyError> {
    read_measures(body.as_bytes(), NOW)
}

fn reason(error: &BodyError) -> String {
    match error {
        BodyError::Invalid(error) => error.to_string(),
        BodyError::Undecodable(reason) => format!("undecodable: {reason}"),
    }
}

#[test]
fn reads_what_upstream_reads() {
    let body = r#" [ {"timestamp": "2015-03-06T14:33:57", "value": 43.1},
        {"value": -12e-1, "unit": {"a": ["b", null, true]}, "timestamp": "2015-03-06T14:34:12.5+01:00"},
        {"timestamp": "2015-03-06 14:35", "value": "1_000"}, {"timestamp": "2015-03-06", "value": true} ] "#;
    let measures = read(body).unwrap();
    let second = 1_000_000_000;
    let expected = [1_425_652_437 * second, 1_425_648_852 * second + second / 2, 1_425_652_500 * second];
    assert_eq!(measures.timestamps_ns[..3], expected);
    assert_eq!(measures.values, [43.1, -1.2, 1000.0, 1.0]);
    assert!(scan::measures(body, NOW).is_some());

    let measures =
        read(r#"[{"timestamp": 1, "value": NaN}, {"timestamp": "2", "value": -Infinity}]"#).unwrap();
    assert_eq!(measures.timestamps_ns, [second, 2 * second]);
    assert!(measures.values[0].is_nan() && measures.values[1] == f64::NEG_INFINITY);
    let measures = read(r#"[{"timestamp": "-5 minutes", "value": "\u006ean", "x": NaN}]"#).unwrap();
    assert_eq!(measures.timestamps_ns, [NOW.ns() - 300 * second]);
    assert!(measures.values[0].is_nan());
    for nothing in ["[]", "{}", "\"\"", " [ ] "] {
        assert_eq!(read(nothing), Ok(Measures::default()), "{nothing}");
    }
}

#[test]
fn words_errors_as_upstream() {
    let time = r#""timestamp": 1"#;
    for (body, expected) in [
        ("".to_owned(), "undecodable: Expected object or value"),
        ("5".to_owned(), "unexpected measures format"),
        ("\"abc\"".to_owned(), "unexpected measures format"),
        (format!("{{{time}, \"value\": 1}}"), "unexpected measures format"),
        ("[1]".to_owned(), "unexpected measures format"),
        (r#"[{"value": 1}]"#.to_owned(), "unexpected measures format"),
        (r#"[{"timestamp": null, "value": 1}]"#.to_owned(), "unexpected measures format"),
        (format!("[{{{time}}}]"), "unexpected measures value"),
        (format!("[{{{time}, \"value\": null}}]"), "unexpected measures value"),
        (format!("[{{{time}, \"value\": \"x\"}}]"), "unexpected measures value"),
        (
            format!("[{{{time}, \"value\": \"x\"}}, {{\"timestamp\": \"foobar\", \"value\": 1}}]"),
            "unexpected timestamp 'Unable to convert timestamps'",
        ),
        (
            r#"[{"timestamp": -1, "value": 1}]"#.to_owned(),
            "unexpected timestamp 'Timestamp must be after Epoch'",
        ),
        (
            r#"[{"timestamp": "NaT", "value": 1}]"#.to_owned(),
            "unexpected timestamp 'Unable to convert timestamps'",
        ),
    ] {
        assert_eq!(reason(&read(&body).unwrap_err()), expected, "{body}");
    }
    assert!(matches!(read("[{]"), Err(BodyError::Undecodable(_))));
    assert!(matches!(read_measures(b"[\xff]", NOW), Err(BodyError::Undecodable(_))));
    for body in [r#"{"a": 1e400}"#, "[01]", "[1.]", "[\"\u{1}\"]", "[1] 2", "[1,]"] {
        assert!(matches!(read(body), Err(BodyError::Undecodable(_))), "{body}");
    }
}

#[test]
fn batches_by_id() {
    let read = |body: &str| read_metric_batch(body.as_bytes(), NOW);
    let upper = ID.to_uppercase();
    let batch = read(&format!(
        r#"{{"{ID}": [{{"timestamp": 1, "value": 1}}], "{upper}": [{{"timestamp": 2, "value": 2}}], "{ID}": []}}"#
    ))
    .unwrap();
    assert_eq!(batch.runs.iter().map(|(_, len)| *len).collect::<Vec<_>>(), [1, 1, 0]);
    assert!(batch.runs.iter().all(|(id, _)| id.to_string() == ID));
    assert_eq!(batch.measures.values, [1.0, 2.0]);
    let error = |body: &str| reason(&read(body).unwrap_err());
    assert_eq!(error(r#"{"foo": []}"#), "not a valid value @ data['foo']");
    assert_eq!(error("[]"), "expected a dictionary");
    assert_eq!(
        error(&format!(r#"{{"{ID}": [{{"timestamp": 1}}]}}"#)),
        format!("unexpected measures value for dictionary value @ data['{ID}']")
    );
}

#[test]
fn batches_by_name() {
    let read = |body: &str| {
        read_resource_batch(body.as_bytes(), Some("foobar"), NOW).map(|batch| {
            let resources = batch.resources.iter().map(|resource| {
                let run = |run: &NamedRun<'_>| {
                    (run.name.to_string(), run.policy_name.clone().map(Cow::into_owned), run.len)
                };
                (resource.id.to_string(), resource.runs.iter().map(run).collect::<Vec<_>>())
            });
            (resources.collect::<Vec<_>>(), batch.measures.len())
        })
    };
    let (resources, count) = read(
        r#"{"foobar": {"a/b": [{"timestamp": 1, "value": 1}], "c":
            {"archive_policy_name": "low", "measures": [{"timestamp": 1, "value": 1}], "unit": "B"}, "d": {}}, "x": {}}"#,
    )
    .unwrap();
    assert_eq!(count, 2);
    assert_eq!(resources[0].0, "2fbfbb20-8d56-5e1e-afb9-b3007da11fdf");
    let low = Some("low".to_owned());
    assert_eq!(resources[0].1, [("a/b".into(), None, 1), ("c".into(), low, 1), ("d".into(), None, 0)]);
    let error = |body: &str| reason(&read(body).unwrap_err());
    assert_eq!(error(r#"{"a/b": {}}"#), "'/' is not supported in resource id @ data['a/b']");
    assert_eq!(error(r#"{"a": []}"#), "expected a dictionary for dictionary value @ data['a']");
    assert_eq!(
        error(r#"{"a": {"b": [{"timestamp": 1}]}}"#),
        "unexpected measures value for dictionary value @ data['a']['b']"
    );
    assert_eq!(
        error(r#"{"a": {"b": {"measures": [1]}}}"#),
        "unexpected measures format for dictionary value @ data['a']['b']['measures']"
    );
    assert_eq!(error(r#"{"a": {"b": {"x": 1}}}"#), "extra keys not allowed @ data['a']['b']['x']");
    assert_eq!(
        error(r#"{"a": {"b": {"unit": 1}}}"#),
        "expected str for dictionary value @ data['a']['b']['unit']"
    );
    assert_eq!(
        error(r#"{"a": {"b": {"unit": "x"}}}"#),
        "required key not provided @ data['a']['b']['measures']"
    );
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:?}")),
        any::<i64>().prop_map(|x| x.to_string()),
        "-?[0-9]{1,22}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?",
        Just("NaN".to_owned()),
        Just("-Infinity".to_owned()),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => number(),
        4 => "\"20[0-4][0-9]-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+]0[0-9]:?00)?\"",
        1 => "\"[0-9a-z +:.\\-\\\\]{0,12}\"",
        1 => Just("\"-5 minutes\"".to_owned()),
        1 => prop_oneof![Just("null"), Just("true"), Just("[]"), Just("{\"a\":[1,{}]}"), Just("\"\u{e9}\"")]
            .prop_map(str::to_owned),
    ]
}

fn list() -> impl Strategy<Value = String> {
    let key =
        prop_oneof![4 => Just("timestamp"), 4 => Just("value"), 1 => Just("x"), 1 => Just("time\\u0073tamp")];
    let entry = (key, scalar()).prop_map(|(key, value)| format!("\"{key}\": {value}"));
    let usual = (scalar(), scalar()).prop_map(|(t, v)| format!("{{\"timestamp\": {t}, \"value\":{v}}}"));
    let unusual =
        proptest::collection::vec(entry, 0..4).prop_map(|entries| format!("{{{}}}", entries.join(",")));
    let element = prop_oneof![5 => usual, 1 => unusual];
    proptest::collection::vec(element, 0..4).prop_map(|elements| format!("[{}]", elements.join(", ")))
}

/// What the plain reader alone makes of a body.
fn plainly(body: &str) -> Result<Measures, BodyError> {
    tree::measures(&tree::decode(body)?, NOW).map_err(BodyError::Invalid)
}

fn bits(measures: &Measures) -> (Vec<i64>, Vec<u64>) {
    // The sign of NaN is nobody's business.
    let bits = |x: &f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
    (measures.timestamps_ns.clone(), measures.values.iter().map(bits).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn scanner_and_plain_reader_agree(body in list()) {
        if let Some(scanned) = scan::measures(&body, NOW) {
            let plain = plainly(&body);
            prop_assert!(plain.is_ok(), "{body}: {plain:?}");
            prop_assert_eq!(bits(&scanned), bits(&plain.unwrap()), "{}", body);
        }
    }

    #[test]
    fn they_agree_on_damaged_bodies(body in list(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9 \\\\eN.-]?") {
        let chars: Vec<char> = body.chars().collect();
        let at = at.index(chars.len());
        let damaged: String = chars[..at].iter().copied().chain(with.chars()).chain(chars[at + 1..].iter().copied()).collect();
        if let Some(scanned) = scan::measures(&damaged, NOW) {
            let plain = plainly(&damaged);
            prop_assert!(plain.is_ok(), "{damaged}: {plain:?}");
            prop_assert_eq!(bits(&scanned), bits(&plain.unwrap()), "{}", damaged);
        }
    }

    #[test]
    fn batches_agree(lists in proptest::collection::vec((list(), "[ab/\\\\u0]{1,3}", any::<bool>()), 0..3)) {
        let by_id: Vec<_> = lists.iter().map(|(list, _, _)| format!("\"{ID}\": {list}")).collect();
        let by_id = format!("{{{}}}", by_id.join(","));
        if let Some(scanned) = scan::metric_batch(&by_id, NOW) {
            let plain = tree::metric_batch(&tree::decode(&by_id).unwrap(), NOW).unwrap();
            prop_assert_eq!(&scanned.runs, &plain.runs);
            prop_assert_eq!(bits(&scanned.measures), bits(&plain.measures));
        }
        let by_name: Vec<_> = lists.iter().map(|(list, name, object)| match object {
            true => format!("\"{name}\": {{\"unit\": \"B\", \"measures\": {list}}}"),
            false => format!("\"{name}\": {list}"),
        }).collect();
        let by_name = format!("{{\"foo\": {{{}}}}}", by_name.join(","));
        if let Some(scanned) = scan::resource_batch(&by_name, None, NOW) {
            let plain = tree::resource_batch(&tree::decode(&by_name).unwrap(), None, NOW).unwrap();
            prop_assert_eq!(&scanned.resources, &plain.resources);
            prop_assert_eq!(bits(&scanned.measures), bits(&plain.measures));
        }
    }

    #[test]
    fn strings_end_where_they_end(bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => 0x1e..0x24_u8], 0..40)) {
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let expected = bytes.iter().position(is_end).unwrap_or(bytes.len());
        prop_assert_eq!(scan::plain_len(&bytes), expected);
    }

    #[test]
    fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = read_measures(&body, NOW);
        let _ = read_metric_batch(&body, NOW);
        let _ = read_resource_batch(&body, None, NOW);
    }
}
