//! What `Objects` promise, over every store.

// Clippy takes only the functions marked as tests for tests, not their helpers; these tell what they skip.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::io::ErrorKind;

use flow_state::{Objects, Placed};
use support::stands;

fn each(check: fn(&dyn Objects)) {
    for stand in stands() {
        eprintln!("over {}", stand.name);
        check(stand.state.objects());
    }
}

#[test]
fn what_was_put_is_there_whole() {
    each(|objects| {
        objects.put("tables/a", 1, &[b"one", b"", b" two"]).unwrap();
        assert_eq!(objects.get("tables/a").unwrap(), b"one two");
        objects.put("tables/a", 1, &[b"new"]).unwrap();
        assert_eq!(objects.get("tables/a").unwrap(), b"new");
        objects.put("tables/empty", 1, &[]).unwrap();
        assert_eq!(objects.get("tables/empty").unwrap(), b"");
        let missing = objects.get("tables/b").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    });
}

#[test]
fn a_name_is_given_once() {
    each(|objects| {
        let put = |bytes| objects.put_if_absent("checkpoints/7", 1, &[bytes]).unwrap();
        assert_eq!(put(b"first"), Placed::New);
        assert_eq!(put(b"first"), Placed::Existed, "asked again");
        assert_eq!(put(b"second"), Placed::Existed);
        assert_eq!(objects.get("checkpoints/7").unwrap(), b"first");
        objects.delete("checkpoints/7").unwrap();
        assert_eq!(put(b"third"), Placed::New, "free again");
    });
}

#[test]
fn pieces_are_read_where_they_stand() {
    // Longer than what is read ahead, and no multiple of it.
    let whole: Vec<u8> = (0..3_500_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    for stand in stands() {
        let objects = stand.state.objects();
        objects.put("segments/long", 1, &[&whole]).unwrap();
        let opened = objects.open("segments/long").unwrap();
        assert_eq!(opened.length(), whole.len() as u64);
        let places = [
            (0, 32),
            (32, 4_000_000),
            (1 << 20, 1),
            (13_000_000, 7),
            (5, 3),
        ];
        for (at, length) in places {
            let mut into = vec![0; length];
            opened.read_at(at as u64, &mut into).unwrap();
            assert!(into == whole[at..at + length], "{}: {at}", stand.name);
        }
        for at in [whole.len() as u64 - 3, whole.len() as u64, u64::MAX] {
            let error = opened.read_at(at, &mut [0; 4]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
        }
        objects.delete("segments/long").unwrap();
        let read = opened.read_at(9_000_000, &mut [0; 4]);
        match stand.name {
            "directory" => read.unwrap(),
            _ => assert_eq!(read.unwrap_err().kind(), ErrorKind::NotFound),
        }
    }
}

#[test]
fn a_folder_lists_its_own_in_order() {
    each(|objects| {
        assert!(objects.list("segments").unwrap().is_empty());
        // More than an S3 server tells at once would be slow here; the order is not that of writing.
        for name in ["segments/b", "segments/a", "segments/c", "tables/a"] {
            objects.put(name, 1, &[name.as_bytes()]).unwrap();
        }
        assert_eq!(objects.list("segments").unwrap(), ["a", "b", "c"]);
        assert_eq!(
            objects.list("segment").unwrap(),
            [""; 0],
            "no prefix of one"
        );
        objects.delete("segments/b").unwrap();
        objects.delete("segments/b").unwrap();
        assert_eq!(objects.list("segments").unwrap(), ["a", "c"]);
        let top = objects.list("").unwrap();
        for name in ["format", "segments", "tables"] {
            assert!(top.iter().any(|found| found == name), "{top:?}");
        }
    });
}

#[test]
fn what_is_set_aside_has_moved() {
    each(|objects| {
        objects.put("checkpoints/9", 1, &[b"torn"]).unwrap();
        objects.put("damaged/9", 1, &[b"older"]).unwrap();
        objects.set_aside("checkpoints/9", "damaged/9").unwrap();
        assert_eq!(objects.get("damaged/9").unwrap(), b"torn");
        assert!(objects.list("checkpoints").unwrap().is_empty());
        assert_eq!(objects.sweep("checkpoints", 2).unwrap(), 0);
    });
}
