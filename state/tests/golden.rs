//! Files written by release 0.1 are read for ever, and a newer version is refused by its number.
//!
//! `FLOW_PIPELINE_BLESS=1` writes the golden files; that is right only together with a new format version.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use flow_state::{StateError, StateStore, Swaps, decode_checkpoint, encode_checkpoint};
use support::{checkpoint, name, records};

fn golden(file: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    if std::env::var_os("FLOW_PIPELINE_BLESS").is_some() {
        fs::write(&path, written).unwrap();
    }
    fs::read(&path).unwrap()
}

/// Version 1 had no recorded starts, neither it nor version 2 had gaps and generations, and none before 4 had swaps. No
/// release writes them any more, so their files are never blessed.
#[test]
fn checkpoint_versions_1_to_3() {
    let path = Path::new("golden");
    let mut expected = checkpoint(5, 77, &[4, 5]);
    expected.swaps = Swaps::default();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = fs::read(folder.join("checkpoint-v3")).unwrap();
    assert_eq!(decode_checkpoint(&file, path).unwrap(), expected);
    expected.gaps.clear();
    expected.generations.clear();
    let file = fs::read(folder.join("checkpoint-v2")).unwrap();
    assert_eq!(decode_checkpoint(&file, path).unwrap(), expected);
    expected.starts.clear();
    let file = fs::read(folder.join("checkpoint-v1")).unwrap();
    assert_eq!(decode_checkpoint(&file, path).unwrap(), expected);
}

#[test]
fn checkpoint_version_4() {
    let path = Path::new("golden");
    let expected = checkpoint(5, 77, &[4, 5]);
    let written = encode_checkpoint(&expected, path).unwrap();
    let mut file = golden("checkpoint-v4", &written);
    assert_eq!(decode_checkpoint(&file, path).unwrap(), expected);
    assert_eq!(
        written, file,
        "what this release writes is version 4 byte for byte"
    );
    set_version(&mut file, 20..24, 8..20, 24);
    assert!(matches!(
        decode_checkpoint(&file, path),
        Err(StateError::Newer {
            found: 5,
            known: 4,
            ..
        })
    ));
}

/// The model's `generation`: the highest of those that begin before the slot's end.
#[test]
fn an_adoption_holds_from_a_slot_end_on() {
    let mut adopted = checkpoint(5, 77, &[]);
    adopted.generations = vec![(0, 1), (900, 4)];
    let of = |slot| adopted.generation(slot, 300);
    assert_eq!([of(300), of(600), of(900), of(1_200)], [1, 1, 4, 4]);
    assert_eq!(of(0), 4, "`elsewhere` is no time");
    adopted.generations.clear();
    assert_eq!(adopted.generation(900, 300), 0);
}

#[test]
fn segment_version_1() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    state.write_segment(name(1, 7), &records(1)).unwrap();
    let path = folder
        .path()
        .join("segments/00000000000000000001-0000000000000007-0000000000");
    let written = fs::read(&path).unwrap();
    let mut file = golden("segment-v1", &written);
    assert_eq!(
        written, file,
        "what this release writes is version 1 byte for byte"
    );
    fs::write(&path, &file).unwrap();
    assert_eq!(
        state
            .read_segment::<[u64; 9]>(name(1, 7))
            .unwrap()
            .records(),
        records(1).concat()
    );
    let index_end = 32 + 3 * 16;
    file[8] = 2;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file[..28]);
    hasher.update(&file[32..index_end]);
    file[28..32].copy_from_slice(&hasher.finalize().to_le_bytes());
    fs::write(&path, &file).unwrap();
    let result = state.read_segment::<[u64; 9]>(name(1, 7));
    assert!(
        matches!(
            result,
            Err(StateError::Newer {
                found: 2,
                known: 1,
                ..
            })
        ),
        "{result:?}"
    );
}

/// Makes a checkpoint file one of version 5, with the checksum that goes with it.
fn set_version(
    file: &mut [u8],
    crc: std::ops::Range<usize>,
    checked: std::ops::Range<usize>,
    body: usize,
) {
    file[8] = 5;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file[checked]);
    hasher.update(&file[body..]);
    file[crc].copy_from_slice(&hasher.finalize().to_le_bytes());
}
