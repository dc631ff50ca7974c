//! Reads what a store holds, as any reader would, and compares it with what the job has in its maps.

use std::collections::BTreeMap;
use std::path::Path;

use flow_proto::{Rollup, Rollups, country_code};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::job::{Job, SWAP_SLOT, WINDOW};

/// A table's rows: key columns -> the others.
pub(crate) type Rows = BTreeMap<Vec<String>, Vec<String>>;

/// Everything in a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    /// Both rollups; the key begins with the table's name.
    pub(crate) rows: Rows,
    pub(crate) slots: Rows,
}

/// Reads a database through a connection of its own.
pub(crate) fn read(path: &Path) -> Content {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut content = Content::default();
    for rollup in Rollups::STANDARD.iter() {
        let found = table(
            &connection,
            &format!("SELECT '{0}', * FROM {0}", rollup.table()),
            5,
        );
        content.rows.extend(found);
    }
    content.slots = table(&connection, "SELECT * FROM slots", 2);
    content
}

fn table(connection: &Connection, sql: &str, key: usize) -> Rows {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let mut values: Vec<String> = (0..columns)
            .map(|n| {
                Ok(match row.get::<_, Value>(n)? {
                    Value::Null => "null".into(),
                    Value::Integer(number) => number.to_string(),
                    Value::Text(text) => text,
                    other => format!("{other:?}"),
                })
            })
            .collect::<rusqlite::Result<_>>()?;
        let rest = values.split_off(key);
        Ok((values, rest))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What a store that has caught up must hold, but for the revisions, which are compared by `watch`.
pub(crate) fn expected(job: &Job) -> Content {
    let mut content = Content::default();
    for (group, totals) in job
        .totals
        .iter()
        .filter(|(g, _)| job.ever_complete.contains(g))
    {
        let rollup = Rollups::STANDARD.get(group.rollup).unwrap();
        for (key, sums) in totals {
            let name = |n: u32| match rollup == Rollup::AS {
                true => n.to_string(),
                false => country_code(n),
            };
            let columns = [name(key[0]), name(key[1]), key[2].to_string()];
            let start = [rollup.table().to_owned(), group.slot_secs.to_string()];
            let mut values: Vec<String> = sums.values().iter().map(u64::to_string).collect();
            values.push(if group.slot_secs >= SWAP_SLOT {
                "2".into()
            } else {
                "1".into()
            });
            content
                .rows
                .insert(start.into_iter().chain(columns).collect(), values);
        }
    }
    for (slot, counts) in &job.counts {
        for rollup in Rollups::STANDARD
            .iter()
            .take(if *slot == 0 { 1 } else { 2 })
        {
            let group = flow_state::Group {
                rollup: rollup.number(),
                slot_secs: *slot,
            };
            let state = if *slot == 0 {
                "elsewhere"
            } else if slot + WINDOW <= job.checkpoint.timeline.retired_secs {
                "retired"
            } else if job.ever_complete.contains(&group) {
                "complete"
            } else {
                "open"
            };
            let numbers = [
                counts.flows,
                counts.too_early,
                counts.too_late,
                counts.implausible,
            ];
            let written = if job.ever_complete.contains(&group) {
                "1800000000"
            } else {
                "null"
            };
            let partial = u8::from(job.checkpoint.partial.contains(slot)).to_string();
            let mut values = vec![state.to_owned(), partial, "0".to_owned()];
            values.extend([written.to_owned(), written.to_owned()]);
            values.extend(numbers.map(|n| n.to_string()));
            content
                .slots
                .insert(vec![rollup.table().to_owned(), slot.to_string()], values);
        }
    }
    content
}

/// A store's content in the form of `expected`: without revisions and without `complete_through`.
pub(crate) fn without_revisions(mut content: Content) -> Content {
    content
        .rows
        .values_mut()
        .for_each(|values| values.truncate(7));
    content
        .slots
        .values_mut()
        .for_each(|values| values.truncate(9));
    content
}

/// What every reader of all stores has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// (row, revision) -> content, over all stores.
    contents: BTreeMap<(Vec<String>, String), Vec<String>>,
    last: BTreeMap<usize, Content>,
}

impl Watch {
    /// A reader looks at store number `sink`. An error says which law is broken.
    pub(crate) fn look(&mut self, sink: usize, now: Content, job: &Job) -> Result<(), String> {
        let before = self.last.remove(&sink).unwrap_or_default();
        for (key, values) in &now.rows {
            let group = job.ever_complete.iter().any(|g| {
                Rollups::STANDARD.get(g.rollup).unwrap().table() == key[0]
                    && g.slot_secs.to_string() == key[1]
            });
            if !group {
                return Err(format!("{key:?} is of an open slot"));
            }
            let at = (key.clone(), values[7].clone());
            let known = self.contents.entry(at).or_insert_with(|| values.clone());
            if known != values {
                return Err(format!(
                    "one revision of {key:?} is {known:?} and {values:?}"
                ));
            }
        }
        not_back("row", &before.rows, &now.rows, &[0, 1, 2, 7])?;
        not_back("slot", &before.slots, &now.slots, &[5, 6, 7, 8])?;
        for (key, values) in &before.slots {
            let order = |state: &str| {
                ["open", "complete", "retired"]
                    .iter()
                    .position(|s| *s == state)
            };
            if order(&now.slots[key][0]) < order(&values[0]) {
                return Err(format!(
                    "{key:?} goes back from {} to {}",
                    values[0], now.slots[key][0]
                ));
            }
        }
        self.last.insert(sink, now);
        Ok(())
    }
}

fn not_back(what: &str, before: &Rows, now: &Rows, columns: &[usize]) -> Result<(), String> {
    for (key, old) in before {
        let Some(new) = now.get(key) else {
            return Err(format!("{what} {key:?} is gone"));
        };
        for n in columns {
            let (a, b): (u64, u64) = (old[*n].parse().unwrap(), new[*n].parse().unwrap());
            if b < a {
                return Err(format!(
                    "{what} {key:?} column {n} goes back from {a} to {b}"
                ));
            }
        }
    }
    Ok(())
}
