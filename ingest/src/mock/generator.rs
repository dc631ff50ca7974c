//! `Generator`: an endless, seeded stream of flows over simulated time.
//!
//! Few own networks talk with many others, popularity after Zipf, IPv4 and IPv6, several exporters of different
//! protocols and sampling rates.
//! Law: the stream is a function of the options and blocks alone; the n-th flow is received at
//! `from + n / flows_per_second`, unless disorder was asked for.

use flow_proto::{Addr, Flow, FlowType};

use super::address::{AddressBlock, Popular};
use super::chance::Chance;
use super::model;

/// Sampling rates of exporters, in turn; all fit NetFlow v5's 14 bits.
const RATES: [u64; 6] = [1024, 512, 2048, 100, 4096, 1];
const TYPES: [FlowType; 4] = [
    FlowType::Sflow5,
    FlowType::NetflowV5,
    FlowType::NetflowV9,
    FlowType::Ipfix,
];
const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Number of exporters; at least 1.
    pub exporters: u32,
    /// Number of the first one: two generators with exporters of their own don't share any.
    pub first_exporter: u32,
    /// Exporters, counted from the first, whose sampling rate is not known.
    pub unknown_rate_exporters: u32,
    /// The protocol of all exporters; `None`: all four in turn.
    pub protocol: Option<FlowType>,
    /// Flows per second of simulated time, of all exporters together; at least 1.
    pub flows_per_second: u64,
    /// Receive time of the first flow: ns since 1970.
    pub from_ns: u64,
    /// Flows that are not as they should be.
    pub disorder: Disorder,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            exporters: 4,
            first_exporter: 0,
            unknown_rate_exporters: 0,
            protocol: None,
            flows_per_second: 1000,
            from_ns: 0,
            disorder: Disorder::default(),
        }
    }
}

/// How many flows of a million are out of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Received up to nine minutes before (still within what a reader trusts).
    pub late_ppm: u32,
    /// Received up to nine minutes ahead.
    pub early_ppm: u32,
    /// With more bytes than a flow can have (2^51 and more, scaled).
    pub implausible_ppm: u32,
    /// With a receive time that is absurd: absent, long ago, far ahead.
    pub poisoned_ppm: u32,
}

/// Blocks by side, for one family.
#[derive(Clone, Debug)]
struct Sides {
    own: Popular,
    foreign: Popular,
}

impl Sides {
    fn of(blocks: &[AddressBlock], ipv4: bool) -> Option<Sides> {
        let family = || {
            blocks
                .iter()
                .copied()
                .filter(|b| b.first.as_v4().is_some() == ipv4)
        };
        let all = || Popular::of(family());
        Some(Sides {
            own: Popular::of(family().filter(|b| b.own)).or_else(all)?,
            foreign: Popular::of(family().filter(|b| !b.own)).or_else(all)?,
        })
    }
}

/// The stream. Never ends; use `take`.
#[derive(Clone, Debug)]
pub struct Generator {
    options: Options,
    chance: Chance,
    ipv4: Option<Sides>,
    ipv6: Option<Sides>,
    generated: u64,
    now_ns: u64,
}

impl Generator {
    /// Draws addresses from `blocks`, one in five from those of IPv6. Without any, flows have no addresses.
    pub fn new(options: Options, blocks: &[AddressBlock]) -> Generator {
        let ipv4 = Sides::of(blocks, true);
        let options = Options {
            exporters: options.exporters.max(1),
            flows_per_second: options.flows_per_second.max(1),
            ..options
        };
        Generator {
            options,
            chance: Chance::new(options.seed),
            ipv4,
            ipv6: Sides::of(blocks, false),
            generated: 0,
            now_ns: options.from_ns,
        }
    }

    /// Simulated time: when the last flow came in, whatever it says itself.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The sampling rate of an exporter, counted from 0; `None`: it is unknown.
    pub fn rate(options: &Options, exporter: u32) -> Option<u64> {
        let known = exporter >= options.unknown_rate_exporters;
        let at = usize::try_from(exporter).unwrap_or(0) % RATES.len();
        RATES.get(at).copied().filter(|_| known)
    }

    /// The address of an exporter, counted over all generators.
    pub fn address(exporter: u32) -> Addr {
        let [_, high, middle, low] = exporter.to_be_bytes();
        match (high, middle, low) {
            (0, 0, 0..=253) => Addr::v4([192, 0, 2, low + 1]),
            _ => Addr::v4([10, 192 | (high & 63), middle, low]),
        }
    }

    fn exporter(&mut self, flow: &mut Flow) -> u32 {
        let options = &self.options;
        let exporter = self.chance.below_u32(options.exporters);
        let turn = usize::try_from(exporter).unwrap_or(0) % TYPES.len();
        let by_turn = TYPES.get(turn).copied().unwrap_or_default();
        flow.type_ = options.protocol.unwrap_or(by_turn);
        flow.sampling_rate = Generator::rate(options, exporter).unwrap_or(1);
        flow.sampling_rate_assumed = exporter < options.unknown_rate_exporters;
        let number = options.first_exporter.saturating_add(exporter);
        flow.sampler_address = Generator::address(number);
        number
    }

    /// Returns whether the flow goes to a server on our side or theirs.
    fn endpoints(&mut self, flow: &mut Flow) -> bool {
        let ipv6 = self
            .ipv6
            .as_ref()
            .filter(|_| flow.type_ != FlowType::NetflowV5);
        let one_in_five = self.chance.below(5) == 0;
        let (sides, etype) = match (&self.ipv4, ipv6) {
            (Some(ipv4), None) => (ipv4, 0x0800),
            (Some(ipv4), Some(_)) if !one_in_five => (ipv4, 0x0800),
            (_, Some(ipv6)) => (ipv6, 0x86dd),
            (None, None) => return false,
        };
        let (own, foreign) = (
            sides.own.draw(&mut self.chance),
            sides.foreign.draw(&mut self.chance),
        );
        let (ours, theirs) = (own.host(&mut self.chance), foreign.host(&mut self.chance));
        flow.etype = etype;
        // Two of three flows come in: own networks mostly read.
        let inward = self.chance.below(3) < 2;
        if inward {
            (flow.src_addr, flow.src_as) = (theirs, foreign.asn);
            (flow.dst_addr, flow.dst_as) = (ours, own.asn);
        } else {
            (flow.src_addr, flow.src_as) = (ours, own.asn);
            (flow.dst_addr, flow.dst_as) = (theirs, foreign.asn);
        }
        if flow.type_ == FlowType::NetflowV5 {
            // Two bytes of AS number: AS_TRANS stands for what does not fit (RFC 6793).
            let short = |asn: u32| if asn > 0xffff { 23_456 } else { asn };
            (flow.src_as, flow.dst_as) = (short(flow.src_as), short(flow.dst_as));
        }
        !inward
    }

    fn times(&mut self, flow: &mut Flow) {
        flow.time_received_ns = self.now_ns;
        if flow.type_ == FlowType::Sflow5 {
            (flow.time_flow_start_ns, flow.time_flow_end_ns) = (self.now_ns, self.now_ns);
            return;
        }
        // Exporters keep milliseconds; a flow is exported within a second of its end.
        let now_ms = self.now_ns / 1_000_000;
        let end_ms = now_ms.saturating_sub(self.chance.below(1000));
        let lasted_ms = self
            .chance
            .below(if flow.packets < 8 { 500 } else { 30_000 });
        flow.time_flow_end_ns = end_ms * 1_000_000;
        flow.time_flow_start_ns = end_ms.saturating_sub(lasted_ms) * 1_000_000;
    }

    fn disorder(&mut self, flow: &mut Flow) {
        let disorder = self.options.disorder;
        if disorder == Disorder::default() {
            return;
        }
        let chance = &mut self.chance;
        if chance.happens(disorder.late_ppm) {
            let by_ns = chance.below(9 * MINUTE_NS);
            flow.time_received_ns = flow.time_received_ns.saturating_sub(by_ns).max(1);
        } else if chance.happens(disorder.early_ppm) {
            flow.time_received_ns += chance.below(9 * MINUTE_NS);
        }
        if chance.happens(disorder.implausible_ppm) {
            flow.bytes = (1 << 51) + chance.below(1 << 50);
        }
        if chance.happens(disorder.poisoned_ppm) {
            flow.time_received_ns = chance.one_of(&[0, SECOND_NS, u64::MAX, u64::MAX / 2]);
        }
    }
}

impl Iterator for Generator {
    type Item = Flow;

    fn next(&mut self) -> Option<Flow> {
        let rate = self.options.flows_per_second;
        let (secs, rest) = (self.generated / rate, self.generated % rate);
        // Below 2^64 for any rate up to 18 G flows/s.
        self.now_ns = self.options.from_ns + secs * SECOND_NS + rest * SECOND_NS / rate;
        let mut flow = Flow::default();
        let exporter = self.exporter(&mut flow);
        let to_server = self.endpoints(&mut flow);
        model::headers(&mut flow, to_server, &mut self.chance);
        model::sizes(&mut flow, &mut self.chance);
        model::routing(&mut flow, exporter, &mut self.chance);
        self.times(&mut flow);
        self.disorder(&mut flow);
        // About thirty flows a datagram.
        flow.sequence_num = u32::try_from((self.generated / 30) & 0xffff_ffff).unwrap_or(0);
        self.generated += 1;
        Some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "10.0.0.0,10.0.255.255,64496\n198.51.100.0,198.51.100.255,65000\n\
                       203.0.113.0,203.0.113.255,4200000001\n2001:db8::,2001:db8::ffff,64496\n\
                       2001:db8:1::,2001:db8:1::ffff,65001";

    fn generator(options: Options) -> Generator {
        Generator::new(
            options,
            &AddressBlock::parse(CSV, &(64_496..=64_503)).unwrap(),
        )
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let some = |seed| {
            generator(Options {
                seed,
                ..Options::default()
            })
            .take(500)
            .collect::<Vec<_>>()
        };
        assert_eq!(some(3), some(3));
        assert_ne!(some(3), some(4));
    }

    #[test]
    fn flows_are_as_promised() {
        let options = Options {
            exporters: 8,
            unknown_rate_exporters: 1,
            flows_per_second: 10_000,
            from_ns: 1_700_000_000 * SECOND_NS,
            ..Options::default()
        };
        let flows: Vec<_> = generator(options).take(100_000).collect();
        let share = |what: &dyn Fn(&Flow) -> bool| flows.iter().filter(|f| what(f)).count() / 1000;
        assert!((14..22).contains(&share(&|f| f.etype == 0x86dd)));
        assert!((70..79).contains(&share(&|f| f.proto == 6)));
        assert!((11..15).contains(&share(&|f| f.sampling_rate_assumed)));
        assert!((20..30).contains(&share(&|f| f.type_ == FlowType::NetflowV5)));
        assert_eq!(
            flows.last().map(|f| f.time_received_ns),
            Some(1_700_000_009_999_900_000)
        );
        for flow in &flows {
            let own = |asn: u32| asn == 64_496;
            assert!(own(flow.src_as) != own(flow.dst_as), "{flow:?}");
            assert!(flow.src_addr.is_set() && flow.dst_addr.is_set() && flow.sampling_rate > 0);
            assert!(flow.bytes >= 40 * flow.packets && flow.bytes <= 1514 * flow.packets);
            assert!(
                flow.type_ != FlowType::NetflowV5 || flow.etype == 0x0800 && flow.src_as < 65_536
            );
            assert!(flow.time_flow_start_ns <= flow.time_flow_end_ns);
            assert!(flow.time_flow_end_ns <= flow.time_received_ns);
        }
    }

    #[test]
    fn disorder_comes_in_the_measure_asked_for() {
        let disorder = Disorder {
            late_ppm: 100_000,
            early_ppm: 100_000,
            implausible_ppm: 10_000,
            poisoned_ppm: 10_000,
        };
        let from_ns = 1_700_000_000 * SECOND_NS;
        let mut flows = generator(Options {
            disorder,
            from_ns,
            ..Options::default()
        });
        let mut seen = [0_u32; 4];
        for _ in 0..100_000 {
            let flow = flows.next().unwrap();
            let (now, at) = (flows.now_ns(), flow.time_received_ns);
            let poisoned = at.abs_diff(now) > 10 * MINUTE_NS;
            seen[0] += u32::from(!poisoned && at < now);
            seen[1] += u32::from(!poisoned && at > now);
            seen[2] += u32::from(flow.bytes > 1 << 50);
            seen[3] += u32::from(poisoned);
        }
        assert!((9_000..11_000).contains(&seen[0]), "{seen:?}");
        assert!((8_000..10_000).contains(&seen[1]), "{seen:?}");
        assert!(
            (800..1_200).contains(&seen[2]) && (800..1_200).contains(&seen[3]),
            "{seen:?}"
        );
    }

    #[test]
    fn exporters_have_addresses_of_their_own() {
        let mut all: Vec<_> = (0..70_000).map(Generator::address).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 70_000);
    }
}
