//! Rows are right: equal, row by row, to what the oracle computes from the topic and the recorded timeline, for any
//! number of workers, any arrival between partitions, and any number of deaths on the way.

mod oracle;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use flow_dataflow::{JobConfig, SlotTime};
use flow_proto::{EnrichedFlow, Verdict};
use flow_state::{TableVersion, table_hash};
use flow_tables::{Kind, Order, Source, TableSet};
use support::config;
use support::history::{self, Outcome};
use support::memory::Stored;
use support::scenario::{Shape, topic};

const ASN: &str = "10.0.0.0,10.3.255.255,64500\n10.2.0.0,10.2.255.255,64501\n10.5.0.0,10.5.0.255,4200000001\n\
                   2001:db8::,2001:db8:1:ffff:ffff:ffff:ffff:ffff,64502\n10.6.0.0,10.6.255.255,0";
const COUNTRY: &str = "10.0.0.0,10.1.255.255,DE\n10.2.0.0,10.4.255.255,NL\n2001:db8:2::,2001:db8:3:ffff:ffff:ffff:ffff:ffff,JP";

const OTHER_ASN: &str =
    "10.0.0.0,10.1.255.255,64510\n10.2.0.0,10.2.0.255,64501\n2001:db8::,2001:db8:2::,64512";

/// A set as the job has it, and as the oracle does.
struct Tables {
    set: Arc<TableSet>,
    plain: oracle::Tables,
}

fn tables(asn: &str, country: Option<&str>) -> Tables {
    let mut sources = vec![(Kind::Asn, Source::Text("asn", asn.as_bytes()))];
    sources.extend(country.map(|text| (Kind::Country, Source::Text("country", text.as_bytes()))));
    let (set, report) = TableSet::load_sources(&sources).expect("good tables");
    assert!(
        report.tables.iter().all(|table| table.bad_rows == 0),
        "{report:?}"
    );
    Tables {
        set: Arc::new(set),
        plain: oracle::Tables::from_csv(Some(asn), country),
    }
}

/// What a seed's job is given, and what is swapped in; of some nothing is. Of every second seed the order of AS numbers is not
/// that of the default, for all exporters or for some.
fn all_tables(seed: u64) -> Vec<Tables> {
    let country = seed.is_multiple_of(3).then_some(COUNTRY);
    let mut given = tables(ASN, country);
    let set = Arc::make_mut(&mut given.set);
    if seed % 4 == 1 {
        set.asn_order.all = Order::FlowTable;
        given.plain.orders.insert(None, vec!["flow", "table"]);
    }
    if seed % 4 == 3 {
        let all = [(Order::Flow, "flow"), (Order::Table, "table")];
        for (last, (order, asked)) in (1..).zip(all) {
            let exporter = Ipv4Addr::new(192, 0, 2, last);
            let mapped = exporter.to_ipv6_mapped().octets();
            set.asn_order.exporters.insert(mapped, order);
            given
                .plain
                .orders
                .insert(Some(exporter.into()), vec![asked]);
        }
    }
    let mut all = vec![given];
    if !seed.is_multiple_of(5) {
        all.push(tables(OTHER_ASN, Some(COUNTRY)));
        all.push(tables(OTHER_ASN, None));
    }
    all
}

/// What the oracle says of a history's topic and timeline.
fn expected(
    records: &[Vec<Stored>],
    outcome: &Outcome,
    config: &JobConfig,
    tables: &[Tables],
) -> oracle::Output {
    let of_hash = |hash: &str| {
        let set = |tables: &&Tables| table_hash(&tables.set.archive()) == hash;
        let found = tables.iter().find(set);
        found.expect("one of the test's").plain.clone()
    };
    let versions = outcome.checkpoint.timeline.versions.iter();
    let cut = &outcome.checkpoint.cut;
    let partitions = (0u32..)
        .zip(records)
        .map(|(p, stored)| {
            let end = cut.get(&p).map_or(0, |at| at.offset);
            let below = (0u64..end).zip(stored).map(|(offset, r)| oracle::Record {
                offset,
                timestamp_millis: r.timestamp_millis,
                ours: r.ours,
                payload: r.payload.clone(),
            });
            (p, below.collect())
        })
        .collect();
    let events = outcome.timeline.retirements.iter();
    let slot_time = match config.rows.slot_time {
        SlotTime::Received => oracle::Time::Received,
        SlotTime::Start => oracle::Time::Start,
        SlotTime::End => oracle::Time::End,
    };
    let gaps = outcome.checkpoint.gaps.iter();
    let lost = gaps.map(|gap| oracle::Lost {
        partition: gap.partition,
        from: gap.from_offset,
        to: gap.to_offset,
    });
    oracle::run(&oracle::Input {
        partitions,
        starts: outcome.checkpoint.starts.clone(),
        lost: lost.collect(),
        retirements: events
            .map(|e| oracle::Retired {
                line_secs: e.line_secs,
                offsets: e.offsets.clone(),
            })
            .collect(),
        versions: versions
            .map(|(from, version)| (*from, of_hash(&version.hash)))
            .collect(),
        config: oracle::Config {
            slot_time,
            ..oracle::Config::default()
        },
        fates: false,
    })
}

/// Compares rows of all slots that retired, and the counts of all slots on record.
fn compare(outcome: &Outcome, expected: &oracle::Output) -> Result<(), String> {
    let retired = outcome.checkpoint.timeline.retired_secs;
    let want: BTreeMap<_, _> = expected
        .rows
        .iter()
        .filter(|((_, slot, _), _)| slot + 300 <= retired)
        .collect();
    let got: BTreeMap<_, _> = outcome
        .table
        .rows
        .iter()
        .filter(|((_, slot, _), _)| slot + 300 <= retired)
        .collect();
    for key in want.keys().chain(got.keys()) {
        let (w, g) = (
            want.get(key).copied().copied(),
            got.get(key).map(|sums| sums.values()),
        );
        if w != g {
            return Err(format!("row {key:?}: oracle {w:?}, job {g:?}"));
        }
    }
    for (slot, counts) in &outcome.checkpoint.slots {
        let got = [
            counts.flows,
            counts.too_early,
            counts.too_late,
            counts.implausible,
        ];
        let slot_of = expected.slots.get(slot).copied().unwrap_or_default();
        let want = [
            slot_of.flows,
            slot_of.too_early,
            slot_of.too_late,
            slot_of.implausible,
        ];
        if want != got {
            return Err(format!(
                "counts of slot {slot}: oracle {want:?}, job {got:?}"
            ));
        }
    }
    for slot in outcome.checkpoint.slots.keys().filter(|slot| **slot > 0) {
        let got = outcome.checkpoint.missing_partitions(*slot);
        let want = expected.missing_in(*slot);
        if want != got {
            return Err(format!(
                "missing in slot {slot}: oracle {want:?}, job {got:?}"
            ));
        }
    }
    Ok(())
}

/// Compares raw flows with what they must make up: rows where they count, and the refused by reason. The oracle's rows
/// are those below the cut, complete or not, so nothing is left out.
fn compare_raw(
    flows: &[EnrichedFlow],
    expected: &oracle::Output,
    versions: &[(u64, TableVersion)],
) -> Result<(), String> {
    let with_country = |slot| {
        let in_slot = (1, slot, [0; 3])..(1, slot + 1, [0; 3]);
        expected.rows.range(in_slot).next().is_some()
    };
    let (mut rows, mut total) = (BTreeMap::new(), oracle::Slot::default());
    for flow in flows {
        match flow.verdict {
            Verdict::Counts => total.flows += 1,
            Verdict::Implausible => total.implausible += 1,
            Verdict::TooEarly => total.too_early += 1,
            Verdict::TooLate => total.too_late += 1,
        }
        if flow.verdict != Verdict::Counts {
            continue;
        }
        let unknown = u64::from(flow.flow.sampling_rate == 0);
        let (bytes, packets, rate) = (flow.flow.bytes, flow.flow.packets, flow.rate());
        let mut add = |rollup: u16, a, b| {
            let key = (rollup, flow.slot_secs, [a, b, flow.flow.etype]);
            let row: &mut oracle::Sums = rows.entry(key).or_default();
            let more = [bytes, packets, 1, bytes * rate, packets * rate, unknown];
            row.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        };
        add(0, flow.src_as, flow.dst_as);
        if with_country(flow.slot_secs) {
            add(1, flow.src_country, flow.dst_country);
        }
        let holds = versions
            .iter()
            .rev()
            .find(|(from, _)| *from <= flow.slot_secs);
        if Some(flow.table_version) != holds.map(|(_, version)| version.number) {
            return Err(format!("{flow:?}: not that version of {versions:?}"));
        }
    }
    if total != expected.total() {
        return Err(format!("raw {total:?}, oracle {:?}", expected.total()));
    }
    for key in expected.rows.keys().chain(rows.keys()) {
        let (want, got) = (expected.rows.get(key), rows.get(key));
        if want != got {
            return Err(format!(
                "raw flows of row {key:?}: oracle {want:?}, sums {got:?}"
            ));
        }
    }
    let coordinates: BTreeSet<_> = flows.iter().map(|flow| flow.at).collect();
    if coordinates.len() != flows.len() {
        return Err("a coordinate comes twice".to_owned());
    }
    Ok(())
}

/// Runs and compares one seed.
fn check(seed: u64, config: &JobConfig, worker_counts: &[usize]) -> Result<Outcome, String> {
    let shape = Shape {
        partitions: 1 + seed % 4,
        span_secs: 7_200,
        packs: 300,
    };
    let records = topic(seed, shape);
    let tables = all_tables(seed);
    let sets: Vec<_> = tables.iter().map(|it| Arc::clone(&it.set)).collect();
    let slot_time = [
        SlotTime::Received,
        SlotTime::Start,
        SlotTime::Received,
        SlotTime::End,
    ];
    let mut config = config.clone();
    config.rows.slot_time = slot_time[(seed / 4 % 4) as usize];
    // With it, the topic's retention overtakes the job now and then.
    config.accept_gap = seed % 5 < 2;
    // A seal costs one row for each shard at least: in up to 256 slices, in a few, in one.
    config.turn_rows = [5, 100, 400_000][(seed % 3) as usize];
    let config = &config;
    let outcome = history::run(seed, config, &sets, records.clone(), worker_counts);
    let expected = expected(&records, &outcome, config, &tables);
    compare(&outcome, &expected)?;
    let raw = support::raw::flows(&outcome, config, &sets[0]);
    compare_raw(&raw, &expected, &outcome.checkpoint.timeline.versions)?;
    Ok(outcome)
}

#[test]
fn rows_equal_the_oracle_whatever_happens() {
    let (mut rows, mut attempts, mut added, mut refused) = (0, 0, 0, [0; 3]);
    let (mut gaps, mut marked, mut swaps) = (0, 0, 0);
    for seed in 0..60 {
        let outcome =
            check(seed, &config(), &[1, 2, 4]).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        rows += outcome.table.rows.len();
        attempts += outcome.attempts;
        added += outcome.added;
        let checkpoint = &outcome.checkpoint;
        gaps += checkpoint.gaps.len();
        swaps += checkpoint.timeline.versions.len() - 1;
        let slots = checkpoint.slots.keys();
        marked += slots
            .filter(|slot| !checkpoint.missing_partitions(**slot).is_empty())
            .count();
        for counts in outcome.checkpoint.slots.values() {
            refused[0] += counts.too_early;
            refused[1] += counts.too_late;
            refused[2] += counts.implausible;
        }
    }
    println!(
        "{rows} rows, {attempts} attempts, {added} partitions added, {gaps} gaps that mark {marked} slots, {swaps} swaps, refused (early, late, implausible) {refused:?}"
    );
    assert!(added > 20, "{added} partitions added");
    assert!(swaps > 60, "{swaps} swaps");
    assert!(gaps > 20 && marked > gaps, "{gaps} gaps, {marked} slots");
    assert!(
        refused.iter().all(|n| *n > 100),
        "every reason occurs: {refused:?}"
    );
}

/// Negative controls: each breakage of a law must be caught by the comparison above. The simulator has those that take several jobs,
/// processes and stores.
#[cfg(feature = "mutants")]
#[test]
fn every_mutant_is_caught() {
    use flow_dataflow::Mutant;
    for &mutant in &Mutant::ALL[..Mutant::OF_ONE_JOB] {
        let config = JobConfig {
            mutant: Some(mutant),
            ..config()
        };
        let caught = (0..60).find_map(|seed| {
            let run = std::panic::catch_unwind(|| check(seed, &config, &[1, 2, 4]));
            match run {
                Ok(Ok(_)) => None,
                Ok(Err(difference)) => Some((seed, difference)),
                Err(_) => Some((seed, "a check on the way failed".to_owned())),
            }
        });
        println!("{mutant:?}: {caught:?}");
        assert!(caught.is_some(), "{mutant:?} survives");
    }
}
