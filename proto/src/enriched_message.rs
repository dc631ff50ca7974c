//! Enriched flows as messages: a `FlowMessage` with what the job has found, for the topic of enriched flows.
//!
//! Numbers from 1011 on are ours. What the exporter sent in the fields that the job replaces (AS numbers, receive time) is
//! not kept: readers of the plain schema find the better value where they look. Law: what the plain decoder reads back is
//! the flow as the job counted it.

use crate::enriched::EnrichedFlow;
use crate::row::country_code;
use crate::text::text_shown;
use crate::wire::{
    Cursor, DecodeError, WireType, low, put_bytes_field, put_varint, put_varint_field,
};
use crate::{Dialect, Flow};

/// Number of `src_country`: two letters.
const SRC_COUNTRY: u32 = 1011;
/// Number of `dst_country`: two letters.
const DST_COUNTRY: u32 = 1012;
/// Number of `table_version`.
const TABLE_VERSION: u32 = 1013;
/// Number of `refused`: why it is in no row; absent if it counts.
const REFUSED: u32 = 1014;
/// Number of `slot`: its start, seconds since 1970.
const SLOT: u32 = 1015;
/// Number of `src_customer`: a name of the user's.
const SRC_CUSTOMER: u32 = 1016;
/// Number of `dst_customer`: a name of the user's.
const DST_CUSTOMER: u32 = 1017;
/// Number of `exporter_name`.
const EXPORTER_NAME: u32 = 1018;
/// Number of `in_if_name`.
const IN_IF_NAME: u32 = 1019;
/// Number of `out_if_name`.
const OUT_IF_NAME: u32 = 1020;

/// What an enriched message says beside the flow. Empty or 0: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrichment<'a> {
    /// Two letters.
    pub src_country: &'a str,
    /// Two letters.
    pub dst_country: &'a str,
    /// Of the tables that said so.
    pub table_version: u32,
    /// Why the flow is in no row.
    pub refused: &'a str,
    /// Start of its slot: seconds since 1970, UTC.
    pub slot: u64,
    /// By the table of customers.
    pub src_customer: &'a str,
    /// By the table of customers.
    pub dst_customer: &'a str,
    /// By the table of exporters.
    pub exporter_name: &'a str,
    /// By the table of interfaces.
    pub in_if_name: &'a str,
    /// By the table of interfaces.
    pub out_if_name: &'a str,
}

impl<'a> Enrichment<'a> {
    /// Reads it out of a message; a field of another type than ours is somebody else's and is passed over.
    ///
    /// # Errors
    /// The first thing in it that protobuf does not allow.
    pub fn decode(message: &'a [u8]) -> Result<Enrichment<'a>, DecodeError> {
        let mut found = Enrichment::default();
        let mut cursor = Cursor::new(message);
        while let Some((number, kind)) = cursor.tag()? {
            let text = match number {
                SRC_COUNTRY => &mut found.src_country,
                DST_COUNTRY => &mut found.dst_country,
                REFUSED => &mut found.refused,
                SRC_CUSTOMER => &mut found.src_customer,
                DST_CUSTOMER => &mut found.dst_customer,
                EXPORTER_NAME => &mut found.exporter_name,
                IN_IF_NAME => &mut found.in_if_name,
                OUT_IF_NAME => &mut found.out_if_name,
                TABLE_VERSION if kind == WireType::Varint => {
                    found.table_version = low(cursor.varint()?);
                    continue;
                }
                SLOT if kind == WireType::Varint => {
                    found.slot = cursor.varint()?;
                    continue;
                }
                _ => {
                    cursor.skip(number, kind)?;
                    continue;
                }
            };
            if kind == WireType::Bytes {
                *text = std::str::from_utf8(cursor.bytes()?).unwrap_or_default();
            } else {
                cursor.skip(number, kind)?;
            }
        }
        Ok(found)
    }

    /// Appends its fields to a message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let text = |number, text: &str, out: &mut Vec<u8>| {
            if !text.is_empty() {
                put_bytes_field(number, text.as_bytes(), out);
            }
        };
        text(SRC_COUNTRY, self.src_country, out);
        text(DST_COUNTRY, self.dst_country, out);
        put_varint_field(TABLE_VERSION, u64::from(self.table_version), out);
        text(REFUSED, self.refused, out);
        put_varint_field(SLOT, self.slot, out);
        text(SRC_CUSTOMER, self.src_customer, out);
        text(DST_CUSTOMER, self.dst_customer, out);
        text(EXPORTER_NAME, self.exporter_name, out);
        text(IN_IF_NAME, self.in_if_name, out);
        text(OUT_IF_NAME, self.out_if_name, out);
    }
}

impl EnrichedFlow {
    /// Appends the flow as one message.
    pub fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) {
        let unknown = self.flow.sampling_rate == 0;
        let flow = Flow {
            src_as: self.src_as,
            dst_as: self.dst_as,
            time_received_ns: self.received_ns,
            sampling_rate: self.rate(),
            sampling_rate_assumed: unknown,
            ..self.flow
        };
        flow.encode(dialect, out);
        let texts = self.texts().map(text_shown);
        let [
            src_customer,
            dst_customer,
            exporter_name,
            in_if_name,
            out_if_name,
        ] = &texts;
        Enrichment {
            src_country: &country_code(self.src_country),
            dst_country: &country_code(self.dst_country),
            table_version: self.table_version,
            refused: self.verdict.refused(),
            slot: self.slot_secs,
            src_customer,
            dst_customer,
            exporter_name,
            in_if_name,
            out_if_name,
        }
        .encode(out);
    }

    /// Appends the flow as one message with its length in front. `scratch` is overwritten.
    pub fn encode_delimited(&self, dialect: Dialect, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        scratch.clear();
        self.encode(dialect, scratch);
        put_varint(scratch.len() as u64, out);
        out.extend_from_slice(scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowCore, Verdict, country_number, learn_text};

    fn enriched() -> EnrichedFlow {
        let flow = Flow {
            src_as: 1,
            dst_as: 2,
            bytes: 9,
            time_received_ns: 5,
            ..Flow::default()
        };
        EnrichedFlow {
            flow,
            src_as: 64_496,
            dst_as: 2,
            received_ns: 1_700_000_000_000_000_007,
            slot_secs: 300,
            src_country: country_number("DE"),
            dst_customer: learn_text("Bäckerei").unwrap(),
            out_if_name: learn_text("xe-0/0/1").unwrap(),
            table_version: 3,
            verdict: Verdict::TooLate,
            ..EnrichedFlow::default()
        }
    }

    #[test]
    fn the_plain_decoders_find_the_better_values() {
        for dialect in [Dialect::Goflow2, Dialect::Goflow] {
            let (mut scratch, mut chain) = (Vec::new(), Vec::new());
            enriched().encode_delimited(dialect, &mut scratch, &mut chain);
            assert_eq!(usize::from(chain[0]), scratch.len(), "one byte of length");
            assert_eq!(chain[1..], scratch);
            let flow = Flow::decode(&scratch).unwrap();
            assert_eq!((flow.src_as, flow.dst_as, flow.bytes), (64_496, 2, 9));
            assert_eq!((flow.sampling_rate, flow.sampling_rate_assumed), (1, true));
            let core = FlowCore::decode(&scratch).unwrap();
            assert_eq!(core.sampling_rate, 0, "unknown, as it was");
            assert_eq!(core.received_ns / 1_000_000_000, 1_700_000_000);
        }
    }

    #[test]
    fn our_fields_stand_at_the_end() {
        let mut message = Vec::new();
        enriched().encode(Dialect::Goflow2, &mut message);
        // Tags by hand: 1011 << 3 | 2 = 8090 is 9a 3f, and so on; no field 1012, since there is no country.
        let ours = [
            &[0x9a, 0x3f, 2][..],
            b"DE",
            &[0xa8, 0x3f, 3, 0xb2, 0x3f, 8],
            b"too_late",
            &[0xb8, 0x3f, 0xac, 0x02, 0xca, 0x3f, 9],
            "Bäckerei".as_bytes(),
            &[0xe2, 0x3f, 8],
            b"xe-0/0/1",
        ];
        assert!(message.ends_with(&ours.concat()), "{message:02x?}");
        let read = Enrichment::decode(&message).unwrap();
        let wanted = Enrichment {
            src_country: "DE",
            table_version: 3,
            refused: "too_late",
            slot: 300,
            dst_customer: "Bäckerei",
            out_if_name: "xe-0/0/1",
            ..Enrichment::default()
        };
        assert_eq!(read, wanted);
        // Somebody else's field 1014: a number. And one that is cut short.
        assert_eq!(
            Enrichment::decode(&[0xb0, 0x3f, 8]),
            Ok(Enrichment::default())
        );
        assert!(Enrichment::decode(&[0xb2, 0x3f, 8]).is_err());
    }
}
