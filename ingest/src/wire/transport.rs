//! Ports, TCP flags, ICMP type and code of a sampled packet.
//!
//! Law: what the capture still holds is taken: ports need four bytes, flags fourteen.

use flow_proto::Flow;

use super::reader::Reader;

/// Fills the flow from the header that follows IP; `proto` is the IP protocol number.
pub(super) fn decode(proto: u8, reader: &mut Reader<'_>, flow: &mut Flow) {
    match proto {
        // TCP, UDP, DCCP, SCTP, UDP-Lite begin with their ports.
        6 | 17 | 33 | 132 | 136 => {
            let (Some(source), Some(destination)) = (reader.u16(), reader.u16()) else {
                return;
            };
            flow.src_port = u32::from(source);
            flow.dst_port = u32::from(destination);
            // RFC 9293 3.1: the flags follow sequence, acknowledgement and offset.
            if proto == 6
                && let Some([.., flags]) = reader.array::<10>()
            {
                flow.tcp_flags = u32::from(flags);
            }
        }
        1 | 58 => {
            if let Some([kind, code]) = reader.array() {
                flow.icmp_type = u32::from(kind);
                flow.icmp_code = u32::from(code);
            }
        }
        _ => {}
    }
}
