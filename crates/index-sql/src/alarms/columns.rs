//! What filters and sorts can name, table by table.

/// How values of a column compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By code point.
    Text,
    /// Text that sorts by what it means.
    Severity,
    /// 0 or 1.
    Bool,
    /// Microseconds since the epoch.
    Time,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

/// A table that is listed.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The first of a row's cells, in this order.
    pub(super) columns: &'static [Column],
    /// Cells behind them that nobody filters by.
    pub(super) others: &'static [&'static str],
    /// What names a row.
    pub(super) id: &'static str,
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: false }
}

const fn maybe(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: true }
}

const fn time(name: &'static str) -> Column {
    Column { name, kind: Kind::Time, nullable: false }
}

/// Alarms.
pub(super) const ALARMS: Table = Table {
    name: "alarm",
    columns: &[
        text("alarm_id"),
        text("type"),
        Column { name: "enabled", kind: Kind::Bool, nullable: true },
        text("name"),
        text("description"),
        time("timestamp"),
        maybe("user_id"),
        maybe("project_id"),
        text("state"),
        time("state_timestamp"),
        text("state_reason"),
        maybe("ok_actions"),
        maybe("alarm_actions"),
        maybe("insufficient_data_actions"),
        Column { name: "repeat_actions", kind: Kind::Bool, nullable: false },
        text("rule"),
        text("time_constraints"),
        Column { name: "severity", kind: Kind::Severity, nullable: false },
        time("evaluate_timestamp"),
    ],
    others: &["version"],
    id: "alarm_id",
};

/// History of alarms.
pub(super) const HISTORY: Table = Table {
    name: "alarm_history",
    columns: &[
        text("event_id"),
        text("alarm_id"),
        text("type"),
        Column { name: "severity", kind: Kind::Severity, nullable: true },
        text("detail"),
        maybe("user_id"),
        maybe("project_id"),
        maybe("on_behalf_of"),
        time("timestamp"),
    ],
    others: &[],
    id: "event_id",
};

impl Table {
    /// The place of the column `name` and what it is.
    pub(super) fn column(&self, name: &str) -> Option<(usize, &'static Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }

    /// How many cells a row has.
    pub(super) const fn width(&self) -> usize {
        self.columns.len() + self.others.len()
    }

    /// All cells of a row of `alias`, with commas.
    pub(super) fn cells(&self, alias: &str) -> String {
        let names = self.columns.iter().map(|column| column.name).chain(self.others.iter().copied());
        let cells: Vec<_> = names.map(|name| format!("{alias}.{name}")).collect();
        cells.join(", ")
    }
}

impl Column {
    /// What rows of `alias` are sorted by.
    pub(super) fn sort_expression(&self, alias: &str) -> String {
        let name = self.name;
        match self.kind {
            Kind::Severity => format!(
                "CASE {alias}.{name} WHEN 'low' THEN 0 WHEN 'moderate' THEN 1 WHEN 'critical' THEN 2 END"
            ),
            _ => format!("{alias}.{name}"),
        }
    }
}
