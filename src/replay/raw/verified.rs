//! `verify --raw`: each raw flow of a store that is not what the topic says, as a JSON line.
//!
//! Law: it reads. Verdicts and tables are those of the slot's rows as they should be.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::AtomicBool;

use flow_state::Checkpoint;

use super::super::base::{Base, Stored};
use super::super::verify::print;
use super::merge::Kind;
use super::{Plan, Raw, go_on, told};
use crate::failure::Failure;

/// Compares a store's raw flows; how many differ.
///
/// # Errors
/// If either side cannot be read.
pub(in super::super) fn verify(
    (url, stored): (&str, &Stored),
    base: &Base,
    checkpoint: &Checkpoint,
    (out, asked): (&mut impl Write, &AtomicBool),
) -> Result<u64, Failure> {
    let plan = Plan::of_store(base, checkpoint, stored)?;
    let mut raw = Raw::open((url, stored), base, checkpoint, plan, asked)?;
    let sink = raw.look.name().to_owned();
    let mut by_kind: BTreeMap<Kind, u64> = BTreeMap::new();
    let (slots, mut flows) = (raw.slots(), 0);
    for slot_secs in &slots {
        go_on(asked)?;
        flows += raw.digests(*slot_secs).1.flows;
        if raw.differs(*slot_secs) {
            raw.each(*slot_secs, &mut |difference| {
                *by_kind.entry(difference.kind).or_default() += 1;
                print(out, &told::difference(&sink, *slot_secs, difference))
            })?;
        }
    }
    let kinds = Kind::ALL.map(|kind| {
        let count = by_kind.get(&kind).copied().unwrap_or(0);
        format!("{count} {}", kind.name())
    });
    tracing::info!(
        sink,
        slots = slots.len() - raw.forgotten.len(),
        flows,
        "raw flows compared: {}",
        kinds.join(", ")
    );
    raw.tell();
    Ok(by_kind.values().sum())
}
