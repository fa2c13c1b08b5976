//! Reading the manifests and sources of the workspace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// One Cargo.toml.
pub struct Manifest(Table);

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace").to_owned()
}

impl Manifest {
    /// Reads the manifest of a folder of the workspace.
    pub fn read(folder: &str) -> Self {
        let file = root().join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&file).unwrap_or_else(|problem| unreachable!("{}: {problem}", file.display()));
        Self(text.parse().unwrap_or_else(|problem| unreachable!("{}: {problem}", file.display())))
    }

    /// What it depends on when built, by name; not what only its own tests use.
    pub fn dependencies(&self) -> BTreeSet<String> {
        self.tables(&["dependencies", "build-dependencies"]).into_iter().map(|(name, _)| name).collect()
    }

    /// The members of the workspace.
    pub fn members(&self) -> BTreeSet<String> {
        let members = self.0.get("workspace").and_then(|one| one.get("members")).and_then(Value::as_array);
        members.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }

    /// Whether it takes the workspace's lints.
    pub fn inherits_lints(&self) -> bool {
        self.0.get("lints").and_then(|one| one.get("workspace")).and_then(Value::as_bool) == Some(true)
    }

    /// Dependencies that do not come from the workspace's list.
    pub fn versions_of_its_own(&self) -> BTreeSet<String> {
        let inherited = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
        let all = self.tables(&["dependencies", "build-dependencies", "dev-dependencies"]);
        all.into_iter().filter(|(_, value)| !inherited(value)).map(|(name, _)| name).collect()
    }

    fn tables(&self, names: &[&str]) -> Vec<(String, Value)> {
        let targets = self.0.get("target").and_then(Value::as_table).into_iter().flat_map(|table| table.values());
        let places: Vec<&Table> = std::iter::once(&self.0).chain(targets.filter_map(Value::as_table)).collect();
        let mut found = Vec::new();
        for place in places {
            for name in names {
                let table = place.get(*name).and_then(Value::as_table);
                found.extend(table.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        found
    }
}

/// Every source file of a crate, with its text.
pub fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("the file can be read");
                found.push((path.display().to_string(), text));
            }
        }
    }
    found
}
