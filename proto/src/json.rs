//! A flow as one JSON object with goflow2's field names, generated from the field table.
//!
//! Zero and absent values are left out, but for the type; EtherType and protocol are named where they have a common
//! name, else numbers; times are ns since 1970.

use std::fmt::Write;

use crate::Flow;
use crate::names::{etype_name, proto_name};
use crate::value::{Addr, FlowType, List, Mac};

/// A kind of field as JSON; `None` if it is absent.
trait Json {
    fn json(&self, out: &mut String) -> bool;
}

/// Writing to a `String` does not fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    _ = out.write_fmt(text);
}

impl Json for u64 {
    fn json(&self, out: &mut String) -> bool {
        if *self != 0 {
            put(out, format_args!("{self}"));
        }
        *self != 0
    }
}

impl Json for u32 {
    fn json(&self, out: &mut String) -> bool {
        u64::from(*self).json(out)
    }
}

impl Json for bool {
    fn json(&self, out: &mut String) -> bool {
        if *self {
            out.push_str("true");
        }
        *self
    }
}

impl Json for Mac {
    fn json(&self, out: &mut String) -> bool {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        if self.0 != 0 {
            put(
                out,
                format_args!("\"{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}\""),
            );
        }
        self.0 != 0
    }
}

impl Json for FlowType {
    fn json(&self, out: &mut String) -> bool {
        put(out, format_args!("\"{}\"", self.name()));
        true
    }
}

impl Json for Addr {
    fn json(&self, out: &mut String) -> bool {
        if let Some(ip) = self.to_ip() {
            put(out, format_args!("\"{ip}\""));
        }
        self.is_set()
    }
}

impl<const N: usize> Json for List<N> {
    fn json(&self, out: &mut String) -> bool {
        if self.as_slice().is_empty() {
            return false;
        }
        put(out, format_args!("{:?}", self.as_slice()));
        true
    }
}

/// An EtherType or protocol number, by its name if it has one.
struct Named {
    number: u32,
    name: Option<&'static str>,
}

impl Json for Named {
    fn json(&self, out: &mut String) -> bool {
        match self.name {
            Some(name) if self.number != 0 => {
                put(out, format_args!("\"{name}\""));
                true
            }
            _ => self.number.json(out),
        }
    }
}

/// A value as it is shown; most show themselves.
macro_rules! shown {
    (20, $value:expr) => {
        Named {
            number: $value,
            name: proto_name($value),
        }
    };
    (30, $value:expr) => {
        Named {
            number: $value,
            name: etype_name($value),
        }
    };
    ($number:literal, $value:expr) => {
        $value
    };
}

/// Writes `"name":value,` unless the value is absent.
fn field(name: &str, value: &impl Json, out: &mut String) {
    let start = out.len();
    put(out, format_args!("\"{name}\":"));
    if value.json(out) {
        out.push(',');
    } else {
        out.truncate(start);
    }
}

macro_rules! flow_json {
    ($($number:tt $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
        impl Flow {
            /// Appends the flow as one JSON object, without a line end.
            pub fn write_json(&self, out: &mut String) {
                out.push('{');
                $(field($json, &shown!($number, self.$name), out);)*
                field("ip_flags", &self.ip_flags, out);
                field("time_received_ns", &self.time_received_ns, out);
                field("time_flow_start_ns", &self.time_flow_start_ns, out);
                field("time_flow_end_ns", &self.time_flow_end_ns, out);
                // The type is always there, so there is a comma to replace.
                out.pop();
                out.push('}');
            }
        }
    };
}
crate::flow_fields!(flow_json);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_texts_and_numbers_and_nothing_that_is_absent() {
        let mut flow = Flow {
            type_: FlowType::Ipfix,
            src_addr: Addr::v4([192, 0, 2, 1]),
            dst_addr: Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            bytes: u64::MAX,
            proto: 6,
            etype: 0x0800,
            src_mac: Mac(0x0200_0000_00ff),
            time_received_ns: 7,
            sampling_rate_assumed: true,
            ..Flow::default()
        };
        flow.as_path.push(1);
        flow.as_path.push(4_294_967_295);
        let mut line = String::new();
        flow.write_json(&mut line);
        assert_eq!(
            line,
            "{\"type\":\"IPFIX\",\"src_addr\":\"192.0.2.1\",\"dst_addr\":\"2001:db8::1\",\
             \"bytes\":18446744073709551615,\"proto\":\"TCP\",\"src_mac\":\"02:00:00:00:00:ff\",\
             \"etype\":\"IPv4\",\"as_path\":[1, 4294967295],\"sampling_rate_assumed\":true,\
             \"time_received_ns\":7}"
        );
        let mut line = String::new();
        Flow {
            proto: 253,
            etype: 0x88cc,
            ..Flow::default()
        }
        .write_json(&mut line);
        assert_eq!(
            line,
            "{\"type\":\"FLOWUNKNOWN\",\"proto\":253,\"etype\":35020}"
        );
    }
}
