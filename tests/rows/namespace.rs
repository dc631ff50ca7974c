//! Namespaces of the kernel that a test makes for itself: disks and networks that only those see who are in one.
//!
//! Law: they end with the test, however it ends. A process holds each, and waits for the end of its input: of this process,
//! at the latest. With the last process in it the kernel takes the namespace away, and what was made there.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// Options of `unshare` and `nsenter`: what is a namespace's own.
pub(crate) type Kinds = &'static [&'static str];

/// The process that holds one.
pub(crate) struct Namespace {
    holder: Child,
    kinds: Kinds,
}

impl Namespace {
    /// With what the script makes in it. The error says why it cannot be.
    pub(crate) fn make(
        kinds: Kinds,
        script: &str,
        arguments: &[&str],
    ) -> Result<Namespace, String> {
        let script = format!("set -e\n{script}\necho made; exec cat");
        let mut holder = Command::new("unshare")
            .args(kinds)
            .args(["sh", "-c", &script, "sh"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let mut said = BufReader::new(holder.stdout.take().expect("piped"));
        said.read_line(&mut line).expect("text");
        if line.is_empty() {
            let mut why = String::new();
            let mut errors = holder.stderr.take().expect("piped");
            errors.read_to_string(&mut why).expect("text");
            holder.wait().expect("it has ended");
            return Err(why.trim().to_owned());
        }
        Ok(Namespace { holder, kinds })
    }

    /// The process in it.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    /// The same command in it.
    pub(crate) fn command(&self, command: &Command) -> Command {
        entering(self.kinds, self.id(), command)
    }
}

/// The same command in the namespace of a process, under the id that it is started with.
pub(crate) fn entering(kinds: Kinds, holder: u32, command: &Command) -> Command {
    let mut entered = Command::new("nsenter");
    entered.args(kinds).args(["--target", &holder.to_string()]);
    entered.arg(command.get_program()).args(command.get_args());
    entered
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}
