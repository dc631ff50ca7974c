//! `demo`: exporters, collector, embedded log, job and SQLite in one process, with nothing to install.
//!
//! The last hour is back-filled, so that complete rows exist at once; exporters send real datagrams over loopback from
//! the first second on. Law 7 is shown at the end: datagrams and flows balance, or the command fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_dataflow::{JobConfig, Snapshot, TableShelf};
use flow_ingest::metrics::Totals;
use flow_ingest::udp::{Collector, Config};
use flow_state::StateStore;
use flow_topic::Topic;

use crate::cluster::Place;
use crate::demo_balance::{Balance, Book};
use crate::demo_data::{self, Exporters};
use crate::failure::{Exit, Failure};
use crate::http::{self, Page, Port};
use crate::progress::{self, LiveLine};
use crate::running::{Parts, Running};
use crate::{cli, clock, demo_status, signals, telemetry};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long what is under way may take to arrive at the end.
const SETTLE: Duration = Duration::from_secs(15);
/// End of a window plus the emit delay: when the first live slot is written.
const WINDOW_SECS: u64 = 300;

/// Everything that runs.
pub(crate) struct Demo {
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) collector: Collector,
    pub(crate) exporters: Exporters,
    pub(crate) running: Running,
    pub(crate) job_metrics: flow_dataflow::Metrics,
    /// Flows that the job finds in the topic when it starts.
    pub(crate) in_topic: u64,
    exporters_stop: Arc<AtomicBool>,
}

/// Runs the demo until a signal or the end of `--for`.
pub(crate) fn run(options: &cli::Demo) -> Result<(), Failure> {
    let stop = signals::install()?;
    let began = Instant::now();
    let mut registry = telemetry::registry();
    let directory = demo_data::directory(options.data.as_deref())?;
    let database = directory.join("flows.sqlite");
    let state = StateStore::open(directory.join("state"))?;
    let url = format!("sqlite://{}", database.display());
    let store = flow_sinks::open(&url)?;
    let before = decoded_before(&state, &database)?;
    let job_metrics = flow_dataflow::Metrics::register(&mut registry);
    let sink_metrics = flow_sinks::Metrics::register(&mut registry);
    let ingest_metrics = flow_ingest::metrics::Metrics::register(&mut registry);
    let topic = demo_data::topic(&directory, flow_topic::Metrics::register(&mut registry))?;
    let backlog = demo_data::backlog(topic.as_ref(), &state)?;
    let now_ns = clock::now_ns();
    let filled = demo_data::back_fill(topic.as_ref(), now_ns, &stop)?;
    let listen = ["sflow://127.0.0.1:0", "netflow://127.0.0.1:0"]
        .iter()
        .map(|url| url.parse());
    let config = Config {
        listen: listen.collect::<Result<_, _>>()?,
        ..Config::default()
    };
    let goflow = ingest_metrics.goflow.clone();
    let collector = Collector::start(&config, Arc::clone(&topic), ingest_metrics, clock::system())?;
    let exporters_stop = Arc::new(AtomicBool::new(false));
    let [sflow, netflow] = collector.local_addrs()[..] else {
        return Err(Failure::new(
            Exit::Bug,
            "the collector has not two listeners",
        ));
    };
    let exporters = Exporters::start(sflow, netflow, &exporters_stop)?;
    let running = Running::start(Parts {
        config: JobConfig::default(),
        topic: Arc::clone(&topic),
        tables: TableShelf::new(state.clone(), Arc::new(demo_data::tables()?)),
        state,
        stores: vec![store],
        job_metrics: job_metrics.clone(),
        sink_metrics: sink_metrics.clone(),
        clock: clock::system(),
        place: Place::default(),
    })?;
    let demo = Arc::new(Demo {
        topic,
        collector,
        exporters,
        running,
        job_metrics,
        in_topic: backlog + filled.flows,
        exporters_stop,
    });
    let shown = Arc::downgrade(&demo);
    let (status_database, status_url) = (database.clone(), url.clone());
    let watched = sink_metrics.clone();
    let page = Page {
        goflow: Some(goflow),
        registry: Arc::new(registry),
        status: Arc::new(move || {
            shown.upgrade().map_or(serde_json::Value::Null, |demo| {
                let rows = sink_metrics.rows_written(&status_url);
                demo_status::json(&demo, rows, &status_database)
            })
        }),
        last_hour: Some(database.clone()),
        tables: None,
        ready: Arc::new(|| true),
    };
    let server = http::serve(options.http, Port::NextFree, page)?;
    greet(&database, server.address, now_ns, filled.flows);
    let rows_written = || watched.rows_written(&url);
    watch(&demo, &stop, (options.run_for, &database, &rows_written))?;
    drop(server);
    let demo = Arc::into_inner(demo)
        .ok_or_else(|| Failure::new(Exit::Bug, "something still looks at the demo"))?;
    let balance = demo.end(before, &database)?;
    balance.tell(began.elapsed());
    balance.check()
}

/// Flows that earlier demos here have decoded: the state knows the newest, the database those of more than a day ago.
fn decoded_before(state: &StateStore, database: &Path) -> Result<u64, Failure> {
    let checkpoint = state.newest()?;
    let slots = checkpoint
        .iter()
        .flat_map(|checkpoint| checkpoint.slots.values());
    let on_record = slots
        .map(|c| c.flows + c.too_early + c.too_late + c.implausible)
        .sum::<u64>();
    Ok(on_record.max(Book::read(database)?.all()))
}

fn greet(database: &Path, page: std::net::SocketAddr, now_ns: u64, filled: u64) {
    let secs = now_ns / 1_000_000_000;
    let live = secs - secs % WINDOW_SECS + WINDOW_SECS + JobConfig::default().emit_delay_secs;
    tracing::info!("page: http://{page}");
    tracing::info!("back-filled the last hour: {filled} flows; its complete slots are written now");
    tracing::info!(
        "rows of the current slot, with live flows, are due at {}",
        progress::time(live)
    );
    tracing::info!(
        "database: {0}; try: sqlite3 {0} \"select datetime(slot,'unixepoch') as slot, src_as, dst_as, etype, \
         scaled_bytes from rollup_5m order by scaled_bytes desc limit 10\"",
        database.display()
    );
}

/// Shows the live line until it is time to end.
fn watch(
    demo: &Demo,
    stop: &AtomicBool,
    (run_for, database, rows_written): (Option<Duration>, &Path, &dyn Fn() -> u64),
) -> Result<(), Failure> {
    let began = Instant::now();
    let mut line = LiveLine::new();
    let (mut flows, mut at, mut rate) = (0, Instant::now(), 0);
    let mut rows_told = false;
    while !stop.load(Ordering::Acquire) && run_for.is_none_or(|limit| began.elapsed() < limit) {
        if demo.running.is_over() {
            break; // it has failed: the end says why
        }
        demo.running.show_lags();
        thread::sleep(LOOK); // everything has its own threads; this one only shows what they do
        let now = demo.collector.totals().flows_decoded;
        if at.elapsed() >= Duration::from_secs(1) {
            let millis = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            rate = (now - flows) * 1_000 / millis.max(1);
            (flows, at) = (now, Instant::now());
        }
        if !rows_told && let Some(book) = Book::read(database)?.filter_rows() {
            rows_told = true;
            let text = format!(
                "complete 5-minute rows after {:.1} s: {} rows of {} flows",
                began.elapsed().as_secs_f64(),
                book.rows,
                book.flows_in_rows
            );
            line.say(&text);
        }
        line.show(|| {
            let look = demo.running.status.look();
            live(rate, &look, &demo.collector.totals(), rows_written())
        });
    }
    line.end("ending: exporters stop, the collector and the job drain");
    Ok(())
}

fn live(rate: u64, look: &Snapshot, totals: &Totals, rows: u64) -> String {
    let watermark = look
        .watermark_ns
        .and_then(|ns| u64::try_from(ns / 1_000_000_000).ok())
        .map_or_else(|| "-".to_owned(), progress::time);
    let drops = totals.kernel_drops + totals.queue_drops + totals.topic_drops;
    format!(
        "{rate} flows/s live, watermark {watermark}, rows written {rows}, open keys {}, checkpoint {}, drops {drops}, \
         missing by sequence {}",
        look.open_keys, look.checkpoint, totals.sequence_missing
    )
}

impl Demo {
    /// Ends everything in the order of the flow, each when the one before it is dry, and draws the balance.
    fn end(self, before: u64, database: &Path) -> Result<Balance, Failure> {
        self.exporters_stop.store(true, Ordering::Release);
        let (datagrams_sent, flows_sent) = self.exporters.join()?;
        let arrived = |totals: &Totals| totals.datagrams_received + totals.kernel_drops;
        settle(|| arrived(&self.collector.totals()) >= datagrams_sent);
        let totals = self.collector.stop();
        let mut ends = Vec::new();
        for partition in 0..self.topic.partitions()? {
            ends.push((partition, self.topic.bounds(partition)?.end));
        }
        let status = Arc::clone(&self.running.status);
        settle(|| {
            let at = status.look().positions;
            self.running.is_over()
                || ends
                    .iter()
                    .all(|(p, end)| at.get(p).is_some_and(|at| at.offset >= *end))
        });
        self.running.stop();
        self.running.join(&self.exporters_stop)?;
        Ok(Balance {
            datagrams_sent,
            flows_sent,
            collected: totals,
            in_topic: self.in_topic,
            decoded: self.job_metrics.flows.get(),
            before,
            after: Book::read(database)?,
        })
    }
}

/// Waits until something holds, within a limit: the balance tells if it never did.
fn settle(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() && began.elapsed() < SETTLE {
        thread::sleep(LOOK / 10);
    }
}
