//! What operators stand between: constants, names, texts, and what brackets hold.

use super::{Parsed, Parser, binding, is_keyword};
use crate::expr::ast::{Clause, Comprehension, Made, Node, Piece, Target};
use crate::expr::error::ExpressionSyntaxError;
use crate::expr::fstring;
use crate::expr::lexer::Token;

impl Parser<'_> {
    pub(super) fn atom(&mut self) -> Parsed {
        match self.peek().clone() {
            Token::Int(value) => {
                self.next();
                Ok(Node::Int(value))
            }
            Token::Float(value) => {
                self.next();
                Ok(Node::Float(value))
            }
            Token::Text(_) | Token::FString { .. } => self.texts(),
            Token::Name(name) => self.name_or_constant(&name),
            Token::Symbol("(") => self.parentheses(),
            Token::Symbol("[") => self.list(),
            Token::Symbol("{") => self.map(),
            _ => self.unexpected(),
        }
    }

    fn name_or_constant(&mut self, name: &str) -> Parsed {
        let node = match name {
            "None" => Node::None,
            "True" => Node::Bool(true),
            "False" => Node::Bool(false),
            _ if is_keyword(name) => return self.unexpected(),
            _ => Node::Name(name.into()),
        };
        self.next();
        Ok(node)
    }

    /// Texts that stand side by side are one.
    fn texts(&mut self) -> Parsed {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        loop {
            match self.peek().clone() {
                Token::Text(text) => plain.push_str(&text),
                Token::FString { text, raw } => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    let read = fstring::pieces(&text, raw, self.depth + 1);
                    pieces.extend(read.map_err(|error| {
                        ExpressionSyntaxError::new(error.message, self.text, self.tokens[self.at].1)
                    })?);
                    // An f-string without values is text all the same.
                    pieces.push(Piece::Text("".into()));
                }
                _ if pieces.is_empty() => return Ok(Node::Text(plain.into())),
                _ => {
                    pieces.push(Piece::Text(plain.into()));
                    return Ok(Node::FString(pieces));
                }
            }
            self.next();
        }
    }

    fn parentheses(&mut self) -> Parsed {
        self.next();
        if self.eat(")") {
            return Ok(Node::Tuple(Vec::new()));
        }
        let first = self.expression()?;
        if self.is_word("for") {
            let node = self.comprehension(Made::Generator, first, None)?;
            self.expect(")")?;
            return Ok(node);
        }
        let mut items = vec![first];
        let mut tuple = false;
        while self.eat(",") {
            tuple = true;
            if self.is_symbol(")") {
                break;
            }
            items.push(self.expression()?);
        }
        self.expect(")")?;
        match items.pop() {
            Some(only) if !tuple => Ok(only),
            last => {
                items.extend(last);
                Ok(Node::Tuple(items))
            }
        }
    }

    fn list(&mut self) -> Parsed {
        self.next();
        let mut items = Vec::new();
        while !self.is_symbol("]") {
            items.push(self.expression()?);
            if items.len() == 1 && self.is_word("for") {
                let node = self.comprehension(Made::List, items.remove(0), None)?;
                self.expect("]")?;
                return Ok(node);
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Node::List(items))
    }

    fn map(&mut self) -> Parsed {
        self.next();
        let mut entries = Vec::new();
        while !self.is_symbol("}") {
            let key = self.expression()?;
            if !self.is_symbol(":") {
                return self.error("sets are not supported");
            }
            self.next();
            let value = self.expression()?;
            if entries.is_empty() && self.is_word("for") {
                let node = self.comprehension(Made::Dict, key, Some(value))?;
                self.expect("}")?;
                return Ok(node);
            }
            entries.push((key, value));
            if !self.eat(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(Node::Dict(entries))
    }

    pub(super) fn comprehension(&mut self, made: Made, element: Node, value: Option<Node>) -> Parsed {
        let mut clauses = Vec::new();
        while self.eat_word("for") {
            let target = self.targets()?;
            if !self.eat_word("in") {
                return self.error("`in` is missing");
            }
            // A condition behind the items is the clause's.
            let items = self.binding(binding::CONDITIONAL)?;
            let mut conditions = Vec::new();
            while self.eat_word("if") {
                conditions.push(self.binding(binding::CONDITIONAL)?);
            }
            clauses.push(Clause { target, items, conditions });
        }
        Ok(Node::Comprehension(Box::new(Comprehension { made, element, value, clauses })))
    }

    fn targets(&mut self) -> Parsed<Target> {
        let first = self.target()?;
        if !self.is_symbol(",") {
            return Ok(first);
        }
        let mut several = vec![first];
        while self.eat(",") {
            if self.is_word("in") {
                break;
            }
            several.push(self.target()?);
        }
        Ok(Target::Several(several))
    }

    fn target(&mut self) -> Parsed<Target> {
        if !self.eat("(") {
            return Ok(Target::Name(self.name()?));
        }
        let inner = self.deeper(Self::targets)?;
        self.expect(")")?;
        Ok(inner)
    }
}
