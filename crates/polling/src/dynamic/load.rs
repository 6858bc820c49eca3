//! Files of definitions.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::definition::Definition;
use super::error::{DefinitionProblem, DynamicError};
use super::yaml::Yaml;

/// The namespace of a definition that names none.
const NAMESPACE: &str = "central";

/// A definition, where it stands, and where it belongs.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) definition: Definition,
    pub(super) file: PathBuf,
    pub(super) namespaces: Vec<String>,
}

/// All definitions of some directories, for some namespaces.
#[derive(Debug, Default)]
pub struct DynamicDefinitions {
    pub(super) found: Vec<Found>,
    /// What is left out, and why.
    pub problems: Vec<DefinitionProblem>,
}

impl DynamicDefinitions {
    /// Reads `*.yaml` of `directories` (those that are there), in the order of their names. Of several definitions of one
    /// name the first counts; those of other namespaces than `namespaces` are passed over, and wrong ones are told in
    /// [`Self::problems`]. Files that are no lists of named definitions are an error, as upstream has it.
    ///
    /// # Errors
    /// A file that cannot be read, is no YAML, holds no list, or a definition without a name.
    pub fn load(directories: &[PathBuf], namespaces: &[String]) -> Result<Self, DynamicError> {
        let mut definitions = Self::default();
        let mut names = HashSet::new();
        for directory in directories {
            for file in files(directory)? {
                definitions.add(&file, namespaces, &mut names)?;
            }
        }
        Ok(definitions)
    }

    /// How many definitions there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn add(
        &mut self,
        file: &Path,
        namespaces: &[String],
        names: &mut HashSet<String>,
    ) -> Result<(), DynamicError> {
        for (index, map) in list(file)?.into_iter().enumerate() {
            let nameless = || DynamicError::NoName { file: file.to_owned(), number: index + 1 };
            let name = map.get("name").map(Yaml::to_string).ok_or_else(nameless)?;
            let of = namespaces_of(&map);
            if !of.iter().any(|namespace| namespaces.contains(namespace)) {
                tracing::debug!(pollster = name, file = %file.display(), "belongs to other namespaces");
                continue;
            }
            if names.contains(&name) {
                tracing::info!(
                    pollster = name, file = %file.display(),
                    "Dynamic pollster is already defined; this definition is passed over"
                );
                continue;
            }
            match Definition::read(&map) {
                Ok(definition) => {
                    names.insert(name);
                    self.found.push(Found { definition, file: file.to_owned(), namespaces: of });
                }
                Err(error) => self.problems.push(DefinitionProblem { file: file.to_owned(), name, error }),
            }
        }
        Ok(())
    }
}

/// The definition files of a directory; none where there is no such directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>, DynamicError> {
    let unreadable = |error: std::io::Error| DynamicError::Unreadable {
        path: directory.to_owned(),
        reason: error.to_string(),
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".yaml") && !name.starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The definitions of a file.
fn list(file: &Path) -> Result<Vec<Yaml>, DynamicError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| DynamicError::Unreadable { path: file.to_owned(), reason: error.to_string() })?;
    match Yaml::parse(&text).map_err(|reason| DynamicError::Syntax { file: file.to_owned(), reason })? {
        Yaml::List(definitions) => Ok(definitions),
        other => Err(DynamicError::NoList { file: file.to_owned(), kind: other.type_name() }),
    }
}

/// Reads whatever comes as a file of definitions, to show that nothing comes of it but definitions and errors.
pub fn read_any_definitions(text: &str) {
    if let Ok(Yaml::List(definitions)) = Yaml::parse(text) {
        for definition in definitions {
            drop(Definition::read(&definition));
        }
    }
}

fn namespaces_of(map: &Yaml) -> Vec<String> {
    match map.get("namespaces") {
        None => vec![NAMESPACE.to_owned()],
        Some(Yaml::List(names)) => names.iter().map(Yaml::to_string).collect(),
        Some(name) => vec![name.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "sample_type: gauge, unit: B, value_attribute: v, host_command: 'echo 1'";

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn load(directories: &[&tempfile::TempDir]) -> Result<DynamicDefinitions, String> {
        let paths: Vec<_> = directories.iter().map(|directory| directory.path().to_owned()).collect();
        let namespaces = ["central".to_owned(), "compute".to_owned()];
        DynamicDefinitions::load(&paths, &namespaces).map_err(|error| error.to_string())
    }

    fn names(definitions: &DynamicDefinitions) -> Vec<String> {
        let name = |found: &Found| {
            let file = found.file.file_name().unwrap().to_string_lossy();
            format!("{} {file} {}", found.definition.meter.name, found.namespaces.join(","))
        };
        definitions.found.iter().map(name).collect()
    }

    #[test]
    fn files_are_read_in_order_and_the_first_of_a_name_counts() {
        let first = directory(&[
            ("b.yaml", &format!("- {{name: b, {GOOD}}}\n- {{name: a, {GOOD}}}")),
            ("a.yaml", &format!("- {{name: a, {GOOD}, namespaces: compute}}")),
            ("c.yml", "nothing"),
            (".hidden.yaml", "nothing"),
        ]);
        let second = directory(&[(
            "x.yaml",
            &format!(
                "[{{name: a, {GOOD}}}, {{name: d, {GOOD}, namespaces: [compute, ipmi]}}, {{name: e, namespaces: ipmi}}]"
            ),
        )]);
        let loaded = load(&[&first, &second]).unwrap();
        assert_eq!(names(&loaded), ["a a.yaml compute", "b b.yaml central", "d x.yaml compute,ipmi"]);
        assert!(loaded.problems.is_empty());
        let none = DynamicDefinitions::load(&[PathBuf::from("/nothing/there")], &[]).unwrap();
        assert!(none.is_empty() && loaded.len() == 3);
    }

    #[test]
    fn a_wrong_definition_is_left_out_and_told_with_its_file() {
        let wrong =
            directory(&[("a.yaml", &format!("- {{name: a, sample_type: x}}\n- {{name: a, {GOOD}}}"))]);
        let loaded = load(&[&wrong]).unwrap();
        assert_eq!(names(&loaded), ["a a.yaml central"]);
        let file = wrong.path().join("a.yaml").display().to_string();
        let words = "Invalid sample type [x]. Valid ones are [('gauge', 'delta', 'cumulative')].";
        assert_eq!(
            loaded.problems[0].to_string(),
            format!("{file}: Error [{words}] while loading dynamic pollster [a].")
        );
    }

    #[test]
    fn files_that_are_no_lists_of_named_definitions_are_errors() {
        for (text, words) in [
            ("", "it must hold a list of pollsters, not a NoneType"),
            ("name: secret", "it must hold a list of pollsters, not a dict"),
            ("- {unit: B}", "pollster 1 has no name"),
            ("- {name: secret, a: [}", "Invalid YAML syntax in Definitions file"),
        ] {
            let wrong = directory(&[("a.yaml", text)]);
            let error = load(&[&wrong]).unwrap_err();
            let file = wrong.path().join("a.yaml").display().to_string();
            assert!(error.starts_with(&file) && error.contains(words), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
