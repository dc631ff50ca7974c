//! Every command line of ours in the set-ups and the units is one that this build's binary takes.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::files::{Setup, ending, path, text};
use crate::setups::strings;

/// Where the containers have the configuration and the tables.
const CONFIG: &str = "/etc/flow-pipeline/config.yml";
const TABLES: &str = "/etc/flow-pipeline/tables";

/// Exit code and what it said.
pub(crate) fn run(arguments: &[String]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLOW_PIPELINE_")) {
        command.env_remove(name);
    }
    let command = command.args(arguments).stdin(Stdio::null());
    let out = command.output().expect("it starts");
    let said =
        String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    (out.status.code().unwrap_or(-1), said)
}

/// The command line is read up to `--help`: an unknown flag or a bad value before it is refused.
fn read(arguments: &[String]) -> Result<(), String> {
    let mut arguments = arguments.to_vec();
    arguments.push("--help".to_owned());
    match run(&arguments) {
        (0, _) => Ok(()),
        (code, said) => Err(format!("{arguments:?}: exit code {code}: {said}")),
    }
}

/// Words as a shell would split them; the set-ups quote nothing.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The command lines of a service that is ours.
pub(crate) fn command_lines(service: &Value) -> Vec<Vec<String>> {
    let command = strings(service, "command");
    if strings(service, "entrypoint").is_empty() {
        return vec![command];
    }
    let script = command.join(" ");
    let commands = script.split("||").map(words);
    commands
        .map(|words| {
            let (program, arguments) = words.split_first().expect("a command");
            assert_eq!(program, "flow-pipeline", "{script}");
            arguments.to_vec()
        })
        .collect()
}

fn ours(setup: &Setup) -> Vec<(String, Value)> {
    let services = setup.section("services").into_iter();
    services.filter(|(_, s)| s.get("build").is_some()).collect()
}

#[test]
fn the_binary_takes_the_command_lines_of_the_set_ups() {
    for setup in Setup::all() {
        let ours = ours(&setup);
        let jobs = if setup.name == "postgres-cluster" {
            2
        } else {
            1
        };
        assert_eq!(
            ours.len(),
            2 + jobs,
            "initializer, jobs, and mocker or collector"
        );
        for (name, service) in ours {
            for mut line in command_lines(&service) {
                // Found in the container alone; the next test reads the files that are mounted there.
                line.retain(|word| *word != format!("--config={CONFIG}"));
                if let Err(said) = read(&line) {
                    panic!("{}: {name}: {said}", setup.name);
                }
            }
        }
    }
}

#[test]
fn a_wrong_flag_and_a_wrong_value_are_refused() {
    assert!(read(&words("collect --listen=sflow://:6343 --no-such-flag=1")).is_err());
    assert!(read(&words("mock --topic kafka://h/flows --flows-per-second no")).is_err());
    assert!(read(&words("no-such-command")).is_err());
}

/// `check` reads more than clap does: URLs, the configuration file, the tables in it.
#[test]
fn check_finds_nothing_wrong_with_the_collectors_and_the_jobs() {
    let folder = tempfile::tempdir().expect("a folder");
    for setup in Setup::all() {
        let configs = setup.section("configs");
        let config = configs["job"]["file"].as_str().expect("a file");
        let config = std::fs::read_to_string(config).expect("readable");
        let tables = path("tables/demo").display().to_string();
        let local = folder.path().join(format!("{}.yml", setup.name));
        std::fs::write(&local, config.replace(TABLES, &tables)).expect("written");
        for (name, service) in ours(&setup) {
            if !["job", "job-1", "collector"].contains(&name.as_str()) {
                continue;
            }
            let line = command_lines(&service).remove(0);
            let (global, rest): (Vec<_>, Vec<_>) = line
                .into_iter()
                .partition(|word| word.starts_with("--config="));
            assert!(
                global.iter().all(|word| word.ends_with(CONFIG)),
                "{global:?}"
            );
            let mut arguments = vec!["--config".to_owned(), local.display().to_string()];
            arguments.push("check".to_owned());
            arguments.extend(rest.into_iter().map(|word| writable(&word, folder.path())));
            let (code, said) = run(&arguments);
            assert_eq!(code, 0, "{}: {name}: {said}", setup.name);
        }
    }
}

/// Places are the container's own: state, token, hosts.
fn writable(word: &str, folder: &Path) -> String {
    let local = folder.display().to_string();
    let token = folder.join("token");
    std::fs::write(&token, "a token for this test alone").expect("written");
    word.replace("/var/lib/flow-pipeline", &local)
        .replace("/run/secrets/token", &token.display().to_string())
        .replace(
            "/etc/flow-pipeline/hosts",
            &path("compose/config/hosts").display().to_string(),
        )
}

#[test]
fn the_units_start_what_the_example_configuration_has_sections_for() {
    let config = path("pkg/config.yml").display().to_string();
    for unit in ending("pkg/systemd", "service") {
        let unit = std::fs::read_to_string(&unit).expect("readable");
        let mut lines = 0;
        for line in unit.lines() {
            let Some((key, command)) = line.split_once("=/usr/bin/flow-pipeline ") else {
                continue;
            };
            assert!(["ExecStart", "ExecStartPre"].contains(&key), "{line}");
            let command = command
                .replace("/etc/flow-pipeline/config.yml", &config)
                .replace("%i", "0");
            if key == "ExecStart" {
                let said = read(&words(&command));
                assert!(said.is_ok(), "{said:?}");
            } else {
                let (code, said) = run(&words(&command));
                assert_eq!(code, 0, "{command}: {said}");
            }
            lines += 1;
        }
        assert_eq!(lines, 2, "{unit}");
        for hardened in [
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "LimitNOFILE=",
            "EnvironmentFile=",
        ] {
            assert!(unit.contains(hardened), "{hardened}");
        }
    }
    assert!(text("pkg/sysctl/60-flow-pipeline.conf").contains("net.core.rmem_max"));
}
