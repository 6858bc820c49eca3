//! The narrowing of PromQL against a parser that others wrote: what is narrowed shows nobody else's series.

use std::panic;

use nephometer_openstack::services::narrow;
use promql_parser::label::MatchOp;
use promql_parser::parser::{AggregateExpr, Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};

/// A label that no query has by chance.
const LABEL: &str = "nephometer_owner";

/// What stands before the first NUL is the project, else it is one that wants to break out.
pub(crate) fn narrowing(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (owner, query) = text.split_once('\0').unwrap_or(("a\"b\\", text));
    let Ok(narrowed) = narrow(query, LABEL, owner) else { return };
    assert!(narrow(&narrowed, LABEL, owner).is_ok(), "not understood: {narrowed}");
    let Some(expression) = parsed(&narrowed) else {
        assert!(parsed(query).is_none(), "{query} was spoiled: {narrowed}");
        return;
    };
    let mut owners = Owners { owner, narrowed: &narrowed };
    if let Err(foreign) = walk_expr(&mut owners, &expression) {
        panic!("{foreign}");
    }
}

/// What the other parser makes of a query. It panics over spans that are too long, which is no finding here: libFuzzer's hook,
/// which would make it one, is set aside meanwhile.
fn parsed(query: &str) -> Option<Expr> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let parsed = panic::catch_unwind(|| parse(query));
    panic::set_hook(hook);
    parsed.ok()?.ok()
}

struct Owners<'a> {
    owner: &'a str,
    narrowed: &'a str,
}

impl ExprVisitor for Owners<'_> {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.check(selector)?,
            Expr::MatrixSelector(range) => self.check(&range.vs)?,
            // What an aggregation is told is not walked through.
            Expr::Aggregate(AggregateExpr { param: Some(param), .. }) => drop(walk_expr(self, param)?),
            _ => {}
        }
        Ok(true)
    }
}

impl Owners<'_> {
    fn check(&self, selector: &VectorSelector) -> Result<(), String> {
        let matchers = &selector.matchers;
        let all = std::iter::once(&matchers.matchers).filter(|_| matchers.or_matchers.is_empty());
        for alternative in all.chain(&matchers.or_matchers) {
            let is_narrowed = alternative.iter().any(|matcher| {
                matcher.name == LABEL && matcher.value == self.owner && matcher.op == MatchOp::Equal
            });
            if !is_narrowed {
                return Err(format!("{selector} sees others' series in {}", self.narrowed));
            }
        }
        Ok(())
    }
}
