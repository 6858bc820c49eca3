//! The configuration that comes into being: sections of ours with comments that say what each key comes from, then what
//! has no counterpart.

use std::fmt::Write as _;

use toml::Value;

/// Our TOML, section by section in the order in which they were first asked for.
pub(super) struct Document {
    from: String,
    sections: Vec<Section>,
    without_counterpart: Vec<(String, Vec<String>)>,
}

/// One section.
pub(super) struct Section {
    name: &'static str,
    lines: Vec<Line>,
}

enum Line {
    Comment(String),
    Key(&'static str, Value),
    /// A key of which a person must decide whether it is right.
    Proposed(String, Value),
}

impl Document {
    /// An empty one, made from the files that `from` names.
    pub(super) fn new(from: &str) -> Self {
        Self { from: from.to_owned(), sections: Vec::new(), without_counterpart: Vec::new() }
    }

    /// A section, made where it is not there yet.
    pub(super) fn section(&mut self, name: &'static str) -> &mut Section {
        let at = self.sections.iter().position(|section| section.name == name).unwrap_or_else(|| {
            self.sections.push(Section { name, lines: Vec::new() });
            self.sections.len() - 1
        });
        &mut self.sections[at]
    }

    /// What a file sets that has no counterpart, a line each.
    pub(super) fn without_counterpart(&mut self, path: &str, lines: Vec<String>) {
        if !lines.is_empty() {
            self.without_counterpart.push((path.to_owned(), lines));
        }
    }

    /// The text.
    pub(super) fn into_toml(self) -> String {
        let mut text = format!(
            "# Made by `nephometer config import` from {}. Keys that are not here have their defaults:\n\
             # `nephometer config default` shows them all.\n",
            one_line(&self.from)
        );
        for section in self.sections.iter().filter(|section| !section.lines.is_empty()) {
            let _ = write!(text, "\n[{}]\n", section.name);
            for line in &section.lines {
                let _ = match line {
                    Line::Comment(comment) => writeln!(text, "# {}", one_line(comment)),
                    Line::Key(key, value) => writeln!(text, "{key} = {value}"),
                    Line::Proposed(key, value) => writeln!(text, "#{key} = {value}"),
                };
            }
        }
        for (path, lines) in &self.without_counterpart {
            let _ = writeln!(text, "\n# Without counterpart, in {}:", one_line(path));
            for line in lines {
                let _ = writeln!(text, "# {}", one_line(line));
            }
        }
        text
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

impl Section {
    /// A line for the reader.
    pub(super) fn comment(&mut self, text: &str) {
        self.lines.push(Line::Comment(text.to_owned()));
    }

    /// Sets a key; `from` says what it comes from. What is set already stays, and the reader is told where the two differ.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>, from: &str) {
        let value = value.into();
        let set = self.lines.iter().find_map(|line| match line {
            Line::Key(name, value) if *name == key => Some(value),
            _ => None,
        });
        match set {
            Some(set) if *set == value => {}
            Some(_) => self.comment(&format!("{from} says {value} for {key}, which is set already")),
            None => {
                self.comment(from);
                self.lines.push(Line::Key(key, value));
            }
        }
    }

    /// A key whose value is shown nowhere: a file that is to hold it is proposed.
    pub(super) fn secret(&mut self, key: &str, from: &str) {
        let key_of_file = format!("{key}_file");
        let is_proposed = |line: &Line| matches!(line, Line::Proposed(name, _) if *name == key_of_file);
        if !self.lines.iter().any(is_proposed) {
            self.comment(&format!(
                "{from} is not repeated here: put it into a file that only this program may read, and name that"
            ));
            self.propose(&key_of_file, format!("/etc/nephometer/{key}"));
        }
    }

    /// Proposes a key, for a person to decide.
    pub(super) fn propose(&mut self, key: &str, value: impl Into<Value>) {
        self.lines.push(Line::Proposed(key.to_owned(), value.into()));
    }
}
