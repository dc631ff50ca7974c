//! `Packer`: flows to packs, packs to the partitions of a topic in turn.
//!
//! One record a flow would cost the topic more than the flow; one pack of 16 KiB holds about a hundred. Time is an
//! argument, so that simulated flows are packed as live ones are.
//! Law: a pack leaves when it is full, or when its first flow has waited for the limit; its timestamp is the time at
//! which it left, even if nobody looked just then.

use flow_proto::{Dialect, Flow, PACK_HEADER, PackBuilder};
use flow_topic::{NewRecord, TopicError, Writer};

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

/// Builds packs and hands them to a writer, partition by partition.
#[derive(Clone, Debug)]
pub struct Packer {
    pack: PackBuilder,
    limits: Limits,
    partitions: u32,
    next_partition: u32,
    begun_ns: u64,
    packs: u64,
    bytes: u64,
}

impl Packer {
    /// For a topic of that many partitions.
    pub fn new(partitions: u32, limits: Limits, dialect: Dialect) -> Packer {
        Packer {
            pack: PackBuilder::new(limits.bytes, dialect),
            limits,
            partitions: partitions.max(1),
            next_partition: 0,
            begun_ns: 0,
            packs: 0,
            bytes: 0,
        }
    }

    /// Adds a flow at `now_ns` (ns since 1970). True: at least one pack has left.
    ///
    /// # Errors
    /// The writer's. The pack it refused is lost.
    pub fn push(
        &mut self,
        flow: &Flow,
        now_ns: u64,
        writer: &mut dyn Writer,
    ) -> Result<bool, TopicError> {
        let aged = self.poll(now_ns, writer)?;
        if self.pack.is_empty() {
            self.begun_ns = now_ns;
        }
        if !self.pack.push(flow) {
            return Ok(aged);
        }
        self.leave(now_ns, writer)?;
        Ok(true)
    }

    /// Closes the pack if its first flow has waited long enough. True: it has left.
    ///
    /// # Errors
    /// The writer's.
    pub fn poll(&mut self, now_ns: u64, writer: &mut dyn Writer) -> Result<bool, TopicError> {
        if self.pack.is_empty() || now_ns.saturating_sub(self.begun_ns) < self.limits.age_ns {
            return Ok(false);
        }
        self.leave(self.begun_ns.saturating_add(self.limits.age_ns), writer)?;
        Ok(true)
    }

    /// Closes the pack, however young. True: there was one.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&mut self, now_ns: u64, writer: &mut dyn Writer) -> Result<bool, TopicError> {
        let any = !self.pack.is_empty();
        if any {
            self.leave(now_ns, writer)?;
        }
        Ok(any)
    }

    /// Packs that the writer has taken.
    pub fn packs(&self) -> u64 {
        self.packs
    }

    /// Bytes of these.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Flows of the pack that has not left yet.
    pub fn waiting(&self) -> u64 {
        self.pack.flows()
    }

    fn leave(&mut self, at_ns: u64, writer: &mut dyn Writer) -> Result<(), TopicError> {
        let partition = self.next_partition;
        self.next_partition = (partition + 1) % self.partitions;
        let bytes = self.pack.len_bytes() as u64;
        self.pack.take(|payload| {
            let record = NewRecord {
                timestamp_millis: i64::try_from(at_ns / 1_000_000).unwrap_or(i64::MAX),
                headers: &[PACK_HEADER],
                payload,
            };
            writer.append(partition, record)
        })?;
        self.packs += 1;
        self.bytes += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_proto::{Framing, messages};

    /// Partition, timestamp and flows of each record.
    #[derive(Default)]
    struct Seen(Vec<(u32, i64, usize)>);

    impl Writer for Seen {
        fn append(&mut self, partition: u32, record: NewRecord<'_>) -> Result<(), TopicError> {
            assert_eq!(record.headers, [PACK_HEADER]);
            let flows = messages(record.payload, true, Framing::Auto).unwrap();
            self.0
                .push((partition, record.timestamp_millis, flows.count()));
            Ok(())
        }

        fn flush(&mut self) -> Result<(), TopicError> {
            Ok(())
        }
    }

    fn packer(bytes: usize) -> Packer {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        Packer::new(3, limits, Dialect::Goflow2)
    }

    #[test]
    fn a_pack_leaves_by_age_with_the_time_it_was_due() {
        let (mut packer, mut seen) = (packer(16 << 10), Seen::default());
        let flow = Flow::default();
        for now_ns in [0, 49_999_999, 50_000_000, 60_000_000] {
            packer.push(&flow, now_ns, &mut seen).unwrap();
        }
        assert_eq!(packer.waiting(), 2);
        assert!(!packer.poll(99_999_999, &mut seen).unwrap());
        assert!(packer.poll(500_000_000, &mut seen).unwrap());
        assert!(!packer.poll(900_000_000, &mut seen).unwrap());
        assert!(!packer.flush(900_000_000, &mut seen).unwrap());
        assert_eq!(seen.0, [(0, 50, 2), (1, 100, 2)]);
    }

    #[test]
    fn a_pack_leaves_by_size_and_partitions_take_turns() {
        let (mut packer, mut seen) = (packer(600), Seen::default());
        let flow = Flow {
            time_received_ns: u64::MAX,
            bytes: u64::MAX,
            packets: u64::MAX,
            ..Flow::default()
        };
        for _ in 0..30 {
            packer.push(&flow, 7_000_000, &mut seen).unwrap();
        }
        packer.flush(8_000_000, &mut seen).unwrap();
        assert_eq!(seen.0.iter().map(|(_, _, flows)| flows).sum::<usize>(), 30);
        assert_eq!(packer.packs(), seen.0.len() as u64);
        for (at, (partition, _, flows)) in seen.0.iter().enumerate() {
            assert_eq!(*partition as usize, at % 3);
            assert!(*flows <= 3);
        }
    }
}
