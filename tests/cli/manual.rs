//! `completions` and `man` know every command and flag.

use crate::process::run;

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&["completions", shell], &[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{shell}");
        for word in ["until-end", "retention-bytes"] {
            assert!(ended.stdout.contains(word), "{shell} lacks {word}");
        }
    }
    assert_eq!(run(&["completions", "tcsh"], &[]).code, 2);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let ended = run(&["man"], &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(
        ended.stdout.contains(".TH flow-pipeline 1"),
        "{}",
        ended.stdout
    );
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("man1");
    let path = directory.to_str().expect("utf-8");
    assert_eq!(run(&["man", "--directory", path], &[]).code, 0);
    for (page, flag) in [
        ("flow-pipeline-run", "until\\-end"),
        ("flow-pipeline-topic-create", "retention\\-time"),
        (
            "flow-pipeline-schema-diff",
            "FLOW_PIPELINE_SCHEMA_DIFF__SINK",
        ),
    ] {
        let text = std::fs::read_to_string(directory.join(format!("{page}.1"))).expect(page);
        assert!(text.contains(&format!(".TH {page} 1")), "{page}: {text}");
        assert!(text.contains(flag), "{page}: {text}");
    }
}
