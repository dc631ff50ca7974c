//! The encoder, generated from the field table.
//!
//! Zero and absent values are left out, as in proto3; IPv4 addresses are 4 bytes, IPv6 addresses 16.

use crate::Flow;
use crate::dialect::{Dialect, encode_times};
use crate::value::{Addr, FlowType, List, Mac};
use crate::wire::{put_bytes_field, put_tag, put_varint, put_varint_field, varint_len};

/// A kind of field as it is written.
trait Put {
    fn put(&self, number: u32, out: &mut Vec<u8>);
}

impl Put for u32 {
    #[inline]
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_varint_field(number, u64::from(*self), out);
    }
}

impl Put for u64 {
    #[inline]
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_varint_field(number, *self, out);
    }
}

impl Put for bool {
    #[inline]
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_varint_field(number, u64::from(*self), out);
    }
}

impl Put for Mac {
    #[inline]
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_varint_field(number, self.0, out);
    }
}

impl Put for FlowType {
    #[inline]
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_varint_field(number, *self as u64, out);
    }
}

impl Put for Addr {
    #[inline]
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if !self.is_set() {
            return;
        }
        match self.as_v4() {
            Some(v4) => put_bytes_field(number, &v4, out),
            None => put_bytes_field(number, &self.0, out),
        }
    }
}

impl<const N: usize> Put for List<N> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if self.as_slice().is_empty() {
            return;
        }
        put_tag(number, 2, out);
        let length: usize = self.as_slice().iter().map(|item| varint_len(*item)).sum();
        put_varint(length as u64, out);
        for item in self.as_slice() {
            put_varint(u64::from(*item), out);
        }
    }
}

macro_rules! flow_encoder {
    ($($number:literal $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
        impl Flow {
            /// Appends the flow as one message.
            pub fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) {
                encode_times(self, dialect, out);
                $(self.$name.put($number, out);)*
            }
        }
    };
}
crate::flow_fields!(flow_encoder);

impl Flow {
    /// Appends the flow as one message with its length in front.
    pub fn encode_delimited(&self, dialect: Dialect, out: &mut Vec<u8>) {
        let start = out.len();
        // Nearly every message is shorter than 16,384 bytes: its length takes one byte or two.
        out.extend_from_slice(&[0, 0]);
        self.encode(dialect, out);
        let message = start + 2;
        let length = out.len() - message;
        match out.get_mut(start..message) {
            Some([low, high]) if (128..=16_383).contains(&length) => {
                *low = (length & 0x7f) as u8 | 0x80;
                *high = (length >> 7) as u8;
            }
            Some([low, _]) if length < 128 => {
                *low = length as u8;
                out.copy_within(message.., start + 1);
                out.truncate(start + 1 + length);
            }
            _ => {
                let mut prefix = Vec::with_capacity(5);
                put_varint(length as u64, &mut prefix);
                out.splice(start..message, prefix);
            }
        }
    }
}
