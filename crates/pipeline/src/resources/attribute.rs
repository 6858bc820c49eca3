//! What of a sample an attribute is.

use serde_json::Value;

/// Where an attribute's value comes from.
#[derive(Debug)]
pub(super) struct AttributeSource {
    path: Path,
}

impl AttributeSource {
    /// Reads the definition of attribute `name`.
    pub(super) fn parse(name: &str, given: &Value) -> Result<Self, String> {
        let text = given.as_str().ok_or_else(|| format!("{name}: {given} is no path"))?;
        let mut parser = Parser { rest: text };
        let path = parser.path().filter(|_| parser.rest.is_empty());
        path.map(|path| Self { path }).ok_or_else(|| format!("{name}: {text} is no path"))
    }

    /// Whether it looks at a sample's metadata only.
    pub(super) fn reads_metadata_alone(&self) -> bool {
        matches!(&self.path, Path::Below(steps) if matches!(steps.first(), Some(Path::Field(name)) if name == "resource_metadata"))
    }

    /// The value in a sample; nothing where it has none, or null.
    pub(super) fn value(&self, sample: &Value) -> Option<Value> {
        self.path.first(sample).cloned()
    }
}

/// A path: fields below each other, and choices of which the first that has a value counts.
#[derive(Debug)]
enum Path {
    Field(String),
    Below(Vec<Path>),
    AnyOf(Vec<Path>),
}

impl Path {
    fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Field(name) => root.get(name).filter(|value| !value.is_null()),
            Self::Below(steps) => steps.iter().try_fold(root, |at, step| step.first(at)),
            Self::AnyOf(paths) => paths.iter().find_map(|path| path.first(root)),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn path(&mut self) -> Option<Path> {
        let mut steps = vec![self.choice()?];
        while self.take(".") {
            steps.push(self.choice()?);
        }
        Some(if steps.len() == 1 { steps.pop()? } else { Path::Below(steps) })
    }

    fn choice(&mut self) -> Option<Path> {
        let mut paths = vec![self.step()?];
        while self.take("|") {
            paths.push(self.step()?);
        }
        Some(if paths.len() == 1 { paths.pop()? } else { Path::AnyOf(paths) })
    }

    fn step(&mut self) -> Option<Path> {
        if self.take("(") {
            let path = self.path()?;
            return self.take(")").then_some(path);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-@".contains(c));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!name.is_empty()).then(|| Path::Field(name.to_owned()))
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}
