//! The form of a URL that may be shown: in messages, log lines, pages and metrics.
//!
//! Why one place: whoever tells of a URL must hide the same, also of one that cannot be read. Law: whatever is wrong
//! with a URL, nothing that may be part of a password is in its form; which URL is meant can still be seen.

/// What to do about a character that a URL's own grammar takes away from a password.
pub const ENCODED: &str = "special characters of a password are percent-encoded (/ is %2F, ? is %3F, @ is %40, & is %26, \
     % is %25); better give it by a file";

/// Schemes of files: no user stands before the path, which may hold any character.
const FILES: [&str; 3] = ["dir", "sqlite", "stdout"];
/// What is hidden.
const HIDDEN: &str = "***";

/// The URL without password and options.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = split(url);
    if FILES.iter().any(|file| is_of(url, file)) {
        return until(url, &['?']).to_owned();
    }
    if scheme == "kafka://"
        && let Some(place) = before_properties(rest)
    {
        return format!("{scheme}{place}");
    }
    let Some((login, after)) = rest.rsplit_once('@') else {
        return format!("{scheme}{}", hosts_and_path(until(rest, &['?', '#'])));
    };
    let user = user(login);
    let at = if login.is_empty() { "" } else { "@" };
    // Behind a ? the last @ may stand in an option's value, or in a password before it.
    let after = if login.contains('?') {
        HIDDEN
    } else {
        until(after, &['?', '#'])
    };
    format!("{scheme}{user}{at}{after}")
}

/// The name of an option, if it looks like one: not like the rest of a value that was cut at its `&`.
pub fn option_name(name: &str) -> Option<&str> {
    let fit = |byte: u8| byte.is_ascii_lowercase() || b"._".contains(&byte);
    (!name.is_empty() && name.bytes().all(fit)).then_some(name)
}

/// The path of a secret's file, unless it may be the secret itself, given in the wrong place.
pub fn secret_file(path: &str) -> &str {
    let is_path = ["/", "./", "../"]
        .iter()
        .any(|start| path.starts_with(start));
    if is_path {
        path
    } else {
        "the file that it names"
    }
}

/// Scheme with `://`, if it is one, and the rest.
fn split(url: &str) -> (&str, &str) {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    match url.find("://") {
        Some(at) if url.bytes().take(at).all(fit) => url.split_at(at + 3),
        _ => ("", url),
    }
}

fn is_of(url: &str, scheme: &str) -> bool {
    url.strip_prefix(scheme)
        .is_some_and(|rest| rest.starts_with(':'))
}

fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or_default()
}

/// The place of a topic whose properties hold an `@`, as in `sasl.username=me@there`.
fn before_properties(rest: &str) -> Option<&str> {
    let (place, query) = rest.split_once('?')?;
    let (name, _) = query.split_once('=')?;
    let is_property = ["framing", "dialect"].contains(&name)
        || (option_name(name).is_some() && name.contains('.'));
    (is_property && !place.contains('@') && hosts_and_path(place) == place).then_some(place)
}

/// What stands before the password, also where `:` is written `%3A`.
fn user(login: &str) -> &str {
    let user = until(login, &[':', '/', '?', '#', '@']);
    let encoded = user.find("%3A").or_else(|| user.find("%3a"));
    encoded.map_or(user, |at| &user[..at])
}

/// Without an `@`: what follows a `:` and is no port may be the password of a URL that lacks its host.
fn hosts_and_path(text: &str) -> String {
    let authority = until(text, &['/']);
    let mut seen = 0;
    for host in authority.split(',') {
        if !is_port(host) {
            let user = until(host, &[':']);
            return format!("{}{user}:{HIDDEN}", &text[..seen]);
        }
        seen += host.len() + 1;
    }
    text.to_owned()
}

/// Whether a host has a port that is one, or none.
pub fn is_port(host: &str) -> bool {
    let after = match host.rsplit_once(']') {
        Some((_, after)) if host.starts_with('[') => after,
        _ => host.find(':').map_or("", |at| &host[at..]),
    };
    match after.strip_prefix(':') {
        Some("") => true,
        Some(port) => port.parse::<u16>().is_ok(),
        None => after.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_and_what_is_not() {
        for (url, form) in [
            ("postgres://u:S3CRET@h:5/d?schema=x", "postgres://u@h:5/d"),
            ("postgres://u:a/S3CRET@h/d", "postgres://u@h/d"),
            ("postgres://u:a?S3CRET@h/d", "postgres://u@***"),
            ("postgres://u:a#S3CRET@h/d", "postgres://u@h/d"),
            ("postgres://u:a@S3CRET@h/d", "postgres://u@h/d"),
            ("postgres://u%3AS3CRET@h/d", "postgres://u@h/d"),
            ("postgres://u:S3CRET", "postgres://u:***"),
            ("postgres://h:1,u:S3CRET/h/d", "postgres://h:1,u:***"),
            ("postgres://h/d?password=a@S3CRET", "postgres://h@***"),
            ("postgres://h:5432,[::1]:7/d", "postgres://h:5432,[::1]:7/d"),
            ("postgres:/u:S3CRET@h/d", "postgres@h/d"),
            ("u:S3CRET@h/d", "u@h/d"),
            ("mysql://u:S3CRET@h/d", "mysql://u@h/d"),
            ("kafka://h:1/t?sasl.username=a@b", "kafka://h:1/t"),
            ("kafka://u:S3CRET?sasl.username=a@b", "kafka://u@***"),
            ("kafka://h:1,i/t?sasl.passwrd=S3CRET", "kafka://h:1,i/t"),
            ("dir:///a@b:c", "dir:///a@b:c"),
            ("sqlite:f.db?x=1", "sqlite:f.db"),
            ("stdout:", "stdout:"),
            ("/var/flows", "/var/flows"),
            ("", ""),
        ] {
            assert_eq!(shown(url), form, "{url}");
        }
    }

    #[test]
    fn names_and_paths_that_may_be_secrets() {
        assert_eq!(option_name("sasl.pasword"), Some("sasl.pasword"));
        for name in ["", "S3CRET", "a/b", "x@y"] {
            assert_eq!(option_name(name), None, "{name}");
        }
        assert_eq!(secret_file("/run/secret"), "/run/secret");
        assert!(!secret_file("S3CRET").contains("S3CRET"));
    }
}
