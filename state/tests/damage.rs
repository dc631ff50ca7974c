//! Files cut at every byte and flipped at every bit: an error or the last whole checkpoint, never wrong content.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use flow_state::{Put, StateError, StateStore, decode_checkpoint, encode_checkpoint};
use support::{checkpoint, name, records};

/// Every damaged form of a file: each shorter length, each flipped bit, and one byte more.
fn damaged_forms(whole: &[u8]) -> Vec<Vec<u8>> {
    let cuts = (0..whole.len()).map(|n| whole[..n].to_vec());
    let flips = (0..whole.len() * 8).map(|bit| {
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let longer = [whole, &[0]].concat();
    cuts.chain(flips).chain([longer]).collect()
}

#[test]
fn a_damaged_checkpoint_is_never_taken_for_another_one() {
    let path = Path::new("checkpoint");
    let original = checkpoint(5, 77, &[4, 5]);
    let whole = encode_checkpoint(&original, path).unwrap();
    assert_eq!(decode_checkpoint(&whole, path).unwrap(), original);
    let forms = damaged_forms(&whole);
    assert!(forms.len() > 9 * whole.len());
    for form in forms {
        let result = decode_checkpoint(&form, path);
        assert!(
            matches!(result, Err(StateError::Damaged { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn the_last_whole_checkpoint_is_used_and_the_damaged_number_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
    assert_eq!(state.put(&checkpoint(2, 7, &[])).unwrap(), Put::Won);
    let path = folder.path().join("checkpoints/00000000000000000002");
    let whole = fs::read(&path).unwrap();
    for form in [
        &whole[..0],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
    ] {
        fs::write(&path, form).unwrap();
        assert_eq!(state.newest().unwrap(), Some(checkpoint(1, 7, &[])));
        assert!(!path.exists());
        assert_eq!(state.next_number().unwrap(), 3);
    }
    assert_eq!(state.put(&checkpoint(3, 8, &[])).unwrap(), Put::Won);
    assert_eq!(state.newest().unwrap().unwrap().number, 3);
}

#[test]
fn with_no_whole_checkpoint_left_nothing_begins_anew_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
    fs::write(
        folder.path().join("checkpoints/00000000000000000001"),
        b"FPCHECK\n",
    )
    .unwrap();
    for _ in 0..2 {
        assert!(matches!(state.newest(), Err(StateError::Damaged { .. })));
    }
}

#[test]
fn a_checkpoint_under_another_number_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
    let checkpoints = folder.path().join("checkpoints");
    let from = checkpoints.join("00000000000000000001");
    fs::copy(from, checkpoints.join("00000000000000000009")).unwrap();
    assert_eq!(state.newest().unwrap().unwrap().number, 1);
}

#[test]
fn a_damaged_segment_gives_an_error_or_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    state.write_segment(name(1, 7), &records(1)).unwrap();
    let path = fs::read_dir(folder.path().join("segments"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = fs::read(&path).unwrap();
    for form in damaged_forms(&whole) {
        fs::write(&path, &form).unwrap();
        let result = state.read_segment::<[u64; 9]>(name(1, 7));
        assert!(
            matches!(result, Err(StateError::Damaged { .. })),
            "{result:?}"
        );
    }
    fs::write(&path, &whole).unwrap();
    let segment = state.read_segment::<[u64; 9]>(name(1, 7)).unwrap();
    for (shard, expected) in records(1).iter().enumerate() {
        assert_eq!(segment.shard(shard), expected);
    }
    assert_eq!(
        (
            segment.shards(),
            segment.shard(3).len(),
            segment.records().len()
        ),
        (3, 0, 3)
    );
    assert!(matches!(
        state.read_segment::<u64>(name(1, 7)),
        Err(StateError::Damaged { .. })
    ));
    assert!(matches!(
        state.read_segment::<u64>(name(2, 7)),
        Err(StateError::Missing { .. })
    ));
}

#[test]
fn a_table_has_the_hash_it_is_asked_for_by() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    let hash = flow_state::table_hash(b"abc");
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        hash,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert!(matches!(
        state.archive_table(&hash, b"abd"),
        Err(StateError::Unfit { .. })
    ));
    assert!(matches!(
        state.read_table(&hash),
        Err(StateError::Missing { .. })
    ));
    state.archive_table(&hash, b"abc").unwrap();
    assert_eq!(state.read_table(&hash).unwrap(), b"abc");
    fs::write(folder.path().join("tables").join(&hash), b"abd").unwrap();
    assert!(matches!(
        state.read_table(&hash),
        Err(StateError::Damaged { .. })
    ));
    state.archive_table(&hash, b"abc").unwrap();
    assert_eq!(state.read_table(&hash).unwrap(), b"abc");
    assert!(state.read_table("../format").is_err());
}
