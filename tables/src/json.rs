//! JSON: an object a line, its fields found by name or by path `a.b.c`.
//!
//! Names of ASes come as one object, `{"13335": "CLOUDFLARENET"}`, too. Law: an object with another shape is a bad row; it harms
//! no other.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::kind::Kind;
use crate::lines::Lines;
use crate::roles::{Each, Record, Roles};
use crate::value;

/// Reads all rows.
pub(crate) fn read(bytes: &[u8], roles: &Roles<'_>, each: &mut Each<'_>) {
    if *roles.kind == Kind::AsNames && read_map(bytes, each) {
        return;
    }
    for (line, text) in Lines::new(bytes) {
        let object: Value = match serde_json::from_slice(text) {
            Ok(object @ Value::Object(_)) => object,
            Ok(_) => {
                each(line, Err("not a JSON object".to_owned()));
                continue;
            }
            Err(error) => {
                each(line, Err(format!("not a JSON object on one line: {error}")));
                continue;
            }
        };
        match record(&object, roles) {
            Ok((key, second, value)) => each(
                line,
                Ok(Record {
                    key: key.as_bytes(),
                    second: second.as_ref().map(|second| second.as_bytes()),
                    value: value.as_bytes(),
                }),
            ),
            Err(reason) => each(line, Err(reason)),
        }
    }
}

/// One object of AS numbers and names; whether it is one.
fn read_map(bytes: &[u8], each: &mut Each<'_>) -> bool {
    let Ok(map) = serde_json::from_slice::<BTreeMap<String, Value>>(bytes) else {
        return false;
    };
    if !map.keys().all(|key| value::asn(key.as_bytes()).is_ok()) {
        return false;
    }
    for ((key, value), number) in map.iter().zip(1..) {
        let record = text(value).map(|value| (key, value));
        match record {
            Ok((key, value)) => each(
                number,
                Ok(Record {
                    key: key.as_bytes(),
                    second: None,
                    value: value.as_bytes(),
                }),
            ),
            Err(reason) => each(number, Err(reason)),
        }
    }
    true
}

type Texts<'a> = (Cow<'a, str>, Option<Cow<'a, str>>, Cow<'a, str>);

fn record<'a>(object: &'a Value, roles: &Roles<'_>) -> Result<Texts<'a>, String> {
    let find = |names: &[&str]| names.iter().find_map(|name| at(object, name));
    let mut keys = roles.keys.iter().filter_map(|(key, second)| match second {
        [] => Some((find(key)?, None)),
        _ => Some((find(key)?, Some(find(second)?))),
    });
    let (key, second) = keys
        .next()
        .ok_or_else(|| format!("no field with {}", roles.key_noun()))?;
    let value = find(&roles.values).map_or(Ok(Cow::Borrowed("")), text)?;
    Ok((text(key)?, second.map(text).transpose()?, value))
}

/// A field by its name, or by a path.
fn at<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let by_path = || name.split('.').try_fold(object, |at, part| at.get(part));
    object.get(name).or_else(by_path)
}

fn text(value: &Value) -> Result<Cow<'_, str>, String> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Null => Ok(Cow::Borrowed("")),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        Value::Bool(is) => Ok(Cow::Owned(is.to_string())),
        Value::Array(_) | Value::Object(_) => Err("a field is no text or number".to_owned()),
    }
}
