//! INI files as oslo.config reads them: continuation lines, repeated keys, `=` or `:`, quotes, `$option` and
//! `${section.option}`.

/// Why a file is no such INI file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct IniError {
    line: usize,
    reason: &'static str,
}

/// One option with all values given for it, in order, as they stand in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) option: String,
    values: Vec<String>,
}

/// A parsed file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ini {
    entries: Vec<Entry>,
}

/// The default of an option by section and name.
pub(super) trait Defaults: Fn(&str, &str) -> Option<&'static str> {}

impl<F: Fn(&str, &str) -> Option<&'static str>> Defaults for F {}

/// How often an interpolated value may name others that name others.
const MAX_INTERPOLATIONS: usize = 16;

impl Ini {
    /// Parses a file's text.
    pub(super) fn parse(text: &str) -> Result<Self, IniError> {
        let mut ini = Self::default();
        let mut section = "DEFAULT".to_owned();
        let mut open: Option<(String, String)> = None;
        for (at, line) in text.lines().enumerate() {
            let error = |reason| IniError { line: at + 1, reason };
            let line = line.trim_end();
            if !line.is_empty() && line.starts_with([' ', '\t']) {
                let (_, value) = open.as_mut().ok_or_else(|| error("continues nothing"))?;
                value.push('\n');
                value.push_str(line.trim_start());
                continue;
            }
            ini.close(&section, open.take());
            if let Some(rest) = line.strip_prefix('[') {
                let name =
                    rest.strip_suffix(']').ok_or_else(|| error("a section lacks its closing bracket"))?;
                if name.is_empty() {
                    return Err(error("a section has no name"));
                }
                section = section_name(name);
            } else if !line.is_empty() && !line.starts_with(['#', ';']) {
                let (key, value) = line
                    .split_once(['=', ':'])
                    .ok_or_else(|| error("neither a section nor option = value"))?;
                let key = key.trim();
                if key.is_empty() {
                    return Err(error("an option has no name"));
                }
                open = Some((key.to_lowercase().replace('-', "_"), unquote(value.trim()).to_owned()));
            }
        }
        ini.close(&section, open);
        Ok(ini)
    }

    fn close(&mut self, section: &str, open: Option<(String, String)>) {
        let Some((option, value)) = open else { return };
        match self.entries.iter_mut().find(|e| e.section == section && e.option == option) {
            Some(entry) => entry.values.push(value),
            None => self.entries.push(Entry { section: section.to_owned(), option, values: vec![value] }),
        }
    }

    /// All options, in the order of the file.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes over what a later file says: its values come after those that are here.
    pub(super) fn extend(&mut self, later: Self) {
        for entry in later.entries {
            for value in entry.values {
                self.close(&entry.section, Some((entry.option.clone(), value)));
            }
        }
    }

    /// All values that the file gives for an option, interpolated; the last one is that of an option that is not repeated.
    pub(super) fn get_all(&self, section: &str, option: &str, defaults: impl Defaults) -> Vec<String> {
        let entry = self.entries.iter().find(|e| e.section == section && e.option == option);
        let values = entry.map(|entry| entry.values.as_slice()).unwrap_or_default();
        values.iter().map(|value| self.interpolate(section, value, &defaults, MAX_INTERPOLATIONS)).collect()
    }

    fn raw(&self, section: &str, option: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|e| e.section == section && e.option == option)?;
        entry.values.last().map(String::as_str)
    }

    /// Replaces `$option`, `${option}` and `${section.option}`; `$$` and `\$` are a dollar sign. Names stand for what
    /// the file says, else for upstream's default, else for nothing.
    fn interpolate(&self, section: &str, value: &str, defaults: &impl Defaults, depth: usize) -> String {
        let mut text = String::new();
        let mut rest = value;
        while let Some(at) = rest.find('$') {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            if let Some(before) = before.strip_suffix('\\') {
                text.push_str(before);
                text.push('$');
                rest = after;
                continue;
            }
            text.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                text.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(after) else {
                text.push('$');
                rest = after;
                continue;
            };
            if depth > 0 {
                text.push_str(&self.resolve(section, name, defaults, depth - 1));
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }

    fn resolve(&self, section: &str, name: &str, defaults: &impl Defaults, depth: usize) -> String {
        let (section, option) = match name.split_once('.') {
            Some((section, option)) => (section_name(section), option),
            None if self.raw(section, name).is_some() || defaults(section, name).is_some() => {
                (section.to_owned(), name)
            }
            None => ("DEFAULT".to_owned(), name),
        };
        let value = self.raw(&section, option).or_else(|| defaults(&section, option));
        self.interpolate(&section, value.unwrap_or_default(), defaults, depth)
    }
}

/// The name after a dollar sign, with or without braces, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let name_end = |text: &str| {
        text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(text.len())
    };
    let (braced, text) = text.strip_prefix('{').map_or((false, text), |inner| (true, inner));
    let (name, after) = text.split_at(name_end(text));
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    if braced { after.strip_prefix('}').map(|after| (name, after)) } else { Some((name, after)) }
}

fn section_name(name: &str) -> String {
    if name.eq_ignore_ascii_case("default") { "DEFAULT".to_owned() } else { name.to_lowercase() }
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}
