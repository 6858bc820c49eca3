//! Holds the workspace to its architecture: who may depend on whom, lints in every crate, small files that say what they
//! are for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Longest source file, in lines.
const MAX_FILE_LINES: usize = 800;

/// What each crate may use: words, arithmetic, contracts; adapters and services never see each other.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("series", &["model"]),
    ("drivers", &["model", "series"]),
    ("engine", &["model", "series", "drivers"]),
    ("index-sql", &["model", "series", "drivers"]),
    ("link", &["model", "drivers"]),
    ("openstack", &["model", "series", "drivers"]),
    ("metric", &["model", "series", "drivers"]),
    ("alarm", &["model", "drivers"]),
    ("pipeline", &["model", "drivers"]),
    ("polling", &["model", "drivers", "pipeline"]),
    ("api", &["model", "series", "drivers", "metric", "alarm"]),
    (
        "server",
        &[
            "model",
            "series",
            "drivers",
            "engine",
            "index-sql",
            "link",
            "openstack",
            "metric",
            "alarm",
            "pipeline",
            "polling",
            "api",
        ],
    ),
    (
        "testkit",
        &[
            "model",
            "series",
            "drivers",
            "engine",
            "index-sql",
            "openstack",
            "metric",
            "alarm",
            "pipeline",
            "polling",
            "api",
        ],
    ),
];

struct Crate {
    name: String,
    directory: PathBuf,
    /// Sibling crates by kind of dependency: `normal`, `build` or `dev`.
    uses: Vec<(String, String)>,
}

fn workspace() -> Vec<Crate> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> Crate {
    let short = |name: &Value| name.as_str()?.strip_prefix("nephometer-").map(str::to_owned);
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    let uses = dependencies.iter().filter_map(|dependency| {
        Some((short(&dependency["name"])?, dependency["kind"].as_str().unwrap_or("normal").to_owned()))
    });
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    Crate {
        name: short(&package["name"]).expect("every crate is called nephometer-something"),
        directory: manifest.parent().expect("a directory").to_owned(),
        uses: uses.collect(),
    }
}

#[test]
fn arrows_point_the_right_way() {
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    let crates = workspace();
    for krate in &crates {
        let Some(may_use) = allowed.get(krate.name.as_str()) else {
            wrong.push(format!("{} is not in the table of this test", krate.name));
            continue;
        };
        for (used, kind) in &krate.uses {
            let fine = match kind.as_str() {
                "dev" => used != "server",
                _ => may_use.contains(&used.as_str()),
            };
            if !fine {
                wrong.push(format!("{} uses {used} ({kind})", krate.name));
            }
        }
    }
    let names: BTreeSet<_> = crates.iter().map(|krate| krate.name.as_str()).collect();
    wrong.extend(allowed.keys().filter(|name| !names.contains(*name)).map(|name| format!("{name} is gone")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    for krate in workspace() {
        let manifest = std::fs::read_to_string(krate.directory.join("Cargo.toml")).expect("a manifest");
        let table: toml::Table = manifest.parse().expect("a manifest");
        let inherits = table.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherits, Some(&toml::Value::Boolean(true)), "{}", krate.name);
    }
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let mut wrong = Vec::new();
    for krate in workspace() {
        for file in rust_files(&krate.directory) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let lines = text.lines().count();
            if lines > MAX_FILE_LINES {
                wrong.push(format!("{}: {lines} lines", file.display()));
            }
            if !text.starts_with("//!") {
                wrong.push(format!("{}: does not open with //!", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
