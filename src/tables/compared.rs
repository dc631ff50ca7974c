//! One kind of two table sets, compared.
//!
//! Law: it compares what addresses map to; how a publisher cuts its rows is no difference.

use std::collections::BTreeSet;
use std::net::IpAddr;

use flow_tables::{Change, Kind, PrefixTable, TableSet, changes};

/// The kinds that either set has, of those whose keys are addresses.
pub(super) fn kinds(before: &TableSet, after: &TableSet) -> BTreeSet<Kind> {
    before.kinds().into_iter().chain(after.kinds()).collect()
}

/// One kind of two sets.
pub(super) struct Compared<'a> {
    pub(super) kind: &'a Kind,
    pub(super) before: &'a TableSet,
    pub(super) after: &'a TableSet,
    /// Where they differ.
    pub(super) changes: Vec<Change>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(kind: &'a Kind, before: &'a TableSet, after: &'a TableSet) -> Compared<'a> {
        let empty = PrefixTable::default();
        let [a, b] = [before, after].map(|set| set.table(kind).unwrap_or(&empty));
        let mut compared = Compared {
            kind,
            before,
            after,
            changes: Vec::new(),
        };
        compared.changes = changes(a, b, &|x, y| compared.same(x, y));
        compared
    }

    fn same(&self, before: u32, after: u32) -> bool {
        match self.kind {
            // Of an attribute, each table numbers its values for itself.
            Kind::Attribute(_) => {
                self.before.text(self.kind, before) == self.after.text(self.kind, after)
            }
            _ => before == after,
        }
    }

    /// Whether an address has another value after than before.
    pub(super) fn differs(&self, address: &[u8; 16]) -> bool {
        let value = |set: &TableSet| {
            set.table(self.kind)
                .map_or(0, |table| table.lookup(address))
        };
        !self.same(value(self.before), value(self.after))
    }

    /// The changes of a family.
    pub(super) fn of_family(&self, is_v4: bool) -> Vec<&Change> {
        let of_family = |change: &&Change| change.first.is_ipv4() == is_v4;
        self.changes.iter().filter(of_family).collect()
    }

    /// How many of the addresses of a family that have a value before or after have another: 0 to 1.
    pub(super) fn share(&self, is_v4: bool) -> f64 {
        let found = self.of_family(is_v4);
        let addresses = |first: IpAddr, last: IpAddr| match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => f64::from(u32::from(b) - u32::from(a)) + 1.0,
            (IpAddr::V6(a), IpAddr::V6(b)) => wide(u128::from(b) - u128::from(a)) + 1.0,
            _ => 0.0,
        };
        // Not `sum`, whose empty sum is a negative zero.
        let total = |all: &mut dyn Iterator<Item = f64>| all.fold(0.0, |sum, n| sum + n);
        let of = |change: &&&Change| addresses(change.first, change.last);
        let differ = total(&mut found.iter().map(|change| of(&change)));
        let added = found.iter().filter(|change| change.before == 0);
        let added = total(&mut added.map(|change| of(&change)));
        let table = self.before.table(self.kind);
        let ranges = table.into_iter().flat_map(PrefixTable::iter);
        let ranges = ranges.filter(|range| range.first.is_ipv4() == is_v4);
        let held = total(&mut ranges.map(|range| addresses(range.first, range.last)));
        match held + added > 0.0 {
            true => differ / (held + added),
            false => 0.0,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a share")]
fn wide(addresses: u128) -> f64 {
    addresses as f64
}
