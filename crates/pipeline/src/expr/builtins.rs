//! Functions and types that come with the language.

mod arguments;
mod conversions;
mod iterables;

use super::ast::Binary;
use super::error::{EvalError, Fault};
use super::eval::{Machine, Result};
use super::modules::Module;
use super::value::{Opaque, Thing, Value};
use super::{index, number};
pub(super) use arguments::Arguments;
pub(super) use conversions::{is_space, whole_number};
use conversions::{to_container, to_float, to_int, to_text};
pub(super) use iterables::merge_sort;
use iterables::{extreme, iterator, reduce, sorted, sum};

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
