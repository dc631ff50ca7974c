//! The dashboards' form: what Grafana would complain about, or show nothing for, without saying so.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::files::{Setup, ending, text, yaml};
use crate::setups::strings;

/// All dashboards.
pub(crate) const DASHBOARDS: [&str; 3] = ["pipeline", "traffic-postgres", "traffic-clickhouse"];

/// One dashboard.
pub(crate) struct Dashboard {
    name: &'static str,
    json: Value,
}

/// One query of a panel.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) panel: String,
    /// SQL or PromQL, with Grafana's macros.
    pub(crate) text: String,
}

impl Dashboard {
    pub(crate) fn load(name: &'static str) -> Dashboard {
        let text = text(&format!("compose/grafana/dashboards/{name}.json"));
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Dashboard { name, json }
    }

    /// Panels that show something.
    fn panels(&self) -> Vec<&Value> {
        let all = self.json["panels"].as_array().expect("panels").iter();
        all.filter(|panel| panel["type"] != "row").collect()
    }

    /// Every query, in order.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            for target in panel["targets"].as_array().expect("targets") {
                let text = target.get("rawSql").or_else(|| target.get("expr"));
                queries.push(Query {
                    panel: panel["title"].as_str().expect("a title").to_owned(),
                    text: text.and_then(Value::as_str).expect("a query").to_owned(),
                });
            }
        }
        queries
    }
}

/// uid -> type of the provisioned data sources in these files.
fn sources(files: &[std::path::PathBuf]) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for file in files {
        for source in yaml(file)["datasources"].as_array().expect("data sources") {
            let text = |key: &str| source[key].as_str().expect("text").to_owned();
            let before = sources.insert(text("uid"), text("type"));
            assert!(before.is_none(), "{}", file.display());
        }
    }
    sources
}

/// The uids that a dashboard asks.
fn asked(dashboard: &Dashboard) -> BTreeSet<String> {
    let uid = |place: &Value| {
        place["datasource"]["uid"]
            .as_str()
            .expect("a uid")
            .to_owned()
    };
    let mut asked = BTreeSet::new();
    for panel in dashboard.panels() {
        asked.insert(uid(panel));
        asked.extend(
            panel["targets"]
                .as_array()
                .expect("targets")
                .iter()
                .map(uid),
        );
    }
    asked
}

#[test]
fn data_sources_of_the_dashboards_are_provisioned_with_the_same_type() {
    let sources = sources(&ending("compose/grafana/provisioning/datasources", "yml"));
    assert_eq!(sources.len(), 3);
    for name in DASHBOARDS {
        let dashboard = Dashboard::load(name);
        for panel in dashboard.panels() {
            let targets = panel["targets"].as_array().expect("targets");
            for place in targets.iter().chain([panel]) {
                let uid = place["datasource"]["uid"].as_str().expect("a uid");
                let kind = place["datasource"]["type"].as_str();
                let known = sources.get(uid).map(String::as_str);
                assert!(
                    known.is_some() && known == kind,
                    "{name}: {} asks {uid}",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn each_set_up_mounts_the_data_sources_of_its_dashboards() {
    for setup in Setup::all() {
        let grafana = &setup.section("services")["grafana"];
        let mounted = strings(grafana, "volumes");
        let file = |volume: &String| volume.split(':').next().map(std::path::PathBuf::from);
        let of = |folder: &str| -> Vec<_> {
            let inside = mounted
                .iter()
                .filter(|v| v.contains(folder))
                .filter_map(file);
            inside.collect()
        };
        let sources = sources(&of("/provisioning/datasources/"));
        let files = of("/grafana/dashboards/");
        assert_eq!(files.len(), 2, "{}: pipeline and traffic", setup.name);
        for file in files {
            let stem = file.file_stem().and_then(|s| s.to_str()).expect("a name");
            let name = DASHBOARDS
                .into_iter()
                .find(|name| *name == stem)
                .expect("known");
            for uid in asked(&Dashboard::load(name)) {
                assert!(
                    sources.contains_key(&uid),
                    "{}: {name} asks {uid}",
                    setup.name
                );
            }
        }
        let kept = &setup.section("services")["grafana"]["environment"];
        let home = kept["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str();
        let target = |volume: &String| volume.split(':').nth(1).map(str::to_owned);
        assert!(
            mounted
                .iter()
                .filter_map(target)
                .any(|t| Some(t.as_str()) == home)
        );
    }
}

#[test]
fn panels_have_their_own_id_and_place_and_queries_their_own_letter() {
    let mut uids = BTreeSet::new();
    for name in DASHBOARDS {
        let dashboard = Dashboard::load(name);
        let json = &dashboard.json;
        assert!(uids.insert(json["uid"].as_str().expect("a uid").to_owned()));
        assert!(json["schemaVersion"].as_u64().expect("a version") >= 39);
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in json["panels"].as_array().expect("panels") {
            assert!(
                ids.insert(panel["id"].as_u64().expect("an id")),
                "{name}: {panel}"
            );
            for cell in cells(&panel["gridPos"]) {
                assert!(
                    taken.insert(cell),
                    "{}: {} is on another",
                    dashboard.name,
                    panel["title"]
                );
            }
        }
        for panel in dashboard.panels() {
            let targets = panel["targets"].as_array().expect("targets");
            let letters: BTreeSet<_> = targets.iter().map(|t| t["refId"].as_str()).collect();
            assert!(
                !targets.is_empty() && letters.len() == targets.len(),
                "{}",
                panel["title"]
            );
        }
    }
}

/// The cells of the grid of 24 columns that a panel covers.
fn cells(place: &Value) -> Vec<(u64, u64)> {
    let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| place[key].as_u64().expect("a number"));
    assert!(w > 0 && h > 0 && x + w <= 24, "{place}");
    let columns = (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row)));
    columns.collect()
}
