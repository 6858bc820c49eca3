//! What one of upstream's programs can be told, as a table, and a file of it.

use super::document::Document;
use super::ini::Ini;

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Ours has it, too: this key of this section, written in this form.
    Key(&'static str, &'static str, Form),
    /// [`Upstream::special`] makes something of it.
    Mapped,
    /// It has no counterpart, for this reason.
    Gone(&'static str),
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// Not at all: a file that is to hold it is proposed.
    Secret,
    Boolean,
    Integer,
    /// A number that must not be negative.
    Natural,
    Number,
    List,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) section: &'static str,
    /// Its name; `*` stands for the others of its section.
    pub(super) option: &'static str,
    /// Upstream's default, where other options or `special` may refer to it.
    pub(super) default: &'static str,
    pub(super) fate: Fate,
}

/// Shorthand for tables.
pub(super) const fn row(
    section: &'static str,
    option: &'static str,
    default: &'static str,
    fate: Fate,
) -> Row {
    Row { section, option, default, fate }
}

/// One of upstream's programs.
pub(super) struct Upstream {
    /// As files are called.
    pub(super) name: &'static str,
    /// As readers are told.
    pub(super) release: &'static str,
    /// Its options, in several tables because programs share some. The first row that fits counts.
    pub(super) tables: &'static [&'static [Row]],
    /// Writes what a row alone cannot say; called first.
    pub(super) special: fn(&Source<'_>, &mut Document),
}

impl Upstream {
    /// All options.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.tables.iter().flat_map(|table| table.iter())
    }

    fn row(&self, section: &str, option: &str) -> Option<&'static Row> {
        self.rows().find(|row| row.section == section && row.option == option)
    }

    /// Whether an option of exactly that name is known.
    pub(super) fn names(&self, section: &str, option: &str) -> bool {
        self.row(section, option).is_some()
    }

    /// What becomes of an option; nothing where there is none of that name.
    fn fate(&self, section: &str, option: &str) -> Option<Fate> {
        self.row(section, option).or_else(|| self.row(section, "*")).map(|row| row.fate)
    }

    /// The default of an option.
    pub(super) fn default_of(&self, section: &str, option: &str) -> Option<&'static str> {
        self.row(section, option).map(|row| row.default)
    }
}

/// A file of a program, or several that it reads together.
pub(super) struct Source<'a> {
    /// What is told to the reader, and where relative paths begin.
    pub(super) path: &'a str,
    pub(super) upstream: &'static Upstream,
    pub(super) ini: Ini,
}

/// The section of the service user.
const AUTHTOKEN: &str = "keystone_authtoken";

impl Source<'_> {
    /// The value of an option that the file sets: the last one, interpolated.
    pub(super) fn get(&self, section: &str, option: &str) -> Option<String> {
        self.get_all(section, option).pop()
    }

    /// All values of an option that may be repeated, interpolated.
    pub(super) fn get_all(&self, section: &str, option: &str) -> Vec<String> {
        let values = |section| self.ini.get_all(section, option, |s, o| self.upstream.default_of(s, o));
        let own = values(section);
        match self.user_section() {
            Some(other) if section == AUTHTOKEN && own.is_empty() => values(&other),
            _ => own,
        }
    }

    /// The value of an option, or upstream's default.
    pub(super) fn get_or_default(&self, section: &str, option: &str) -> String {
        let default = || self.upstream.default_of(section, option).unwrap_or_default().to_owned();
        self.get(section, option).unwrap_or_else(default)
    }

    /// Whether the file sets one of these options.
    pub(super) fn sets_any(&self, section: &str, options: &[&str]) -> bool {
        options.iter().any(|option| self.get(section, option).is_some())
    }

    /// Where the service user of `[keystone_authtoken]` stands, if not there: `auth_section` says so.
    fn user_section(&self) -> Option<String> {
        self.ini.get_all(AUTHTOKEN, "auth_section", |_, _| None).pop().map(|name| name.to_lowercase())
    }

    /// Writes all that the file says.
    pub(super) fn write(&self, document: &mut Document) {
        (self.upstream.special)(self, document);
        for row in self.upstream.rows() {
            if let Fate::Key(section, key, form) = row.fate {
                self.write_key(row, document, (section, key), form);
            }
        }
        document.without_counterpart(self.path, self.without_counterpart());
    }

    fn write_key(
        &self,
        row: &Row,
        document: &mut Document,
        (section, key): (&'static str, &'static str),
        form: Form,
    ) {
        let Some(text) = self.get(row.section, row.option) else { return };
        let from = format!("[{}] {}", row.section, row.option);
        let out = document.section(section);
        let value: Option<toml::Value> = match form {
            Form::Secret => return out.secret(key, &from),
            Form::Text => Some(text.clone().into()),
            Form::Boolean => parse_bool(&text).map(Into::into),
            Form::Integer => text.parse::<i64>().ok().map(Into::into),
            Form::Natural => text.parse::<u32>().ok().map(Into::into),
            Form::Number => text.parse::<f64>().ok().map(Into::into),
            Form::List => Some(list(&self.get_all(row.section, row.option)).into()),
        };
        match value {
            Some(value) => out.set(key, value, &from),
            None => out.comment(&format!("{from} = {text}: not understood, {key} keeps its default")),
        }
    }

    /// Values are not repeated here: they may be secrets.
    fn without_counterpart(&self) -> Vec<String> {
        let user_section = self.user_section();
        let mut lines = Vec::new();
        for entry in self.ini.entries() {
            let fate = |section| self.upstream.fate(section, &entry.option);
            let as_user = (user_section.as_ref() == Some(&entry.section)).then(|| fate(AUTHTOKEN)).flatten();
            let reason = match as_user.filter(|fate| matches!(fate, Fate::Key(..))).or(fate(&entry.section)) {
                Some(Fate::Key(..) | Fate::Mapped) => continue,
                Some(Fate::Gone(reason)) => reason.to_owned(),
                None => format!("{} has no such option", self.upstream.release),
            };
            lines.push(format!("[{}] {}: {reason}", entry.section, entry.option));
        }
        lines
    }
}

/// The items of a list, which may be repeated or divided by commas.
pub(super) fn list(values: &[String]) -> Vec<toml::Value> {
    values.iter().flat_map(|text| text.split(',')).map(|item| item.trim().into()).collect()
}

/// A truth value as oslo.config reads it.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}
