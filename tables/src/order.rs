//! `AsnOrder`: whether the table or the flow's own field is asked first for an AS number, for each exporter.
//!
//! A router with a full table knows its own customers' ASes better than any published table; one without sends 0, or its own.
//! Law: it decides rows, so it is part of the table version.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Which of the two is asked, and which first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The table, else the flow.
    #[default]
    TableFlow,
    /// The flow, else the table.
    FlowTable,
    /// The table alone.
    Table,
    /// The flow alone.
    Flow,
}

impl Order {
    /// All there are, in the order of their numbers in an archive.
    pub const ALL: [Order; 4] = [
        Order::TableFlow,
        Order::FlowTable,
        Order::Table,
        Order::Flow,
    ];

    /// Of the table's AS number and the one that was sent; 0 in either: none.
    #[inline]
    pub fn pick(self, table: u32, sent: u32) -> u32 {
        match self {
            Order::TableFlow if table != 0 => table,
            Order::TableFlow | Order::Flow => sent,
            Order::FlowTable if sent != 0 => sent,
            Order::FlowTable | Order::Table => table,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::TableFlow => "table,flow",
            Order::FlowTable => "flow,table",
            Order::Table => "table",
            Order::Flow => "flow",
        })
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Order, String> {
        let found = Order::ALL.into_iter().find(|one| one.to_string() == text);
        found.ok_or_else(|| {
            format!("{text:?} is no order; there are: table,flow and flow,table and table and flow")
        })
    }
}

/// The order for all exporters, and for some that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsnOrder {
    /// For exporters without one of their own.
    pub all: Order,
    /// By exporter's address (IPv4 mapped).
    pub exporters: BTreeMap<[u8; 16], Order>,
}

impl AsnOrder {
    /// That of an exporter.
    #[inline]
    pub fn of(&self, exporter: &[u8; 16]) -> Order {
        if self.exporters.is_empty() {
            return self.all;
        }
        self.exporters.get(exporter).copied().unwrap_or(self.all)
    }

    /// Without exporters whose order is that of all, which say nothing.
    pub(crate) fn canonical(&self) -> AsnOrder {
        let mut order = self.clone();
        order.exporters.retain(|_, one| *one != order.all);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_asks_in_its_order() {
        let asked = |order: &str, table, sent| order.parse::<Order>().map(|o| o.pick(table, sent));
        for (order, both, no_table, no_flow) in [
            ("table,flow", 1, 2, 1),
            ("flow,table", 2, 2, 1),
            ("table", 1, 0, 1),
            ("flow", 2, 2, 0),
        ] {
            let found = [asked(order, 1, 2), asked(order, 0, 2), asked(order, 1, 0)];
            assert_eq!(found, [both, no_table, no_flow].map(Ok), "{order}");
        }
        assert!("table,table".parse::<Order>().is_err());
    }
}
