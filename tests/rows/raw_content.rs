//! The raw flows of a store as a test reads them, and ways to damage them.
//!
//! Law: by SQL of its own; what differs between two readings is found by comparing them, not by the program.

use std::collections::BTreeMap;

use crate::store::Store;
use crate::verified::spoil;

/// Slot, partition, offset, index.
pub(crate) type Place = (u64, u32, u64, u32);
/// What stands in a place: each row's other columns, as text, as often as it is there.
pub(crate) type Content = BTreeMap<Place, Vec<Vec<String>>>;

/// A store, and the URL by which it holds raw flows.
pub(crate) struct RawStore {
    pub(crate) store: Store,
    pub(crate) url: String,
}

/// Columns that every store has and that are never absent.
const COLUMNS: &str = "refused, src_as, dst_as, src_country, dst_country, table_version, bytes, packets, sampling_rate, \
                       src_port, dst_port, etype";

impl RawStore {
    pub(crate) fn of(store: Store) -> RawStore {
        let url = match &store {
            Store::Sqlite(_) => format!("{}?raw=on", store.url()),
            _ => store.url(),
        };
        RawStore { store, url }
    }

    pub(crate) fn table(&self) -> &'static str {
        match self.store {
            Store::Postgres(_) => "flows",
            _ => "raw_flows",
        }
    }

    /// Every raw flow.
    pub(crate) fn content(&self) -> Content {
        self.content_before(u64::from(u32::MAX))
    }

    /// Raw flows of slots that start before this.
    pub(crate) fn content_before(&self, end: u64) -> Content {
        let slot = self.store.seconds("slot");
        let counted = match self.store {
            Store::Sqlite(_) => "counted",
            Store::Postgres(_) => "counted::int",
            Store::ClickHouse(..) => "toUInt8(counted)",
        };
        let tables: &[&str] = match self.store {
            Store::Postgres(_) => &["flows", "flows_implausible"],
            _ => &["raw_flows"],
        };
        let mut content = Content::new();
        for table in tables {
            let sql = format!(
                "select {slot}, topic_partition, topic_offset, flow_index, {counted}, {COLUMNS} from {table} \
                 where {slot} < {end}"
            );
            for mut row in self.store.query(&sql) {
                let rest = row.split_off(4);
                let number = |at: usize| row[at].parse::<u64>().expect("a number");
                let narrow = |at: usize| u32::try_from(number(at)).expect("32 bits");
                let place = (number(0), narrow(1), number(2), narrow(3));
                content.entry(place).or_default().push(rest);
            }
        }
        content.values_mut().for_each(|rows| rows.sort());
        content
    }

    /// How many raw flows there are.
    pub(crate) fn count(&self) -> u64 {
        let sql = format!("select count(*) from {}", self.table());
        self.store.query(&sql)[0][0].parse().expect("a number")
    }

    /// Raw flows of a slot, and more that is so with them.
    fn place(&self, slot: u64, more: &str) -> String {
        let slot = match self.store {
            Store::Sqlite(_) => format!("slot = {slot}"),
            Store::Postgres(_) => format!("slot = to_timestamp({slot})"),
            Store::ClickHouse(..) => format!("slot = fromUnixTimestamp({slot})"),
        };
        format!("{slot} AND {more}")
    }

    pub(crate) fn delete(&self, slot: u64, more: &str) {
        let (table, place) = (self.table(), self.place(slot, more));
        let sql = match self.store {
            Store::ClickHouse(..) => {
                format!("ALTER TABLE {table} DELETE WHERE {place} SETTINGS mutations_sync = 2")
            }
            _ => format!("DELETE FROM {table} WHERE {place}"),
        };
        spoil(&self.store, &sql);
    }

    pub(crate) fn update(&self, set: &str, slot: u64, more: &str) {
        let (table, place) = (self.table(), self.place(slot, more));
        let sql = match self.store {
            Store::ClickHouse(..) => {
                format!(
                    "ALTER TABLE {table} UPDATE {set} WHERE {place} SETTINGS mutations_sync = 2"
                )
            }
            _ => format!("UPDATE {table} SET {set} WHERE {place}"),
        };
        spoil(&self.store, &sql);
    }

    /// Rows once more, with another index.
    pub(crate) fn copy(&self, index: &str, slot: u64, more: &str) {
        let (table, place) = (self.table(), self.place(slot, more));
        let known = "topic_partition, topic_offset, slot, counted, time_received, sampler_address, src_addr, dst_addr, type";
        let known = match self.store {
            Store::Postgres(_) => known
                .replace("time_received", "time_flow")
                .replace("src_addr", "src_ip")
                .replace("dst_addr", "dst_ip"),
            _ => known.to_owned(),
        };
        // The others are not absent in SQLite.
        let others = match self.store {
            Store::Sqlite(_) => {
                ", sequence_num, unknown_rate, observation_domain_id, next_hop_as, src_net, dst_net, in_if, \
                out_if, proto, ip_tos, ip_ttl, tcp_flags, icmp_type, icmp_code, forwarding_status, flow_direction, src_mac, \
                dst_mac, src_vlan, dst_vlan, vlan_id, src_customer, dst_customer, exporter_name, in_if_name, out_if_name"
            }
            _ => "",
        };
        let columns = format!("{known}, {COLUMNS}{others}");
        let sql = format!(
            "INSERT INTO {table} (flow_index, {columns}) SELECT {index}, {columns} FROM {table} WHERE {place}"
        );
        spoil(&self.store, &sql);
    }

    /// Every kind of damage, each in a slot of its own from `begin` on; doubles where the table lets them in.
    pub(crate) fn damage(&self, begin: u64) {
        let slot = |n: u64| begin + 300 * n;
        self.delete(slot(0), "bytes % 3 = 0");
        self.update("bytes = bytes + 1", slot(1), "bytes % 2 = 0");
        self.update("dst_port = 7", slot(2), "dst_port <> 7");
        let refused = match self.store {
            Store::Sqlite(_) => "counted = 0, refused = 'too_late'",
            _ => "counted = false, refused = 'too_late'",
        };
        self.update(refused, slot(3), "bytes % 5 = 0");
        self.copy("flow_index + 1000", slot(4), "bytes % 2 = 0");
        if !matches!(self.store, Store::Sqlite(_)) {
            self.copy("flow_index", slot(5), "bytes % 2 = 0");
        }
        self.delete(slot(6), "bytes >= 0");
        match self.store {
            // Part of the table's order.
            Store::ClickHouse(..) => self.update("table_version = 9", slot(7), "bytes % 2 = 0"),
            Store::Sqlite(_) => self.update("slot = slot + 300", slot(7), "bytes % 2 = 0"),
            Store::Postgres(_) => {
                self.update("slot = slot + interval '300 s'", slot(7), "bytes % 2 = 0");
            }
        }
    }
}

/// How two readings differ: kind and how often, by place.
pub(crate) fn differences(
    before: &Content,
    after: &Content,
) -> BTreeMap<(Place, &'static str), u64> {
    let mut found = BTreeMap::new();
    for place in before.keys().chain(after.keys()) {
        let none = Vec::new();
        let was = before.get(place).unwrap_or(&none);
        let is = after.get(place).unwrap_or(&none);
        let many = u64::try_from(is.len()).expect("few");
        let told: Vec<(&str, u64)> = match (was.first(), is.as_slice()) {
            (Some(right), [only]) if right == only => Vec::new(),
            (Some(_), []) => vec![("missing", 1)],
            (None, _) => vec![("extra", many)],
            (Some(right), rows) if rows.contains(right) => vec![("doubled", many - 1)],
            (Some(_), [_]) => vec![("changed", 1)],
            (Some(_), _) => vec![("changed", 1), ("doubled", many - 1)],
        };
        found.extend(told.into_iter().map(|(kind, n)| ((*place, kind), n)));
    }
    found
}
