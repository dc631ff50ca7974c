//! The hosts of a job: one `host:port` a line, in the order of the processes.

use std::fmt;
use std::fs;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use crate::PeersError;

/// Where each process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Reads a file: one `host:port` a line; empty lines and those that begin with `#` are left out.
    ///
    /// # Errors
    /// `Hosts`, if it can't be read or is not one line for each process.
    pub fn read(path: &Path, processes: usize) -> Result<Hosts, PeersError> {
        let wrong = |what: String| PeersError::Hosts {
            file: path.display().to_string(),
            what,
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Hosts::parse(&text, processes).map_err(wrong)
    }

    fn parse(text: &str, processes: usize) -> Result<Hosts, String> {
        let mut hosts = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let port = line
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty())
                .and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none_or(|port| port == 0) {
                return Err(format!(
                    "line {number}: {line:?} is no address; give host:port"
                ));
            }
            if hosts.iter().any(|known| known == line) {
                return Err(format!("line {number}: {line} stands there twice"));
            }
            hosts.push(line.to_owned());
        }
        if hosts.len() == processes {
            Ok(Hosts(hosts))
        } else {
            Err(format!(
                "it names {} hosts, --processes says {processes}; give one host:port a line for each process",
                hosts.len()
            ))
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Where a process listens.
    pub fn of(&self, process: usize) -> &str {
        self.0.get(process).map_or("", String::as_str)
    }

    /// Whether all of them are this very machine, as far as names and addresses tell: then files are shared.
    pub fn on_one_machine(&self) -> bool {
        let names: Vec<&str> = self
            .0
            .iter()
            .filter_map(|line| line.rsplit_once(':').map(|(host, _)| host))
            .collect();
        let alike = names.windows(2).all(|pair| pair.first() == pair.last());
        alike || self.0.iter().all(|line| is_loopback(line))
    }
}

fn is_loopback(line: &str) -> bool {
    let mut found = line.to_socket_addrs().into_iter().flatten().peekable();
    found.peek().is_some() && found.all(|address| IpAddr::is_loopback(&address.ip()))
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_process() {
        let text = "# two of them\n127.0.0.1:2101\n\n  [::1]:2102 \n";
        let hosts = Hosts::parse(text, 2).expect("two hosts");
        assert_eq!((hosts.of(0), hosts.of(1)), ("127.0.0.1:2101", "[::1]:2102"));
        assert!(hosts.on_one_machine());
        let far = Hosts::parse("192.0.2.1:2101\n192.0.2.2:2101", 2).expect("two hosts");
        assert!(!far.on_one_machine());
        let near = Hosts::parse("192.0.2.1:2101\n192.0.2.1:2102", 2).expect("two hosts");
        assert!(near.on_one_machine());
        for (wrong, says) in [
            ("a:1", "names 1 hosts"),
            ("a:1\nb:2\nc:3", "names 3 hosts"),
            ("a:1\nb", "line 2: \"b\" is no address"),
            (":1\nb:2", "line 1"),
            ("a:0\nb:2", "line 1"),
            ("a:1\na:1", "line 2: a:1 stands there twice"),
        ] {
            let error = Hosts::parse(wrong, 2).expect_err(wrong);
            assert!(error.contains(says), "{error}");
        }
    }
}
