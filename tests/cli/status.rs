//! `status` of a state that has nothing to show: the same as `run` says of it.

use std::fs;
use std::path::Path;

use crate::process::{Ended, run};

/// A state with these files.
fn state(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let format = ("format", "flow-pipeline state, layout 1\n");
    for (name, words) in [&[format], files].concat() {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, words).expect("written");
    }
    folder
}

fn status(state: &Path) -> Ended {
    run(&["status", "--state", &state.display().to_string()], &[])
}

/// The lines that say why it ended; others are the log's.
fn ending(ended: &Ended) -> Vec<&str> {
    let of_log = |line: &&str| !line.starts_with('{');
    ended.stderr.lines().filter(of_log).collect()
}

#[test]
fn that_no_checkpoint_is_whole_is_told_as_run_tells_it() {
    let number = "00000000000000000001";
    let place = state(&[(&format!("checkpoints/{number}"), "FPCHECK\n")]);
    let path = place.path().display().to_string();
    let topic = format!("dir://{path}-flows");
    let sink = format!("sqlite://{path}-flows.db");
    let job = ["run", "--topic", &topic, "--sink", &sink, "--state", &path];
    // As it was left by the fault; then as a start has left it, with the checkpoint set aside.
    for words in ["checkpoints/", "damaged: no whole checkpoint is left"] {
        let (shown, started) = (status(place.path()), run(&job, &[]));
        assert_eq!(
            (shown.code, started.code),
            (74, 74),
            "{shown:?} {started:?}"
        );
        assert!(ending(&shown)[0].contains(words), "{shown:?}");
        assert_eq!(ending(&shown), ending(&started));
        assert_eq!(ending(&shown).len(), 1, "{shown:?}");
    }
    assert!(place.path().join("damaged").join(number).exists());
}

#[test]
fn a_state_without_a_checkpoint_says_so() {
    let place = state(&[]);
    let shown = status(place.path());
    assert_eq!(shown.code, 78, "{shown:?}");
    let says = format!("state {}: without a checkpoint yet", place.path().display());
    assert!(shown.stderr.contains(&says), "{shown:?}");
    let nowhere = place.path().join("nowhere");
    let shown = status(&nowhere);
    assert_eq!(shown.code, 78, "{shown:?}");
    let says = format!("state {}: no state of a job", nowhere.display());
    assert!(shown.stderr.contains(&says), "{shown:?}");
}

#[test]
fn help_names_every_place_that_run_takes() {
    let help = run(&["status", "--help"], &[]).stdout;
    assert!(help.contains("--state <DIR|URL>"), "{help}");
    assert!(help.contains("s3://BUCKET/PREFIX"), "{help}");
}
