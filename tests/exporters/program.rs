//! The programs of the test: ours, the exporters, nfdump's collectors, psql.
//!
//! Law: a program that a test has started ends with the test, however that ends.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// A running program; killed when dropped.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Program {
        let child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Program(child.unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) {
        let id = self.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill runs").success());
        let status = self.0.wait().expect("ended");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until something holds.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "not within a minute: {what}");
        std::thread::yield_now();
    }
}

/// Starts an exporter over the folder's capture.
pub(crate) fn exporter(
    name: &str,
    format: &str,
    (version, to): (u32, SocketAddr),
    run: &Path,
) -> Child {
    let packets = run.with_file_name("packets.pcap");
    let mut command = Command::new(name);
    if name == "softflowd" {
        let pid = run.join("softflowd.pid");
        command
            .args(["-D", "-c", "none", "-m", "100000", "-n"])
            .arg(to.to_string());
        command
            .args(["-v", &version.to_string(), "-p"])
            .arg(pid)
            .arg("-r")
            .arg(packets);
    } else {
        let plugin = if format == "sflow" {
            format!(
                "plugins: sfprobe[p]\nsampling_rate: 4\nsfprobe_receiver[p]: {to}\nsfprobe_agentip[p]: 127.0.0.9\n"
            )
        } else {
            format!(
                "plugins: nfprobe[p]\naggregate[p]: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags\n\
                 nfprobe_receiver[p]: {to}\nnfprobe_version[p]: {version}\n\
                 nfprobe_timeouts[p]: tcp=5:general=5:expint=1\n"
            )
        };
        let config = run.join("pmacctd.conf");
        let text = format!(
            "daemonize: false\npcap_savefile: {}\n{plugin}",
            packets.display()
        );
        std::fs::write(&config, text).expect("written");
        command.arg("-f").arg(config);
    }
    let started = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Makes a database on the server; its URL.
pub(crate) fn database(server: &str, name: &str) -> String {
    let name = name.replace('-', "_");
    query(server, &format!("create database {name}"));
    let server = server.split('?').next().expect("a URL");
    let (server, _) = server.rsplit_once('/').expect("a database in the URL");
    format!("{server}/{name}")
}

/// Runs the job over the topic to its end.
pub(crate) fn job(topic: &str, database: &str, state: &Path) {
    let status = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"))
        .args([
            "--log",
            "warn",
            "run",
            "--until-end",
            "--topic",
            topic,
            "--sink",
            database,
            "--state",
        ])
        .arg(state)
        .status();
    assert!(status.expect("it runs").success());
}

/// The answer to a statement, as text.
pub(crate) fn query(database: &str, sql: &str) -> Vec<Vec<String>> {
    let out = Command::new("psql")
        .args(["-X", "-At", "-F", "\t", "-c", sql, database])
        .output();
    let out = out.expect("psql runs");
    assert!(
        out.status.success(),
        "{sql}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).expect("text");
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}
