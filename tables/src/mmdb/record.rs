//! One value out of a record: the first of several paths that leads to one.
//!
//! Publishers name fields in their own ways (`country.iso_code`, `country_code`, `country`), so a path that leads nowhere
//! is no error, even where another file has text in place of a map. What is there but is no text or whole number is one.

use std::borrow::Cow;
use std::fmt;

use maxminddb::{LookupResult, MaxMindDbError, PathElement};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Fields of a record that a message names.
const NAMED_FIELDS: usize = 12;

/// The first of `paths` that leads to a value, as text; `Ok(None)`: none does.
pub(super) fn value<'a>(
    record: &LookupResult<'a, &[u8]>,
    paths: &[Vec<&str>],
) -> Result<Option<Cow<'a, str>>, String> {
    for path in paths {
        match at(record, path).map_err(|error| error.to_string())? {
            Node::Nothing => {}
            Node::Text(text) => return Ok(Some(text)),
            Node::Map => return Err(format!("{} is a map, not a value", path.join("."))),
            Node::Array => return Err(format!("{} is an array, not a value", path.join("."))),
            Node::Other(what) => {
                return Err(format!(
                    "{} is {what}, not text or a whole number",
                    path.join(".")
                ));
            }
        }
    }
    Ok(None)
}

/// Names the fields of a record, for a message.
pub(super) fn fields(record: &LookupResult<'_, &[u8]>) -> String {
    match record.decode::<Names<'_>>() {
        Ok(Some(Names(names))) if !names.is_empty() => names.join(", "),
        _ => "no fields".to_owned(),
    }
}

/// What stands at `path`. Each step is chosen by what was found before: maps have names, arrays numbers.
fn at<'a>(record: &LookupResult<'a, &[u8]>, path: &[&str]) -> Result<Node<'a>, MaxMindDbError> {
    let mut steps = Vec::with_capacity(path.len());
    let mut node = step(record, &steps)?;
    for name in path {
        match (&node, name.parse()) {
            (Node::Map, _) => steps.push(PathElement::Key(name)),
            (Node::Array, Ok(index)) => steps.push(PathElement::Index(index)),
            _ => return Ok(Node::Nothing),
        }
        node = step(record, &steps)?;
    }
    Ok(node)
}

fn step<'a>(
    record: &LookupResult<'a, &[u8]>,
    steps: &[PathElement<'_>],
) -> Result<Node<'a>, MaxMindDbError> {
    Ok(record.decode_path(steps)?.unwrap_or(Node::Nothing))
}

/// A value of the file, containers unopened.
enum Node<'a> {
    Nothing,
    Text(Cow<'a, str>),
    Map,
    Array,
    Other(&'static str),
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(if value {
            "true"
        } else {
            "false"
        })))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_u128(u128::from(value))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(value.to_string())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(value.to_string())))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Node::Other("a floating-point number"))
    }

    fn visit_borrowed_bytes<E: Error>(self, _: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Node::Other("bytes"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Ok(Node::Map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Ok(Node::Array)
    }
}

/// The first names in a map.
struct Names<'a>(Vec<&'a str>);

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while names.len() < NAMED_FIELDS
            && let Some((name, IgnoredAny)) = map.next_entry()?
        {
            names.push(name);
        }
        Ok(Names(names))
    }
}
