//! The two dialects of `FlowMessage`: what differs between goflow2's schema and GoFlow's.
//!
//! Both share all numbers but one, 38, and the units of time. We write goflow2's numbering with GoFlow's seconds
//! added, so that consumers of either read us, or wholly GoFlow's; and read either.

use crate::Flow;
use crate::wire::{DecodeError, WireType, put_varint_field};

/// How a flow is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// goflow2's numbers and nanoseconds (110-112, 38 is `ip_flags`), with seconds in 2 and 5.
    #[default]
    Goflow2,
    /// GoFlow's: seconds in 2, 5 and 38.
    Goflow,
}

const SECOND_NS: u64 = 1_000_000_000;

/// Times as they stand in either schema.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    received_secs: u64,
    end_secs: u64,
    start_secs_or_flags: u64,
    received_ns: u64,
    start_ns: u64,
    end_ns: u64,
    /// 110 is present: the message is goflow2's, and 38 is `ip_flags`.
    nanoseconds: bool,
}

impl Times {
    /// Whether this number belongs here.
    #[inline]
    pub(crate) fn has(number: u32) -> bool {
        matches!(number, 2 | 5 | 38 | 110 | 111 | 112)
    }

    /// Reads and takes the value of a field for which `has` holds.
    #[inline]
    pub(crate) fn take(
        &mut self,
        number: u32,
        kind: WireType,
        value: impl FnOnce() -> Result<u64, DecodeError>,
    ) -> Result<(), DecodeError> {
        if kind != WireType::Varint {
            return Err(DecodeError::WireType);
        }
        self.set(number, value()?);
        Ok(())
    }

    /// Takes the value of a field for which `has` holds.
    #[inline]
    pub(crate) fn set(&mut self, number: u32, value: u64) {
        match number {
            2 => self.received_secs = value,
            5 => self.end_secs = value,
            38 => self.start_secs_or_flags = value,
            110 => {
                self.received_ns = value;
                self.nanoseconds = true;
            }
            111 => self.start_ns = value,
            _ => self.end_ns = value,
        }
    }

    /// Received, start and end in ns; 110-112 win over 2, 38 and 5.
    #[inline]
    pub(crate) fn nanoseconds(&self) -> (u64, u64, u64) {
        let either = |ns: u64, secs: u64| {
            if ns != 0 {
                ns
            } else {
                secs.saturating_mul(SECOND_NS)
            }
        };
        let start_secs = if self.nanoseconds {
            0
        } else {
            self.start_secs_or_flags
        };
        (
            either(self.received_ns, self.received_secs),
            either(self.start_ns, start_secs),
            either(self.end_ns, self.end_secs),
        )
    }

    /// `ip_flags`, which only goflow2's messages have.
    pub(crate) fn ip_flags(&self) -> u32 {
        let flags = if self.nanoseconds {
            self.start_secs_or_flags & 0xffff_ffff
        } else {
            0
        };
        u32::try_from(flags).unwrap_or(0)
    }
}

/// Writes the fields that depend on the dialect.
pub(crate) fn encode_times(flow: &Flow, dialect: Dialect, out: &mut Vec<u8>) {
    put_varint_field(2, flow.time_received_ns / SECOND_NS, out);
    put_varint_field(5, flow.time_flow_end_ns / SECOND_NS, out);
    match dialect {
        Dialect::Goflow => put_varint_field(38, flow.time_flow_start_ns / SECOND_NS, out),
        Dialect::Goflow2 => {
            put_varint_field(38, u64::from(flow.ip_flags), out);
            // Present even if 0: it is what tells the two meanings of 38 apart.
            crate::wire::put_varint(110 << 3, out);
            crate::wire::put_varint(flow.time_received_ns, out);
            put_varint_field(111, flow.time_flow_start_ns, out);
            put_varint_field(112, flow.time_flow_end_ns, out);
        }
    }
}
