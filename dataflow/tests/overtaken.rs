//! Another job goes on while this one starts, on a state that knows no lock: put-if-absent decides, and the one that was
//! overtaken ends before it has told anybody of anything.
//!
//! Law 5: a checkpoint that was put is in the lineage of all that come after it.

mod support;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use flow_dataflow::{Crew, JobConfig, JobError};
use flow_proto::{Dialect, Flow};
use flow_state::{Checkpoint, Objects, Opened, Placed, Put, StateStore};
use flow_tables::TableSet;
use support::Attempt;
use support::memory::{MemoryTopic, Stored};

/// A state store in memory in which another job puts its checkpoint when this one has just read the newest.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    objects: Mutex<BTreeMap<String, Arc<[u8]>>>,
    /// What is read then, and what the other one puts.
    other: Mutex<Option<(String, Checkpoint)>>,
}

impl Shared {
    fn state(&self) -> StateStore {
        StateStore::over(Arc::new(self.clone()), "shared").expect("a state")
    }
}

impl Objects for Shared {
    fn put(&self, name: &str, _: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut objects = self.0.objects.lock().expect("whole");
        objects.insert(name.to_owned(), parts.concat().into());
        Ok(())
    }

    fn put_if_absent(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<Placed> {
        if self.0.objects.lock().expect("whole").contains_key(name) {
            return Ok(Placed::Existed);
        }
        self.put(name, attempt, parts).map(|()| Placed::New)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Opened>> {
        let found = self.0.objects.lock().expect("whole").get(name).cloned();
        let mut other = self.0.other.lock().expect("whole");
        let due = other.take_if(|(read, _)| read == name);
        drop(other);
        if let Some((_, checkpoint)) = due {
            assert_eq!(self.state().put(&checkpoint).expect("put"), Put::Won);
        }
        let found = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(found))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let objects = self.0.objects.lock().expect("whole");
        let prefix = format!("{folder}/");
        let within = objects.keys().filter_map(|name| name.strip_prefix(&prefix));
        Ok(within.map(str::to_owned).collect())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.0.objects.lock().expect("whole").remove(name);
        Ok(())
    }
}

fn attempt(shared: &Shared, number: u64) -> Attempt {
    let mut payload = Vec::new();
    let flow = Flow {
        time_received_ns: 1_700_000_100_000_000_000,
        bytes: 1,
        packets: 1,
        ..Flow::default()
    };
    flow.encode_delimited(Dialect::Goflow2, &mut payload);
    let topic = MemoryTopic::new(vec![vec![Stored {
        timestamp_millis: 1_700_000_100_000,
        ours: true,
        payload,
    }]]);
    topic.reveal_all();
    let config = JobConfig {
        until_end: true,
        ..JobConfig::default()
    };
    let tables = Arc::new(TableSet::default());
    Attempt::new(config, Arc::new(topic), tables, shared.state(), number)
}

/// A state with a first checkpoint, and that checkpoint.
fn begun() -> (Shared, Checkpoint) {
    let shared = Shared::default();
    attempt(&shared, 1).job.run().expect("it runs");
    let first = shared.state().newest().expect("readable");
    (shared, first.expect("one was put"))
}

#[test]
fn a_job_that_was_overtaken_while_it_started_loses() {
    let (shared, first) = begun();
    let read = format!("checkpoints/{:020}", first.number);
    let others = Checkpoint {
        number: first.number + 1,
        attempt: 99,
        ..first
    };
    *shared.0.other.lock().expect("whole") = Some((read, others.clone()));
    let end = attempt(&shared, 2).job.run();
    assert!(
        matches!(end, Err(JobError::Lost { number }) if number == others.number),
        "{end:?}"
    );
    let newest = shared.state().newest().expect("readable");
    assert_eq!(newest, Some(others), "what the other one has put stands");
}

#[test]
fn a_job_that_begins_does_not_go_on_from_what_another_one_has_begun() {
    let (shared, first) = begun();
    let mut attempt = attempt(&shared, 2);
    // It has looked at the state, and at its stores, when there was nothing yet.
    attempt.job.id = "another".to_owned();
    let led = Crew::lead(&attempt.job).map(|_| ());
    assert!(
        matches!(led, Err(JobError::Lost { number }) if number == first.number),
        "{led:?}"
    );
    assert!(attempt.job.published.newest().is_none(), "nobody was told");
}
