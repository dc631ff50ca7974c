//! Puts the raw flows of a slot in the place of those that are there: a mutation, then an insert.
//!
//! Law 6 without transactions: between the two the slot has none, and cut short it is begun again. The token names slot,
//! generation and content, so that an insert of a process that is gone, should it arrive after all, is known; one that was
//! stored before and deleted since is known, too, so what was written is counted, and written anew under another token.

use super::raw::{LOOK, LOOKS};
use super::server::Server;
use crate::raw_columns::RAW_FLOWS;
use crate::{RawReplacement, RawRows, SinkError};

/// So often it is written anew.
const ROUNDS: u64 = 3;

/// Inserts flows under a token and what is added to it.
type Insert<'a> = dyn Fn(&dyn RawRows, (&str, &str)) -> Result<u64, SinkError> + 'a;

/// Replaces the flows of a slot; how many there are then.
pub(super) fn replace(
    server: &Server,
    replacement: &RawReplacement<'_>,
    insert: &Insert<'_>,
) -> Result<u64, SinkError> {
    let table = server.table(RAW_FLOWS);
    let old = replacement
        .range
        .condition(|secs| format!("fromUnixTimestamp({secs})"));
    let count = || -> Result<u64, SinkError> {
        let answer = server.read(&format!("SELECT count() FROM {table} WHERE {old}"))?;
        let number = answer.into_iter().flatten().flatten().next();
        Ok(number.and_then(|text| text.parse().ok()).unwrap_or(0))
    };
    let token = format!(
        "{}/replay/{}-{}/{:032x}",
        replacement.job, replacement.range.slots.0, replacement.generation, replacement.digest.hash
    );
    for round in 0..ROUNDS {
        if count()? > 0 {
            server.mutate(&format!("ALTER TABLE {table} DELETE WHERE {old}"))?;
        }
        let again = match round {
            0 => String::new(),
            _ => format!("/{}-{round}", replacement.now_secs),
        };
        let written = insert(replacement.rows, (&token, &again))?;
        for _ in 0..LOOKS {
            if count()? == written {
                return Ok(written);
            }
            // An insert that was given up may be about to be stored.
            std::thread::sleep(LOOK);
        }
    }
    Err(SinkError::retry(format!(
        "sink {}: raw flows of slot {} were written {ROUNDS} times and are not all there; does anybody else write them?",
        server.name, replacement.range.slots.0
    )))
}
