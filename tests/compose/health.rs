//! The container's health check, run as the engine would run it, against a job on this machine.

use std::net::TcpListener;
use std::process::Command;

use crate::files::text;
use crate::program::Program;

/// The check's words, with another port.
fn check(port: &str) -> Vec<String> {
    let built = text("Containerfile");
    let line = built
        .lines()
        .map(str::trim)
        .find_map(|l| l.strip_prefix("CMD [\"bash\""));
    let words = format!("[\"bash\"{}", line.expect("a check"));
    let words: Vec<String> = serde_json::from_str(&words).expect("a list of words");
    assert!(
        words.iter().any(|word| word.contains("/127.0.0.1/8080 ")),
        "{words:?}"
    );
    words
        .iter()
        .map(|word| word.replace("/8080 ", &format!("/{port} ")))
        .collect()
}

fn healthy(port: &str) -> bool {
    let words = check(port);
    let status = Command::new(&words[0])
        .args(&words[1..])
        .stderr(std::process::Stdio::null())
        .status();
    status.expect("bash runs").success()
}

#[test]
fn the_health_check_finds_a_ready_collector_and_misses_one_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = folder.path().join("flows");
    let mut collector = Program::start(&format!(
        "collect --listen flow://127.0.0.1:0 --topic dir://{} --http 127.0.0.1:0",
        topic.display()
    ));
    let _ = collector.listener("flow");
    let page = collector.page();
    let port = page.rsplit(':').next().expect("a port");
    assert!(healthy(port), "{}", collector.said());
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    assert!(!healthy(&free.expect("a port").port().to_string()));
}
