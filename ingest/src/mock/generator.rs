//! `Generator`: a seeded, endless stream of flows over simulated time.
//!
//! Skewed as traffic is: a few own networks against many others by Zipf's law, few ports, most flows small. What
//! faults need (late, early, implausible flows, exporters' clocks gone wrong) is mixed in by fractions.
//! Law: the n-th flow is a function of (options, blocks, n); start and end are whole milliseconds, which every
//! protocol can carry.

use flow_proto::{Addr, Flow, List, Mac};

use super::blocks::{AddressBlock, BlocksError};
use super::distribution::{Chance, Weighted};
use crate::wire::Protocol;

const SECOND_NS: u64 = 1_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;
/// Receive times are trusted within 10 minutes of the record's: late and early ones stay within 9.
const SHIFT_NS: u64 = 9 * 60 * SECOND_NS;
/// Start and end as sent of a late flow: beyond any usual allowed lateness.
const VERY_LATE_NS: u64 = 2 * 3_600 * SECOND_NS;

/// What a generator makes.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorOptions {
    /// Another seed, other flows.
    pub seed: u64,
    /// Routers, 100.64.0.1 and on (RFC 6598).
    pub exporters: u32,
    /// Protocols of the routers, in turn. Flows of NetFlow v5 are IPv4 only.
    pub protocols: Vec<Protocol>,
    /// Packets per sampled packet of the routers, in turn; 0: they do not tell.
    pub sampling_rates: Vec<u32>,
    /// Flows per second of simulated time.
    pub flows_per_second: u64,
    /// Receive time of the first flow: ns since 1970.
    pub from_ns: u64,
    /// Fraction of IPv6.
    pub ipv6: f64,
    /// Fraction received up to 9 min before its record's time; start and end as sent 2 h before.
    pub late: f64,
    /// Fraction received up to 9 min after its record's time.
    pub early: f64,
    /// Fraction whose bytes exceed 2^50.
    pub implausible: f64,
    /// Fraction whose receive time is 1 to 30 days off, to either side.
    pub poisoned: f64,
}

impl Default for GeneratorOptions {
    /// Ten routers of sFlow, NetFlow v9 and IPFIX, 10,000 flows/s, 20 % IPv6, no faults.
    fn default() -> GeneratorOptions {
        GeneratorOptions {
            seed: 1,
            exporters: 10,
            protocols: vec![Protocol::Sflow5, Protocol::NetflowV9, Protocol::Ipfix],
            sampling_rates: vec![1_000, 1_000, 100, 2_048, 1],
            flows_per_second: 10_000,
            from_ns: 0,
            ipv6: 0.2,
            late: 0.0,
            early: 0.0,
            implausible: 0.0,
            poisoned: 0.0,
        }
    }
}

/// A service: protocol, server's port (0: any), packet size towards the client, weight.
const SERVICES: [(u32, u32, u64, u64); 10] = [
    (6, 443, 1_380, 42),
    (17, 443, 1_250, 22),
    (6, 80, 1_400, 8),
    (17, 53, 180, 9),
    (6, 22, 240, 2),
    (6, 25, 700, 2),
    (17, 123, 76, 2),
    (17, 4_500, 1_100, 3),
    (6, 0, 900, 7),
    (1, 0, 84, 3),
];

/// Blocks of one side and family, the most popular first.
#[derive(Clone, Debug)]
struct Pool {
    blocks: Vec<AddressBlock>,
    zipf: Weighted,
}

impl Pool {
    fn new(all: &[AddressBlock], wanted: impl Fn(&AddressBlock) -> bool) -> Pool {
        let blocks: Vec<_> = all.iter().copied().filter(wanted).collect();
        let zipf = Weighted::zipf(blocks.len());
        Pool { blocks, zipf }
    }

    /// An address and its AS.
    fn draw(&self, chance: &mut Chance) -> (Addr, u32) {
        let Some(block) = self.blocks.get(self.zipf.draw(chance)) else {
            return (Addr::NONE, 0);
        };
        let first = u128::from_be_bytes(block.first.0);
        let span = u128::from_be_bytes(block.last.0) - first;
        // The cube of a uniform draw: busy hosts. Where there is room for them, each in a /64 of its own.
        let draw = chance.fraction();
        let most = span.min(0xffff) as f64 + 1.0;
        let host = (draw * draw * draw * most) as u128;
        let offset = if span >> 80 > 0 { host << 64 | 1 } else { host };
        (Addr((first + offset).to_be_bytes()), block.asn)
    }
}

/// One family's own and other blocks.
#[derive(Clone, Debug)]
struct Family {
    own: Pool,
    others: Pool,
}

impl Family {
    /// `None` if there is no block; if one side has none, it is the other one.
    fn new(blocks: &[AddressBlock], v4: bool) -> Option<Family> {
        let side = |own| {
            Pool::new(blocks, move |b: &AddressBlock| {
                b.first.as_v4().is_some() == v4 && b.own == own
            })
        };
        let (own, others) = (side(true), side(false));
        match (own.blocks.is_empty(), others.blocks.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Family {
                own: others.clone(),
                others,
            }),
            (false, true) => Some(Family {
                others: own.clone(),
                own,
            }),
            (false, false) => Some(Family { own, others }),
        }
    }
}

#[derive(Clone, Debug)]
struct Exporter {
    address: Addr,
    protocol: Protocol,
    sampling_rate: u32,
    sequence: u32,
}

/// Makes flows, one after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    options: GeneratorOptions,
    chance: Chance,
    v4: Option<Family>,
    v6: Option<Family>,
    services: Weighted,
    exporters: Vec<Exporter>,
    /// Simulated time of the next flow, and the fraction of a nanosecond in units of 1/flows_per_second.
    now_ns: u64,
    fraction: u64,
}

impl Generator {
    /// A generator before its first flow.
    ///
    /// # Errors
    /// If there is no block.
    pub fn new(
        options: GeneratorOptions,
        blocks: &[AddressBlock],
    ) -> Result<Generator, BlocksError> {
        let (v4, v6) = (Family::new(blocks, true), Family::new(blocks, false));
        if v4.is_none() && v6.is_none() {
            return Err(BlocksError::Empty);
        }
        let turn = |list: &[u32], at: u32| {
            let place = at as usize % list.len().max(1);
            list.get(place).copied().unwrap_or(0)
        };
        let exporters = (0..options.exporters.clamp(1, 1 << 20)).map(|at| Exporter {
            address: Addr::v4((0x6440_0001 + at).to_be_bytes()),
            protocol: *options
                .protocols
                .get(at as usize % options.protocols.len().max(1))
                .unwrap_or(&Protocol::Ipfix),
            sampling_rate: turn(&options.sampling_rates, at),
            sequence: 0,
        });
        Ok(Generator {
            chance: Chance::new(options.seed),
            v4,
            v6,
            services: Weighted::new(SERVICES.iter().map(|service| service.3)),
            exporters: exporters.collect(),
            now_ns: options.from_ns,
            fraction: 0,
            options,
        })
    }

    /// Simulated time of the next flow, before faults: ns since 1970.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The next flow. Without end; a rate that an exporter does not tell is 0.
    // Not an `Iterator`: that would promise an end, and wrap each flow.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Flow {
        let mut flow = self.exported();
        self.addresses(&mut flow);
        self.traffic(&mut flow);
        self.times(&mut flow);
        self.faults(&mut flow);
        self.step();
        flow
    }

    fn step(&mut self) {
        let per_second = self.options.flows_per_second.max(1);
        self.now_ns += SECOND_NS / per_second;
        self.fraction += SECOND_NS % per_second;
        if self.fraction >= per_second {
            self.fraction -= per_second;
            self.now_ns += 1;
        }
    }

    fn exported(&mut self) -> Flow {
        let at = self.chance.below(self.exporters.len() as u64) as usize;
        let ifs = self.chance.bits();
        let Some(exporter) = self.exporters.get_mut(at) else {
            return Flow::default();
        };
        exporter.sequence = exporter.sequence.wrapping_add(1);
        let in_if = 1 + (ifs & 15) as u32;
        let vlan = 100 + (ifs >> 8 & 7) as u32;
        Flow {
            type_: exporter.protocol.flow_type(),
            sampler_address: exporter.address,
            sampling_rate: u64::from(exporter.sampling_rate),
            sequence_num: exporter.sequence,
            in_if,
            out_if: 17 + (ifs >> 4 & 15) as u32,
            vlan_id: vlan,
            src_vlan: vlan,
            dst_vlan: 200 + (ifs >> 16 & 7) as u32,
            // Locally administered (IEEE 802, second bit of the first octet).
            src_mac: Mac(0x0200_0000_0000 | u64::from(in_if) << 24 | at as u64),
            dst_mac: Mac(0x0200_0000_0000 | (ifs >> 20 & 0xff) << 32 | at as u64),
            ..Flow::default()
        }
    }

    fn addresses(&mut self, flow: &mut Flow) {
        let only_v4 = flow.type_ == flow_proto::FlowType::NetflowV5;
        let wants_v6 = self.chance.fraction() < self.options.ipv6 && !only_v4;
        let direction = self.chance.below(100);
        let (family, v6) = match (&self.v4, &self.v6) {
            (_, Some(family)) if wants_v6 => (family, true),
            (Some(family), _) => (family, false),
            (None, Some(family)) => (family, true),
            (None, None) => return,
        };
        // Most of what an access network sees comes in; a little stays inside.
        let (from, to) = match direction {
            0..62 => (&family.others, &family.own),
            62..94 => (&family.own, &family.others),
            _ => (&family.own, &family.own),
        };
        (flow.src_addr, flow.src_as) = from.draw(&mut self.chance);
        (flow.dst_addr, flow.dst_as) = to.draw(&mut self.chance);
        flow.flow_direction = u32::from(direction >= 62);
        flow.etype = if v6 { 0x86dd } else { 0x0800 };
        (flow.src_net, flow.dst_net) = if v6 { (36, 48) } else { (12, 24) };
        flow.next_hop = gateway(v6, flow.out_if as u8);
        flow.bgp_next_hop = gateway(v6, 0x80 | flow.out_if as u8);
        flow.next_hop_as = flow.dst_as;
        flow.as_path = List::default();
        flow.as_path.push(flow.dst_as);
    }

    fn traffic(&mut self, flow: &mut Flow) {
        let service = SERVICES.get(self.services.draw(&mut self.chance));
        let (proto, port, size, _) = service.copied().unwrap_or((6, 443, 1_380, 1));
        let bits = self.chance.bits();
        let client = 1_024 + (bits & 0x7fff) as u32;
        let server = if port == 0 {
            1_024 + (bits >> 16 & 0x7fff) as u32
        } else {
            port
        };
        // Two thirds of the flows go to the client; what goes to the server is smaller.
        let to_client = bits >> 32 & 3 != 0;
        let v6 = flow.etype == 0x86dd;
        flow.proto = if proto == 1 && v6 { 58 } else { proto };
        flow.ip_ttl = 48 + (bits >> 34 & 15) as u32;
        flow.ip_tos = if bits >> 38 & 15 == 0 { 0xb8 } else { 0 };
        flow.ipv6_flow_label = if v6 {
            (bits >> 44) as u32 & 0xf_ffff
        } else {
            0
        };
        flow.fragment_id = if v6 { 0 } else { (bits >> 48) as u32 };
        match proto {
            1 => flow.icmp_type = if v6 { 128 } else { 8 },
            _ if to_client => (flow.src_port, flow.dst_port) = (server, client),
            _ => (flow.src_port, flow.dst_port) = (client, server),
        }
        if proto == 6 {
            flow.tcp_flags = if bits >> 42 & 3 == 0 { 0x02 } else { 0x1b };
        }
        let packet_bytes = if to_client { size } else { 60 + size / 12 };
        let sampled = flow.type_ == flow_proto::FlowType::Sflow5;
        flow.packets = if sampled {
            1
        } else {
            self.chance.pareto(50_000)
        };
        flow.bytes = flow.packets * (packet_bytes - (bits >> 52) % (packet_bytes / 4));
    }

    fn times(&mut self, flow: &mut Flow) {
        flow.time_received_ns = self.now_ns;
        if flow.type_ == flow_proto::FlowType::Sflow5 {
            (flow.time_flow_start_ns, flow.time_flow_end_ns) = (self.now_ns, self.now_ns);
            return;
        }
        let end_ms = (self.now_ns / MILLISECOND_NS).saturating_sub(self.chance.below(1_000));
        let longest_ms = 20 * flow.packets.min(3_000) + 1;
        let start_ms = end_ms.saturating_sub(self.chance.below(longest_ms));
        flow.time_flow_start_ns = start_ms * MILLISECOND_NS;
        flow.time_flow_end_ns = end_ms * MILLISECOND_NS;
    }

    fn faults(&mut self, flow: &mut Flow) {
        let received_ns = flow.time_received_ns;
        if self.chance.happens(self.options.late) {
            flow.time_received_ns = received_ns.saturating_sub(self.chance.below(SHIFT_NS));
            flow.time_flow_start_ns = flow.time_flow_start_ns.saturating_sub(VERY_LATE_NS);
            flow.time_flow_end_ns = flow.time_flow_end_ns.saturating_sub(VERY_LATE_NS);
        } else if self.chance.happens(self.options.early) {
            flow.time_received_ns = received_ns + self.chance.below(SHIFT_NS);
        } else if self.chance.happens(self.options.poisoned) {
            let off_ns = DAY_NS + self.chance.below(29 * DAY_NS);
            flow.time_received_ns = match self.chance.below(2) {
                0 => received_ns.saturating_sub(off_ns),
                _ => received_ns + off_ns,
            };
        }
        if self.chance.happens(self.options.implausible) {
            flow.bytes = (1 << 50) + 1;
        }
    }
}

/// A neighbour's address on the interface.
fn gateway(v6: bool, interface: u8) -> Addr {
    if v6 {
        let [mut address @ .., _] = [0u8; 17];
        (address[0], address[1], address[15]) = (0xfe, 0x80, interface);
        Addr(address)
    } else {
        Addr::v4([100, 127, 0, interface])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::blocks_from_csv;

    fn generator(options: GeneratorOptions) -> Generator {
        let own: Vec<u32> = (64496..=64503).collect();
        let csv = include_str!("../../../tables/demo/asn.csv");
        Generator::new(options, &blocks_from_csv(csv, &own).unwrap()).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_flows() {
        let take = |seed| {
            let mut generator = generator(GeneratorOptions {
                seed,
                ..Default::default()
            });
            (0..1_000).map(|_| generator.next()).collect::<Vec<_>>()
        };
        assert_eq!(take(7), take(7));
        assert_ne!(take(7), take(8));
    }

    #[test]
    fn flows_look_like_traffic() {
        let from_ns = 1_700_000_000 * SECOND_NS;
        let options = GeneratorOptions {
            flows_per_second: 3_000,
            from_ns,
            ..GeneratorOptions::default()
        };
        let mut generator = generator(options);
        let flows: Vec<Flow> = (0..30_000).map(|_| generator.next()).collect();
        assert_eq!(generator.now_ns(), from_ns + 10 * SECOND_NS);
        let share = |wanted: &dyn Fn(&Flow) -> bool| {
            flows.iter().filter(|flow| wanted(flow)).count() as f64 / flows.len() as f64
        };
        let own = |asn: u32| (64496..=64503).contains(&asn);
        assert!((0.19..0.21).contains(&share(&|flow| flow.etype == 0x86dd)));
        assert!((0.99..=1.0).contains(&share(&|flow| own(flow.src_as) || own(flow.dst_as))));
        assert!((0.01..0.1).contains(&share(&|flow| own(flow.src_as) && own(flow.dst_as))));
        assert!(share(&|flow| flow.time_flow_start_ns > flow.time_flow_end_ns) == 0.0);
        assert!(share(&|flow| flow.bytes < 40 * flow.packets) == 0.0);
        let mut exporters: Vec<Addr> = flows.iter().map(|flow| flow.sampler_address).collect();
        exporters.sort_unstable();
        exporters.dedup();
        assert_eq!(exporters.len(), 10);
    }

    #[test]
    fn faults_come_in_their_fractions() {
        let options = GeneratorOptions {
            from_ns: 1_700_000_000 * SECOND_NS,
            poisoned: 0.1,
            implausible: 0.05,
            ..GeneratorOptions::default()
        };
        let mut generator = generator(options);
        let (mut poisoned, mut implausible) = (0, 0);
        for _ in 0..20_000 {
            let now_ns = generator.now_ns();
            let flow = generator.next();
            poisoned += u32::from(flow.time_received_ns.abs_diff(now_ns) >= DAY_NS);
            implausible += u32::from(flow.bytes > 1 << 50);
        }
        assert!((1_800..2_200).contains(&poisoned), "{poisoned}");
        assert!((850..1_150).contains(&implausible), "{implausible}");
    }
}
