//! `TableSet`: one version of all tables of a job.
//!
//! Law: a set is immutable once a job has it; parts that are equal in two sets can be one in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attribute::AttributeTable;
use crate::kind::{CUSTOMER, Kind};
use crate::names::{AsNames, ExporterNames, InterfaceNames};
use crate::order::AsnOrder;
use crate::part::Part;
use crate::table::PrefixTable;
use crate::value::country_text;

/// All tables of a job: one version.
#[derive(Clone, Debug, Default)]
pub struct TableSet {
    /// Addresses to AS numbers.
    pub asn: Option<Arc<PrefixTable>>,
    /// Addresses to countries, `a << 8 | b` for the letters `ab`.
    pub country: Option<Arc<PrefixTable>>,
    /// Addresses to values, by the attribute's name.
    pub attributes: BTreeMap<String, Arc<AttributeTable>>,
    /// Names of AS numbers.
    pub as_names: Option<Arc<AsNames>>,
    /// Names of exporters.
    pub exporter_names: Option<Arc<ExporterNames>>,
    /// Names of interfaces.
    pub interface_names: Option<Arc<InterfaceNames>>,
    /// Whether the table or the flow is asked first for an AS number.
    pub asn_order: AsnOrder,
}

impl TableSet {
    /// With the parts of another set in place of its own; of attributes only those that the other one has. The order of AS
    /// numbers stays.
    #[must_use]
    pub fn with(mut self, other: TableSet) -> TableSet {
        self.asn = other.asn.or(self.asn);
        self.country = other.country.or(self.country);
        self.attributes.extend(other.attributes);
        self.as_names = other.as_names.or(self.as_names);
        self.exporter_names = other.exporter_names.or(self.exporter_names);
        self.interface_names = other.interface_names.or(self.interface_names);
        self
    }

    /// What is in force, with what has changed from `last` to `new`: a part that is equal in both stays as it is, whoever has
    /// put it there.
    #[must_use]
    pub fn with_changes(mut self, last: &TableSet, new: TableSet) -> TableSet {
        changed(&mut self.asn, &last.asn, new.asn);
        changed(&mut self.country, &last.country, new.country);
        changed(&mut self.as_names, &last.as_names, new.as_names);
        changed(
            &mut self.exporter_names,
            &last.exporter_names,
            new.exporter_names,
        );
        changed(
            &mut self.interface_names,
            &last.interface_names,
            new.interface_names,
        );
        for name in last.attributes.keys() {
            if !new.attributes.contains_key(name) {
                self.attributes.remove(name);
            }
        }
        for (name, attribute) in new.attributes {
            let known = last.attributes.get(&name);
            if known.is_none_or(|known| known.digest() != attribute.digest()) {
                self.attributes.insert(name, attribute);
            }
        }
        if last.asn_order.canonical() != new.asn_order.canonical() {
            self.asn_order = new.asn_order;
        }
        self
    }

    /// The table of a kind whose keys are addresses.
    pub fn table(&self, kind: &Kind) -> Option<&PrefixTable> {
        match kind {
            Kind::Asn => self.asn.as_deref(),
            Kind::Country => self.country.as_deref(),
            Kind::Attribute(name) => self.attributes.get(name).map(|found| &*found.table),
            Kind::AsNames | Kind::ExporterNames | Kind::InterfaceNames => None,
        }
    }

    /// The kinds of its tables whose keys are addresses.
    pub fn kinds(&self) -> Vec<Kind> {
        let attributes = self.attributes.keys().cloned().map(Kind::Attribute);
        let all = [Kind::Asn, Kind::Country].into_iter().chain(attributes);
        all.filter(|kind| self.table(kind).is_some()).collect()
    }

    /// The table of customers.
    pub fn customers(&self) -> Option<&AttributeTable> {
        self.attributes.get(CUSTOMER).map(|found| &**found)
    }

    /// A value of such a table as text; `-` for none.
    pub fn text(&self, kind: &Kind, value: u32) -> String {
        match (kind, value) {
            (_, 0) => "-".to_owned(),
            (Kind::Country, _) => country_text(value),
            (Kind::Attribute(name), _) => {
                let table = self.attributes.get(name);
                table
                    .and_then(|table| table.text(value))
                    .unwrap_or("-")
                    .to_owned()
            }
            _ => value.to_string(),
        }
    }

    /// Takes from `others` every part that is equal to one of its own, so that it is in memory once.
    pub fn share_with(&mut self, others: &[Arc<TableSet>]) {
        share(&mut self.asn, others, |set| set.asn.as_ref());
        share(&mut self.country, others, |set| set.country.as_ref());
        share(&mut self.as_names, others, |set| set.as_names.as_ref());
        share(&mut self.exporter_names, others, |set| {
            set.exporter_names.as_ref()
        });
        share(&mut self.interface_names, others, |set| {
            set.interface_names.as_ref()
        });
        for (name, attribute) in &mut self.attributes {
            let theirs = others.iter().filter_map(|set| set.attributes.get(name));
            if let Some(same) = equal(theirs, attribute.digest()) {
                *attribute = same;
            }
        }
    }
}

/// Takes the new part unless it is the last one.
fn changed<T: Part>(own: &mut Option<Arc<T>>, last: &Option<Arc<T>>, new: Option<Arc<T>>) {
    let digest = |part: &Option<Arc<T>>| part.as_ref().map(|part| part.digest());
    if digest(last) != digest(&new) {
        *own = new;
    }
}

fn share<T: Part>(
    own: &mut Option<Arc<T>>,
    others: &[Arc<TableSet>],
    part: fn(&TableSet) -> Option<&Arc<T>>,
) {
    if let Some(own) = own
        && let Some(same) = equal(others.iter().filter_map(|set| part(set)), own.digest())
    {
        *own = same;
    }
}

/// One of the parts with this digest.
pub(crate) fn equal<'a, T: Part + 'a>(
    mut parts: impl Iterator<Item = &'a Arc<T>>,
    digest: [u8; 32],
) -> Option<Arc<T>> {
    parts.find(|part| part.digest() == digest).cloned()
}
