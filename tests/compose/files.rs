//! The files under test, and the compose files with `include` and `extends` carried out.
//!
//! The merging is the part of the specification that these files use: maps are joined, lists too, a command replaces.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The set-ups: the four of the project that is replaced, and one with a job in two processes.
pub(crate) const SETUPS: [&str; 5] = [
    "postgres-cluster",
    "postgres-mock",
    "postgres-collect",
    "clickhouse-mock",
    "clickhouse-collect",
];

/// A set-up as an engine would see it.
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    /// Every file that it is made of.
    pub(crate) parts: Vec<PathBuf>,
    /// Services, volumes, configs, networks.
    model: Map<String, Value>,
}

/// A path below the repository's root.
pub(crate) fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Its text.
pub(crate) fn text(below: &str) -> String {
    let path = path(below);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A YAML file.
pub(crate) fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Setup {
    pub(crate) fn load(name: &'static str) -> Setup {
        let top = path(&format!("compose/{name}.yml"));
        let mut setup = Setup {
            name,
            parts: vec![top.clone()],
            model: Map::new(),
        };
        let top = yaml(&top);
        assert_eq!(top["name"], format!("flow-pipeline-{name}"));
        for part in top["include"].as_array().expect("a list of files") {
            let part = path("compose").join(part.as_str().expect("a file"));
            setup.include(&part);
        }
        setup
    }

    pub(crate) fn all() -> impl Iterator<Item = Setup> {
        SETUPS.into_iter().map(Setup::load)
    }

    /// A section's entries.
    pub(crate) fn section(&self, name: &str) -> Map<String, Value> {
        self.model
            .get(name)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    fn include(&mut self, part: &Path) {
        let content = yaml(part);
        let folder = part.parent().expect("a folder");
        for (section, entries) in content.as_object().expect("a map") {
            for (name, entry) in entries.as_object().expect("a map") {
                let entry = match section.as_str() {
                    "services" => absolute(self.extended(part, entry.clone()), folder),
                    "configs" => absolute_file(entry.clone(), folder),
                    _ => entry.clone(),
                };
                let known = self.model.entry(section.clone());
                let known = known.or_insert_with(|| Value::Object(Map::new()));
                let before = known
                    .as_object_mut()
                    .and_then(|m| m.insert(name.clone(), entry));
                // An engine refuses what two included files declare, unless they declare the same.
                assert!(
                    before.is_none(),
                    "{}: {section}.{name} is in two files",
                    self.name
                );
            }
        }
        self.parts.push(part.to_path_buf());
    }

    fn extended(&mut self, file: &Path, mut service: Value) -> Value {
        let Some(extends) = service.as_object_mut().and_then(|s| s.remove("extends")) else {
            return service;
        };
        let folder = file.parent().expect("a folder");
        let base_file = folder.join(extends["file"].as_str().expect("a file"));
        let name = extends["service"].as_str().expect("a service");
        let base = yaml(&base_file)["services"][name].clone();
        assert!(
            base.is_object(),
            "{}: no service {name}",
            base_file.display()
        );
        self.parts.push(base_file.clone());
        let mut merged = self.extended(&base_file, base);
        merge(&mut merged, service);
        merged
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(known) if key != "command" && key != "entrypoint" => merge(known, value),
                    _ => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (into, from) => *into = from,
    }
}

/// Bind mounts and the build's context, absolute.
fn absolute(mut service: Value, folder: &Path) -> Value {
    let at = |relative: &str| Value::from(folder.join(relative).display().to_string());
    if let Some(context) = service.pointer_mut("/build/context") {
        *context = at(context.as_str().expect("a path"));
    }
    let volumes = service.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten() {
        let text = volume.as_str().expect("the short form");
        if text.starts_with('.') {
            *volume = at(text);
        }
    }
    service
}

fn absolute_file(mut config: Value, folder: &Path) -> Value {
    let file = folder.join(config["file"].as_str().expect("a file"));
    config["file"] = Value::from(file.display().to_string());
    config
}

/// Every file with this ending below a folder.
pub(crate) fn ending(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut folders = vec![path(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no .{ending} below {folder}");
    found
}
