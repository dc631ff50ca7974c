//! The texts of rows that a store has yet to write.
//!
//! Law 6: a store that is behind writes rows of slots that are long retired; so a start learns what the versions said that gave
//! them, which no flow needs any more.

use std::collections::BTreeSet;

use flow_proto::{Dimension, Rollups};
use flow_state::{Checkpoint, Group};

use crate::failure::JobError;
use crate::shelf::TableShelf;

/// Learns what the rows in listed segments may say.
///
/// # Errors
/// If a version that gave rows can't be loaded.
pub(crate) fn learn(
    rollups: Rollups,
    base: &Checkpoint,
    shelf: &TableShelf,
) -> Result<(), JobError> {
    if !rollups.any(Dimension::is_text) {
        return Ok(());
    }
    let groups: BTreeSet<&Group> = base.segments.values().flatten().collect();
    let slots = groups
        .iter()
        .map(|group| (group.slot_secs, rollups.end(group.rollup, group.slot_secs)));
    let slots: BTreeSet<(u64, u64)> = slots.collect();
    let versions = &base.timeline.versions;
    for (n, (from, version)) in versions.iter().enumerate() {
        let until = versions.get(n + 1).map_or(u64::MAX, |(next, _)| *next);
        if slots.iter().any(|(slot, end)| from < end && until > *slot) {
            shelf.get(version)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use flow_proto::{text_of, text_words};
    use flow_state::{SegmentName, StateStore, TableVersion, Timeline, table_hash};

    use super::*;
    use crate::config::JobConfig;
    use crate::restore::genesis;
    use crate::texts::tests::customers;

    /// A store that is behind may lack rows of slots that are retired, made with tables that no flow needs any more.
    #[test]
    fn a_start_learns_what_listed_rows_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(folder.path()).expect("new");
        let names = ["Listed A", "Listed B", "Long gone", "Newest"];
        let mut timeline = Timeline {
            retired_secs: 7_200,
            ..Timeline::default()
        };
        // In force from 0, 3,000, 3,300 and 7,200 on.
        for (number, (from, name)) in (1..).zip(
            [0, 3_000, 3_300, 7_200]
                .into_iter()
                .zip([names[2], names[0], names[1], names[3]]),
        ) {
            let archive = customers(&format!("10.0.0.0/8,{name}\n")).archive();
            let hash = table_hash(&archive);
            state.archive_table(&hash, &archive).expect("archived");
            timeline
                .versions
                .push((from, TableVersion { number, hash }));
        }
        let rollups = ["rollup_5m=src_as", "rollup_c=src_customer,dst_as@10m"];
        let rollups = Rollups::parse(&rollups, 300).expect("good");
        assert!(rollups.any(Dimension::is_text));
        let name = SegmentName {
            number: 1,
            attempt: 1,
            process: 0,
        };
        // Ten minutes that two versions have met.
        let group = Group {
            rollup: 1,
            slot_secs: 3_000,
        };
        let base = Checkpoint {
            timeline,
            segments: BTreeMap::from([(name, [group].into())]),
            ..genesis(&JobConfig::default(), "job")
        };
        let shelf = TableShelf::new(state, Arc::default());
        let known = |name| text_of(text_words(name)).is_some();
        assert_eq!(names.map(known), [false; 4]);
        learn(Rollups::STANDARD, &base, &shelf).expect("nothing to learn");
        assert_eq!(names.map(known), [false; 4], "no rollup has texts");
        learn(rollups, &base, &shelf).expect("archived");
        assert_eq!(names.map(known), [true, true, false, false]);
        std::fs::remove_dir_all(folder.path().join("tables")).expect("removed");
        let fresh = TableShelf::new(
            StateStore::join(folder.path()).expect("joined"),
            Arc::default(),
        );
        assert!(
            learn(rollups, &base, &fresh).is_err(),
            "rows that nobody can write"
        );
    }
}
