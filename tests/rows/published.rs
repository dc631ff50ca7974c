//! Published tables of 2014, 2015 and 2026 as successive versions of one job, over traffic of their prefixes.
//!
//! Oracle: each table as rows painted on a wall; addresses are drawn from the borders of prefixes of all three, and one beside
//! them, so most flows have another AS by each version, or by some none. The tables are not ours to keep: without them the test
//! says so and ends.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use flow_ingest::mock::{Generator, TopicWriter};
use flow_proto::{Addr, Dialect};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use crate::processes::Processes;
use crate::swapped::{Moment, asked, decided, swap, wait};
use crate::verified::{is_verified, ran_by};
use crate::world::{World, compare};
use crate::{generator, oracle};

const SEED: u128 = 0x2014_2015_2026;
/// Files of each version.
const TABLES: [&[&str]; 3] = [
    &["pyasn/ipasn_20140513.dat.gz"],
    &["pyasn/ipasn6_20151101.dat.gz"],
    &[
        "ip-location-db/asn-ipv4.csv.gz",
        "ip-location-db/asn-ipv6.csv.gz",
    ],
];
const FLOWS: usize = 40_000;

fn folder() -> PathBuf {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    shared.join("tables")
}

fn unpacked(file: &str) -> String {
    let out = Command::new("gzip")
        .arg("-dc")
        .arg(folder().join(file))
        .output();
    String::from_utf8(out.expect("gzip").stdout).expect("UTF-8")
}

/// First and last address of a prefix.
fn range(prefix: &str) -> (IpAddr, IpAddr) {
    let (base, length) = prefix.split_once('/').expect("a prefix");
    let length: u32 = length.parse().expect("a length");
    match base.parse().expect("an address") {
        IpAddr::V4(base) => {
            let last = u32::from(base) | u32::MAX.checked_shr(length).unwrap_or(0);
            (base.into(), Ipv4Addr::from(last).into())
        }
        IpAddr::V6(base) => {
            let last = u128::from(base) | u128::MAX.checked_shr(length).unwrap_or(0);
            (base.into(), Ipv6Addr::from(last).into())
        }
    }
}

/// `first,last,asn` of each row of a version.
fn rows(files: &[&str]) -> String {
    let row = |line: &str| match line.split_once('\t') {
        Some((prefix, asn)) => {
            let (first, last) = range(prefix);
            format!("{first},{last},{asn}\n")
        }
        None => format!("{line}\n"),
    };
    let texts: Vec<String> = files.iter().map(|file| unpacked(file)).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| !line.starts_with(';'))
        .map(row)
        .collect()
}

/// The address so far from another.
fn beside(address: IpAddr, by: i8) -> Addr {
    Addr::from(match address {
        IpAddr::V4(it) => IpAddr::V4(u32::from(it).wrapping_add_signed(by.into()).into()),
        IpAddr::V6(it) => IpAddr::V6(u128::from(it).wrapping_add_signed(by.into()).into()),
    })
}

/// Addresses at the borders of drawn rows.
struct Drawn<'a> {
    rows: Vec<Vec<&'a str>>,
    random: Pcg64Mcg,
}

impl Drawn<'_> {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.next_u64() % bound as u64).expect("small")
    }

    fn address(&mut self) -> Addr {
        let of = self.below(self.rows.len());
        let at = self.below(self.rows[of].len());
        let mut fields = self.rows[of][at].split(',');
        let mut next = || fields.next().expect("two").parse().expect("an address");
        let (first, last) = (next(), next());
        match self.below(4) {
            0 => beside(first, 0),
            1 => beside(first, -1),
            2 => beside(last, 0),
            _ => beside(last, 1),
        }
    }
}

/// Writes flows between drawn addresses; some are late, some early.
fn write(world: &World, flows: &mut Generator, drawn: &mut Drawn<'_>) {
    let topic = world.topic();
    let mut writer = TopicWriter::open(topic.as_ref(), true, Dialect::default()).expect("a writer");
    for at in 0..FLOWS as u64 {
        let mut flow = flows.next().expect("without end");
        (flow.src_addr, flow.dst_addr) = (drawn.address(), drawn.address());
        flow.etype = if flow.src_addr.as_v4().is_some() {
            0x800
        } else {
            0x86dd
        };
        match at % 50 {
            17 => flow.time_flow_end_ns -= (at * 7_919 % 4_800) * 1_000_000_000,
            33 => flow.time_flow_end_ns += (at * 7_919 % 900) * 1_000_000_000,
            _ => {}
        }
        writer.write(&flow, flows.now_ns()).expect("written");
    }
    writer.finish(flows.now_ns()).expect("durable");
}

/// The flags that name a version's files.
fn named(files: &[&str]) -> Vec<String> {
    let flag = |file: &&str| {
        [
            "--table".to_owned(),
            format!("asn={}", folder().join(file).display()),
        ]
    };
    files.iter().flat_map(flag).collect()
}

/// That versions differ where flows are: in origins, and in what has one at all.
fn is_telling(walls: &[oracle::Tables; 3], sample: &[IpAddr]) {
    let (mut others, mut appears, mut vanishes) = (0, 0, 0);
    for address in sample {
        let of = walls.each_ref().map(|wall| wall.asn(Some(*address)));
        for pair in of.windows(2) {
            match (pair[0], pair[1]) {
                (0, 0) => {}
                (0, _) => appears += 1,
                (_, 0) => vanishes += 1,
                (before, after) => others += u32::from(before != after),
            }
        }
    }
    println!(
        "of {} addresses: origin changes {others}, appears {appears}, vanishes {vanishes}",
        sample.len()
    );
    assert!(others > 100 && appears > 100 && vanishes > 20);
}

#[test]
#[allow(clippy::print_stderr, reason = "a test tells what it skipped")]
fn published_tables_follow_each_other() {
    if !folder().is_dir() {
        eprintln!("SKIPPED: published tables are not in ../shared");
        return;
    }
    let world = World::new("published").without_tables().talkative();
    let job = world.job("published");
    let mut flows = generator(20_000, 79);
    let texts = TABLES.map(rows);
    let mut drawn = Drawn {
        rows: texts.iter().map(|text| text.lines().collect()).collect(),
        random: Pcg64Mcg::new(SEED),
    };
    let mut flags = named(TABLES[0]);
    flags.extend(["--slot-time", "end"].map(str::to_owned));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let to_end = [&flags[..], &["--until-end"]].concat();
    for (round, files) in (0..).zip(TABLES) {
        if round > 0 {
            let force = std::iter::once("--force".to_owned());
            asked(swap(&job, &force.chain(named(files)).collect::<Vec<_>>()));
            let mut all = Processes::start(&world, &job, (1, 2), &flags);
            wait(&job, &mut all, (Moment::Recorded, round));
            all.lose(0);
            assert_eq!(decided(&job), round);
        }
        write(&world, &mut flows, &mut drawn);
        let (code, _, said) = ran_by(world.run(&job, "2", &to_end));
        assert_eq!(code, Some(0), "{said}");
    }
    let state = flow_objects::join(&job.state).expect("a state");
    let timeline = state.newest().expect("whole").expect("one").timeline;
    assert_eq!(timeline.versions.len(), 3);
    let sample: Vec<_> = (0..5_000).filter_map(|_| drawn.address().to_ip()).collect();
    let walls = texts
        .each_ref()
        .map(|text| oracle::Tables::from_csv(Some(text), None));
    is_telling(&walls, &sample);
    let mut input = world.input(&job);
    input.config.slot_time = oracle::Time::End;
    let from = timeline.versions.iter().map(|(from, _)| *from);
    input.versions = from.zip(walls).collect();
    let compared = compare(&oracle::run(&input), job.stores[0].content());
    let mut named = BTreeMap::new();
    for row in
        job.stores[0].query("select slot, table_version, count(*) from rollup_5m group by 1, 2")
    {
        let slot: u64 = row[0].parse().expect("a slot");
        let holds = timeline
            .versions
            .iter()
            .rev()
            .find(|(from, _)| *from <= slot);
        assert_eq!(
            row[1],
            holds.expect("from the beginning on").1.number.to_string()
        );
        *named.entry(row[1].clone()).or_insert(0) += row[2].parse::<u64>().expect("a number");
    }
    assert_eq!(named.len(), 3, "rows by version: {named:?}");
    println!("seed {SEED:#x}: {compared}; rows by version {named:?}");
    is_verified(&world, &job, &job.stores[0]);
}
