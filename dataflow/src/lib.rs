//! The job: a timely dataflow that turns a topic of flows into exact 5-minute rows, checkpoint by checkpoint.
//!
//! timely's time is the *tick*, a counter that worker 0 moves on, not event time: the frontier never stalls on an
//! idle partition, and exactness rests on cuts and on law 2 (`acceptance`).
//! Room law: knows proto, topic, tables and state; no SQL, no HTTP.

pub mod acceptance;
mod adopt;
pub mod key;

mod assemble;
mod chief;
mod committer;
mod config;
mod counted;
mod crew;
mod driver;
mod enrich;
mod failure;
mod flow_ends;
mod gap;
mod job;
mod ledger;
mod listed_texts;
mod loader;
mod lookout;
mod message;
mod metrics;
#[cfg(feature = "mutants")]
mod mutant;
mod operator;
mod partial;
mod partition;
mod plan;
mod preaggregate;
mod raw;
mod relay;
mod replay;
mod restore;
mod retained;
mod sampling;
mod sealed;
mod segment_writer;
mod shelf;
mod source;
mod status;
mod swapping;
mod swaps;
mod texts;
mod tick;
mod totals;
mod trouble;
mod turns;
mod unreadable;
mod waiting;
mod window_state;
mod windows;
mod worker_loop;

pub use adopt::{Takeover, adopted, base};
pub use config::{Beginning, JobConfig, RowConfig, SECOND_NS, SlotTime};
pub use crew::{Crew, WorkerKit};
pub use failure::JobError;
pub use job::{Clock, Job, Peers};
pub use message::{receive, send};
pub use metrics::{Metrics, Reason};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use operator::operator;
pub use plan::Plan;
pub use raw::{Again, RawRead, RawReader, RawSpan};
pub use replay::{Asked, Counting, Replay};
pub use restore::{fits, same_config};
pub use sampling::SamplingRates;
pub use shelf::TableShelf;
pub use status::{Snapshot, Status, Undone, Waiting};
pub use texts::learn as learn_texts;
pub use turns::{Did, Turns};
pub use worker_loop::WorkerLoop;
