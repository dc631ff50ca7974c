//! `--state s3://…` with whatever can be wrong: one line, and the exit code that a supervisor acts on.
//!
//! The stores are made up: each gives one answer to everything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::process::{Ended, run};

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "flow"),
    ("AWS_SECRET_ACCESS_KEY", "hush"),
];

/// Of an empty bucket.
const LISTING: &str =
    "<ListBucketResult><Name>flows</Name><KeyCount>0</KeyCount></ListBucketResult>";

/// A server; `answer` gives status and body for a method and a path.
fn server(answer: fn(&str, &str) -> (u16, String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    // It ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, answer));
        }
    });
    format!("http://{address}")
}

fn serve(stream: TcpStream, answer: fn(&str, &str) -> (u16, String)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, body) = answer(method, path);
    let (length, mut stream) = (body.len(), stream);
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nETag: \"e\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn error(status: u16, code: &str) -> (u16, String) {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>\n<Message>so it is</Message></Error>"
    );
    (status, body)
}

/// A job that must end at once.
fn job(state: &str, keys: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = format!("dir://{}", folder.path().join("flows").display());
    let sink = format!("sqlite://{}", folder.path().join("flows.db").display());
    let arguments = ["run", "--topic", &topic, "--sink", &sink, "--state", state];
    let ended = run(&arguments, keys);
    assert!(!ended.stderr.contains("hush"), "{ended:?}");
    ended
}

/// One line that says this, and the code.
fn refused(state: &str, code: i32, says: &str) {
    refused_with(&KEYS, state, code, says);
}

fn refused_with(keys: &[(&str, &str)], state: &str, code: i32, says: &str) {
    let ended = job(state, keys);
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(says), "{says}: {ended:?}");
}

fn at(endpoint: &str) -> String {
    format!("s3://flows/job?endpoint={endpoint}")
}

#[test]
fn what_a_store_refuses_is_said_in_one_line() {
    let denied = server(|_, _| error(403, "AccessDenied"));
    refused(&at(&denied), 78, "access denied");
    let missing = server(|_, _| error(404, "NoSuchBucket"));
    refused(&at(&missing), 78, "no such bucket");
    let elsewhere = server(|_, _| error(400, "AuthorizationHeaderMalformed"));
    refused(&at(&elsewhere), 78, "another region");
    let moved = server(|_, _| error(301, "PermanentRedirect"));
    refused(&at(&moved), 78, "another region");
    let broken = server(|_, _| error(503, "SlowDown"));
    refused(&at(&broken), 69, "a fault of its own");
    // Two requests at once are no taken name: who is told of it tries again.
    let conflict = server(|method, path| match method {
        "PUT" => error(409, "ConditionalRequestConflict"),
        "GET" if path.contains("list-type") => (200, LISTING.to_owned()),
        _ => error(404, "NoSuchKey"),
    });
    refused(&at(&conflict), 74, "cannot create s3://flows/job/format");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("bound");
    drop(nobody);
    refused(&at(&format!("http://{address}")), 69, "does the store run");
}

#[test]
fn a_server_that_is_no_s3_is_told_as_such() {
    const NO_S3: &str = "the endpoint does not answer as S3 does";
    const PAGE: &str = "<html><body>It works</body></html>";
    let empty = server(|_, _| (404, "404 page not found\n".to_owned()));
    refused(&at(&empty), 78, NO_S3);
    let website = server(|_, _| (200, PAGE.to_owned()));
    refused(&at(&website), 78, NO_S3);
    let encrypted = server(|_, _| {
        (
            400,
            "Client sent an HTTP request to an HTTPS server.".to_owned(),
        )
    });
    refused(&at(&encrypted), 78, NO_S3);
    // An answer of S3 that is not known here.
    let strange = server(|_, _| error(400, "Strange"));
    refused(&at(&strange), 74, "the store has refused it (Strange");
}

#[test]
fn half_a_pair_of_keys_is_told_by_its_names() {
    let state = at("http://127.0.0.1:9");
    let says = "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not";
    refused_with(&KEYS[..1], &state, 78, says);
    let says = "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not";
    refused_with(&KEYS[1..], &state, 78, says);
}

/// Law 5: a store that takes If-None-Match and does not heed it would let two jobs win one checkpoint.
#[test]
fn a_store_that_ignores_the_condition_is_refused() {
    let heedless = server(|method, path| match method {
        "PUT" => (200, String::new()),
        "DELETE" => (204, String::new()),
        "GET" if path.contains("list-type") => (200, LISTING.to_owned()),
        "POST" => (200, "<DeleteResult/>".to_owned()),
        _ => error(404, "NoSuchKey"),
    });
    refused(&at(&heedless), 78, "ignores If-None-Match");
}

#[test]
fn what_is_no_place_is_said_before_anything_is_opened() {
    refused("gs://flows/job", 78, "a directory, or under s3://");
    refused("s3://flow:hush@flows/job", 78, "AWS_ACCESS_KEY_ID");
    refused("s3://flows/job?secret=hush", 78, "does not stand in a URL");
    refused(
        "s3://flows/job?endpoint=127.0.0.1:9000",
        78,
        "https://host:port",
    );
}
