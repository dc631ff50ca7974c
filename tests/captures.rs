//! `decode` as a user runs it: on all captures of real exporters, on hostile files, on files that are not there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_flow-pipeline");
/// Units that the comparison must call right: all of them.
const RIGHT: &str = "107";

fn captures() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = shared.unwrap_or_else(beside).join("captures");
    if folder.join("compare.py").exists() {
        return Some(folder);
    }
    // Not by a macro: the test harness would keep it for itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/captures is not here");
    None
}

fn decode(files: &[&Path], format: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("decode").args(files).args(["--format", format]);
    command.output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_unit_of_real_exporters_is_decoded_right() {
    let Some(folder) = captures() else { return };
    let run = Command::new("python3")
        .arg(folder.join("compare.py"))
        .args(["--min", RIGHT, BINARY, "decode", "--format", "json"])
        .output()
        .expect("python3 runs");
    assert!(
        run.status.success(),
        "{}{}",
        text(&run.stdout),
        text(&run.stderr)
    );
}

/// Datagrams that made others allocate gigabytes or loop, under 1 GiB of address space and 10 s of CPU time.
#[test]
fn hostile_datagrams_need_no_memory() {
    let be = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let header = |samples| be(&[5, 1, 0x0a00_0001, 0, 1, 1, samples]);
    // A flow sample with a gateway record whose AS path has 2^32 - 1 hops; one with 2^32 - 1 records.
    let gateway = be(&[
        1,
        84,
        1,
        1,
        100,
        1,
        0,
        1,
        2,
        1,
        1003,
        44,
        1,
        1,
        1,
        2,
        3,
        1,
        2,
        u32::MAX,
        7,
    ]);
    let path = [header(1), gateway].concat();
    let records = [
        header(u32::MAX),
        be(&[3, 44, 1, 0, 1, 1, 1, 0, 0, 1, 0, 2, u32::MAX]),
    ]
    .concat();
    // NetFlow v9 and IPFIX: templates of 65,535 fields, of none, of length zero, and data for the last.
    let v9 = [
        be(&[0x0009_ffff, 1, 1, 1, 1]),
        be(&[0x0000_0008, 0x0100_ffff, 0x0000_000c, 0x0101_0001]),
    ];
    let v9 = [v9.concat(), be(&[0x0001_0000, 0x0101_ffff, 1, 2, 3])].concat();
    let v5 = [be(&[0x0005_ffff, 1, 1, 1, 1, 0]), vec![1; 48]].concat();
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [("path", path), ("records", records), ("v9", v9), ("v5", v5)] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("written");
        let run = Command::new("sh")
            .args([
                "-c",
                "ulimit -v 1048576; ulimit -t 10; exec \"$0\" decode \"$1\" --format json",
            ])
            .args([Path::new(BINARY), &file])
            .output()
            .expect("sh runs");
        assert!(run.status.success(), "{name}: {}", text(&run.stderr));
        let flows = run.stdout.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(
            flows,
            usize::from(name != "v9"),
            "{name}: {}",
            text(&run.stdout)
        );
        assert!(
            text(&run.stderr).starts_with("not decoded: 1 "),
            "{name}: {}",
            text(&run.stderr)
        );
    }
}

#[test]
fn state_is_kept_from_file_to_file_and_the_rest_told_on_standard_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (template, data) = (folder.path().join("template"), folder.path().join("data"));
    let header = [0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    let set = [0, 0, 0, 12, 1, 44, 0, 1, 0, 8, 0, 4];
    std::fs::write(&template, [&header[..], &set].concat()).expect("written");
    std::fs::write(&data, [&header[..], &[1, 44, 0, 8, 10, 0, 0, 1]].concat()).expect("written");
    let both = decode(&[&template, &data], "json");
    assert!(
        text(&both.stdout).contains("\"src_addr\":\"10.0.0.1\""),
        "{}",
        text(&both.stdout)
    );
    assert_eq!(
        (both.status.code(), text(&both.stderr)),
        (Some(0), String::new())
    );
    let alone = decode(&[&data], "json");
    assert_eq!((alone.status.code(), alone.stdout.len()), (Some(0), 0));
    let told = text(&alone.stderr);
    assert!(
        told.starts_with("not decoded: 1 waiting: ") && told.lines().count() == 1,
        "{told}"
    );
    // One length-delimited message: the length, then so many bytes.
    let protobuf = decode(&[&template, &data], "protobuf").stdout;
    assert_eq!(
        protobuf.first().map(|n| usize::from(*n) + 1),
        Some(protobuf.len())
    );
}

#[test]
fn a_file_that_cannot_be_read_ends_it_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [folder.path().join("none"), folder.path().to_owned()] {
        let run = decode(&[&path], "json");
        assert_eq!((run.status.code(), run.stdout.len()), (Some(74), 0));
        let first = text(&run.stderr).lines().next().map(str::to_owned);
        assert!(first.is_some_and(|line| line.contains(&*path.to_string_lossy())));
    }
}
