//! Retention overtakes the real program: refused without leave; with it the gap is on record, its slots are marked in every
//! store, and rows are those of the records that could be read. And starts that are not at the topic's beginning.
//!
//! A topic that keeps everything stands beside the one that forgets: the same flows at the same offsets, so that
//! the oracle sees what the job could not.

use std::collections::BTreeMap;
use std::process::Command;

use flow_ingest::mock::Generator;
use flow_topic::{Options, Retention, Timestamps};

use crate::own::{Live, until};
use crate::servers::Servers;
use crate::store::{Content, Store};
use crate::world::{self, JobFiles, World};

pub(crate) const FIRST: u64 = 20_000;
pub(crate) const MORE: u64 = 100_000;

/// A topic that forgets, one that does not, and the flows for both.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) whole: World,
    flows: [Generator; 2],
}

impl Pair {
    pub(crate) fn new(name: &str) -> Pair {
        let world = World::new(name);
        let options = Options {
            timestamps: Timestamps::Create,
            segment_bytes: 64 << 10,
            retention: Retention {
                bytes: Some(900 << 10),
                age_millis: None,
            },
            ..Options::default()
        };
        flow_topic::create(world.url(), options).expect("a topic");
        Pair::over(world, name)
    }

    /// Over a topic that forgets.
    pub(crate) fn over(world: World, name: &str) -> Pair {
        Pair {
            world,
            whole: World::new(&format!("{name}-whole")),
            flows: [31, 31].map(|seed| crate::generator(144_000, seed)),
        }
    }

    pub(crate) fn write(&mut self, count: u64) {
        let [flows, same] = &mut self.flows;
        crate::write(&self.world, flows, count);
        crate::write(&self.whole, same, count);
    }

    pub(crate) fn lost(&self) -> bool {
        let topic = self.world.topic();
        let earliest = |p| topic.bounds(p).expect("bounds").earliest;
        (0..4).all(|p| earliest(p) > 0)
    }

    /// Rows and counts of every store, and what the slots say of missing partitions.
    pub(crate) fn compare(&self, job: &JobFiles) {
        let expected = self.whole.expected(job);
        assert!(!expected.missing.is_empty(), "there are gaps");
        for store in &job.stores {
            let found = store.content();
            let (mut marked, mut clean) = (0, 0);
            for (slot, partitions) in missing(store) {
                if slot == 0 {
                    assert_eq!(partitions, [0, 1, 2, 3], "elsewhere names them all");
                    continue;
                }
                assert_eq!(
                    partitions,
                    expected.missing_in(slot),
                    "slot {slot} of {}",
                    store.url()
                );
                if partitions.is_empty() {
                    clean += 1;
                } else {
                    marked += 1;
                }
            }
            assert!(marked > 5, "{marked} slots are marked, {clean} are not");
            println!("{}: {marked} slots marked, {clean} not", store.url());
            let mut slots = found.slots;
            // A gap gives slots without flows a row, too.
            slots.retain(|_, (_, counts)| *counts != crate::oracle::Slot::default());
            let rows = found.rows;
            println!("{}", world::compare(&expected, Content { slots, rows }));
        }
    }
}

/// By slot of the base rollup.
fn missing(store: &Store) -> BTreeMap<u64, Vec<u32>> {
    let slot = store.seconds("slot");
    let sql = format!("select {slot}, missing_partitions from slots where rollup = 'rollup_5m'");
    let list = |text: &str| {
        let numbers = text.trim_matches(['[', ']']).split(',');
        let numbers = numbers.map(str::trim).filter(|number| !number.is_empty());
        numbers
            .map(|number| number.parse().expect("a number"))
            .collect()
    };
    let rows = store.query(&sql).into_iter();
    rows.map(|row| (row[0].parse().expect("a number"), list(&row[1])))
        .collect()
}

/// What `status` says of the job and of a store, while whoever holds the state goes on.
fn told(world: &World, job: &JobFiles, store: &Store, more: &[&str]) -> serde_json::Value {
    let out = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
        .args([
            "status",
            "--json",
            "--newest",
            "100",
            "--topic",
            world.url(),
        ])
        .arg("--state")
        .arg(&job.state)
        .args(["--sink", &store.url()])
        .args(more)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    serde_json::from_slice(&out.stdout).expect("JSON")
}

/// How many records a job's newest checkpoint has not read; `None`: there is none yet.
pub(crate) fn lag(world: &World, job: &JobFiles) -> Option<u64> {
    if world.newest(job, "checkpoints") == 0 {
        return None;
    }
    let all = told(world, job, &job.stores[0], &[]);
    let partitions = all["job"]["partitions"].as_array().expect("a list");
    let lag = |partition: &serde_json::Value| partition["lag"].as_u64().expect("a number");
    Some(partitions.iter().map(lag).sum())
}

/// State and store say the same of each slot, and it is what the store holds.
fn compare_status(world: &World, job: &JobFiles) {
    for store in &job.stores {
        let all = told(world, job, store, &[]);
        let gaps = all["job"]["gaps"].as_array().expect("a list");
        assert_eq!(gaps.len(), 4, "{gaps:?}");
        for partition in all["job"]["partitions"].as_array().expect("a list") {
            assert_eq!(partition["lag"], 0, "{partition}");
        }
        let of =
            |name: &str, all: &serde_json::Value| all[name].as_array().expect("a list").clone();
        let (state, stored) = (of("slots", &all), of("sink_slots", &all));
        let missing = missing(store);
        assert_eq!(stored.len(), missing.len());
        let mut seen = 0;
        for (slot, partitions) in stored.iter().zip(missing.values().rev()) {
            assert_eq!(slot["missing_partitions"], serde_json::json!(partitions));
            let same = state.iter().find(|other| other["slot"] == slot["slot"]);
            if let Some(same) = same {
                seen += 1;
                let mut same = same.clone();
                same["complete_through"] = slot["complete_through"].clone();
                assert_eq!(same, *slot);
            }
        }
        assert!(seen > 5, "{seen} slots of {}", state.len());
        let troubled = told(world, job, store, &["--troubled"]);
        let bad = |slot: &&serde_json::Value| {
            slot["partial"] == true
                || slot["too_late"].as_u64() > Some(0)
                || slot["missing_partitions"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
        };
        assert!(
            of("sink_slots", &troubled)
                .iter()
                .eq(stored.iter().filter(bad))
        );
        assert!(of("slots", &troubled).iter().eq(state.iter().filter(bad)));
        let from = stored[3]["slot"].as_str().expect("a time");
        let to = stored[1]["slot"].as_str().expect("a time");
        let some = told(world, job, store, &["--from", from, "--to", to]);
        assert_eq!(of("sink_slots", &some), stored[2..=3]);
    }
}

/// It ends with the code and the line for a gap.
pub(crate) fn refused(command: &mut Command) {
    let out = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(78), "{said}");
    let line = said
        .lines()
        .find(|line| line.starts_with("flow-pipeline: "))
        .expect("a line");
    for words in [
        "partition 0: offsets ",
        "were deleted by retention",
        "may lack flows; 3 more partitions",
    ] {
        assert!(line.contains(words), "{line}");
    }
    assert!(said.contains("--accept-gap"), "{said}");
    println!("{line}");
}

fn at_a_restart(name: &str, more: &[Store], raw: bool) {
    let mut pair = Pair::new(name);
    let mut job = pair.world.job("gap");
    job.stores.extend_from_slice(more);
    pair.write(FIRST);
    assert!(!pair.lost(), "nothing is deleted yet");
    pair.world.run_to_end(&job, "2");
    pair.write(MORE);
    assert!(pair.lost());
    refused(&mut pair.world.run(&job, "1", &["--until-end"]));
    let status = pair
        .world
        .run(&job, "2", &["--until-end", "--accept-gap"])
        .status();
    assert!(status.expect("it runs").success());
    pair.compare(&job);
    // It is on record: the next start needs no leave.
    pair.world.run_to_end(&job, "1");
    pair.compare(&job);
    compare_status(&pair.world, &job);
    let base = world::base_rows(&pair.whole.expected(&job));
    for store in job.stores.iter().skip(1).filter(|_| raw) {
        assert!(store.raw_sums() == base, "raw flows of {}", store.url());
    }
}

#[test]
fn retention_overtakes_a_job_that_is_stopped() {
    at_a_restart("gap", &[], false);
}

#[test]
fn a_gap_is_marked_in_every_store_and_raw_flows_go_over_it() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let stores = [servers.postgres(""), servers.clickhouse("")];
    at_a_restart("gap-stores", &stores, true);
}

#[test]
fn retention_overtakes_a_job_that_runs() {
    let mut pair = Pair::new("overtaken");
    let job = pair.world.job("overtaken");
    pair.write(FIRST);
    let live = Live::start(&mut pair.world.run(&job, "2", &["--accept-gap"]));
    until("a checkpoint", || {
        pair.world.newest(&job, "checkpoints") > 0
    });
    live.signal("STOP");
    pair.write(MORE);
    // The job holds its state's lock, and does not answer.
    let all = told(&pair.world, &job, &job.stores[0], &[]);
    let lag = |partition: &serde_json::Value| partition["lag"].as_u64().expect("a number");
    let partitions = all["job"]["partitions"].as_array().expect("a list");
    assert!(partitions.iter().map(lag).sum::<u64>() > MORE / 2, "{all}");
    assert!(pair.lost());
    live.signal("CONT");
    let store = &job.stores[0];
    until("it is over the gaps", || {
        let gaps = &told(&pair.world, &job, store, &[])["job"]["gaps"];
        gaps.as_array().is_some_and(|gaps| gaps.len() == 4)
    });
    assert!(live.end().success());
    let status = pair
        .world
        .run(&job, "1", &["--until-end", "--accept-gap"])
        .status();
    assert!(status.expect("it runs").success());
    pair.compare(&job);
}

#[test]
fn the_status_of_what_is_not_there_is_one_line() {
    let world = World::new("no-status");
    let nowhere = world.path("nowhere");
    let nowhere = nowhere.to_str().expect("text");
    let file = format!("sqlite://{nowhere}");
    for (flag, value, words) in [
        ("--state", nowhere, "no state of a job"),
        ("--sink", file.as_str(), "no such file"),
        ("--sink", "stdout:", "has no table of slots"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
        let out = command
            .args(["status", flag, value])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(78), "{said}");
        assert!(said.contains(words) && said.lines().count() <= 2, "{said}");
        assert!(!world.path("nowhere").exists());
    }
}

#[test]
fn a_first_start_begins_where_it_is_told_and_says_which_slot_is_partial() {
    partial_where_told(&World::new("start"));
}

/// Starts at the beginning, at the end, and at a time within a slot of this topic, which is empty yet.
pub(crate) fn partial_where_told(world: &World) {
    crate::write(world, &mut crate::generator(144_000, 37), FIRST);
    // 1,000 s of flows from the begin of a slot on: the second of these lies within the slot that begins 600 s later.
    let begin = crate::BEGIN_NS / 1_000_000_000;
    let ran = |name: &str, start: &str| {
        let job = world.job(name);
        let status = world
            .run(&job, "1", &["--until-end", "--start", start])
            .status();
        assert!(status.expect("it runs").success(), "{start}");
        let sql = "select slot, partial, flows from slots where rollup = 'rollup_5m' and slot > 0 order by slot";
        let rows = job.stores[0].query(sql).into_iter();
        let row = |row: Vec<String>| {
            let numbers = row
                .iter()
                .map(|text| text.parse::<u64>().expect("a number"));
            let [slot, partial, flows] = numbers.collect::<Vec<_>>()[..] else {
                panic!("{row:?}");
            };
            (slot, partial == 1, flows)
        };
        (rows.map(row).collect::<Vec<_>>(), world.expected(&job))
    };
    let (all, _) = ran("earliest", "earliest");
    assert!(all.iter().all(|(_, partial, _)| !partial), "{all:?}");
    let (none, _) = ran("latest", "latest");
    assert!(none.is_empty(), "{none:?}");
    let (some, expected) = ran("time", "2023-11-14T22:26:40Z");
    let partial: Vec<u64> = some
        .iter()
        .filter(|(_, partial, _)| *partial)
        .map(|s| s.0)
        .collect();
    let last = partial.last().copied();
    assert_eq!(last, Some(begin + 600), "{some:?}");
    assert!(
        some.iter()
            .any(|(slot, partial, _)| *slot > begin + 600 && !partial),
        "{some:?}"
    );
    for (slot, _, flows) in &some {
        assert_eq!(expected.slots[slot].flows, *flows);
    }
    let total = |rows: &[(u64, bool, u64)]| rows.iter().map(|row| row.2).sum::<u64>();
    assert!(
        total(&some) * 2 < total(&all),
        "{} of {}",
        total(&some),
        total(&all)
    );
}
