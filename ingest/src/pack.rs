//! `Packer`: flows to packs, packs to the partitions of a topic.
//!
//! One record a flow would cost the topic more than the flow; one pack of 16 KiB holds about a hundred. The collector
//! and the mock pack alike, by this. Time is an argument, so that simulated flows are packed as live ones are. For
//! consumers that know no packs, a pack is taken apart into one record a flow when it is written.
//! Law: a pack leaves when it is full, or when its first flow has waited for the limit; its timestamp is the time at
//! which it left, even if nobody looked just then. Spread by exporter, all flows of one are in one partition.

use flow_proto::{Addr, Dialect, Flow, Framing, PACK_HEADER, PackBuilder, messages};
use flow_topic::{NewRecord, TopicError, Writer};

/// What a record of the topic holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A pack with its header: many length-delimited messages.
    #[default]
    Packed,
    /// One length-delimited message, no header: goflow2's `-format=bin`, GoFlow's `-proto.fixedlen`.
    Delimited,
    /// One bare message, no header: GoFlow's default.
    Bare,
}

/// Which partition a flow goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Packs take turns.
    #[default]
    RoundRobin,
    /// By the exporter's address: one exporter, one partition.
    Exporter,
}

/// How flows become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What a record holds.
    pub form: Form,
    /// Numbering of the messages.
    pub dialect: Dialect,
    /// Which partition they go to.
    pub spread: Spread,
}

impl From<Dialect> for Shape {
    fn from(dialect: Dialect) -> Shape {
        Shape {
            dialect,
            ..Shape::default()
        }
    }
}

/// When a pack is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At this size, bytes.
    pub bytes: usize,
    /// That long after its first flow, nanoseconds.
    pub age_ns: u64,
}

impl Default for Limits {
    /// 16 KiB or 50 ms.
    fn default() -> Limits {
        Limits {
            bytes: 16 << 10,
            age_ns: 50_000_000,
        }
    }
}

/// A pack that leaves.
#[derive(Clone, Copy, Debug)]
pub struct Pack<'p> {
    /// Where it goes.
    pub partition: u32,
    /// When it left: ns since 1970.
    pub at_ns: u64,
    /// Length-delimited messages.
    pub payload: &'p [u8],
    /// How many.
    pub flows: u64,
}

impl Pack<'_> {
    /// Appends it, as one record or as one for each flow.
    ///
    /// # Errors
    /// The writer's; of single flows, those before the refused one have been taken.
    pub fn append(&self, form: Form, writer: &mut dyn Writer) -> Result<(), TopicError> {
        let mut append = |headers: &[(&str, &[u8])], payload: &[u8]| {
            let record = NewRecord {
                timestamp_millis: i64::try_from(self.at_ns / 1_000_000).unwrap_or(i64::MAX),
                headers,
                payload,
            };
            writer.append(self.partition, record)
        };
        if form == Form::Packed {
            return append(&[PACK_HEADER], self.payload);
        }
        let mut rest = self.payload;
        for message in messages(rest, true, Framing::Delimited)
            .into_iter()
            .flatten()
        {
            let (delimited, after) = rest
                .split_at_checked(prefix_bytes(message.len()) + message.len())
                .unwrap_or((rest, &[]));
            rest = after;
            let bare = form == Form::Bare;
            append(&[], if bare { message } else { delimited })?;
        }
        Ok(())
    }
}

/// Bytes of a length as a varint.
fn prefix_bytes(mut length: usize) -> usize {
    let mut bytes = 1;
    while length >= 0x80 {
        length >>= 7;
        bytes += 1;
    }
    bytes
}

/// A pack being filled.
#[derive(Clone, Debug)]
struct Open {
    pack: PackBuilder,
    begun_ns: u64,
}

/// Builds packs and hands them out, partition by partition.
#[derive(Clone, Debug)]
pub struct Packer {
    /// One, or one for each partition.
    open: Vec<Open>,
    spread: Spread,
    limits: Limits,
    partitions: u32,
    next_partition: u32,
    /// When the oldest flow has waited long enough; `u64::MAX`: none waits.
    due_ns: u64,
    packs: u64,
    bytes: u64,
}

impl Packer {
    /// For a topic of that many partitions; packs that take turns begin at `first_partition`.
    pub fn new(partitions: u32, first_partition: u32, limits: Limits, shape: Shape) -> Packer {
        let partitions = partitions.max(1);
        let open = Open {
            pack: PackBuilder::new(limits.bytes, shape.dialect),
            begun_ns: 0,
        };
        let packs = match shape.spread {
            Spread::RoundRobin => 1,
            Spread::Exporter => usize::try_from(partitions).unwrap_or(1),
        };
        Packer {
            open: vec![open; packs],
            spread: shape.spread,
            limits,
            partitions,
            next_partition: first_partition % partitions,
            due_ns: u64::MAX,
            packs: 0,
            bytes: 0,
        }
    }

    /// Adds a flow at `now_ns` (ns since 1970). True: at least one pack has left to `out`.
    ///
    /// # Errors
    /// What `out` returns. The pack it refused is lost.
    pub fn push<E>(
        &mut self,
        flow: &Flow,
        now_ns: u64,
        out: &mut impl FnMut(&Pack<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let aged = self.poll(now_ns, out)?;
        let at = match self.spread {
            Spread::RoundRobin => 0,
            Spread::Exporter => partition_of(flow.sampler_address, self.open.len()),
        };
        let Some(open) = self.open.get_mut(at) else {
            return Ok(aged);
        };
        if open.pack.is_empty() {
            open.begun_ns = now_ns;
            self.due_ns = self.due_ns.min(now_ns.saturating_add(self.limits.age_ns));
        }
        if !open.pack.push(flow) {
            return Ok(aged);
        }
        self.leave(at, now_ns, out)?;
        Ok(true)
    }

    /// Closes the packs whose first flow has waited long enough. True: one has left.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn poll<E>(
        &mut self,
        now_ns: u64,
        out: &mut impl FnMut(&Pack<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        if now_ns < self.due_ns {
            return Ok(false);
        }
        self.due_ns = u64::MAX;
        let mut left = false;
        for at in 0..self.open.len() {
            let Some(due_ns) = self.due(at) else { continue };
            if due_ns <= now_ns {
                left = true;
                self.leave(at, due_ns, out)?;
            } else {
                self.due_ns = self.due_ns.min(due_ns);
            }
        }
        Ok(left)
    }

    /// Closes all packs, however young. True: there was one.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn flush<E>(
        &mut self,
        now_ns: u64,
        out: &mut impl FnMut(&Pack<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.due_ns = u64::MAX;
        let mut any = false;
        for at in 0..self.open.len() {
            if self.due(at).is_some() {
                any = true;
                self.leave(at, now_ns, out)?;
            }
        }
        Ok(any)
    }

    /// Packs that have been taken.
    pub fn packs(&self) -> u64 {
        self.packs
    }

    /// Bytes of these.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Flows of the packs that have not left yet.
    pub fn waiting(&self) -> u64 {
        self.open.iter().map(|open| open.pack.flows()).sum()
    }

    /// When a pack is to leave; `None` if it is empty.
    fn due(&self, at: usize) -> Option<u64> {
        let open = self.open.get(at).filter(|open| !open.pack.is_empty())?;
        Some(open.begun_ns.saturating_add(self.limits.age_ns))
    }

    fn leave<E>(
        &mut self,
        at: usize,
        at_ns: u64,
        out: &mut impl FnMut(&Pack<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let partition = match self.spread {
            Spread::RoundRobin => self.next_partition,
            Spread::Exporter => u32::try_from(at).unwrap_or(0),
        };
        self.next_partition = (self.next_partition + 1) % self.partitions;
        let Some(open) = self.open.get_mut(at) else {
            return Ok(());
        };
        let (flows, bytes) = (open.pack.flows(), open.pack.len_bytes() as u64);
        open.pack.take(|payload| {
            out(&Pack {
                partition,
                at_ns,
                payload,
                flows,
            })
        })?;
        self.packs += 1;
        self.bytes += bytes;
        Ok(())
    }
}

/// The partition of an exporter, the same for ever: FNV-1a over the address's 16 bytes, then the finish of SplitMix64,
/// since the addresses of neighbours differ in their last byte alone.
fn partition_of(exporter: Addr, partitions: usize) -> usize {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = exporter.0.iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let partitions = partitions.max(1) as u64;
    usize::try_from((hash ^ hash >> 31) % partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partition, timestamp and flows of each pack.
    type Seen = Vec<(u32, u64, usize)>;

    fn seen(into: &mut Seen) -> impl FnMut(&Pack<'_>) -> Result<(), ()> {
        |pack| {
            let flows = messages(pack.payload, true, Framing::Auto).unwrap().count();
            assert_eq!(pack.flows, flows as u64);
            into.push((pack.partition, pack.at_ns, flows));
            Ok(())
        }
    }

    fn packer(bytes: usize, spread: Spread) -> Packer {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        let shape = Shape {
            spread,
            ..Shape::default()
        };
        Packer::new(3, 0, limits, shape)
    }

    fn of(exporter: u8) -> Flow {
        Flow {
            sampler_address: Addr::v4([192, 0, 2, exporter]),
            ..Flow::default()
        }
    }

    #[test]
    fn a_pack_leaves_by_age_with_the_time_it_was_due() {
        let (mut packer, mut all) = (packer(16 << 10, Spread::RoundRobin), Seen::new());
        let mut out = seen(&mut all);
        let flow = Flow::default();
        for now_ns in [0, 49_999_999, 50_000_000, 60_000_000] {
            packer.push(&flow, now_ns, &mut out).unwrap();
        }
        assert_eq!(packer.waiting(), 2);
        assert!(!packer.poll(99_999_999, &mut out).unwrap());
        assert!(packer.poll(500_000_000, &mut out).unwrap());
        assert!(!packer.poll(900_000_000, &mut out).unwrap());
        assert!(!packer.flush(900_000_000, &mut out).unwrap());
        drop(out);
        assert_eq!(all, [(0, 50_000_000, 2), (1, 100_000_000, 2)]);
    }

    #[test]
    fn a_pack_leaves_by_size_and_partitions_take_turns() {
        let (mut packer, mut all) = (packer(600, Spread::RoundRobin), Seen::new());
        let mut out = seen(&mut all);
        let flow = Flow {
            time_received_ns: u64::MAX,
            bytes: u64::MAX,
            packets: u64::MAX,
            ..Flow::default()
        };
        for _ in 0..30 {
            packer.push(&flow, 7_000_000, &mut out).unwrap();
        }
        packer.flush(8_000_000, &mut out).unwrap();
        drop(out);
        assert_eq!(all.iter().map(|(_, _, flows)| flows).sum::<usize>(), 30);
        assert_eq!(packer.packs(), all.len() as u64);
        for (at, (partition, _, flows)) in all.iter().enumerate() {
            assert_eq!(*partition as usize, at % 3);
            assert!(*flows <= 3);
        }
    }

    #[test]
    fn an_exporter_stays_in_its_partition_and_each_pack_has_its_own_age() {
        let (mut packer, mut all) = (packer(16 << 10, Spread::Exporter), Seen::new());
        let mut out = seen(&mut all);
        let home = |exporter| partition_of(of(exporter).sampler_address, 3) as u32;
        let other = (2..=254).find(|n| home(*n) != home(1)).unwrap();
        packer.push(&of(1), 0, &mut out).unwrap();
        packer.push(&of(other), 40_000_000, &mut out).unwrap();
        packer.push(&of(1), 45_000_000, &mut out).unwrap();
        assert!(packer.poll(60_000_000, &mut out).unwrap());
        assert_eq!(packer.waiting(), 1);
        assert!(packer.flush(61_000_000, &mut out).unwrap());
        drop(out);
        assert_eq!(
            all,
            [(home(1), 50_000_000, 2), (home(other), 61_000_000, 1)]
        );
        // Neighbours are spread, too, whatever the number of partitions.
        for partitions in [2, 3, 4, 8, 16] {
            let mut exporters = vec![0; partitions];
            for exporter in 1..=200 {
                exporters[partition_of(of(exporter).sampler_address, partitions)] += 1;
            }
            let fair = 200 / partitions;
            let even = |n: &usize| (fair / 2..=fair * 2).contains(n);
            assert!(exporters.iter().all(even), "{exporters:?}");
        }
    }
}
