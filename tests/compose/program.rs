//! Long-running programs of a test: our binary and Prometheus. They end with the value that stands for them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A running program, and what it says.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// Until it says what is waited for.
const LIMIT: Duration = Duration::from_secs(60);

impl Program {
    /// Our binary with these words.
    pub(crate) fn start(line: &str) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-pipeline"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLOW_PIPELINE_")) {
            command.env_remove(name);
        }
        command.args(line.split_whitespace());
        Program::spawn(&mut command).expect("the binary starts")
    }

    /// Prometheus in a folder with its configuration, and its URL; `None`, and said so, if it is not installed.
    pub(crate) fn prometheus(home: &Path) -> Option<(Program, String)> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = port.expect("a free port").to_string();
        let mut command = Command::new("prometheus");
        command
            .current_dir(home)
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"));
        let Some(mut program) = Program::spawn(&mut command) else {
            eprintln!("SKIPPED: prometheus is not installed");
            return None;
        };
        program.wait_for("Server is ready");
        Some((program, format!("http://{address}")))
    }

    fn spawn(command: &mut Command) -> Option<Program> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().ok()?;
        let stderr = BufReader::new(child.stderr.take()?);
        let (send, lines) = channel();
        // A pipe that nobody empties would stop the program.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let said = Vec::new();
        Some(Program { child, lines, said })
    }

    /// The first line with this in it.
    pub(crate) fn wait_for(&mut self, what: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        while !self.said.iter().any(|line| line.contains(what)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("no `{what}` ({error}): {:#?}", self.said),
            }
        }
        let found = self.said.iter().find(|line| line.contains(what));
        found.expect("found above").clone()
    }

    /// Where its page is, as HOST:PORT.
    pub(crate) fn page(&mut self) -> String {
        let line = self.wait_for("page: http://");
        after(&line, "page: http://")
    }

    /// Where its listener of this scheme is, as HOST:PORT.
    pub(crate) fn listener(&mut self, scheme: &str) -> String {
        let mark = format!("\"listen\":\"{scheme}://");
        let line = self.wait_for(&mark);
        after(&line, &mark)
    }

    /// Waits until it says more, at most so long.
    pub(crate) fn more(&mut self, at_most: Duration) {
        if let Ok(line) = self.lines.recv_timeout(at_most) {
            self.said.push(line);
        }
    }

    /// What it has said so far.
    pub(crate) fn said(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }
}

/// What stands between a mark and the next quotation mark.
fn after(line: &str, mark: &str) -> String {
    let (_, rest) = line.split_once(mark).expect("the mark");
    rest.split('"').next().unwrap_or_default().to_owned()
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
