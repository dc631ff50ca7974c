//! `topic`: what is made is described, what is written is read, by whomever it was written.

use std::collections::BTreeSet;

use flow_proto::{Dialect, Flow};
use flow_topic::{NewRecord, Options};
use serde_json::Value;

use crate::process::{Ended, run};

fn topic(arguments: &[&str]) -> Ended {
    run(&[&["topic"][..], arguments].concat(), &[])
}

fn url(folder: &tempfile::TempDir) -> String {
    format!("dir://{}", folder.path().join("flows").display())
}

fn lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn what_is_made_is_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = url(&folder);
    let make = [
        "create",
        &url,
        "--partitions",
        "3",
        "--timestamps",
        "create",
        "--retention-time",
        "7d",
    ];
    let made = topic(&make);
    assert_eq!((made.code, made.stdout.as_str()), (0, ""), "{made:?}");
    let again = topic(&make);
    assert_eq!(again.code, 78, "{again:?}");
    assert!(again.stderr.contains("exists already"), "{again:?}");
    let described = lines(&topic(&["describe", &url, "--json"]));
    assert_eq!(described[0]["timestamps"], "create");
    let partitions = described[0]["partitions"].as_array().expect("a list");
    assert_eq!(partitions.len(), 3);
    assert_eq!(partitions[2]["end"], 0);
    assert_eq!(partitions[2]["first_time"], Value::Null);

    let opened = flow_topic::EmbeddedTopic::open(folder.path().join("flows")).expect("opens");
    assert_eq!(
        opened.options().retention.age_millis,
        Some(7 * 24 * 3_600_000)
    );
    let mock = [
        "mock",
        "--topic",
        &url,
        "--from",
        "2026-01-31T12:00:00Z",
        "--count",
        "120",
    ];
    assert_eq!(run(&mock, &[]).code, 0);
    let described = lines(&topic(&["describe", &url, "--json"]));
    let first = described[0]["partitions"][0]["first_time"]
        .as_str()
        .expect("a time");
    assert!(first.starts_with("2026-01-31T12:00:00."), "{first}");
    let table = topic(&["describe", &url]);
    assert!(
        table.stdout.contains("timestamps  create") && table.stdout.contains(first),
        "{table:?}"
    );
}

#[test]
fn every_flow_is_read_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = url(&folder);
    let mock = [
        "mock", "--topic", &url, "--from", "-1h", "--count", "1000", "--seed", "5",
    ];
    assert_eq!(run(&mock, &[]).code, 0);
    let all = ["tail", &url, "--from", "earliest", "--until-end"];
    let flows = lines(&topic(&all));
    let places: BTreeSet<_> = flows
        .iter()
        .map(|f| ["partition", "offset", "index"].map(|k| f[k].as_u64().expect("a number")))
        .collect();
    assert_eq!((flows.len(), places.len()), (1000, 1000));
    assert!(flows.iter().all(|f| f["src_addr"].is_string()));

    let records = lines(&topic(&[&all[..], &["--format", "records"]].concat()));
    let of = |key: &str| -> u64 { records.iter().map(|r| r[key].as_u64().expect("n")).sum() };
    assert_eq!((of("flows"), of("unreadable")), (1000, 0));
    assert_eq!(records[0]["headers"]["flow-pipeline"], "1");

    let first = lines(&topic(&[
        "tail", &url, "--from", "earliest", "--count", "7",
    ]));
    assert_eq!(first.len(), 7);
    let one = lines(&topic(&[&all[..], &["--partition", "2"]].concat()));
    assert!(!one.is_empty() && one.iter().all(|f| f["partition"] == 2));
    // From the middle of its time on, fewer come; from its end on, none.
    let middle = records[records.len() / 8]["time"].as_str().expect("a time");
    let later = lines(&topic(&["tail", &url, "--from", middle, "--until-end"]));
    assert!((1..1000).contains(&later.len()), "{}", later.len());
    assert_eq!(topic(&["tail", &url, "--until-end"]).stdout, "");
    for (more, code) in [(["--partition", "4"], 2), (["--from", "yesterday"], 2)] {
        assert_eq!(topic(&[&["tail", &url][..], &more].concat()).code, code);
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_harms_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = url(&folder);
    let made = Options {
        partitions: 1,
        ..Options::default()
    };
    let opened = flow_topic::url::open(&url, Some(made)).expect("made");
    let mut writer = opened.writer().expect("a writer");
    let flow = Flow {
        src_as: 65_000,
        time_flow_start_ns: 1_700_000_000_000_000_000,
        ..Flow::default()
    };
    let mut append = |payload: &[u8], pack: bool| {
        let headers: &[(&str, &[u8])] = if pack {
            &[("flow-pipeline", b"1")]
        } else {
            &[]
        };
        let record = NewRecord {
            timestamp_millis: 0,
            headers,
            payload,
        };
        writer.append(0, record).expect("taken");
    };
    let delimited = |dialect| {
        let mut bytes = Vec::new();
        flow.encode_delimited(dialect, &mut bytes);
        bytes
    };
    let (goflow2, goflow) = (delimited(Dialect::Goflow2), delimited(Dialect::Goflow));
    append(&[&goflow2[..], &goflow].concat(), true);
    append(&goflow2[..goflow2.len() - 1], true); // cut
    append(&goflow[1..], false); // bare
    append(&[&[2, 0x0b, 0x0b][..], &goflow].concat(), true); // a message that is none, then one that is
    append(b"", false);
    writer.flush().expect("durable");
    let read = topic(&["tail", &url, "--from", "earliest", "--until-end"]);
    let flows = lines(&read);
    let places: Vec<_> = flows
        .iter()
        .map(|f| (f["offset"].clone(), f["index"].clone()))
        .collect();
    assert_eq!(
        places,
        [(0, 0), (0, 1), (2, 0), (3, 1)].map(|(o, i)| (Value::from(o), Value::from(i)))
    );
    assert!(
        flows
            .iter()
            .all(|f| f["src_as"] == 65_000
                && f["time_flow_start_ns"] == 1_700_000_000_000_000_000_u64)
    );
    let told: Vec<Value> = read
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let place = |n: usize| (told[n]["partition"].as_u64(), told[n]["offset"].as_u64());
    assert_eq!(
        (place(0), place(1)),
        ((Some(0), Some(1)), (Some(0), Some(3)))
    );
    assert_eq!(told[2]["count"], 2);
}

#[test]
fn what_the_job_has_found_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = url(&folder);
    let made = Options {
        partitions: 1,
        ..Options::default()
    };
    let opened = flow_topic::url::open(&url, Some(made)).expect("made");
    let mut writer = opened.writer().expect("a writer");
    // By hand: type 1; then 1011 "DE", 1013 3, 1014 "too_late", 1015 300; and a flow of somebody else.
    let found = [
        &[
            8, 1, 0x9a, 0x3f, 2, b'D', b'E', 0xa8, 0x3f, 3, 0xb2, 0x3f, 8,
        ][..],
        b"too_late",
        &[0xb8, 0x3f, 0xac, 0x02],
    ]
    .concat();
    for payload in [&found[..], &[8, 1]] {
        let new = NewRecord {
            timestamp_millis: 0,
            headers: &[],
            payload,
        };
        writer.append(0, new).expect("appended");
    }
    writer.flush().expect("flushed");
    let all = ["tail", &url, "--from", "earliest", "--until-end"];
    let flows = lines(&topic(&all));
    let of = |key: &str| (flows[0][key].clone(), flows[1][key].clone());
    assert_eq!(of("src_country"), ("DE".into(), Value::Null));
    assert_eq!(of("dst_country"), (Value::Null, Value::Null));
    assert_eq!(of("table_version"), (3.into(), Value::Null));
    assert_eq!(of("refused"), ("too_late".into(), Value::Null));
    assert_eq!(of("slot"), (300.into(), Value::Null));
    let same = topic(&[&all[..], &["--format", "protobuf"]].concat());
    assert!(same.stdout.contains("too_late"), "{same:?}");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_made_or_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = url(&folder);
    let kafka = ["kafka://127.0.0.1:1/t", "--partitions", "10000000"];
    for (arguments, code, says) in [
        (&kafka[..], 78, "give 1 to 100000"),
        (&[&url, "--retention-time", "0s"], 2, "at least 1ms"),
        (&[&format!("{url}?frming=bare")], 78, "has no options"),
    ] {
        let ended = topic(&[&["create"][..], arguments].concat());
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
    let sink = format!("{url}?framing=bare&foo=1");
    let job = ["run", "--topic", &url, "--state", "unused", "--sink", &sink];
    for before in [&[][..], &["check"]] {
        let ended = run(&[before, &job].concat(), &[]);
        assert_eq!(ended.code, 78, "{ended:?}");
        let said = ended.stdout + &ended.stderr;
        assert!(
            said.contains("`foo`; there are: framing, dialect"),
            "{said}"
        );
    }
    let made = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(made, 0);
}
