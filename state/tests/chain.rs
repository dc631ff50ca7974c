//! Who wins a checkpoint, who holds the directory, and what may be deleted.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use flow_state::{Deleted, Put, StateError, StateStore};
use support::{checkpoint, name, records};

/// No store of raw flows holds anything back.
const NO_RAW: u64 = u64::MAX;

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_number_is_won_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    assert_eq!(state.newest().unwrap(), None);
    assert_eq!(state.next_number().unwrap(), 1);
    assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
    assert_eq!(
        state.put(&checkpoint(1, 7, &[])).unwrap(),
        Put::Won,
        "asked again: the same answer"
    );
    assert_eq!(
        state.put(&checkpoint(1, 8, &[])).unwrap(),
        Put::Lost,
        "held by another attempt"
    );
    assert_eq!(state.newest().unwrap(), Some(checkpoint(1, 7, &[])));
    assert_eq!(state.put(&checkpoint(2, 8, &[])).unwrap(), Put::Won);
    assert_eq!(
        state.put(&checkpoint(1, 7, &[])).unwrap(),
        Put::Lost,
        "a higher number exists"
    );
}

#[test]
fn a_sleeper_that_finds_its_old_number_free_has_lost() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    for number in 1..=5 {
        assert_eq!(state.put(&checkpoint(number, 7, &[])).unwrap(), Put::Won);
        state
            .delete_unlisted(&checkpoint(number, 7, &[]), NO_RAW)
            .unwrap();
    }
    let checkpoints = folder.path().join("checkpoints");
    assert_eq!(
        listing(&checkpoints),
        ["00000000000000000004", "00000000000000000005"]
    );
    assert_eq!(state.put(&checkpoint(2, 9, &[])).unwrap(), Put::Lost);
    // Nor does it leave anything there: it would stand among those that the others have built on.
    assert_eq!(state.checkpoint(2).unwrap(), None);
    assert_eq!(state.newest().unwrap().unwrap().number, 5);
    // The loser deletes nothing, whatever it believes.
    assert_eq!(
        state
            .delete_unlisted(&checkpoint(2, 9, &[]), NO_RAW)
            .unwrap(),
        Deleted::default()
    );
}

#[test]
fn only_what_no_one_needs_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    for number in 1..=6 {
        state
            .write_segment(name(number, 7), &records(number))
            .unwrap();
    }
    state.write_segment(name(4, 99), &records(4)).unwrap();
    let (segments, checkpoints) = (
        folder.path().join("segments"),
        folder.path().join("checkpoints"),
    );
    fs::write(
        segments.join("tmp-0000000000000063-00000000000000000004-x"),
        b"dead",
    )
    .unwrap();
    fs::write(
        segments.join("tmp-0000000000000007-00000000000000000006-x"),
        b"own",
    )
    .unwrap();
    fs::write(
        checkpoints.join("tmp-0000000000000063-00000000000000000004"),
        b"dead",
    )
    .unwrap();
    fs::write(segments.join("note.txt"), b"not ours").unwrap();
    for (number, listed) in [(3, vec![1, 2, 3]), (4, vec![2, 4]), (5, vec![4, 5])] {
        assert_eq!(
            state.put(&checkpoint(number, 7, &listed)).unwrap(),
            Put::Won
        );
    }
    let deleted = state
        .delete_unlisted(&checkpoint(5, 7, &[4, 5]), NO_RAW)
        .unwrap();
    // 1 and 3 are listed by neither 4 nor 5, (4, 99) by nobody; 6 is of a checkpoint still to come.
    assert_eq!(
        deleted,
        Deleted {
            segments: 3,
            checkpoints: 1,
            temporaries: 2,
            requests: 0
        }
    );
    for number in [2, 4, 5, 6] {
        assert_eq!(
            state
                .read_segment::<[u64; 9]>(name(number, 7))
                .unwrap()
                .records(),
            records(number).concat()
        );
    }
    assert_eq!(
        listing(&segments).len(),
        6,
        "four segments, the note, its own temporary file"
    );
    assert_eq!(
        listing(&checkpoints),
        ["00000000000000000004", "00000000000000000005"]
    );
    // Should 5 be damaged, 4 has all it lists.
    fs::write(checkpoints.join("00000000000000000005"), b"").unwrap();
    let before = state.newest().unwrap().unwrap();
    assert_eq!(before.number, 4);
    for name in before.segments.keys() {
        state.read_segment::<[u64; 9]>(*name).unwrap();
    }
}

#[test]
fn one_holder_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    let handle = state.clone();
    let error = StateStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::Taken { .. }), "{error:?}");
    let line = error.to_string();
    assert!(
        line.contains(&format!("process {}", std::process::id())),
        "{line}"
    );
    drop(state);
    assert!(StateStore::open(folder.path()).is_err(), "a handle is left");
    drop(handle);
    StateStore::open(folder.path()).unwrap();
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), b"dear").unwrap();
    let error = StateStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("letter.txt") && !error.to_string().contains('\n'));
    assert_eq!(listing(folder.path()), ["letter.txt"]);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("format"), [0xff; 3000]).unwrap();
    assert!(matches!(
        StateStore::open(folder.path()),
        Err(StateError::Foreign { .. })
    ));
    fs::write(
        folder.path().join("format"),
        "flow-pipeline state, layout 2\n",
    )
    .unwrap();
    assert!(matches!(
        StateStore::open(folder.path()),
        Err(StateError::Newer {
            found: 2,
            known: 1,
            ..
        })
    ));
    fs::write(
        folder.path().join("format"),
        "flow-pipeline state, layout 1\n",
    )
    .unwrap();
    StateStore::open(folder.path()).unwrap();

    // Left by a start that was cut off: as good as empty.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lock"), b"").unwrap();
    fs::write(folder.path().join("tmp-0000000000000000-format"), b"flow").unwrap();
    StateStore::open(folder.path()).unwrap();
}

#[test]
fn what_cannot_be_written_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [
        file.as_path(),
        &file.join("below"),
        Path::new("/proc/flow-pipeline-state"),
    ] {
        let error = StateStore::open(path).unwrap_err();
        let line = error.to_string();
        assert!(matches!(error, StateError::Io { .. }), "{error:?}");
        assert!(
            line.contains(&path.display().to_string()) && !line.contains('\n'),
            "{line}"
        );
    }
}

#[test]
fn what_a_store_of_raw_flows_still_needs_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    for (number, raw_passed) in [(1, 0), (2, 0), (3, 0), (4, 2), (5, 2), (6, 6)] {
        let next = checkpoint(number, 7, &[number]);
        state
            .write_segment(name(number, 7), &records(number))
            .unwrap();
        assert_eq!(state.put(&next).unwrap(), Put::Won);
        state.delete_unlisted(&next, raw_passed).unwrap();
        let kept: Vec<u64> = match number {
            ..=3 => (1..=number).collect(),
            4 | 5 => (2..=number).collect(),
            // The newest and the one before it stay in any case.
            _ => vec![5, 6],
        };
        assert_eq!(state.numbers().unwrap(), kept, "after {number}");
        let segments = listing(&folder.path().join("segments")).len();
        assert!(segments <= 2, "segments of old checkpoints go all the same");
    }
    assert_eq!(state.checkpoint(5).unwrap().unwrap().number, 5);
    assert_eq!(state.checkpoint(4).unwrap(), None);
}

#[test]
fn who_joins_takes_no_lock_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let error = StateStore::join(folder.path()).unwrap_err();
    assert!(matches!(error, StateError::Missing { .. }), "{error:?}");
    assert!(listing(folder.path()).is_empty());

    let state = StateStore::open(folder.path()).unwrap();
    assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
    assert_eq!(state.put(&checkpoint(2, 7, &[])).unwrap(), Put::Won);
    let joined = StateStore::join(folder.path()).unwrap();
    assert_eq!(joined.newest().unwrap().unwrap().number, 2);
    joined.write_segment(name(3, 7), &records(3)).unwrap();
    assert!(state.read_segment::<[u64; 9]>(name(3, 7)).is_ok());

    // Damage is passed over; to set it aside is for the holder.
    let damaged = folder.path().join("checkpoints/00000000000000000002");
    fs::write(&damaged, b"").unwrap();
    assert_eq!(joined.newest().unwrap().unwrap().number, 1);
    assert!(damaged.exists());
    assert_eq!(state.newest().unwrap().unwrap().number, 1);
    assert!(!damaged.exists());
}
