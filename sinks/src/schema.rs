//! A store's schema, for people: print it, apply it, compare it.
//!
//! Law: an empty database gets the newest schema, an older one is brought up by numbered migrations, each in its own
//! transaction where the store has them; one that differs otherwise, or is newer, is refused and left alone.

use crate::SinkError;

/// A store's schema.
pub trait Schema: Send {
    /// Its URL without secrets.
    fn name(&self) -> &str;

    /// Whether there is nothing at all yet, so that a job would make the schema by itself.
    ///
    /// # Errors
    /// As `diff`.
    fn is_empty(&mut self) -> Result<bool, SinkError> {
        Ok(false)
    }

    /// The statements that make the newest schema in an empty database, in order, each without its final semicolon.
    fn print(&self) -> Vec<String>;

    /// Brings the database up; returns one line for each thing done, none if there was nothing to do. With `extend`,
    /// adds our columns to a table of the same name that has only those of the project we replace.
    ///
    /// # Errors
    /// `Refused` for a database that is not ours or newer, `Retry` if it cannot be reached now.
    fn apply(&mut self, extend: bool) -> Result<Vec<String>, SinkError>;

    /// What differs from the newest schema, one line each; none if nothing does.
    ///
    /// # Errors
    /// `Retry` if it cannot be reached now, `Refused` if it may not be looked at.
    fn diff(&mut self) -> Result<Vec<String>, SinkError>;
}
