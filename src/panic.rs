//! The panic hook: says where, then ends the whole process with the exit code for a bug.
//!
//! We do not build with `panic = "abort"`, since tests would then compile every dependency a second time. But a
//! thread that dies quietly leaves the others waiting for it for ever (a timely worker above all).
//! Law: after a panic in any thread the process ends with exit code 70, and names the operator and the thread. Two
//! exceptions: a library's panic at a foreign record, which the topic catches and counts, and timely's at a connection to another
//! process that has broken, which ends this one with exit code 71.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Exit;

/// A panic has been told.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Sets the hook. Must come first in `main`.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        if flow_topic::kafka::a_panic_is_expected() {
            return;
        }
        if TOLD.swap(true, Ordering::AcqRel) {
            // Another thread is just telling of its own, and ends the process: one line is enough.
            loop {
                std::thread::park();
            }
        }
        let thread = std::thread::current();
        let place = info
            .location()
            .map_or_else(String::new, |l| format!("{}:{}: ", l.file(), l.line()));
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let name = thread.name().unwrap_or("without a name");
        if let Some(process) = peer(name) {
            lost(process, what);
        }
        let operator = flow_dataflow::operator()
            .map_or_else(String::new, |operator| format!("operator {operator}, "));
        // Standard error may be gone; there is nobody left to tell then.
        let _ = writeln!(
            std::io::stderr(),
            "flow-pipeline: bug in {operator}thread {name}: {place}{}\nhint: please report this line with what you ran",
            what.replace('\n', " "),
        );
        std::process::exit(i32::from(Exit::Bug.code()));
    }));
}

/// The process at the other end of the connection that this thread of timely's serves.
fn peer(thread: &str) -> Option<&str> {
    thread
        .strip_prefix("timely:send-")
        .or_else(|| thread.strip_prefix("timely:recv-"))
}

/// timely knows no other way to tell that a connection has broken than a panic.
fn lost(process: &str, what: &str) -> ! {
    let _ = writeln!(
        std::io::stderr(),
        "flow-pipeline: process {process} is lost ({}): this process ends too, and goes on from the last checkpoint when all \
         are started again",
        what.replace('\n', " "),
    );
    std::process::exit(i32::from(Exit::PeerLost.code()));
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;
    use std::thread::Builder;

    use flow_dataflow::{Job, JobConfig, TableShelf};
    use flow_state::{Acks, Published, StateStore};
    use flow_topic::{Bounds, Reader, RecordRef, Timestamps, Topic, TopicError, Writer};

    /// Set in the child that panics.
    const CHILD: &str = "PANIC_HOOK_TEST_CHILD";

    /// Runs this very test again, in a child that panics; gives its line, once it has ended as it should.
    fn line_of(test: &str) -> String {
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--nocapture", test])
            .env(CHILD, "1")
            .output()
            .expect("starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(70), "{stderr}");
        assert_eq!(stderr.matches("hint: ").count(), 1, "{stderr}");
        let mut lines = stderr.lines().map(str::to_owned);
        let line = lines.find(|line| line.starts_with("flow-pipeline: "));
        line.expect("a line")
    }

    /// A topic whose records can't be read without a panic, as a defect of ours would have it.
    #[derive(Debug)]
    struct Trap;

    impl Topic for Trap {
        fn url(&self) -> String {
            "trap://".to_owned()
        }
        fn partitions(&self) -> Result<u32, TopicError> {
            Ok(3)
        }
        fn timestamps(&self) -> Timestamps {
            Timestamps::Create
        }
        fn bounds(&self, _: u32) -> Result<Bounds, TopicError> {
            Ok(Bounds {
                earliest: 0,
                end: 1,
            })
        }
        fn offset_at(&self, _: u32, _: i64) -> Result<Option<u64>, TopicError> {
            Ok(None)
        }
        fn reader(&self, _: u32, _: u64) -> Result<Box<dyn Reader>, TopicError> {
            Ok(Box::new(Trap))
        }
        fn writer(&self) -> Result<Box<dyn Writer>, TopicError> {
            unreachable!("nothing writes")
        }
    }

    impl Reader for Trap {
        fn peek(&mut self) -> Result<Option<RecordRef<'_>>, TopicError> {
            panic!("the trap has closed")
        }
        fn advance(&mut self) {}
        fn position(&self) -> u64 {
            0
        }
        fn seek(&mut self, _: u64) -> Result<(), TopicError> {
            Ok(())
        }
    }

    /// The other workers would wait for the one that has died for ever.
    #[test]
    fn a_panic_in_an_operator_ends_all_workers_and_names_it() {
        if std::env::var_os(CHILD).is_some() {
            super::install();
            let folder = tempfile::tempdir().expect("a folder");
            let state = StateStore::open(folder.path()).expect("new");
            let job = Job {
                config: JobConfig {
                    workers: 3,
                    ..JobConfig::default()
                },
                topic: Arc::new(Trap),
                tables: TableShelf::new(state.clone(), Arc::default()),
                state,
                published: Published::new(),
                acks: Acks::new(0),
                metrics: flow_dataflow::Metrics::default(),
                status: Arc::default(),
                clock: crate::clock::system(),
                id: "test".to_owned(),
                attempt: 1,
                stop: Arc::default(),
            };
            let ended = job.run();
            unreachable!("the hook has ended the process: {ended:?}");
        }
        let line = line_of("panic::tests::a_panic_in_an_operator_ends_all_workers_and_names_it");
        let begins = "flow-pipeline: bug in operator source, thread timely:work-";
        assert!(line.starts_with(begins), "{line}");
        assert!(line.ends_with(": the trap has closed"), "{line}");
    }

    #[test]
    fn a_panic_in_any_thread_ends_the_process_and_names_it() {
        if std::env::var_os(CHILD).is_some() {
            super::install();
            let thread = Builder::new().name("window-7".to_owned());
            let _ = thread
                .spawn(|| panic!("lost\nits {}", "way"))
                .expect("starts")
                .join();
            unreachable!("the hook has ended the process");
        }
        let line = line_of("panic::tests::a_panic_in_any_thread_ends_the_process_and_names_it");
        assert!(
            line.starts_with("flow-pipeline: bug in thread window-7: src/panic.rs:"),
            "{line}"
        );
        assert!(line.ends_with(": lost its way"), "{line}");
    }
}
