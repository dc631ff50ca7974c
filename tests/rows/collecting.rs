//! The collector while its broker is away: each datagram ends as flows in the topic, once, or is counted as dropped.
//!
//! Exporters are the mock's, the broker is this test's own. The end of `collect` without a broker is tried, too.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flow_proto::{Framing, messages};

use crate::own::{Own, memory_mib};

/// How long the broker is away, each time.
const AWAY: Duration = Duration::from_secs(4);
/// A signal ends the collector within this, whatever becomes of the topic.
const END: Duration = Duration::from_secs(30);
/// Longest wait for anything else.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the collector's memory, which is at most this. Mebibytes.
const LOOK: Duration = Duration::from_millis(100);
const MEMORY_MIB: u64 = 200;
/// Flows a second.
const RATE: &str = "2000";

/// A run of the program; killed if the test fails.
struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
    seen: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Program {
            child,
            stderr,
            seen: String::new(),
        }
    }

    /// `collect`, and where it listens.
    fn collect(topic: &str) -> (Program, String) {
        let listen = ["collect", "--listen", "flow://127.0.0.1:0"];
        let mut program = Program::start(&[&listen[..], &["--topic", topic]].concat());
        loop {
            let mut line = String::new();
            let read = program.stderr.read_line(&mut line).expect("readable");
            assert!(read > 0, "it ended: {}", program.seen);
            program.seen.push_str(&line);
            if let Some((_, rest)) = line.split_once(r#""listen":"flow://"#) {
                let address = rest.split('"').next().expect("quoted").to_owned();
                return (program, address);
            }
        }
    }

    /// `mock --udp`, of four exporters.
    fn mock(address: &str, more: &[&str]) -> Program {
        let target = format!("netflow-v9://{address}");
        let rate = ["mock", "--flows-per-second", RATE, "--udp", &target];
        Program::start(&[&rate[..], more].concat())
    }

    /// Sends SIGTERM and waits: exit code, and all it has said.
    fn terminate(self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill").success());
        self.end()
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut seen = std::mem::take(&mut self.seen);
        self.stderr.read_to_string(&mut seen).expect("utf-8");
        (self.child.wait().expect("it ends").code(), seen)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The number that follows `name` in the last line that has it.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().rev().find(|line| line.contains(name));
    let rest = line
        .and_then(|line| line.split_once(name))
        .map(|(_, rest)| rest);
    let digits: String = rest
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("{name:?} in {text}"))
}

/// Datagrams and flows that a mock says it has sent.
fn sent(said: &str) -> (u64, u64) {
    let last = said
        .lines()
        .rev()
        .find(|line| line.contains("datagrams sent"));
    let words: Vec<&str> = last.expect("totals").split([' ', '"']).collect();
    let at = words
        .iter()
        .position(|word| *word == "datagrams")
        .expect("datagrams");
    let parse = |word: &str| word.parse::<u64>().expect("a number");
    (parse(words[at - 1]), parse(words[at + 2]))
}

/// Flows in a topic; no two of its records may be the same.
fn flows_in(url: &str) -> u64 {
    let topic = flow_topic::url::open(url, None).expect("a topic");
    let (mut flows, mut payloads, mut records) = (0, BTreeSet::new(), 0);
    for partition in 0..topic.partitions().expect("partitions") {
        let mut reader = topic.reader(partition, 0).expect("a reader");
        while reader.wait(PATIENCE).expect("readable") {
            let record = reader.peek().expect("readable").expect("there");
            let chain = messages(record.payload, true, Framing::Auto).expect("a chain");
            flows += u64::try_from(chain.count()).expect("few");
            records += 1;
            payloads.insert(record.payload.to_vec());
            reader.advance();
        }
    }
    assert_eq!(payloads.len(), records, "a record is there twice");
    flows
}

#[test]
fn a_broker_that_goes_and_comes_back_costs_no_flow_and_no_end_waits_for_it() {
    let Some((own, servers)) = Own::up(&["kafka"]) else {
        return;
    };
    let topic = servers.topic("collecting");
    let (collector, address) = Program::collect(&topic);
    let exporters = Program::mock(&address, &[]);
    for verb in ["stop", "kill"] {
        own.tell(verb, "kafka");
        let (begun, mut most) = (Instant::now(), 0);
        while begun.elapsed() < AWAY {
            most = most.max(memory_mib(&collector.child));
            thread::park_timeout(LOOK);
        }
        assert!(most < MEMORY_MIB, "{most} MiB");
        own.tell("start", "kafka");
    }
    let (_, said) = exporters.terminate();
    let (datagrams, flows) = sent(&said);
    let (code, said) = collector.terminate();
    assert_eq!(code, Some(0), "{said}");
    let totals = format!(
        "datagrams {datagrams}, flows {flows}, written {flows}; dropped: kernel 0, queue 0, topic 0"
    );
    assert!(said.contains(&totals), "{totals}; {said}");
    assert_eq!(flows_in(&topic), flows);
    println!(
        "{datagrams} datagrams, two outages of {AWAY:?}: {flows} flows in the topic, each once"
    );

    let (collector, address) = Program::collect(&topic);
    let sent_before = Program::mock(&address, &["--count", "1000"]).end();
    let begun = Instant::now();
    while flows_in(&topic) < flows + 1000 {
        assert!(begun.elapsed() < PATIENCE, "{sent_before:?}");
    }
    own.tell("kill", "kafka");
    Program::mock(&address, &["--count", "3000"]).end();
    let begun = Instant::now();
    let (code, said) = collector.terminate();
    assert!(begun.elapsed() < END, "{:?}", begun.elapsed());
    assert_eq!(code, Some(69), "{said}");
    assert!(
        said.contains("flow-pipeline: 3000 flows could not be handed over: topic kafka://"),
        "{said}"
    );
    assert_eq!(number(&said, ", written "), 1000, "{said}");
    assert_eq!(number(&said, "queue 0, topic "), 3000, "{said}");
    println!("without a broker it ended after {:?}", begun.elapsed());
}
