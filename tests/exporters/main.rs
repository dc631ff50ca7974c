//! Real exporters, the whole way: softflowd and pmacctd over UDP into `collect`, Kafka, the job, PostgreSQL.
//!
//! Law: flow by flow (addresses, ports, protocol), packets and bytes in PostgreSQL equal what nfdump's collectors make of
//! the very same datagrams, and the slots' counts equal their number of flows.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test tells what it compared and what it skipped"
)]

mod capture;
mod program;
mod tee;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use program::{Program, wait_for};
use tee::{Tee, free_port, waiting_bytes};

/// Source, destination, source port, destination port, protocol.
type Tuple = (String, String, u32, u32, u32);
/// Flows, packets, bytes; scaled by the sampling rate.
type Totals = BTreeMap<Tuple, [u64; 3]>;

/// An exporter and what it speaks.
struct Exporter {
    name: &'static str,
    /// `sflow` or `netflow`.
    listen: &'static str,
    version: u32,
}

const EXPORTERS: [Exporter; 7] = [
    Exporter {
        name: "softflowd",
        listen: "netflow",
        version: 5,
    },
    Exporter {
        name: "softflowd",
        listen: "netflow",
        version: 9,
    },
    Exporter {
        name: "softflowd",
        listen: "netflow",
        version: 10,
    },
    Exporter {
        name: "pmacctd",
        listen: "netflow",
        version: 5,
    },
    Exporter {
        name: "pmacctd",
        listen: "netflow",
        version: 9,
    },
    Exporter {
        name: "pmacctd",
        listen: "netflow",
        version: 10,
    },
    Exporter {
        name: "pmacctd",
        listen: "sflow",
        version: 5,
    },
];

#[test]
fn postgresql_holds_what_nfdump_finds_in_the_same_datagrams() {
    let variables =
        ["KAFKA", "POSTGRES"].map(|name| std::env::var(format!("FLOW_PIPELINE_TEST_{name}")));
    let [Ok(kafka), Ok(postgres)] = variables else {
        eprintln!("SKIPPED: FLOW_PIPELINE_TEST_KAFKA or FLOW_PIPELINE_TEST_POSTGRES is not set");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (file, packets) = capture::capture(5);
    std::fs::write(folder.path().join("packets.pcap"), file).expect("written");
    println!("{} flows, {packets} packets in the capture", capture::FLOWS);
    println!(
        "{:<10} {:<8} {:>9} {:>6} {:>8} {:>10}",
        "exporter", "format", "datagrams", "flows", "packets", "bytes"
    );
    for exporter in &EXPORTERS {
        let run = folder.path().join(format!(
            "{}-{}-{}",
            exporter.name, exporter.listen, exporter.version
        ));
        std::fs::create_dir(&run).expect("a folder");
        let unique = format!(
            "{}_{}",
            run.file_name()
                .expect("named")
                .to_string_lossy()
                .replace('-', "_"),
            std::process::id()
        );
        let topic = format!("kafka://{kafka}/{unique}");
        let (datagrams, theirs) = collect(exporter, &run, &topic);
        let database = program::database(&postgres, &unique);
        program::job(&topic, &database, &run.join("state"));
        let ours = from_postgres(&database, exporter.listen == "sflow");
        let difference = theirs
            .iter()
            .find(|(tuple, totals)| ours.get(*tuple) != Some(totals));
        if let Some((tuple, totals)) = difference {
            panic!(
                "{} {}: {tuple:?}: nfdump {totals:?}, PostgreSQL {:?}",
                exporter.name,
                exporter.version,
                ours.get(tuple)
            );
        }
        assert_eq!(ours.len(), theirs.len(), "flows that nfdump has not");
        let total = |at: usize| ours.values().map(|totals| totals[at]).sum::<u64>();
        let slots = program::query(
            &database,
            "select sum(flows) from slots where rollup = 'rollup_5m'",
        );
        assert_eq!(
            slots,
            [[total(0).to_string()]],
            "flows counted in the slots"
        );
        let format = format!("{} {}", exporter.listen, exporter.version);
        println!(
            "{:<10} {format:<8} {datagrams:>9} {:>6} {:>8} {:>10}",
            exporter.name,
            total(0),
            total(1),
            total(2)
        );
        assert!(total(0) > 300, "{} flows", total(0));
    }
}

/// Runs the exporter into our collector and nfdump's; datagrams, and what nfdump has found in them.
fn collect(exporter: &Exporter, run: &Path, topic: &str) -> (u64, Totals) {
    let (ours, theirs) = (free_port(), free_port());
    let listen = format!("{}://127.0.0.1:{ours}", exporter.listen);
    let collector = Program::start(
        env!("CARGO_BIN_EXE_flow-pipeline"),
        &["collect", "--listen", &listen, "--topic", topic],
    );
    let files = run.join("nfdump");
    std::fs::create_dir(&files).expect("a folder");
    let (port, files) = (theirs.to_string(), files.to_string_lossy().into_owned());
    let program = if exporter.listen == "sflow" {
        "sfcapd"
    } else {
        "nfcapd"
    };
    let peer = Program::start(
        program,
        &["-b", "127.0.0.1", "-p", &port, "-t", "3600", "-w", &files],
    );
    wait_for("both listen", || {
        waiting_bytes(ours).is_some() && waiting_bytes(theirs).is_some()
    });
    let tee = Tee::new();
    let mut sender = program::exporter(
        exporter.name,
        exporter.listen,
        (exporter.version, tee.address()),
        run,
    );
    let to = [ours, theirs].map(|port| ([127, 0, 0, 1], port).into());
    let datagrams = tee.pass(to, || sender.try_wait().expect("a child").is_some());
    // pmacctd ends with 1 now and then, if its plugin is done before it is told to. Both collectors have the same datagrams.
    sender.wait().expect("ended");
    wait_for("both have read", || {
        waiting_bytes(ours) == Some(0) && waiting_bytes(theirs) == Some(0)
    });
    collector.terminate();
    peer.terminate();
    (datagrams, from_nfdump(&files))
}

/// By `nfdump -o csv`: 3 source, 4 destination, 5 and 6 ports, 7 protocol, 11 packets, 12 bytes.
fn from_nfdump(files: &str) -> Totals {
    let out = Command::new("nfdump")
        .args(["-R", files, "-q", "-N", "-o", "csv"])
        .output()
        .expect("nfdump runs");
    let text = String::from_utf8(out.stdout).expect("text");
    let mut totals = Totals::new();
    for line in text.lines() {
        let part: Vec<&str> = line.split(',').collect();
        let number = |at: usize| part[at].trim().parse::<u64>().expect("a number");
        let protocol = match part[7].trim() {
            "TCP" => 6,
            "UDP" => 17,
            other => panic!("protocol {other}"),
        };
        let port = |at: usize| u32::try_from(number(at)).expect("a port");
        let tuple = (
            part[3].trim().to_owned(),
            part[4].trim().to_owned(),
            port(5),
            port(6),
            protocol,
        );
        let entry = totals.entry(tuple).or_default();
        for (sum, value) in entry.iter_mut().zip([1, number(11), number(12)]) {
            *sum += value;
        }
    }
    totals
}

fn from_postgres(database: &str, scaled: bool) -> Totals {
    let rate = if scaled { "sampling_rate" } else { "1" };
    let sql = format!(
        "select host(src_ip), host(dst_ip), src_port, dst_port, proto, count(*), sum(packets * {rate}), sum(bytes * {rate}) \
         from flows group by 1, 2, 3, 4, 5"
    );
    let rows = program::query(database, &sql).into_iter().map(|row| {
        let number = |at: usize| row[at].parse::<u64>().expect("a number");
        let small = |at: usize| u32::try_from(number(at)).expect("32 bits");
        let tuple = (row[0].clone(), row[1].clone(), small(2), small(3), small(4));
        (tuple, [number(5), number(6), number(7)])
    });
    rows.collect()
}
