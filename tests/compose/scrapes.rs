//! Every query of the pipeline dashboard on a real Prometheus that scrapes our binary; GoFlow's names, too.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use flow_topic::NewRecord;
use serde_json::Value;

use crate::dashboards::Dashboard;
use crate::files::{path, text};
use crate::macros;
use crate::program::Program;
use crate::stores::{Store, address, unique};
use crate::theirs::GOFLOW;

/// Within this every query has its rows, or never.
const LIMIT: Duration = Duration::from_secs(90);

/// What a healthy pipeline has no values of: nothing failed, so a label that says what is absent.
const ABSENT_WHEN_WELL: [&str; 1] = ["flow_pipeline_kafka_errors_total"];

/// A collector, exporters, and a job on Kafka; flows of the last hour were there before.
struct Pipeline {
    collector: Program,
    job: Program,
    exporters: Vec<Program>,
    folder: tempfile::TempDir,
}

impl Pipeline {
    fn start(kafka: &str, store: &Store) -> Pipeline {
        let folder = tempfile::tempdir().expect("a folder");
        let topic = format!("kafka://{kafka}/{}", unique());
        let past = format!("mock --topic {topic} --from -1h --flows-per-second 20");
        let words: Vec<_> = past.split_whitespace().map(str::to_owned).collect();
        let (code, said) = crate::commands::run(&words);
        assert_eq!(code, 0, "{past}: {said}");
        disturb(&topic);
        let mut collector = Program::start(&format!(
            "collect --listen sflow://127.0.0.1:0 --listen netflow://127.0.0.1:0 --topic {topic} --http 127.0.0.1:0"
        ));
        let kinds = [
            ("sflow", "sflow"),
            ("netflow", "netflow-v9"),
            ("netflow", "ipfix"),
        ];
        let exporters = kinds.map(|(listener, kind)| {
            let to = collector.listener(listener);
            Program::start(&format!("mock --udp {kind}://{to} --flows-per-second 200"))
        });
        let job = Program::start(&format!(
            "run --topic {topic} --state {} --sink {} --http 127.0.0.1:0",
            folder.path().join("state").display(),
            store.sink()
        ));
        Pipeline {
            collector,
            job,
            exporters: exporters.into(),
            folder,
        }
    }

    /// Prometheus with our configuration and rules, scraping these processes every second.
    fn prometheus(&mut self) -> Option<(Program, String)> {
        let home = self.folder.path();
        let config = text("compose/prometheus/prometheus.yml").replace("15s", "1s");
        std::fs::write(home.join("prometheus.yml"), config).expect("written");
        std::fs::copy(path("compose/prometheus/rules.yml"), home.join("rules.yml"))
            .expect("copied");
        let targets = text("compose/prometheus/targets-collect.yml");
        let targets = targets.replace("job:8080", &self.job.page());
        let targets = targets.replace("collector:8080", &self.collector.page());
        std::fs::write(home.join("targets.yml"), targets).expect("written");
        Program::prometheus(home)
    }
}

/// A message that is none, and a second copy of the topic's first record, an hour too late.
fn disturb(topic: &str) {
    let topic = flow_topic::url::open(topic, None).expect("the topic");
    let mut reader = topic.reader(0, 0).expect("a reader");
    let deadline = Instant::now() + LIMIT;
    let first = loop {
        assert!(Instant::now() < deadline, "no record in partition 0");
        if let Some(record) = reader.peek().expect("readable") {
            break (record.timestamp_millis, record.payload.to_vec());
        }
    };
    let mut writer = topic.writer().expect("a writer");
    let headers: &[(&str, &[u8])] = &[flow_proto::PACK_HEADER];
    for payload in [&first.1[..], b"no message"] {
        let record = NewRecord {
            timestamp_millis: first.0 - 3 * 3_600_000,
            headers,
            payload,
        };
        writer.append(0, record).expect("taken");
    }
    writer.flush().expect("durable");
}

/// Number of series that an expression gives now.
fn series(prometheus: &str, expression: &str) -> Result<usize, String> {
    let url = format!("{prometheus}/api/v1/query");
    let query = format!("query={expression}");
    let out = Command::new("curl")
        .args(["-sS", "-m", "5", "--data-urlencode", &query, &url])
        .output()
        .expect("curl runs");
    let answer: Value = serde_json::from_slice(&out.stdout).map_err(|error| error.to_string())?;
    let result = answer["data"]["result"].as_array();
    result.map(Vec::len).ok_or_else(|| answer.to_string())
}

/// Asks until each has an answer, or the time is over; what is left.
fn unanswered<'a>(
    server: &mut Program,
    url: &str,
    mut asked: BTreeMap<String, &'a str>,
) -> BTreeMap<String, &'a str> {
    let deadline = Instant::now() + LIMIT;
    while !asked.is_empty() && Instant::now() < deadline {
        asked.retain(|expression, place| {
            let found = series(url, expression);
            found.unwrap_or_else(|error| panic!("{place}: {error}")) == 0
        });
        server.more(Duration::from_secs(1));
    }
    asked
}

#[test]
fn every_panel_of_the_pipeline_dashboard_and_goflows_names_have_values() {
    let (Some(kafka), Some(store)) = (address("KAFKA"), Store::postgres()) else {
        return;
    };
    let mut pipeline = Pipeline::start(&kafka, &store);
    let Some((mut server, url)) = pipeline.prometheus() else {
        return;
    };
    let dashboard = Dashboard::load("pipeline").queries();
    let mut asked = BTreeMap::new();
    for query in &dashboard {
        if !ABSENT_WHEN_WELL
            .iter()
            .any(|name| query.text.contains(name))
        {
            asked.insert(macros::prometheus(&query.text, "10s"), query.panel.as_str());
        }
    }
    for query in GOFLOW {
        asked.insert(query.to_owned(), "GoFlow's dashboards");
    }
    let all = asked.len();
    let left = unanswered(&mut server, &url, asked);
    println!("{} of {all} queries have values", all - left.len());
    assert!(left.is_empty(), "no series: {left:#?}");
    let up = series(&url, "up{job=\"flow-pipeline\"} == 1");
    assert_eq!(up, Ok(2), "{}", server.said());
    let alarm = series(&url, "ALERTS{alertstate=\"firing\"}");
    assert_eq!(alarm, Ok(0), "an alert on a healthy pipeline");
    assert!(series(&url, "no_such_metric") == Ok(0) && series(&url, "sum(").is_err());
    drop(pipeline.exporters);
}
