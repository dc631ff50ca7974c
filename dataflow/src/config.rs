//! What a job is told: shape, window, lateness, pace.
//!
//! Law 1: only `RowConfig` may change a row; everything else changes when rows come, never what they hold.
//! `RowConfig` is recorded in every checkpoint, and a job with another one is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow_proto::{Framing, Rollups};

use crate::replay::Replay;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;

/// Which of a flow's times names its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlotTime {
    /// The trusted receive time.
    #[default]
    Received,
    /// The flow's start as sent; where absent, the trusted receive time.
    Start,
    /// The flow's end as sent; where absent, the trusted receive time.
    End,
}

impl SlotTime {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            SlotTime::Received => "received",
            SlotTime::Start => "start",
            SlotTime::End => "end",
        }
    }
}

/// Where a first start begins to read a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beginning {
    /// At the first record that is retained.
    #[default]
    Earliest,
    /// After the last record.
    Latest,
    /// At the first record with this topic timestamp or a later one, milliseconds since 1970.
    Time(i64),
}

/// Options that decide rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowConfig {
    /// Base window, seconds. Also the allowed earliness.
    pub window_secs: u64,
    /// How long after its end, by the partition clock, a slot accepts flows. Seconds, a multiple of the window.
    pub lateness_secs: u64,
    /// Which time names the slot.
    pub slot_time: SlotTime,
    /// How records without our header are split into messages.
    pub framing: Framing,
    /// What is summed; the first one in slots of the base window.
    pub rollups: Rollups,
}

/// Under this name the rollups are recorded; the standard ones are not.
pub(crate) const ROLLUP: &str = "rollup";

impl Default for RowConfig {
    fn default() -> Self {
        RowConfig {
            window_secs: 300,
            lateness_secs: 3600,
            slot_time: SlotTime::Received,
            framing: Framing::Auto,
            rollups: Rollups::STANDARD,
        }
    }
}

impl RowConfig {
    /// From what stands in a checkpoint; `None` if this release knows it not.
    pub fn of_recorded(recorded: &BTreeMap<String, String>) -> Option<RowConfig> {
        let secs = |name: &str| recorded.get(name)?.strip_suffix('s')?.parse().ok();
        let times = [SlotTime::Received, SlotTime::Start, SlotTime::End];
        let framings = [Framing::Auto, Framing::Delimited, Framing::Bare];
        let (mut rows, slot_time) = (RowConfig::default(), recorded.get("slot-time")?);
        rows.window_secs = secs("window").filter(|secs| *secs > 0)?;
        rows.lateness_secs = secs("allowed-lateness")?;
        rows.slot_time = times.into_iter().find(|time| time.name() == slot_time)?;
        if let Some(text) = recorded.get(ROLLUP) {
            rows.rollups = Rollups::of_recorded(text, rows.window_secs)?;
        }
        let mut tried = framings.into_iter().map(|framing| RowConfig {
            framing,
            ..rows.clone()
        });
        tried.find(|rows| rows.recorded() == *recorded)
    }

    /// As it stands in checkpoints: option name -> value.
    pub fn recorded(&self) -> BTreeMap<String, String> {
        let mut recorded = BTreeMap::from([
            ("window".to_owned(), format!("{}s", self.window_secs)),
            (
                "allowed-lateness".to_owned(),
                format!("{}s", self.lateness_secs),
            ),
            ("slot-time".to_owned(), self.slot_time.name().to_owned()),
            (
                "framing".to_owned(),
                format!("{:?}", self.framing).to_lowercase(),
            ),
        ]);
        if self.rollups != Rollups::STANDARD {
            recorded.insert(ROLLUP.to_owned(), self.rollups.to_string());
        }
        recorded
    }
}

/// Everything a job is told beside its topic, tables and state.
#[derive(Clone, Debug)]
pub struct JobConfig {
    /// Worker threads of each process.
    pub workers: usize,
    /// Processes of the job.
    pub processes: usize,
    /// Which of them this one is, from 0 on.
    pub process: usize,
    /// What decides rows.
    pub rows: RowConfig,
    /// How long after its end, by the watermark, a slot is first written as complete. Seconds.
    pub emit_delay_secs: u64,
    /// Read to the offsets seen at the start, checkpoint, end.
    pub until_end: bool,
    /// Where it begins if the state is new.
    pub beginning: Beginning,
    /// Reads a part of the topic again; then it is as with `until_end`.
    pub replay: Option<Arc<Replay>>,
    /// Goes on over offsets that retention has deleted, and declares them as gaps; else they end the job.
    pub accept_gap: bool,
    /// A tick ends after this long, milliseconds.
    pub tick_millis: u64,
    /// A tick ends after this many bytes read by all sources.
    pub tick_bytes: u64,
    /// A source stops at this many bytes in unfinished ticks.
    pub in_flight_bytes: u64,
    /// A worker's windows do no more than this many rows' copying before its source has its turn. Fewer would let the source
    /// reach its bound before a seal is done.
    pub turn_rows: usize,
    /// A checkpoint at least this often while anything changes, milliseconds.
    pub checkpoint_millis: u64,
    /// Checkpoints for slots that complete come no closer than this, milliseconds.
    pub checkpoint_gap_millis: u64,
    /// Everything read for this long: emission goes on by the injected clock. Milliseconds.
    pub idle_millis: u64,
    /// Between two looks for new partitions, milliseconds.
    pub partitions_millis: u64,
    /// Requests for other tables are looked for this often, milliseconds.
    pub swaps_millis: u64,
    /// A deliberate breakage, for the tests that prove it is caught.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Default for JobConfig {
    fn default() -> Self {
        JobConfig {
            workers: 1,
            processes: 1,
            process: 0,
            rows: RowConfig::default(),
            emit_delay_secs: 120,
            until_end: false,
            beginning: Beginning::Earliest,
            replay: None,
            accept_gap: false,
            tick_millis: 1_000,
            tick_bytes: 32 << 20,
            in_flight_bytes: 96 << 20,
            turn_rows: 400_000, // some 30 ms
            checkpoint_millis: 10_000,
            checkpoint_gap_millis: 1_000,
            idle_millis: 60_000,
            partitions_millis: 10_000,
            swaps_millis: 1_000,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

impl JobConfig {
    /// Workers of all processes: partition p is read, and shard s held, by the worker whose number is the remainder.
    pub fn all_workers(&self) -> usize {
        self.workers.max(1) * self.processes.max(1)
    }

    /// How long after its end, by the watermark, a slot is retired. Seconds.
    pub(crate) fn hold_secs(&self) -> u64 {
        let replay = self.replay.as_ref();
        replay.map_or(self.rows.lateness_secs, |replay| replay.hold_secs)
    }

    /// Whether this worker, counted over all processes, reads that partition.
    pub(crate) fn reads(&self, worker: usize, partition: u32) -> bool {
        usize::try_from(partition).is_ok_and(|p| p % self.all_workers() == worker)
    }

    /// Whether this deliberate breakage is on. Always false in the shipped binary, which lacks the feature.
    #[cfg(feature = "mutants")]
    pub(crate) fn broken(&self, mutant: crate::Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// `broken!(config, Name)`: true only in a build with the feature `mutants` that runs with this breakage.
macro_rules! broken {
    ($config:expr, $name:ident) => {{
        #[cfg(feature = "mutants")]
        let on = $config.broken($crate::Mutant::$name);
        #[cfg(not(feature = "mutants"))]
        let on = {
            let _ = &$config;
            false
        };
        on
    }};
}
pub(crate) use broken;
