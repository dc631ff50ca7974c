//! `tables swap` and `tables list`, and the ways in which a running job loads its tables again.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Stdio};

use flow_tables::{DEMO_ASN_CSV, DEMO_COUNTRY_CSV};
use serde_json::Value;

use crate::process::{Ended, command, run};

pub(crate) const TOKEN: &str = "a token of this test";

/// A folder with a topic of mock flows and tables.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        place.write("asn.csv", DEMO_ASN_CSV);
        place.write("country.csv", DEMO_COUNTRY_CSV);
        place.write("token", TOKEN);
        let mocked = run(
            &[
                "mock",
                "--topic",
                &place.topic(),
                "--count",
                "24000",
                "--flows-per-second",
                "10",
                "--from",
                "-2h",
            ],
            &[],
        );
        assert_eq!(mocked.code, 0, "{mocked:?}");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    fn topic(&self) -> String {
        format!("dir://{}", self.path("flows").display())
    }

    /// `run` with its tables.
    fn job(&self, more: &[&str]) -> Vec<String> {
        let table = |kind: &str| format!("{kind}={}", self.path(&format!("{kind}.csv")).display());
        let mut words = ["run", "--topic", &self.topic(), "--state", &self.state()]
            .map(str::to_owned)
            .to_vec();
        let sink = format!("sqlite://{}", self.path("flows.db").display());
        words.extend(["--sink".to_owned(), sink]);
        words.extend([
            "--table".to_owned(),
            table("asn"),
            "--table".to_owned(),
            table("country"),
        ]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    pub(crate) fn state(&self) -> String {
        self.path("state").display().to_string()
    }

    fn run_to_end(&self) {
        self.ended();
    }

    /// What a run to the end has said.
    fn ended(&self) -> Ended {
        let words = self.job(&["--until-end"]);
        let ended = run(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended
    }

    fn swap(&self, file: &str, more: &[&str]) -> Ended {
        let table = format!("asn={}", self.path(file).display());
        let state = self.state();
        let words = [
            "tables",
            "swap",
            "--state",
            &state,
            "--table",
            &table,
            "--timeout",
            "1ms",
        ];
        run(&[&words[..], more].concat(), &[])
    }

    /// What `tables list` says, line by line.
    fn list(&self) -> Vec<Value> {
        let listed = run(&["tables", "list", "--json", "--state", &self.state()], &[]);
        assert_eq!(listed.code, 0, "{listed:?}");
        let lines = listed.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// Number of the newest version.
    fn newest(&self) -> u64 {
        let listed = self.list();
        let numbers = listed.iter().filter_map(|line| line["version"].as_u64());
        numbers.max().expect("one at least")
    }

    pub(crate) fn versions(&self) -> usize {
        self.list()
            .iter()
            .filter(|line| line["version"].is_u64())
            .count()
    }
}

/// The demo's table with one AS moved.
fn other() -> String {
    DEMO_ASN_CSV.replace("64497", "64999")
}

/// A third of its lines.
fn short() -> String {
    let lines = DEMO_ASN_CSV.lines().take(80);
    lines.map(|line| format!("{line}\n")).collect()
}

/// The lines of a message to people.
fn said(ended: &Ended) -> Vec<&str> {
    ended
        .stderr
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect()
}

#[test]
fn a_swap_is_asked_for_checked_and_taken_up() {
    let place = Place::new();
    let early = place.swap("asn.csv", &[]);
    assert_eq!(early.code, 78, "{early:?}");
    assert!(said(&early)[0].contains("no state of a job"), "{early:?}");
    place.run_to_end();
    place.write("other.csv", other());
    place.write("cut.csv", &DEMO_ASN_CSV[..DEMO_ASN_CSV.len() - 5]);
    place.write("short.csv", short());
    place.write("empty.csv", "");
    for (file, more, says) in [
        ("cut.csv", &[][..], "its last line does not end"),
        ("short.csv", &[], "--max-range-change"),
        ("empty.csv", &["--force"], "no row with an AS number in it"),
        (
            "other.csv",
            &["--max-address-change", "1"],
            "--max-address-change",
        ),
        (
            "other.csv",
            &["--pin", "asn:10.16.0.1=AS64497"],
            "and here it is",
        ),
    ] {
        let refused = place.swap(file, more);
        assert_eq!(refused.code, 78, "{refused:?}");
        let lines = said(&refused);
        assert!(lines[0].contains(says) && lines.len() <= 2, "{refused:?}");
    }
    let tried = place.swap("other.csv", &["--dry-run"]);
    assert_eq!(tried.code, 0, "{tried:?}");
    assert!(
        tried.stdout.contains("asn      240 ranges -> 240"),
        "{tried:?}"
    );
    assert_eq!(place.list().len(), 1, "nothing was asked");
    let asked = place.swap("other.csv", &[]);
    assert_eq!(asked.code, 69, "{asked:?}");
    assert!(said(&asked)[0].contains("request 1 is put"), "{asked:?}");
    let waiting = place.list();
    assert_eq!(
        (&waiting[1]["waiting"], &waiting[1]["by"]),
        (&1.into(), &"command".into())
    );
}

/// A running job, and where its page is.
pub(crate) struct Job {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl Job {
    pub(crate) fn start(place: &Place, more: &[&str]) -> Job {
        let token = place.path("token").display().to_string();
        let flags = ["--http", "127.0.0.1:0", "--admin-token-file", &token];
        let words = place.job(&[&flags[..], more].concat());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = command(&words, &[])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut job = Job {
            child,
            stderr,
            address: String::new(),
        };
        let line = job.wait("page: http://");
        let (_, rest) = line.split_once("page: http://").expect("there");
        job.address = rest.split('"').next().expect("a line").to_owned();
        job
    }

    /// Reads on to a line of the log with these words; fails once the job has said so much without them that it never will:
    /// a job that idles tells how it is every 10 s.
    fn wait(&mut self, words: &str) -> String {
        self.wait_for(words, |line| line.contains(words))
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut said = Vec::new();
        while said.len() < 100 {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).expect("readable");
            assert!(read > 0, "it has ended without saying {what:?}: {said:?}");
            if is_it(&line) {
                return line;
            }
            said.push(line);
        }
        panic!("it has not said {what:?}: {said:?}")
    }

    /// Its page shows that a checkpoint is durable, whichever.
    pub(crate) fn wait_for_a_checkpoint(&self) {
        while metric(self, "flow_pipeline_checkpoint_number") < 1.0 {
            std::thread::yield_now();
        }
    }

    /// Code and body of the answer to a request.
    pub(crate) fn ask(&self, request: &str, token: Option<&str>) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let token = token.map_or_else(String::new, |it| format!("Authorization: Bearer {it}\r\n"));
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{token}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let code = head
            .split(' ')
            .nth(1)
            .expect("a code")
            .parse()
            .expect("a number");
        (code, serde_json::from_str(body).unwrap_or_default())
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let told = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(told.expect("kill").success());
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A metric of the job's page.
pub(crate) fn metric(job: &Job, name: &str) -> f64 {
    let mut stream = TcpStream::connect(&job.address).expect("it listens");
    let head = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.expect(name).trim().parse().expect("a number")
}

pub(crate) const RELOAD: &str = "POST /api/tables/reload";

#[test]
fn a_running_job_loads_its_tables_again_when_told() {
    let place = Place::new();
    let mut job = Job::start(&place, &[]);
    job.wait_for_a_checkpoint();
    // Nobody without the token, and nothing that is not plausible.
    assert_eq!(job.ask(RELOAD, None).0, 401);
    assert_eq!(job.ask(RELOAD, Some("another token of it")).0, 401);
    let same = job.ask(RELOAD, Some(TOKEN));
    let unchanged = serde_json::json!({ "unchanged": true, "swapped_in": null });
    assert_eq!(same, (200, unchanged));
    place.write("asn.csv", short());
    let (code, refused) = job.ask(RELOAD, Some(TOKEN));
    assert_eq!(code, 422, "{refused}");
    assert!(
        refused["error"]
            .as_str()
            .expect("a line")
            .contains("--max-range-change"),
        "{refused}"
    );
    place.write("asn.csv", "<html>not found</html>\n");
    job.signal("-HUP");
    let line = job.wait("SIGHUP: ");
    assert!(
        line.contains("the tables in force stay") && line.contains("asn.csv"),
        "{line}"
    );
    assert_eq!(
        metric(
            &job,
            "flow_pipeline_tables_reloads_total{outcome=\"implausible\"}"
        ),
        1.0
    );
    assert_eq!(
        metric(
            &job,
            "flow_pipeline_tables_reloads_total{outcome=\"unreadable\"}"
        ),
        1.0
    );
    assert_eq!(metric(&job, "flow_pipeline_tables_version"), 1.0);
    assert_eq!(place.versions(), 1);
    // Good ones are swapped in.
    place.write("asn.csv", other());
    job.signal("-HUP");
    job.wait("tables are swapped");
    let swapped = || metric(&job, "flow_pipeline_tables_swaps_total{result=\"granted\"}");
    while swapped() < 1.0 {
        std::thread::yield_now();
    }
    let (_, listed) = job.ask("GET /api/tables", None);
    assert_eq!(listed["requests"][0]["version"], 2, "{listed}");
    assert_eq!(metric(&job, "flow_pipeline_tables_version"), 2.0);
    assert_eq!(place.versions(), 2);
}

#[test]
fn a_watched_file_is_swapped_in_by_itself() {
    let place = Place::new();
    let mut job = Job::start(&place, &["--watch-tables", "300ms"]);
    job.wait("file: the tables are as they were");
    place.write("asn.csv", other());
    job.wait("file: the tables have changed");
    job.wait("tables are swapped");
}

/// A job that has ended, with a swap on record.
fn swapped() -> Place {
    let place = Place::new();
    place.run_to_end();
    place.write("other.csv", other());
    assert_eq!(place.swap("other.csv", &[]).code, 69);
    let mut job = Job::start(&place, &[]);
    job.wait("tables are swapped");
    while place.versions() < 2 {
        std::thread::yield_now();
    }
    drop(job);
    place
}

#[test]
fn a_restart_with_the_same_files_keeps_a_swap() {
    let place = swapped();
    place.run_to_end();
    assert_eq!(place.versions(), 2, "the swap stands");
    // Other files than it was given before are a swap.
    let third = DEMO_ASN_CSV.replace("64498", "64998");
    place.write("asn.csv", third);
    place.run_to_end();
    // The one before has had no slot: there were no flows between.
    assert_eq!(place.newest(), 3);
    let replaced = place
        .list()
        .into_iter()
        .find(|line| line["replaced"].is_u64());
    assert_eq!(replaced.expect("a line")["was_version"], 2);
}

/// What was swapped in stays, and only the source that has changed comes with a start; one that is not plausible does not.
#[test]
fn a_start_takes_up_what_has_changed_and_is_plausible() {
    let place = swapped();
    let state = place.state();
    let as_of = || {
        let words = ["tables", "lookup", "10.16.0.1", "--json", "--state", &state];
        let found = run(&words, &[]);
        assert_eq!(found.code, 0, "{found:?}");
        found.stdout
    };
    let swapped = as_of();
    // Another source of the job changes: the swap stands.
    place.write("country.csv", DEMO_COUNTRY_CSV.replace(",NL", ",BE"));
    let ended = place.ended();
    assert_eq!(place.newest(), 3, "{ended:?}");
    assert!(
        ended.stderr.contains("other tables are given than before"),
        "{ended:?}"
    );
    let both = as_of();
    let asn = |text: &str| {
        text.lines()
            .find(|line| line.contains("\"asn\""))
            .map(str::to_owned)
    };
    let number = |text: &str| {
        let line: Value = serde_json::from_str(&asn(text).expect("a line")).expect("JSON");
        line["value"].clone()
    };
    assert_eq!(number(&swapped), number(&both), "{swapped} {both}");
    // One that is not plausible does not come with a start.
    place.write("country.csv", "10.0.0.0/8,NL\n");
    for _ in 0..2 {
        let ended = place.ended();
        assert!(
            ended.stderr.contains("version 3 stays in force"),
            "{ended:?}"
        );
        assert_eq!(place.newest(), 3);
    }
}

#[test]
fn a_job_without_a_token_changes_nothing_over_http() {
    let place = Place::new();
    let missing: &Path = &place.path("missing");
    let words = place.job(&[
        "--http",
        "127.0.0.1:0",
        "--admin-token-file",
        &missing.display().to_string(),
    ]);
    let ended = run(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    assert_eq!(ended.code, 78, "{ended:?}");
    assert!(said(&ended)[0].contains("missing"), "{ended:?}");
}
