//! Writers of Apache Kafka topics: several at once, foreign records between ours, TLS with a password.

use flow_topic::{Context, KafkaTopic, Options, Timestamps, Topic, TopicError};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::broker::{PATIENCE, address, client, kafka, read_all, record, unique, write};

fn make(address: &str, partitions: u32, timestamps: Timestamps) -> (KafkaTopic, String) {
    let name = unique("writing");
    let options = Options {
        partitions,
        timestamps,
        ..Options::default()
    };
    let url = format!("kafka://{address}/{name}");
    let topic = KafkaTopic::create(&url, &options, &Context::default()).unwrap();
    (topic, name)
}

#[test]
fn writers_at_once_lose_and_double_nothing() {
    let Some(address) = kafka() else { return };
    let (topic, _) = make(&address, 2, Timestamps::Append);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let topic = &topic;
            scope.spawn(move || {
                let mut appending = topic.writer().unwrap();
                for n in 0..2_000_u32 {
                    let payload = format!("{writer}/{n}");
                    appending.append(n % 2, record(payload.as_bytes())).unwrap();
                    if n % 500 == 0 {
                        appending.flush().unwrap();
                    }
                }
                appending.flush().unwrap();
            });
        }
    });
    let mut seen = Vec::new();
    for partition in 0..2 {
        let records = read_all(&mut *topic.reader(partition, 0).unwrap());
        let offsets: Vec<u64> = records.iter().map(|record| record.0).collect();
        assert_eq!(offsets, (0..3_000).collect::<Vec<_>>());
        seen.extend(records.into_iter().map(|record| record.1));
    }
    seen.sort();
    let mut wanted: Vec<_> = (0..3)
        .flat_map(|writer| (0..2_000).map(move |n| format!("{writer}/{n}").into_bytes()))
        .collect();
    wanted.sort();
    assert_eq!(seen, wanted);
}

#[test]
fn foreign_records_harm_nobody() {
    let Some(address) = kafka() else { return };
    let (topic, name) = make(&address, 1, Timestamps::Create);
    let producer: BaseProducer = client(&address).create().unwrap();
    let long = "n".repeat(300);
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: &long,
            value: Some("x"),
        })
        .insert(Header {
            key: "",
            value: None::<&str>,
        })
        .insert(Header {
            key: "kept",
            value: Some("y"),
        });
    let plain = || BaseRecord::<str, [u8]>::to(&name).partition(0);
    for record in [
        plain().key("key").payload(b"keyed"),
        plain(),
        plain().payload(b"headers").headers(headers),
        plain().payload(b"last"),
    ] {
        producer.send(record).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let mut reader = topic.reader(0, 0).unwrap();
    let payloads: Vec<_> = read_all(&mut *reader).into_iter().map(|r| r.1).collect();
    assert_eq!(payloads, [&b"keyed"[..], b"", b"headers", b"last"]);
    reader.seek(2).unwrap();
    assert!(reader.wait(PATIENCE).unwrap());
    let record = reader.peek().unwrap().unwrap();
    let names: Vec<_> = record.headers.iter().collect();
    assert_eq!(names, [(&b""[..], &b""[..]), (b"kept", b"y")]);
}

#[test]
fn the_topics_own_limit_counts() {
    let Some(address) = kafka() else { return };
    let (topic, _) = make(&address, 1, Timestamps::Create);
    let mut writer = topic.writer().unwrap();
    let refused = writer.append(0, record(&vec![1; 8_000_000])).unwrap_err();
    let TopicError::TooLarge { limit_bytes, .. } = refused else {
        panic!("{refused}");
    };
    // The largest that is not refused is taken by the brokers as well, compressible or not.
    let noise: Vec<u8> = (0..limit_bytes)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    writer.append(0, record(&noise)).unwrap();
    writer.flush().unwrap();
    assert_eq!(read_all(&mut *topic.reader(0, 0).unwrap())[0].1, noise);
}

#[test]
fn tls_with_a_password_from_a_file() {
    let names = ["FLOW_PIPELINE_TEST_KAFKA_TLS", "FLOW_PIPELINE_TEST_CA"];
    let [Some(address), Some(ca)] = names.map(address) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "flow-secret\n").unwrap();
    let name = unique("tls");
    let url = |mechanism: &str, secret: &str| {
        format!(
            "kafka://{address}/{name}?security.protocol=sasl_ssl&ssl.ca.location={ca}\
             &sasl.mechanism={mechanism}&sasl.username=flow&sasl.password{secret}"
        )
    };
    let from_file = format!(".file={}", secret.display());
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let url = url(mechanism, &from_file);
        let topic = flow_topic::url::open(&url, Some(Options::default())).unwrap();
        write(&*topic, 0, &[mechanism]);
        assert!(!format!("{topic:?} {}", topic.url()).contains("flow-secret"));
    }
    let topic = KafkaTopic::open(&url("PLAIN", &from_file), &Context::default()).unwrap();
    assert_eq!(read_all(&mut *topic.reader(0, 0).unwrap()).len(), 2);
    let wrong = KafkaTopic::open(&url("PLAIN", "=not-this"), &Context::default()).unwrap_err();
    let text = wrong.to_string();
    assert!(
        text.contains("uthentication") && !text.contains("not-this"),
        "{text}"
    );
    assert!(matches!(wrong, TopicError::Denied { .. }), "{text}");
}
