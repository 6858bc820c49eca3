//! InfluxDB's line protocol: `measurement[,tag=value…] field=value[,field=value…] [nanoseconds]`.

use std::collections::{BTreeMap, HashMap};

use nephometer_model::Timestamp;

use crate::measures::{MeasureError, ResourceMeasures};

/// Reads lines. The value of the tag `resource_tag` names the resource; metrics are called
/// `measurement.field[@tag=value,…]` by the remaining tags in order of their names, slashes become underscores.
/// Lines without a time are of `now`; empty lines and comments are skipped, and so are fields that hold text.
///
/// Unlike upstream, which takes the beginning of a line for the whole, a line that cannot be read to its end is
/// refused; booleans (as 1 and 0) and negative and unsigned integers can be read.
pub fn read_lines(
    body: &[u8],
    resource_tag: &str,
    now: Timestamp,
) -> Result<Vec<ResourceMeasures>, MeasureError> {
    let mut resources: Vec<ResourceMeasures> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let text = std::str::from_utf8(line).ok().filter(|text| !text.contains('\0'));
        let parsed = text.and_then(parse_line).ok_or(MeasureError::Line(index + 1))?;
        let mut tags = parsed.tags;
        let resource =
            tags.remove(resource_tag).ok_or_else(|| MeasureError::MissingTag(resource_tag.to_owned()))?;
        let place = *places.entry(resource.clone()).or_insert(resources.len());
        if place == resources.len() {
            resources.push(ResourceMeasures { original_id: resource, ..ResourceMeasures::default() });
        }
        let suffix = suffix(&tags);
        let timestamp_ns = parsed.timestamp_ns.unwrap_or(now.ns());
        for (field, value) in parsed.fields {
            let name = format!("{}.{field}{suffix}", parsed.measurement).replace('/', "_");
            let measures = resources[place].metrics.entry(name).or_default();
            measures.timestamps_ns.push(timestamp_ns);
            measures.values.push(value);
        }
    }
    resources.retain(|resource| !resource.metrics.is_empty());
    Ok(resources)
}

fn suffix(tags: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!("@{}", pairs.join(",")) }
}

/// The name that `create database NAME` gives, or nothing for any other query.
pub fn read_create_database(query: &str) -> Option<String> {
    let mut rest = query.trim_start();
    for word in ["create", "database"] {
        let found = rest.get(..word.len()).filter(|found| found.eq_ignore_ascii_case(word))?;
        rest = &rest[found.len()..];
        let after = rest.trim_start();
        if after.len() == rest.len() {
            return None;
        }
        rest = after;
    }
    if rest.starts_with('"') {
        return Reader { rest }.quoted().filter(|name| !name.is_empty());
    }
    let starts = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    starts.then(|| rest[..end].to_owned())
}

struct Line {
    measurement: String,
    tags: BTreeMap<String, String>,
    /// Fields that hold a number.
    fields: Vec<(String, f64)>,
    timestamp_ns: Option<i64>,
}

fn parse_line(line: &str) -> Option<Line> {
    let mut reader = Reader { rest: line };
    let measurement = reader.text()?;
    let mut tags = BTreeMap::new();
    while reader.take(',') {
        let key = reader.text()?;
        reader.take('=').then_some(())?;
        tags.insert(key, reader.text()?);
    }
    reader.spaces()?;
    let mut fields: Vec<(String, f64)> = Vec::new();
    loop {
        let key = reader.text()?;
        reader.take('=').then_some(())?;
        if let Some(value) = reader.field()? {
            fields.retain(|(known, _)| *known != key);
            fields.push((key, value));
        }
        if !reader.take(',') {
            break;
        }
    }
    let timestamp_ns = match reader.spaces() {
        Some(()) if !reader.rest.is_empty() => Some(reader.timestamp()?),
        _ => None,
    };
    reader.rest.trim_start_matches(' ').is_empty().then_some(Line { measurement, tags, fields, timestamp_ns })
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// At least one space.
    fn spaces(&mut self) -> Option<()> {
        let after = self.rest.trim_start_matches(' ');
        let any = after.len() < self.rest.len();
        self.rest = after;
        any.then_some(())
    }

    /// A name or a tag's value: quoted, or with backslashes before what would end it. Never empty.
    fn text(&mut self) -> Option<String> {
        let text = if self.rest.starts_with('"') { self.quoted()? } else { self.unquoted() };
        (!text.is_empty()).then_some(text)
    }

    fn unquoted(&mut self) -> String {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        loop {
            self.rest = chars.as_str();
            match chars.next() {
                None | Some(' ' | ',' | '=') => return text,
                Some('\\') => {
                    let mut ahead = chars.clone();
                    match ahead.next() {
                        Some(c @ (' ' | ',' | '=')) => {
                            text.push(c);
                            chars = ahead;
                        }
                        _ => text.push('\\'),
                    }
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// A text in double quotes; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => {
                    self.rest = chars.as_str();
                    return Some(text);
                }
                '\\' => text.push(chars.next()?),
                c => text.push(c),
            }
        }
    }

    /// The value of a field; inside nothing where it is text.
    fn field(&mut self) -> Option<Option<f64>> {
        if self.rest.starts_with('"') {
            return self.quoted().map(|_| None);
        }
        let end = self.rest.find([',', ' ']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        number(word).map(Some)
    }

    fn timestamp(&mut self) -> Option<i64> {
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
    }
}

/// A number, an integer with `i` or `u` at its end, or a boolean.
#[expect(clippy::cast_precision_loss, reason = "all values are stored as floats")]
fn number(word: &str) -> Option<f64> {
    match word {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(0.0),
        _ => {}
    }
    if let Some(integer) = word.strip_suffix('i') {
        return integer.parse::<i64>().ok().map(|integer| integer as f64);
    }
    if let Some(integer) = word.strip_suffix('u') {
        return integer.parse::<u64>().ok().map(|integer| integer as f64);
    }
    let plain =
        word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E'));
    let value: f64 = if plain { word.parse().ok()? } else { return None };
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ns(77);

    fn read(lines: &str, tag: &str) -> Vec<(String, String, i64, f64)> {
        let resources = read_lines(lines.as_bytes(), tag, NOW).unwrap();
        let points = |resource: &ResourceMeasures| {
            let id = resource.original_id.clone();
            let points = resource.metrics.iter().flat_map(move |(name, measures)| {
                let points = measures.timestamps_ns.iter().zip(&measures.values);
                points.map(|(at, value)| (id.clone(), name.clone(), *at, *value)).collect::<Vec<_>>()
            });
            points.collect::<Vec<_>>()
        };
        resources.iter().flat_map(points).collect()
    }

    fn entry(id: &str, name: &str, at: i64, value: f64) -> (String, String, i64, f64) {
        (id.to_owned(), name.to_owned(), at, value)
    }

    #[test]
    fn names_resources_and_metrics_as_upstream() {
        let line = "mymetric,host=foobar,mytag=myvalue field=123 1510581804179554816";
        let at = 1_510_581_804_179_554_816;
        assert_eq!(read(line, "host"), [entry("foobar", "mymetric.field@mytag=myvalue", at, 123.0)]);
        assert_eq!(read(line, "mytag"), [entry("myvalue", "mymetric.field@host=foobar", at, 123.0)]);
        let line = "cpu,path=/foobar,mytag=myvalue field=43i 5";
        assert_eq!(read(line, "mytag"), [entry("myvalue", "cpu.field@path=_foobar", 5, 43.0)]);
        assert_eq!(read("m,host=a up=3 ", "host"), [entry("a", "m.up", 77, 3.0)]);
        let lines = "# comment\n\nsys,host=h uptime=-3i,format=\"3 days, 21:42\",on=true,n=7u 12\r\n";
        assert_eq!(
            read(lines, "host"),
            [entry("h", "sys.n", 12, 7.0), entry("h", "sys.on", 12, 1.0), entry("h", "sys.uptime", 12, -3.0)]
        );
        let line = r#"my\ m\,x,"a b"=c\=d,host="h h" "f\"g"=1e-3 1"#;
        assert_eq!(read(line, "host"), [entry("h h", "my m,x.f\"g@a b=c=d", 1, 0.001)]);
        assert!(read("m,host=a text=\"only\"", "host").is_empty());
    }

    #[test]
    fn refuses_lines_by_number() {
        for line in [
            "measurement, field=1",
            "measurement, field=1 123",
            "measurement,tag=value 123",
            "measurement,tag=value , 123",
            ",tag=value 123",
            "foobar,tag=value field=string 123",
            "m,host=a f=1 x",
            "m,host=a f=1 -5",
            "m,host=a f=1 5 6",
            "m,host=a f=1,",
            "m,host=a f=1x",
            "m,host=a f=",
            "m,host=a f=\"open",
            "m,host=a f=1 99999999999999999999",
            "m",
        ] {
            let lines = format!("m,host=a f=1\n{line}");
            assert_eq!(read_lines(lines.as_bytes(), "host", NOW), Err(MeasureError::Line(2)), "{line}");
        }
        assert_eq!(read_lines(b"m\0,host=a f=1", "host", NOW), Err(MeasureError::Line(1)));
        assert_eq!(read_lines(b"m,host=\xff f=1", "host", NOW), Err(MeasureError::Line(1)));
        let missing = Err(MeasureError::MissingTag("host".to_owned()));
        assert_eq!(read_lines(b"m,a=b f=1", "host", NOW), missing);
    }

    #[test]
    fn reads_the_one_query() {
        for query in
            ["CREATE DATABASE foobar;", "CrEaTe   Database foobar  ;;;", "create database \"foobar\" x"]
        {
            assert_eq!(read_create_database(query).as_deref(), Some("foobar"), "{query}");
        }
        for query in [
            "SELECT",
            "hey yo foobar;",
            "help database foobar;",
            "create stuff foobar",
            "create database",
            "create database ",
            "create database 1a",
            "create database \"",
            "",
        ] {
            assert_eq!(read_create_database(query), None, "{query}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(lines in "[ma,= \"\\\\1i.\n#é-]{0,40}", query in "(?i)(create )?(database )?\\PC{0,10}") {
            let _ = read_lines(lines.as_bytes(), "a", NOW);
            let _ = read_create_database(&query);
        }
    }
}
