//! Metrics that dashboards and alerts name are metrics that the program has.

use std::collections::BTreeSet;

use crate::dashboards::Dashboard;
use crate::files::{path, text, yaml};

/// Our metrics in an expression.
fn named(expression: &str) -> BTreeSet<String> {
    let other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = expression.split(other);
    let ours = words.filter(|word| word.starts_with("flow_pipeline_"));
    ours.map(str::to_owned).collect()
}

/// The names in the reference, which a test of the program writes from its registry.
fn reference() -> BTreeSet<String> {
    let page = text("docs/metrics.md");
    let names = page.lines().filter_map(|line| line.strip_prefix("| `"));
    names
        .filter_map(|line| line.split('`').next())
        .map(str::to_owned)
        .collect()
}

/// The expressions of the alert rules, by name.
pub(crate) fn alerts() -> Vec<(String, String)> {
    let rules = yaml(&path("compose/prometheus/rules.yml"));
    let groups = rules["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    rules
        .map(|rule| (text(&rule["alert"]), text(&rule["expr"])))
        .collect()
}

#[test]
fn dashboards_and_alerts_name_metrics_of_the_reference() {
    let reference = reference();
    assert!(reference.len() > 30);
    let pipeline = Dashboard::load("pipeline");
    let queries = pipeline.queries().into_iter().map(|q| (q.panel, q.text));
    let mut known = 0;
    for (place, expression) in queries.chain(alerts()) {
        for name in named(&expression) {
            assert!(reference.contains(&name), "{place}: no metric {name}");
            known += 1;
        }
    }
    assert!(known > 50, "{known}");
    assert_eq!(named("rate(flow_pipeline_x_total{a=\"b\"}[5m])").len(), 1);
}

#[test]
fn each_alert_says_what_to_do_and_has_its_line_in_the_document() {
    let page = text("docs/compose.md");
    let alerts = alerts();
    assert!(alerts.len() >= 10);
    for (name, _) in alerts {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/compose.md lacks {name}"
        );
    }
    let rules = yaml(&path("compose/prometheus/rules.yml"));
    for group in rules["groups"].as_array().expect("groups") {
        for rule in group["rules"].as_array().expect("rules") {
            let has = |name: &str| {
                rule["annotations"][name]
                    .as_str()
                    .is_some_and(|t| !t.is_empty())
            };
            assert!(has("summary") && has("action"), "{}", rule["alert"]);
        }
    }
}
