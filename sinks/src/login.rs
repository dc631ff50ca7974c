//! `scheme://user:password@hosts/database?options`, taken apart for the stores that have servers.
//!
//! Law: an `@` that does not end the login is refused, since the text before it may be a password of which `/` or `?` is a
//! character; until that is known, nothing but the URL's shown form is told.

use flow_topic::shown;
use flow_topic::shown::{ENCODED, is_port};

use crate::SinkError;

/// The parts of a URL as they stand there, not decoded. Absent ones are empty.
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) hosts: &'a str,
    pub(crate) database: &'a str,
    pub(crate) query: &'a str,
    /// The URL as it may be shown, behind `scheme`, always with the `/` before the database.
    pub(crate) name: String,
}

impl<'a> Login<'a> {
    /// From a URL of any name of the store; `scheme` is the one that it is shown with.
    ///
    /// # Errors
    /// `Refused` for an `@` behind the hosts, and for a port that is none.
    pub(crate) fn of(url: &'a str, scheme: &str) -> Result<Login<'a>, SinkError> {
        let refused =
            |what: &str| SinkError::refused(format!("sink {}: {what}; {ENCODED}", shown(url)));
        let behind = |(_, rest): (&'a str, &'a str)| rest.strip_prefix("//");
        let rest = url.split_once(':').and_then(behind).ok_or_else(|| {
            SinkError::refused(format!("sink {}: no :// behind the scheme", shown(url)))
        })?;
        let (authority, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if after.contains('@') {
            return Err(refused("an @ behind the first / or ?"));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (_, database) = place.split_once('/').unwrap_or((place, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if !hosts.split(',').all(is_port) {
            let whole = "a port is a whole number up to 65535";
            return Err(match login {
                "" => refused(whole),
                _ => SinkError::refused(format!("sink {}: {whole}", shown(url))),
            });
        }
        let (user, secret) = login.split_once(':').unwrap_or((login, ""));
        let form = shown(url);
        let (_, form) = form.split_once("://").unwrap_or(("", &form));
        let slash = if form.contains('/') { "" } else { "/" };
        Ok(Login {
            user,
            secret,
            hosts,
            database,
            query,
            name: format!("{scheme}://{form}{slash}"),
        })
    }
}
