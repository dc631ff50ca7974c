//! For tests: what a file gave, collected, so that it can be asked for addresses.
//!
//! Published files are not part of the repository (`../shared/tables`, or `FLOW_PIPELINE_SHARED`); without them a test
//! says so and ends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::read;
use crate::found::Item;
use crate::parse::Family;

/// A folder of `../shared/tables`, or `None` with a loud line.
pub(super) fn shared(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map(PathBuf::from);
    let shared = shared
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let path = shared.join("tables").join(folder);
    if !path.exists() {
        eprintln!("SKIPPED: ../shared/tables is not here ({})", path.display());
        return None;
    }
    Some(path)
}

pub(super) fn unpacked(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip")
        .arg("-dc")
        .arg(path)
        .output()
        .expect("gzip runs");
    assert!(output.status.success(), "gzip -dc {}", path.display());
    output.stdout
}

/// What a file gave.
#[derive(Default)]
pub(super) struct Rows {
    /// By family (is IPv6) and first address: last address and value.
    pub(super) rows: BTreeMap<(bool, u128), (u128, String)>,
    /// Rows that lie over others, which a sound file has not.
    pub(super) overlaps: usize,
    pub(super) bad: Vec<String>,
    pub(super) refused: Option<String>,
}

pub(super) fn rows(bytes: &[u8], fields: &[&str]) -> Rows {
    let mut all = Rows::default();
    let refused = read(bytes, fields, &mut |_, item| match item {
        Item::Row(found) => {
            assert!(found.first <= found.last, "{found:?}");
            let key = (found.family == Family::V6, found.first);
            let value = String::from_utf8(found.value.to_vec()).unwrap();
            let same = all.rows.insert(key, (found.last, value));
            all.overlaps += usize::from(same.is_some());
        }
        Item::Bad(reason) | Item::Odd(reason) => all.bad.push(reason),
    });
    all.refused = refused.err();
    let rows: Vec<_> = all
        .rows
        .iter()
        .map(|(key, row)| (key.0, key.1, row.0))
        .collect();
    let overlap = |a: (bool, u128, u128), b: (bool, u128, u128)| a.0 == b.0 && a.2 >= b.1;
    all.overlaps += rows
        .windows(2)
        .filter(|pair| overlap(pair[0], pair[1]))
        .count();
    all
}

impl Rows {
    /// A sound file was read, and each of its networks once.
    pub(super) fn is_sound(&self) -> bool {
        self.refused.is_none() && self.bad.is_empty() && self.overlaps == 0
    }

    /// Value at an address; `None`: no row.
    pub(super) fn at(&self, address: IpAddr) -> Option<&str> {
        let key = match address {
            IpAddr::V4(a) => (false, u128::from(u32::from(a))),
            IpAddr::V6(a) => (true, u128::from(a)),
        };
        let (&(is_v6, _), (last, value)) = self.rows.range(..=key).next_back()?;
        (is_v6 == key.0 && *last >= key.1).then_some(value)
    }

    /// First and last address of every row, and those beside.
    pub(super) fn edges(&self) -> Vec<IpAddr> {
        let of = |is_v6: bool, a: u128| match u32::try_from(a) {
            Ok(a) if !is_v6 => IpAddr::V4(a.into()),
            _ => IpAddr::V6(a.into()),
        };
        let edges = self.rows.iter().flat_map(|(&(is_v6, first), &(last, _))| {
            let top = if is_v6 {
                u128::MAX
            } else {
                u128::from(u32::MAX)
            };
            [
                first.saturating_sub(1),
                first,
                last,
                (last + u128::from(last < top)).min(top),
            ]
            .map(|a| of(is_v6, a))
        });
        edges.collect()
    }
}

/// As text, as a row has it.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
