//! `FlowCore`: what decides a row, decoded straight from a message's bytes.
//!
//! The job's hot path: a hand-written partial decoder, several times faster than a full one. Law: for every message
//! it gives what prost's full decoder gives, and fails where that fails; a property test holds the two together.
//! The three schemas clash in one number: 38 is `ip_flags` iff 110 is present anywhere, else the start in seconds;
//! 110-112 (ns) win over 2, 38, 5 (s).

use crate::decode::check_skipped;
use crate::dialect::Times;
use crate::value::Addr;
use crate::wire::{Cursor, DecodeError, WireType};

/// The part of a flow that the job works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCore {
    /// When the collector took the datagram: ns since 1970; 0: absent.
    pub received_ns: u64,
    /// First packet as sent: ns since 1970; 0: absent.
    pub start_ns: u64,
    /// Last packet as sent: ns since 1970; 0: absent.
    pub end_ns: u64,
    /// Bytes as sent.
    pub bytes: u64,
    /// Packets as sent.
    pub packets: u64,
    /// Packets per sampled packet; 0: unknown, also if the message says that its rate was assumed.
    pub sampling_rate: u64,
    /// Source address.
    pub src_addr: Addr,
    /// Destination address.
    pub dst_addr: Addr,
    /// Source AS as sent.
    pub src_as: u32,
    /// Destination AS as sent.
    pub dst_as: u32,
    /// EtherType.
    pub etype: u32,
}

impl FlowCore {
    /// Decodes one message.
    ///
    /// # Errors
    /// The first thing in it that protobuf does not allow, in fields that are skipped as well.
    #[inline]
    pub fn decode(message: &[u8]) -> Result<FlowCore, DecodeError> {
        let mut flow = FlowCore::default();
        let mut times = Times::default();
        let mut assumed = false;
        let mut cursor = Cursor::new(message);
        while let Some((number, kind)) = cursor.tag()? {
            match (number, kind) {
                (3, WireType::Varint) => flow.sampling_rate = cursor.varint()?,
                (6, WireType::Bytes) => flow.src_addr = address(cursor.bytes()?),
                (7, WireType::Bytes) => flow.dst_addr = address(cursor.bytes()?),
                (9, WireType::Varint) => flow.bytes = cursor.varint()?,
                (10, WireType::Varint) => flow.packets = cursor.varint()?,
                (14, WireType::Varint) => flow.src_as = low(cursor.varint()?),
                (15, WireType::Varint) => flow.dst_as = low(cursor.varint()?),
                (30, WireType::Varint) => flow.etype = low(cursor.varint()?),
                (1010, WireType::Varint) => assumed = cursor.varint()? != 0,
                (time, kind) if Times::has(time) => times.take(time, kind, || cursor.varint())?,
                (number, kind) => check_skipped(&mut cursor, number, kind)?,
            }
        }
        (flow.received_ns, flow.start_ns, flow.end_ns) = times.nanoseconds();
        if assumed {
            flow.sampling_rate = 0;
        }
        Ok(flow)
    }
}

/// As protobuf does with a value above the field's 32 bits: the low ones count.
#[inline]
fn low(value: u64) -> u32 {
    (value & 0xffff_ffff).try_into().unwrap_or(0)
}

/// An address of another length is no address: the flow still counts.
#[inline]
fn address(bytes: &[u8]) -> Addr {
    Addr::from_wire(bytes).unwrap_or(Addr::NONE)
}
