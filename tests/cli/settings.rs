//! Flag, environment, file, default: through the binary, seen by what `decode` prints.

use crate::process::{datagram, run};

struct Files {
    _folder: tempfile::TempDir,
    flows: String,
    config: String,
}

fn files(config: &str) -> Files {
    let folder = tempfile::tempdir().expect("a folder");
    let (flows, path) = (
        folder.path().join("one.dat"),
        folder.path().join("config.yaml"),
    );
    std::fs::write(&flows, datagram(1, 0)).expect("written");
    std::fs::write(&path, config).expect("written");
    let text = |path: std::path::PathBuf| path.to_str().expect("utf-8").to_owned();
    Files {
        flows: text(flows),
        config: text(path),
        _folder: folder,
    }
}

fn is_json(arguments: &[&str], environment: &[(&str, &str)]) -> bool {
    let ended = run(arguments, environment);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(!ended.stdout.is_empty());
    ended.stdout.starts_with('{')
}

#[test]
fn flag_then_environment_then_file_then_default() {
    let files = files("decode:\n  format: protobuf\n");
    let flows = files.flows.as_str();
    let file = ["--config", &files.config, "decode", flows];
    let flag = [
        "--config",
        &files.config,
        "decode",
        "--format",
        "protobuf",
        flows,
    ];
    let environment = [("FLOW_PIPELINE_DECODE__FORMAT", "json")];
    assert!(is_json(&["decode", flows], &[]), "default");
    assert!(!is_json(&file, &[]), "file");
    assert!(is_json(&file, &environment), "environment");
    assert!(!is_json(&flag, &environment), "flag");
    assert!(
        !is_json(
            &["decode", flows],
            &[("FLOW_PIPELINE_CONFIG", &files.config)]
        ),
        "file by variable"
    );
}

#[test]
fn an_unknown_key_is_refused_with_line_and_nearest_name() {
    let files = files("log: info\ncollect:\n  listen: [sflow://:6343]\n  topik: dir:///x\n");
    let ended = run(&["--config", &files.config, "decode", &files.flows], &[]);
    assert_eq!(ended.code, 78);
    assert_eq!(
        ended.stderr,
        format!(
            "flow-pipeline: {}:4: unknown key topik in section collect\nhint: the nearest is topic\n",
            files.config
        )
    );
}

#[test]
fn a_value_that_a_flag_would_refuse_is_refused_with_its_line() {
    let files = files("collect:\n  pack-wait: soon\n");
    let ended = run(&["--config", &files.config, "decode", &files.flows], &[]);
    assert_eq!(ended.code, 78);
    let expected = format!(
        "flow-pipeline: {}:2: pack-wait: a duration has a unit",
        files.config
    );
    assert!(ended.stderr.starts_with(&expected), "{}", ended.stderr);
}
