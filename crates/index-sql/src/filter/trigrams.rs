//! Patterns by the groups of three characters that texts must have to match them: SQLite's index of those leads to the few
//! texts that are worth a look. (PostgreSQL finds its own by itself.)

use nephometer_drivers::IndexError;
use nephometer_model::{Comparison, Filter, FilterValue};

use super::Scope;
use super::values::python_text;
use crate::columns::Place;
use crate::session::{Dialect, Statement};

/// Where the key of the attribute begins in a row of the index; below it is that of the resource.
const ATTRIBUTE_BIT: u32 = 40;
const RESOURCE_MASK: i64 = (1 << ATTRIBUTE_BIT) - 1;
/// More groups find nothing that these have not found.
const MOST_GROUPS: usize = 32;

/// The groups of three characters that every text has that matches a pattern of LIKE, each once.
fn groups(pattern: &str) -> Vec<String> {
    let mut groups = Vec::new();
    let mut literal = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' | '_' => literal.clear(),
            '\\' => literal.extend(characters.next()),
            _ => literal.push(character),
        }
        if let [.., one, two, three] = literal[..] {
            let group = String::from_iter([one, two, three]);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    groups.truncate(MOST_GROUPS);
    groups
}

/// The query of FTS5 for texts that have all of these groups.
fn query(groups: &[String]) -> String {
    let quoted = groups.iter().map(|group| format!("\"{}\"", group.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(" AND ")
}

impl Scope<'_> {
    /// The attribute, and the groups that its texts must have, where `filter` is a pattern that the index of groups helps
    /// with.
    fn grouped(&self, dialect: Dialect, filter: &Filter) -> Option<(i64, Vec<String>)> {
        let Filter::Compare(Comparison::Like, name, value) = filter else { return None };
        if dialect != Dialect::Sqlite || *value == FilterValue::Null {
            return None;
        }
        let Place::Attribute { pk, .. } = self.column(name).ok()?.place else { return None };
        let groups = groups(&python_text(value));
        (!groups.is_empty()).then_some((pk, groups))
    }

    /// Whether [`Self::group_search`] finds what matches.
    pub(crate) fn is_grouped(&self, dialect: Dialect, filter: &Filter) -> bool {
        self.grouped(dialect, filter).is_some()
    }

    /// The search for the keys of resources of which a pattern holds, by groups: in the index, and among what was not
    /// sorted into it yet. What they find is looked at, for groups come in any order and from what a text was before.
    pub(super) fn group_search(
        &self,
        statement: &mut Statement,
        filter: &Filter,
    ) -> Result<Option<String>, IndexError> {
        let Some((pk, groups)) = self.grouped(statement.dialect, filter) else { return Ok(None) };
        let wanted = statement.param(query(&groups));
        let matching = self.pattern_condition(statement, filter, "a.text")?;
        let first = pk << ATTRIBUTE_BIT;
        let last = first | RESOURCE_MASK;
        let look = |from: &str, row: &str, condition: &str| {
            format!(
                "SELECT a.resource_pk FROM {from} CROSS JOIN resource_attribute a ON a.attribute_pk = {pk} \
                 AND a.resource_pk = ({row} & {RESOURCE_MASK}) \
                 WHERE {condition} AND {row} BETWEEN {first} AND {last} AND {matching}"
            )
        };
        let sorted = look("resource_trigram t", "t.rowid", &format!("t.resource_trigram MATCH {wanted}"));
        let waiting = look("trigram_change c", "c.row", "NOT c.is_gone");
        Ok(Some(format!("{sorted} UNION ALL {waiting}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_that_every_match_has() {
        let of = |pattern: &str| groups(pattern).join(" ");
        assert_eq!(of("%99999%"), "999");
        assert_eq!(of("ab%cd_efg"), "efg");
        assert_eq!(of("ab\\%c\\\\%"), "ab% b%c %c\\");
        assert_eq!(of("äöü_"), "äöü");
        assert_eq!(of("%a_b%"), "");
        assert_eq!(groups(&"abcdefghijklmnopqrstuvwxyz".repeat(2)).len(), 26);
        assert_eq!(groups(&('a'..='z').chain('A'..='Z').collect::<String>()).len(), MOST_GROUPS);
        assert_eq!(query(&groups("a\"bc")), "\"a\"\"b\" AND \"\"\"bc\"");
    }
}
