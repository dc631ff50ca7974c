//! The full decoder, generated from the field table.
//!
//! Unknown fields are skipped; the last value of a field wins, as in proto3; repeated numbers are read packed or not.

use crate::Flow;
use crate::dialect::Times;
use crate::value::{Addr, FlowType, List, Mac};
use crate::wire::{Cursor, DecodeError, WireType, low};

/// A kind of field as it stands on the wire.
trait Kind: Sized {
    /// Reads a value over the one before.
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError>;
}

fn varint(kind: WireType, cursor: &mut Cursor<'_>) -> Result<u64, DecodeError> {
    if kind == WireType::Varint {
        cursor.varint()
    } else {
        Err(DecodeError::WireType)
    }
}

impl Kind for u32 {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        *self = low(varint(kind, cursor)?);
        Ok(())
    }
}

impl Kind for u64 {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        *self = varint(kind, cursor)?;
        Ok(())
    }
}

impl Kind for bool {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        *self = varint(kind, cursor)? != 0;
        Ok(())
    }
}

impl Kind for Mac {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        self.0.merge(kind, cursor)
    }
}

impl Kind for FlowType {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        *self = FlowType::from_number(u64::from(low(varint(kind, cursor)?)));
        Ok(())
    }
}

impl Kind for Addr {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        if kind != WireType::Bytes {
            return Err(DecodeError::WireType);
        }
        // An address of another length is no address: the flow still counts.
        *self = Addr::from_wire(cursor.bytes()?).unwrap_or(Addr::NONE);
        Ok(())
    }
}

impl<const N: usize> Kind for List<N> {
    fn merge(&mut self, kind: WireType, cursor: &mut Cursor<'_>) -> Result<(), DecodeError> {
        if kind != WireType::Bytes {
            self.push(low(varint(kind, cursor)?));
            return Ok(());
        }
        let mut packed = Cursor::new(cursor.bytes()?);
        while !packed.rest.is_empty() {
            self.push(low(packed.varint()?));
        }
        Ok(())
    }
}

macro_rules! flow_decoder {
    ($($number:literal $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
        fn merge(
            flow: &mut Flow,
            number: u32,
            kind: WireType,
            cursor: &mut Cursor<'_>,
        ) -> Result<(), DecodeError> {
            match number {
                $($number => Kind::merge(&mut flow.$name, kind, cursor),)*
                _ => cursor.skip(number, kind),
            }
        }

        /// Steps over a field that the reader does not want, with the checks that a full decoder makes.
        pub(crate) fn check_skipped(
            cursor: &mut Cursor<'_>,
            number: u32,
            kind: WireType,
        ) -> Result<(), DecodeError> {
            match number {
                $($number => Kind::merge(&mut <$kind>::default(), kind, cursor),)*
                _ => cursor.skip(number, kind),
            }
        }
    };
}
crate::flow_fields!(flow_decoder);

impl Flow {
    /// Decodes one message of either dialect.
    ///
    /// # Errors
    /// The first thing in it that protobuf does not allow.
    pub fn decode(message: &[u8]) -> Result<Flow, DecodeError> {
        let mut flow = Flow::default();
        let mut times = Times::default();
        let mut cursor = Cursor::new(message);
        while let Some((number, kind)) = cursor.tag()? {
            if Times::has(number) {
                times.take(number, kind, || cursor.varint())?;
            } else {
                merge(&mut flow, number, kind, &mut cursor)?;
            }
        }
        (
            flow.time_received_ns,
            flow.time_flow_start_ns,
            flow.time_flow_end_ns,
        ) = times.nanoseconds();
        flow.ip_flags = times.ip_flags();
        Ok(flow)
    }
}
