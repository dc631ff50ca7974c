//! Followers as threads: one that is down costs the others nothing, the end of the job ends them, a store that
//! belongs to somebody else is refused.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use flow_proto::Rollups;
use flow_sinks::stdout::Stdout;
use flow_sinks::{
    Applied, Cursors, Delta, Follower, FollowerConfig, Metrics, Sink, SinkError, SinkErrorKind,
};
use flow_state::Acks;
use prometheus_client::registry::Registry;
use serde_json::Value as Json;
use support::Chance;
use support::job::{FIRST_SLOT, Job};

/// A store that never answers.
struct Down;

impl Sink for Down {
    fn name(&self) -> &str {
        "down:"
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        Err(SinkError::retry("down"))
    }

    fn apply(&mut self, _: &Delta<'_>) -> Result<Applied, SinkError> {
        Err(SinkError::retry("down"))
    }
}

/// Standard output, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self) -> Vec<Json> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn follower(job: &Job, sink: Box<dyn Sink>, number: usize, config: FollowerConfig) -> Follower {
    let (published, acks) = (Arc::clone(&job.published), Arc::clone(&job.acks));
    Follower::new(sink, job.state.clone(), published, (acks, number), config)
}

#[test]
fn a_sink_that_is_down_costs_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(&folder.path().join("state"), 2);
    let (mut chance, kept, config) = (Chance(1), Kept::default(), job.config());
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let printer = Stdout::new(Box::new(kept.clone()), Rollups::STANDARD);
    let good = follower(&job, Box::new(printer), 0, config.clone()).with_metrics(&metrics);
    let mut down = follower(&job, Box::new(Down), 1, config).with_metrics(&metrics);
    down.admit()
        .expect("a store that is down is asked again later");
    let (good, down) = (thread::spawn(|| good.run()), thread::spawn(|| down.run()));
    for _ in 0..40 {
        (0..5).for_each(|_| job.flow(&mut chance));
        job.checkpoint(&mut chance);
    }
    job.published.close();
    good.join()
        .unwrap()
        .expect("it has caught up and ended by itself");
    assert_eq!((job.acks.of(0), job.acks.lowest()), (40, 0));
    assert!(!down.is_finished(), "it goes on trying until the deadline");
    job.published.abandon();
    assert!(down.join().unwrap().unwrap_err().is_retry());
    let mut down = follower(&job, Box::new(Down), 1, job.config()).with_metrics(&metrics);
    assert!(down.step().unwrap_err().is_retry());

    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().next().unwrap();
    assert!(
        line.starts_with(r#"{"rollup":"rollup_5m","slot":"2023-11-14T2"#),
        "{line}"
    );
    assert!(
        line.contains(r#","src_as":"#) && !line.contains(' '),
        "{line}"
    );
    // The last line of each key is its total; nothing was printed of slots still open.
    let mut last = std::collections::BTreeMap::new();
    for line in kept.lines() {
        let key = (
            line["rollup"].to_string(),
            line["slot"].to_string(),
            row_key(&line),
        );
        let revision = line["revision"].as_u64().unwrap();
        let old = last.insert(key, line);
        assert!(old.is_none_or(|old| old["revision"].as_u64().unwrap() < revision));
    }
    let complete = job
        .totals
        .iter()
        .filter(|(g, _)| job.ever_complete.contains(g));
    let expected: Vec<u64> = complete
        .flat_map(|(_, t)| t.values().map(|s| s.bytes))
        .collect();
    let printed: Vec<u64> = last
        .values()
        .map(|line| line["bytes"].as_u64().unwrap())
        .collect();
    assert!(expected.len() > 20);
    assert_eq!(
        (printed.len(), printed.iter().sum::<u64>()),
        (expected.len(), expected.iter().sum())
    );
    assert!(
        last.keys()
            .any(|(_, slot, _)| slot == "\"2023-11-14T22:15:00Z\""),
        "{FIRST_SLOT}"
    );

    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("sink_cursor{sink=\"stdout:\"} 40"), "{text}");
    assert!(
        text.contains("sink_lag_checkpoints{sink=\"stdout:\"} 0"),
        "{text}"
    );
    let retries = text
        .lines()
        .find(|l| l.starts_with("sink_retries_total{sink=\"down:\"}"))
        .unwrap();
    assert!(!retries.ends_with(" 0"), "{retries}");
    assert!(
        text.contains("sink_lag_checkpoints{sink=\"down:\"} 40"),
        "{text}"
    );
    let lines = u64::try_from(kept.lines().len()).unwrap();
    assert_eq!(metrics.rows_written("stdout:"), lines);
}

/// A store that takes a delta and is not heard of again until it is let go.
struct Still {
    begun: mpsc::Sender<()>,
    let_go: mpsc::Receiver<()>,
}

impl Sink for Still {
    fn name(&self) -> &str {
        "still:"
    }

    fn cursors(&mut self) -> Result<Cursors, SinkError> {
        Ok(Cursors::default())
    }

    fn apply(&mut self, _: &Delta<'_>) -> Result<Applied, SinkError> {
        self.begun.send(()).unwrap();
        self.let_go.iter().for_each(drop);
        Ok(Applied::Done { rows: 0 })
    }
}

#[test]
fn a_store_that_stands_still_is_seen_to_lag_while_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(&folder.path().join("state"), 1);
    let mut chance = Chance(5);
    let now_secs = Arc::new(AtomicU64::new(1_700_000_000));
    let clock = Arc::clone(&now_secs);
    let config = FollowerConfig {
        now_secs: Arc::new(move || clock.load(Ordering::Relaxed)),
        ..job.config()
    };
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let gauges = |names: [&str; 3]| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        names.map(|name| {
            let name = format!("{name}{{sink=\"still:\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name));
            value.unwrap().parse::<u64>().unwrap()
        })
    };
    let names = ["sink_cursor", "sink_lag_checkpoints", "sink_lag_seconds"];
    let ((begun, has_begun), (hold, let_go)) = (mpsc::channel(), mpsc::channel());
    let still = Box::new(Still { begun, let_go });
    let follower = follower(&job, still, 0, config).with_metrics(&metrics);
    let lag = follower.lag();
    let following = thread::spawn(|| follower.run());
    job.checkpoint(&mut chance);
    has_begun.recv().unwrap();
    (0..3).for_each(|_| job.checkpoint(&mut chance));
    now_secs.fetch_add(90, Ordering::Relaxed);
    lag.show();
    assert_eq!(gauges(names), [0, 4, 90]);
    job.published.close();
    drop(hold);
    following.join().unwrap().unwrap();
    assert_eq!(gauges(names), [4, 0, 0]);
}

fn row_key(line: &Json) -> String {
    ["src_as", "dst_as", "src_country", "dst_country", "etype"]
        .map(|c| line[c].to_string())
        .join(" ")
}

#[test]
fn a_restart_prints_again_what_is_complete_and_not_retired() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(&folder.path().join("state"), 1);
    let (mut chance, config) = (Chance(2), job.config());
    let retired = |job: &Job| job.checkpoint.timeline.retired_secs;
    while retired(&job) < FIRST_SLOT + 600 {
        (0..5).for_each(|_| job.flow(&mut chance));
        job.checkpoint(&mut chance);
        job.acks.acknowledge(0, job.checkpoint.number);
    }
    job.published.close();
    let kept = Kept::default();
    let printer = Box::new(Stdout::new(Box::new(kept.clone()), Rollups::STANDARD));
    follower(&job, printer, 0, config).run().unwrap();
    let mut printed: Vec<String> = kept.lines().iter().map(|l| l["slot"].to_string()).collect();
    printed.sort();
    printed.dedup();
    let complete = job
        .ever_complete
        .iter()
        .map(|g| g.slot_secs)
        .filter(|s| s + 300 > retired(&job));
    let complete: std::collections::BTreeSet<u64> = complete.collect();
    assert!(!complete.is_empty());
    assert!(
        printed.len() >= complete.len() && printed.len() <= complete.len() + 2,
        "{printed:?}"
    );
}

#[test]
fn a_store_of_another_job_or_of_a_later_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(&folder.path().join("state"), 1);
    let url = format!("sqlite://{}", folder.path().join("f.db").display());
    let mut chance = Chance(3);
    (0..3).for_each(|_| job.checkpoint(&mut chance));
    job.published.close();
    follower(
        &job,
        flow_sinks::open(&url).unwrap().rollups.unwrap(),
        0,
        job.config(),
    )
    .run()
    .unwrap();
    assert_eq!(job.acks.of(0), 3);

    let copies = [
        (
            FollowerConfig {
                base: 2,
                ..job.config()
            },
            "holds checkpoint 3 of job job-a, the state directory only 2",
        ),
        (
            FollowerConfig {
                job: "job-b".into(),
                ..job.config()
            },
            "written by job job-a",
        ),
    ];
    for (config, words) in copies {
        let error = follower(
            &job,
            flow_sinks::open(&url).unwrap().rollups.unwrap(),
            0,
            config,
        )
        .admit()
        .unwrap_err();
        let line = error.to_string();
        assert_eq!(error.kind, SinkErrorKind::Refused);
        assert!(
            line.contains(words) && line.contains(&url) && !line.contains('\n'),
            "{line}"
        );
    }
    follower(
        &job,
        flow_sinks::open(&url).unwrap().rollups.unwrap(),
        0,
        job.config(),
    )
    .admit()
    .unwrap();
}

#[test]
fn a_segment_that_is_gone_for_good_ends_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(&folder.path().join("state"), 1);
    let (mut chance, config) = (Chance(4), job.config());
    while job.ever_complete.is_empty() {
        job.flow(&mut chance);
        job.checkpoint(&mut chance);
    }
    let segments = folder.path().join("state/segments");
    for entry in std::fs::read_dir(&segments).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let printer = Box::new(Stdout::new(Box::new(Kept::default()), Rollups::STANDARD));
    let error = follower(&job, printer, 0, config).run().unwrap_err();
    assert!(
        !error.is_retry() && error.to_string().contains("missing"),
        "{error}"
    );
    assert_eq!(Acks::new(1).lowest(), 0);
}
