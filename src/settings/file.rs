//! The configuration file: sections of keys, each with the line it stands on.
//!
//! YAML, strictly: a key given twice, a list of lists or a second document is refused. What the keys mean is not
//! known here. Law: nothing in the file is skipped.

use std::fmt;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::failure::{Exit, Failure};

/// One value, or several, for one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The command; none for a key at the top.
    pub(super) section: Option<String>,
    /// The flag's long name.
    pub(super) key: String,
    /// As text, as on the command line.
    pub(super) values: Vec<String>,
    /// For messages: file and line.
    pub(super) place: String,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Vec<Setting>, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Config, format!("{shown}: {error}"))
            .hint("--config, or FLOW_PIPELINE_CONFIG, names the YAML file")
    })?;
    settings(&text, &shown)
}

fn settings(text: &str, shown: &str) -> Result<Vec<Setting>, Failure> {
    let top: Option<Section> = serde_saphyr::from_str(text).map_err(|error| {
        // The first line of the message says what and where; a drawing of the place follows it.
        let what = error.to_string();
        let line = error
            .location()
            .map_or_else(String::new, |at| format!("{}: ", at.line()));
        let first = what
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        Failure::new(Exit::Config, format!("{shown}:{line}{first}"))
            .hint("the file holds a section per command, with the flags' names as keys")
    })?;
    let mut found = Vec::new();
    for (key, node) in top.map(|section| section.0).unwrap_or_default() {
        let place = place(shown, &key);
        match node.values() {
            Ok(values) => found.push(Setting {
                section: None,
                key: key.value,
                values,
                place,
            }),
            Err(section) => keys_of(&key.value, section, shown, &mut found)?,
        }
    }
    Ok(found)
}

fn keys_of(
    name: &str,
    section: Section,
    shown: &str,
    found: &mut Vec<Setting>,
) -> Result<(), Failure> {
    for (key, node) in section.0 {
        let place = place(shown, &key);
        let values = node.values().map_err(|_| {
            let what = format!("{place}: {}: takes a value, not a section", key.value);
            Failure::new(Exit::Config, what)
        })?;
        found.push(Setting {
            section: Some(name.to_owned()),
            key: key.value,
            values,
            place,
        });
    }
    Ok(())
}

fn place(shown: &str, key: &Spanned<String>) -> String {
    format!("{shown}:{}", key.defined.line())
}

/// Keys in the order of the file.
struct Section(Vec<(Spanned<String>, Node)>);

enum Node {
    Scalar(String),
    List(Vec<String>),
    Section(Section),
}

impl Node {
    /// The values of a key that is no section.
    fn values(self) -> Result<Vec<String>, Section> {
        match self {
            Node::Scalar(value) => Ok(vec![value]),
            Node::List(values) => Ok(values),
            Node::Section(section) => Err(section),
        }
    }
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Section;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("keys with values")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Section, A::Error> {
                entries(map)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

fn entries<'de, A: MapAccess<'de>>(mut map: A) -> Result<Section, A::Error> {
    let mut all = Vec::new();
    while let Some(key) = map.next_key()? {
        all.push((key, map.next_value()?));
    }
    Ok(Section(all))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

/// A scalar as text, a list of scalars, or a section.
struct Any;

macro_rules! scalars {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method<E: de::Error>(self, value: $kind) -> Result<Node, E> {
            Ok(Node::Scalar(value.to_string()))
        })*
    };
}

impl<'de> Visitor<'de> for Any {
    type Value = Node;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list of values, or a section")
    }
    scalars!(visit_str: &str, visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Section(Section(Vec::new())))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Node, A::Error> {
        entries(map).map(Node::Section)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(node) = list.next_element()? {
            let Node::Scalar(value) = node else {
                return Err(de::Error::custom("a list holds plain values"));
            };
            values.push(value);
        }
        Ok(Node::List(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, Vec<String>, String)> {
        settings(text, "f")
            .expect(text)
            .into_iter()
            .map(|s| (s.section.unwrap_or_default(), s.key, s.values, s.place))
            .collect()
    }

    fn one(
        section: &str,
        key: &str,
        values: &[&str],
        place: &str,
    ) -> (String, String, Vec<String>, String) {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        (section.to_owned(), key.to_owned(), values, place.to_owned())
    }

    #[test]
    fn sections_lists_and_lines() {
        let text = "log: warn\n\n# all of it\ncollect:\n  listen: [sflow://:6343, \"flow://:1\"]\n  topic: dir:///t\n  \
                    workers: 2\nrun:\n  until-end: true\n  for: 30s\n  from: -2h\n";
        assert_eq!(
            read(text),
            [
                one("", "log", &["warn"], "f:1"),
                one("collect", "listen", &["sflow://:6343", "flow://:1"], "f:5"),
                one("collect", "topic", &["dir:///t"], "f:6"),
                one("collect", "workers", &["2"], "f:7"),
                one("run", "until-end", &["true"], "f:9"),
                one("run", "for", &["30s"], "f:10"),
                one("run", "from", &["-2h"], "f:11"),
            ]
        );
        assert_eq!(read(""), []);
        assert_eq!(read("run:\n"), []);
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_line() {
        for (text, line) in [
            ("log: a\nlog: b\n", "f:2"),
            ("a: [\n", "f:"),
            ("run:\n  a:\n    b: 1\n", "f:2"),
            ("run:\n  a: [[1]]\n", "f:2"),
            ("- a\n", "f:1"),
        ] {
            let failure = settings(text, "f").expect_err(text);
            let (exit, what, _) = failure.parts();
            assert_eq!(exit, Exit::Config);
            assert!(what.starts_with(line), "{text:?}: {what}");
        }
    }
}
