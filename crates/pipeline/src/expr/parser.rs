//! A Pratt parser of expressions.

mod atoms;
mod trailers;

use std::sync::Arc;

use super::Expression;
use super::ast::{Binary, Comparison, Lambda, Node, Unary};
use super::error::ExpressionSyntaxError;
use super::lexer::{Placed, Token, tokens};

/// How deep expressions may be nested: evaluation goes as deep.
pub(super) const MAX_DEPTH: usize = 100;

/// Words that are no names.
const KEYWORDS: [&str; 19] = [
    "and", "as", "assert", "await", "class", "def", "del", "else", "for", "from", "if", "import", "in", "is",
    "lambda", "not", "or", "return", "yield",
];

/// How tightly operators bind.
mod binding {
    pub(super) const LAMBDA: u8 = 1;
    pub(super) const CONDITIONAL: u8 = 2;
    pub(super) const OR: u8 = 4;
    pub(super) const AND: u8 = 6;
    pub(super) const NOT: u8 = 8;
    pub(super) const COMPARISON: u8 = 10;
    pub(super) const BIT_OR: u8 = 12;
    pub(super) const BIT_XOR: u8 = 14;
    pub(super) const BIT_AND: u8 = 16;
    pub(super) const SHIFT: u8 = 18;
    pub(super) const SUM: u8 = 20;
    pub(super) const PRODUCT: u8 = 22;
    pub(super) const SIGN: u8 = 24;
    pub(super) const POWER: u8 = 26;
}

pub(super) fn parse(text: &str) -> Result<Node, ExpressionSyntaxError> {
    parse_nested(text, 0)
}

/// Reads an expression that lies `depth` deep in another.
pub(super) fn parse_nested(text: &str, depth: usize) -> Result<Node, ExpressionSyntaxError> {
    if text.len() > Expression::MAX_BYTES {
        return Err(ExpressionSyntaxError::new("the expression is too long", text, 0));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth };
    let node = parser.expression_list()?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => parser.unexpected(),
    }
}

pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
}

type Parsed<T = Node> = Result<T, ExpressionSyntaxError>;

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    /// The token so many behind the next one; behind the last, the end goes on.
    fn ahead(&self, count: usize) -> &Token {
        self.tokens.get(self.at + count).map_or(&Token::End, |(token, _)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ExpressionSyntaxError::new(message, self.text, self.tokens[self.at].1))
    }

    fn unexpected<T>(&self) -> Parsed<T> {
        match self.peek() {
            Token::End => self.error("the expression ends too early"),
            Token::Symbol(symbol) => self.error(format!("unexpected `{symbol}`")),
            Token::Name(name) => self.error(format!("unexpected `{name}`")),
            Token::Int(_) | Token::Float(_) => self.error("unexpected number"),
            Token::Text(_) | Token::FString { .. } => self.error("unexpected text"),
        }
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == word)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { self.error(format!("`{symbol}` is missing")) }
    }

    /// Goes one deeper while `read` reads.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.error("the expression is nested too deeply");
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// An expression, or several with commas between them: a tuple.
    fn expression_list(&mut self) -> Parsed {
        let first = self.expression()?;
        if !self.is_symbol(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.eat(",") {
            if self.ends() {
                break;
            }
            items.push(self.expression()?);
        }
        Ok(Node::Tuple(items))
    }

    /// Whether nothing more of a list can come.
    fn ends(&self) -> bool {
        matches!(self.peek(), Token::End | Token::Symbol(")" | "]" | "}" | "="))
    }

    fn expression(&mut self) -> Parsed {
        self.binding(0)
    }

    /// An expression of operators that bind more tightly than `least`.
    fn binding(&mut self, least: u8) -> Parsed {
        self.deeper(|parser| {
            let mut left = parser.prefix(least)?;
            // What grows to the left is as deep as it is long.
            for _ in parser.depth..=MAX_DEPTH {
                match parser.operator(left, least)? {
                    (node, true) => left = node,
                    (node, false) => return Ok(node),
                }
            }
            parser.error("the expression is nested too deeply")
        })
    }

    fn prefix(&mut self, least: u8) -> Parsed {
        for (symbol, unary) in [("-", Unary::Minus), ("+", Unary::Plus), ("~", Unary::Invert)] {
            if self.eat(symbol) {
                return Ok(Node::Unary(unary, Box::new(self.binding(binding::SIGN)?)));
            }
        }
        if self.is_word("not") {
            if least > binding::NOT {
                return self.unexpected();
            }
            self.next();
            return Ok(Node::Unary(Unary::Not, Box::new(self.binding(binding::NOT)?)));
        }
        if self.is_word("lambda") {
            if least > binding::LAMBDA {
                return self.unexpected();
            }
            return self.lambda();
        }
        let atom = self.atom()?;
        self.trailers(atom)
    }

    /// Takes the operator behind `left`, and tells whether there was one.
    fn operator(&mut self, left: Node, least: u8) -> Parsed<(Node, bool)> {
        if let Some((operator, binds)) = self.binary() {
            if binds <= least {
                return Ok((left, false));
            }
            self.next();
            // Powers bind to the right, and take a sign before their exponent.
            let right = self.binding(if operator == Binary::Power { binding::SIGN - 1 } else { binds })?;
            return Ok((Node::Binary(operator, Box::new(left), Box::new(right)), true));
        }
        if least < binding::COMPARISON {
            let mut comparisons = Vec::new();
            while let Some(comparison) = self.comparison() {
                comparisons.push((comparison, self.binding(binding::COMPARISON)?));
            }
            if !comparisons.is_empty() {
                return Ok((Node::Compare(Box::new(left), comparisons), true));
            }
        }
        if least < binding::AND && self.eat_word("and") {
            return Ok((Node::And(Box::new(left), Box::new(self.binding(binding::AND)?)), true));
        }
        if least < binding::OR && self.eat_word("or") {
            return Ok((Node::Or(Box::new(left), Box::new(self.binding(binding::OR)?)), true));
        }
        if least < binding::CONDITIONAL && self.eat_word("if") {
            let condition = self.binding(binding::CONDITIONAL)?;
            if !self.eat_word("else") {
                return self.error("`else` is missing");
            }
            let otherwise = self.binding(0)?;
            return Ok((Node::IfElse(Box::new([condition, left, otherwise])), true));
        }
        Ok((left, false))
    }

    fn binary(&self) -> Option<(Binary, u8)> {
        let Token::Symbol(symbol) = self.peek() else { return None };
        Some(match *symbol {
            "|" => (Binary::BitOr, binding::BIT_OR),
            "^" => (Binary::BitXor, binding::BIT_XOR),
            "&" => (Binary::BitAnd, binding::BIT_AND),
            "<<" => (Binary::ShiftLeft, binding::SHIFT),
            ">>" => (Binary::ShiftRight, binding::SHIFT),
            "+" => (Binary::Add, binding::SUM),
            "-" => (Binary::Subtract, binding::SUM),
            "*" => (Binary::Multiply, binding::PRODUCT),
            "/" => (Binary::Divide, binding::PRODUCT),
            "//" => (Binary::FloorDivide, binding::PRODUCT),
            "%" => (Binary::Modulo, binding::PRODUCT),
            "**" => (Binary::Power, binding::POWER),
            _ => return None,
        })
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Token::Symbol("==") => Comparison::Equal,
            Token::Symbol("!=") => Comparison::NotEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::GreaterOrEqual,
            Token::Name(word) => {
                let then = |word: &str| matches!(self.ahead(1), Token::Name(next) if next == word);
                match word.as_str() {
                    "in" => Comparison::In,
                    "is" if then("not") => {
                        self.at += 1;
                        Comparison::IsNot
                    }
                    "is" => Comparison::Is,
                    "not" if then("in") => {
                        self.at += 1;
                        Comparison::NotIn
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn lambda(&mut self) -> Parsed {
        self.next();
        let mut parameters: Vec<(Arc<str>, Option<Node>)> = Vec::new();
        while !self.is_symbol(":") {
            let name = self.name()?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return self.error(format!("the parameter `{name}` is there twice"));
            }
            let default = if self.eat("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|(_, default)| default.is_some()) {
                return self.error("a parameter without default after one with a default");
            }
            parameters.push((name, default));
            if !self.eat(",") {
                break;
            }
        }
        self.expect(":")?;
        let body = self.expression()?;
        Ok(Node::Lambda(Arc::new(Lambda { parameters, body })))
    }

    fn name(&mut self) -> Parsed<Arc<str>> {
        match self.peek() {
            Token::Name(name) if !is_keyword(name) => {
                let name = name.as_str().into();
                self.next();
                Ok(name)
            }
            _ => self.unexpected(),
        }
    }
}

fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}
