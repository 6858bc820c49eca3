//! Formats: what stands behind the colon of an f-string, `str.format`, and `%`.

use nephometer_model::python;

use super::error::EvalError;
use super::eval::{Machine, Result};
use super::format;
use super::value::Value;

/// `[[fill]align][sign][#][0][width][grouping][.precision][type]`.
#[derive(Debug, Clone, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// More than this in a width or a precision is refused: nobody reads it.
const MAX_WIDTH: usize = 10_000;

impl Spec {
    fn parse(text: &str) -> Result<Self> {
        let invalid = || EvalError::of_value(format!("Invalid format specifier '{text}'"));
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let mut spec = Self::default();
        let is_align = |at: usize| chars.get(at).is_some_and(|c| matches!(c, '<' | '>' | '=' | '^'));
        if is_align(1) {
            (spec.fill, spec.align, at) = (Some(chars[0]), Some(chars[1]), 2);
        } else if is_align(0) {
            (spec.align, at) = (Some(chars[0]), 1);
        }
        let take = |accept: &str, at: &mut usize| {
            let found = chars.get(*at).copied().filter(|c| accept.contains(*c));
            *at += usize::from(found.is_some());
            found
        };
        spec.sign = take("+- ", &mut at);
        spec.alternate = take("#", &mut at).is_some();
        spec.zero = take("0", &mut at).is_some();
        let number = |at: &mut usize| {
            let start = *at;
            while chars.get(*at).is_some_and(char::is_ascii_digit) {
                *at += 1;
            }
            let digits: String = chars[start..*at].iter().collect();
            match digits.parse::<usize>() {
                Ok(value) if value > MAX_WIDTH => {
                    Err(EvalError::of_value("Too many decimal digits in format string"))
                }
                Ok(value) => Ok(Some(value)),
                Err(_) => Ok(None),
            }
        };
        spec.width = number(&mut at)?.unwrap_or_default();
        spec.grouping = take(",_", &mut at);
        if take(".", &mut at).is_some() {
            spec.precision = Some(
                number(&mut at)?.ok_or_else(|| EvalError::of_value("Format specifier missing precision"))?,
            );
        }
        spec.kind = chars.get(at).copied();
        if chars.len() > at + 1 {
            return Err(invalid());
        }
        if spec.zero && spec.align.is_none() {
            spec.align = Some('=');
            spec.fill = spec.fill.or(Some('0'));
        } else if spec.zero {
            spec.fill = spec.fill.or(Some('0'));
        }
        Ok(spec)
    }

    /// `sign` and `body`, filled to the width.
    fn pad(&self, sign: &str, body: &str, otherwise: char) -> String {
        let length = sign.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = |count: usize| self.fill.unwrap_or(' ').to_string().repeat(count);
        match self.align.unwrap_or(otherwise) {
            '<' => format!("{sign}{body}{}", fill(missing)),
            '^' => format!("{}{sign}{body}{}", fill(missing / 2), fill(missing - missing / 2)),
            '=' => format!("{sign}{}{body}", fill(missing)),
            _ => format!("{}{sign}{body}", fill(missing)),
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        }
    }

    /// A number: digits of its whole part grouped, zeros in front grouped with them.
    fn number(&self, sign: &str, prefix: &str, whole: &str, rest: &str, every: usize) -> String {
        let mut whole = whole.to_owned();
        if let Some(separator) = self.grouping {
            let zeros = self.fill == Some('0') && self.align == Some('=');
            let mut grouped = group(&whole, separator, every);
            let room = self.width.saturating_sub(sign.len() + prefix.len() + rest.len());
            while zeros && grouped.len() < room {
                whole.insert(0, '0');
                grouped = group(&whole, separator, every);
            }
            whole = grouped;
        }
        self.pad(&format!("{sign}{prefix}"), &format!("{whole}{rest}"), '>')
    }
}

/// `digits` with a separator between groups.
fn group(digits: &str, separator: char, every: usize) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(every) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// `format(value, spec)`.
pub(super) fn format<'a>(machine: &mut Machine<'_, 'a>, value: &Value<'a>, text: &str) -> Result<String> {
    if text.is_empty() {
        return format::str(machine, value);
    }
    let spec = Spec::parse(text)?;
    machine.room(spec.width + spec.precision.unwrap_or_default())?;
    let unknown = |kind: char| {
        EvalError::of_value(format!(
            "Unknown format code '{kind}' for object of type '{}'",
            value.type_name()
        ))
    };
    match value {
        Value::Str(text) => text_format(text, &spec),
        Value::Bool(flag) if spec.kind.is_none() => {
            // A truth value without a type is formatted as the number that it is.
            int_format(i128::from(*flag), &spec).ok_or_else(|| unknown('d'))?
        }
        Value::Int(_) | Value::Bool(_) => {
            let int = value.as_int().unwrap_or_default();
            match (int_format(int, &spec), spec.kind) {
                (Some(text), _) => text,
                (None, Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
                    float_format(int as f64, &spec).ok_or_else(|| unknown('f'))?
                }
                (None, kind) => Err(unknown(kind.unwrap_or(' '))),
            }
        }
        Value::Float(float) => {
            float_format(*float, &spec).ok_or_else(|| unknown(spec.kind.unwrap_or(' ')))?
        }
        other => Err(EvalError::of_type(format!(
            "unsupported format string passed to {}.__format__",
            other.type_name()
        ))),
    }
}

fn text_format(text: &str, spec: &Spec) -> Result<String> {
    let wrong =
        |what: &str| Err(EvalError::of_value(format!("{what} not allowed in string format specifier")));
    match spec {
        Spec { kind: Some(kind), .. } if *kind != 's' => {
            Err(EvalError::of_value(format!("Unknown format code '{kind}' for object of type 'str'")))
        }
        Spec { sign: Some(' '), .. } => wrong("Space"),
        Spec { sign: Some(_), .. } => wrong("Sign"),
        Spec { alternate: true, .. } => wrong("Alternate form (#)"),
        Spec { grouping: Some(separator), .. } => {
            Err(EvalError::of_value(format!("Cannot specify '{separator}' with 's'.")))
        }
        Spec { align: Some('='), zero: false, .. } => wrong("'=' alignment"),
        _ => {
            let cut: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
            let spec = Spec {
                align: spec.align.map(|align| if align == '=' { '<' } else { align }),
                ..spec.clone()
            };
            Ok(spec.pad("", &cut, '<'))
        }
    }
}

/// A whole number; nothing where the type is not one of whole numbers.
fn int_format(int: i128, spec: &Spec) -> Option<Result<String>> {
    let digits = int.unsigned_abs();
    let (prefix, digits, every) = match spec.kind.unwrap_or('d') {
        'd' | 'n' => ("", digits.to_string(), 3),
        'b' => ("0b", format!("{digits:b}"), 4),
        'o' => ("0o", format!("{digits:o}"), 4),
        'x' => ("0x", format!("{digits:x}"), 4),
        'X' => ("0X", format!("{digits:X}"), 4),
        'c' => {
            let c = u32::try_from(int).ok().and_then(char::from_u32);
            let c = c.ok_or_else(|| EvalError::of_value("%c arg not in range(0x110000)"));
            return Some(c.map(|c| spec.pad("", &c.to_string(), '<')));
        }
        _ => return None,
    };
    if spec.precision.is_some() {
        return Some(Err(EvalError::of_value("Precision not allowed in integer format specifier")));
    }
    if spec.grouping == Some(',') && every == 4 {
        let text = format!("Cannot specify ',' with '{}'.", spec.kind.unwrap_or('d'));
        return Some(Err(EvalError::of_value(text)));
    }
    let prefix = if spec.alternate { prefix } else { "" };
    Some(Ok(spec.number(spec.sign(int < 0), prefix, &digits, "", every)))
}

/// A float; nothing where the type is not one of floats.
fn float_format(float: f64, spec: &Spec) -> Option<Result<String>> {
    let kind = spec.kind;
    if !matches!(kind, None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%')) {
        return None;
    }
    let negative = float.is_sign_negative() && !float.is_nan();
    let value = float.abs();
    let sign = spec.sign(negative);
    if !value.is_finite() {
        let mut body = if value.is_nan() { "nan" } else { "inf" }.to_owned();
        if kind == Some('%') {
            body.push('%');
        }
        let body =
            if kind.is_some_and(|kind| kind.is_ascii_uppercase()) { body.to_uppercase() } else { body };
        return Some(Ok(spec.pad(sign, &body, '>')));
    }
    let precision = spec.precision.unwrap_or(6);
    let body = match kind {
        Some('f' | 'F') => alternate_point(format!("{value:.precision$}"), spec),
        Some('%') => format!("{}%", alternate_point(format!("{:.precision$}", value * 100.0), spec)),
        Some('e' | 'E') => exponent(value, precision, spec.alternate),
        Some('g' | 'G' | 'n') => general(value, precision, spec.alternate, false),
        _ => match spec.precision {
            Some(precision) => general(value, precision, spec.alternate, true),
            None => python::float(value),
        },
    };
    let body = if matches!(kind, Some('E' | 'G' | 'F')) { body.to_uppercase() } else { body };
    let split = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let (whole, rest) = body.split_at(split);
    Some(Ok(spec.number(sign, "", whole, rest, 3)))
}

fn alternate_point(text: String, spec: &Spec) -> String {
    if spec.alternate && !text.contains('.') { format!("{text}.") } else { text }
}

/// `d.ddde+XX`.
fn exponent(value: f64, precision: usize, alternate: bool) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if alternate && precision == 0 { "." } else { "" };
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}{point}e{sign}{power:0>2}")
}

/// The shorter of the two forms, without zeros at its end. Where no type was asked for (`as_float`), a point stays, and the
/// form with an exponent begins one digit earlier.
fn general(value: f64, precision: usize, alternate: bool, as_float: bool) -> String {
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or_default();
    let most = i32::try_from(precision).unwrap_or(i32::MAX);
    let end = if as_float && value != 0.0 { most - 1 } else { most };
    if !(-4..end).contains(&power) {
        let text = exponent(value, precision - 1, alternate);
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        let digits = if alternate { digits } else { trim_zeros(digits) };
        return format!("{digits}e{power}");
    }
    let decimals = usize::try_from(most - 1 - power).unwrap_or_default();
    let text = format!("{value:.decimals$}");
    let text = if alternate { text } else { trim_zeros(&text).to_owned() };
    if as_float && !text.contains('.') { format!("{text}.0") } else { text }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// `template.format(*arguments, **named)`.
pub(super) fn str_format<'a>(
    machine: &mut Machine<'_, 'a>,
    template: &str,
    arguments: &[Value<'a>],
    named: &[(&'a str, Value<'a>)],
) -> Result<String> {
    let mut out = String::new();
    let (mut at, mut automatic, mut numbered) = (0, 0, false);
    while let Some(next) = template[at..].find(['{', '}']) {
        out.push_str(&template[at..at + next]);
        at += next;
        let brace = &template[at..=at];
        if template[at + 1..].starts_with(brace) {
            out.push_str(brace);
            at += 2;
            continue;
        }
        if brace == "}" {
            return Err(EvalError::of_value("Single '}' encountered in format string"));
        }
        let end = template[at..].find('}').map(|end| at + end);
        let Some(end) = end else { return Err(EvalError::of_value("expected '}' before end of string")) };
        let field = &template[at + 1..end];
        if field.split(':').next().is_some_and(|name| name.contains(['{', '[', '.'])) || field.contains('{') {
            return Err(EvalError::unsupported("indexes, attributes and nested fields of str.format"));
        }
        let (name, spec) = field.split_once(':').unwrap_or((field, ""));
        let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
        let mut value = if let Some((_, value)) = named.iter().find(|(known, _)| *known == name) {
            value.clone()
        } else {
            let number = if name.is_empty() { Ok(automatic) } else { name.parse::<usize>() };
            let Ok(number) = number else {
                return Err(EvalError::new(super::error::Fault::Key, python::repr_str(name)));
            };
            (automatic, numbered) = (automatic + usize::from(name.is_empty()), numbered || !name.is_empty());
            if automatic > 0 && numbered {
                return Err(EvalError::of_value(
                    "numbers of fields are given in some fields and not in others",
                ));
            }
            arguments.get(number).cloned().ok_or_else(|| {
                let text = format!("Replacement index {number} out of range for positional args tuple");
                EvalError::new(super::error::Fault::Index, text)
            })?
        };
        if !conversion.is_empty() {
            let text = match conversion {
                "s" => format::str(machine, &value)?,
                "r" => format::repr(machine, &value)?,
                "a" => format::ascii(&format::repr(machine, &value)?),
                _ => return Err(EvalError::of_value(format!("Unknown conversion specifier {conversion}"))),
            };
            value = Value::made(text);
        }
        let text = format(machine, &value, spec)?;
        machine.room(text.len())?;
        out.push_str(&text);
        at = end + 1;
    }
    out.push_str(&template[at..]);
    machine.room(template.len())?;
    Ok(out)
}

/// `template % values`.
pub(super) fn percent<'a>(
    machine: &mut Machine<'_, 'a>,
    template: &str,
    values: &Value<'a>,
) -> Result<String> {
    let several = matches!(values, Value::Tuple(_));
    let list = if several { machine.items(values)?.into_owned() } else { vec![values.clone()] };
    let mut list = list.into_iter();
    let mut out = String::new();
    let mut rest = template;
    let mut keyed = false;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut key = None;
        if let Some(after) = rest.strip_prefix('(') {
            let end = after.find(')').ok_or_else(|| EvalError::of_value("incomplete format key"))?;
            key = Some(Value::made(after[..end].to_owned()));
            rest = &after[end + 1..];
        }
        let end = rest.find(|c: char| !"#0- +.123456789".contains(c));
        let Some((end, kind)) = end.and_then(|end| rest[end..].chars().next().map(|c| (end, c))) else {
            return Err(EvalError::of_value("incomplete format"));
        };
        let flags = &rest[..end];
        rest = &rest[end + kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match key {
            Some(key) => {
                keyed = true;
                super::index::item(machine, values, &key)?
            }
            None => {
                list.next().ok_or_else(|| EvalError::of_type("not enough arguments for format string"))?
            }
        };
        let text = percent_one(machine, flags, kind, &value)?;
        machine.room(text.len())?;
        out.push_str(&text);
    }
    out.push_str(rest);
    machine.room(template.len())?;
    let left_over = list.next().is_some() && !keyed;
    if left_over
        && (several
            || !matches!(values, Value::Dict(_) | Value::JsonMap(_) | Value::List(_) | Value::JsonList(_)))
    {
        return Err(EvalError::of_type("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn percent_one<'a>(
    machine: &mut Machine<'_, 'a>,
    flags: &str,
    kind: char,
    value: &Value<'a>,
) -> Result<String> {
    let signs: String = flags.chars().take_while(|c| "#0- +".contains(*c)).collect();
    let rest = &flags[signs.len()..];
    let align = if signs.contains('-') { "<" } else { "" };
    let sign = if signs.contains('+') {
        "+"
    } else if signs.contains(' ') {
        " "
    } else {
        ""
    };
    let zero =
        if signs.contains('0') && align.is_empty() && !matches!(kind, 's' | 'r' | 'a') { "0" } else { "" };
    let number = |what: &str| {
        EvalError::of_type(format!("%{kind} format: {what} is required, not {}", value.type_name()))
    };
    match kind {
        's' | 'r' | 'a' => {
            let text = match kind {
                's' => format::str(machine, value)?,
                'r' => format::repr(machine, value)?,
                _ => format::ascii(&format::repr(machine, value)?),
            };
            let align = if align.is_empty() { ">" } else { align };
            format(machine, &Value::made(text), &format!("{align}{rest}"))
        }
        'd' | 'i' | 'u' => {
            let int = match value {
                Value::Float(float) => super::number::truncate(*float)?,
                other => other.as_int().ok_or_else(|| number("a real number"))?,
            };
            if rest.contains('.') {
                return Err(EvalError::unsupported("a precision for whole numbers"));
            }
            format(machine, &Value::Int(int), &format!("{align}{sign}{zero}{rest}d"))
        }
        'x' | 'X' | 'o' => {
            let int = value.as_int().ok_or_else(|| number("an integer"))?;
            let alternate = if signs.contains('#') { "#" } else { "" };
            format(machine, &Value::Int(int), &format!("{align}{sign}{alternate}{zero}{rest}{kind}"))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let float = value.as_f64().ok_or_else(|| {
                EvalError::of_type(format!("must be real number, not {}", value.type_name()))
            })?;
            format(machine, &Value::Float(float), &format!("{align}{sign}{zero}{rest}{kind}"))
        }
        other => Err(EvalError::of_value(format!("unsupported format character '{other}'"))),
    }
}
