//! `replay --apply`, killed while it puts a slot in its place.

use std::process::{Child, Stdio};

use crate::damage_table::Case;
use crate::own::until;
use crate::store::Store;
use crate::verified::{BEGIN_SECS, spoil};

/// Damages slots, begins to mend them and is killed; what was done.
pub(crate) fn killed(case: &Case) -> &'static str {
    let store = case.store();
    match store {
        Store::ClickHouse(..) => {
            between_rows_and_generation(case, store);
            "`replay --apply` killed between a slot's rows and its generation"
        }
        _ => {
            between_slots(case, store);
            "`replay --apply` killed after some of the slots"
        }
    }
}

fn mend(case: &Case) -> Child {
    let mut command = case.verb(&["replay", "--as-recorded", "--apply"]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().expect("it starts")
}

fn between_slots(case: &Case, store: &Store) {
    spoil(store, "UPDATE rollup_5m SET bytes = bytes + 1");
    let recorded = || case.world.files(&case.job, "replaced");
    let before = recorded();
    let mut child = mend(case);
    until("some slots are recorded", || recorded() > before + 25);
    child.kill().expect("killed, or over");
    child.wait().expect("it is gone");
}

/// ClickHouse is kept from taking the generation.
fn between_rows_and_generation(case: &Case, store: &Store) {
    let slot = format!("slot = fromUnixTimestamp({})", BEGIN_SECS + 3_600);
    let rows = "slot, src_as, dst_as, etype, bytes, packets, flows, scaled_bytes, scaled_packets, unknown_rate_flows, \
                table_version, revision";
    let other = rows.replace("src_as, dst_as", "src_as + 4000000000, dst_as");
    for sql in [
        format!(
            "ALTER TABLE rollup_5m_rows UPDATE bytes = bytes + 1 WHERE {slot} SETTINGS mutations_sync = 2"
        ),
        format!(
            "INSERT INTO rollup_5m_rows ({rows}) SELECT {other} FROM rollup_5m WHERE {slot} AND src_as < 65000"
        ),
        "ALTER TABLE slots_rows ADD CONSTRAINT closed CHECK generation = 0".to_owned(),
    ] {
        spoil(store, &sql);
    }
    let newest = || {
        let sql = format!("SELECT max(revision) FROM rollup_5m_country_rows WHERE {slot}");
        store.query(&sql)[0][0].parse::<u64>().expect("a number") >> 48
    };
    let before = newest();
    let mut child = mend(case);
    until("all rows are written", || newest() > before);
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    spoil(store, "ALTER TABLE slots_rows DROP CONSTRAINT closed");
}
