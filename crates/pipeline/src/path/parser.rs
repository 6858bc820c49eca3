//! A Pratt parser of paths. Precedence is upstream's: arithmetic is the loosest and groups to the right, then from loose to
//! tight what stands in brackets (`a|b[0]` is `(a|b)[0]`), `..`, `.`, `|`, `where`. A number ends its operation unless another
//! operator follows, so that `a + 1 . b` is `(a + 1).b`.

use serde_json::Value;

use super::lexer::{Token, tokens};
use super::node::{Comparison, Condition, Node, Operand};
use super::{Path, PathSyntaxError};
use crate::expr::Operator;
use crate::python_regex::{PythonRegex, Replacement};

/// How deep paths may be nested: finding goes as deep.
const MAX_DEPTH: usize = 100;

/// Makes a node of what stands on both sides of an operator.
type Make = fn(Box<Node>, Box<Node>) -> Node;

type Parsed<T = Node> = Result<T, PathSyntaxError>;

pub(super) fn parse(text: &str) -> Parsed {
    if text.len() > Path::MAX_BYTES {
        return Err(PathSyntaxError { message: "the path is too long".to_owned(), at: 1 });
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let node = parser.arithmetic()?;
    if *parser.peek() != Token::End {
        return parser.unexpected();
    }
    if node.depth() > MAX_DEPTH {
        return parser.error("the path is nested too deeply");
    }
    Ok(node)
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

/// One side of an arithmetic operation, before it is known to be one.
enum Side {
    Path(Node),
    Number(Value),
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn next(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(PathSyntaxError { message: message.into(), at: self.tokens[self.at].1 + 1 })
    }

    fn unexpected<T>(&self) -> Parsed<T> {
        self.error(match self.peek() {
            Token::End => "the path ends too early".to_owned(),
            Token::Symbol(symbol) => format!("unexpected `{symbol}`"),
            Token::Id(name) => format!("unexpected `{name}`"),
            Token::Bool(_) => "names do not begin with `true` or `false`, unless in quotes".to_owned(),
            Token::Sort { .. } => "there is no division: `/` sorts".to_owned(),
            Token::Int(_) | Token::Float(_) => "unexpected number".to_owned(),
            other => format!("unexpected {other:?}"),
        })
    }

    fn is_symbol(&self, symbol: char) -> bool {
        *self.peek() == Token::Symbol(symbol)
    }

    fn eat(&mut self, symbol: char) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { self.error(format!("`{symbol}` is missing")) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.error("the path is nested too deeply");
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// A path with all its operators.
    fn arithmetic(&mut self) -> Parsed {
        self.deeper(|parser| match parser.side()? {
            Side::Path(node) => Ok(node),
            Side::Number(_) => parser.error("a number alone is no path"),
        })
    }

    /// A path, or a number that stands alone.
    fn side(&mut self) -> Parsed<Side> {
        let mut left = match self.number() {
            Some(number) => Side::Number(number),
            None => Side::Path(self.chain(0)?),
        };
        // An operation that ended with a number is a path that may go on.
        while let Some(operator) = self.operator() {
            let node = self.operation(left, operator)?;
            left = Side::Path(self.steps(node, 0)?);
        }
        Ok(left)
    }

    /// The operation of `left` with what stands behind the operator: a number, unless that is the left side of another
    /// operation, or all the rest.
    fn operation(&mut self, left: Side, operator: Operator) -> Parsed {
        self.next();
        let begin = self.at;
        let right = match self.number() {
            Some(number) if self.operator().is_none() => Side::Number(number),
            _ => {
                self.at = begin;
                self.deeper(Self::side)?
            }
        };
        if let (Side::Number(left), Side::Number(right)) = (&left, &right)
            && left.is_f64() != right.is_f64()
        {
            return self.error("whole numbers and others cannot be mixed here");
        }
        Ok(Node::Arithmetic(Box::new(operand(left)), operator, Box::new(operand(right))))
    }

    /// The operator of arithmetic that is next, where one is.
    fn operator(&self) -> Option<Operator> {
        match self.peek() {
            Token::Symbol('+') => Some(Operator::Add),
            Token::Symbol('-') => Some(Operator::Subtract),
            Token::Symbol('*') => Some(Operator::Multiply),
            _ => None,
        }
    }

    /// A number, where one begins here.
    fn number(&mut self) -> Option<Value> {
        let number = match self.peek() {
            Token::Int(value) => Value::from(*value),
            Token::Float(value) => Value::from(*value),
            _ => return None,
        };
        self.next();
        Some(number)
    }

    /// Steps whose operators bind more tightly than `least`.
    fn chain(&mut self, least: u8) -> Parsed {
        self.deeper(|parser| {
            let first = parser.step()?;
            parser.steps(first, least)
        })
    }

    /// `left` with the steps behind it whose operators bind more tightly than `least`.
    fn steps(&mut self, mut left: Node, least: u8) -> Parsed {
        loop {
            let (make, binds): (Make, u8) = match self.peek() {
                Token::Symbol('[') if least == 0 => {
                    left = self.brackets(left)?;
                    continue;
                }
                Token::DoubleDot => (Node::Descendants, 1),
                Token::Symbol('.') => (Node::Child, 2),
                Token::Symbol('|') => (Node::Union, 3),
                Token::Where => (Node::Where, 5),
                _ => return Ok(left),
            };
            if binds <= least {
                return Ok(left);
            }
            self.next();
            let right = self.chain(binds)?;
            left = make(Box::new(left), Box::new(right));
        }
    }

    fn step(&mut self) -> Parsed {
        let node = match self.peek().clone() {
            Token::Symbol('$') => Node::Root,
            Token::Symbol('@') => Node::This,
            Token::Symbol('*') => Node::Fields(vec!["*".to_owned()]),
            Token::Operator(text) => self.named_operator(&text)?,
            Token::Id(_) => return Ok(Node::Fields(self.names()?)),
            Token::Int(_) | Token::Float(_) => return self.constants(),
            Token::Symbol('(') => {
                self.next();
                let inner = self.arithmetic()?;
                self.expect(')')?;
                return Ok(inner);
            }
            Token::Symbol('[') => {
                self.next();
                let inner = self.in_brackets()?;
                self.expect(']')?;
                return Ok(inner);
            }
            _ => return self.unexpected(),
        };
        self.next();
        Ok(node)
    }

    /// A number where a step is due: it begins an operation, which is that step.
    fn constants(&mut self) -> Parsed {
        match (self.number(), self.operator()) {
            (Some(number), Some(operator)) => self.operation(Side::Number(number), operator),
            _ => self.error("a number alone is no step: names of digits need quotes"),
        }
    }

    fn names(&mut self) -> Parsed<Vec<String>> {
        let mut names = Vec::new();
        loop {
            let Token::Id(name) = self.peek().clone() else { return self.unexpected() };
            self.next();
            names.push(name);
            if !self.eat(',') {
                return Ok(names);
            }
        }
    }

    /// What may stand in brackets at the beginning of a step.
    fn in_brackets(&mut self) -> Parsed {
        match self.peek().clone() {
            Token::Id(_) => Ok(Node::Fields(self.names()?)),
            Token::Symbol('*') => {
                self.next();
                Ok(Node::Slice(None, None))
            }
            Token::Int(_) | Token::Symbol(':') => {
                let start = self.whole();
                if !self.eat(':') {
                    return start.map_or_else(|| self.unexpected(), |index| Ok(Node::Index(index)));
                }
                Ok(Node::Slice(start, self.whole()))
            }
            _ => self.unexpected(),
        }
    }

    fn whole(&mut self) -> Option<i64> {
        let Token::Int(value) = *self.peek() else { return None };
        self.next();
        Some(value)
    }

    /// `node` with the brackets behind it.
    fn brackets(&mut self, node: Node) -> Parsed {
        self.expect('[')?;
        let inner = match self.peek() {
            Token::Symbol('?') => {
                self.next();
                Node::Filter(self.conditions()?)
            }
            Token::Sort { .. } => self.sorts()?,
            _ => self.in_brackets()?,
        };
        self.expect(']')?;
        Ok(Node::Child(Box::new(node), Box::new(inner)))
    }

    fn sorts(&mut self) -> Parsed {
        let mut keys = Vec::new();
        while let Token::Sort { down } = *self.peek() {
            self.next();
            keys.push((self.arithmetic()?, down));
        }
        Ok(Node::Sorted(keys))
    }

    fn conditions(&mut self) -> Parsed<Vec<Condition>> {
        let mut conditions = Vec::new();
        loop {
            if self.parentheses_hold_conditions() {
                self.next();
                let inner = self.deeper(Self::conditions)?;
                self.expect(')')?;
                conditions.extend(inner);
            } else {
                conditions.push(self.condition()?);
            }
            if !self.eat('&') {
                return Ok(conditions);
            }
        }
    }

    /// Whether the parenthesis that begins here holds conditions, and not only the path of one: a comparison, or a `&`,
    /// stands in it.
    fn parentheses_hold_conditions(&self) -> bool {
        if !self.is_symbol('(') {
            return false;
        }
        let (mut open, mut brackets) = (0, 0);
        for (token, _) in &self.tokens[self.at..] {
            match token {
                Token::Symbol('[') => brackets += 1,
                Token::Symbol(']') if brackets == 0 => return false,
                Token::Symbol(']') => brackets -= 1,
                _ if brackets > 0 => {}
                Token::Symbol('(') => open += 1,
                Token::Symbol(')') => open -= 1,
                Token::Compare(_) => return true,
                _ => {}
            }
            if open == 0 {
                return false;
            }
        }
        false
    }

    fn condition(&mut self) -> Parsed<Condition> {
        let path = self.arithmetic()?;
        let Token::Compare(operator) = *self.peek() else { return Ok(Condition { path, comparison: None }) };
        self.next();
        let constant = match self.peek().clone() {
            Token::Id(text) => Value::from(text),
            Token::Int(value) => Value::from(value),
            Token::Float(value) => Value::from(value),
            Token::Bool(value) => Value::from(value),
            _ => return self.unexpected(),
        };
        let comparison = match (operator, &constant) {
            ("=" | "==", _) => Comparison::Equal,
            ("!=", _) => Comparison::NotEqual,
            ("<", _) => Comparison::Less,
            ("<=", _) => Comparison::LessOrEqual,
            (">", _) => Comparison::Greater,
            (">=", _) => Comparison::GreaterOrEqual,
            (_, Value::String(text)) => match PythonRegex::new(text) {
                Ok(regex) => Comparison::Matches(Box::new(regex)),
                Err(error) => return self.error(error.to_string()),
            },
            _ => return self.error("`~` needs a regular expression"),
        };
        self.next();
        Ok(Condition { path, comparison: Some((comparison, constant)) })
    }

    /// What stands between backquotes.
    fn named_operator(&self, text: &str) -> Parsed {
        match text {
            "this" => Ok(Node::This),
            "parent" => Ok(Node::Parent),
            "len" => Ok(Node::Len),
            "sorted" => Ok(Node::Sorted(Vec::new())),
            _ if text.starts_with("sub(") => self.sub(text),
            _ if text.starts_with("split(") => match split(text) {
                Some(node) => Ok(node),
                None => self.error(format!("{text} is not valid")),
            },
            _ => self.error(format!("Unknown named operator `{text}`")),
        }
    }

    /// `sub(/regex/, replacement)`: the regular expression reaches to the last slash that a comma and a space follow.
    fn sub(&self, text: &str) -> Parsed {
        let form = r"sub\(/(.*)/,\s+(.*)\)";
        let made = PythonRegex::new(form).and_then(|form| {
            let groups = form.match_start(text)?;
            let group =
                |at| groups.as_ref().and_then(|groups| groups.get(at)).map(|group| group.as_str().trim());
            let (Some(regex), Some(replacement)) = (group(1), group(2)) else { return Ok(None) };
            let regex = PythonRegex::new(regex)?;
            let replacement = Replacement::new(replacement, &regex)?;
            Ok(Some(Node::Sub(Box::new((regex, replacement)))))
        });
        match made {
            Ok(Some(node)) => Ok(node),
            Ok(None) => self.error(format!("{text} is not valid")),
            Err(error) => self.error(error.to_string()),
        }
    }
}

/// `split(c, segment, most)`.
fn split(text: &str) -> Option<Node> {
    let mut chars = text.strip_prefix("split(")?.chars();
    let separator = chars.next().filter(|c| *c != '\n')?;
    let number = |text: &str| {
        let trimmed = text.trim_start();
        let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let number = trimmed[..end].parse::<usize>().ok()?;
        (trimmed.len() < text.len()).then(|| (number, trimmed[end..].to_owned()))
    };
    let (segment, rest) = number(chars.as_str().strip_prefix(',')?)?;
    let rest = rest.strip_prefix(',')?;
    if let Some(end) = rest.trim_start().strip_prefix("-1") {
        let spaced = rest.trim_start().len() < rest.len();
        return (spaced && end.starts_with(')')).then_some(Node::Split { separator, segment, most: None });
    }
    let (most, rest) = number(rest)?;
    rest.starts_with(')').then_some(Node::Split { separator, segment, most: Some(most) })
}

/// A name alone is a text in arithmetic: paths there are written from their root.
fn operand(side: Side) -> Operand {
    match side {
        Side::Number(number) => Operand::Constant(number),
        Side::Path(Node::Fields(mut names)) if names.len() == 1 => {
            Operand::Constant(Value::from(names.pop().unwrap_or_default()))
        }
        Side::Path(node) => Operand::Path(node),
    }
}
