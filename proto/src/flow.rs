//! `Flow`: one flow record or packet sample after decoding, flat and of fixed size.
//!
//! Generated from the field table, so that no field is named twice; the three times stand here because their
//! wire form depends on the dialect. A field that is zero, unset or `Addr::NONE` is absent.

use crate::value::{Addr, FlowType, List, Mac};

macro_rules! flow_struct {
    ($($number:literal $name:ident: $kind:ty, $json:literal, $doc:literal;)*) => {
        /// One flow record or packet sample, as the exporter sent it.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Flow {
            /// When the collector took the datagram from the socket: ns since 1970, UTC.
            pub time_received_ns: u64,
            /// First packet as sent: ns since 1970, UTC; 0: absent.
            pub time_flow_start_ns: u64,
            /// Last packet as sent: ns since 1970, UTC; 0: absent.
            pub time_flow_end_ns: u64,
            /// IPv4 flags (3 bits); goflow2's field 38.
            pub ip_flags: u32,
            $(#[doc = $doc] pub $name: $kind,)*
        }
    };
}
crate::flow_fields!(flow_struct);
