//! `schema` and `check --connect` on real servers: what is wrong with one is one line and the right exit code.
//!
//! Addresses come from the environment, as `scripts/services` prints them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::process::{Ended, run};

/// An address of a server, or `None` and a line that says so.
fn server(name: &str) -> Option<String> {
    let found = std::env::var(format!("FLOW_PIPELINE_TEST_{name}")).ok();
    if found.is_none() {
        let text = format!("SKIPPED: FLOW_PIPELINE_TEST_{name} is not set: no server to test with");
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    found
}

/// A name that no other run has.
fn unique(word: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
    format!("{word}_{}_{}", std::process::id(), now.as_nanos())
}

/// A store of our own: in PostgreSQL a schema, in ClickHouse a database.
fn store(kind: &str) -> Option<String> {
    let url = server(kind)?;
    let name = unique("cli");
    Some(if kind == "POSTGRES" {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}schema={name}")
    } else {
        format!("{}/{name}", url.trim_end_matches('/'))
    })
}

/// The URL of a topic, made, and the path of a state, which is not.
fn topic_and_state(folder: &tempfile::TempDir) -> (String, String) {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let topic = format!("dir://{}", path("flows"));
    let made = ["topic", "create", &topic, "--partitions", "1"];
    assert_eq!(run(&made, &[]).code, 0);
    (topic, path("state"))
}

fn check(topic: &str, state: &str, sink: &str) -> Ended {
    let job = ["--topic", topic, "--state", state, "--sink", sink];
    run(&[&["check", "--connect", "run"][..], &job].concat(), &[])
}

#[test]
fn a_store_is_empty_then_made_then_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (topic, state) = topic_and_state(&folder);
    for kind in ["POSTGRES", "CLICKHOUSE"] {
        let Some(url) = store(kind) else { return };
        let schema = |command: &str| run(&["schema", command, "--sink", &url], &[]);
        let printed = schema("print");
        assert_eq!(printed.code, 0, "{printed:?}");
        assert!(printed.stdout.contains("rollup_5m"), "{printed:?}");
        let before = check(&topic, &state, &url);
        assert_eq!(before.code, 0, "{before:?}");
        assert!(before.stdout.contains("made at the start"), "{before:?}");
        assert_eq!(schema("diff").code, 1, "{kind}: check has made the schema");
        let applied = schema("apply");
        assert_eq!(applied.code, 0, "{applied:?}");
        assert!(!applied.stdout.is_empty(), "{kind}");
        for command in ["diff", "apply"] {
            let nothing = schema(command);
            assert_eq!(
                (nothing.code, nothing.stdout.as_str()),
                (0, ""),
                "{nothing:?}"
            );
        }
        let after = check(&topic, &state, &url);
        assert_eq!(after.code, 0, "{after:?}");
        assert!(
            after.stdout.contains("no rows yet, no raw flows yet"),
            "{after:?}"
        );
    }
}

#[test]
fn a_store_without_tables_is_looked_at_in_vain() {
    for kind in ["POSTGRES", "CLICKHOUSE"] {
        let Some(url) = store(kind) else { return };
        let status = run(&["status", "--sink", &url], &[]);
        assert_eq!(
            (status.code, status.stdout.as_str()),
            (78, ""),
            "{status:?}"
        );
        let says = "has no tables of this program; name the store that the job writes, or make them: flow-pipeline schema \
                    apply --sink ";
        assert!(status.stderr.contains(says), "{status:?}");
    }
}

#[test]
fn one_store_under_two_names_is_seen_by_what_its_server_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (topic, state) = topic_and_state(&folder);
    for kind in ["POSTGRES", "CLICKHOUSE"] {
        let (Some(url), Some(another)) = (store(kind), store(kind)) else {
            return;
        };
        assert!(url.contains("127.0.0.1:"), "{url}");
        // The resolver's short form of the same address.
        let alias = url.replace("127.0.0.1:", "127.1:");
        let with = |verb: &[&str], other: &str| {
            let job = ["run", "--topic", &topic, "--state", &state, "--until-end"];
            let sinks = ["--sink", &url, "--sink", other];
            run(&[verb, &job, &sinks].concat(), &[])
        };
        for verb in [&["check", "--connect"][..], &[]] {
            let twice = with(verb, &alias);
            assert_eq!(twice.code, 78, "{twice:?}");
            let said = format!("{}{}", twice.stdout, twice.stderr);
            assert!(said.contains("given twice"), "{said}");
        }
        let apart = with(&["check", "--connect"], &another);
        assert_eq!(apart.code, 0, "{apart:?}");
    }
}

#[test]
fn what_is_wrong_with_a_server_is_one_line_without_its_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let (topic, state) = topic_and_state(&folder);
    let (Some(postgres), Some(clickhouse)) = (server("POSTGRES"), server("CLICKHOUSE")) else {
        return;
    };
    let (postgres_at, clickhouse_at) = (place(&postgres), place(&clickhouse));
    let mut cases = vec![
        ("postgres://u:hunter2@127.0.0.1:1/d".to_owned(), 69),
        ("clickhouse://u:hunter2@127.0.0.1:1/d".to_owned(), 69),
        (format!("postgres://nobody:hunter2@{postgres_at}/none"), 78),
        (
            format!("clickhouse://nobody:hunter2@{clickhouse_at}/none"),
            78,
        ),
    ];
    if let Some(kafka) = server("KAFKA") {
        let missing = format!("kafka://{kafka}/{}", unique("none"));
        let ended = run(&["topic", "describe", &missing], &[]);
        assert_eq!(ended.code, 78, "{ended:?}");
        assert!(ended.stderr.contains("topic create"), "{ended:?}");
        cases.push(("stdout:".to_owned(), 0));
    }
    for (url, code) in cases {
        let checked = check(&topic, &state, &url);
        assert_eq!(checked.code, code, "{url}: {checked:?}");
        let job = ["--topic", &topic, "--state", &state, "--until-end"];
        let ran = run(&[&["run", "--sink", &url][..], &job].concat(), &[]);
        assert_eq!(ran.code, code, "{url}: {ran:?}");
        for text in [&checked.stdout, &checked.stderr, &ran.stderr] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

/// host:port of a store's URL.
fn place(url: &str) -> String {
    let rest = url.split_once("://").expect("a URL").1;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    host.split(['/', '?']).next().expect("a host").to_owned()
}

/// A server for HTTP as any is: it says nothing before a request is whole. Its address. (ClickHouse's, as it is in these
/// tests, does the same, but ends when somebody closes a connection in the middle of a request.)
fn web_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&part[..length]),
        }
    }
    stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nNothing here.")
}

#[test]
fn a_port_of_another_server_is_told_within_the_limit_of_a_connection() {
    let (Some(postgres), Some(kafka)) = (server("POSTGRES"), server("KAFKA")) else {
        return;
    };
    let web = web_server();
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mute = mute.local_addr().expect("an address").to_string();
    let in_http = "it is a server for HTTP, no PostgreSQL; see whether";
    let silent = "it accepts connections, and gives no answer within 10 s; see whether";
    let closes = "see whether this is a ClickHouse, and its port for HTTP (8123";
    let cases = [
        (format!("postgres://u@{web}/d"), in_http),
        (format!("postgres://u@{mute}/d"), silent),
        (format!("postgres://u@{kafka}/d"), silent),
        (format!("clickhouse://u@{}/d", place(&postgres)), closes),
        (format!("clickhouse://u@{kafka}/d"), closes),
        (format!("clickhouse://u@{web}/d"), "this is no ClickHouse"),
        (format!("clickhouse://u@{mute}/d"), "no answer within 10 s"),
    ];
    thread::scope(|scope| {
        for (url, words) in &cases {
            scope.spawn(move || {
                let begun = Instant::now();
                let ended = run(&["schema", "diff", "--sink", url], &[]);
                assert_eq!(ended.code, 69, "{url}: {ended:?}");
                assert!(ended.stderr.contains(words), "{url}: {ended:?}");
                assert_eq!(ended.stderr.lines().count(), 1, "{url}: {ended:?}");
                // Twice the limit of 10 s is still less than what it took without it.
                assert!(begun.elapsed() < Duration::from_secs(20), "{url}");
            });
        }
    });
}

#[test]
fn what_is_not_ours_is_named_by_every_command_and_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let (topic, state) = topic_and_state(&folder);
    for (kind, words) in [
        ("POSTGRES", "table rollup_5m: column slot"),
        (
            "CLICKHOUSE",
            "rollup_5m: is a table (MergeTree), should be a view",
        ),
    ] {
        let Some(url) = store(kind) else { return };
        foreign(&url, "rollup_5m", "(mine int)");
        let job = ["--topic", &topic, "--state", &state, "--sink", &url];
        let checked = check(&topic, &state, &url);
        let ran = run(&[&["run", "--until-end"][..], &job].concat(), &[]);
        let applied = run(&["schema", "apply", "--sink", &url], &[]);
        for (ended, text) in [
            (&checked, &checked.stdout),
            (&ran, &ran.stderr),
            (&applied, &applied.stderr),
        ] {
            assert_eq!(ended.code, 78, "{ended:?}");
            assert!(text.contains(words), "{ended:?}");
        }
        assert_eq!(applied.stdout, "");
    }
}

/// Makes a table in the store's schema or database, which is made, too.
fn foreign(url: &str, table: &str, columns: &str) {
    if let Some((server, schema)) = url.split_once("schema=") {
        let made = format!("create schema {schema}; create table {schema}.{table} {columns}");
        return sql(server.trim_end_matches(['?', '&']), &made);
    }
    let database = url.rsplit('/').next().expect("a database");
    let engine = "engine = MergeTree order by tuple()";
    let made = [
        format!("create database {database}"),
        format!("create table {database}.{table} {columns} {engine}"),
    ];
    let address = format!("http://{}/", place(url));
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail-with-body", &address, "-d", &made[0]]);
    command.args([
        "--next",
        "-sS",
        "--fail-with-body",
        &address,
        "-d",
        &made[1],
    ]);
    let out = command.output().expect("it runs");
    assert!(out.status.success(), "{out:?}");
}

#[test]
fn a_right_that_is_lacking_is_the_same_line_of_check_and_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (topic, state) = topic_and_state(&folder);
    let Some(url) = store("POSTGRES") else { return };
    let (server, schema) = url.split_once("schema=").expect("a schema");
    let server = server.trim_end_matches(['?', '&']);
    let user = unique("user");
    sql(
        server,
        &format!("create schema {schema}; create role {user} login"),
    );
    let (_, rest) = url.split_once('@').expect("a user");
    let url = format!("postgres://{user}@{rest}");
    let right = format!(
        "user {user} lacks rights that these give: GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT CREATE ON SCHEMA {schema} \
         TO {user}"
    );
    let job = ["--topic", &topic, "--state", &state, "--sink", &url];
    let to_end = || run(&[&["run", "--until-end"][..], &job].concat(), &[]);
    let (checked, ran) = (check(&topic, &state, &url), to_end());
    let applied = run(&["schema", "apply", "--sink", &url], &[]);
    for (ended, text) in [
        (&checked, &checked.stdout),
        (&ran, &ran.stderr),
        (&applied, &applied.stderr),
    ] {
        assert_eq!(ended.code, 78, "{ended:?}");
        assert!(text.lines().any(|line| line.ends_with(&right)), "{ended:?}");
    }
    let (_, statements) = right.split_once("give: ").expect("statements");
    sql(server, statements);
    let checked = check(&topic, &state, &url);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.stdout.contains("made at the start"), "{checked:?}");
    assert_eq!(to_end().code, 0);
    sql(
        server,
        &format!("drop owned by {user} cascade; drop role {user}"),
    );
}

#[test]
fn what_is_printed_for_a_schema_is_what_psql_makes_there() {
    let Some(url) = store("POSTGRES") else { return };
    let (server, _) = url.split_once("schema=").expect("a schema");
    let server = server.trim_end_matches(['?', '&']);
    let schema = format!("{}%20%22own%22", unique("my"));
    let url = url.replace(url.rsplit('=').next().expect("a name"), &schema);
    let printed = run(&["schema", "print", "--sink", &url], &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    sql(server, &printed.stdout);
    let same = run(&["schema", "diff", "--sink", &url], &[]);
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{same:?}");
}

/// Runs statements by `psql`.
fn sql(server: &str, statements: &str) {
    let mut psql = Command::new("psql");
    psql.args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        statements,
        server,
    ]);
    let out = psql.output().expect("it runs");
    assert!(out.status.success(), "{out:?}");
}

/// `flows` as cloudflare/flow-pipeline's compose/postgres/create.sh makes it.
const THEIRS: &str = "(id bigserial primary key, date_inserted timestamp default null, time_flow timestamp default \
     null, type integer, sampling_rate integer, src_as bigint, dst_as bigint, src_ip inet, dst_ip inet, bytes bigint, \
     packets bigint, etype integer, proto integer, src_port integer, dst_port integer)";

#[test]
fn a_table_of_the_project_we_replace_is_said_to_be_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let (topic, state) = topic_and_state(&folder);
    let Some(url) = store("POSTGRES") else { return };
    foreign(&url, "flows", THEIRS);
    let schema = |command: &[&str]| run(&[&["schema"], command, &["--sink", &url]].concat(), &[]);
    let told = "table flows is that of cloudflare/flow-pipeline";
    let before = check(&topic, &state, &url);
    assert_eq!(before.code, 0, "{before:?}");
    assert!(before.stdout.contains(told), "{before:?}");
    assert!(
        before
            .stdout
            .contains("its other tables are made at the start")
    );
    assert!(!before.stdout.contains("empty"), "{before:?}");
    assert_eq!(schema(&["diff"]).code, 1);
    assert_eq!(schema(&["apply"]).code, 0);
    let same = schema(&["diff"]);
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{same:?}");
    assert_eq!(same.stderr.lines().count(), 1, "{same:?}");
    assert!(same.stderr.contains(told) && same.stderr.contains("--extend"));
    let after = check(&topic, &state, &url);
    assert!(after.code == 0 && after.stdout.contains(told), "{after:?}");
    assert_eq!(schema(&["apply", "--extend"]).code, 0);
    let ours = schema(&["diff"]);
    assert_eq!((ours.code, ours.stderr.as_str()), (0, ""), "{ours:?}");
}

#[test]
fn a_kafka_topic_is_made_described_and_read() {
    let Some(kafka) = server("KAFKA") else { return };
    let url = format!("kafka://{kafka}/{}", unique("cli"));
    let make = [
        "create",
        &url,
        "--partitions",
        "2",
        "--timestamps",
        "create",
    ];
    let made = run(&[&["topic"][..], &make].concat(), &[]);
    assert_eq!(made.code, 0, "{made:?}");
    let again = run(&[&["topic"][..], &make].concat(), &[]);
    assert_eq!(again.code, 78, "{again:?}");
    let flows = ["--from", "2026-01-31T12:00:00Z", "--count", "500"];
    let mock = run(&[&["mock", "--topic", &url][..], &flows].concat(), &[]);
    assert_eq!(mock.code, 0, "{mock:?}");
    let described = run(&["topic", "describe", &url, "--json"], &[]);
    let all: serde_json::Value = serde_json::from_str(&described.stdout).expect("JSON");
    assert_eq!(all["timestamps"], "create", "{described:?}");
    assert_eq!(all["partitions"].as_array().map(Vec::len), Some(2));
    let first = all["partitions"][0]["first_time"].as_str().expect("a time");
    assert!(first.starts_with("2026-01-31T12:00:"), "{first}");
    let tail = ["topic", "tail", &url, "--from", "earliest", "--until-end"];
    let read = run(&tail, &[]);
    assert_eq!(
        (read.code, read.stdout.lines().count()),
        (0, 500),
        "{}",
        read.stderr
    );
}
