//! `replay` with other tables: what files that no job has yet would change, and slots put under another version.
//!
//! Oracle: another job over the same topic, which has had the other tables from its first flow on.

use std::collections::BTreeMap;

use flow_tables::DEMO_ASN_CSV;

use crate::oracle::{Key, Sums};
use crate::verified::{command, is_verified, key, ran_by};
use crate::world::{JobFiles, World};
use crate::{generator, write};

/// The demo's table with another number in place of one of its own.
fn other_tables() -> String {
    let other = DEMO_ASN_CSV.replace("64497", "64999");
    assert_ne!(other, DEMO_ASN_CSV);
    other
}

/// Rows of slots that are retired.
fn retired(job: &JobFiles) -> BTreeMap<Key, Sums> {
    let content = job.stores[0].content();
    let is_retired = |slot: &u64| content.slots[slot].0 == "retired";
    let rows = content
        .rows
        .iter()
        .filter(|((_, slot, _), _)| is_retired(slot));
    rows.map(|(key, sums)| (*key, *sums)).collect()
}

/// The rows of the first job's store, changed by what `replay` says.
fn changed(mut rows: BTreeMap<Key, Sums>, lines: &[serde_json::Value]) -> BTreeMap<Key, Sums> {
    for row in lines
        .iter()
        .flat_map(|line| line["largest"].as_array().expect("a list"))
    {
        let computed = &row["computed"];
        if computed.is_null() {
            rows.remove(&key(row));
        } else {
            let sums =
                flow_proto::Sums::COLUMNS.map(|name| computed[name].as_u64().expect("a number"));
            rows.insert(key(row), sums);
        }
    }
    rows
}

#[test]
fn tables_are_tried_and_slots_are_put_under_another_version() {
    let world = World::new("retabled");
    let mut flows = generator(300_000, 59);
    let job = world.job("retabled");
    write(&world, &mut flows, 250_000);
    world.run_to_end(&job, "2");
    let before = job.stores[0].content();

    // Another job, as if it had had them always.
    let new = world.path("new.csv");
    std::fs::write(&new, other_tables()).expect("a table");
    std::fs::write(world.path("asn.csv"), other_tables()).expect("a table");
    let oracle = world.job("oracle");
    world.run_to_end(&oracle, "1");
    let right = oracle.stores[0].content();

    let asn = format!("asn={}", new.display());
    let country = format!("country={}", world.path("country.csv").display());
    let all = ["--as-recorded", "--json", "--largest", "1000000"];
    let tried = [&["replay", "--table", &asn, "--table", &country], &all[..]].concat();
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &tried));
    assert_eq!(code, Some(0), "{said}");
    assert!(lines.len() > 10, "{said}");
    assert!(lines.iter().all(|line| line["rollup"] == "rollup_5m"));
    assert!(
        changed(before.rows.clone(), &lines) == right.rows,
        "as the other job"
    );
    assert!(job.stores[0].content() == before, "nothing was written");

    // The job goes on with them: version 2 from a slot on. Then the slots before that, too.
    write(&world, &mut flows, 50_000);
    for job in [&job, &oracle] {
        world.run_to_end(job, "3");
    }
    assert!(retired(&job) != retired(&oracle));
    let (code, _, said) = ran_by(command(
        &world,
        &job,
        &job.stores,
        &["replay", "--tables", "3"],
    ));
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("--tables 3: the job has never had that version; there are: 1, 2"),
        "{said}"
    );
    let put = [
        "replay",
        "--as-recorded",
        "--tables",
        "2",
        "--apply",
        "--json",
    ];
    let (code, lines, said) = ran_by(command(&world, &job, &job.stores, &put));
    assert_eq!(code, Some(0), "{said}");
    assert!(retired(&job) == retired(&oracle), "under version 2");
    is_verified(&world, &job, &job.stores[0]);
    // It is theirs from then on.
    let again = ["replay", "--json"];
    let (_, left, said) = ran_by(command(&world, &job, &job.stores, &again));
    assert!(left.is_empty(), "{said}: {left:?}");
    let sql = "select count(*) from rollup_5m where table_version <> 2 and slot in (select slot from slots where state = 'retired')";
    assert_eq!(job.stores[0].query(sql), [["0"]]);
    println!(
        "{} slots differ, {} rows are retired",
        lines.len(),
        retired(&job).len()
    );
}
