//! What people read: our rollups and slots without superseded rows, and the shapes of cloudflare/flow-pipeline.
//!
//! Readers need not know `FINAL`. Law 6: a view shows of each row the highest revision, and none of a generation below
//! its slot's floor; so a total never goes back, before merges and after. The drop-in views have that project's column
//! names and types, IPv4 in the first four bytes of a `FixedString(16)`, and leave implausible flows out.

use flow_proto::{Rollup, Rollups};

use super::ddl::{column_type, names, rows_table};
use super::server::{Server, qualified};
use crate::columns::{self, SLOTS, Table};
use crate::raw_columns::RAW_FLOWS;

/// One view.
pub(super) struct View {
    pub(super) name: &'static str,
    /// Name and type.
    pub(super) columns: Vec<(String, String)>,
    select: String,
}

impl View {
    /// The statement that makes it where there is nothing of its name.
    pub(super) fn create(&self, database: &str) -> String {
        self.statement("CREATE VIEW IF NOT EXISTS", database)
    }

    /// The statement that makes it in place of whatever has its name, which has to be an older one of ours.
    pub(super) fn replace(&self, database: &str) -> String {
        self.statement("CREATE OR REPLACE VIEW", database)
    }

    fn statement(&self, verb: &str, database: &str) -> String {
        let name = qualified(database, self.name);
        format!("{verb} {name} AS\n{}", self.select)
    }
}

/// All views.
pub(super) fn views(server: &Server) -> Vec<View> {
    let (database, rollups) = (&server.database, server.rollups);
    let mut views: Vec<View> = rollups
        .iter()
        .map(|rollup| self::rollup(rollup, database))
        .collect();
    let slots = columns::slots();
    views.push(of_table(
        &slots,
        format!(
            "SELECT {} FROM {} FINAL",
            names(&slots),
            qualified(database, &rows_table(SLOTS))
        ),
    ));
    views.push(flows_raw(database));
    views.extend(flows_5m(database, rollups));
    views
}

fn of_table(table: &Table, select: String) -> View {
    let columns = table.columns.iter();
    View {
        name: table.name,
        columns: columns
            .map(|c| (c.name.to_owned(), column_type(c)))
            .collect(),
        select,
    }
}

/// `generation << 48 | checkpoint number` is the revision, so a generation below the floor is one of the numbers from 0
/// up to it: the set is empty unless a slot was replaced.
fn rollup(rollup: Rollup, database: &str) -> View {
    let table = columns::rollup(rollup);
    let select = format!(
        "SELECT {names} FROM {rows} FINAL\n\
         WHERE (slot, bitShiftRight(revision, 48)) NOT IN (\n    \
             SELECT slot, arrayJoin(range(generation)) FROM {slots} FINAL\n    \
             WHERE rollup = '{name}' AND generation > 0)",
        names = names(&table),
        rows = qualified(database, &rows_table(table.name)),
        slots = qualified(database, &rows_table(SLOTS)),
        name = table.name,
    );
    of_table(&table, select)
}

/// An address as GoFlow sends it: 4 bytes of IPv4 or 16 of IPv6, filled up with zeros to 16.
fn packed(column: &str, name: &str) -> String {
    let bytes = format!("reinterpret(ifNull({column}, toIPv6('::')), 'FixedString(16)')");
    format!(
        "if(startsWith({bytes}, unhex('00000000000000000000FFFF')), \
         toFixedString(substring({bytes}, 13, 4), 16), {bytes}) AS {name}"
    )
}

/// Seconds in a `DateTime` of the server's own time zone, as theirs are.
fn date_time(column: &str) -> String {
    format!("CAST(toUnixTimestamp({column}), 'DateTime')")
}

fn flows_raw(database: &str) -> View {
    let received = date_time("time_received");
    let select = format!(
        "SELECT toDate({received}) AS Date, {received} AS TimeReceived,\n    \
         {start} AS TimeFlowStart,\n    \
         sequence_num AS SequenceNum, sampling_rate AS SamplingRate,\n    \
         {sampler},\n    {src},\n    {dst},\n    \
         src_as AS SrcAS, dst_as AS DstAS, etype AS EType, proto AS Proto,\n    \
         src_port AS SrcPort, dst_port AS DstPort, bytes AS Bytes, packets AS Packets\n\
         FROM {table} WHERE refused != 'implausible'",
        start = date_time("ifNull(time_flow_start, time_received)"),
        sampler = packed("sampler_address", "SamplerAddress"),
        src = packed("src_addr", "SrcAddr"),
        dst = packed("dst_addr", "DstAddr"),
        table = qualified(database, RAW_FLOWS),
    );
    View {
        name: "flows_raw",
        columns: typed(&[
            ("Date", "Date"),
            ("TimeReceived", "DateTime"),
            ("TimeFlowStart", "DateTime"),
            ("SequenceNum", "UInt32"),
            ("SamplingRate", "UInt64"),
            ("SamplerAddress", "FixedString(16)"),
            ("SrcAddr", "FixedString(16)"),
            ("DstAddr", "FixedString(16)"),
            ("SrcAS", "UInt32"),
            ("DstAS", "UInt32"),
            ("EType", "UInt32"),
            ("Proto", "UInt32"),
            ("SrcPort", "UInt32"),
            ("DstPort", "UInt32"),
            ("Bytes", "UInt64"),
            ("Packets", "UInt64"),
        ]),
        select,
    }
}

/// Where a rollup has the columns for it.
fn flows_5m(database: &str, rollups: Rollups) -> Option<View> {
    let alike = |one: &Rollup| {
        let wanted = (Rollup::AS.dimensions(), Rollup::AS.window_secs());
        (one.dimensions(), one.window_secs()) == wanted
    };
    let rollup = rollups.iter().find(alike)?;
    let slot = date_time("slot");
    let select = format!(
        "SELECT toDate({slot}) AS Date, {slot} AS Timeslot, src_as AS SrcAS, dst_as AS DstAS,\n    \
         [etype] AS `ETypeMap.EType`, [bytes] AS `ETypeMap.Bytes`,\n    \
         [packets] AS `ETypeMap.Packets`, [flows] AS `ETypeMap.Count`,\n    \
         bytes AS Bytes, packets AS Packets, flows AS Count\n\
         FROM {}",
        qualified(database, rollup.table()),
    );
    Some(View {
        name: "flows_5m",
        columns: typed(&[
            ("Date", "Date"),
            ("Timeslot", "DateTime"),
            ("SrcAS", "UInt32"),
            ("DstAS", "UInt32"),
            ("ETypeMap.EType", "Array(UInt32)"),
            ("ETypeMap.Bytes", "Array(UInt64)"),
            ("ETypeMap.Packets", "Array(UInt64)"),
            ("ETypeMap.Count", "Array(UInt64)"),
            ("Bytes", "UInt64"),
            ("Packets", "UInt64"),
            ("Count", "UInt64"),
        ]),
        select,
    })
}

fn typed(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
    columns.iter().map(owned).collect()
}
