//! The command line of `topic`.

use clap::{Args, Subcommand, ValueEnum};

use super::Framing;

/// `topic`.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// Make a topic.
    Create(TopicCreate),
    /// Show a topic's partitions, offsets and times.
    Describe(TopicDescribe),
    /// Print the flows in a topic, each with its partition, offset and index.
    Tail(TopicTail),
}

/// `topic create`.
#[derive(Debug, Args)]
pub(crate) struct TopicCreate {
    /// The topic, as dir:///var/lib/flow-pipeline/flows or kafka://HOST:9092/flows.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Its partitions.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) partitions: u32,
    /// Who sets a record's timestamp; mock --from needs create.
    #[arg(long, value_enum, default_value_t = Timestamps::Append)]
    pub(crate) timestamps: Timestamps,
    /// Records older than this are deleted, as 7d or 12h. Default: kept.
    #[arg(long, value_name = "TIME", value_parser = crate::units::age)]
    pub(crate) retention_time: Option<std::time::Duration>,
    /// A partition above this size loses its oldest records. Default: no limit.
    #[arg(long, value_name = "SIZE", value_parser = crate::units::size_bytes)]
    pub(crate) retention_bytes: Option<usize>,
    /// Copies of each record that the brokers keep. Default: theirs.
    #[arg(long, value_name = "N")]
    pub(crate) replication: Option<u16>,
}

/// Who sets a record's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Timestamps {
    /// The topic, when it takes the record: a producer's wrong clock can shift nothing.
    Append,
    /// The producer: simulated and imported time.
    Create,
}

impl From<Timestamps> for flow_topic::Timestamps {
    fn from(timestamps: Timestamps) -> Self {
        match timestamps {
            Timestamps::Append => flow_topic::Timestamps::Append,
            Timestamps::Create => flow_topic::Timestamps::Create,
        }
    }
}

/// `topic describe`.
#[derive(Debug, Args)]
pub(crate) struct TopicDescribe {
    /// The topic, as dir:///var/lib/flow-pipeline/flows or kafka://HOST:9092/flows.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `topic tail`.
#[derive(Debug, Args)]
pub(crate) struct TopicTail {
    /// The topic, as dir:///var/lib/flow-pipeline/flows or kafka://HOST:9092/flows.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Where to begin: latest, earliest, or a time of the topic's (RFC 3339, or -2h).
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, default_value = "latest", value_parser = crate::topic::source::from)]
    pub(crate) from: crate::topic::source::From,
    /// Ends after so many lines (flows, or records with --format records).
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Ends at the offsets seen at the start.
    #[arg(long)]
    pub(crate) until_end: bool,
    /// What to print.
    #[arg(long, value_enum, default_value_t = TailFormat::Json)]
    pub(crate) format: TailFormat,
    /// Only this partition.
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// How records of other producers are split into messages.
    #[arg(long, value_enum, default_value_t = Framing::Auto)]
    pub(crate) framing: Framing,
}

/// What `topic tail` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TailFormat {
    /// One JSON line a flow: partition, offset, index, then goflow2's field names.
    Json,
    /// Length-delimited FlowMessages.
    Protobuf,
    /// One JSON line a record: partition, offset, timestamp, headers, size, number of flows.
    Records,
}
