//! Runs the binary.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use flow_proto::{Framing, messages};

/// A run that takes longer hangs, and is ended (exit code -1).
const LIMIT: Duration = Duration::from_secs(60);

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary, with no environment of ours but `environment`.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    let ours = std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("FLOW_PIPELINE_") || name.starts_with("AWS_"));
    for name in ours {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let output = assert_cmd::Command::from_std(command(arguments, environment))
        .timeout(LIMIT)
        .output()
        .expect("starts");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8(output.stderr).expect("utf-8"),
    }
}

/// A running `collect`.
pub(crate) struct Collecting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    seen: String,
    address: SocketAddr,
}

impl Collecting {
    /// Starts it and waits until it listens.
    pub(crate) fn start(listen: &str, topic: &str) -> Collecting {
        Collecting::with(&["--listen", listen, "--topic", topic])
    }

    /// As `start`, with these flags.
    pub(crate) fn with(flags: &[&str]) -> Collecting {
        let mut child = command(&[&["collect"][..], flags].concat(), &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(
                stderr.read_line(&mut line).expect("readable") > 0,
                "it ended: {seen}"
            );
            seen.push_str(&line);
            if let Some((_, rest)) = line.split_once(r#""listen":"flow://"#) {
                break rest
                    .split('"')
                    .next()
                    .expect("quoted")
                    .parse()
                    .expect("an address");
            }
        };
        Collecting {
            child,
            stderr,
            seen,
            address,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, without a word (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> Ended {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .expect("kill")
                .success()
        );
        self.stderr.read_to_string(&mut self.seen).expect("utf-8");
        let mut stdout = String::new();
        let mut out = self.child.stdout.take().expect("piped");
        out.read_to_string(&mut stdout).expect("utf-8");
        let code = self.child.wait().expect("ends").code().unwrap_or(-1);
        Ended {
            code,
            stdout,
            stderr: self.seen,
        }
    }
}

/// A NetFlow v5 datagram of `flows` records.
pub(crate) fn datagram(flows: u16, sequence: u32) -> Vec<u8> {
    let mut bytes = vec![0, 5];
    bytes.extend(flows.to_be_bytes());
    for word in [1000, 1_700_000_000, 0, sequence, 100] {
        bytes.extend(u32::to_be_bytes(word));
    }
    for flow in 0..flows {
        let mut record = [0_u8; 48];
        record[..8].copy_from_slice(&[10, 0, 0, 1, 10, 0, 1, 1]);
        record[16..20].copy_from_slice(&1_u32.to_be_bytes());
        record[20..24].copy_from_slice(&u32::from(flow + 1).to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

/// A record of a topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) timestamp_millis: i64,
    pub(crate) payload: Vec<u8>,
    pub(crate) flows: usize,
}

/// All records of a topic, partition by partition.
pub(crate) fn records(url: &str) -> Vec<Record> {
    let topic = flow_topic::url::open(url, None).expect("a topic");
    let mut all = Vec::new();
    for partition in 0..topic.partitions().expect("partitions") {
        let mut reader = topic.reader(partition, 0).expect("a reader");
        while let Some(record) = reader.peek().expect("readable") {
            let flows = messages(record.payload, true, Framing::Auto)
                .expect("a chain")
                .count();
            let payload = record.payload.to_vec();
            all.push(Record {
                timestamp_millis: record.timestamp_millis,
                payload,
                flows,
            });
            reader.advance();
        }
    }
    all
}
