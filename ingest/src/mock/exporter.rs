//! `UdpExporter`: one exporter's datagrams over UDP, at a rate, from a socket of its own.
//!
//! To a target on loopback every exporter sends from a loopback address of its own, as the collector tells exporters
//! apart by address. Law: it sends to its target and nothing else; what it counts as sent was handed to the system.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flow_proto::Flow;

use super::encoder::Encoder;

/// More flows than any datagram holds: with so many waiting, the next one is full.
const FULL: usize = 40;
/// Flows wait so long for their datagram to fill.
const PATIENCE_NS: u64 = 200_000_000;
/// Time between two looks at what is due.
const STEP: Duration = Duration::from_millis(5);

/// Flows due by a rate, with time as an argument.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    flows_per_second: u64,
    begun_ns: u64,
    taken: u64,
}

impl Pace {
    /// Begins at `now_ns`.
    pub fn new(flows_per_second: u64, now_ns: u64) -> Pace {
        Pace {
            flows_per_second,
            begun_ns: now_ns,
            taken: 0,
        }
    }

    /// Flows due at `now_ns` and not yet taken, at most those of one second: who was held up does not catch up at
    /// once, but goes on from there.
    pub fn due(&mut self, now_ns: u64) -> u64 {
        let elapsed = u128::from(now_ns.saturating_sub(self.begun_ns));
        let all = elapsed * u128::from(self.flows_per_second) / 1_000_000_000;
        let due = u64::try_from(all)
            .unwrap_or(u64::MAX)
            .saturating_sub(self.taken);
        if due > self.flows_per_second {
            (self.begun_ns, self.taken) = (now_ns, 0);
            return self.flows_per_second;
        }
        self.taken += due;
        due
    }
}

/// What has been sent; may be read while it is being sent.
#[derive(Debug, Default)]
pub struct Sent {
    datagrams: AtomicU64,
    flows: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    /// Datagrams.
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// Flows in them.
    pub fn flows(&self) -> u64 {
        self.flows.load(Ordering::Relaxed)
    }

    /// Bytes of them, without UDP and IP headers.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// One exporter.
pub struct UdpExporter {
    socket: UdpSocket,
    target: SocketAddr,
    encoder: Box<dyn Encoder>,
    waiting: Vec<Flow>,
    waiting_since_ns: u64,
    datagram: Vec<u8>,
    sent: Arc<Sent>,
}

impl UdpExporter {
    /// Binds its socket. Exporter `index` sends to `target` from a loopback address of its own if that is IPv4
    /// loopback, else from any address and a port of its own.
    ///
    /// # Errors
    /// The system's, on binding.
    pub fn open(
        target: SocketAddr,
        index: u32,
        encoder: Box<dyn Encoder>,
    ) -> io::Result<UdpExporter> {
        let source = match target.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(loopback(index)),
            IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Ok(UdpExporter {
            socket: UdpSocket::bind(SocketAddr::new(source, 0))?,
            target,
            encoder,
            waiting: Vec::new(),
            waiting_since_ns: 0,
            datagram: Vec::new(),
            sent: Arc::default(),
        })
    }

    /// The address it sends from.
    ///
    /// # Errors
    /// The system's.
    pub fn source(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What it has sent, also while `run` runs.
    pub fn sent(&self) -> Arc<Sent> {
        Arc::clone(&self.sent)
    }

    /// Takes `due` flows at `now_ns`, moves them to that time, and sends the datagrams that are full or old enough.
    /// False: `flows` has ended.
    ///
    /// # Errors
    /// The system's, on sending.
    pub fn step(
        &mut self,
        now_ns: u64,
        due: u64,
        flows: &mut dyn Iterator<Item = Flow>,
    ) -> io::Result<bool> {
        for _ in 0..due {
            let Some(mut flow) = flows.next() else {
                self.flush(now_ns)?;
                return Ok(false);
            };
            move_to(&mut flow, now_ns);
            if self.waiting.is_empty() {
                self.waiting_since_ns = now_ns;
            }
            self.waiting.push(flow);
            if self.waiting.len() >= FULL {
                self.send(now_ns)?;
            }
        }
        if now_ns.saturating_sub(self.waiting_since_ns) >= PATIENCE_NS {
            self.flush(now_ns)?;
        }
        Ok(true)
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// The system's, on sending.
    pub fn flush(&mut self, now_ns: u64) -> io::Result<()> {
        while !self.waiting.is_empty() {
            self.send(now_ns)?;
        }
        Ok(())
    }

    /// Sends at `flows_per_second` until `flows` ends or `stop` is set, then what still waits.
    ///
    /// # Errors
    /// The system's, on sending.
    pub fn run(
        &mut self,
        flows: &mut dyn Iterator<Item = Flow>,
        flows_per_second: u64,
        clock: &dyn Fn() -> u64,
        stop: &AtomicBool,
    ) -> io::Result<()> {
        let mut pace = Pace::new(flows_per_second, clock());
        while !stop.load(Ordering::Relaxed) {
            let now_ns = clock();
            if !self.step(now_ns, pace.due(now_ns), flows)? {
                return Ok(());
            }
            std::thread::sleep(STEP);
        }
        self.flush(clock())
    }

    fn send(&mut self, now_ns: u64) -> io::Result<()> {
        let taken = self
            .encoder
            .encode(&self.waiting, now_ns, &mut self.datagram);
        self.socket.send_to(&self.datagram, self.target)?;
        self.sent.datagrams.fetch_add(1, Ordering::Relaxed);
        self.sent.flows.fetch_add(taken as u64, Ordering::Relaxed);
        self.sent
            .bytes
            .fetch_add(self.datagram.len() as u64, Ordering::Relaxed);
        // An encoder that takes nothing would hold this up for ever.
        self.waiting.drain(..taken.clamp(1, self.waiting.len()));
        self.waiting_since_ns = now_ns;
        Ok(())
    }
}

/// 127.0.0.2 and up; .0, .1 and the last ones of each block are left out.
fn loopback(index: u32) -> Ipv4Addr {
    let [.., middle, low] = (index / 250).to_be_bytes();
    Ipv4Addr::new(127, middle, low, 2 + u8::try_from(index % 250).unwrap_or(0))
}

/// As if received at `now_ns`, start and end as long before as they were.
fn move_to(flow: &mut Flow, now_ns: u64) {
    let by_ns = |time_ns: u64| now_ns.saturating_sub(flow.time_received_ns.saturating_sub(time_ns));
    (flow.time_flow_start_ns, flow.time_flow_end_ns) =
        (by_ns(flow.time_flow_start_ns), by_ns(flow.time_flow_end_ns));
    flow.time_received_ns = now_ns;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{Device, Generator, Options, encoder};
    use crate::wire::{Decoder, Limits};
    use flow_proto::{Addr, FlowType};

    #[test]
    fn a_pace_is_exact_and_does_not_rush_after_a_pause() {
        let mut pace = Pace::new(1000, 0);
        assert_eq!(
            (1..=200)
                .map(|step| pace.due(step * 5_000_000))
                .sum::<u64>(),
            1000
        );
        assert_eq!(pace.due(60_000_000_000), 1000);
        assert_eq!(pace.due(60_500_000_000), 500);
    }

    #[test]
    fn exporters_on_loopback_have_addresses_of_their_own() {
        let mut all: Vec<_> = (0..60_000).map(loopback).collect();
        assert_eq!(all[0], Ipv4Addr::new(127, 0, 0, 2));
        assert!(all.iter().all(|address| address.is_loopback()));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 60_000);
    }

    #[test]
    fn what_it_counts_arrives_decoded() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let target = receiver.local_addr().unwrap();
        let options = Options {
            protocol: Some(FlowType::NetflowV9),
            ..Options::default()
        };
        let device = Device {
            address: Addr::NONE,
            domain: 7,
            sampling_rate: 100,
            started_ns: 1_000_000_000,
        };
        let mut exporter =
            UdpExporter::open(target, 3, encoder(FlowType::NetflowV9, device).unwrap()).unwrap();
        let mut flows = Generator::new(options, &[]).take(100);
        assert!(exporter.step(2_000_000_000, 70, &mut flows).unwrap());
        assert!(!exporter.step(3_000_000_000, 70, &mut flows).unwrap());
        let (mut decoder, mut decoded) = (Decoder::new(Limits::default()), Vec::new());
        let mut buffer = [0; 2000];
        for _ in 0..exporter.sent().datagrams() {
            let (bytes, from) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!(from, exporter.source().unwrap());
            assert_eq!(from.ip(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5)));
            decoder.decode(from.ip().into(), 1, &buffer[..bytes], &mut decoded);
        }
        assert_eq!(exporter.sent().flows(), 100);
        assert_eq!(decoded.len(), 100);
        assert!(decoded.iter().all(|flow| flow.sampling_rate == 100));
    }
}
