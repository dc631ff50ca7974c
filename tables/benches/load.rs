//! Loading a table beside ClickHouse: the same prefixes as text into a compiled table, and into a dictionary `ip_trie`.
//!
//! `cargo bench -p flow-tables --bench load [-- PAIRS]`, with the servers of `scripts/services up DIR clickhouse`. CPU
//! seconds of both processes, medians of pairs in one run. ClickHouse does less: its source is a table of its own, parsed
//! before, where ours is the text of a file.

mod prefixes;

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use flow_tables::{Kind, Source, TableSet};
use prefixes::{Prefix, as_prefixes, drawn_v4, drawn_v6, median, process_cpu, published, text};
use rand_pcg::Pcg64Mcg;

type Failed = Box<dyn std::error::Error>;

const PAIRS: usize = 7;
const V4_PREFIXES: usize = 1_270_000;
const V6_PREFIXES: usize = 240_000;

/// A server of `scripts/services`.
struct Server {
    address: String,
    pid: String,
}

impl Server {
    fn from_environment() -> Result<Server, Failed> {
        let url = std::env::var("FLOW_PIPELINE_TEST_CLICKHOUSE")?;
        let pid_file = std::env::var("FLOW_PIPELINE_TEST_DIR")? + "/clickhouse/pid";
        let pid = std::fs::read_to_string(pid_file)?;
        Ok(Server {
            address: url.rsplit('@').next().unwrap_or_default().to_owned(),
            pid: pid.split_whitespace().next().unwrap_or_default().to_owned(),
        })
    }

    fn query(&self, sql: &str, data: Option<&std::path::Path>) -> Result<String, Failed> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--url-query"])
            .arg(format!("query={sql}"))
            .arg(format!("http://{}/?wait_end_of_query=1", self.address));
        match data {
            Some(file) => curl
                .args(["-X", "POST", "-T", "-"])
                .stdin(std::fs::File::open(file)?),
            None => curl.args(["-d", ""]),
        };
        let output = curl.output()?;
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(answer)
        } else {
            Err(format!("{sql}: {answer}").into())
        }
    }

    /// A table with the prefixes, and a dictionary over it that is loaded when it is told to.
    fn prepare(&self, csv: &std::path::Path) -> Result<(), Failed> {
        let columns = "(prefix String, asn UInt32)";
        self.query("DROP DICTIONARY IF EXISTS bench_trie", None)?;
        self.query("DROP TABLE IF EXISTS bench_prefixes", None)?;
        let sql =
            format!("CREATE TABLE bench_prefixes {columns} ENGINE = MergeTree ORDER BY prefix");
        self.query(&sql, None)?;
        self.query("INSERT INTO bench_prefixes FORMAT CSV", Some(csv))?;
        let sql = format!(
            "CREATE DICTIONARY bench_trie {columns} PRIMARY KEY prefix SOURCE(CLICKHOUSE(TABLE 'bench_prefixes')) \
             LIFETIME(0) LAYOUT(IP_TRIE)"
        );
        self.query(&sql, None)?;
        Ok(())
    }
}

/// CPU time of a process while it works.
fn cpu<T>(pid: &str, work: impl FnOnce() -> Result<T, Failed>) -> Result<(Duration, T), Failed> {
    let started = process_cpu(pid)?;
    let result = work()?;
    Ok((process_cpu(pid)? - started, result))
}

fn compare(name: &str, server: &Server, prefixes: &[Prefix], pairs: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("prefixes.csv");
    std::fs::write(&csv, text(prefixes))?;
    server.prepare(&csv)?;
    let mut times = Vec::new();
    for _ in 0..pairs {
        let ours = cpu("self", || {
            let (set, report) = TableSet::load_sources(&[(Kind::Asn, Source::File(&csv))])?;
            assert_eq!(report.tables[0].rows, u64::try_from(prefixes.len())?);
            Ok(set)
        })?;
        let theirs = cpu(&server.pid, || {
            server.query("SYSTEM RELOAD DICTIONARY bench_trie", None)
        })?;
        times.push((ours.0.as_secs_f64(), theirs.0.as_secs_f64()));
        // The same answers, so that the same was loaded.
        for (base, _, _) in prefixes.iter().step_by(prefixes.len() / 3) {
            let address = match base {
                std::net::IpAddr::V4(a) => a.to_ipv6_mapped(),
                std::net::IpAddr::V6(a) => *a,
            };
            let sql = format!(
                "SELECT dictGetOrDefault('bench_trie', 'asn', tuple(IPv6StringToNum('{address}')), 0::UInt32)"
            );
            let value = ours
                .1
                .asn
                .as_ref()
                .map_or(0, |table| table.lookup(&address.octets()));
            assert_eq!(
                server.query(&sql, None)?.trim(),
                value.to_string(),
                "{address}"
            );
        }
    }
    let of = |i: fn(&(f64, f64)) -> f64| median(times.iter().map(i));
    writeln!(
        std::io::stdout(),
        "{name}: {} prefixes, ours {:.2} CPU s, ip_trie {:.2} CPU s, ratio {:.2}",
        prefixes.len(),
        of(|time| time.0),
        of(|time| time.1),
        of(|time| time.0 / time.1)
    )?;
    Ok(())
}

fn main() -> Result<(), Failed> {
    let pairs = std::env::args()
        .skip(1)
        .find_map(|n| n.parse().ok())
        .unwrap_or(PAIRS);
    let server = Server::from_environment()
        .map_err(|error| format!("no server (scripts/services up DIR clickhouse): {error}"))?;
    let files =
        ["asn-ipv4", "asn-ipv6"].map(|file| published(&format!("ip-location-db/{file}.csv.gz")));
    match files {
        [Some(v4), Some(v6)] => {
            let prefixes = [as_prefixes(&v4), as_prefixes(&v6)].concat();
            compare("asn-ipv4 and asn-ipv6", &server, &prefixes, pairs)?;
        }
        _ => writeln!(std::io::stdout(), "SKIPPED: ../shared/tables is not here")?,
    }
    let mut random = Pcg64Mcg::new(0x5eed);
    let mut prefixes = drawn_v4(&mut random, V4_PREFIXES);
    prefixes.extend(drawn_v6(&mut random, V6_PREFIXES));
    // A dictionary has one value for a prefix.
    prefixes.sort_unstable();
    prefixes.dedup_by_key(|prefix| (prefix.0, prefix.1));
    compare("drawn", &server, &prefixes, pairs)
}
