//! Stalls of a swap: the same packs while tables of a million and a half prefixes are swapped as often as they can be, and
//! while they are not, in turn.
//!
//! Both kinds have the tables and a checkpoint every second. What a swap adds to the longest gap is told by pairs of runs; the
//! thread that loads the tables takes CPU from the workers, which the gap by the worker's own CPU does not show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flow_dataflow::TableShelf;
use flow_state::{StateError, StateStore, SwapRequest, table_hash};
use flow_tables::{Kind, Source, TableSet};
use rand_pcg::Pcg64Mcg;

use crate::packs::{Packs, Shape};
use crate::prefixes::{drawn_v4, drawn_v6, median, text};
use crate::run::{Checkpoints, job};
use crate::watch::{Gap, Watch};

const V4_PREFIXES: usize = 1_270_000;
const V6_PREFIXES: usize = 240_000;
/// Between two looks whether the last request is decided.
const LOOK: Duration = Duration::from_millis(20);

/// A set, as the state archives it.
struct Archived {
    hash: String,
    bytes: Vec<u8>,
}

/// What a run has shown.
struct Shown {
    longest: Gap,
    seconds: f64,
    swaps: usize,
}

/// Prints the table for one worker and for two.
pub(crate) fn measure(keys: u64, rounds: u64) -> anyhow::Result<()> {
    let packs = Arc::new(Packs::make(Shape {
        keys,
        flows_per_slot: keys * 3,
        slots: 4,
        completing: true,
    }));
    let sets = [1, 2].map(set);
    let sets = sets.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    println!(
        "{} flows, 4 slots of {keys} keys, tables of {} drawn prefixes, {rounds} pairs of runs",
        packs.flows,
        V4_PREFIXES + V6_PREFIXES
    );
    for workers in [1, 2] {
        let mut pairs = Vec::new();
        for _ in 0..rounds {
            let without = once(&packs, workers, &sets, false)?;
            pairs.push((without, once(&packs, workers, &sets, true)?));
        }
        print(workers, &pairs);
    }
    Ok(())
}

fn set(seed: u128) -> anyhow::Result<(Arc<TableSet>, Archived)> {
    let mut random = Pcg64Mcg::new(seed);
    let mut prefixes = drawn_v4(&mut random, V4_PREFIXES);
    prefixes.extend(drawn_v6(&mut random, V6_PREFIXES));
    let text = text(&prefixes);
    let (set, _) = TableSet::load_sources(&[(Kind::Asn, Source::Text("drawn", text.as_bytes()))])?;
    let bytes = set.archive();
    let hash = table_hash(&bytes);
    Ok((Arc::new(set), Archived { hash, bytes }))
}

fn once(
    packs: &Arc<Packs>,
    workers: usize,
    sets: &[(Arc<TableSet>, Archived)],
    swapped: bool,
) -> anyhow::Result<Shown> {
    let folder = tempfile::tempdir()?;
    let (mut job, watches) = job(
        packs,
        folder.path(),
        (workers, true),
        Checkpoints::EverySecond,
    )?;
    let state = job.state.clone();
    for (_, archived) in sets {
        state.archive_table(&archived.hash, &archived.bytes)?;
    }
    if let Some((first, archived)) = sets.first() {
        job.tables = TableShelf::with_hash(state.clone(), Arc::clone(first), archived.hash.clone());
    }
    job.config.swaps_millis = 50;
    // A source that waits for a tick would hide a stall that is shorter.
    job.config.tick_millis = 10;
    let (metrics, over) = (job.metrics.clone(), AtomicBool::new(false));
    let begun = Instant::now();
    thread::scope(|scope| {
        let asking = swapped.then(|| scope.spawn(|| ask(&state, sets, &over)));
        let ran = job.run();
        over.store(true, Ordering::Release);
        let asked = asking.map(|asking| asking.join().unwrap_or(Ok(())));
        asked.transpose()?;
        ran?;
        anyhow::Ok(())
    })?;
    anyhow::ensure!(metrics.accepted.get() == packs.flows, "flows were lost");
    let newest = state.newest()?;
    let swaps = newest.map_or(0, |newest| {
        newest
            .swaps
            .outcomes
            .iter()
            .filter(|it| it.result.is_ok())
            .count()
    });
    anyhow::ensure!(!swapped || swaps > 0, "nothing was swapped");
    let gaps: Vec<Gap> = watches.iter().flat_map(Watch::gaps).collect();
    let longest = |of: fn(&Gap) -> Duration| gaps.iter().map(of).max().unwrap_or_default();
    Ok(Shown {
        longest: Gap {
            wall: longest(|gap| gap.wall),
            cpu: longest(|gap| gap.cpu),
        },
        seconds: begun.elapsed().as_secs_f64(),
        swaps,
    })
}

/// Asks for the other set whenever the last request is decided.
fn ask(
    state: &StateStore,
    sets: &[(Arc<TableSet>, Archived)],
    over: &AtomicBool,
) -> Result<(), StateError> {
    let hashes = sets.iter().map(|(_, archived)| &archived.hash);
    let (mut last, mut decided) = (0, 0);
    for hash in hashes.cycle().skip(1) {
        while decided < last && !over.load(Ordering::Acquire) {
            thread::sleep(LOOK);
            decided = state.newest()?.map_or(0, |newest| newest.swaps.decided);
        }
        if over.load(Ordering::Acquire) {
            break;
        }
        let request = SwapRequest {
            number: 0,
            hash: hash.clone(),
            base: None,
            given: None,
            asked_secs: 0,
            by: "bench".to_owned(),
            from_secs: None,
        };
        last = state.ask_swap(&request, decided, 0)?;
    }
    Ok(())
}

fn print(workers: usize, pairs: &[(Shown, Shown)]) {
    let swaps: usize = pairs.iter().map(|(_, with)| with.swaps).sum();
    let seconds = pairs.iter().map(|(a, b)| b.seconds / a.seconds);
    println!(
        "{workers} worker(s): {swaps} swaps in {} runs; time of a run with swaps, of one without: {:.2}",
        pairs.len(),
        median(seconds)
    );
    for (what, of) in [
        ("the worker's CPU", (|gap| gap.cpu) as fn(&Gap) -> Duration),
        ("wall", |gap| gap.wall),
    ] {
        let millis = |shown: &Shown| of(&shown.longest).as_secs_f64() * 1e3;
        let without = pairs.iter().map(|(a, _)| millis(a));
        let with = pairs.iter().map(|(_, b)| millis(b));
        let more = pairs.iter().map(|(a, b)| millis(b) - millis(a));
        println!(
            "    longest gap by {what}: without {:.1} ms, with {:.1} ms, with minus without {:.1} ms (medians)",
            median(without),
            median(with),
            median(more)
        );
    }
}
