//! The one table of flow fields: number, name and kind of every `FlowMessage` field we read or write.
//!
//! `Flow`, the encoder, the full decoder and the JSON lines are all generated from it, and a test compares
//! it with `schema/flow.proto`. A field is added here and nowhere else.
//!
//! Law: numbers are goflow2's; the five whose number or unit differs between dialects (2, 5, 38, 110-112)
//! are not in the table but in `dialect.rs`.

/// Hands the table to the macro `$apply`: `number name: Kind, "doc";` for each field.
///
/// Kinds: `FlowType`, `u32`, `u64`, `bool`, `Addr` (4 or 16 bytes), `Mac`, `List<N>` (repeated u32, packed).
#[macro_export]
macro_rules! flow_fields {
    ($apply:ident) => {
        $apply! {
            1 type_: FlowType, "type", "Protocol that carried the flow.";
            3 sampling_rate: u64, "sampling_rate", "Packets per sampled packet; 0: unknown.";
            4 sequence_num: u32, "sequence_num", "Sequence number in the datagram's header.";
            6 src_addr: Addr, "src_addr", "Source address.";
            7 dst_addr: Addr, "dst_addr", "Destination address.";
            9 bytes: u64, "bytes", "Bytes as sent by the exporter, not scaled by the sampling rate.";
            10 packets: u64, "packets", "Packets as sent by the exporter, not scaled by the sampling rate.";
            11 sampler_address: Addr, "sampler_address", "Exporter: UDP source, for sFlow the agent address.";
            12 next_hop: Addr, "next_hop", "Next hop of the route.";
            13 next_hop_as: u32, "next_hop_as", "AS of the next hop.";
            14 src_as: u32, "src_as", "Source AS as sent by the exporter.";
            15 dst_as: u32, "dst_as", "Destination AS as sent by the exporter.";
            16 src_net: u32, "src_net", "Prefix length of the source.";
            17 dst_net: u32, "dst_net", "Prefix length of the destination.";
            18 in_if: u32, "in_if", "Input interface index.";
            19 out_if: u32, "out_if", "Output interface index.";
            20 proto: u32, "proto", "IP protocol number.";
            21 src_port: u32, "src_port", "Source port.";
            22 dst_port: u32, "dst_port", "Destination port.";
            23 ip_tos: u32, "ip_tos", "IPv4 type of service or IPv6 traffic class.";
            24 forwarding_status: u32, "forwarding_status", "IE 89 (RFC 7270 4.12).";
            25 ip_ttl: u32, "ip_ttl", "Time to live or hop limit.";
            26 tcp_flags: u32, "tcp_flags", "Union of TCP flags.";
            27 src_mac: Mac, "src_mac", "Source MAC address.";
            28 dst_mac: Mac, "dst_mac", "Destination MAC address.";
            29 vlan_id: u32, "vlan_id", "VLAN id, 12 bits.";
            30 etype: u32, "etype", "EtherType: 0x0800 IPv4, 0x86dd IPv6.";
            31 icmp_type: u32, "icmp_type", "ICMP type.";
            32 icmp_code: u32, "icmp_code", "ICMP code.";
            33 src_vlan: u32, "src_vlan", "VLAN on the input side.";
            34 dst_vlan: u32, "dst_vlan", "VLAN on the output side.";
            35 fragment_id: u32, "fragment_id", "IP identification.";
            36 fragment_offset: u32, "fragment_offset", "Fragment offset, 13 bits.";
            37 ipv6_flow_label: u32, "ipv6_flow_label", "IPv6 flow label.";
            39 ingress_vrf_id: u32, "ingress_vrf_id", "IE 234.";
            40 egress_vrf_id: u32, "egress_vrf_id", "IE 235.";
            42 flow_direction: u32, "flow_direction", "IE 61: 0 ingress, 1 egress.";
            70 observation_domain_id: u32, "observation_domain_id", "Exporter's own subdivision.";
            71 observation_point_id: u32, "observation_point_id", "IE 138.";
            80 mpls_ttl: List<6>, "mpls_ttl", "TTLs of the MPLS stack, top first.";
            81 mpls_label: List<6>, "mpls_label", "Labels of the MPLS stack, top first.";
            100 bgp_next_hop: Addr, "bgp_next_hop", "BGP next hop.";
            101 bgp_communities: List<12>, "bgp_communities", "BGP communities, the first twelve.";
            102 as_path: List<12>, "as_path", "First segment of the AS path, the first twelve hops.";
            1010 sampling_rate_assumed: bool, "sampling_rate_assumed", "The rate was unknown and written as 1.";
        }
    };
}
