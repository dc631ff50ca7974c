//! `replay --repair`, `--into`, `--rollup` and `--sampling-rate`: slots that something is known against are found and made
//! whole, other stores are filled, and rates are put right.
//!
//! Oracles: a replay of all slots, the store of the job, and another job that has had the right rates from its first flow on.

use std::collections::BTreeMap;

use flow_ingest::mock::TopicWriter;
use flow_proto::Dialect;
use serde_json::Value;

use crate::generator;
use crate::oracle::{Key, Slot, Sums};
use crate::servers::Servers;
use crate::store::{Content, Store};
use crate::verified::{command, is_verified, made, ran_by, refused, slot, within};
use crate::world::{JobFiles, World};

fn run(
    world: &World,
    job: &JobFiles,
    store: &Store,
    words: &[&str],
) -> (Option<i32>, Vec<Value>, String) {
    ran_by(within(world, job, std::slice::from_ref(store), words))
}

/// Slots and rows that are final.
fn retired(content: Content) -> (BTreeMap<u64, Slot>, BTreeMap<Key, Sums>) {
    let slots = content.slots.into_iter();
    let slots = slots.filter(|(_, (state, _))| state == "retired");
    let slots: BTreeMap<u64, Slot> = slots.map(|(at, (_, counts))| (at, counts)).collect();
    let mut rows = content.rows;
    rows.retain(|(_, slot, _), _| slots.contains_key(slot));
    (slots, rows)
}

#[test]
fn what_is_troubled_is_found_and_repaired() {
    let servers = Servers::shared();
    let servers = servers.map(|servers| vec![servers.postgres(""), servers.clickhouse("")]);
    let (world, job) = made("repaired", servers.unwrap_or_default());
    for store in &job.stores {
        let (code, all, said) = ran_by(command(
            &world,
            &job,
            std::slice::from_ref(store),
            &["replay", "--json"],
        ));
        assert_eq!(code, Some(0), "{said}");
        let (code, found, said) = run(&world, &job, store, &["replay", "--repair", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let base = all.iter().filter(|line| line["rollup"] == "rollup_5m");
        assert!(base.clone().count() > 20);
        assert!(found == all, "{} of {} lines", found.len(), all.len());
        for line in base {
            let (early, late) = (&line["too_early"], &line["too_late"]);
            assert!(
                early.as_u64() > Some(0) || late.as_u64() > Some(0),
                "{line}"
            );
        }
        let gained = refused(store);
        let before = store.content();
        let apply = ["replay", "--repair", "--apply", "--json", "-w", "2"];
        let (code, _, said) = run(&world, &job, store, &apply);
        assert_eq!(code, Some(0), "{said}");
        let after = store.content();
        for (at, (state, counts)) in &before.slots {
            let more = gained.get(at).filter(|_| state == "retired").unwrap_or(&0);
            assert_eq!(after.slots[at].1.flows, counts.flows + more, "slot {at}");
        }
        // What the job still owns is left, and nothing else.
        let (_, left, said) = run(&world, &job, store, &["replay", "--repair", "--json"]);
        let states = left.iter().map(|line| after.slots[&slot(line)].0.as_str());
        assert!(states.clone().all(|state| state != "retired"), "{said}");
        is_verified(&world, &job, store);
        println!(
            "{}: {} lines, {} left",
            store.url(),
            found.len(),
            left.len()
        );
    }
    a_late_start_is_made_whole(&world, &job);
}

/// A job that began in the midst of a slot: the topic has the rest.
fn a_late_start_is_made_whole(world: &World, job: &JobFiles) {
    let late = world.job("late");
    let start = [
        "--until-end",
        "--slot-time",
        "end",
        "--start",
        "2023-11-14T22:33:00Z",
    ];
    let (code, _, said) = ran_by(world.run(&late, "1", &start));
    assert_eq!(code, Some(0), "{said}");
    let store = &late.stores[0];
    let partial = "select count(*) from slots where partial";
    let marked = store.query(partial);
    assert_ne!(marked, [["0"]]);
    let (code, lines, said) = run(world, &late, store, &["replay", "--repair", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(lines.len() > 4, "{said}");
    let (code, _, said) = run(
        world,
        &late,
        store,
        &["replay", "--repair", "--apply", "--json"],
    );
    assert_eq!(code, Some(0), "{said}");
    let left = format!("{partial} and state = 'retired'");
    assert_eq!(store.query(&left), [["0"]], "{said}");
    // Every flow of these slots: as the other job's store has them, which was repaired, too.
    let (mut one, mut two) = (retired(store.content()), retired(job.stores[0].content()));
    one.1.retain(|(_, slot, _), _| two.0.contains_key(slot));
    two.1.retain(|(_, slot, _), _| one.0.contains_key(slot));
    assert!(
        one.1.len() > 1_000 && one.1 == two.1,
        "{} rows of {}",
        one.1.len(),
        two.1.len()
    );
    println!("a late start: {} rows were marked partial", marked[0][0]);
}

#[test]
fn another_store_is_filled() {
    let (world, job) = made("filled", Vec::new());
    let ours = &job.stores[0];
    let mut targets = vec![Store::Sqlite(world.path("target.sqlite"))];
    if let Some(servers) = Servers::shared() {
        targets.extend([servers.postgres(""), servers.clickhouse("")]);
    }
    let fill = |target: &Store, more: &[&str]| {
        let url = target.url();
        let words = [&["replay", "--apply", "--json", "--into", &url], more].concat();
        let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &words));
        assert_eq!(code, Some(0), "{said}");
        lines
    };
    let before = ours.content();
    for target in &targets {
        assert!(fill(target, &["--as-recorded"]).len() > 20);
        let (slots, rows) = retired(target.content());
        let (wanted, of_job) = retired(ours.content());
        assert!(rows == of_job, "{} rows of {}", rows.len(), of_job.len());
        let flows = |slots: &BTreeMap<u64, Slot>| -> Vec<(u64, u64)> {
            let with_flows = slots.iter().filter(|(_, counts)| counts.flows > 0);
            with_flows.map(|(at, counts)| (*at, counts.flows)).collect()
        };
        assert_eq!(flows(&slots), flows(&wanted));
        assert!(fill(target, &["--as-recorded"]).is_empty(), "it is there");
        // Every flow, under the next generation; then as recorded again.
        assert!(fill(target, &[]).len() > 20);
        let all: u64 = retired(target.content()).0.values().map(|c| c.flows).sum();
        let gained: u64 = refused(ours)
            .iter()
            .filter(|(at, _)| wanted.contains_key(at))
            .map(|(_, refused)| refused)
            .sum();
        assert_eq!(all, wanted.values().map(|c| c.flows).sum::<u64>() + gained);
        fill(target, &["--as-recorded"]);
        assert!(retired(target.content()).1 == of_job);
    }
    // No job takes it for an empty one.
    let mut other = world.job("another");
    other.stores = vec![targets[0].clone()];
    let (code, _, said) = ran_by(world.run(&other, "1", &["--until-end"]));
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("was written by job replay") || said.contains("job replay"),
        "{said}"
    );
    let country = Store::Sqlite(world.path("country.sqlite"));
    fill(
        &country,
        &["--as-recorded", "--rollup", "rollup_5m_country"],
    );
    let (mut wanted, rows) = (retired(ours.content()).1, country.content().rows);
    wanted.retain(|(rollup, ..), _| *rollup == 1);
    assert!(rows == wanted, "{} rows of {}", rows.len(), wanted.len());
    // Tables that no job has had go there, too.
    let asn = format!("asn={}", world.path("asn.csv").display());
    let tried = Store::Sqlite(world.path("tried.sqlite"));
    fill(&tried, &["--table", &asn, "--as-recorded"]);
    let versions = "select distinct table_version from rollup_5m";
    assert_eq!(tried.query(versions), [["2"]]);
    assert!(ours.content() == before, "the job's store is as it was");
    let own = ours.url();
    let words = ["replay", "--apply", "--json", "--into", &own];
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &words));
    assert_eq!((code, lines.len()), (Some(78), 0), "{said}");
    assert!(said.contains("a job writes this store"), "{said}");
}

#[test]
fn sampling_rates_are_put_right() {
    const WRONG: &str = "198.18.77.1";
    let (world, right) = (World::new("rates"), World::new("rates-right"));
    let mut flows = generator(100_000, 61);
    let sampler = |text: &str| -> flow_proto::Addr {
        text.parse::<std::net::IpAddr>().expect("an address").into()
    };
    let mut writers = [&world, &right].map(|world| {
        TopicWriter::open(world.topic().as_ref(), true, Dialect::default()).expect("a writer")
    });
    for at in 0..100_000_u64 {
        let mut flow = flows.next().expect("without end");
        if at % 5 == 0 {
            flow.sampler_address = sampler(WRONG);
            flow.sampling_rate = if at % 2 == 0 { 1 } else { 0 };
        }
        writers[0].write(&flow, flows.now_ns()).expect("written");
        if at % 5 == 0 {
            (flow.sampling_rate, flow.sampling_rate_assumed) = (512, false);
        }
        writers[1].write(&flow, flows.now_ns()).expect("written");
    }
    for writer in writers {
        writer.finish(flows.now_ns()).expect("durable");
    }
    let [job, oracle] = [&world, &right].map(|world| {
        let job = world.job("rates");
        world.run_to_end(&job, "2");
        job
    });
    let store = &job.stores[0];
    let (slots, wanted) = retired(oracle.stores[0].content());
    let rate = format!("{WRONG}=512");
    let words = [
        "replay",
        "--as-recorded",
        "--apply",
        "--json",
        "--sampling-rate",
        &rate,
    ];
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &words));
    assert_eq!(code, Some(0), "{said}");
    let scaled = |line: &Value, side: &str| line[side]["scaled_bytes"].as_u64();
    assert!(
        lines
            .iter()
            .all(|line| line["before"]["bytes"] == line["after"]["bytes"])
    );
    assert!(
        lines
            .iter()
            .all(|line| scaled(line, "before") < scaled(line, "after"))
    );
    let (found, rows) = retired(store.content());
    assert_eq!(found.len(), slots.len());
    assert!(
        slots.len() > 8 && rows == wanted,
        "{} rows of {}",
        rows.len(),
        wanted.len()
    );
    is_verified(&world, &job, store);
}
