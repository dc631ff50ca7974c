//! Retention by the real program: three days of flows, one of which is kept; what is kept is whole.

use std::collections::BTreeMap;

use flow_ingest::mock::Disorder;

use crate::oracle::{Key, Sums};
use crate::servers::Servers;
use crate::store::Store;
use crate::world::World;

const DAY: u64 = 86_400;
/// Three days at one flow a second.
const FLOWS: u64 = 3 * DAY;

/// Those of a slot that starts at `from` or later.
fn since(rows: &BTreeMap<Key, Sums>, from: u64) -> BTreeMap<Key, Sums> {
    let kept = rows.iter().filter(|((_, slot, _), _)| *slot >= from);
    kept.map(|(key, sums)| (*key, *sums)).collect()
}

fn oldest(rows: &BTreeMap<Key, Sums>) -> u64 {
    let slots = rows.keys().map(|(_, slot, _)| *slot);
    slots.min().expect("rows")
}

#[test]
fn a_day_is_kept_of_three() {
    let Some(servers) = Servers::shared() else {
        return;
    };
    let world = World::new("retention");
    // The options of the generator name flows of two hours; the rate is what counts here.
    let mut generator = crate::disordered(7_200, 3, Disorder::default());
    crate::write(&world, &mut generator, FLOWS);
    let mut job = world.job("retention");
    job.stores.push(servers.postgres(""));
    job.stores.push(servers.clickhouse(""));
    let stores = std::mem::take(&mut job.stores);
    let sinks: Vec<String> = stores.iter().map(options).collect();
    let mut more = vec!["--until-end"];
    more.extend(sinks.iter().flat_map(|url| ["--sink", url.as_str()]));
    let status = world.run(&job, "2", &more).status().expect("it runs");
    assert!(status.success(), "{status}");

    let expected = world.expected(&job).rows;
    let first = oldest(&expected);
    let last = expected.keys().map(|(_, slot, _)| *slot).max();
    // A slot begins this long before the watermark at most, and is kept.
    let safe = last.expect("rows") - DAY + 600;
    for store in &stores {
        let found = store.content();
        let from = oldest(&found.rows);
        assert!(from > first + DAY, "{}: {from} is kept", store.url());
        assert!(from <= safe, "{}: {from} is the oldest", store.url());
        let mut want = since(&expected, from);
        let open = |slot: &u64| found.slots.get(slot).is_none_or(|(s, _)| s == "open");
        want.retain(|(_, slot, _), _| !open(slot));
        assert!(found.rows == want, "{}: rows that are kept", store.url());
        assert!(found.slots.keys().all(|slot| *slot >= from));
        println!(
            "{}: {} of {} rows are kept, from {from} on",
            store.url(),
            want.len(),
            expected.len()
        );
        // PostgreSQL's raw flows are kept by the day of their insertion, which is today.
        if matches!(store, Store::Postgres(_)) {
            continue;
        }
        let raw = store.raw_sums();
        assert!(oldest(&raw) > first + DAY, "{}: raw flows", store.url());
        let mut want = since(&expected, safe);
        want.retain(|(rollup, _, _), _| *rollup == 0);
        assert!(since(&raw, safe) == want, "{}: raw flows", store.url());
    }
}

/// The sink's URL with a day of retention.
fn options(store: &Store) -> String {
    let url = store.url();
    let and = if url.contains('?') { '&' } else { '?' };
    format!("{url}{and}retention=1d&raw_retention=1d&raw=on")
}
