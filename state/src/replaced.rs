//! The record of a slot that was replaced as a whole: its rows, under slot and generation, before any store has them.
//!
//! Law 6: put-if-absent decides what a generation of a slot holds. Whoever writes a slot into a store writes what is
//! recorded, so that the content of a revision is unique for ever, however often it is begun anew. Records stay.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use bytemuck::pod_read_unaligned;
use serde::{Deserialize, Serialize};

use crate::frame::{self, Form};
use crate::layout::{self, REPLACED};
use crate::{SlotCounts, SlotSecs, StateError, StateStore};

/// So often what is being written may be swept away.
const SWEEPS: usize = 8;

const RECORD: Form = Form {
    magic: *b"FPREPLY\n",
    version: 2,
    name: "the record of a replaced slot",
};

/// A slot as it is to be from a generation on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its start.
    pub slot_secs: SlotSecs,
    /// Number of times it has been replaced as a whole, this one included.
    pub generation: u32,
    /// Number of the checkpoint as of which it was computed.
    pub number: u64,
    /// Version of the tables that its rows name.
    pub table_version: u32,
    /// Its counts.
    pub counts: SlotCounts,
    /// Flows among them that the job had refused as too early.
    pub early: u64,
    /// Flows among them that the job had refused as too late.
    pub late: u64,
    /// Whether flows from before the job's first record are missing still.
    pub partial: bool,
    /// Partitions of which flows may be missing.
    pub missing_partitions: Vec<u32>,
    /// Records of all rollups, as they stand in memory.
    pub rows: Vec<u8>,
    /// Whether every plausible flow of it counts, and not those alone that counted for the job.
    pub every: bool,
    /// What it was computed of: per partition the offset below which it was read; none in a record of release 0.1.
    pub cut: BTreeMap<u32, u64>,
}

impl Replaced {
    /// Whether a flow of it that was refused counts since, by where it stands.
    pub fn counts(&self, partition: u32, offset: u64) -> bool {
        let below = self.cut.get(&partition).copied();
        let unbounded = self.cut.is_empty();
        self.every && below.map_or(unbounded, |below| offset < below)
    }

    /// Its rows as words; `None` if they are no records of so many bytes each.
    pub fn words(&self, record_bytes: usize) -> Option<Vec<u64>> {
        let is_whole = record_bytes > 0
            && record_bytes.is_multiple_of(size_of::<u64>())
            && self.rows.len().is_multiple_of(record_bytes);
        let words = self.rows.chunks_exact(size_of::<u64>());
        is_whole.then(|| words.map(pod_read_unaligned).collect())
    }
}

impl StateStore {
    /// Records a slot, if nobody has recorded that generation of it, and gives what is recorded. `attempt` is the writer's id.
    ///
    /// # Errors
    /// `Io` if it could not be made durable, `Damaged` if what was there is not whole, `Unfit`.
    pub fn record_replaced(
        &self,
        replaced: &Replaced,
        attempt: u64,
    ) -> Result<Replaced, StateError> {
        let (slot, generation) = (replaced.slot_secs, replaced.generation);
        let name = layout::replaced(slot, generation);
        let path = self.shown(&name);
        let body = postcard::to_stdvec(replaced).map_err(|error| frame::unfit(&path, &error))?;
        let file = frame::framed(&RECORD, &body);
        let put = || {
            self.objects().make_folder(REPLACED)?;
            self.objects().put_if_absent(&name, attempt, &[&file])
        };
        // Another replay that ends sweeps away what this one has not finished yet: then it is begun anew.
        let is_swept = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
        let mut placed = put();
        for _ in 0..SWEEPS {
            if placed.as_ref().is_err_and(is_swept) {
                placed = put();
            }
        }
        placed.map_err(StateError::io("write", &path))?;
        // Whose it is does not matter: what is there counts.
        let found = self.replaced(slot, generation)?;
        found.ok_or(StateError::Missing { path })
    }

    /// What is recorded of a generation of a slot.
    ///
    /// # Errors
    /// `Damaged` if it is not whole, `Newer`, `Io`.
    pub fn replaced(
        &self,
        slot_secs: SlotSecs,
        generation: u32,
    ) -> Result<Option<Replaced>, StateError> {
        let name = layout::replaced(slot_secs, generation);
        let path = self.shown(&name);
        let file = match self.objects().get(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StateError::io("read", &path))?,
        };
        let (version, body) = frame::body(&RECORD, &file, &path)?;
        let mut older;
        let body = match version {
            // Version 2 has `every` and `cut` at the end.
            1 => {
                older = body.to_vec();
                older.extend_from_slice(&[0; 2]);
                &older
            }
            _ => body,
        };
        match postcard::take_from_bytes::<Replaced>(body) {
            Ok((mut found, []))
                if (found.slot_secs, found.generation) == (slot_secs, generation) =>
            {
                found.every |= found.early + found.late > 0;
                Ok(Some(found))
            }
            _ => Err(StateError::damaged(
                &path,
                "its body is not that of its name",
            )),
        }
    }

    /// Removes what unfinished writers of records have left, of other attempts than this one.
    ///
    /// # Errors
    /// `Io`; what is left over goes with the next call.
    pub fn sweep_replaced(&self, attempt: u64) -> Result<u64, StateError> {
        let swept = self.objects().sweep(REPLACED, attempt);
        swept.map_err(StateError::io("sweep", &self.shown(REPLACED)))
    }

    /// Slots of which there are records, each with its highest generation.
    ///
    /// # Errors
    /// `Io` if they cannot be listed.
    pub fn replaced_slots(&self) -> Result<BTreeMap<SlotSecs, u32>, StateError> {
        let names = self.list(REPLACED)?;
        let known = names.iter().filter_map(|name| layout::replaced_name(name));
        // Names ascend as numbers do.
        Ok(known.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(generation: u32, rows: &[u64]) -> Replaced {
        Replaced {
            slot_secs: 1_700_000_100,
            generation,
            number: 17,
            table_version: 3,
            counts: SlotCounts {
                flows: 9,
                ..SlotCounts::default()
            },
            early: 0,
            late: 4,
            partial: false,
            missing_partitions: vec![2],
            rows: rows.iter().flat_map(|row| row.to_ne_bytes()).collect(),
            every: true,
            cut: BTreeMap::from([(0, 40), (1, 0)]),
        }
    }

    #[test]
    fn what_came_after_it_was_computed_stays_refused() {
        let replaced = replaced(1, &[]);
        let at = [(0, 39), (0, 40), (1, 0), (2, 0)].map(|(p, offset)| replaced.counts(p, offset));
        assert_eq!(at, [true, false, false, false]);
    }

    #[test]
    fn a_record_of_the_first_version_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(folder.path()).expect("new");
        let mut whole = replaced(1, &[7]);
        state.record_replaced(&whole, 7).expect("written");
        let body = postcard::to_stdvec(&whole).expect("serialized");
        let after = 1 + postcard::to_stdvec(&whole.cut).expect("serialized").len();
        let form = Form {
            version: 1,
            ..RECORD
        };
        let file = frame::framed(&form, &body[..body.len() - after]);
        let path = folder.path().join(layout::replaced(whole.slot_secs, 1));
        std::fs::write(path, file).expect("written");
        whole.cut.clear();
        let found = state.replaced(whole.slot_secs, 1).expect("read");
        assert_eq!(found, Some(whole));
    }

    #[test]
    fn the_first_to_record_a_generation_decides_what_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let job = StateStore::open(folder.path()).expect("new");
        let one = StateStore::join(folder.path()).expect("beside the job");
        assert!(one.replaced_slots().expect("none").is_empty());
        let first = replaced(1, &[5, 6]);
        assert_eq!(one.record_replaced(&first, 7).expect("written"), first);
        let found = job.record_replaced(&replaced(1, &[8]), 9).expect("read");
        assert_eq!(found, first);
        assert_eq!(found.words(8), Some(vec![5, 6]));
        assert_eq!(found.words(16), Some(vec![5, 6]));
        assert_eq!(found.words(24), None, "no whole record");
        assert_eq!(found.words(4), None, "no record of words");
        let second = replaced(2, &[8]);
        assert_eq!(job.record_replaced(&second, 9).expect("written"), second);
        let slots = one.replaced_slots().expect("listed");
        assert_eq!(slots, BTreeMap::from([(1_700_000_100, 2)]));
        assert_eq!(one.replaced(300, 1).expect("none"), None);
    }

    #[test]
    fn one_that_is_cut_or_changed_is_never_taken_for_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(folder.path()).expect("new");
        let whole = replaced(1, &[1, 2, 3]);
        state.record_replaced(&whole, 7).expect("written");
        let path = folder.path().join(layout::replaced(whole.slot_secs, 1));
        let file = std::fs::read(&path).expect("there");
        for at in 0..file.len() {
            std::fs::write(&path, &file[..at]).expect("written");
            assert!(state.replaced(whole.slot_secs, 1).is_err(), "cut at {at}");
            let mut changed = file.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).expect("written");
            assert!(state.replaced(whole.slot_secs, 1).is_err(), "byte {at}");
        }
    }
}
