//! What can be said of a command's flags without touching anything they point to.
//!
//! Law: asked by `check` and at the command's own start, so that neither lets pass what the other refuses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use flow_ingest::udp::Listen;

use super::finding::Findings;
use crate::cli;
use crate::failure::{Exit, Failure};

/// Stores that keep raw flows unless told otherwise.
const RAW_BY_DEFAULT: [&str; 3] = ["clickhouse", "postgres", "postgresql"];

/// `run`.
pub(crate) fn job(options: &cli::Run) -> Findings {
    let mut found = Findings::default();
    topic(&options.topic, &mut found);
    let mut seen = BTreeSet::new();
    for url in &options.sink {
        found.take(flow_sinks::url::check(url), |()| {
            format!("sink {}", shown(url))
        });
        if !seen.insert(store(url)) {
            let what = format!(
                "sink {}: given twice; two writers of one store would undo each other",
                shown(url)
            );
            found.wrong(Failure::new(Exit::Config, what).hint("leave one of them out"));
        }
        if keeps_raw(url) {
            found.doubtful(format!(
                "sink {}: its raw flows are kept for ever; give raw_retention=7d, or raw_retention=forever if that is meant",
                shown(url)
            ));
        }
    }
    if options.emit_delay > options.allowed_lateness {
        let what = "--emit-delay is longer than --allowed-lateness: a slot would be over before it is first written";
        found.wrong(Failure::new(Exit::Config, what).hint("make the emit delay shorter"));
    }
    found
}

/// `collect`.
pub(crate) fn collector(options: &cli::Collect) -> Findings {
    let mut found = Findings::default();
    let mut seen = Vec::new();
    for url in &options.listen {
        let Some(listen) = found.take(url.parse::<Listen>(), |listen| {
            format!("listen {}", listen.address)
        }) else {
            continue;
        };
        if listen.address.port() != 0 && seen.contains(&listen.address) {
            let what = format!("{url}: given twice; one listener takes every protocol");
            found.wrong(Failure::new(Exit::Config, what).hint("leave one of them out"));
        }
        seen.push(listen.address);
    }
    topic(&options.topic, &mut found);
    found
}

/// `mock`.
pub(super) fn mock(options: &cli::Mock) -> Findings {
    let mut found = Findings::default();
    match (&options.topic, &options.udp) {
        (Some(url), None) => topic(url, &mut found),
        (None, Some(url)) => found.good(format!("target {url}")),
        _ => found.wrong(crate::mock::one_target()),
    }
    found
}

fn topic(url: &str, found: &mut Findings) {
    found.take(flow_topic::url::check(url), |()| {
        format!("topic {}", shown(url))
    });
}

/// The URL without query and password.
pub(super) fn shown(url: &str) -> String {
    let url = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

/// What tells stores apart: the file, or the server with the database and the schema in it.
fn store(url: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    if let Some(path) = base.strip_prefix("sqlite:") {
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        return format!("sqlite:{}", file(path).display());
    }
    let base = base.trim_end_matches('/').to_lowercase();
    let Some((scheme, rest)) = base.split_once("://") else {
        return base;
    };
    let scheme = if scheme == "postgresql" {
        "postgres"
    } else {
        scheme
    };
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let schema = query.split('&').find(|pair| pair.starts_with("schema="));
    format!("{scheme}://{place}?{}", schema.unwrap_or_default())
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
fn keeps_raw(url: &str) -> bool {
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
            (
                "clickhouse://h:1/a".into(),
                "clickhouse://h:1/b".into(),
                false,
            ),
            ("stdout:".into(), "stdout:".into(), true),
        ] {
            assert_eq!(store(&one) == store(&other), same, "{one} {other}");
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

    #[test]
    fn no_password_is_shown() {
        assert_eq!(
            shown("postgres://u:secret@h/db?password=x"),
            "postgres://u@h/db"
        );
        assert_eq!(shown("dir:///a@b"), "dir:///a@b");
    }
}
