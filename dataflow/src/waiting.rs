//! A batch of accepted flows, column by column: each dimension is put into the keys of all of them at once.
//!
//! What has to be looked up is looked up for the whole batch, once, however many rollups ask: the cache misses of many
//! look-ups overlap. Law 1: a word of a key is a function of the flow and of its slot's tables.

use flow_proto::{Addr, Dimension, FlowCore, Key, TextWords, address_words, network};
use flow_state::SlotSecs;
use flow_tables::{AsnOrder, TableSet};

use crate::counted::Counted;
use crate::flow_ends::FlowEnds;
use crate::texts::Texts;

/// Flows that wait for their look-up.
pub(crate) struct Waiting {
    pub(crate) flows: Vec<Counted>,
    ends: Vec<FlowEnds>,
    sources: Vec<[u8; 16]>,
    destinations: Vec<[u8; 16]>,
    /// What the tables say, of each of `LOOKED_UP`.
    found: [Vec<u32>; 4],
    /// Their customers: of sources and of destinations.
    customers: [Vec<TextWords>; 2],
    /// Of the look-up of customers.
    numbers: Vec<u32>,
}

/// Dimensions that tables tell.
const LOOKED_UP: [Dimension; 4] = [
    Dimension::SrcAs,
    Dimension::DstAs,
    Dimension::SrcCountry,
    Dimension::DstCountry,
];

impl Waiting {
    /// For so many.
    pub(crate) fn new(batch: usize) -> Waiting {
        Waiting {
            flows: Vec::with_capacity(batch),
            ends: Vec::new(),
            sources: Vec::with_capacity(batch),
            destinations: Vec::with_capacity(batch),
            found: LOOKED_UP.map(|_| vec![0; batch]),
            customers: [vec![[0; 2]; batch], vec![[0; 2]; batch]],
            numbers: vec![0; batch],
        }
    }

    #[inline]
    pub(crate) fn push(
        &mut self,
        slot_secs: SlotSecs,
        (flow, ends): (&FlowCore, Option<&FlowEnds>),
        order: &AsnOrder,
    ) {
        self.sources.push(flow.src_addr.0);
        self.destinations.push(flow.dst_addr.0);
        self.flows.push(Counted::of(slot_secs, flow, order));
        if let Some(ends) = ends {
            self.ends.push(*ends);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.flows.clear();
        self.ends.clear();
        self.sources.clear();
        self.destinations.clear();
    }

    /// Looks up what these dimensions need of the tables.
    pub(crate) fn look_up(&mut self, tables: &TableSet, wanted: impl Fn(Dimension) -> bool) {
        self.look_up_customers(tables, &wanted);
        for (dimension, found) in LOOKED_UP.into_iter().zip(&mut self.found) {
            let (table, addresses) = match dimension {
                Dimension::SrcAs => (&tables.asn, &self.sources),
                Dimension::DstAs => (&tables.asn, &self.destinations),
                Dimension::SrcCountry => (&tables.country, &self.sources),
                _ => (&tables.country, &self.destinations),
            };
            if !wanted(dimension) {
                continue;
            }
            let found = &mut found[..addresses.len()];
            match table {
                Some(table) => table.lookup_batch(addresses, found),
                None => found.fill(0),
            }
            match dimension {
                Dimension::SrcAs => settle(found, &self.flows, |flow| flow.src_as),
                Dimension::DstAs => settle(found, &self.flows, |flow| flow.dst_as),
                _ => {}
            }
        }
    }

    fn look_up_customers(&mut self, tables: &TableSet, wanted: &impl Fn(Dimension) -> bool) {
        let [of_src, of_dst] = &mut self.customers;
        for (dimension, addresses, found) in [
            (Dimension::SrcCustomer, &self.sources, of_src),
            (Dimension::DstCustomer, &self.destinations, of_dst),
        ] {
            if !wanted(dimension) {
                continue;
            }
            let found = &mut found[..addresses.len()];
            let numbers = &mut self.numbers[..addresses.len()];
            Texts::of(tables).customers(addresses, numbers, found);
        }
    }

    /// Puts a dimension of each flow into its key, from word `at` on. What is looked up must have been.
    pub(crate) fn put<K: Key>(&self, dimension: Dimension, (keys, at): (&mut [K], usize)) {
        let flows = || self.flows.iter();
        let [src_as, dst_as, src_country, dst_country] = &self.found;
        let [src_customer, dst_customer] = &self.customers;
        let into = (keys, at);
        match dimension {
            Dimension::SrcAs => words(into, src_as.iter().copied()),
            Dimension::DstAs => words(into, dst_as.iter().copied()),
            Dimension::SrcCountry => words(into, src_country.iter().copied()),
            Dimension::DstCountry => words(into, dst_country.iter().copied()),
            Dimension::Etype => words(into, flows().map(|flow| flow.etype)),
            Dimension::Proto => words(into, self.ends.iter().map(|ends| ends.proto)),
            Dimension::SrcPort => words(into, self.ends.iter().map(|ends| ends.src_port)),
            Dimension::DstPort => words(into, self.ends.iter().map(|ends| ends.dst_port)),
            Dimension::InIf => words(into, self.ends.iter().map(|ends| ends.in_if)),
            Dimension::OutIf => words(into, self.ends.iter().map(|ends| ends.out_if)),
            Dimension::Exporter => addresses(into, self.ends.iter().map(|ends| ends.exporter)),
            Dimension::SrcNet => addresses(into, networks(&self.sources)),
            Dimension::DstNet => addresses(into, networks(&self.destinations)),
            Dimension::SrcCustomer => texts(into, src_customer),
            Dimension::DstCustomer => texts(into, dst_customer),
        }
    }
}

/// The tables' AS numbers or the flows' own, in the order for each flow's exporter.
fn settle(found: &mut [u32], flows: &[Counted], sent: impl Fn(&Counted) -> u32) {
    for (found, flow) in found.iter_mut().zip(flows) {
        *found = flow.asn_order.pick(*found, sent(flow));
    }
}

fn networks(all: &[[u8; 16]]) -> impl Iterator<Item = Addr> {
    all.iter().map(|address| network(Addr(*address)))
}

#[inline]
fn words<K: Key>((keys, at): (&mut [K], usize), values: impl Iterator<Item = u32>) {
    for (key, value) in keys.iter_mut().zip(values) {
        if let Some(word) = key.as_mut().get_mut(at) {
            *word = value;
        }
    }
}

#[inline]
fn texts<K: Key>((keys, at): (&mut [K], usize), values: &[TextWords]) {
    for (key, value) in keys.iter_mut().zip(values) {
        if let Some(words) = key.as_mut().get_mut(at..at + 2) {
            words.copy_from_slice(value);
        }
    }
}

#[inline]
fn addresses<K: Key>((keys, at): (&mut [K], usize), values: impl Iterator<Item = Addr>) {
    for (key, value) in keys.iter_mut().zip(values) {
        if let Some(words) = key.as_mut().get_mut(at..at + 4) {
            words.copy_from_slice(&address_words(value));
        }
    }
}
