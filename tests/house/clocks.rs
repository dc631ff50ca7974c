//! Law 10 as a rule on sources: where time is an argument, no clock is read.
//!
//! A clock read in a decoder or an operator makes a row depend on when it was computed, and no test would notice.

use crate::files::everywhere;
use crate::tree::{File, rust_files};
use crate::words::lines;

/// Sources in which time is an argument (law 10): decoders, operators, tables, stores. A follower may measure how
/// long a write took; the others may not even do that.
const CLOCKLESS: [&str; 5] = [
    "proto/src/",
    "ingest/src/wire/",
    "tables/src/",
    "dataflow/src/",
    "sinks/src/",
];

#[test]
fn time_is_an_argument() {
    let files = rust_files();
    for folder in CLOCKLESS {
        assert!(
            files.iter().any(|f| f.path.starts_with(folder)),
            "{folder} is gone"
        );
    }
    everywhere("time-is-an-argument", clocks, &files);
    let read = "let now = SystemTime::now();\n";
    assert_eq!(
        clocks(&File::example("dataflow/src/windows.rs", read)).len(),
        1
    );
    assert!(clocks(&File::example("src/main.rs", read)).is_empty());
    assert!(
        clocks(&File::example(
            "dataflow/src/windows.rs",
            "fn turn(now: u64) {}\n"
        ))
        .is_empty()
    );
}

fn clocks(file: &File) -> Vec<String> {
    if !CLOCKLESS.iter().any(|folder| file.path.starts_with(folder)) {
        return vec![];
    }
    let measures = file.path.starts_with("sinks/");
    lines(file, |line| {
        line.contains("SystemTime::now") || (line.contains("Instant::now") && !measures)
    })
}
