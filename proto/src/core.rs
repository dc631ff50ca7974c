//! `FlowCore`: what decides a row, decoded straight from a message's bytes.
//!
//! The job's hot path: a hand-written partial decoder, several times faster than a full one. Law: for every message
//! it gives what prost's full decoder gives, and fails where that fails; a property test holds the two together.
//! The three schemas clash in one number: 38 is `ip_flags` iff 110 is present anywhere, else the start in seconds;
//! 110-112 (ns) win over 2, 38, 5 (s).

use crate::decode::check_skipped;
use crate::dialect::Times;
use crate::value::Addr;
use crate::wire::{Cursor, DecodeError, WireType, low};

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
    /// Exporter.
    pub exporter: Addr,
    /// Source AS as sent.
    pub src_as: u32,
    /// Destination AS as sent.
    pub dst_as: u32,
    /// EtherType.
    pub etype: u32,
}

/// What is done with a field, by its tag: one look-up instead of a tree of comparisons.
#[derive(Clone, Copy)]
enum Action {
    /// Unknown, a list, or of the wrong type: read with all checks.
    Other,
    SkipVarint,
    SkipBytes,
    SamplingRate,
    SrcAddr,
    DstAddr,
    Exporter,
    Bytes,
    Packets,
    SrcAs,
    DstAs,
    Etype,
    ReceivedSecs,
    EndSecs,
    StartSecsOrFlags,
    ReceivedNs,
    StartNs,
    EndNs,
}

/// Tags of fields below 128.
const TAGS: usize = 128 << 3;
const VARINT: usize = 0;
const BYTES: usize = 2;

/// How a field that is not wanted is skipped, by its kind in the table.
macro_rules! skipping {
    ($actions:ident, $number:literal, Addr) => {
        $actions[$number << 3 | BYTES] = Action::SkipBytes
    };
    // Packed numbers are checked one by one.
    ($actions:ident, $number:literal, List<$n:literal>) => {};
    ($actions:ident, 1010, bool) => {};
    ($actions:ident, $number:literal, $kind:ident) => {
        $actions[$number << 3 | VARINT] = Action::SkipVarint
    };
}

macro_rules! flow_actions {
    ($($number:tt $name:ident: $kind:ident $(<$n:literal>)?, $json:literal, $doc:literal;)*) => {
        const fn actions() -> [Action; TAGS] {
            let mut actions = [Action::Other; TAGS];
            $(skipping!(actions, $number, $kind $(<$n>)?);)*
            actions[3 << 3 | VARINT] = Action::SamplingRate;
            actions[6 << 3 | BYTES] = Action::SrcAddr;
            actions[7 << 3 | BYTES] = Action::DstAddr;
            actions[9 << 3 | VARINT] = Action::Bytes;
            actions[10 << 3 | VARINT] = Action::Packets;
            actions[11 << 3 | BYTES] = Action::Exporter;
            actions[14 << 3 | VARINT] = Action::SrcAs;
            actions[15 << 3 | VARINT] = Action::DstAs;
            actions[30 << 3 | VARINT] = Action::Etype;
            actions[2 << 3 | VARINT] = Action::ReceivedSecs;
            actions[5 << 3 | VARINT] = Action::EndSecs;
            actions[38 << 3 | VARINT] = Action::StartSecsOrFlags;
            actions[110 << 3 | VARINT] = Action::ReceivedNs;
            actions[111 << 3 | VARINT] = Action::StartNs;
            actions[112 << 3 | VARINT] = Action::EndNs;
            actions
        }
    };
}
crate::flow_fields!(flow_actions);

static ACTIONS: [Action; TAGS] = actions();

/// What is known of the message while it is being read.
#[derive(Default)]
struct Reading {
    flow: FlowCore,
    times: Times,
    assumed: bool,
}

impl FlowCore {
    /// Decodes one message.
    ///
    /// # Errors
    /// The first thing in it that protobuf does not allow, in fields that are skipped as well.
    #[inline]
    pub fn decode(message: &[u8]) -> Result<FlowCore, DecodeError> {
        let mut reading = Reading::default();
        let mut cursor = Cursor::new(message);
        loop {
            let (tag, rest) = match cursor.rest {
                [] => break,
                [tag, rest @ ..] if *tag < 0x80 => (usize::from(*tag), rest),
                [low, high, rest @ ..] if *high < 0x80 => {
                    (usize::from(*low & 0x7f) | usize::from(*high) << 7, rest)
                }
                _ => (TAGS, cursor.rest),
            };
            match ACTIONS.get(tag) {
                None | Some(Action::Other) => reading.other(&mut cursor)?,
                Some(action) => {
                    cursor.rest = rest;
                    reading.take(*action, &mut cursor)?;
                }
            }
        }
        Ok(reading.finish())
    }
}

impl Reading {
    #[inline]
    fn take(&mut self, action: Action, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let Reading { flow, times, .. } = self;
        match action {
            Action::Other => {}
            Action::SkipVarint => drop(cursor.varint()?),
            Action::SkipBytes => drop(cursor.bytes()?),
            Action::SamplingRate => flow.sampling_rate = cursor.varint()?,
            Action::SrcAddr => flow.src_addr = address(cursor.bytes()?),
            Action::DstAddr => flow.dst_addr = address(cursor.bytes()?),
            Action::Exporter => flow.exporter = address(cursor.bytes()?),
            Action::Bytes => flow.bytes = cursor.varint()?,
            Action::Packets => flow.packets = cursor.varint()?,
            Action::SrcAs => flow.src_as = low(cursor.varint()?),
            Action::DstAs => flow.dst_as = low(cursor.varint()?),
            Action::Etype => flow.etype = low(cursor.varint()?),
            Action::ReceivedSecs => times.set(2, cursor.varint()?),
            Action::EndSecs => times.set(5, cursor.varint()?),
            Action::StartSecsOrFlags => times.set(38, cursor.varint()?),
            Action::ReceivedNs => times.set(110, cursor.varint()?),
            Action::StartNs => times.set(111, cursor.varint()?),
            Action::EndNs => times.set(112, cursor.varint()?),
        }
        Ok(())
    }

    /// The field that the cursor stands before, with all checks that a full decoder makes.
    #[inline(never)]
    fn other(&mut self, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        match cursor.tag()? {
            None => Ok(()),
            Some((1010, WireType::Varint)) => {
                self.assumed = cursor.varint()? != 0;
                Ok(())
            }
            // Tags may be longer than they need be.
            Some((number, kind)) => match ACTIONS.get(tag_of(number, kind)) {
                None | Some(Action::Other) if Times::has(number) => Err(DecodeError::WireType),
                None | Some(Action::Other) => check_skipped(cursor, number, kind),
                Some(action) => self.take(*action, cursor),
            },
        }
    }

    fn finish(self) -> FlowCore {
        let mut flow = self.flow;
        (flow.received_ns, flow.start_ns, flow.end_ns) = self.times.nanoseconds();
        if self.assumed {
            flow.sampling_rate = 0;
        }
        flow
    }
}

/// The place of a field's action.
fn tag_of(number: u32, kind: WireType) -> usize {
    let kind = match kind {
        WireType::Varint => VARINT,
        WireType::Bytes => BYTES,
        WireType::Fixed64 => 1,
        WireType::GroupStart => 3,
        WireType::GroupEnd => 4,
        WireType::Fixed32 => 5,
    };
    usize::try_from(number).map_or(TAGS, |number| number << 3 | kind)
}

/// An address of another length is no address: the flow still counts.
#[inline]
fn address(bytes: &[u8]) -> Addr {
    Addr::from_wire(bytes).unwrap_or(Addr::NONE)
}
