//! Searches for the keys of all rows that match, where an index finds them.

use nephometer_drivers::IndexError;
use nephometer_model::{Comparison, Filter, FilterValue};

use super::values::python_text;
use super::{FALSE, Look, MAX_UNION, Scope, compare_values, keys_where, like_pattern, operand};
use crate::attributes::without_value;
use crate::columns::Place;
use crate::session::Statement;

impl Scope<'_> {
    /// Whether an index leads to the rows for which `filter` holds.
    pub(crate) fn is_indexed(&self, filter: &Filter) -> bool {
        use Comparison::{Eq, Ge, Gt, Le, Lt};
        match filter {
            Filter::Compare(Eq, name, value) if name.starts_with("created_by_") => {
                *value != FilterValue::Null
            }
            Filter::Compare(Eq, name, FilterValue::Null) => {
                self.place(name).is_some_and(|place| !matches!(place, Place::Linked { .. }))
            }
            Filter::Compare(Eq, name, _) => self.place(name).is_some(),
            Filter::Compare(Lt | Le | Gt | Ge, name, value) => {
                *value != FilterValue::Null
                    && self.place(name).is_some_and(|place| !matches!(place, Place::Linked { .. }))
            }
            Filter::In(name, values) => {
                values.iter().any(|value| *value != FilterValue::Null) && self.place(name).is_some()
            }
            Filter::Or(parts) => {
                (1..=MAX_UNION).contains(&parts.len()) && parts.iter().all(|part| self.is_indexed(part))
            }
            _ => false,
        }
    }

    /// Whether an index has the values that `filter` is about, so that looking at all of them there is the least that
    /// finds all rows.
    pub(crate) fn is_scanned(&self, filter: &Filter) -> bool {
        match filter {
            Filter::Compare(Comparison::Like, name, value) => {
                *value != FilterValue::Null && matches!(self.place(name), Some(Place::Attribute { .. }))
            }
            Filter::Or(parts) => {
                (1..=MAX_UNION).contains(&parts.len())
                    && parts.iter().all(|part| self.is_indexed(part) || self.is_scanned(part))
            }
            _ => false,
        }
    }

    /// The attribute of which `filter` is a pattern.
    pub(crate) fn pattern_of(&self, filter: &Filter) -> Option<i64> {
        match filter {
            Filter::Compare(Comparison::Like, name, value) if *value != FilterValue::Null => {
                match self.place(name)? {
                    Place::Attribute { pk, .. } => Some(pk),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The statement that finds the different values of an attribute that match a pattern of it, and then one that is
    /// null; nothing comes last where there are more than `most` different values. Each step leads to the next value.
    pub(crate) fn value_search(
        &self,
        statement: &mut Statement,
        filter: &Filter,
        attribute: i64,
        most: i64,
    ) -> Result<String, IndexError> {
        let most = statement.param(most);
        let least = format!(
            "SELECT min(a.text) FROM resource_attribute a \
             WHERE a.attribute_pk = {attribute} AND a.text IS NOT NULL"
        );
        let matching = self.pattern_condition(statement, filter, "d.text")?;
        Ok(format!(
            "WITH RECURSIVE d(text, number) AS (SELECT ({least}), CAST(0 AS BIGINT) UNION ALL \
             SELECT ({least} AND a.text > d.text), d.number + 1 FROM d WHERE d.text IS NOT NULL AND d.number < {most}) \
             SELECT d.text FROM d WHERE d.text IS NULL OR {matching}"
        ))
    }

    /// The condition that a text matches the pattern that `filter` is.
    pub(super) fn pattern_condition(
        &self,
        statement: &mut Statement,
        filter: &Filter,
        text: &str,
    ) -> Result<String, IndexError> {
        let Filter::Compare(comparison, name, value) = filter else { return Ok(FALSE.to_owned()) };
        let invalid = || IndexError::QueryValue { field: name.clone(), value: python_text(value) };
        let pattern = like_pattern(&self.column(name)?, value).ok_or_else(invalid)?;
        let pattern = operand(statement, *comparison, pattern);
        Ok(compare_values(text, *comparison, &pattern, false))
    }

    /// Where the column is, if it has an index.
    fn place(&self, name: &str) -> Option<Place> {
        let place = self.column(name).ok()?.place;
        let unindexed = matches!(name, "revision" | "revision_end" | "lifespan");
        (!unindexed).then_some(place)
    }

    /// The statement that finds the keys of resources for which a filter holds that [`Self::is_indexed`] or
    /// [`Self::is_scanned`]. Keys may come twice.
    pub(crate) fn key_search(
        &self,
        statement: &mut Statement,
        filter: &Filter,
    ) -> Result<String, IndexError> {
        if let Some(search) = self.group_search(statement, filter)? {
            return Ok(search);
        }
        let search = Self { look: Look::Search, ..*self };
        if let Filter::Compare(_, name, FilterValue::Null) = filter
            && let Some(Place::Attribute { pk, .. }) = self.place(name)
        {
            let without = without_value("a");
            return Ok(format!(
                "SELECT a.resource_pk FROM resource_attribute a WHERE a.attribute_pk = {pk} AND {without}"
            ));
        }
        match filter {
            Filter::Or(parts) => {
                let each = parts.iter().map(|part| self.key_search(statement, part));
                Ok(each.collect::<Result<Vec<_>, _>>()?.join(" UNION ALL "))
            }
            Filter::Compare(_, name, value)
                if *value == FilterValue::Null || name.starts_with("created_by_") =>
            {
                Ok(keys_where(&search.compile(statement, filter, false)?))
            }
            _ => Self { look: Look::Keys, ..*self }.compile(statement, filter, false),
        }
    }
}
