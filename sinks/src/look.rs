//! A store, looked at: its cursors, its slots and its rows, as whoever reads it finds them.
//!
//! Law: by questions that change nothing, through the views that readers use. Answers come as text and are read in one
//! place, so that a new store has to bring one function.

use flow_proto::Rollup;

use crate::columns::{self, CURSORS};
use crate::stored_rows::{self, StoredRow};
use crate::stored_slots::{self, SlotQuery, StoredSlot};
use crate::{Cursors, SinkError};

/// One row of an answer: text, or `None` for NULL.
pub(crate) type Answer = Vec<Option<String>>;

/// Asks a store one question of SQL.
pub(crate) type Ask = Box<dyn FnMut(&str) -> Result<Vec<Answer>, SinkError> + Send>;

/// How a store writes what differs.
pub(crate) struct Words {
    /// A table or view, as SQL names it.
    pub(crate) table: Box<dyn Fn(&str) -> String + Send>,
    /// A column of times as seconds since 1970.
    pub(crate) seconds: fn(&str) -> String,
    /// Seconds since 1970 as a time.
    pub(crate) time: fn(u64) -> String,
    /// A boolean column as 0 or 1.
    pub(crate) number: fn(&str) -> String,
    /// Any expression as text.
    pub(crate) text: fn(&str) -> String,
}

impl Words {
    /// Those of plain SQL, where times and booleans are numbers.
    pub(crate) fn plain() -> Words {
        Words {
            table: Box::new(str::to_owned),
            seconds: str::to_owned,
            time: |secs| secs.to_string(),
            number: str::to_owned,
            text: str::to_owned,
        }
    }
}

/// A store that is only looked at.
pub struct Look {
    name: String,
    words: Words,
    ask: Ask,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").field("name", &self.name).finish()
    }
}

impl Look {
    /// `has_slots`: the question whether there is a table of slots, answered by 1.
    ///
    /// # Errors
    /// `Refused` if there is none, else as `slots`.
    pub(crate) fn new(
        name: String,
        words: Words,
        mut ask: Ask,
        has_slots: &str,
    ) -> Result<Look, SinkError> {
        let answer = ask(has_slots)?;
        let said = answer.first().and_then(|row| row.first()?.as_deref());
        if said == Some("1") {
            return Ok(Look { name, words, ask });
        }
        Err(SinkError::refused(format!(
            "sink {name}: has no tables of this program; name the store that the job writes, or make them: flow-pipeline \
             schema apply --sink {name}"
        )))
    }

    /// The store's URL without secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rows of `slots` that are wanted, the newest first.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now, `Refused` if it holds what we did not write.
    pub fn slots(&mut self, query: &SlotQuery) -> Result<Vec<StoredSlot>, SinkError> {
        let answer = (self.ask)(&stored_slots::statement(query, &self.words))?;
        let rows = answer.iter();
        rows.map(|row| stored_slots::row(row, &self.name)).collect()
    }

    /// All rows of a slot, in no order, and how many there are besides that hold what we never write.
    ///
    /// # Errors
    /// `Retry` if the store cannot be reached now.
    pub fn rows(
        &mut self,
        rollup: Rollup,
        slot_secs: u64,
    ) -> Result<(Vec<StoredRow>, u64), SinkError> {
        let answer = (self.ask)(&stored_rows::statement(rollup, slot_secs, &self.words))?;
        let all = u64::try_from(answer.len()).unwrap_or(u64::MAX);
        let read = answer
            .iter()
            .filter_map(|row| stored_rows::row(rollup, row));
        let rows: Vec<StoredRow> = read.collect();
        let readable = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok((rows, all - readable))
    }

    /// Slots of a rollup that have rows, from the first to before the second.
    ///
    /// # Errors
    /// As `slots`.
    pub fn slots_with_rows(
        &mut self,
        rollup: Rollup,
        (from_secs, to_secs): (u64, u64),
    ) -> Result<Vec<u64>, SinkError> {
        let answer = (self.ask)(&format!(
            "SELECT DISTINCT {} FROM {} WHERE slot >= {} AND slot < {}",
            (self.words.text)(&(self.words.seconds)("slot")),
            (self.words.table)(rollup.table()),
            (self.words.time)(from_secs),
            (self.words.time)(to_secs)
        ))?;
        let number = |row: &Answer| row.first()?.as_ref()?.parse().ok();
        let slots = answer.iter().map(number);
        let slots: Option<Vec<u64>> = slots.collect();
        slots.ok_or_else(|| unreadable(&self.name, rollup.table()))
    }

    /// Which checkpoint of which job each shard stands at.
    ///
    /// # Errors
    /// As `slots`; `Refused` if two jobs have written it.
    pub fn cursors(&mut self) -> Result<Cursors, SinkError> {
        let text = |column: &columns::Column| match column.name {
            "checkpoint" => (self.words.text)("max(checkpoint)"),
            name => (self.words.text)(name),
        };
        let wanted: Vec<String> = columns::cursors().columns.iter().map(text).collect();
        let statement = format!(
            "SELECT {} FROM {} GROUP BY shard, job",
            wanted.join(", "),
            (self.words.table)(CURSORS)
        );
        let mut cursors = Cursors::default();
        for row in (self.ask)(&statement)? {
            let [Some(shard), Some(checkpoint), Some(job)] = row.as_slice() else {
                return Err(unreadable(&self.name, CURSORS));
            };
            let parsed = shard.parse().ok().zip(checkpoint.parse().ok());
            let (shard, checkpoint) = parsed.ok_or_else(|| unreadable(&self.name, CURSORS))?;
            if cursors.job.as_ref().is_some_and(|known| known != job) {
                return Err(SinkError::refused(format!(
                    "sink {}: its cursors belong to two jobs",
                    self.name
                )));
            }
            cursors.by_shard.insert(shard, checkpoint);
            cursors.job = Some(job.clone());
        }
        Ok(cursors)
    }
}

/// What is there was not written by us.
pub(crate) fn unreadable(name: &str, table: &str) -> SinkError {
    SinkError::refused(format!("sink {name}: a row of {table} cannot be read"))
}
