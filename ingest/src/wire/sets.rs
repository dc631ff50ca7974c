//! The sets of a NetFlow v9 or IPFIX message: templates, options templates, data.
//!
//! Both protocols frame them alike (RFC 3954 5.2, RFC 7011 3.3), so both are read here; what differs are the
//! ids of template sets and the layout of options templates.
//! Law: a bad set, template or record is counted and costs at most its own set, never its neighbours.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_proto::Flow;

use super::Limits;
use super::early::EarlySet;
use super::exporter::Domain;
use super::outcome::{Outcome, Protocol, Reason};
use super::parts::{Learned, SetKind};
use super::reader::{Reader, zero_filled};
use super::record::{Record, Scene};
use super::template::{Spec, Template};
use super::times::Export;

const SET_HEADER_BYTES: usize = 4;
/// Ids below are those of template sets or reserved.
const FIRST_DATA_ID: u16 = 256;
const IPFIX_TEMPLATES: u16 = 2;
const IPFIX_OPTIONS_TEMPLATES: u16 = 3;

/// Reads the sets of one message.
pub(crate) struct Sets<'m> {
    pub(crate) protocol: Protocol,
    pub(crate) export: Export,
    /// What all flows of the message have in common.
    pub(crate) base: Flow,
    pub(crate) exporter_rate: u64,
    pub(crate) limits: Limits,
    pub(crate) domain: &'m mut Domain,
    /// Entries held for all exporters.
    pub(crate) held: &'m mut usize,
    /// Bytes of data sets kept for all exporters until their template comes.
    pub(crate) early_held: &'m mut usize,
    pub(crate) out: &'m mut Vec<Flow>,
    pub(crate) outcome: &'m mut Outcome,
    /// Flows that this message may still append.
    pub(crate) room: usize,
    /// Data records, options included.
    pub(crate) records: u32,
    /// Whether all data records could be counted.
    pub(crate) countable: bool,
    /// Whether the domain's sampling rate has changed.
    pub(crate) rate_changed: bool,
}

enum Kind {
    Templates,
    OptionsTemplates,
    Data,
    Reserved,
}

impl Sets<'_> {
    pub(crate) fn decode(&mut self, bytes: &[u8]) {
        let mut reader = Reader::new(bytes);
        while reader.len() >= SET_HEADER_BYTES {
            let mut ahead = reader;
            let (Some(id), Some(length)) = (ahead.u16(), ahead.u16()) else {
                return;
            };
            let body = usize::from(length).checked_sub(SET_HEADER_BYTES);
            match body.map(|length| ahead.take(length)) {
                Some(Some(body)) => self.set(id, body),
                // Some exporters fill their datagrams with zeros (Palo Alto): that is no set at all.
                _ if zero_filled(reader.rest()) => return,
                too_long_or_short => {
                    self.outcome.count(Reason::BadSetLength);
                    self.countable = false;
                    if too_long_or_short.is_some() {
                        self.cut(id, ahead.rest());
                    }
                    return;
                }
            }
            reader = ahead;
        }
        if !zero_filled(reader.rest()) {
            self.outcome.count(Reason::TrailingBytes);
        }
    }

    /// A set that ends past the datagram is read as far as it goes if it holds data.
    fn cut(&mut self, id: u16, body: &[u8]) {
        if id >= FIRST_DATA_ID && self.domain.templates.contains_key(&id) {
            self.data(id, body);
        }
    }

    fn kind(&self, id: u16) -> Kind {
        match (self.protocol, id) {
            (_, FIRST_DATA_ID..) => Kind::Data,
            (Protocol::NetflowV9, 0) | (Protocol::Ipfix, IPFIX_TEMPLATES) => Kind::Templates,
            (Protocol::NetflowV9, 1) | (Protocol::Ipfix, IPFIX_OPTIONS_TEMPLATES) => {
                Kind::OptionsTemplates
            }
            _ => Kind::Reserved,
        }
    }

    fn set(&mut self, id: u16, body: &[u8]) {
        match self.kind(id) {
            Kind::Data => self.data(id, body),
            Kind::Templates => self.templates(id, body, false),
            Kind::OptionsTemplates => self.templates(id, body, true),
            Kind::Reserved => self.outcome.count(Reason::ReservedSet),
        }
    }

    fn templates(&mut self, set_id: u16, body: &[u8], options: bool) {
        let mut reader = Reader::new(body);
        let mut records = 0;
        while reader.len() >= SET_HEADER_BYTES && !zero_filled(reader.rest()) {
            if self.template(set_id, &mut reader, options).is_none() {
                // Where a template ends is known only by reading it: the rest of the set is lost.
                self.outcome.count(Reason::BadTemplate);
                break;
            }
            records += 1;
        }
        let kind = match options {
            true => SetKind::OptionsTemplate,
            false => SetKind::Template,
        };
        self.outcome.parts.set(kind, records);
    }

    /// Reads one record of a template set; `None` if it is none.
    pub(crate) fn template(
        &mut self,
        set_id: u16,
        reader: &mut Reader<'_>,
        options: bool,
    ) -> Option<()> {
        let record = reader.rest();
        let id = reader.u16()?;
        let (fields, scopes) = match (self.protocol, options) {
            (_, false) => (reader.u16()?, 0),
            (Protocol::Ipfix, true) => {
                let fields = reader.u16()?;
                // A withdrawal ends here (RFC 7011 8.1).
                (fields, if fields == 0 { 0 } else { reader.u16()? })
            }
            (_, true) => {
                let (scope_bytes, option_bytes) = (reader.u16()?, reader.u16()?);
                (
                    (scope_bytes / 4).checked_add(option_bytes / 4)?,
                    scope_bytes / 4,
                )
            }
        };
        if fields == 0 && self.protocol == Protocol::Ipfix {
            self.withdraw(set_id, id);
            return Some(());
        }
        if id < FIRST_DATA_ID || scopes > fields || usize::from(fields) > reader.len() / 4 {
            return None;
        }
        let mut specs = Vec::with_capacity(usize::from(fields));
        for at in 0..fields {
            specs.push(Spec::read(reader, self.protocol, at < scopes)?);
        }
        let sent = record.get(..record.len() - reader.len())?;
        if self.learn(id, Template::compile(&specs, options, sent), specs.len()) {
            self.outcome.templates += 1;
            self.outcome.parts.learned.push(Learned { id, options });
            self.decode_early(id);
        }
        Some(())
    }

    fn withdraw(&mut self, set_id: u16, id: u16) {
        let options = set_id == IPFIX_OPTIONS_TEMPLATES;
        let before = self.domain.templates.len();
        forget(self.held, &mut self.domain.templates, |known, template| {
            // The set's own id means: all of its kind.
            known == id || (id == set_id && template.options == options)
        });
        let gone = before - self.domain.templates.len();
        let gone = u32::try_from(gone).unwrap_or(u32::MAX);
        self.outcome.templates_withdrawn += gone;
        self.outcome.news += gone;
    }

    /// A new template replaces the old one at once, and a refused one as well: its records would be misread. True: it
    /// is known now.
    fn learn(&mut self, id: u16, template: Option<Template>, fields: usize) -> bool {
        let known = self.domain.templates.get(&id);
        if known.is_some_and(|known| Some(&**known) == template.as_ref()) {
            return true;
        }
        let before = self.domain.templates.len();
        forget(self.held, &mut self.domain.templates, |known, _| {
            known == id
        });
        let replaced = before != self.domain.templates.len();
        self.outcome.news += u32::from(replaced);
        let Some(template) = template else {
            self.outcome.count(Reason::BadTemplate);
            return false;
        };
        if fields > self.limits.fields
            || self.domain.templates.len() >= self.limits.templates
            || *self.held + template.entries() > self.limits.entries
        {
            self.outcome.count(Reason::TemplateLimit);
            return false;
        }
        *self.held += template.entries();
        self.domain.templates.insert(id, Arc::new(template));
        self.outcome.templates_changed += u32::from(replaced);
        self.outcome.news += 1;
        true
    }

    /// Keeps a data set until its template comes, if there is room.
    fn keep(&mut self, id: u16, body: &[u8]) {
        let set = EarlySet {
            id,
            received_ns: self.base.time_received_ns,
            sequence: self.base.sequence_num,
            export: self.export,
            body: body.into(),
        };
        let dropped = self.domain.early.keep(set, &self.limits, self.early_held);
        self.outcome.early_dropped += dropped;
    }

    /// Decodes the data sets that waited for this template, as of the messages they came in.
    fn decode_early(&mut self, id: u16) {
        let now_ns = self.base.time_received_ns;
        let (sets, expired) = self
            .domain
            .early
            .take(id, now_ns, &self.limits, self.early_held);
        self.outcome.early_dropped += expired;
        let own = (
            self.export,
            self.base.sequence_num,
            self.records,
            self.countable,
        );
        for set in sets {
            self.export = set.export;
            self.base.sequence_num = set.sequence;
            self.base.time_received_ns = set.received_ns;
            // It was refused no room in its own message.
            self.room = self.room.saturating_add(set.most_flows());
            self.data(id, &set.body);
            self.outcome.early_decoded += 1;
        }
        self.base.time_received_ns = now_ns;
        (
            self.export,
            self.base.sequence_num,
            self.records,
            self.countable,
        ) = own;
    }

    fn data(&mut self, id: u16, body: &[u8]) {
        let Some(template) = self.domain.templates.get(&id).cloned() else {
            self.outcome.waiting += 1;
            self.countable = false;
            return self.keep(id, body);
        };
        let mut reader = Reader::new(body);
        let before = self.records;
        // What is shorter than a record is padding.
        while reader.len() >= template.shortest {
            let read = match template.options {
                true => self.option_record(&template, &mut reader),
                false => self.data_record(&template, &mut reader),
            };
            if let Err(reason) = read {
                self.outcome.count(reason);
                self.countable = false;
                break;
            }
            self.records = self.records.saturating_add(1);
        }
        let kind = match template.options {
            true => SetKind::OptionsData,
            false => SetKind::Data,
        };
        let read = self.records - before;
        self.outcome.parts.set(kind, read);
        if read > 0 {
            self.domain.data_ns = self.domain.data_ns.max(self.base.time_received_ns);
        }
    }

    fn data_record<'a>(
        &mut self,
        template: &Template,
        reader: &mut Reader<'a>,
    ) -> Result<(), Reason> {
        if self.room == 0 {
            return Err(Reason::RecordLimit);
        }
        // Written in its place: a flow is too large to be moved for nothing.
        self.out.push(self.base.clone());
        let Some(flow) = self.out.last_mut() else {
            return Err(Reason::RecordLimit);
        };
        let mut record = Record::default();
        let read = template.record(reader, |field, bytes: &'a [u8]| {
            record.set(flow, field, bytes);
        });
        if read.is_none() {
            self.out.pop();
            return Err(Reason::TruncatedRecord);
        }
        let scene = Scene {
            export: self.export,
            domain: self.domain,
            exporter_rate: self.exporter_rate,
        };
        record.finish(flow, &scene, self.outcome);
        self.room -= 1;
        Ok(())
    }

    fn option_record<'a>(
        &mut self,
        template: &Template,
        reader: &mut Reader<'a>,
    ) -> Result<(), Reason> {
        let mut nowhere = Flow::default();
        let mut record = Record::default();
        template
            .record(reader, |field, bytes: &'a [u8]| {
                record.set(&mut nowhere, field, bytes);
            })
            .ok_or(Reason::TruncatedRecord)?;
        // Without room, rates that are known still change.
        let room = *self.held < self.limits.entries;
        let before = self.domain.rates.entries();
        let told = |domain: &Domain| (domain.rates.changes(), domain.started_ms);
        let told_before = told(self.domain);
        self.rate_changed |= record.learn(self.domain, room);
        *self.held += self.domain.rates.entries() - before;
        self.outcome.news += u32::from(told(self.domain) != told_before);
        self.outcome.option_records += 1;
        Ok(())
    }
}

/// Removes templates, and their entries from what is held.
fn forget(
    held: &mut usize,
    templates: &mut BTreeMap<u16, Arc<Template>>,
    gone: impl Fn(u16, &Template) -> bool,
) {
    templates.retain(|id, template| {
        let gone = gone(*id, template);
        if gone {
            *held = held.saturating_sub(template.entries());
        }
        !gone
    });
}
