//! Which store a URL leads to, as its server says it.
//!
//! Two URLs may lead to one database by host names, addresses and ports that no text tells apart: only the server
//! knows. Law: asking changes nothing, and needs no right beside that to connect.

use crate::{SinkError, clickhouse, postgres};

/// What no other store's server says; `None` for a store without a server, or one that does not say it.
///
/// # Errors
/// As `open`, if the server cannot be asked.
pub fn identity(url: &str) -> Result<Option<String>, SinkError> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => postgres::identity(url).map(Some),
        Some(("clickhouse", _)) => clickhouse::identity(url).map(Some),
        _ => Ok(None),
    }
}
