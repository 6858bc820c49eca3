//! Walks an expression's tree, and counts what that costs.

mod operators;

use std::borrow::Cow;
use std::rc::Rc;

use super::ast::{Call, Clause, Comparison, Comprehension, Conversion, Lambda, Made, Node, Piece, Target};
use super::error::{EvalError, Fault};
use super::value::{Dict, Opaque, Thing, Value};
use super::{Limits, Scope, builtins, format, format_spec, index, methods, modules};
use operators::unary;

/// How deep evaluation may go, and values may lie in each other: what is walked through takes stack.
const MAX_DEPTH: u32 = 200;

pub(super) type Result<T> = std::result::Result<T, EvalError>;

/// Names that lambdas and comprehensions have bound, the innermost first.
#[derive(Debug, Clone, Default)]
pub(super) struct Locals<'a>(Option<Rc<Frame<'a>>>);

#[derive(Debug)]
struct Frame<'a> {
    name: &'a str,
    value: Value<'a>,
    outer: Locals<'a>,
    depth: u32,
}

impl<'a> Locals<'a> {
    fn with(&self, name: &'a str, value: Value<'a>) -> Self {
        let depth = self.depth().max(value.depth()) + 1;
        Self(Some(Rc::new(Frame { name, value, outer: self.clone(), depth })))
    }

    pub(super) fn depth(&self) -> u32 {
        self.0.as_ref().map_or(0, |frame| frame.depth)
    }

    fn get(&self, name: &str) -> Option<&Value<'a>> {
        let mut at = self;
        while let Some(frame) = &at.0 {
            if frame.name == name {
                return Some(&frame.value);
            }
            at = &frame.outer;
        }
        None
    }
}

/// One evaluation.
pub(super) struct Machine<'s, 'a> {
    scope: &'s dyn Scope<'a>,
    steps: u64,
    size: usize,
    depth: u32,
}

impl<'s, 'a> Machine<'s, 'a> {
    pub(super) fn new(scope: &'s dyn Scope<'a>, limits: Limits) -> Self {
        Self { scope, steps: limits.steps, size: limits.size, depth: 0 }
    }

    pub(super) fn run(mut self, root: &'a Node) -> Result<Value<'a>> {
        self.eval(root, &Locals::default())
    }

    /// Counts `steps` of work.
    pub(super) fn work(&mut self, steps: usize) -> Result<()> {
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(EvalError::new(Fault::Limit, "the expression takes too long")),
        }
    }

    /// Counts memory for `size` bytes or elements, before it is taken.
    pub(super) fn room(&mut self, size: usize) -> Result<()> {
        match self.size.checked_sub(size) {
            Some(left) => {
                self.size = left;
                Ok(())
            }
            None => Err(EvalError::new(Fault::Limit, "the expression makes too much")),
        }
    }

    /// A text that was made.
    pub(super) fn text(&mut self, text: impl Into<String>) -> Result<Value<'a>> {
        let text: String = text.into();
        self.room(text.len())?;
        Ok(Value::made(text))
    }

    /// A list that was made.
    pub(super) fn list(&mut self, items: Vec<Value<'a>>) -> Result<Value<'a>> {
        self.room(items.len())?;
        Ok(Value::list(items))
    }

    fn deeper<T>(&mut self, go: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.work(1)?;
        if self.depth >= MAX_DEPTH {
            return Err(EvalError::new(Fault::Limit, "the expression goes too deep"));
        }
        self.depth += 1;
        let result = go(self);
        self.depth -= 1;
        result
    }

    fn eval(&mut self, node: &'a Node, locals: &Locals<'a>) -> Result<Value<'a>> {
        let value = self.deeper(|machine| machine.node(node, locals))?;
        shallow(value)
    }

    fn node(&mut self, node: &'a Node, locals: &Locals<'a>) -> Result<Value<'a>> {
        Ok(match node {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Text(text) => Value::text(text),
            Node::Name(name) => return self.name(name, locals),
            Node::List(nodes) => {
                let items = self.all(nodes, locals)?;
                return self.list(items);
            }
            Node::Tuple(nodes) => Value::tuple(self.all(nodes, locals)?),
            Node::Dict(entries) => return self.dict(entries, locals),
            Node::Unary(operator, node) => {
                let value = self.eval(node, locals)?;
                return unary(*operator, &value);
            }
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left, locals)?, self.eval(right, locals)?);
                return self.binary(*operator, &left, &right);
            }
            Node::And(left, right) => {
                let left = self.eval(left, locals)?;
                return if left.is_true() { self.eval(right, locals) } else { Ok(left) };
            }
            Node::Or(left, right) => {
                let left = self.eval(left, locals)?;
                return if left.is_true() { Ok(left) } else { self.eval(right, locals) };
            }
            Node::Compare(first, others) => return self.comparisons(first, others, locals),
            Node::IfElse(parts) => {
                let [condition, then, otherwise] = &**parts;
                let holds = self.eval(condition, locals)?.is_true();
                return self.eval(if holds { then } else { otherwise }, locals);
            }
            Node::Attribute(node, name) => {
                let value = self.eval(node, locals)?;
                return methods::attribute(value, name);
            }
            Node::Index(node, index) => {
                let (value, index) = (self.eval(node, locals)?, self.eval(index, locals)?);
                return index::item(self, &value, &index);
            }
            Node::Slice(node, parts) => return self.slice(node, parts, locals),
            Node::Call(call) => return self.call_node(call, locals),
            Node::Lambda(lambda) => Value::other(Thing::Lambda(lambda, locals.clone())),
            Node::Comprehension(comprehension) => return self.comprehension(comprehension, locals),
            Node::FString(pieces) => {
                let text = self.pieces(pieces, locals)?;
                return self.text(text);
            }
        })
    }

    fn name(&mut self, name: &'a str, locals: &Locals<'a>) -> Result<Value<'a>> {
        if let Some(value) = locals.get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.scope.get(name) {
            return Ok(value);
        }
        if let Some(value) = builtins::named(name) {
            return Ok(value);
        }
        let unknown = || EvalError::new(Fault::Name, format!("name '{name}' is not defined"));
        self.scope.unknown(name).ok_or_else(unknown)
    }

    fn all(&mut self, nodes: &'a [Node], locals: &Locals<'a>) -> Result<Vec<Value<'a>>> {
        nodes.iter().map(|node| self.eval(node, locals)).collect()
    }

    fn dict(&mut self, entries: &'a [(Node, Node)], locals: &Locals<'a>) -> Result<Value<'a>> {
        let mut dict = Dict::default();
        for (key, value) in entries {
            let (key, value) = (self.eval(key, locals)?, self.eval(value, locals)?);
            self.room(1)?;
            dict.insert(key, value)?;
        }
        Ok(Value::dict(dict))
    }

    fn comparisons(
        &mut self,
        first: &'a Node,
        others: &'a [(Comparison, Node)],
        locals: &Locals<'a>,
    ) -> Result<Value<'a>> {
        let mut left = self.eval(first, locals)?;
        for (comparison, node) in others {
            let right = self.eval(node, locals)?;
            if !self.compare(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn slice(
        &mut self,
        node: &'a Node,
        parts: &'a [Option<Node>; 3],
        locals: &Locals<'a>,
    ) -> Result<Value<'a>> {
        let value = self.eval(node, locals)?;
        let mut bounds = [None, None, None];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            *bound = match part.as_ref().map(|part| self.eval(part, locals)).transpose()? {
                None | Some(Value::None) => None,
                Some(value) => Some(value.as_int().ok_or_else(|| {
                    EvalError::of_type("slice indices must be integers or None or have an __index__ method")
                })?),
            };
        }
        index::slice(self, &value, bounds)
    }

    fn call_node(&mut self, call: &'a Call, locals: &Locals<'a>) -> Result<Value<'a>> {
        let function = self.eval(&call.function, locals)?;
        let arguments = self.all(&call.arguments, locals)?;
        let named = call.named.iter().map(|(name, node)| Ok((&**name, self.eval(node, locals)?)));
        let named: Vec<(&'a str, Value<'a>)> = named.collect::<Result<_>>()?;
        self.call(&function, arguments, named)
    }

    /// What `function` makes of its arguments.
    pub(super) fn call(
        &mut self,
        function: &Value<'a>,
        arguments: Vec<Value<'a>>,
        named: Vec<(&'a str, Value<'a>)>,
    ) -> Result<Value<'a>> {
        let Value::Other(Opaque(thing)) = function else {
            return Err(EvalError::of_type(format!("'{}' object is not callable", function.type_name())));
        };
        let thing = Rc::clone(thing);
        let value = self.deeper(|machine| match &*thing {
            Thing::Builtin(builtin) => builtins::call(machine, *builtin, arguments, named),
            Thing::Method(value, name) => methods::call(machine, value, name, arguments, named),
            Thing::Function(module, name) => modules::call(machine, *module, name, arguments, named),
            Thing::Lambda(lambda, locals) => machine.call_lambda(lambda, locals, arguments, &named),
            Thing::Module(_) | Thing::Match(_) => {
                Err(EvalError::of_type(format!("'{}' object is not callable", function.type_name())))
            }
        })?;
        shallow(value)
    }

    fn call_lambda(
        &mut self,
        lambda: &'a Lambda,
        locals: &Locals<'a>,
        arguments: Vec<Value<'a>>,
        named: &[(&'a str, Value<'a>)],
    ) -> Result<Value<'a>> {
        if arguments.len() > lambda.parameters.len() {
            return Err(EvalError::of_type(format!(
                "<lambda>() takes {} positional arguments but {} were given",
                lambda.parameters.len(),
                arguments.len()
            )));
        }
        let positional = arguments.len();
        let mut arguments = arguments.into_iter();
        let mut inner = locals.clone();
        let mut used = 0;
        for (name, default) in &lambda.parameters {
            let by_name = named.iter().find(|(given, _)| **given == **name).map(|(_, value)| value.clone());
            used += usize::from(by_name.is_some());
            let value = match (arguments.next(), by_name, default) {
                (Some(_), Some(_), _) => {
                    return Err(EvalError::of_type(format!(
                        "<lambda>() got multiple values for argument '{name}'"
                    )));
                }
                (Some(value), None, _) | (None, Some(value), _) => value,
                (None, None, Some(default)) => self.eval(default, locals)?,
                (None, None, None) => {
                    return Err(EvalError::of_type(format!(
                        "<lambda>() missing 1 required positional argument: '{name}' ({positional} were given)"
                    )));
                }
            };
            inner = inner.with(name, value);
        }
        if used < named.len() {
            return Err(EvalError::of_type("<lambda>() got an unexpected keyword argument"));
        }
        self.eval(&lambda.body, &inner)
    }

    fn comprehension(&mut self, comprehension: &'a Comprehension, locals: &Locals<'a>) -> Result<Value<'a>> {
        let (mut items, mut dict) = (Vec::new(), Dict::default());
        self.clauses(&comprehension.clauses, locals, &mut |machine, locals| {
            machine.room(1)?;
            let element = machine.eval(&comprehension.element, locals)?;
            match &comprehension.value {
                Some(value) => dict.insert(element, machine.eval(value, locals)?),
                None => {
                    items.push(element);
                    Ok(())
                }
            }
        })?;
        Ok(match comprehension.made {
            Made::List => Value::list(items),
            Made::Generator => Value::iterator(items),
            Made::Dict => Value::dict(dict),
        })
    }

    fn clauses(
        &mut self,
        clauses: &'a [Clause],
        locals: &Locals<'a>,
        each: &mut dyn FnMut(&mut Self, &Locals<'a>) -> Result<()>,
    ) -> Result<()> {
        let Some((clause, inner)) = clauses.split_first() else { return each(self, locals) };
        let items = self.eval(&clause.items, locals)?;
        for item in self.items(&items)?.iter() {
            self.work(1)?;
            let bound = self.bind(&clause.target, item.clone(), locals)?;
            let mut holds = true;
            for condition in &clause.conditions {
                holds = holds && self.eval(condition, &bound)?.is_true();
            }
            if holds {
                self.deeper(|machine| machine.clauses(inner, &bound, each))?;
            }
        }
        Ok(())
    }

    fn bind(&mut self, target: &'a Target, value: Value<'a>, locals: &Locals<'a>) -> Result<Locals<'a>> {
        match target {
            Target::Name(name) => Ok(locals.with(name, value)),
            Target::Several(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    let few = if items.len() < targets.len() { "not enough" } else { "too many" };
                    return Err(EvalError::of_value(format!(
                        "{few} values to unpack (expected {}, got {})",
                        targets.len(),
                        items.len()
                    )));
                }
                let mut bound = locals.clone();
                for (target, item) in targets.iter().zip(items.iter()) {
                    bound = self.bind(target, item.clone(), &bound)?;
                }
                Ok(bound)
            }
        }
    }

    /// What a loop over `value` goes through.
    pub(super) fn items<'v>(&mut self, value: &'v Value<'a>) -> Result<Cow<'v, [Value<'a>]>> {
        if let Some(items) = value.sequence() {
            if matches!(items, Cow::Owned(_)) {
                self.room(items.len())?;
            }
            return Ok(items);
        }
        let items: Vec<Value<'a>> = match value {
            Value::Str(text) => {
                self.room(text.len())?;
                text.chars().map(|c| Value::made(c.to_string())).collect()
            }
            Value::Dict(dict) => dict.entries().iter().map(|(key, _)| key.clone()).collect(),
            Value::JsonMap(map) => map.keys().map(|key| Value::text(key)).collect(),
            other => {
                let text = format!("'{}' object is not iterable", other.type_name());
                return Err(EvalError::of_type(text));
            }
        };
        self.room(items.len())?;
        Ok(Cow::Owned(items))
    }

    fn pieces(&mut self, pieces: &'a [Piece], locals: &Locals<'a>) -> Result<String> {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value { node, conversion, spec } => {
                    let mut value = self.eval(node, locals)?;
                    if *conversion != Conversion::None {
                        let text = match conversion {
                            Conversion::Str => format::str(self, &value)?,
                            Conversion::Ascii => format::ascii(&format::repr(self, &value)?),
                            _ => format::repr(self, &value)?,
                        };
                        value = self.text(text)?;
                    }
                    let spec = self.pieces(spec, locals)?;
                    let text = format_spec::format(self, &value, &spec)?;
                    self.room(text.len())?;
                    out.push_str(&text);
                }
            }
        }
        Ok(out)
    }
}

/// Refuses values that lie too deep in each other.
fn shallow(value: Value<'_>) -> Result<Value<'_>> {
    if value.depth() > MAX_DEPTH {
        return Err(EvalError::new(Fault::Limit, "values lie too deep in each other"));
    }
    Ok(value)
}
