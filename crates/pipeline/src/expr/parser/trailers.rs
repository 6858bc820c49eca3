//! What stands behind an atom: attributes, indexes and calls.

use std::sync::Arc;

use super::{MAX_DEPTH, Parsed, Parser};
use crate::expr::ast::{Call, Made, Node};
use crate::expr::lexer::Token;

impl Parser<'_> {
    /// Attributes, indexes and calls behind `node`.
    pub(super) fn trailers(&mut self, mut node: Node) -> Parsed {
        for _ in self.depth..=MAX_DEPTH {
            node = if self.eat(".") {
                Node::Attribute(Box::new(node), self.name()?)
            } else if self.eat("[") {
                self.index(node)?
            } else if self.eat("(") {
                self.call(node)?
            } else {
                return Ok(node);
            };
        }
        self.error("the expression is nested too deeply")
    }

    fn index(&mut self, node: Node) -> Parsed {
        let mut parts = [None, None, None];
        let mut at = 0;
        while !self.is_symbol("]") {
            if self.eat(":") {
                at += 1;
                if at > 2 {
                    return self.unexpected();
                }
            } else if parts[at].is_none() {
                parts[at] = Some(self.expression()?);
                if at == 0 && self.is_symbol(",") {
                    return self.error("indexes of several dimensions are not supported");
                }
            } else {
                return self.unexpected();
            }
        }
        self.expect("]")?;
        let node = Box::new(node);
        match parts {
            [Some(index), None, None] if at == 0 => Ok(Node::Index(node, Box::new(index))),
            [None, None, None] if at == 0 => self.error("an index is missing"),
            parts => Ok(Node::Slice(node, Box::new(parts))),
        }
    }

    fn call(&mut self, function: Node) -> Parsed {
        let (mut arguments, mut named) = (Vec::new(), Vec::<(Arc<str>, Node)>::new());
        while !self.is_symbol(")") {
            if self.is_symbol("*") || self.is_symbol("**") {
                return self.error("arguments behind stars are not supported");
            }
            let name = match (self.peek(), self.ahead(1)) {
                (Token::Name(name), Token::Symbol("=")) => Some(Arc::from(name.as_str())),
                _ => None,
            };
            if let Some(name) = name {
                self.at += 2;
                if named.iter().any(|(known, _)| *known == name) {
                    return self.error(format!("the argument `{name}` is there twice"));
                }
                named.push((name, self.expression()?));
            } else if !named.is_empty() {
                return self.error("an argument without name after one with a name");
            } else {
                let mut argument = self.expression()?;
                if self.is_word("for") {
                    argument = self.comprehension(Made::Generator, argument, None)?;
                    if !arguments.is_empty() || !self.is_symbol(")") {
                        return self.error("a generator beside other arguments needs parentheses");
                    }
                }
                arguments.push(argument);
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(Node::Call(Box::new(Call { function, arguments, named })))
    }
}
