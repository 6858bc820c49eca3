//! Methods of texts.

use super::builtins::{Arguments, is_space};
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::format_spec;
use super::index::wanted_text;
use super::value::{Str, Value};

pub(super) const NAMES: [&str; 40] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
    "isprintable",
];

pub(super) fn call<'a>(
    machine: &mut Machine<'_, 'a>,
    text: &Str<'a>,
    name: &str,
    plain: Vec<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
) -> Result<Value<'a>> {
    machine.work(text.len() / 16)?;
    if name == "format" {
        let made = format_spec::str_format(machine, text, &plain, &named)?;
        return machine.text(made);
    }
    let mut arguments = Arguments::new("method", plain, named);
    let value = match name {
        "split" | "rsplit" | "splitlines" => pieces(machine, text, name, &mut arguments)?,
        "partition" | "rpartition" => partition(text, name, &mut arguments)?,
        "join" => join(machine, text, &mut arguments)?,
        "startswith" | "endswith" => affix(machine, text, name, &mut arguments)?,
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, name, &mut arguments)?,
        _ if name.starts_with("is") => Value::Bool(is(text, name)),
        _ => {
            let made = changed(text, name, &mut arguments, machine)?;
            machine.text(made)?
        }
    };
    arguments.end()?;
    Ok(value)
}

fn made<'a>(text: &str) -> Value<'a> {
    Value::made(text)
}

fn pieces<'a>(
    machine: &mut Machine<'_, 'a>,
    text: &str,
    name: &str,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    if name == "splitlines" {
        let keep = arguments.either("keepends").is_some_and(|keep| keep.is_true());
        machine.room(text.len())?;
        return machine.list(lines(text, keep).into_iter().map(made).collect());
    }
    let separator = arguments.either("sep").filter(|separator| !matches!(separator, Value::None));
    let most = arguments.either("maxsplit").map_or(Some(-1), |most| most.as_int());
    let most = most.ok_or_else(|| EvalError::of_type("maxsplit must be a whole number"))?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    machine.room(text.len())?;
    let parts: Vec<&str> = match &separator {
        None => split_space(text, most, name == "rsplit"),
        Some(separator) => {
            let separator = wanted_text(separator, "sep")?;
            if separator.is_empty() {
                return Err(EvalError::of_value("empty separator"));
            }
            if name == "split" {
                text.splitn(most.saturating_add(1), &**separator).collect()
            } else {
                let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), &**separator).collect();
                parts.reverse();
                parts
            }
        }
    };
    machine.list(parts.into_iter().map(made).collect())
}

/// Splits at runs of space, `most` times at most.
fn split_space(text: &str, most: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            // What is left keeps the space that is not at its cut.
            let whole =
                if from_end { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
            let start = rest.as_ptr() as usize - text.as_ptr() as usize;
            let whole_start = whole.as_ptr() as usize - text.as_ptr() as usize;
            parts.push(if from_end {
                &text[..start + rest.len()]
            } else {
                &text[start..whole_start + whole.len()]
            });
            break;
        }
        let cut = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = cut else {
            parts.push(rest);
            break;
        };
        let space = rest[at..].chars().next().map_or(1, char::len_utf8);
        if from_end {
            parts.push(&rest[at + space..]);
            rest = rest[..at].trim_end_matches(is_space);
        } else {
            parts.push(&rest[..at]);
            rest = rest[at + space..].trim_start_matches(is_space);
        }
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn lines(text: &str, keep: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(is_end) else {
            lines.push(rest);
            break;
        };
        let length = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(&rest[..if keep { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    lines
}

fn partition<'a>(text: &str, name: &str, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let separator = arguments.next()?;
    let separator = wanted_text(&separator, "sep")?;
    if separator.is_empty() {
        return Err(EvalError::of_value("empty separator"));
    }
    let found =
        if name == "partition" { text.split_once(&**separator) } else { text.rsplit_once(&**separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if name == "partition" => [text, "", ""],
        None => ["", "", text],
    };
    Ok(Value::tuple(parts.into_iter().map(made).collect()))
}

fn join<'a>(machine: &mut Machine<'_, 'a>, text: &str, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let items = machine.items(&value)?;
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        let Value::Str(part) = item else {
            let kind = item.type_name();
            return Err(EvalError::of_type(format!(
                "sequence item {at}: expected str instance, {kind} found"
            )));
        };
        let separator = if at == 0 { "" } else { text };
        machine.room(separator.len() + part.len())?;
        out.push_str(separator);
        out.push_str(part);
    }
    Ok(Value::made(out))
}

fn affix<'a>(
    machine: &mut Machine<'_, 'a>,
    text: &str,
    name: &str,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let several = match &value {
        Value::Tuple(_) => machine.items(&value)?.into_owned(),
        _ => vec![value],
    };
    for affix in &several {
        let affix = wanted_text(affix, "the first argument")?;
        if if name == "startswith" { text.starts_with(&**affix) } else { text.ends_with(&**affix) } {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Places are counted in characters.
fn search<'a>(text: &str, name: &str, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let wanted = arguments.next()?;
    let wanted = wanted_text(&wanted, "the first argument")?;
    if name == "count" {
        let count =
            if wanted.is_empty() { text.chars().count() + 1 } else { text.matches(&**wanted).count() };
        return Ok(Value::Int(count as i128));
    }
    let found = if name.starts_with('r') { text.rfind(&**wanted) } else { text.find(&**wanted) };
    match found {
        Some(at) => Ok(Value::Int(text[..at].chars().count() as i128)),
        None if name.ends_with("index") => Err(EvalError::of_value("substring not found")),
        None => Ok(Value::Int(-1)),
    }
}

fn is(text: &str, name: &str) -> bool {
    let all = |holds: fn(char) -> bool| !text.is_empty() && text.chars().all(holds);
    let cased = |wanted: fn(char) -> bool, other: fn(char) -> bool| {
        text.chars().any(wanted) && !text.chars().any(other)
    };
    match name {
        "isascii" => text.is_ascii(),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdigit" | "isdecimal" | "isnumeric" => {
            all(|c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric()))
        }
        "isspace" => all(is_space),
        "islower" => cased(char::is_lowercase, char::is_uppercase),
        "isupper" => cased(char::is_uppercase, char::is_lowercase),
        _ => text.chars().all(|c| c == ' ' || !(c.is_control() || c.is_whitespace())),
    }
}

/// Methods that make another text.
fn changed<'a>(
    text: &str,
    name: &str,
    arguments: &mut Arguments<'a>,
    machine: &mut Machine<'_, 'a>,
) -> Result<String> {
    Ok(match name {
        "lower" => text.to_lowercase(),
        "casefold" => text.to_lowercase().replace('ß', "ss"),
        "upper" => text.to_uppercase(),
        "capitalize" => {
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
            first + &chars.as_str().to_lowercase()
        }
        "swapcase" => {
            let swap = |c: char| {
                if c.is_uppercase() {
                    c.to_lowercase().collect::<String>()
                } else {
                    c.to_uppercase().collect()
                }
            };
            text.chars().map(swap).collect()
        }
        "title" => title(text),
        "strip" | "lstrip" | "rstrip" => {
            let chars = arguments.optional().filter(|chars| !matches!(chars, Value::None));
            let set: Option<Vec<char>> = match &chars {
                Some(chars) => Some(wanted_text(chars, "strip arg")?.chars().collect()),
                None => None,
            };
            let strips = |c: char| set.as_ref().map_or_else(|| is_space(c), |set| set.contains(&c));
            let start = if name == "rstrip" { text } else { text.trim_start_matches(strips) };
            if name == "lstrip" { start } else { start.trim_end_matches(strips) }.to_owned()
        }
        "replace" => replace(machine, text, arguments)?,
        "removeprefix" | "removesuffix" => {
            let affix = arguments.next()?;
            let affix = wanted_text(&affix, "the argument")?;
            let rest = if name == "removeprefix" {
                text.strip_prefix(&**affix)
            } else {
                text.strip_suffix(&**affix)
            };
            rest.unwrap_or(text).to_owned()
        }
        _ => padded(machine, text, name, arguments)?,
    })
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    out
}

fn replace<'a>(machine: &mut Machine<'_, 'a>, text: &str, arguments: &mut Arguments<'a>) -> Result<String> {
    let (old, new) = (arguments.next()?, arguments.next()?);
    let (old, new) = (wanted_text(&old, "replace() argument 1")?, wanted_text(&new, "replace() argument 2")?);
    let count = arguments.optional().map_or(Some(-1), |count| count.as_int());
    let count = count.ok_or_else(|| EvalError::of_type("replace() needs a whole number as count"))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(&**old).count() };
    machine.room(new.len().saturating_mul(found.min(count)).saturating_add(text.len()))?;
    Ok(if count == usize::MAX { text.replace(&**old, new) } else { text.replacen(&**old, new, count) })
}

/// Methods that fill a text up to a width.
fn padded<'a>(
    machine: &mut Machine<'_, 'a>,
    text: &str,
    name: &str,
    arguments: &mut Arguments<'a>,
) -> Result<String> {
    let width = arguments.next()?;
    let width = width.as_int().ok_or_else(|| {
        EvalError::of_type(format!("'{}' object cannot be interpreted as an integer", width.type_name()))
    })?;
    let length = text.chars().count();
    let missing = usize::try_from(width).unwrap_or_default().saturating_sub(length);
    machine.room(missing.saturating_mul(4))?;
    if name == "zfill" {
        let sign = usize::from(text.starts_with(['+', '-']));
        return Ok(format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..]));
    }
    let fill = match arguments.optional() {
        None => ' ',
        Some(fill) => {
            let mut chars = wanted_text(&fill, "the fill character")?.chars();
            match (chars.next(), chars.next()) {
                (Some(fill), None) => fill,
                _ => {
                    return Err(EvalError::new(
                        Fault::Type,
                        "The fill character must be exactly one character long",
                    ));
                }
            }
        }
    };
    let pad = |count: usize| fill.to_string().repeat(count);
    Ok(match name {
        "ljust" => format!("{text}{}", pad(missing)),
        "rjust" => format!("{}{text}", pad(missing)),
        _ => {
            // Python puts the odd one on the left where both the missing and the width are odd.
            let left = missing / 2 + (missing & usize::try_from(width).unwrap_or_default() & 1);
            format!("{}{text}{}", pad(left), pad(missing - left))
        }
    })
}
