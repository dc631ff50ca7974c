//! What Prometheus' own tool says of the configuration and the alerts.

use std::path::Path;
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

#[test]
fn promtool_takes_the_configuration_with_the_targets_of_each_set_up() {
    for setup in Setup::all() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["prometheus.yml", "rules.yml"] {
            let content = text(&format!("compose/prometheus/{file}"));
            std::fs::write(folder.path().join(file), content).expect("written");
        }
        let configs = setup.section("configs");
        let targets = configs["targets"]["file"].as_str().expect("a file");
        std::fs::copy(targets, folder.path().join("targets.yml")).expect("copied");
        let Some((fine, said)) = promtool(&["check", "config", "prometheus.yml"], folder.path())
        else {
            return;
        };
        assert!(fine && !said.contains("WARNING"), "{}: {said}", setup.name);
        std::fs::write(folder.path().join("targets.yml"), "- target: [a]\n").expect("written");
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
fn targets_are_services_of_the_set_up_that_serve_http_there() {
    assert_eq!(SETUPS.len(), 5);
    for setup in Setup::all() {
        let configs = setup.section("configs");
        let file = configs["targets"]["file"].as_str().expect("a file");
        let services = setup.section("services");
        let groups = yaml(Path::new(file));
        let targets = groups.as_array().expect("groups").iter();
        for target in targets.flat_map(|group| group["targets"].as_array().expect("targets")) {
            let (name, port) = target
                .as_str()
                .and_then(|t| t.split_once(':'))
                .expect("a port");
            let command = services[name]["command"].to_string();
            assert!(
                command.contains(&format!("--http=0.0.0.0:{port}")),
                "{}: {target}",
                setup.name
            );
        }
    }
}
