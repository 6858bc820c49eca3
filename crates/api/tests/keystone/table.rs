//! The table of an API: what is asked, and what becomes of it for each kind of caller.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::callers::Caller;

/// Callers whose outcome has a column, and one row for each thing that is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Names of the callers who are signed in, in the order of `statuses`.
    pub(crate) callers: Vec<String>,
    #[serde(rename = "row")]
    pub(crate) rows: Vec<Row>,
}

/// One thing to ask. Texts may name what the world has: `<own>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Method and path of the route, as the list of routes has them.
    pub(crate) route: String,
    /// What is special where a route has several rows.
    #[serde(default)]
    pub(crate) case: String,
    /// The set of rules for which the row holds; nothing means all.
    rules: Option<String>,
    /// Path and query; the route's path where that has no parameters.
    path: Option<String>,
    /// JSON, or `@` and the name of a body that the world has.
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Status for callers without a token that counts.
    unsigned: Option<u16>,
    /// Status for each of the table's callers, or one for all.
    statuses: String,
    /// To whom the answer shows something that was planted; to nobody else.
    #[serde(default)]
    pub(crate) sees: Names,
    /// Whose request changes something; nobody else's does.
    #[serde(default)]
    pub(crate) changes: Names,
    /// Whose request changes what tenants who have nothing to do with the caller see; a known weakness.
    #[serde(default)]
    pub(crate) meddles: Names,
    /// Who can tell by the answer whether the other tenant's things exist, without seeing them.
    #[serde(default)]
    pub(crate) notices: Names,
    /// Why `notices` or `meddles` is as it should be.
    #[serde(default)]
    why: String,
}

/// Names of callers with spaces between; `granted`: whose status is to be a success.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Names(String);

impl Table {
    /// Reads a table whose rows are whole.
    pub(crate) fn read(text: &str) -> Self {
        let table: Self = toml::from_str(text).unwrap();
        for row in &table.rows {
            let statuses = row.statuses.split_whitespace().count();
            assert!(statuses == 1 || statuses == table.callers.len(), "{}: {statuses} statuses", row.title());
            let unsaid = row.why.is_empty() && !(row.notices.0.is_empty() && row.meddles.0.is_empty());
            assert!(!unsaid, "{} does not say why", row.title());
        }
        table
    }

    /// The column of the caller: its own where the table has one, else that of the caller like whom it is treated.
    pub(crate) fn column(&self, caller: &Caller) -> &'static str {
        let has_own = self.callers.iter().any(|name| name == caller.name);
        if has_own { caller.name } else { caller.column }
    }

    /// The status that the caller gets.
    pub(crate) fn status(&self, row: &Row, caller: &Caller) -> u16 {
        if !caller.is_signed_in {
            return row.unsigned.unwrap_or(401);
        }
        let column = self.callers.iter().position(|name| name == self.column(caller));
        let column = column.unwrap_or_else(|| panic!("no column for {}", caller.name));
        let mut statuses = row.statuses.split_whitespace();
        let status = if statuses.clone().count() == 1 { statuses.next() } else { statuses.nth(column) };
        status.and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{}: statuses", row.title()))
    }
}

impl Row {
    /// Names the row in what a failure says.
    pub(crate) fn title(&self) -> String {
        if self.case.is_empty() { self.route.clone() } else { format!("{} ({})", self.route, self.case) }
    }

    pub(crate) fn holds_for(&self, rules: &str) -> bool {
        self.rules.as_ref().is_none_or(|only| only == rules)
    }

    pub(crate) fn method(&self) -> &str {
        self.route.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        let of_route = || self.route.split(' ').nth(1).unwrap_or_default();
        let path = self.path.as_deref().unwrap_or_else(of_route);
        assert!(!path.contains('{'), "{}: a path with parameters must be given", self.title());
        path
    }
}

impl Names {
    /// Whether the caller of a column is meant, who should get `status`.
    pub(crate) fn have(&self, column: &str, status: u16) -> bool {
        self.0.split_whitespace().any(|name| name == column || (name == "granted" && status < 300))
    }
}
