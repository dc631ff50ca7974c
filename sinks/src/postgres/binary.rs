//! Rows in the binary format of COPY, written straight into the message that is sent.
//!
//! A row of a rollup costs the server two microseconds; a client that builds a `dyn ToSql` per value would cost as
//! much again. Law: a number that a column cannot hold is an error that names it, unless the column's kind says that
//! the largest stands for it.

use bytes::{BufMut, BytesMut};

use crate::columns::{Kind, Value};

/// PostgreSQL counts time from 2000-01-01. Seconds since 1970.
const EPOCH_2000_SECS: i64 = 946_684_800;
/// First moment that its calendar does not reach (year 294277). Microseconds since 2000.
const END_MICROS: i64 = 9_223_371_331_200_000_000;

/// A type of the server, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// `integer`: a larger number stands at the largest.
    Int4,
    /// `bigint`.
    Int8,
    /// `text`.
    Text,
    /// `boolean`.
    Bool,
    /// `timestamp` with or without time zone, in UTC.
    Timestamp,
    /// `inet`.
    Inet,
    /// `jsonb`.
    Jsonb,
}

impl Wire {
    /// The type in which a kind is stored.
    pub(super) fn of(kind: Kind) -> Wire {
        match kind {
            Kind::Seconds | Kind::Nanoseconds => Wire::Timestamp,
            Kind::U32 | Kind::U64 | Kind::Counter => Wire::Int8,
            Kind::Country | Kind::Text => Wire::Text,
            Kind::Boolean => Wire::Bool,
            Kind::NumberList => Wire::Jsonb,
            Kind::Address => Wire::Inet,
        }
    }

    /// Its name, as `format_type` gives it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Wire::Int4 => "integer",
            Wire::Int8 => "bigint",
            Wire::Text => "text",
            Wire::Bool => "boolean",
            Wire::Timestamp => "timestamp with time zone",
            Wire::Inet => "inet",
            Wire::Jsonb => "jsonb",
        }
    }
}

/// A value that its column cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) String);

/// Begins a row of so many values.
pub(super) fn begin(buffer: &mut BytesMut, values: usize) {
    buffer.put_u16(u16::try_from(values).unwrap_or(u16::MAX));
}

/// The next value.
pub(super) fn put(
    buffer: &mut BytesMut,
    kind: Kind,
    wire: Wire,
    value: &Value,
) -> Result<(), Unfit> {
    match (wire, value) {
        (_, Value::Null) => buffer.put_i32(-1),
        (Wire::Int8, Value::Number(number)) => {
            let held = match i64::try_from(*number) {
                Ok(held) => held,
                Err(_) if kind == Kind::Counter => i64::MAX,
                Err(_) => return Err(above(*number)),
            };
            buffer.put_i32(8);
            buffer.put_i64(held);
        }
        (Wire::Int4, Value::Number(number)) => {
            buffer.put_i32(4);
            buffer.put_i32(i32::try_from(*number).unwrap_or(i32::MAX));
        }
        (Wire::Timestamp, Value::Number(number)) => {
            buffer.put_i32(8);
            buffer.put_i64(micros(kind, *number).ok_or_else(|| above(*number))?);
        }
        (Wire::Text, Value::Text(text)) => {
            put_length(buffer, text.len())?;
            buffer.put_slice(text.as_bytes());
        }
        (Wire::Jsonb, Value::Text(text)) => {
            put_length(buffer, text.len() + 1)?;
            // The version of the format.
            buffer.put_u8(1);
            buffer.put_slice(text.as_bytes());
        }
        (Wire::Bool, Value::Boolean(yes)) => {
            buffer.put_i32(1);
            buffer.put_u8(u8::from(*yes));
        }
        (Wire::Inet, Value::Address(address)) => match address.as_v4() {
            // Family (2: IPv4, 3: IPv6, whatever the system's numbers are), bits of the prefix, no `cidr`, length.
            Some(v4) => {
                buffer.put_i32(8);
                buffer.put_slice(&[2, 32, 0, 4]);
                buffer.put_slice(&v4);
            }
            None => {
                buffer.put_i32(20);
                buffer.put_slice(&[3, 128, 0, 16]);
                buffer.put_slice(&address.0);
            }
        },
        (wire, value) => return Err(Unfit(format!("{value:?} is no {}", wire.name()))),
    }
    Ok(())
}

/// Microseconds since 2000.
fn micros(kind: Kind, number: u64) -> Option<i64> {
    let micros_1970 = if kind == Kind::Nanoseconds {
        i64::try_from(number / 1000).ok()?
    } else {
        i64::try_from(number).ok()?.checked_mul(1_000_000)?
    };
    let micros = micros_1970.checked_sub(EPOCH_2000_SECS * 1_000_000)?;
    (micros < END_MICROS).then_some(micros)
}

fn put_length(buffer: &mut BytesMut, length: usize) -> Result<(), Unfit> {
    let length = i32::try_from(length).map_err(|_| Unfit(format!("{length} bytes of text")))?;
    buffer.put_i32(length);
    Ok(())
}

fn above(number: u64) -> Unfit {
    Unfit(format!(
        "{number} is above the largest that PostgreSQL holds; use another store"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_proto::Addr;

    fn bytes(kind: Kind, wire: Wire, value: &Value) -> Result<Vec<u8>, Unfit> {
        let mut buffer = BytesMut::new();
        put(&mut buffer, kind, wire, value)?;
        Ok(buffer.to_vec())
    }

    #[test]
    fn values_stand_as_the_manual_says() {
        let held = |kind, wire, value: &Value| bytes(kind, wire, value).unwrap();
        assert_eq!(
            held(Kind::U64, Wire::Int8, &Value::Number(258)),
            [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2]
        );
        assert_eq!(held(Kind::U64, Wire::Int8, &Value::Null), [255; 4]);
        // 2000-01-01 00:00:01.
        assert_eq!(
            held(Kind::Seconds, Wire::Timestamp, &Value::Number(946_684_801)),
            [0, 0, 0, 8, 0, 0, 0, 0, 0, 15, 66, 64]
        );
        assert_eq!(
            held(
                Kind::Nanoseconds,
                Wire::Timestamp,
                &Value::Number(946_684_800_000_001_999)
            ),
            [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        let address = Value::Address(Addr::v4([192, 0, 2, 1]));
        assert_eq!(
            held(Kind::Address, Wire::Inet, &address),
            [0, 0, 0, 8, 2, 32, 0, 4, 192, 0, 2, 1]
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error_or_the_largest_as_its_kind_says() {
        let large = Value::Number(u64::MAX);
        assert!(bytes(Kind::U64, Wire::Int8, &large).is_err());
        assert!(bytes(Kind::Seconds, Wire::Timestamp, &large).is_err());
        assert!(
            bytes(
                Kind::Seconds,
                Wire::Timestamp,
                &Value::Number(9_300_000_000_000)
            )
            .is_err()
        );
        assert!(bytes(Kind::U32, Wire::Bool, &large).is_err());
        // Every nanosecond that 64 bits count is within its calendar.
        assert!(bytes(Kind::Nanoseconds, Wire::Timestamp, &large).is_ok());
        assert_eq!(
            bytes(Kind::Counter, Wire::Int8, &large).unwrap()[4..],
            i64::MAX.to_be_bytes()
        );
        assert_eq!(
            bytes(Kind::U32, Wire::Int4, &Value::Number(1 << 31)).unwrap()[4..],
            i32::MAX.to_be_bytes()
        );
    }
}
