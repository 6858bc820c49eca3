//! Alternatives that are equalities of one column are one search for any of their values: databases take long to plan
//! thousands of alternatives.

use std::collections::BTreeMap;

use nephometer_model::{Comparison, Filter, FilterValue};

use super::Scope;
use super::values::convert;

impl Scope<'_> {
    /// A filter that means the same.
    pub(crate) fn folded(&self, filter: &Filter) -> Filter {
        let all = |parts: &[Filter]| parts.iter().map(|part| self.folded(part)).collect::<Vec<_>>();
        match filter {
            Filter::And(parts) => Filter::And(all(parts)),
            Filter::Or(parts) => self.folded_alternatives(all(parts)),
            Filter::Not(inner) => Filter::Not(Box::new(self.folded(inner))),
            leaf => leaf.clone(),
        }
    }

    fn folded_alternatives(&self, parts: Vec<Filter>) -> Filter {
        let mut values: BTreeMap<String, Vec<FilterValue>> = BTreeMap::new();
        let mut others = Vec::new();
        for part in parts {
            match part {
                Filter::Compare(Comparison::Eq, name, value) if self.is_foldable(&name, &value) => {
                    values.entry(name).or_default().push(value);
                }
                other => others.push(other),
            }
        }
        others.extend(values.into_iter().map(|(name, mut values)| {
            if values.len() == 1 {
                Filter::Compare(Comparison::Eq, name, values.remove(0))
            } else {
                Filter::In(name, values)
            }
        }));
        if others.len() == 1 { others.remove(0) } else { Filter::Or(others) }
    }

    /// Whether an equality says the same as a search for one of several values, and is not an error.
    fn is_foldable(&self, name: &str, value: &FilterValue) -> bool {
        *value != FilterValue::Null
            && !name.starts_with("created_by_")
            && self.column(name).is_ok_and(|column| convert(column.kind, value, self.now).is_some())
    }
}
