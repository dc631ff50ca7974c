//! What the URL of a store tells: which store it is, whether raw flows pile up in it, how it may be shown.
//!
//! Law: no password is shown; one store has one name here, whatever it is called.

use std::path::{Path, PathBuf};

/// Stores that keep raw flows unless told otherwise.
const RAW_BY_DEFAULT: [&str; 3] = ["clickhouse", "postgres", "postgresql"];

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
pub(super) fn store(url: &str) -> String {
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
