//! What tables say in texts, as the words of keys and of raw flows: customers, and the names of exporters and interfaces.
//!
//! Law 3: the words are those of the text that the version of the slot gives, so that rows of one customer meet whatever else
//! has changed in the tables. The texts are learned where a set is loaded, never on a worker.

use flow_proto::{EnrichedFlow, TextClash, TextWords, learn_text, text_words};
use flow_tables::{PrefixTable, TableSet};

/// Learns the texts of a set, for whoever loads one.
///
/// # Errors
/// If two of them cannot be told apart in keys.
pub fn learn(set: &TableSet) -> Result<(), TextClash> {
    let values = set.customers().into_iter().flat_map(|it| &it.values);
    let values = values.map(String::as_str);
    let exporters = set.exporter_names.iter().flat_map(|names| names.iter());
    let interfaces = set.interface_names.iter().flat_map(|names| names.iter());
    let names = exporters.map(|(_, name)| name);
    for text in values.chain(names).chain(interfaces.map(|(_, name)| name)) {
        learn_text(text)?;
    }
    Texts::of(set);
    Ok(())
}

/// The texts of a set.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    set: &'a TableSet,
    customers: Option<(&'a PrefixTable, &'a [TextWords])>,
    exporters: &'a [TextWords],
    interfaces: &'a [TextWords],
}

impl<'a> Texts<'a> {
    pub(crate) fn of(set: &'a TableSet) -> Texts<'a> {
        let customers = set.customers();
        let exporters = set.exporter_names.as_ref();
        let interfaces = set.interface_names.as_ref();
        Texts {
            set,
            customers: customers.map(|found| (&*found.table, found.tags(text_words))),
            exporters: exporters.map_or(&[], |names| names.tags(text_words)),
            interfaces: interfaces.map_or(&[], |names| names.tags(text_words)),
        }
    }

    /// The customer of an address; zeros: none.
    fn customer(&self, address: &[u8; 16]) -> TextWords {
        let Some((table, words)) = self.customers else {
            return [0; 2];
        };
        at(words, usize::try_from(table.lookup(address)).ok())
    }

    /// The customers of many. `numbers` is overwritten.
    pub(crate) fn customers(
        &self,
        addresses: &[[u8; 16]],
        numbers: &mut [u32],
        found: &mut [TextWords],
    ) {
        let Some((table, words)) = self.customers else {
            found.fill([0; 2]);
            return;
        };
        table.lookup_batch(addresses, numbers);
        for (found, number) in found.iter_mut().zip(numbers) {
            *found = at(words, usize::try_from(*number).ok());
        }
    }

    /// Writes into a flow what the set says of it in texts.
    pub(crate) fn enrich(&self, flow: &mut EnrichedFlow) {
        flow.src_customer = self.customer(&flow.flow.src_addr.0);
        flow.dst_customer = self.customer(&flow.flow.dst_addr.0);
        let exporter = flow.flow.sampler_address.0;
        if let Some(names) = &self.set.exporter_names {
            flow.exporter_name = at(self.exporters, names.place(&exporter));
        }
        if let Some(names) = &self.set.interface_names {
            let name = |index| at(self.interfaces, names.place(&(exporter, index)));
            flow.in_if_name = name(flow.flow.in_if);
            flow.out_if_name = name(flow.flow.out_if);
        }
    }
}

fn at(words: &[TextWords], place: Option<usize>) -> TextWords {
    let found = place.and_then(|place| words.get(place));
    found.copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "texts_tests.rs"]
pub(crate) mod tests;
