//! Enriched flows in a topic: every flow at least once, each known by its coordinates, cursors read back from its tail;
//! the embedded log stands for Kafka behind the same trait.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use flow_proto::{
    Coordinate, EnrichedFlow, Flow, Framing, PACK_HEADER, Rollups, Verdict, messages,
};
use flow_sinks::{
    Applied, RawBlock, RawCursors, RawRows, RawSink, SinkError, SinkErrorKind, Source,
};
use flow_topic::{Options, Timestamps};

/// How long a record that is there may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Options of a sink, and how its records are read: a bare message may look like a chain.
const PACKED: (&str, Framing) = ("", Framing::Auto);
const DELIMITED: (&str, Framing) = ("?framing=delimited", Framing::Delimited);
const BARE: (&str, Framing) = ("?framing=bare", Framing::Bare);

const SOURCE: Source<'static> = Source {
    url: "dir:///the/source",
    partitions: 3,
    timestamps: Timestamps::Create,
    rollups: Rollups::STANDARD,
};

/// Flows of records from an offset up to another, `each` to a record.
#[derive(Debug)]
struct Flows {
    partition: u32,
    offsets: std::ops::Range<u64>,
    each: u32,
    /// Reading fails after so many.
    fail_after: usize,
}

impl Flows {
    fn all(&self) -> impl Iterator<Item = EnrichedFlow> {
        let (partition, each) = (self.partition, self.each);
        self.offsets.clone().flat_map(move |offset| {
            (0..each).map(move |index| EnrichedFlow {
                at: Coordinate {
                    partition,
                    offset,
                    index,
                },
                flow: Flow {
                    bytes: offset,
                    packets: u64::from(index) + 1,
                    ..Flow::default()
                },
                received_ns: 1_700_000_000_000_000_000 + offset,
                src_as: 64_496,
                verdict: if index == 1 {
                    Verdict::TooLate
                } else {
                    Verdict::Counts
                },
                ..EnrichedFlow::default()
            })
        })
    }
}

impl RawRows for Flows {
    fn for_each(
        &self,
        take: &mut dyn FnMut(&EnrichedFlow) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        for (n, flow) in self.all().enumerate() {
            if n == self.fail_after {
                return Err(SinkError::retry("the source is away"));
            }
            take(&flow)?;
        }
        Ok(())
    }
}

fn flows(partition: u32, offsets: std::ops::Range<u64>) -> Flows {
    Flows {
        partition,
        offsets,
        each: 3,
        fail_after: usize::MAX,
    }
}

fn block<'a>(rows: &'a Flows, from: Option<u64>, to: u64) -> RawBlock<'a> {
    RawBlock {
        job: "job/a",
        topic: SOURCE.url,
        partition: rows.partition,
        from,
        to,
        first_offset: rows.offsets.start,
        end_offset: rows.offsets.end,
        rows,
        now_secs: 1_700_000_000,
        watermark_secs: None,
    }
}

fn open(place: &str, query: &str) -> Result<Box<dyn RawSink>, SinkError> {
    let url = format!("{place}{query}");
    flow_sinks::open_beside(&url, &SOURCE).map(|store| store.raw.unwrap())
}

/// An embedded topic in a folder.
fn embedded(folder: &tempfile::TempDir) -> String {
    format!("dir://{}/enriched", folder.path().display())
}

/// The flows of a partition and, by record, the source header and whether a cursor stands there.
fn read(place: &str, framing: Framing, partition: u32) -> (Vec<Flow>, Vec<(String, bool)>) {
    let topic = flow_topic::url::open(place, None).unwrap();
    let end = topic.bounds(partition).unwrap().end;
    let mut reader = topic.reader(partition, 0).unwrap();
    let (mut flows, mut records) = (Vec::new(), Vec::new());
    while reader.position() < end {
        assert!(reader.wait(PATIENCE).unwrap());
        let record = reader.peek().unwrap().unwrap();
        let ours = record.headers.get(PACK_HEADER.0) == Some(PACK_HEADER.1);
        for message in messages(record.payload, ours, framing).unwrap() {
            flows.push(Flow::decode(message).unwrap());
        }
        let source = record.headers.get("flow-pipeline-source");
        let source = String::from_utf8(source.unwrap_or_default().to_vec()).unwrap();
        records.push((source, record.headers.get("flow-pipeline-cursor").is_some()));
        reader.advance();
    }
    (flows, records)
}

#[test]
fn flows_keep_their_partition_and_order_and_cursors_come_back() {
    for (query, framing) in [PACKED, DELIMITED, BARE] {
        let folder = tempfile::tempdir().unwrap();
        in_order(&embedded(&folder), query, framing);
    }
}

#[test]
fn the_same_in_kafka() {
    let Ok(server) = std::env::var("FLOW_PIPELINE_TEST_KAFKA") else {
        eprintln!("SKIPPED: FLOW_PIPELINE_TEST_KAFKA names no server");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let unique = folder.path().file_name().unwrap().to_string_lossy();
    for (query, framing) in [PACKED, BARE] {
        let name = format!("enriched{unique}{}", query.len());
        in_order(&format!("kafka://{server}/{name}"), query, framing);
    }
}

/// Blocks of two partitions, then another process.
fn in_order(place: &str, query: &str, framing: Framing) {
    let mut sink = open(place, query).unwrap();
    assert_eq!(sink.cursors().unwrap(), RawCursors::default());
    let (first, second, other) = (flows(0, 5..900), flows(0, 900..1000), flows(2, 0..1));
    for (rows, from, to) in [(&first, None, 3), (&second, Some(3), 4), (&other, None, 9)] {
        let done = sink.apply(&block(rows, from, to)).unwrap();
        let rows = rows.all().count() as u64;
        assert_eq!(done, Applied::Done { rows });
    }
    let made = flow_topic::url::open(place, None).unwrap();
    assert_eq!(made.timestamps(), Timestamps::Create);
    let mut reader = made.reader(0, 0).unwrap();
    assert!(reader.wait(PATIENCE).unwrap());
    let stamp = reader.peek().unwrap().unwrap().timestamp_millis;
    assert_eq!(stamp, 1_700_000_000_000, "the time of receipt");
    let (found, records) = read(place, framing, 0);
    let expected: Vec<_> = first.all().chain(second.all()).collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(
            (found.bytes, found.packets),
            (expected.flow.bytes, expected.flow.packets)
        );
        assert_eq!(
            (found.src_as, found.time_received_ns),
            (64_496, expected.received_ns)
        );
    }
    if !query.is_empty() {
        assert_eq!(records.len(), expected.len());
    }
    assert_eq!(records.iter().filter(|(_, cursor)| *cursor).count(), 2);
    assert!(records[0].0.starts_with("0/5.0-"), "{}", records[0].0);
    assert!(records.last().unwrap().0.ends_with("-999.2") && records.last().unwrap().1);
    // Another process reads the cursors from the topic's tails.
    drop(sink);
    let cursors = open(place, query).unwrap().cursors().unwrap();
    assert_eq!(cursors.job.as_deref(), Some("job/a"));
    assert_eq!(
        cursors.by_partition.into_iter().collect::<Vec<_>>(),
        [(0, 4), (2, 9)]
    );
}

#[test]
fn a_block_that_was_cut_off_comes_again_from_the_cursor_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = embedded(&folder);
    let mut sink = open(&place, "?framing=bare").unwrap();
    sink.cursors().unwrap();
    sink.apply(&block(&flows(1, 0..4), None, 1)).unwrap();
    let cut = Flows {
        fail_after: 500,
        ..flows(1, 4..400)
    };
    assert!(sink.apply(&block(&cut, Some(1), 2)).unwrap_err().is_retry());
    let cursors = sink.cursors().unwrap();
    assert_eq!(cursors.by_partition[&1], 1, "behind what was cut off");
    let whole = flows(1, 4..400);
    assert_eq!(
        sink.apply(&block(&whole, None, 2)).unwrap(),
        Applied::CursorMoved
    );
    sink.apply(&block(&whole, Some(1), 2)).unwrap();
    let (found, records) = read(&place, Framing::Bare, 1);
    assert!(found.len() >= 400 * 3, "at least once");
    let mut sources: Vec<_> = records.into_iter().map(|(source, _)| source).collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), 400 * 3, "and by their coordinates each once");
    assert_eq!(sink.cursors().unwrap().by_partition[&1], 2);
}

#[test]
fn a_block_without_flows_moves_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let place = embedded(&folder);
    let mut sink = open(&place, "").unwrap();
    sink.cursors().unwrap();
    sink.apply(&block(&flows(0, 7..7), None, 70)).unwrap();
    assert_eq!(sink.cursors().unwrap().by_partition[&0], 70);
    assert!(read(&place, Framing::Auto, 0).0.is_empty());
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let few = format!("dir://{}/few", folder.path().display());
    let options = Options {
        partitions: 2,
        ..Options::default()
    };
    drop(flow_topic::url::create(&few, options).unwrap());
    let at = |query: &str| format!("dir://{}/new{query}", folder.path().display());
    for (url, words) in [
        (few, "has 2 partitions, the topic that is read has 3"),
        (SOURCE.url.to_owned(), "the topic that the job reads"),
        (at("?framing=loose"), "none of packed"),
        (at("?dialect=old"), "none of goflow2"),
        (at("?raw=off"), "set its own retention"),
    ] {
        let Err(error) = flow_sinks::open_beside(&url, &SOURCE) else {
            panic!("{url} was taken")
        };
        let line = error.to_string();
        assert_eq!(error.kind, SinkErrorKind::Refused, "{line}");
        assert!(line.contains(words) && !line.contains('\n'), "{line}");
    }
    let Err(error) = flow_sinks::schema("kafka://h/t?sasl.password=secret") else {
        panic!("a topic has no schema")
    };
    assert!(error.to_string().contains("no schema") && !error.to_string().contains("secret"));
}
