//! Values as RowBinary, ClickHouse's format of plain bytes: numbers little-endian, text with its length before it.
//!
//! A row is encoded in one pass into the buffer that is sent. Law: a value stands as its column's type in `ddl` says;
//! what the type does not reach stands at its end, and what may not be cut is refused before by the caller.

use crate::columns::{Column, Kind, Value};

/// Appends the value of a column.
pub(super) fn encode(column: &Column, value: &Value, out: &mut Vec<u8>) {
    if column.nullable {
        out.push(u8::from(*value == Value::Null));
        if *value == Value::Null {
            return;
        }
    }
    match value {
        Value::Number(number) => encode_number(column.kind, *number, out),
        Value::Text(text) => {
            encode_length(text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Boolean(yes) => out.push(u8::from(*yes)),
        Value::Address(address) => out.extend_from_slice(&address.0),
        // A column that may not be absent and yet is: the type's zero.
        Value::Null => encode_number(column.kind, 0, out),
    }
}

fn encode_number(kind: Kind, number: u64, out: &mut Vec<u8>) {
    match kind {
        Kind::Seconds | Kind::U32 => {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Kind::Nanoseconds => {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            out.extend_from_slice(&number.to_le_bytes());
        }
        _ => out.extend_from_slice(&number.to_le_bytes()),
    }
}

/// LEB128, as ClickHouse's `UVarInt`.
fn encode_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    while rest >= 0x80 {
        // The low seven bits fit by the mask.
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kind: Kind, nullable: bool, value: Value) -> Vec<u8> {
        let column = Column {
            name: "x",
            kind,
            key: false,
            nullable,
        };
        let mut out = Vec::new();
        encode(&column, &value, &mut out);
        out
    }

    #[test]
    fn bytes_are_those_of_the_format() {
        assert_eq!(bytes(Kind::U32, false, Value::Number(258)), [2, 1, 0, 0]);
        assert_eq!(bytes(Kind::U32, false, Value::Number(1 << 40)), [255; 4]);
        assert_eq!(
            bytes(Kind::Seconds, true, Value::Number(1)),
            [0, 1, 0, 0, 0]
        );
        assert_eq!(bytes(Kind::Seconds, true, Value::Null), [1]);
        assert_eq!(
            bytes(Kind::Counter, false, Value::Number(u64::MAX)),
            [255; 8]
        );
        assert_eq!(
            bytes(Kind::Nanoseconds, false, Value::Number(u64::MAX)),
            i64::MAX.to_le_bytes()
        );
        assert_eq!(
            bytes(Kind::Text, false, Value::Text("ab".into())),
            *b"\x02ab"
        );
        let long = bytes(Kind::Text, false, Value::Text("x".repeat(300)));
        assert_eq!((&long[..2], long.len()), (&[0xac, 0x02][..], 302));
        assert_eq!(bytes(Kind::Boolean, false, Value::Boolean(true)), [1]);
    }
}
