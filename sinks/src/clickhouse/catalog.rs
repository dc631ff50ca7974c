//! What a database holds, and in what it differs from what it should hold.
//!
//! Law: a difference is told by table and column, or engine, with what is there and what should be; nothing is changed
//! here. `CREATE OR REPLACE VIEW` drops a table of that name with its rows, so only a view of ours counts as mendable.

use std::collections::BTreeMap;

use super::ddl::{self, Stored, VERSIONS};
use super::server::{Server, quoted};
use super::views::{self, View};
use crate::SinkError;
use crate::look::Answer;
use crate::schema::Difference;

/// Engine of a view.
const VIEW: &str = "View";
/// Objects of cloudflare/flow-pipeline.
const THEIRS: [&str; 5] = [
    "flows",
    "flows_raw",
    "flows_5m",
    "flows_raw_view",
    "flows_5m_view",
];

/// A table or view as the server reports it.
#[derive(Default)]
struct Object {
    engine: String,
    partition: String,
    order: String,
    /// Engine with arguments and settings.
    full: String,
    /// Name and type.
    columns: Vec<(String, String)>,
}

impl Object {
    /// The engine with its arguments, as far as it has any.
    fn shown_engine(&self) -> &str {
        let clauses = [
            " PARTITION BY ",
            " PRIMARY KEY ",
            " ORDER BY ",
            " SETTINGS ",
        ];
        let end = clauses.iter().filter_map(|clause| self.full.find(clause));
        let engine = end.min().and_then(|end| self.full.get(..end));
        engine.unwrap_or(&self.engine)
    }
}

/// What there is.
pub(super) struct Catalog {
    /// Whether the database exists.
    pub(super) exists: bool,
    /// The newest of our migrations; `None`: our table of migrations is not there.
    pub(super) version: Option<u32>,
    objects: BTreeMap<String, Object>,
}

impl Catalog {
    /// Looks.
    pub(super) fn read(server: &Server) -> Result<Catalog, SinkError> {
        let database = quoted(&server.database);
        let known = server.ask(&format!(
            "SELECT name FROM system.databases WHERE name = {database}"
        ))?;
        let mut catalog = Catalog {
            exists: !known.is_empty(),
            version: None,
            objects: BTreeMap::new(),
        };
        for row in server.ask(&format!(
            "SELECT name, engine, partition_key, sorting_key, engine_full FROM system.tables WHERE database = {database}"
        ))? {
            let object = Object {
                engine: text(&row, 1),
                partition: text(&row, 2),
                order: text(&row, 3),
                full: text(&row, 4),
                columns: Vec::new(),
            };
            catalog.objects.insert(text(&row, 0), object);
        }
        for row in server.ask(&format!(
            "SELECT table, name, type FROM system.columns WHERE database = {database} ORDER BY table, position"
        ))? {
            if let Some(object) = catalog.objects.get_mut(&text(&row, 0)) {
                object.columns.push((text(&row, 1), text(&row, 2)));
            }
        }
        catalog.version = catalog.newest(server)?;
        Ok(catalog)
    }

    fn newest(&self, server: &Server) -> Result<Option<u32>, SinkError> {
        let ours = |table: &Stored| table.name == VERSIONS && self.of_table(table).is_empty();
        if !ddl::tables(server.rollups).iter().any(ours) {
            return Ok(None);
        }
        let table = server.table(VERSIONS);
        let rows = server.ask(&format!("SELECT max(version) FROM {table}"))?;
        let newest = rows.first().map(|row| text(row, 0));
        Ok(newest.map(|text| text.parse().unwrap_or(0)))
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether there is something of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.objects.contains_key(name)
    }

    /// The first object of cloudflare/flow-pipeline in a database that is not ours.
    pub(super) fn theirs(&self) -> Option<&str> {
        let mut names = self.objects.keys().map(String::as_str);
        names.find(|name| self.version.is_none() && THEIRS.contains(name))
    }

    /// What differs.
    pub(super) fn differences(&self, server: &Server) -> Vec<Difference> {
        let tables = ddl::tables(server.rollups);
        let views = views::views(server);
        let of_tables = tables.iter().flat_map(|table| self.of_table(table));
        let of_views = views.iter().filter_map(|view| self.of_view(view));
        of_tables.chain(of_views).collect()
    }

    fn of_table(&self, table: &Stored) -> Vec<Difference> {
        let name = &table.name;
        let Some(found) = self.objects.get(name) else {
            return vec![missing(name)];
        };
        let expected: Vec<(String, String)> = table
            .columns
            .iter()
            .map(|(name, kind, _)| (name.clone(), kind.clone()))
            .collect();
        let is_there = |name: &String| found.columns.iter().any(|(other, _)| other == name);
        let lacking: Vec<&String> = table
            .added()
            .map(|(name, _, _)| name)
            .filter(|name| !is_there(name))
            .collect();
        let due: Vec<_> = expected
            .into_iter()
            .filter(|(name, _)| !lacking.contains(&name))
            .collect();
        let columns = of_columns(name, &due, &found.columns);
        let lines = columns.into_iter().chain(of_engine(table, found));
        let missing = lacking
            .iter()
            .map(|column| format!("{name}: column {column} is missing"));
        lines
            .map(Difference::Foreign)
            .chain(missing.map(Difference::Mendable))
            .collect()
    }

    /// The views are made after the table of migrations: without that one, none of them is ours.
    fn of_view(&self, view: &View) -> Option<Difference> {
        let name = view.name;
        let Some(found) = self.objects.get(name) else {
            return Some(missing(name));
        };
        if found.engine != VIEW {
            let engine = &found.engine;
            return Some(Difference::Foreign(format!(
                "{name}: is a table ({engine}), should be a view"
            )));
        }
        let columns = of_columns(name, &view.columns, &found.columns);
        if self.version.is_some() {
            return columns.map(Difference::Mendable);
        }
        let line = columns.unwrap_or_else(|| format!("{name}: is a view that is not ours"));
        Some(Difference::Foreign(line))
    }
}

fn text(row: &Answer, column: usize) -> String {
    row.get(column).cloned().flatten().unwrap_or_default()
}

fn missing(name: &str) -> Difference {
    Difference::Mendable(format!("{name} is missing"))
}

/// The first column in which a table or view is not as it should be.
fn of_columns(
    table: &str,
    expected: &[(String, String)],
    found: &[(String, String)],
) -> Option<String> {
    for (n, (name, kind)) in expected.iter().enumerate() {
        match found.get(n) {
            Some((other, its)) if other == name && its == kind => (),
            Some((other, its)) => {
                return Some(format!(
                    "{table}: column {} `{other} {its}` should be `{name} {kind}`",
                    n + 1
                ));
            }
            None => return Some(format!("{table}: column {name} is missing")),
        }
    }
    let (more, _) = found.get(expected.len())?;
    Some(format!("{table}: column {more} is unknown"))
}

/// A cluster's engines are those with a word before (`Replicated`, `Shared`), and further arguments before ours.
fn of_engine(table: &Stored, found: &Object) -> Option<String> {
    let engine = &found.engine;
    let plain = ["Replicated", "Shared"]
        .iter()
        .find_map(|word| engine.strip_prefix(word));
    let arguments = table.arguments.is_empty()
        || found.full.contains(&format!("({})", table.arguments))
        || found.full.contains(&format!(", {})", table.arguments));
    if plain.unwrap_or(engine) != table.engine
        || !arguments
        || found.partition != table.partition
        || found.order != table.order
    {
        return Some(format!(
            "{}: is {} partitioned by `{}` ordered by `{}`, should be {} by `{}` and `{}`",
            table.name,
            found.shown_engine(),
            found.partition,
            found.order,
            table.engine_full(),
            table.partition,
            table.order
        ));
    }
    let settings = table.settings();
    (plain.is_none() && !found.full.contains(settings))
        .then(|| format!("{}: lacks the setting {settings}", table.name))
}
