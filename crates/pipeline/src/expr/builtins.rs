//! Functions and types that come with the language.

use nephometer_model::time::parse_float;

use super::ast::Binary;
use super::compare;
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::modules::Module;
use super::value::{Dict, Opaque, Thing, Value};
use super::{format, format_spec, index, number};

macro_rules! builtins {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A function or type that comes with the language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Builtin { $($variant),* }

        impl Builtin {
            fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

builtins! {
    Abs "abs", All "all", Any "any", Ascii "ascii", Bin "bin", Bool "bool", Chr "chr", Dict "dict", Divmod "divmod",
    Enumerate "enumerate", Filter "filter", Float "float", Format "format", Hex "hex", Int "int",
    Isinstance "isinstance", Len "len", List "list", Map "map", Max "max", Min "min", Oct "oct", Ord "ord", Pow "pow",
    Range "range", Reduce "reduce", Repr "repr", Reversed "reversed", Round "round", Sorted "sorted", Str "str",
    Sum "sum", Tuple "tuple", Zip "zip",
}

impl Builtin {
    pub(super) fn is_type(self) -> bool {
        matches!(
            self,
            Self::Bool | Self::Dict | Self::Float | Self::Int | Self::List | Self::Str | Self::Tuple
        )
    }
}

/// What `name` means where nobody else says so.
pub(super) fn named<'a>(name: &str) -> Option<Value<'a>> {
    Module::of(name)
        .map(|module| Value::other(Thing::Module(module)))
        .or_else(|| Builtin::of(name).map(|builtin| Value::other(Thing::Builtin(builtin))))
}

/// The arguments of a call, taken one by one.
pub(super) struct Arguments<'a> {
    function: &'static str,
    plain: std::vec::IntoIter<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(
        function: &'static str,
        plain: Vec<Value<'a>>,
        named: Vec<(&'a str, Value<'a>)>,
    ) -> Self {
        Self { function, plain: plain.into_iter(), named }
    }

    fn wrong(&self, what: &str) -> EvalError {
        EvalError::of_type(format!("{}() {what}", self.function))
    }

    /// The next argument, which is not named.
    pub(super) fn next(&mut self) -> Result<Value<'a>> {
        self.plain.next().ok_or_else(|| self.wrong("takes more arguments than were given"))
    }

    /// The next argument, where there is one.
    pub(super) fn optional(&mut self) -> Option<Value<'a>> {
        self.plain.next()
    }

    /// The argument of that name, where it was given by name.
    pub(super) fn named(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.named.iter().position(|(known, _)| *known == name)?;
        Some(self.named.remove(at).1)
    }

    /// The next argument or the one of that name.
    pub(super) fn either(&mut self, name: &str) -> Option<Value<'a>> {
        self.plain.next().or_else(|| self.named(name))
    }

    /// All that are left without a name.
    pub(super) fn rest(&mut self) -> Vec<Value<'a>> {
        self.plain.by_ref().collect()
    }

    /// Refuses what nobody took.
    pub(super) fn end(mut self) -> Result<()> {
        if self.plain.next().is_some() {
            return Err(self.wrong("takes fewer arguments than were given"));
        }
        match self.named.first() {
            Some((name, _)) => Err(self.wrong(&format!("got an unexpected keyword argument '{name}'"))),
            None => Ok(()),
        }
    }
}

pub(super) fn call<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    plain: Vec<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
) -> Result<Value<'a>> {
    let mut arguments = Arguments::new(builtin.name(), plain, named);
    let value = match builtin {
        Builtin::Bool => Value::Bool(arguments.optional().is_some_and(|value| value.is_true())),
        Builtin::Int => to_int(&mut arguments)?,
        Builtin::Float => to_float(&mut arguments)?,
        Builtin::Str
        | Builtin::Repr
        | Builtin::Ascii
        | Builtin::Format
        | Builtin::Chr
        | Builtin::Hex
        | Builtin::Oct
        | Builtin::Bin => to_text(machine, builtin, &mut arguments)?,
        Builtin::List | Builtin::Tuple | Builtin::Dict => to_container(machine, builtin, &mut arguments)?,
        Builtin::Abs | Builtin::Divmod | Builtin::Pow | Builtin::Round | Builtin::Ord => {
            arithmetic(machine, builtin, &mut arguments)?
        }
        Builtin::Len => {
            let length = index::length(&arguments.next()?)?;
            Value::Int(length as i128)
        }
        Builtin::All | Builtin::Any => {
            let value = arguments.next()?;
            let items = machine.items(&value)?;
            machine.work(items.len())?;
            let mut truths = items.iter().map(Value::is_true);
            Value::Bool(if builtin == Builtin::All {
                truths.all(|holds| holds)
            } else {
                truths.any(|holds| holds)
            })
        }
        Builtin::Isinstance => isinstance(machine, &mut arguments)?,
        Builtin::Max | Builtin::Min => extreme(machine, builtin, &mut arguments)?,
        Builtin::Sum => sum(machine, &mut arguments)?,
        Builtin::Sorted => sorted(machine, &mut arguments)?,
        Builtin::Reduce => reduce(machine, &mut arguments)?,
        Builtin::Map
        | Builtin::Filter
        | Builtin::Zip
        | Builtin::Enumerate
        | Builtin::Range
        | Builtin::Reversed => iterator(machine, builtin, &mut arguments)?,
    };
    arguments.end()?;
    Ok(value)
}

fn to_int<'a>(arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let Some(value) = arguments.optional() else { return Ok(Value::Int(0)) };
    let base = arguments.either("base");
    if let Some(base) = &base {
        let base = base.as_int().filter(|base| *base == 0 || (2..=36).contains(base));
        let base = base.ok_or_else(|| EvalError::of_value("int() base must be >= 2 and <= 36, or 0"))?;
        let text = value
            .as_text()
            .ok_or_else(|| EvalError::of_type("int() can't convert non-string with explicit base"))?;
        return parse_int(text, u32::try_from(base).unwrap_or_default());
    }
    whole_number(&value)
}

/// `int(value)`.
pub(super) fn whole_number<'a>(value: &Value<'a>) -> Result<Value<'a>> {
    match value {
        Value::Float(float) => number::truncate(*float).map(Value::Int),
        Value::Str(text) => parse_int(text, 10),
        other => other.as_int().map(Value::Int).ok_or_else(|| {
            EvalError::of_type(format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                other.type_name()
            ))
        }),
    }
}

/// Characters that Python takes for space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn parse_int<'a>(text: &str, base: u32) -> Result<Value<'a>> {
    let invalid = || {
        let shown = nephometer_model::python::repr_str(text);
        EvalError::of_value(format!("invalid literal for int() with base {base}: {shown}"))
    };
    let trimmed = text.trim_matches(is_space);
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let by_prefix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(known, _)| prefix == *known);
    let (digits, base) = match by_prefix {
        Some((_, found)) if base == 0 || base == found => (&digits[2..], found),
        _ if base == 0 && digits.starts_with('0') && !digits.trim_matches(['0', '_']).is_empty() => {
            return Err(invalid());
        }
        _ => (digits, if base == 0 { 10 } else { base }),
    };
    let digits = if by_prefix.is_some() { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
    let wrong =
        digits.is_empty() || digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let digits = digits.replace('_', "");
    if wrong || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(invalid());
    }
    match i128::from_str_radix(&digits, base) {
        Ok(value) => Ok(Value::Int(if negative { -value } else { value })),
        Err(_) => Err(EvalError::new(Fault::Limit, "whole numbers are limited to 128 bits")),
    }
}

fn to_float<'a>(arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let Some(value) = arguments.optional() else { return Ok(Value::Float(0.0)) };
    if let Value::Str(text) = &value {
        return parse_float(text.trim_matches(is_space)).map(Value::Float).ok_or_else(|| {
            let shown = nephometer_model::python::repr_str(text);
            EvalError::of_value(format!("could not convert string to float: {shown}"))
        });
    }
    value.as_f64().map(Value::Float).ok_or_else(|| {
        EvalError::of_type(format!(
            "float() argument must be a string or a real number, not '{}'",
            value.type_name()
        ))
    })
}

fn to_text<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let value = match arguments.optional() {
        Some(value) => value,
        None if builtin == Builtin::Str => Value::text(""),
        None => arguments.next()?,
    };
    let whole = |value: &Value<'a>| {
        value.as_int().ok_or_else(|| {
            EvalError::of_type(format!("'{}' object cannot be interpreted as an integer", value.type_name()))
        })
    };
    let text = match builtin {
        Builtin::Str => format::str(machine, &value)?,
        Builtin::Repr => format::repr(machine, &value)?,
        Builtin::Ascii => format::ascii(&format::repr(machine, &value)?),
        Builtin::Format => {
            let spec = arguments.optional().unwrap_or_else(|| Value::text(""));
            format_spec::format(machine, &value, index::wanted_text(&spec, "format() argument 2")?)?
        }
        Builtin::Chr => {
            let c = u32::try_from(whole(&value)?).ok().and_then(char::from_u32);
            c.ok_or_else(|| EvalError::of_value("chr() arg not in range(0x110000)"))?.to_string()
        }
        Builtin::Hex => format_spec::format(machine, &Value::Int(whole(&value)?), "#x")?,
        Builtin::Oct => format_spec::format(machine, &Value::Int(whole(&value)?), "#o")?,
        _ => format_spec::format(machine, &Value::Int(whole(&value)?), "#b")?,
    };
    machine.text(text)
}

fn to_container<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let value = arguments.optional();
    if builtin != Builtin::Dict {
        let items = match &value {
            Some(value) => machine.items(value)?.into_owned(),
            None => Vec::new(),
        };
        return if builtin == Builtin::List { machine.list(items) } else { Ok(Value::tuple(items)) };
    }
    let mut dict = Dict::default();
    if let Some(value) = value {
        match value.as_dict()? {
            Some(given) => dict = (*given).clone(),
            None => {
                for pair in machine.items(&value)?.iter() {
                    let pair = machine.items(pair)?;
                    let [key, value] = &*pair else {
                        return Err(EvalError::of_value(format!(
                            "dictionary update sequence element has length {}; 2 is required",
                            pair.len()
                        )));
                    };
                    dict.insert(key.clone(), value.clone())?;
                }
            }
        }
    }
    for (name, value) in std::mem::take(&mut arguments.named) {
        dict.insert(Value::text(name), value)?;
    }
    machine.room(dict.entries().len())?;
    Ok(Value::dict(dict))
}

fn arithmetic<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let wrong =
        |what: &str| EvalError::of_type(format!("bad operand type for {what}: '{}'", value.type_name()));
    match builtin {
        Builtin::Abs => match (&value, value.as_int()) {
            (_, Some(int)) => int
                .checked_abs()
                .map(Value::Int)
                .ok_or_else(|| EvalError::new(Fault::Limit, "whole numbers are limited to 128 bits")),
            (Value::Float(float), _) => Ok(Value::Float(float.abs())),
            _ => Err(wrong("abs()")),
        },
        Builtin::Divmod => {
            let other = arguments.next()?;
            let quotient = machine.binary(Binary::FloorDivide, &value, &other)?;
            let rest = machine.binary(Binary::Modulo, &value, &other)?;
            Ok(Value::tuple(vec![quotient, rest]))
        }
        Builtin::Pow => {
            let exponent = arguments.next()?;
            machine.binary(Binary::Power, &value, &exponent)
        }
        Builtin::Round => {
            let digits = match arguments.either("ndigits") {
                None | Some(Value::None) => None,
                Some(digits) => Some(digits.as_int().ok_or_else(|| {
                    EvalError::of_type(format!(
                        "'{}' object cannot be interpreted as an integer",
                        digits.type_name()
                    ))
                })?),
            };
            match (&value, value.as_int(), digits) {
                (_, Some(int), None) => Ok(Value::Int(int)),
                (_, Some(int), Some(digits)) => number::round_int(int, digits).map(Value::Int),
                (Value::Float(float), _, None) => number::round_to_int(*float).map(Value::Int),
                (Value::Float(float), _, Some(digits)) => {
                    Ok(Value::Float(number::round_float(*float, digits)))
                }
                _ => Err(EvalError::of_type(format!(
                    "type {} doesn't define __round__ method",
                    value.type_name()
                ))),
            }
        }
        _ => {
            let text = index::wanted_text(&value, "ord() argument")?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => Ok(Value::Int(i128::from(u32::from(only)))),
                _ => Err(EvalError::of_type("ord() expected a character")),
            }
        }
    }
}

fn isinstance<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let (value, types) = (arguments.next()?, arguments.next()?);
    let types = match &types {
        Value::Tuple(_) => machine.items(&types)?.into_owned(),
        _ => vec![types],
    };
    for kind in types {
        let Value::Other(Opaque(thing)) = &kind else {
            return Err(EvalError::of_type("isinstance() arg 2 must be a type or a tuple of types"));
        };
        match &**thing {
            Thing::Builtin(builtin) if builtin.is_type() => {
                let name = value.type_name();
                if name == builtin.name() || (name == "bool" && *builtin == Builtin::Int) {
                    return Ok(Value::Bool(true));
                }
            }
            _ => return Err(EvalError::of_type("isinstance() arg 2 must be a type or a tuple of types")),
        }
    }
    Ok(Value::Bool(false))
}

/// What elements are compared by: themselves, or what `key` makes of them.
fn keyed<'a>(
    machine: &mut Machine<'_, 'a>,
    items: Vec<Value<'a>>,
    key: Option<&Value<'a>>,
) -> Result<Vec<(Value<'a>, Value<'a>)>> {
    machine.room(items.len())?;
    let key = key.filter(|key| !matches!(key, Value::None));
    let pairs = items.into_iter().map(|item| {
        let by = match key {
            Some(key) => machine.call(key, vec![item.clone()], Vec::new())?,
            None => item.clone(),
        };
        Ok((by, item))
    });
    pairs.collect()
}

fn extreme<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let (key, default) = (arguments.named("key"), arguments.named("default"));
    let first = arguments.next()?;
    let mut others = arguments.rest();
    let items = if others.is_empty() {
        machine.items(&first)?.into_owned()
    } else {
        others.insert(0, first);
        others
    };
    let mut best: Option<(Value<'a>, Value<'a>)> = None;
    for (by, item) in keyed(machine, items, key.as_ref())? {
        machine.work(1)?;
        let better = match &best {
            None => true,
            Some((best, _)) if builtin == Builtin::Max => {
                compare::order(&by, best, ">")?.is_some_and(std::cmp::Ordering::is_gt)
            }
            Some((best, _)) => compare::order(&by, best, "<")?.is_some_and(std::cmp::Ordering::is_lt),
        };
        if better {
            best = Some((by, item));
        }
    }
    let empty = || EvalError::of_value(format!("{}() arg is an empty sequence", builtin.name()));
    best.map(|(_, item)| item).or(default).ok_or_else(empty)
}

fn sum<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let mut total = arguments.either("start").unwrap_or(Value::Int(0));
    if total.as_text().is_some() {
        return Err(EvalError::of_type("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    for item in machine.items(&value)?.iter() {
        machine.work(1)?;
        total = machine.binary(Binary::Add, &total, item)?;
    }
    Ok(total)
}

fn sorted<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let value = arguments.next()?;
    let (key, reverse) = (arguments.named("key"), arguments.named("reverse"));
    let reverse = match reverse.map(|reverse| (reverse.as_int(), reverse)) {
        None => false,
        Some((Some(number), _)) => number != 0,
        Some((None, other)) => {
            let text = format!("'{}' object cannot be interpreted as an integer", other.type_name());
            return Err(EvalError::of_type(text));
        }
    };
    let items = machine.items(&value)?.into_owned();
    let mut items = keyed(machine, items, key.as_ref())?;
    // A list sorted downwards keeps the order of equals, too.
    if reverse {
        items.reverse();
    }
    let mut sorted = merge_sort(machine, items)?;
    if reverse {
        sorted.reverse();
    }
    machine.list(sorted.into_iter().map(|(_, item)| item).collect())
}

pub(super) type Keyed<'a> = (Value<'a>, Value<'a>);

/// A stable sort that takes any comparison, contradictory ones too.
pub(super) fn merge_sort<'a>(
    machine: &mut Machine<'_, 'a>,
    mut items: Vec<Keyed<'a>>,
) -> Result<Vec<Keyed<'a>>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = merge_sort(machine, items)?;
    let right = merge_sort(machine, right)?;
    machine.work(left.len() + right.len())?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let less = compare::order(&b.0, &a.0, "<")?.is_some_and(std::cmp::Ordering::is_lt);
        merged.extend(if less { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

fn reduce<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let (function, value) = (arguments.next()?, arguments.next()?);
    let items = machine.items(&value)?.into_owned();
    let mut items = items.into_iter();
    let start = arguments.optional().or_else(|| items.next());
    let mut total =
        start.ok_or_else(|| EvalError::of_type("reduce() of empty iterable with no initial value"))?;
    for item in items {
        total = machine.call(&function, vec![total, item], Vec::new())?;
    }
    Ok(total)
}

fn iterator<'a>(
    machine: &mut Machine<'_, 'a>,
    builtin: Builtin,
    arguments: &mut Arguments<'a>,
) -> Result<Value<'a>> {
    let items = match builtin {
        Builtin::Range => return range(machine, arguments),
        Builtin::Reversed => {
            let value = arguments.next()?;
            if matches!(value, Value::Iterator(_)) {
                return Err(EvalError::of_type("'generator' object is not reversible"));
            }
            let mut items = machine.items(&value)?.into_owned();
            items.reverse();
            items
        }
        Builtin::Enumerate => {
            let value = arguments.next()?;
            let start = arguments.either("start").map_or(Some(0), |start| start.as_int());
            let start =
                start.ok_or_else(|| EvalError::of_type("enumerate() needs a whole number to start with"))?;
            let items = machine.items(&value)?;
            let pairs = items.iter().zip(start..);
            pairs.map(|(item, at)| Value::tuple(vec![Value::Int(at), item.clone()])).collect()
        }
        Builtin::Filter => {
            let (function, value) = (arguments.next()?, arguments.next()?);
            let mut kept = Vec::new();
            for item in machine.items(&value)?.iter() {
                machine.work(1)?;
                let holds = match &function {
                    Value::None => item.is_true(),
                    function => machine.call(function, vec![item.clone()], Vec::new())?.is_true(),
                };
                if holds {
                    kept.push(item.clone());
                }
            }
            kept
        }
        _ => {
            let function = if builtin == Builtin::Map { Some(arguments.next()?) } else { None };
            let lists = arguments.rest();
            if lists.is_empty() && function.is_some() {
                return Err(EvalError::of_type("map() must have at least two arguments."));
            }
            let lists: Vec<Vec<Value<'a>>> =
                lists.iter().map(|list| Ok(machine.items(list)?.into_owned())).collect::<Result<_>>()?;
            let length = lists.iter().map(Vec::len).min().unwrap_or_default();
            machine.room(length * lists.len())?;
            let mut made = Vec::new();
            for at in 0..length {
                machine.work(lists.len())?;
                let row: Vec<Value<'a>> = lists.iter().map(|list| list[at].clone()).collect();
                made.push(match &function {
                    Some(function) => machine.call(function, row, Vec::new())?,
                    None => Value::tuple(row),
                });
            }
            made
        }
    };
    machine.room(items.len())?;
    Ok(Value::iterator(items))
}

fn range<'a>(machine: &mut Machine<'_, 'a>, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let mut bounds = Vec::new();
    for value in arguments.rest() {
        bounds.push(value.as_int().ok_or_else(|| {
            EvalError::of_type(format!("'{}' object cannot be interpreted as an integer", value.type_name()))
        })?);
    }
    let (start, stop, step) = match bounds[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => {
            return Err(EvalError::of_type(format!("range expected 1 to 3 arguments, got {}", bounds.len())));
        }
    };
    if step == 0 {
        return Err(EvalError::of_value("range() arg 3 must not be zero"));
    }
    let mut items = Vec::new();
    let mut at = start;
    while if step > 0 { at < stop } else { at > stop } {
        machine.room(1)?;
        machine.work(1)?;
        items.push(Value::Int(at));
        at = at.saturating_add(step);
    }
    // A list, so that its length can be asked for; its text is not that of Python's range.
    machine.list(items)
}
