//! What a database holds, and in what it differs from what it should hold.
//!
//! Law: a difference is told by table and column, with what is there and what should be; nothing is changed here.

use std::collections::BTreeMap;

use super::connection::Connection;
use super::flows::{self, FLOWS};
use super::tables::{MIGRATIONS, VERSION, WantedTable};
use crate::SinkError;
use crate::schema::Difference;

/// Whatever has one of these names in the schema, with its columns in their order. A type keeps a table from being made,
/// too.
const COLUMNS: &str = "
    SELECT c.relname::text, c.relkind::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attnum
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
      AND c.relname = ANY ($1::text[])
    UNION ALL
    SELECT typname::text, 'type', NULL, NULL, NULL, NULL FROM pg_type
    WHERE typnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
      AND typrelid = 0 AND typname = ANY ($1::text[])
    ORDER BY 1, 6";
/// Which of these names are taken.
const TAKEN: &str = "
    SELECT relname::text FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
      AND relname = ANY ($1::text[])";
/// The columns of their primary keys, in the keys' order.
const KEYS: &str = "
    SELECT c.relname::text, a.attname::text
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
    WHERE i.indisprimary AND c.relname = ANY ($1::text[])
      AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    ORDER BY c.relname, k.place";
/// What else there is, of nobody's extension.
const OTHERS: &str = "
    SELECT c.relname::text FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relname <> ALL ($1::text[])
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname LIMIT 1";
/// A column as the server reports it.
struct FoundColumn {
    name: String,
    kind: String,
    nullable: bool,
}

/// A table as the server reports it.
#[derive(Default)]
pub(super) struct FoundTable {
    /// `pg_class.relkind`, or `type`.
    kind: String,
    columns: Vec<FoundColumn>,
    key: Vec<String>,
}

impl FoundTable {
    /// Whether it has partitions.
    pub(super) fn is_partitioned(&self) -> bool {
        self.kind == "p"
    }

    /// Whether it has this column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|found| found.name == column)
    }

    /// Its columns: name and type.
    pub(super) fn columns(&self) -> Vec<(String, String)> {
        let pair = |c: &FoundColumn| (c.name.clone(), c.kind.clone());
        self.columns.iter().map(pair).collect()
    }
}

/// What a schema holds.
pub(super) struct Found {
    /// Its name; `None`: it does not exist.
    pub(super) schema: Option<String>,
    /// Number of migrations that were applied.
    pub(super) version: i32,
    /// Those of the tables asked for that there are.
    pub(super) tables: BTreeMap<String, FoundTable>,
    /// Those of the tables' indexes whose names are taken.
    indexes: Vec<String>,
    /// The first of other tables, if there are any.
    pub(super) other: Option<String>,
}

impl Found {
    /// Looks.
    pub(super) fn read(
        connection: &Connection,
        wanted: &[WantedTable],
    ) -> Result<Found, SinkError> {
        let names: Vec<&str> = wanted.iter().map(|table| table.name).collect();
        let mut tables: BTreeMap<String, FoundTable> = BTreeMap::new();
        for row in connection.query(COLUMNS, &[&names])? {
            let table = tables.entry(connection.get(&row, 0)?).or_default();
            table.kind = connection.get(&row, 1)?;
            if let Some(name) = connection.get(&row, 2)? {
                table.columns.push(FoundColumn {
                    name,
                    kind: connection.get(&row, 3)?,
                    nullable: !connection.get::<bool>(&row, 4)?,
                });
            }
        }
        for row in connection.query(KEYS, &[&names])? {
            let table = tables.entry(connection.get(&row, 0)?).or_default();
            table.key.push(connection.get(&row, 1)?);
        }
        let mut found = Found {
            schema: None,
            version: 0,
            tables,
            indexes: Vec::new(),
            other: None,
        };
        let indexes: Vec<&str> = wanted.iter().filter_map(|t| t.index.as_deref()).collect();
        for row in connection.query(TAKEN, &[&indexes])? {
            found.indexes.push(connection.get(&row, 0)?);
        }
        if let Some(row) = connection.first("SELECT current_schema()::text", &[])? {
            found.schema = connection.get(&row, 0)?;
        }
        if let Some(row) = connection.first(OTHERS, &[&names])? {
            found.other = Some(connection.get(&row, 0)?);
        }
        let of_migrations = |table: &&WantedTable| table.name == MIGRATIONS;
        let noted = wanted.iter().find(of_migrations).and_then(|table| {
            let found = found.tables.get(table.name)?;
            Some(compare(table, found, false).is_empty())
        });
        if noted == Some(true) {
            let statement = format!("SELECT coalesce(max(version), 0) FROM {MIGRATIONS}");
            if let Some(row) = connection.first(&statement, &[])? {
                found.version = connection.get(&row, 0)?;
            }
        }
        Ok(found)
    }

    /// Whether `flows` is one that their project made: their columns and no other.
    pub(super) fn flows_are_theirs(&self) -> bool {
        self.tables.get(FLOWS).is_some_and(|table| {
            let columns = table.columns.iter().map(|column| column.name.as_str());
            kind(&table.kind).is_none() && columns.eq(flows::theirs())
        })
    }

    /// Whether nothing is there, or nothing but a `flows` of theirs.
    pub(super) fn is_empty(&self) -> bool {
        let theirs = usize::from(self.flows_are_theirs());
        self.other.is_none() && self.tables.len() == theirs
    }

    /// What differs. A `flows` of theirs does not.
    pub(super) fn differences(&self, wanted: &[WantedTable]) -> Vec<Difference> {
        let mut all = Vec::new();
        if self.version > VERSION {
            all.push(Difference::Foreign(format!(
                "schema version {}: this program knows {VERSION}",
                self.version
            )));
        }
        for table in wanted {
            let name = table.name;
            match self.tables.get(name) {
                None => all.push(self.missing(table)),
                Some(found) => {
                    let theirs = name == FLOWS && self.flows_are_theirs();
                    all.extend(compare(table, found, theirs));
                }
            }
        }
        if all.is_empty() && self.version < VERSION {
            all.push(Difference::Mendable(format!(
                "schema version {}: should be {VERSION}",
                self.version
            )));
        }
        all
    }

    /// A table is made with its index.
    fn missing(&self, table: &WantedTable) -> Difference {
        let name = table.name;
        match table
            .index
            .as_ref()
            .filter(|index| self.indexes.contains(index))
        {
            None => Difference::Mendable(format!("table {name}: missing")),
            Some(index) => Difference::Foreign(format!(
                "table {name}: missing, and the name of its index {index} is taken"
            )),
        }
    }
}

/// What is no table; `None`: a table.
fn kind(relkind: &str) -> Option<&'static str> {
    match relkind {
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        "S" => Some("a sequence"),
        "i" | "I" => Some("an index"),
        "c" | "type" => Some("a type"),
        _ => Some("no table"),
    }
}

fn compare(table: &WantedTable, found: &FoundTable, theirs: bool) -> Vec<Difference> {
    let name = table.name;
    if let Some(kind) = kind(&found.kind) {
        let line = format!("table {name}: is {kind}, should be a table");
        return vec![Difference::Foreign(line)];
    }
    let (mut lines, mut mendable) = (Vec::new(), Vec::new());
    for column in &table.columns {
        let types = column.types.join(" or ");
        match found.columns.iter().find(|c| c.name == column.name) {
            None if theirs => (),
            None if flows::is_added(name, column.name) => mendable.push(format!(
                "table {name}: column {} {types}: missing",
                column.name
            )),
            None => lines.push(format!(
                "table {name}: column {} {types}: missing",
                column.name
            )),
            Some(c) if !column.types.contains(&c.kind.as_str()) => lines.push(format!(
                "table {name}: column {} is `{}`, should be `{types}`",
                column.name, c.kind
            )),
            Some(c) if column.nullable && !c.nullable => lines.push(format!(
                "table {name}: column {} is NOT NULL, should not be",
                column.name
            )),
            Some(_) => (),
        }
    }
    for column in &found.columns {
        if !table.columns.iter().any(|c| c.name == column.name) {
            lines.push(format!(
                "table {name}: column {} `{}` is unknown",
                column.name, column.kind
            ));
        }
    }
    if !table.key.is_empty() && found.key.iter().ne(&table.key) {
        lines.push(format!(
            "table {name}: primary key ({}) should be ({})",
            found.key.join(", "),
            table.key.join(", ")
        ));
    }
    let lines = lines.into_iter().map(Difference::Foreign);
    lines
        .chain(mendable.into_iter().map(Difference::Mendable))
        .collect()
}
