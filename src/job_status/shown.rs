//! What `status` prints: tables, or one JSON object.
//!
//! Law: both say the same, and times are UTC.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flow_sinks::StoredSlot;
use flow_state::{Checkpoint, Gap};
use serde_json::{Value, json};

use crate::progress::time;

/// Everything that was found.
pub(super) struct Shown<'a> {
    pub(super) job: Option<&'a Checkpoint>,
    /// Where the topic's partitions end, as far as asked.
    pub(super) ends: BTreeMap<u32, u64>,
    pub(super) slots: Vec<StoredSlot>,
    /// Of a store.
    pub(super) stored: Option<Vec<StoredSlot>>,
}

impl Shown<'_> {
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        let mut all = serde_json::Map::new();
        if let Some(job) = self.job {
            all.insert("job".into(), self.job_json(job));
            all.insert("slots".into(), self.slots.iter().map(slot_json).collect());
        }
        if let Some(stored) = &self.stored {
            all.insert("sink_slots".into(), stored.iter().map(slot_json).collect());
        }
        writeln!(out, "{}", Value::Object(all))
    }

    pub(super) fn tables(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(job) = self.job {
            self.job_tables(job, out)?;
            slot_table("slots of the state", &self.slots, out)?;
        }
        match &self.stored {
            Some(stored) => slot_table("slots of the sink", stored, out),
            None => Ok(()),
        }
    }

    fn lag(&self, partition: u32, offset: u64) -> Option<u64> {
        self.ends
            .get(&partition)
            .map(|end| end.saturating_sub(offset))
    }

    fn job_json(&self, job: &Checkpoint) -> Value {
        let partitions = job.cut.iter().map(|(partition, at)| {
            json!({ "partition": partition, "offset": at.offset, "clock": clock(at.clock_ns),
                    "lag": self.lag(*partition, at.offset), "start": job.starts.get(partition) })
        });
        let versions = job.timeline.versions.iter().map(|(from, version)| {
            json!({ "version": version.number, "from_slot": time(*from), "hash": version.hash })
        });
        let gap = |gap: &Gap| {
            json!({ "partition": gap.partition, "from_offset": gap.from_offset, "to_offset": gap.to_offset,
                    "offsets": gap.offsets, "clock_before": clock(gap.before_ns), "time_after": gap.after_ns.and_then(clock),
                    "first_slot": time(gap.first_slot_secs), "last_slot": last(gap) })
        };
        json!({
            "id": job.job, "checkpoint": job.number, "watermark": clock(job.watermark_ns), "options": job.config,
            "table_fence": time(job.timeline.fence_secs), "retired_through": time(job.timeline.retired_secs),
            "partitions": partitions.collect::<Vec<_>>(), "table_versions": versions.collect::<Vec<_>>(),
            "gaps": job.gaps.iter().map(gap).collect::<Vec<_>>(),
        })
    }

    fn job_tables(&self, job: &Checkpoint, out: &mut impl Write) -> io::Result<()> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        writeln!(out, "job             {}", job.job)?;
        writeln!(out, "checkpoint      {}", job.number)?;
        writeln!(out, "watermark       {}", or_none(clock(job.watermark_ns)))?;
        writeln!(out, "table fence L   {}", time(job.timeline.fence_secs))?;
        writeln!(out, "retirement R    {}", time(job.timeline.retired_secs))?;
        for (from, version) in &job.timeline.versions {
            writeln!(
                out,
                "tables          version {} from slot {} on",
                version.number,
                time(*from)
            )?;
        }
        writeln!(
            out,
            "\npartition       offset  clock                 unread records at most"
        )?;
        for (partition, at) in &job.cut {
            let lag = or_none(self.lag(*partition, at.offset).map(|lag| lag.to_string()));
            let clock = or_none(clock(at.clock_ns));
            writeln!(out, "{partition:<9} {:>12}  {clock:<20}  {lag}", at.offset)?;
        }
        if !job.gaps.is_empty() {
            writeln!(
                out,
                "\ngap in    from offset    to offset  slots that may lack flows"
            )?;
        }
        for gap in &job.gaps {
            let until = last(gap).unwrap_or_else(|| "any, until a record comes".to_owned());
            let first = time(gap.first_slot_secs);
            writeln!(
                out,
                "{:<9} {:>11} {:>12}  {first} to {until}",
                gap.partition, gap.from_offset, gap.to_offset
            )?;
        }
        writeln!(out)
    }
}

fn last(gap: &Gap) -> Option<String> {
    gap.after_ns.map(|_| time(gap.last_slot_secs))
}

/// A clock in whole seconds; `None` before the first record.
fn clock(ns: i64) -> Option<String> {
    u64::try_from(ns).ok().map(|ns| time(ns / 1_000_000_000))
}

fn name(slot: &StoredSlot) -> String {
    match slot.slot_secs {
        0 => "elsewhere".to_owned(),
        secs => time(secs),
    }
}

fn slot_json(slot: &StoredSlot) -> Value {
    json!({
        "slot": name(slot), "state": slot.state, "partial": slot.partial, "flows": slot.flows,
        "too_early": slot.too_early, "too_late": slot.too_late, "implausible": slot.implausible,
        "missing_partitions": slot.missing_partitions, "complete_through": slot.complete_through_secs.map(time),
    })
}

fn slot_table(title: &str, slots: &[StoredSlot], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{title:<20}  state     partial        flows  too early   too late  implausible  missing partitions"
    )?;
    for slot in slots {
        let partial = if slot.partial { "yes" } else { "-" };
        let missing: Vec<String> = slot.missing_partitions.iter().map(u32::to_string).collect();
        writeln!(
            out,
            "{:<20}  {:<9} {partial:<7} {:>12} {:>10} {:>10} {:>12}  {}",
            name(slot),
            slot.state,
            slot.flows,
            slot.too_early,
            slot.too_late,
            slot.implausible,
            missing.join(",")
        )?;
    }
    Ok(())
}
