//! Fresh processes of this program: whose memory, or whose death, is measured.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs this program with other arguments; returns what it printed.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "{arguments:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs it until it prints a line, then kills it.
pub(crate) fn kill_at_line(arguments: &[&str]) -> anyhow::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let read = child
        .stdout
        .take()
        .map(|out| BufReader::new(out).read_line(&mut line));
    child.kill()?;
    child.wait()?;
    read.transpose()?;
    anyhow::ensure!(!line.is_empty(), "{arguments:?} ended by itself");
    Ok(())
}
