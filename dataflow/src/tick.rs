//! What goes between worker 0 and the sources: ticks out, reports back.
//!
//! Law 4: tick n is one message at time n, and everything a worker needs to end it is in that message; a cut is
//! reported under its own tick's capability, so the frontier of the reports says when all cuts of n are known.

use flow_state::{Gap, Position, SlotSecs, TableVersion};
use serde::{Deserialize, Serialize};

/// Opens tick `n`, and with it ends the one before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tick {
    /// Its number, from 1 on: timely's time.
    pub(crate) n: u64,
    /// L: a pack whose clock + earliness reaches it waits. Seconds.
    pub(crate) fence_secs: u64,
    /// R: slots that end at or below it are retired for the flows of this tick. Seconds.
    pub(crate) retired_secs: u64,
    /// Slots that end at or below it are complete if this tick is sealed. Seconds.
    pub(crate) complete_secs: u64,
    /// Clock of the slowest partition with unread records, ns; `i64::MAX` if there is none.
    pub(crate) slow_ns: i64,
    /// Number of the checkpoint that seals this tick; 0: none.
    pub(crate) seal: u64,
    /// Partitions of the topic: new ones are read from this tick on.
    pub(crate) partitions: u32,
    /// The newest durable checkpoint, for processes that have not put it themselves.
    pub(crate) published: u64,
    /// Tables that every process is to load.
    pub(crate) prepare: Option<Asked>,
    /// Tables that every process has loaded, in force from this tick on.
    pub(crate) announce: Option<Announced>,
    /// The last one: when it is sealed, the job has come to its proper end.
    pub(crate) last: bool,
}

/// Tables that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The request for them.
    pub(crate) request: u64,
    /// The number that the version gets.
    pub(crate) version: u32,
    hash: [u8; 32],
}

impl Asked {
    /// `None` if the version's hash is not one that bytes can have.
    pub(crate) fn new(request: u64, version: &TableVersion) -> Option<Asked> {
        Some(Asked {
            request,
            version: version.number,
            hash: hash_bytes(&version.hash)?,
        })
    }

    /// The name under which they are archived.
    pub(crate) fn hash(&self) -> String {
        hash_text(&self.hash)
    }
}

/// A hash of 64 hexadecimal digits.
pub(crate) fn hash_bytes(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}

/// As `hash_bytes` reads it.
pub(crate) fn hash_text(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tables that are in force for every slot from one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// Which.
    pub(crate) tables: Asked,
    /// The first slot: L as it was before this tick, which no flow has passed yet.
    pub(crate) from_secs: u64,
    /// Hash of what the job's configuration names, if they come from there.
    pub(crate) given: Option<[u8; 32]>,
}

/// Flows of one slot in one partition and tick: in rows, too early, too late, implausible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) flows: u64,
    pub(crate) too_early: u64,
    pub(crate) too_late: u64,
    pub(crate) implausible: u64,
}

/// Where a partition stood when a tick ended, and what became of the tick's flows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) tick: u64,
    pub(crate) partition: u32,
    pub(crate) position: Position,
    /// More records were waiting.
    pub(crate) unread: bool,
    /// By slot; 0 is `elsewhere`.
    pub(crate) tallies: Vec<(SlotSecs, Tally)>,
    /// What else it has met, in order.
    pub(crate) met: Vec<Met>,
}

/// What a partition has met beside flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Met {
    /// Its first readable pack: the clock that it gives, ns.
    First(i64),
    /// Retention was faster than the first record: it is begun at this offset.
    Begun(u64),
    /// Offsets that retention had deleted before they were read; again when more is known of them.
    Gap(Gap),
}

/// What a source tells worker 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A tick ended here.
    Cut(Cut),
    /// A pack waits: its clock + earliness, ns, reaches L.
    Reaches(i64),
    /// A partition waits for the slowest one.
    Paused,
    /// Bytes read by one worker in a tick so far; `full`: it stops until a tick is finished.
    Read {
        worker: usize,
        tick: u64,
        bytes: u64,
        full: bool,
    },
    /// A partition was read to the end seen at the start.
    Ended,
    /// How far the followers of another process than 0 have come.
    Followed {
        process: usize,
        tick: u64,
        rows: u64,
        raw: u64,
    },
    /// What became of the tables that a process was to load.
    Loaded {
        process: usize,
        request: u64,
        /// Why it can't load them.
        error: Option<String>,
    },
    /// A process was told to stop.
    Stop,
    /// A source can't go on; the reason stands in the failure cell of its process.
    Failed { process: usize },
}

/// A worker has closed a tick: how many keys it holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) worker: usize,
    pub(crate) open_keys: u64,
}

/// A segment of checkpoint `number` is durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) process: u32,
    /// The groups it holds; empty: there was nothing to write, and there is no file.
    pub(crate) groups: Vec<flow_state::Group>,
}
