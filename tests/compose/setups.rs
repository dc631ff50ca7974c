//! The set-ups hold together: schema, services, volumes, files, ports, pinned images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::files::{SETUPS, Setup, ending, text};

/// Ports that cloudflare/flow-pipeline's set-ups publish, and ours too: what points at one goes on.
const PORTS: [(&str, &[&str]); 5] = [
    (
        "postgres-cluster",
        &["3000", "5432", "8081", "8082", "9090", "9092"],
    ),
    ("postgres-mock", &["3000", "5432", "9090", "9092"]),
    (
        "postgres-collect",
        &[
            "2055/udp", "3000", "5432", "6343/udp", "8080", "9090", "9092",
        ],
    ),
    ("clickhouse-mock", &["8123", "9092"]),
    (
        "clickhouse-collect",
        &[
            "2055/udp", "3000", "6343/udp", "8080", "8123", "9090", "9092",
        ],
    ),
];

fn as_compose(text: &str) -> Result<(), String> {
    serde_saphyr::from_str::<compose_spec::Compose>(text)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn every_file_is_a_compose_file() {
    let parts = ending("compose/parts", "yml");
    assert!(parts.len() >= 8, "{parts:?}");
    for file in parts {
        let text = std::fs::read_to_string(&file).expect("readable");
        assert_eq!(as_compose(&text), Ok(()), "{}", file.display());
    }
    for name in SETUPS {
        // All their services are included, and this reader wants some in the file itself.
        let text = text(&format!("compose/{name}.yml")) + "services: {}\n";
        assert_eq!(as_compose(&text), Ok(()), "{name}");
    }
}

#[test]
fn a_misspelt_key_is_no_compose_file() {
    let right = text("compose/parts/kafka.yml");
    assert!(as_compose(&right).is_ok());
    for (key, typo) in [
        ("healthcheck:", "heathcheck:"),
        ("retries: 12", "retries: x"),
    ] {
        let wrong = right.replacen(key, typo, 1);
        assert!(
            wrong != right && as_compose(&wrong).is_err(),
            "{typo} passes"
        );
    }
}

#[test]
fn dependencies_are_services_of_the_set_up() {
    for setup in Setup::all() {
        let services = setup.section("services");
        for (name, service) in &services {
            let Some(needed) = service.get("depends_on").and_then(Value::as_object) else {
                continue;
            };
            for (other, how) in needed {
                let found = services.get(other);
                let found = found.unwrap_or_else(|| panic!("{}: {name} needs {other}", setup.name));
                let healthy = how["condition"] == "service_healthy";
                assert!(
                    !healthy || found.pointer("/healthcheck/test").is_some(),
                    "{}: {name} waits for the health of {other}, which has no check",
                    setup.name
                );
            }
        }
    }
}

#[test]
fn volumes_configs_and_mounted_files_exist() {
    for setup in Setup::all() {
        let declared = setup.section("volumes");
        let configs = setup.section("configs");
        let mut used = BTreeSet::new();
        for (name, service) in setup.section("services") {
            for volume in strings(&service, "volumes") {
                let source = volume.split(':').next().unwrap_or_default().to_owned();
                if source.starts_with('/') {
                    assert!(Path::new(&source).exists(), "{name} mounts {source}");
                } else {
                    assert!(declared.contains_key(&source), "{name}: volume {source}");
                    used.insert(source);
                }
            }
            for config in service
                .get("configs")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let source = config["source"].as_str().expect("a name");
                let file = configs[source]["file"].as_str().expect("a file");
                assert!(
                    Path::new(file).is_file(),
                    "{name}: config {source} is {file}"
                );
            }
        }
        let declared: BTreeSet<_> = declared.keys().cloned().collect();
        assert_eq!(used, declared, "{}: volumes nobody uses", setup.name);
    }
}

#[test]
fn the_ports_of_the_set_ups_that_are_replaced_are_published_and_none_twice() {
    let expected: BTreeMap<_, _> = PORTS.into_iter().collect();
    for setup in Setup::all() {
        let mut published = BTreeSet::new();
        for (name, service) in setup.section("services") {
            for port in strings(&service, "ports") {
                let open = !port.starts_with("127.0.0.1:");
                assert!(
                    !open || port.ends_with("/udp"),
                    "{name}: {port} is open to the network; only exporters' ports may be"
                );
                let from_host = port.trim_start_matches("127.0.0.1:");
                let (from_host, rest) = from_host.split_once(':').expect("two ports");
                let kind = rest
                    .split_once('/')
                    .map_or(String::new(), |(_, k)| format!("/{k}"));
                assert!(
                    published.insert(format!("{from_host}{kind}")),
                    "{port} twice"
                );
            }
        }
        for port in expected[setup.name] {
            assert!(published.contains(*port), "{}: {port}", setup.name);
        }
    }
}

/// `latest`, no tag, and a tag of one number move.
fn pinned(image: &str) -> bool {
    image
        .rsplit_once(':')
        .is_some_and(|(_, tag)| tag.contains('.') && tag.chars().any(|c| c.is_ascii_digit()))
}

#[test]
fn images_are_pinned() {
    for setup in Setup::all() {
        for (name, service) in setup.section("services") {
            let image = service["image"].as_str().expect("an image");
            assert!(pinned(image), "{}: {name} has {image}", setup.name);
        }
    }
    let built = text("Containerfile");
    let bases: Vec<_> = built
        .lines()
        .filter_map(|l| l.strip_prefix("FROM "))
        .collect();
    assert_eq!(bases.len(), 2);
    for base in bases {
        assert!(pinned(base.split(' ').next().unwrap_or_default()), "{base}");
    }
    let controls = ["postgres", "postgres:latest", "postgres:17"];
    assert!(controls.iter().all(|image| !pinned(image)));
}

#[test]
fn the_container_is_built_by_our_toolchain_and_runs_without_privileges() {
    let built = text("Containerfile");
    let toolchain = text("rust-toolchain.toml");
    let version = toolchain.split('"').nth(1).expect("a version");
    assert!(
        built.contains(&format!("FROM rust:{version}-")),
        "{version}"
    );
    assert!(built.contains(&format!("RUSTUP_TOOLCHAIN={version}\n")));
    assert!(built.contains("cargo build --release --locked"));
    let user = built.lines().find_map(|l| l.strip_prefix("USER "));
    assert_eq!(user, Some("10001:10001"));
    // cargo wants every member's manifest, of those too that the binary does not use.
    let manifest = text("Cargo.toml");
    let members = manifest.lines().find_map(|l| l.strip_prefix("members = "));
    let members: Vec<String> = serde_json::from_str(members.expect("members")).expect("strings");
    assert!(members.len() > 9, "{members:?}");
    let folders = members.iter().filter_map(|member| member.split('/').next());
    for folder in folders.chain(["src"]) {
        let line = format!("\n!{folder}\n");
        assert!(
            text(".dockerignore").contains(&line),
            "{folder} is left out of the build"
        );
    }
    let version = format!("flow-pipeline:{}", env!("CARGO_PKG_VERSION"));
    assert!(text("compose/parts/program.yml").contains(&version));
}

pub(crate) fn strings(service: &Value, key: &str) -> Vec<String> {
    let list = service.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .map(|v| {
            v.as_str()
                .unwrap_or_else(|| panic!("{key}: {v}"))
                .to_owned()
        })
        .collect()
}
