//! Raw flows into PostgreSQL: one block, one transaction, one COPY.
//!
//! Law 6: block and cursor move in one transaction, and only if the stored cursor equals `block.from`; so a block that
//! comes again after an unknown outcome is written once. Law 7: every flow of a block is in `flows` or in
//! `flows_implausible`.

use std::fmt;

use bytes::{BufMut, BytesMut};
use flow_proto::Verdict;

use super::address::Address;
use super::catalog::{Found, FoundTable};
use super::connection::{Connection, Copy};
use super::flows::{self, FLOWS, IMPLAUSIBLE, Layout};
use super::partitions::Partitions;
use super::schema;
use super::{adopt, cursor, replaced};
use crate::{
    Adoption, Applied, Held, RawBlock, RawCursors, RawReplacement, RawRows, RawSink, SinkError,
};

/// Implausible flows of a block that are held back while the others are copied. Bytes.
const HELD_BYTES: usize = 4 << 20;

/// The tables of raw flows of a database that this process writes.
pub(super) struct PostgresRaw {
    address: Address,
    /// `None` after an error: made anew when it is needed.
    connection: Option<Connection>,
    flows: Layout,
    implausible: Layout,
    /// `flows` has partitions; one made by the project we replace has none.
    partitioned: bool,
    partitions: Partitions,
}

impl fmt::Debug for PostgresRaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRaw")
            .field("name", &self.address.name)
            .finish_non_exhaustive()
    }
}

impl PostgresRaw {
    /// For a database whose schema has been looked at.
    pub(super) fn new(address: Address, found: &Found) -> PostgresRaw {
        let table = |name: &str| found.tables.get(name);
        let layout = |name| Layout::of(&table(name).map(FoundTable::columns).unwrap_or_default());
        if found.flows_are_theirs() {
            tracing::info!(sink = address.name, "{}", flows::taken_over());
        }
        PostgresRaw {
            flows: layout(FLOWS),
            implausible: layout(IMPLAUSIBLE),
            partitioned: table(FLOWS).is_some_and(FoundTable::is_partitioned),
            partitions: Partitions::default(),
            connection: None,
            address,
        }
    }

    /// The connection, for one use: who succeeds puts it back.
    fn take(&mut self) -> Result<Connection, SinkError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.address),
        }
    }

    fn write(
        &mut self,
        connection: &Connection,
        block: &RawBlock<'_>,
    ) -> Result<Applied, SinkError> {
        let parents: &[&str] = if self.partitioned {
            &[FLOWS, IMPLAUSIBLE]
        } else {
            &[IMPLAUSIBLE]
        };
        self.partitions.make(connection, parents, block.now_secs)?;
        if let Some(keep_secs) = self.address.options.raw_retention_secs {
            self.partitions
                .forget(connection, self.partitioned, block, keep_secs)?;
        }
        connection.begin()?;
        if !cursor::advance_raw(connection, &self.address.name, block)? {
            connection.execute("ROLLBACK")?;
            return Ok(Applied::CursorMoved);
        }
        let rows = self.copy(connection, block.rows, block.now_secs)?;
        connection.execute("COMMIT")?;
        Ok(Applied::Done { rows })
    }

    fn put(
        &mut self,
        connection: &Connection,
        replacement: &RawReplacement<'_>,
    ) -> Result<u64, SinkError> {
        let parents: &[&str] = match self.partitioned {
            true => &[FLOWS, IMPLAUSIBLE],
            false => &[IMPLAUSIBLE],
        };
        self.partitions
            .make(connection, parents, replacement.now_secs)?;
        connection.begin()?;
        let inserted_secs = replaced::clear(connection, &self.address.name, replacement)?;
        let inserted_secs = inserted_secs.unwrap_or(replacement.now_secs);
        let rows = self.copy(connection, replacement.rows, inserted_secs)?;
        connection.execute("COMMIT")?;
        Ok(rows)
    }

    fn copy(
        &mut self,
        connection: &Connection,
        all: &dyn RawRows,
        now_secs: u64,
    ) -> Result<u64, SinkError> {
        let into_flows = self.flows.copy(FLOWS);
        let into_implausible = self.implausible.copy(IMPLAUSIBLE);
        let name = &self.address.name;
        let (flows, implausible) = (&mut self.flows, &mut self.implausible);
        let mut open: Option<Copy<'_>> = None;
        let mut held = BytesMut::new();
        let mut rows = 0;
        all.for_each(&mut |flow| {
            rows += 1;
            let unfit = |unfit: super::binary::Unfit| {
                SinkError::fatal(format!("sink {name}: flow at {:?}: {}", flow.at, unfit.0))
            };
            if flow.verdict != Verdict::Implausible {
                let copy = match &mut open {
                    Some(copy) => copy,
                    None => open.insert(connection.copy(&into_flows)?),
                };
                flows.put(copy.buffer(), flow, now_secs).map_err(unfit)?;
                return copy.sent();
            }
            implausible.put(&mut held, flow, now_secs).map_err(unfit)?;
            if held.len() >= HELD_BYTES {
                // One COPY at a time: the other one goes on as another statement.
                open.take().map_or(Ok(0), Copy::finish)?;
                send(connection, &into_implausible, &mut held)?;
            }
            Ok(())
        })?;
        open.take().map_or(Ok(0), Copy::finish)?;
        send(connection, &into_implausible, &mut held)?;
        Ok(rows)
    }
}

fn send(connection: &Connection, statement: &str, held: &mut BytesMut) -> Result<(), SinkError> {
    if held.is_empty() {
        return Ok(());
    }
    let mut copy = connection.copy(statement)?;
    copy.buffer().put_slice(held);
    held.clear();
    copy.finish().map(drop)
}

impl RawSink for PostgresRaw {
    fn name(&self) -> &str {
        &self.address.name
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        let connection = self.take()?;
        let cursors = cursor::read_raw(&connection, &self.address.name)?;
        self.connection = Some(connection);
        Ok(cursors)
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        let connection = self.take()?;
        match self.write(&connection, block) {
            Ok(applied) => {
                self.connection = Some(connection);
                Ok(applied)
            }
            // Without its connection the transaction is rolled back, whatever it stood at.
            Err(error) => {
                self.partitions = Partitions::default();
                Err(error)
            }
        }
    }

    fn replace(&mut self, replacement: &RawReplacement<'_>) -> Result<u64, SinkError> {
        let connection = self.take()?;
        let put = self.put(&connection, replacement);
        match put {
            Ok(_) => self.connection = Some(connection),
            Err(_) => self.partitions = Partitions::default(),
        }
        put
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        let connection = self.take()?;
        let held = adopt::held_raw(&connection)?;
        self.connection = Some(connection);
        Ok(held)
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        let connection = self.take()?;
        let layouts = [(FLOWS, &self.flows), (IMPLAUSIBLE, &self.implausible)];
        let placed = layouts.iter().filter(|(_, layout)| layout.knows_places());
        let tables: Vec<&str> = placed.map(|(table, _)| *table).collect();
        if !tables.contains(&FLOWS) {
            tracing::warn!(
                sink = self.address.name,
                "table {FLOWS} is that of cloudflare/flow-pipeline and does not say which flow of the topic a row is: nothing \
                 of it is deleted, so flows that are written anew are in it twice"
            );
        }
        adopt::raw(&connection, adoption, &tables)?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Opens the raw side of a store.
pub(super) fn open(address: &Address, found: &Found) -> Option<PostgresRaw> {
    schema::raw(address).then(|| PostgresRaw::new(address.clone(), found))
}
