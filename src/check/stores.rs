//! What the URL of a store tells: which store it is, whether raw flows pile up in it, how it may be shown.
//!
//! Law: no password is shown; two URLs of one store are seen by their text where it tells, by what the server says of
//! itself where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub(super) use flow_topic::shown;

use super::finding::Findings;
use crate::failure::{Exit, Failure};

/// Stores that keep raw flows unless told otherwise.
const RAW_BY_DEFAULT: [&str; 3] = ["clickhouse", "postgres", "postgresql"];

/// What tells stores apart, as far as their URLs tell it: the file, or the server with the database and the schema in it.
pub(super) fn store(url: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = base.split_once(':').unwrap_or((base, ""));
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let usual_port = match scheme {
        "sqlite" | "dir" => return format!("{scheme}:{}", file(Path::new(rest)).display()),
        "postgres" | "postgresql" => "5432",
        "clickhouse" if is_secure(query) => "8443",
        "clickhouse" => "8123",
        "kafka" => "9092",
        _ => return scheme.to_owned(),
    };
    let (authority, place) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    // A cluster may be given by any of its brokers, in any order.
    let hosts: BTreeSet<String> = hosts
        .split(',')
        .map(|host| server(host, usual_port))
        .collect();
    let hosts = Vec::from_iter(hosts).join(",");
    let place = place.trim_end_matches('/');
    if scheme == "clickhouse" || scheme == "kafka" {
        return format!("{scheme}://{hosts}/{place}");
    }
    // libpq's rule: without a name, the user's database.
    let user = login.split(':').next().unwrap_or_default();
    let database = if place.is_empty() { user } else { place };
    let schema = query.split('&').find(|pair| pair.starts_with("schema="));
    format!(
        "postgres://{hosts}/{database}?{}",
        schema.unwrap_or_default()
    )
}

/// A host as far as its name tells: one name for all those of this machine, the usual port written out.
fn server(text: &str, usual_port: &str) -> String {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let port = if port.is_empty() { usual_port } else { port };
    let host = host.replace("%2F", "/").replace("%2f", "/");
    if host.starts_with('/') {
        return format!("{}:{port}", host.trim_end_matches('/'));
    }
    let host = host
        .trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_lowercase();
    let here = host.is_empty()
        || host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback());
    let host = if here { "localhost" } else { &host };
    format!("{host}:{port}")
}

fn is_secure(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| ["secure=1", "secure=true"].contains(&pair))
}

/// Another name of a store that was given before.
pub(super) fn given_twice(url: &str) -> Failure {
    let what = format!(
        "sink {}: given twice; two writers of one store would undo each other",
        shown(url)
    );
    Failure::new(Exit::Config, what).hint("leave one of them out")
}

/// Stores that their servers say are one, though their URLs do not. Asked only where there are several of one kind.
pub(crate) fn apart(urls: &[String]) -> Findings {
    let kind = |url: &str| store(url).split(':').next().map(str::to_owned);
    let mut found = Findings::default();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for url in urls {
        if urls.iter().filter(|other| kind(other) == kind(url)).count() < 2 {
            continue;
        }
        // One that does not answer is told of where it is opened.
        let Ok(Some(identity)) = flow_sinks::identity(url) else {
            continue;
        };
        let name = store(url);
        match seen.get(&identity) {
            Some(first) if *first != name => found.wrong(given_twice(url)),
            Some(_) => {} // seen by its text
            None => drop(seen.insert(identity, name)),
        }
    }
    found
}

/// The file itself, whatever it is called; it need not exist.
fn file(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    path.canonicalize()
        .ok()
        .or_else(in_folder)
        .unwrap_or_else(|| path.to_owned())
}

/// Whether raw flows are written and nothing is said of how long they are kept.
pub(super) fn keeps_raw(url: &str) -> bool {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let scheme = base.split(':').next().unwrap_or_default();
    let has = |wanted: &str| query.split('&').any(|pair| pair == wanted);
    let named = |wanted: &str| query.split('&').any(|pair| pair.starts_with(wanted));
    let written = has("raw=on") || (RAW_BY_DEFAULT.contains(&scheme) && !has("raw=off"));
    written && !named("raw_retention=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_told_apart_by_what_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
        std::fs::write(folder.path().join("a"), "").expect("written");
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("link"))
            .expect("linked");
        for (one, other, same) in [
            (at("a"), at("link") + "?retention=3d", true),
            (at("new"), at("./new"), true),
            (at("a"), at("b"), false),
            (
                "postgres://u:p@h/db".into(),
                "postgresql://v@H/db?sslmode=disable".into(),
                true,
            ),
            (
                "postgres://h/db?schema=a".into(),
                "postgres://h/db?schema=b".into(),
                false,
            ),
            ("stdout:".into(), "stdout://".into(), true),
        ] {
            assert_eq!(store(&one) == store(&other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_server_has_many_names() {
        for (one, other, same) in [
            ("postgres://h/d", "postgres://h:5432/d", true),
            (
                "postgres://localhost:5432/d",
                "postgres://127.0.0.1/d",
                true,
            ),
            ("postgres://u@[::1]/d", "postgres:///d", true),
            ("postgres://u@h", "postgres://v@h/u", true),
            (
                "postgres://%2Frun%2Fpg/d",
                "postgres://%2frun%2fpg%2F/d",
                true,
            ),
            (
                "postgres://%2Frun%2Fpg/d",
                "postgres://%2Frun%2FPG/d",
                false,
            ),
            ("postgres://h/d", "postgres://h:5433/d", false),
            ("postgres://h/d", "postgres://h/D", false),
            ("clickhouse://h/d", "clickhouse://u@H.:8123/d", true),
            (
                "clickhouse://h/d?secure=1",
                "clickhouse://h:8443/d?secure=true",
                true,
            ),
            ("clickhouse://h/d", "clickhouse://h:8443/d?secure=1", false),
            ("clickhouse://h:1/a", "clickhouse://h:1/b", false),
            ("kafka://a,b:9092/t", "kafka://b,a:9092/t?linger.ms=5", true),
            ("kafka://a/t", "kafka://a/u", false),
        ] {
            assert_eq!(store(one) == store(other), same, "{one} {other}");
        }
    }

    #[test]
    fn raw_flows_kept_for_ever_are_noticed() {
        for (url, noticed) in [
            ("clickhouse://h/d", true),
            ("postgres://h/d?raw_retention=7d", false),
            ("postgres://h/d?raw=off", false),
            ("clickhouse://h/d?raw_retention=forever", false),
            ("sqlite:///f", false),
            ("sqlite:///f?raw=on", true),
            ("stdout:", false),
        ] {
            assert_eq!(keeps_raw(url), noticed, "{url}");
        }
    }
}
