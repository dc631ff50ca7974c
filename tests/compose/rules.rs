//! What Prometheus' own tool says of the configuration and the alerts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{SETUPS, Setup, path, text, yaml};
use crate::metric_names::alerts;

/// Debian's, which `scripts/services install` installs.
fn promtool(arguments: &[&str], folder: &Path) -> Option<(bool, String)> {
    let out = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .output();
    let Ok(out) = out else {
        eprintln!("SKIPPED: promtool is not installed");
        return None;
    };
    let said =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    Some((out.status.success(), said))
}

/// The files of targets that the Prometheus of a set-up is given.
fn targets(setup: &Setup) -> Vec<PathBuf> {
    let (configs, services) = (setup.section("configs"), setup.section("services"));
    let given = services["prometheus"]["configs"].as_array().expect("files");
    let given = given.iter().map(|given| {
        let target = given["target"].as_str().expect("a path");
        let name = target.strip_prefix("/etc/prometheus/targets");
        assert!(name.is_some_and(|name| name.ends_with(".yml")), "{target}");
        let source = given["source"].as_str().expect("a name");
        configs[source]["file"].as_str().expect("a file").into()
    });
    given.collect()
}

#[test]
fn promtool_takes_the_configuration_with_the_targets_of_each_set_up() {
    for setup in Setup::all() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["prometheus.yml", "rules.yml"] {
            let content = text(&format!("compose/prometheus/{file}"));
            std::fs::write(folder.path().join(file), content).expect("written");
        }
        for (at, targets) in targets(&setup).iter().enumerate() {
            let name = format!("targets{at}.yml");
            std::fs::copy(targets, folder.path().join(name)).expect("copied");
        }
        let Some((fine, said)) = promtool(&["check", "config", "prometheus.yml"], folder.path())
        else {
            return;
        };
        assert!(fine && !said.contains("WARNING"), "{}: {said}", setup.name);
        let misspelt = folder.path().join("targets0.yml");
        std::fs::write(misspelt, "- target: [a]\n").expect("written");
        let (fine, said) =
            promtool(&["check", "config", "prometheus.yml"], folder.path()).expect("there");
        assert!(!fine, "a misspelt key passes: {said}");
    }
}

#[test]
fn every_alert_fires_on_what_it_is_for_and_is_silent_on_a_healthy_pipeline() {
    let Some((fine, said)) = promtool(
        &["test", "rules", "rules_test.yml"],
        &path("compose/prometheus"),
    ) else {
        return;
    };
    assert!(fine, "{said}");
    let tried = text("compose/prometheus/rules_test.yml");
    for (name, _) in alerts() {
        assert!(
            tried.contains(&format!("alertname=\"{name}\"")),
            "{name} is not tried"
        );
    }
}

#[test]
fn targets_are_the_services_of_the_set_up_that_serve_http() {
    assert_eq!(SETUPS.len(), 5);
    for setup in Setup::all() {
        let groups = targets(&setup).into_iter().map(|file| yaml(&file));
        let listed = groups.flat_map(|groups| groups.as_array().expect("groups").clone());
        let listed = listed.flat_map(|group| group["targets"].as_array().expect("targets").clone());
        let listed: BTreeSet<_> = listed
            .map(|l| l.as_str().expect("text").to_owned())
            .collect();
        let serving = setup.section("services");
        let serving = serving.iter().filter_map(|(name, service)| {
            let command = service["command"].to_string();
            let (_, port) = command.split_once("--http=0.0.0.0:")?;
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            Some(format!("{name}:{port}"))
        });
        assert_eq!(listed, serving.collect(), "{}", setup.name);
    }
}
