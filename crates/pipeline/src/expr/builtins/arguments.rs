//! What a function was called with.

use crate::expr::error::EvalError;
use crate::expr::eval::Result;
use crate::expr::value::Value;

/// The arguments of a call, taken one by one.
pub(in crate::expr) struct Arguments<'a> {
    function: &'static str,
    plain: std::vec::IntoIter<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Arguments<'a> {
    pub(in crate::expr) fn new(
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
    pub(in crate::expr) fn next(&mut self) -> Result<Value<'a>> {
        self.plain.next().ok_or_else(|| self.wrong("takes more arguments than were given"))
    }

    /// The next argument, where there is one.
    pub(in crate::expr) fn optional(&mut self) -> Option<Value<'a>> {
        self.plain.next()
    }

    /// The argument of that name, where it was given by name.
    pub(in crate::expr) fn named(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.named.iter().position(|(known, _)| *known == name)?;
        Some(self.named.remove(at).1)
    }

    /// The next argument or the one of that name.
    pub(in crate::expr) fn either(&mut self, name: &str) -> Option<Value<'a>> {
        self.plain.next().or_else(|| self.named(name))
    }

    /// All that are left without a name.
    pub(in crate::expr) fn rest(&mut self) -> Vec<Value<'a>> {
        self.plain.by_ref().collect()
    }

    /// All that are left with their names.
    pub(in crate::expr) fn all_named(&mut self) -> Vec<(&'a str, Value<'a>)> {
        std::mem::take(&mut self.named)
    }

    /// Refuses what nobody took.
    pub(in crate::expr) fn end(mut self) -> Result<()> {
        if self.plain.next().is_some() {
            return Err(self.wrong("takes fewer arguments than were given"));
        }
        match self.named.first() {
            Some((name, _)) => Err(self.wrong(&format!("got an unexpected keyword argument '{name}'"))),
            None => Ok(()),
        }
    }
}
