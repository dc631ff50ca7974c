//! A topic on disk, jobs of the real program over it, and the comparison of a database with the oracle.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::oracle::{self, Input, Key, Output, Record, Retired, Sums, Tables};
use crate::store::{Content, Store};
use flow_tables::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV};
use flow_topic::{NewRecord, Options, Timestamps, Topic};

/// Longest wait for the records of a partition.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the tables, and a topic.
pub(crate) struct World {
    folder: tempfile::TempDir,
    topic: String,
    tables: bool,
    log: &'static str,
}

/// A job's state and stores.
pub(crate) struct JobFiles {
    pub(crate) state: PathBuf,
    pub(crate) stores: Vec<Store>,
}

/// What was compared.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) rows: usize,
    pub(crate) flows: u64,
    pub(crate) refused: u64,
    pub(crate) slots: usize,
    /// Three rows of the first slot, the oracle's beside the database's.
    pub(crate) beside: String,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared {
            rows,
            flows,
            refused,
            slots,
            beside,
        } = self;
        write!(
            f,
            "{rows} rows of {flows} flows in {slots} slots equal the oracle's, {refused} flows refused{beside}"
        )
    }
}

impl World {
    pub(crate) fn new(name: &str) -> World {
        let prefix = format!("flow-pipeline-{name}-");
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .expect("a folder");
        std::fs::write(folder.path().join("asn.csv"), DEMO_ASN_CSV).expect("a table");
        std::fs::write(folder.path().join("country.csv"), DEMO_COUNTRY_CSV).expect("a table");
        let topic = format!("dir://{}", folder.path().join("flows").display());
        World {
            folder,
            topic,
            tables: true,
            log: "warn",
        }
    }

    /// Over a topic somewhere else.
    pub(crate) fn on(name: &str, topic: String) -> World {
        World {
            topic,
            ..World::new(name)
        }
    }

    /// AS numbers as they were sent.
    pub(crate) fn without_tables(mut self) -> World {
        self.tables = false;
        self
    }

    /// What the job says beside warnings, too.
    pub(crate) fn talkative(mut self) -> World {
        self.log = "info";
        self
    }

    /// The topic's URL.
    pub(crate) fn url(&self) -> &str {
        &self.topic
    }

    /// A file beside the tables.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The topic, made if it is not there.
    pub(crate) fn topic(&self) -> Arc<dyn Topic> {
        let options = Options {
            timestamps: Timestamps::Create,
            ..Options::default()
        };
        flow_topic::url::open(&self.topic, Some(options)).expect("a topic")
    }

    pub(crate) fn job(&self, name: &str) -> JobFiles {
        let database = self.path(&format!("{name}.sqlite"));
        JobFiles {
            state: self.path(&format!("state-{name}")),
            stores: vec![Store::Sqlite(database)],
        }
    }

    /// `flow-pipeline run` over the topic.
    pub(crate) fn run(&self, job: &JobFiles, workers: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
        command.args(["--log", self.log, "run", "--workers", workers]);
        command.arg("--topic").arg(&self.topic);
        for store in &job.stores {
            command.arg("--sink").arg(store.url());
        }
        command.arg("--state").arg(&job.state);
        for kind in ["asn", "country"].iter().filter(|_| self.tables) {
            let file = self.path(&format!("{kind}.csv"));
            let table = format!("{kind}={}", file.display());
            command.args(["--table", &table]);
        }
        command.args(more);
        command
    }

    /// Runs the job to the topic's end, which must succeed.
    pub(crate) fn run_to_end(&self, job: &JobFiles, workers: &str) {
        let ran = self.run(job, workers, &["--until-end"]).output();
        let ran = ran.expect("it runs");
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {told}", ran.status);
    }

    /// Highest number among the files of a folder of the state; 0: none.
    pub(crate) fn newest(&self, job: &JobFiles, folder: &str) -> u64 {
        let Ok(state) = flow_objects::join(&job.state) else {
            return 0;
        };
        let names = state.objects().list(folder).unwrap_or_default().into_iter();
        let number = |name: String| {
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        };
        names.filter_map(number).max().unwrap_or(0)
    }

    /// How many files a folder of the state has.
    pub(crate) fn files(&self, job: &JobFiles, folder: &str) -> u64 {
        let names = std::fs::read_dir(job.state.join(folder))
            .into_iter()
            .flatten();
        let whole = names
            .flatten()
            .filter(|name| !name.file_name().to_string_lossy().starts_with("tmp-"));
        u64::try_from(whole.count()).expect("few")
    }

    /// Decodes captures with the program and writes their flows as records of ours, a second apart.
    pub(crate) fn fill_from_captures(&self, units: &[Vec<PathBuf>], begin_millis: u64) -> u64 {
        let topic = self.topic();
        let mut writer = topic.writer().expect("a writer");
        let mut flows = 0;
        for (at, files) in (0u64..).zip(units) {
            let out = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
                .args(["decode", "--format", "protobuf"])
                .args(files)
                .output()
                .expect("it decodes");
            assert!(
                out.status.success(),
                "{files:?}: {}",
                String::from_utf8_lossy(&out.stderr)
            );
            let record = |payload: &Vec<u8>| Record {
                offset: 0,
                timestamp_millis: 0,
                ours: true,
                payload: payload.clone(),
            };
            let messages = oracle::record_messages(&record(&out.stdout), oracle::Framing::Auto);
            flows += messages.expect("a chain").len() as u64;
            if out.stdout.is_empty() {
                continue;
            }
            let stamp = i64::try_from(begin_millis + at * 60_000).expect("a time");
            let new = NewRecord {
                timestamp_millis: stamp,
                headers: &[flow_proto::PACK_HEADER],
                payload: &out.stdout,
            };
            let partition = u32::try_from(at % 4).expect("small");
            writer.append(partition, new).expect("taken");
        }
        writer.flush().expect("durable");
        flows
    }

    /// Everything below the newest checkpoint's cut, as the oracle takes it.
    pub(crate) fn input(&self, job: &JobFiles) -> Input {
        let state = flow_objects::open(&job.state).expect("nobody holds it any more");
        let checkpoint = state.newest().expect("whole").expect("one at least");
        let topic = self.topic();
        let mut partitions = BTreeMap::new();
        for (partition, at) in &checkpoint.cut {
            let mut reader = topic.reader(*partition, 0).expect("a reader");
            let begun = Instant::now();
            let mut records = Vec::new();
            while reader.position() < at.offset {
                // A broker's records come over a network.
                let Some(record) = reader.peek().expect("readable") else {
                    assert!(begun.elapsed() < PATIENCE, "a record below the cut is away");
                    std::thread::yield_now();
                    continue;
                };
                let (name, value) = flow_proto::PACK_HEADER;
                records.push(Record {
                    offset: record.offset,
                    timestamp_millis: record.timestamp_millis,
                    ours: record.headers.get(name) == Some(value),
                    payload: record.payload.to_vec(),
                });
                reader.advance();
            }
            let end = topic.bounds(*partition).expect("bounds").end;
            assert_eq!(at.offset, end, "partition {partition} was read to its end");
            partitions.insert(*partition, records);
        }
        let retirements = checkpoint.timeline.retirements.iter().map(|event| Retired {
            line_secs: event.line_secs,
            offsets: event.offsets.clone(),
        });
        let lost = checkpoint.gaps.iter().map(|gap| oracle::Lost {
            partition: gap.partition,
            from: gap.from_offset,
            to: gap.to_offset,
        });
        let tables = if self.tables {
            Tables::from_csv(Some(DEMO_ASN_CSV), Some(DEMO_COUNTRY_CSV))
        } else {
            Tables::from_csv(None, None)
        };
        Input {
            partitions,
            retirements: retirements.collect(),
            versions: vec![(0, tables)],
            starts: checkpoint.starts,
            lost: lost.collect(),
            config: oracle::Config::default(),
            fates: false,
        }
    }

    /// What the oracle computes from the records below the newest checkpoint's cut.
    pub(crate) fn expected(&self, job: &JobFiles) -> Output {
        oracle::run(&self.input(job))
    }

    /// Compares rows of all slots that are not open, and the counts of all slots, in the job's first store.
    pub(crate) fn compare(&self, job: &JobFiles) -> Compared {
        compare(&self.expected(job), job.stores[0].content())
    }
}

/// The oracle's rows of the base rollup, which raw flows must sum up to.
pub(crate) fn base_rows(expected: &Output) -> BTreeMap<Key, Sums> {
    let base = expected
        .rows
        .iter()
        .filter(|((rollup, ..), _)| *rollup == 0);
    base.map(|(key, sums)| (*key, *sums)).collect()
}

/// Compares what a store holds with the oracle.
pub(crate) fn compare(expected: &Output, found: Content) -> Compared {
    let Content { slots, rows: got } = found;
    let counted: BTreeMap<u64, oracle::Slot> = slots
        .iter()
        .map(|(slot, (_, counts))| (*slot, *counts))
        .collect();
    assert_eq!(counted, expected.slots, "counts by slot: database, oracle");
    let mut want: BTreeMap<Key, Sums> = expected.rows.clone();
    want.retain(|(_, slot, _), _| slots.get(slot).is_some_and(|(state, _)| state != "open"));
    let difference = want.iter().find(|(key, sums)| got.get(*key) != Some(sums));
    if let Some((key, sums)) = difference {
        panic!("row {key:?}: oracle {sums:?}, database {:?}", got.get(key));
    }
    assert_eq!(
        got.len(),
        want.len(),
        "the database has rows that the oracle lacks"
    );
    let mut beside = String::new();
    if let Some((_, slot, _)) = want.keys().next().copied() {
        let of_slot = want.iter().filter(|(key, _)| key.0 == 0 && key.1 == slot);
        let mut first: Vec<_> = of_slot.collect();
        first.sort_by_key(|(_, sums)| std::cmp::Reverse(sums[3]));
        for (key, sums) in first.into_iter().take(3) {
            let (key, found) = (key.2, got[key]);
            beside += &format!("\n  slot {slot}, {key:?}: oracle {sums:?}, database {found:?}");
        }
    }
    let total = expected.total();
    Compared {
        rows: got.len(),
        flows: total.flows,
        refused: total.too_early + total.too_late + total.implausible,
        slots: slots.len(),
        beside,
    }
}

/// The files of every capture unit, in feeding order; `None`: they are not here.
pub(crate) fn captures() -> Option<Vec<Vec<PathBuf>>> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let captures = shared.join("captures");
    let manifest = std::fs::read_to_string(captures.join("manifest.json")).ok()?;
    let units: Vec<serde_json::Value> = serde_json::from_str(&manifest).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let files = |unit: &serde_json::Value| {
        let folder = captures.join(text(&unit["dir"]));
        let names = unit["files"].as_array().expect("a list");
        names.iter().map(|name| folder.join(text(name))).collect()
    };
    Some(units.iter().map(files).collect())
}
