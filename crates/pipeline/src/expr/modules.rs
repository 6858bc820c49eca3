//! The modules that expressions know: `re` and `json`.

use serde_json::Value as Json;

use super::builtins::Arguments;
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::format::{self, DumpStyle};
use super::index::wanted_text;
use super::value::{Dict, Thing, Value};
use crate::python_regex::{Captures, PythonRegex, RegexError, Replacement};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    Re,
    Json,
    Functools,
}

impl Module {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "re" => Some(Self::Re),
            "json" => Some(Self::Json),
            "functools" => Some(Self::Functools),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Re => "re",
            Self::Json => "json",
            Self::Functools => "functools",
        }
    }
}

const FLAGS: [(&str, i128, char); 8] = [
    ("I", 2, 'i'),
    ("IGNORECASE", 2, 'i'),
    ("M", 8, 'm'),
    ("MULTILINE", 8, 'm'),
    ("S", 16, 's'),
    ("DOTALL", 16, 's'),
    ("X", 64, 'x'),
    ("VERBOSE", 64, 'x'),
];

pub(super) fn constant<'a>(module: Module, name: &str) -> Option<Value<'a>> {
    let flag = FLAGS.iter().find(|(known, ..)| module == Module::Re && *known == name)?;
    Some(Value::Int(flag.1))
}

pub(super) fn has(module: Module, name: &str) -> bool {
    match module {
        Module::Re => {
            matches!(name, "sub" | "search" | "match" | "fullmatch" | "findall" | "split" | "escape")
        }
        Module::Json => matches!(name, "dumps" | "loads"),
        Module::Functools => name == "reduce",
    }
}

pub(super) fn call<'a>(
    machine: &mut Machine<'_, 'a>,
    module: Module,
    name: &str,
    plain: Vec<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
) -> Result<Value<'a>> {
    match module {
        Module::Re => regex(machine, name, Arguments::new("re", plain, named)),
        Module::Json => json(machine, name, Arguments::new("json", plain, named)),
        Module::Functools => super::builtins::call(machine, super::builtins::Builtin::Reduce, plain, named),
    }
}

impl From<RegexError> for EvalError {
    fn from(error: RegexError) -> Self {
        Self::new(Fault::Regex, error.to_string())
    }
}

/// Compiles `pattern` with the flags that stand last.
fn compile<'a>(
    machine: &mut Machine<'_, 'a>,
    pattern: &Value<'a>,
    flags: Option<Value<'a>>,
) -> Result<PythonRegex> {
    let pattern = wanted_text(pattern, "first argument")?;
    let flags = flags.map_or(Some(0), |flags| flags.as_int());
    let flags = flags.ok_or_else(|| EvalError::of_type("flags must be a whole number"))?;
    if flags & !(2 | 8 | 16 | 64) != 0 {
        return Err(EvalError::unsupported("these flags of regular expressions"));
    }
    let letters: String =
        FLAGS.iter().step_by(2).filter(|(_, bit, _)| flags & bit != 0).map(|(.., letter)| letter).collect();
    // Making one costs far more than anything else an expression does.
    machine.work(1000 + pattern.len() * 10)?;
    Ok(match letters.as_str() {
        "" => PythonRegex::new(pattern)?,
        letters => PythonRegex::new(&format!("(?{letters}){}", &**pattern))?,
    })
}

fn regex<'a>(machine: &mut Machine<'_, 'a>, name: &str, mut arguments: Arguments<'a>) -> Result<Value<'a>> {
    let pattern = arguments.either("pattern").map_or_else(|| arguments.next(), Ok)?;
    if name == "escape" {
        let text = wanted_text(&pattern, "the argument")?.to_string();
        let special = "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}";
        let escaped: String =
            text.chars().flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c])).collect();
        arguments.end()?;
        return machine.text(escaped);
    }
    let replacement = if name == "sub" { arguments.either("repl") } else { None };
    let text = arguments.either("string").map_or_else(|| arguments.next(), Ok)?;
    let count = match name {
        "sub" => arguments.either("count"),
        "split" => arguments.either("maxsplit"),
        _ => None,
    };
    let flags = arguments.either("flags");
    arguments.end()?;
    let regex = compile(machine, &pattern, flags)?;
    let text = wanted_text(&text, "expected string, the text")?;
    machine.work(text.len())?;
    let count = count.map_or(Some(0), |count| count.as_int());
    let count = count.ok_or_else(|| EvalError::of_type("count must be a whole number"))?;
    let count = usize::try_from(count).ok().filter(|count| *count > 0);
    match name {
        "sub" => {
            let replacement = replacement.ok_or_else(|| EvalError::of_type("sub() needs a replacement"))?;
            sub(machine, &regex, &replacement, text, count)
        }
        "findall" => find_all(machine, &regex, text),
        "split" => split(machine, &regex, text, count),
        "search" => Ok(found(&regex, text, regex.search(text)?)),
        "match" => Ok(found(&regex, text, regex.match_start(text)?)),
        _ => {
            let whole = PythonRegex::new(&format!("(?:{})\\Z", regex.as_str()))?;
            Ok(found(&whole, text, whole.match_start(text)?))
        }
    }
}

fn found<'a>(regex: &PythonRegex, text: &str, captures: Option<Captures<'_>>) -> Value<'a> {
    captures.map_or(Value::None, |captures| Value::other(Thing::Match(Found::new(regex, text, &captures))))
}

fn sub<'a>(
    machine: &mut Machine<'_, 'a>,
    regex: &PythonRegex,
    replacement: &Value<'a>,
    text: &str,
    count: Option<usize>,
) -> Result<Value<'a>> {
    const MAX_BYTES: usize = 1 << 20;
    let mut failed = None;
    let replaced = if let Value::Str(template) = replacement {
        let replacement = Replacement::new(template, regex)?;
        regex.replace(text, count, MAX_BYTES, |captures, out| {
            replacement.write(captures, out);
            Ok(())
        })
    } else {
        regex.replace(text, count, MAX_BYTES, |captures, out| {
            let argument = Value::other(Thing::Match(Found::new(regex, text, captures)));
            match machine.call(replacement, vec![argument], Vec::new()) {
                Ok(Value::Str(text)) => {
                    out.push_str(&text);
                    Ok(())
                }
                Ok(other) => {
                    let text = format!("expected str instance, {} found", other.type_name());
                    failed = Some(EvalError::of_type(text));
                    Err(RegexError(String::new()))
                }
                Err(error) => {
                    failed = Some(error);
                    Err(RegexError(String::new()))
                }
            }
        })
    };
    match failed {
        Some(error) => Err(error),
        None => machine.text(replaced?),
    }
}

fn find_all<'a>(machine: &mut Machine<'_, 'a>, regex: &PythonRegex, text: &str) -> Result<Value<'a>> {
    let mut all = Vec::new();
    machine.room(text.len())?;
    regex.each_match(text, |captures| {
        let group = |at: usize| Value::made(captures.get(at).map_or("", |group| group.as_str()));
        all.push(match regex.groups() {
            0 => group(0),
            1 => group(1),
            several => Value::tuple((1..=several).map(group).collect()),
        });
        true
    })?;
    machine.work(all.len())?;
    machine.list(all)
}

fn split<'a>(
    machine: &mut Machine<'_, 'a>,
    regex: &PythonRegex,
    text: &str,
    most: Option<usize>,
) -> Result<Value<'a>> {
    let (mut parts, mut from, mut done) = (Vec::new(), 0, 0);
    machine.room(text.len())?;
    regex.each_match(text, |captures| {
        let Some(whole) = captures.get(0) else { return false };
        parts.push(Value::made(&text[from..whole.start()]));
        for at in 1..=regex.groups() {
            parts.push(captures.get(at).map_or(Value::None, |group| Value::made(group.as_str())));
        }
        from = whole.end();
        done += 1;
        most != Some(done)
    })?;
    parts.push(Value::made(&text[from..]));
    machine.list(parts)
}

/// Where a regular expression was found, independent of the text.
#[derive(Debug)]
pub(super) struct Found<'a> {
    groups: Vec<Group<'a>>,
    names: Vec<(usize, String)>,
}

#[derive(Debug)]
struct Group<'a> {
    text: Value<'a>,
    /// In characters.
    span: Option<(usize, usize)>,
}

impl<'a> Found<'a> {
    fn new(regex: &PythonRegex, text: &str, captures: &Captures<'_>) -> Self {
        let place = |byte: usize| text[..byte].chars().count();
        let groups = (0..captures.len()).map(|at| match captures.get(at) {
            Some(group) => Group {
                text: Value::made(group.as_str()),
                span: Some((place(group.start()), place(group.end()))),
            },
            None => Group { text: Value::None, span: None },
        });
        let names = regex.group_names().map(|(at, name)| (at, name.to_owned())).collect();
        Self { groups: groups.collect(), names }
    }

    fn number(&self, key: &Value<'a>) -> Result<usize> {
        let by_name = key.as_text().and_then(|name| self.names.iter().find(|(_, known)| **known == **name));
        let number = by_name.map(|(at, _)| *at).or_else(|| usize::try_from(key.as_int()?).ok());
        number
            .filter(|number| *number < self.groups.len())
            .ok_or_else(|| EvalError::new(Fault::Index, "no such group"))
    }

    /// The text of a group, by its number or name.
    pub(super) fn group(&self, key: &Value<'a>) -> Result<Value<'a>> {
        Ok(self.groups[self.number(key)?].text.clone())
    }

    pub(super) fn call(
        &self,
        machine: &mut Machine<'_, 'a>,
        name: &str,
        arguments: &mut Arguments<'a>,
    ) -> Result<Value<'a>> {
        machine.work(self.groups.len())?;
        match name {
            "group" => {
                let keys = arguments.rest();
                let groups: Vec<Value<'a>> = match &keys[..] {
                    [] => return self.group(&Value::Int(0)),
                    [only] => return self.group(only),
                    several => several.iter().map(|key| self.group(key)).collect::<Result<_>>()?,
                };
                Ok(Value::tuple(groups))
            }
            "groups" | "groupdict" => {
                let default = arguments.either("default").unwrap_or(Value::None);
                let or_default = |at: usize| match &self.groups[at].text {
                    Value::None => default.clone(),
                    text => text.clone(),
                };
                if name == "groups" {
                    return Ok(Value::tuple((1..self.groups.len()).map(or_default).collect()));
                }
                let mut dict = Dict::default();
                for (at, name) in &self.names {
                    dict.insert(Value::made(name.as_str()), or_default(*at))?;
                }
                Ok(Value::dict(dict))
            }
            _ => {
                let key = arguments.optional().unwrap_or(Value::Int(0));
                let span = self.groups[self.number(&key)?].span;
                let (start, end) = span.map_or((-1, -1), |(start, end)| (start as i128, end as i128));
                Ok(match name {
                    "start" => Value::Int(start),
                    "end" => Value::Int(end),
                    _ => Value::tuple(vec![Value::Int(start), Value::Int(end)]),
                })
            }
        }
    }
}

fn json<'a>(machine: &mut Machine<'_, 'a>, name: &str, mut arguments: Arguments<'a>) -> Result<Value<'a>> {
    let value = arguments.next()?;
    if name == "loads" {
        arguments.end()?;
        let text = wanted_text(&value, "the JSON object")?;
        machine.room(text.len())?;
        let parsed: Json =
            serde_json::from_str(text).map_err(|error| EvalError::of_value(error.to_string()))?;
        return from_json(machine, &parsed);
    }
    let mut flag =
        |name: &str, otherwise: bool| arguments.named(name).map_or(otherwise, |flag| flag.is_true());
    let (sort_keys, ensure_ascii) = (flag("sort_keys", false), flag("ensure_ascii", true));
    let indent = arguments.named("indent").and_then(|indent| indent.as_int());
    arguments.end()?;
    let indent = indent.and_then(|indent| usize::try_from(indent).ok());
    if indent.is_some_and(|indent| indent > 100) {
        return Err(EvalError::unsupported("so deep an indent"));
    }
    let text = format::dumps(machine, &value, DumpStyle { sort_keys, ensure_ascii, indent })?;
    Ok(Value::made(text))
}

/// A copy of JSON that does not outlive the evaluation.
fn from_json<'a>(machine: &mut Machine<'_, 'a>, json: &Json) -> Result<Value<'a>> {
    machine.work(1)?;
    machine.room(1)?;
    Ok(match json {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(i128::from(whole)),
            (_, Some(whole)) => Value::Int(i128::from(whole)),
            _ => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::made(text.as_str()),
        Json::Array(items) => {
            Value::list(items.iter().map(|item| from_json(machine, item)).collect::<Result<_>>()?)
        }
        Json::Object(map) => {
            let mut dict = Dict::default();
            for (key, value) in map {
                dict.insert(Value::made(key.as_str()), from_json(machine, value)?)?;
            }
            Value::dict(dict)
        }
    })
}
