//! Enriched flows back into a topic, of Kafka or embedded: for whoever wants every flow judged and enriched, as it comes.
//!
//! Flows of the source's partition p go to partition p, in the same order. Law 6, without transactions: a block is made
//! durable, then a last record that carries its cursor; a writer that dies between them writes the block again. So each
//! flow is there at least once, and every record names the source's coordinates of its flows.

mod cursor;
mod packer;

use flow_proto::Dialect;
use flow_topic::{NewRecord, Options, Retention, Timestamps, Topic, TopicError, Writer, shown};

use crate::options;
use crate::{
    Adoption, Applied, Held, RawBlock, RawCursors, RawSink, Shape, SinkError, Source, Store,
};
use cursor::CURSOR_HEADER;
use packer::{Framing, Packed, Packer, SOURCE_HEADER};

/// What is ours in the URL's query; the rest are the client's properties.
const OPTIONS: [&str; 2] = ["framing", "dialect"];
const FRAMINGS: [(&str, Framing); 3] = [
    ("packed", Framing::Packed),
    ("delimited", Framing::Delimited),
    ("bare", Framing::Bare),
];

/// How long a topic that is made keeps enriched flows; those of simulated or imported time it keeps for ever.
const LIVE_KEPT_MILLIS: i64 = 7 * 86_400_000;

/// A URL, taken apart.
struct Target {
    /// The topic's, with the properties that are left for it.
    url: String,
    framing: Framing,
    dialect: Dialect,
}

/// The store of a `kafka://` or `dir://` URL, as far as its text tells; nothing is opened.
///
/// # Errors
/// `Refused` for a URL that cannot be.
pub fn shape(url: &str) -> Result<Shape, SinkError> {
    let target = parse(url)?;
    flow_topic::url::check(&target.url).map_err(|error| explain(&shown(url), &error))?;
    Ok(Shape {
        name: shown(url),
        rollups: false,
        raw: true,
    })
}

/// Opens a topic for enriched flows. With its source, one that is missing is made with as many partitions.
///
/// # Errors
/// `Refused` for a topic that has fewer, or is the source itself; `Retry` if it cannot be reached.
pub fn open(url: &str, source: Option<&Source<'_>>) -> Result<Store, SinkError> {
    let name = shown(url);
    let target = parse(url)?;
    if source.is_some_and(|source| shown(source.url) == name) {
        return Err(SinkError::refused(format!(
            "sink {name}: is the topic that the job reads; name another one"
        )));
    }
    let made = source.map(made_beside);
    // At the start a hand is there that can name the authority; a job that runs tries again.
    let failed = |error: TopicError| match error {
        TopicError::Untrusted { .. } => SinkError::refused(format!("sink {name}: {error}")),
        error => explain(&name, &error),
    };
    let topic = flow_topic::url::open(&target.url, made).map_err(failed)?;
    let partitions = topic.partitions().map_err(failed)?;
    let needed = source.map_or(0, |source| source.partitions);
    if partitions < needed {
        return Err(SinkError::refused(format!(
            "sink {name}: has {partitions} partitions, the topic that is read has {needed}; give it as many, or name a \
             new one"
        )));
    }
    let raw = Enriched {
        topic,
        name,
        writer: None,
        cursors: RawCursors::default(),
        target,
    };
    Ok(Store {
        rollups: None,
        raw: Some(Box::new(raw)),
    })
}

/// A topic of as many partitions. Its timestamps are those of the records that were read: by its own, flows that come after
/// a pause would be taken for flows of now by whoever reads it.
fn made_beside(source: &Source<'_>) -> Options {
    let live = source.timestamps == Timestamps::Append;
    Options {
        partitions: source.partitions,
        timestamps: Timestamps::Create,
        retention: Retention {
            age_millis: live.then_some(LIVE_KEPT_MILLIS),
            bytes: None,
        },
        ..Options::default()
    }
}

fn parse(url: &str) -> Result<Target, SinkError> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let name = shown(url);
    let refused = |what: String| SinkError::refused(format!("sink {name}: {what}"));
    let (common, rest) = options::take(query, &name)?;
    if common != options::StoreOptions::default() {
        let what = "a topic has no raw= nor retention: set its own retention where it is made";
        return Err(refused(what.to_owned()));
    }
    let (mut framing, mut dialect) = (Framing::Packed, Dialect::default());
    let mut left = Vec::new();
    for (name, value) in rest {
        match name.as_str() {
            "framing" => {
                let known = FRAMINGS.iter().find(|(known, _)| *known == value);
                let unknown = || format!("framing `{value}` is none of packed, delimited, bare");
                framing = known.ok_or_else(|| refused(unknown()))?.1;
            }
            "dialect" => {
                dialect = match value.as_str() {
                    "goflow2" => Dialect::Goflow2,
                    "goflow" => Dialect::Goflow,
                    _ => {
                        return Err(refused(format!(
                            "dialect `{value}` is none of goflow2, goflow"
                        )));
                    }
                };
            }
            _ => left.push((name, value)),
        }
    }
    if url.starts_with("dir:") && !left.is_empty() {
        return Err(options::unknown(&left, &name, &OPTIONS));
    }
    let mut target = place.to_owned();
    for (at, (name, value)) in left.iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        target.push_str(&format!("{name}={value}"));
    }
    Ok(Target {
        url: target,
        framing,
        dialect,
    })
}

/// Writes enriched flows.
struct Enriched {
    topic: std::sync::Arc<dyn Topic>,
    name: String,
    /// `None`: to be opened, also after a failure, since nobody knows what it took.
    writer: Option<Box<dyn Writer>>,
    /// As last read, and as written since.
    cursors: RawCursors,
    target: Target,
}

impl RawSink for Enriched {
    fn name(&self) -> &str {
        &self.name
    }

    fn cursors(&mut self) -> Result<RawCursors, SinkError> {
        // What an earlier writer had taken is settled first.
        self.writer = None;
        self.cursors = cursor::read(self.topic.as_ref(), &self.name)?;
        Ok(self.cursors.clone())
    }

    fn apply(&mut self, block: &RawBlock<'_>) -> Result<Applied, SinkError> {
        if self.cursors.by_partition.get(&block.partition).copied() != block.from {
            return Ok(Applied::CursorMoved);
        }
        let writer = self.take()?;
        let mut out = self.out(writer, block.partition);
        let rows = out.block(block)?;
        self.writer = Some(out.writer);
        self.cursors.job = Some(block.job.to_owned());
        self.cursors.by_partition.insert(block.partition, block.to);
        Ok(Applied::Done { rows })
    }

    fn held(&mut self) -> Result<Held, SinkError> {
        self.writer = None;
        let mut held = Held::default();
        for (job, checkpoint) in cursor::all(self.topic.as_ref(), &self.name)?.values() {
            held.cursor(job, *checkpoint);
        }
        Ok(held)
    }

    /// What is in a topic cannot be taken back: the cursors go on, and what is written anew is there twice.
    fn adopt(&mut self, adoption: &Adoption) -> Result<(), SinkError> {
        self.writer = None;
        let found = cursor::all(self.topic.as_ref(), &self.name)?;
        let mut doubled = false;
        for (partition, (job, checkpoint)) in &found {
            let cursor = adoption.cursor([(job.as_str(), *checkpoint)]);
            doubled |= cursor != *checkpoint;
            let writer = self.take()?;
            let mut out = self.out(writer, *partition);
            let text = cursor::text(&adoption.job, cursor);
            out.append(&empty(adoption.now_secs), Some(&text))?;
            out.flush()?;
        }
        if doubled {
            tracing::warn!(
                sink = self.name,
                "enriched flows cannot be taken back from a topic: those that are written anew are in it twice; the header \
                 {SOURCE_HEADER} of each record says which flows they are"
            );
        }
        Ok(())
    }
}

/// A record without a flow, which holds no message for any reader: for a cursor to stand on.
fn empty(now_secs: u64) -> Packed {
    let millis = now_secs.saturating_mul(1000);
    Packed {
        payload: Vec::new(),
        source: String::new(),
        timestamp_millis: i64::try_from(millis).unwrap_or(i64::MAX),
    }
}

impl Enriched {
    fn take(&mut self) -> Result<Box<dyn Writer>, SinkError> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => self
                .topic
                .writer()
                .map_err(|error| explain(&self.name, &error)),
        }
    }

    fn out(&self, writer: Box<dyn Writer>, partition: u32) -> Out<'_> {
        Out {
            writer,
            partition,
            packer: Packer::new(self.target.framing, self.target.dialect),
            name: &self.name,
        }
    }
}

/// A block on its way.
struct Out<'a> {
    writer: Box<dyn Writer>,
    partition: u32,
    packer: Packer,
    name: &'a str,
}

impl Out<'_> {
    /// Writes it; one record is always held back, for the cursor. Returns the number of flows.
    fn block(&mut self, block: &RawBlock<'_>) -> Result<u64, SinkError> {
        let (mut rows, mut held): (u64, Option<Packed>) = (0, None);
        block.rows.for_each(&mut |flow| {
            rows += 1;
            if let Some(packed) = self.packer.push(flow)
                && let Some(before) = held.replace(packed)
            {
                self.append(&before, None)?;
            }
            Ok(())
        })?;
        if let Some(rest) = self.packer.take()
            && let Some(before) = held.replace(rest)
        {
            self.append(&before, None)?;
        }
        self.flush()?;
        let cursor = cursor::text(block.job, block.to);
        let last = held.unwrap_or_else(|| empty(block.now_secs));
        self.append(&last, Some(&cursor))?;
        self.flush()?;
        Ok(rows)
    }

    fn append(&mut self, packed: &Packed, cursor: Option<&str>) -> Result<(), SinkError> {
        let mut headers: Vec<(&str, &[u8])> = self.packer.pack_header().into_iter().collect();
        if !packed.source.is_empty() {
            headers.push((SOURCE_HEADER, packed.source.as_bytes()));
        }
        headers.extend(cursor.map(|cursor| (CURSOR_HEADER, cursor.as_bytes())));
        let record = NewRecord {
            timestamp_millis: packed.timestamp_millis,
            headers: &headers,
            payload: &packed.payload,
        };
        self.writer
            .append(self.partition, record)
            .map_err(|error| explain(self.name, &error))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.writer
            .flush()
            .map_err(|error| explain(self.name, &error))
    }
}

/// From a topic's error to ours: what an operator must change is refused, the rest may pass.
fn explain(name: &str, error: &TopicError) -> SinkError {
    let line = format!("sink {name}: {error}");
    match error {
        TopicError::Foreign { .. }
        | TopicError::BadOptions { .. }
        | TopicError::Denied { .. }
        | TopicError::UnknownScheme { .. } => SinkError::refused(line),
        TopicError::TooLarge { .. } | TopicError::Damaged { .. } => SinkError::fatal(line),
        _ => SinkError::retry(line),
    }
}
