//! The rights that this user lacks, each as the statement that gives it.
//!
//! Asked of the catalogs, which everybody may read, before anything is made: `check --connect` and the start of a job say
//! the same line. Law: nothing is tried to find out; a right that is not needed is not asked for.

use tokio_postgres::Row;

use super::address::Address;
use super::connection::Connection;
use super::schema;
use super::tables::{MIGRATIONS, WantedTable};
use crate::SinkError;

/// Who this is, and what may be done with the database and the schema: the one named, else the first of the search path
/// that is there, be it allowed or not (`current_schema` passes over those that are not).
const PLACE: &str = "
    SELECT quote_ident(current_user::text), quote_ident(current_database()::text), t.name, quote_ident(t.name),
      n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
      coalesce(has_schema_privilege(n.oid, 'CREATE'), false),
      has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMPORARY')
    FROM (SELECT coalesce($1::text, current_schema()::text, (
      SELECT s.nspname::text
      FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS p (entry, place)
      JOIN pg_namespace s ON s.nspname = CASE btrim(p.entry, ' \"')
        WHEN '$user' THEN current_user::text ELSE btrim(p.entry, ' \"') END
      ORDER BY p.place LIMIT 1))) AS t (name)
    LEFT JOIN pg_namespace n ON n.nspname = t.name";
/// The tables of these names: whether they can be read, be written, and be given partitions, which their owner alone can.
const TABLES: &str = "
    SELECT c.relname::text, has_table_privilege(c.oid, 'SELECT'),
      has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'),
      c.relkind <> 'p' OR pg_has_role(c.relowner, 'USAGE')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1::text AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p')
    ORDER BY c.relname";
/// The sequences that number these tables' rows and may not be used. One changes its owner with its table. The question is
/// an error for what is none, and conditions are in no order: only CASE is.
const SEQUENCES: &str = "
    SELECT quote_ident(s.relname::text)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'a'
    JOIN pg_class s ON d.classid = 'pg_class'::regclass AND s.oid = d.objid
    WHERE n.nspname = $1::text AND c.relname = ANY ($2::text[])
      AND (c.relkind <> 'p' OR pg_has_role(c.relowner, 'USAGE'))
      AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') ELSE false END
    ORDER BY 1";
/// The partitions that retention could not drop: neither they nor the schema are this user's. A table does not take them
/// along when it changes its owner.
const PARTITIONS: &str = "
    SELECT quote_ident(c.relname::text)
    FROM pg_class p JOIN pg_namespace n ON n.oid = p.relnamespace
    JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
    WHERE n.nspname = $1::text AND p.relname = ANY ($2::text[]) AND c.relnamespace = n.oid
      AND NOT pg_has_role(c.relowner, 'USAGE') AND NOT pg_has_role(n.nspowner, 'USAGE')
    ORDER BY c.relname";

/// What a writer does in a table.
const WRITE: &str = "SELECT, INSERT, UPDATE, DELETE";

/// What is lacking, by what it is needed for, in the order in which it is to be given.
#[derive(Default)]
pub(super) struct Lacking {
    sink: String,
    user: String,
    /// To see what is there.
    look: Vec<String>,
    /// To make what is missing, too.
    make: Vec<String>,
    /// To write, too.
    write: Vec<String>,
}

impl Lacking {
    /// Looks.
    ///
    /// # Errors
    /// `Refused`, too, if there is no schema that rights could be asked of.
    pub(super) fn read(
        connection: &Connection,
        address: &Address,
        wanted: &[WantedTable],
    ) -> Result<Lacking, SinkError> {
        let place = Place::read(connection, address)?;
        let names: Vec<&str> = wanted.iter().map(|table| table.name).collect();
        let tables = connection.query(TABLES, &[&place.schema, &names])?;
        let mut lacking = Lacking {
            sink: address.name.clone(),
            user: place.user.clone(),
            ..Lacking::default()
        };
        lacking.place(&place, tables.len() < names.len(), schema::raw(address));
        lacking.tables(connection, &place, &tables)?;
        if address.options.raw_retention_secs.is_some() {
            for row in connection.query(PARTITIONS, &[&place.schema, &names])? {
                let name: String = connection.get(&row, 0)?;
                lacking
                    .write
                    .push(place.owner(&format!("{}.{name}", place.quoted)));
            }
        }
        for row in connection.query(SEQUENCES, &[&place.schema, &names])? {
            let name: String = connection.get(&row, 0)?;
            let sequence = format!("SEQUENCE {}.{name}", place.quoted);
            lacking.write.push(place.grant("USAGE", &sequence));
        }
        Ok(lacking)
    }

    /// In the database and the schema; `makes`: some table is missing.
    fn place(&mut self, place: &Place, makes: bool, raw: bool) {
        let database = format!("DATABASE {}", place.database);
        let schema = format!("SCHEMA {}", place.quoted);
        if !place.exists && !place.makes_schemas {
            self.make.push(place.grant("CREATE", &database));
        }
        if place.exists && !place.usable {
            self.look.push(place.grant("USAGE", &schema));
        }
        if place.exists && !place.makes_tables {
            let statement = place.grant("CREATE", &schema);
            if makes {
                self.make.push(statement);
            } else if raw {
                // Raw flows get a new partition every day.
                self.write.push(statement);
            }
        }
        if !place.makes_temporary {
            self.write.push(place.grant("TEMPORARY", &database));
        }
    }

    fn tables(
        &mut self,
        connection: &Connection,
        place: &Place,
        tables: &[Row],
    ) -> Result<(), SinkError> {
        let mut unwritable = Vec::new();
        for row in tables {
            let name: String = connection.get(row, 0)?;
            let [readable, writable, owned]: [bool; 3] = [
                connection.get(row, 1)?,
                connection.get(row, 2)?,
                connection.get(row, 3)?,
            ];
            // Our names need no quotation marks.
            let table = format!("{}.{name}", place.quoted);
            if name == MIGRATIONS && !readable {
                self.look.push(place.grant(WRITE, &table));
            } else if !owned {
                self.write.push(place.owner(&table));
            } else if !writable {
                unwritable.push(table);
            }
        }
        if !unwritable.is_empty() {
            self.write.push(place.grant(WRITE, &unwritable.join(", ")));
        }
        Ok(())
    }

    /// Refuses where what is there cannot be seen.
    pub(super) fn may_look(&self) -> Result<(), SinkError> {
        if self.look.is_empty() {
            return Ok(());
        }
        self.may_write()
    }

    /// Refuses where what is missing could not be made.
    pub(super) fn may_make(&self) -> Result<(), SinkError> {
        self.refused([&self.look, &self.make, &[]])
    }

    /// Refuses where a job could not go on: all that is lacking, in one line.
    pub(super) fn may_write(&self) -> Result<(), SinkError> {
        self.refused([&self.look, &self.make, &self.write])
    }

    fn refused(&self, statements: [&[String]; 3]) -> Result<(), SinkError> {
        let statements = statements.concat();
        let what = match statements.len() {
            0 => return Ok(()),
            1 => "a right that this gives",
            _ => "rights that these give",
        };
        Err(SinkError::refused(format!(
            "sink {}: user {} lacks {what}: {}",
            self.sink,
            self.user,
            statements.join("; ")
        )))
    }
}

/// The database and the schema, names as they stand in statements.
struct Place {
    user: String,
    database: String,
    /// As it is.
    schema: String,
    quoted: String,
    exists: bool,
    usable: bool,
    makes_tables: bool,
    makes_schemas: bool,
    makes_temporary: bool,
}

impl Place {
    fn grant(&self, right: &str, on: &str) -> String {
        format!("GRANT {right} ON {on} TO {}", self.user)
    }

    fn owner(&self, table: &str) -> String {
        format!("ALTER TABLE {table} OWNER TO {}", self.user)
    }

    fn read(connection: &Connection, address: &Address) -> Result<Place, SinkError> {
        let none = || {
            SinkError::refused(format!(
                "sink {}: no schema of the search path exists; name one by schema=NAME",
                address.name
            ))
        };
        let row = connection
            .first(PLACE, &[&address.schema])?
            .ok_or_else(none)?;
        let name: Option<String> = connection.get(&row, 2)?;
        let schema = name.ok_or_else(none)?;
        Ok(Place {
            user: connection.get(&row, 0)?,
            database: connection.get(&row, 1)?,
            schema,
            quoted: connection.get(&row, 3)?,
            exists: connection.get(&row, 4)?,
            usable: connection.get(&row, 5)?,
            makes_tables: connection.get(&row, 6)?,
            makes_schemas: connection.get(&row, 7)?,
            makes_temporary: connection.get(&row, 8)?,
        })
    }
}
