//! A store's schema, for people: print it, apply it, compare it.
//!
//! Law: an empty database gets the newest schema, an older one is brought up by numbered migrations, each in its own
//! transaction where the store has them; one that differs otherwise, or is newer, is refused and left alone. What is
//! refused is looked for before the first statement that changes anything.

use crate::SinkError;

/// A store's schema.
pub trait Schema: Send {
    /// Its URL without secrets.
    fn name(&self) -> &str;

    /// The statements that make the newest schema in an empty database, in order, each without its final semicolon.
    fn print(&self) -> Vec<String>;

    /// Brings the database up; returns one line for each thing done, none if there was nothing to do. With `extend`,
    /// adds our columns to a table of the same name that has only those of the project we replace.
    ///
    /// # Errors
    /// `Refused` for a database that is not ours or newer, `Retry` if it cannot be reached now.
    fn apply(&mut self, extend: bool) -> Result<Vec<String>, SinkError>;

    /// How the database stands to the newest schema; nothing is changed.
    ///
    /// # Errors
    /// `Retry` if it cannot be reached now, `Refused` if it may not be looked at.
    fn look(&mut self) -> Result<Standing, SinkError>;

    /// What differs from the newest schema, one line each; none if nothing does.
    ///
    /// # Errors
    /// As `look`.
    fn diff(&mut self) -> Result<Vec<String>, SinkError> {
        Ok(self.look()?.differences)
    }
}

/// How a database stands to the newest schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// A job makes the schema by itself at its start: none of it is there, and nothing that is there speaks against it.
    pub made_at_start: bool,
    /// What differs, one line each.
    pub differences: Vec<String>,
    /// What is no difference, but good to know, one line each.
    pub remarks: Vec<String>,
    /// Why a job would be refused for what its user may not do, where the store tells that beforehand.
    pub lacking: Option<SinkError>,
}

/// One thing in which a database is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Missing, or ours and older: `apply` makes it.
    Mendable(String),
    /// Something of ours by its name only, or changed by others: it stays as it is, and so does everything else.
    Foreign(String),
}

impl Difference {
    /// In words.
    pub(crate) fn line(&self) -> &str {
        match self {
            Difference::Mendable(line) | Difference::Foreign(line) => line,
        }
    }

    /// Each in words.
    pub(crate) fn lines(all: &[Difference]) -> Vec<String> {
        all.iter().map(|one| one.line().to_owned()).collect()
    }

    /// The first that `apply` must not change.
    pub(crate) fn foreign(all: &[Difference]) -> Option<&str> {
        let foreign = |one: &&Difference| matches!(one, Difference::Foreign(_));
        all.iter().find(foreign).map(Difference::line)
    }
}
