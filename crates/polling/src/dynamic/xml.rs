//! XML as maps and lists, by the rules of Python's `xmltodict`: attributes are `@name`, the text beside them or beside
//! elements is `#text`, elements of one name are a list, an element that is empty is null, prefixes stay.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 128;

/// An element while it is read.
struct Open {
    name: String,
    /// Attributes and elements; nothing where there is none yet.
    item: Option<Map<String, Value>>,
    text: String,
}

/// The document `text` under the name of its root. Entities are refused.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) => open.push(start(&tag, &open, root.is_some())?),
            Event::Empty(tag) => {
                open.push(start(&tag, &open, root.is_some())?);
                end(&mut open, &mut root);
            }
            Event::End(_) => end(&mut open, &mut root),
            Event::Text(more) => characters(&mut open, &more.xml10_content())?,
            Event::CData(more) => characters(&mut open, &more.xml10_content())?,
            Event::GeneralRef(reference) => characters(&mut open, &resolved(&reference)?)?,
            Event::DocType(declared) if declared.xml10_content().contains("<!ENTITY") => {
                return Err("entities are disabled".to_owned());
            }
            Event::DocType(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(unfinished) = open.last() {
        return Err(format!("the element {} does not end", unfinished.name));
    }
    root.ok_or_else(|| "no element found".to_owned())
}

fn start(tag: &BytesStart<'_>, open: &[Open], has_root: bool) -> Result<Open, String> {
    if has_root {
        return Err("junk after document element".to_owned());
    }
    if open.len() >= MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} elements lie in each other"));
    }
    let mut attributes = Map::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        attributes.insert(format!("@{}", attribute.key.into_inner()), Value::String(value.into_owned()));
    }
    let item = (!attributes.is_empty()).then_some(attributes);
    Ok(Open { name: tag.name().into_inner().to_owned(), item, text: String::new() })
}

fn end(open: &mut Vec<Open>, root: &mut Option<Value>) {
    let Some(Open { name, item, text }) = open.pop() else { return };
    let text = text.trim();
    let text = (!text.is_empty()).then(|| Value::String(text.to_owned()));
    let value = match (item, text) {
        (Some(mut map), text) => {
            if let Some(text) = text {
                push(&mut map, "#text".to_owned(), text);
            }
            Value::Object(map)
        }
        (None, text) => text.unwrap_or(Value::Null),
    };
    match open.last_mut() {
        Some(parent) => push(parent.item.get_or_insert_default(), name, value),
        None => *root = Some(Value::Object(Map::from_iter([(name, value)]))),
    }
}

/// Puts `value` under `name`, into a list where there is something already.
fn push(map: &mut Map<String, Value>, name: String, value: Value) {
    match map.get_mut(&name) {
        Some(Value::Array(list)) => list.push(value),
        Some(there) => {
            let first = there.take();
            *there = Value::Array(vec![first, value]);
        }
        None => drop(map.insert(name, value)),
    }
}

fn characters(open: &mut [Open], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_start_matches('\u{feff}').trim().is_empty() => {}
        None => return Err("there is text outside of all elements".to_owned()),
    }
    Ok(())
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(c) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(c.to_string());
    }
    let name = reference.xml10_content();
    let known = resolve_predefined_entity(&name);
    known.map(str::to_owned).ok_or_else(|| format!("undefined entity &{name};"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_become_what_xmltodict_makes_of_them() {
        for (text, expected) in [
            ("<a/>", json!({"a": null})),
            ("<a> </a>", json!({"a": null})),
            ("<?xml version='1.0'?>\n<!-- c --><a>x</a>\n", json!({"a": "x"})),
            ("<a k='v' l=\"w &lt; 2\"/>", json!({"a": {"@k": "v", "@l": "w < 2"}})),
            ("<a k='v'>x</a>", json!({"a": {"@k": "v", "#text": "x"}})),
            ("<a><b>1</b><c/><b>2</b><b>3</b></a>", json!({"a": {"b": ["1", "2", "3"], "c": null}})),
            ("<a>one <b>2</b> three</a>", json!({"a": {"b": "2", "#text": "one  three"}})),
            (
                "<n:a xmlns:n='u' n:k='v'><n:b>1</n:b></n:a>",
                json!({"n:a": {"@xmlns:n": "u", "@n:k": "v", "n:b": "1"}}),
            ),
            ("<a><![CDATA[<&>]]> &amp;&#65;&#x42;</a>", json!({"a": "<&> &AB"})),
            ("<!DOCTYPE a SYSTEM 'x.dtd'><a>1</a>", json!({"a": "1"})),
            ("\u{feff}<a>é</a>", json!({"a": "é"})),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "",
            "{\"a\": 1}",
            "plain",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a>&x;</a>",
            "<a k=v/>",
            "<a k='1' k='2'/>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>1 < 2</a>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&("<a>".repeat(1000) + &"</a>".repeat(1000))).is_err());
    }
}
