//! The command line: every command and flag, each defined once.
//!
//! Environment names and the keys of the configuration file are derived from these definitions (`settings`).
//! Law: what does not work yet is not here.

mod check;
mod cluster;
mod replay;
mod schema;
mod status;
mod swap;
mod tables;
mod topic;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use check::{Check, Completions, Man};
pub(crate) use cluster::Cluster;
pub(crate) use replay::{Range, Replay, Verify};
pub(crate) use schema::{Schema, SchemaApply, SchemaDiff, SchemaPrint};
pub(crate) use status::Status;
pub(crate) use swap::{Plausible, Reload, TablesList, TablesSwap};
pub(crate) use tables::{
    Tables, TablesCheck, TablesCommand, TablesDiff, TablesLookup, source as table_source,
};
pub(crate) use topic::{TailFormat, Topic, TopicCreate, TopicDescribe, TopicTail};

/// Network-flow stream processor: sFlow, NetFlow and IPFIX to exact 5-minute rows.
#[derive(Debug, Parser)]
#[command(name = "flow-pipeline", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// YAML file with a section per command and the flags' names as keys.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// What to log to standard error: a level, or directives as warn,flow_ingest=debug.
    #[arg(long, value_name = "FILTER", global = true, default_value = "info")]
    pub(crate) log: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Collect sFlow, NetFlow and IPFIX datagrams into a topic.
    Collect(Collect),
    /// Everything in one process on embedded parts, with synthetic exporters and a page.
    Demo(Demo),
    /// Print the flows in capture files; no server, no configuration.
    Decode(Decode),
    /// Make flows: straight into a topic, or as datagrams of synthetic exporters.
    Mock(Mock),
    /// Run the job: topic to 5-minute rows in sinks; goes on from the last checkpoint.
    Run(Run),
    /// Compute slots again from the retained topic, and show how a store differs from that; with --apply replace them.
    Replay(Replay),
    /// Compute slots again as the job has counted them, and say whether stores hold just that.
    Verify(Verify),
    /// Show what a job's state, and a store's table slots, say: how far it is, which slots are whole.
    Status(Status),
    /// Make, describe or read a topic.
    #[command(subcommand)]
    Topic(Topic),
    /// Tables for enrichment: check, compare, look up in them; swap them while a job runs, list their versions.
    #[command(subcommand)]
    Tables(TablesCommand),
    /// Print, apply or compare the schema of a store; print that of the messages.
    #[command(subcommand)]
    Schema(Schema),
    /// Check a configuration, and with --connect what it points to, without starting anything.
    Check(Check),
    /// Print a completion script for a shell.
    Completions(Completions),
    /// Print the manual page.
    Man(Man),
}

/// `collect`.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Where to listen: sflow://:6343, netflow://:2055, flow://HOST:PORT (detects); may be repeated.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) listen: Vec<String>,
    /// Topic to write, as kafka://HOST:9092/flows or dir:///var/lib/flow-pipeline/flows; a missing one is made.
    #[arg(long, value_name = "URL")]
    pub(crate) topic: String,
    /// Partitions of a topic that is made.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) partitions: u32,
    /// Sockets for each listener, sharing its port; each has two threads.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) sockets: u16,
    /// Receive buffer asked of the kernel for each socket.
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = crate::units::size_bytes)]
    pub(crate) receive_buffer: usize,
    /// Datagrams that may wait for the decoders; what exceeds it is dropped and counted.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = crate::units::size_bytes)]
    pub(crate) queue: usize,
    /// A pack is written at this size.
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = pack_size)]
    pub(crate) pack_size: usize,
    /// A pack waits that long for more flows.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = crate::units::duration)]
    pub(crate) pack_wait: Duration,
    /// How flows become records of the topic.
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// File in which templates and sampling rates outlive a restart; new templates are there within about a second.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Serve metrics, health and a page at HOST:PORT; :PORT means loopback.
    #[arg(long, value_name = "ADDRESS", value_parser = crate::units::http_address)]
    pub(crate) http: Option<std::net::SocketAddr>,
}

/// The topic takes records of at most a megabyte.
fn pack_size(text: &str) -> Result<usize, String> {
    match crate::units::size_bytes(text)? {
        size @ 1024..=1_048_576 => Ok(size),
        _ => Err("give 1KiB to 1MiB".to_owned()),
    }
}

/// How flows become records of a topic.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// What a record of the topic holds.
    #[arg(long, value_enum, default_value_t = Form::Packed)]
    pub(crate) framing: Form,
    /// Field numbers of the messages.
    #[arg(long, value_enum, default_value_t = Dialect::Goflow2)]
    pub(crate) dialect: Dialect,
    /// Which partition flows go to.
    #[arg(long, value_enum, default_value_t = PartitionBy::RoundRobin)]
    pub(crate) partition_by: PartitionBy,
}

impl From<Shape> for flow_ingest::pack::Shape {
    fn from(shape: Shape) -> Self {
        use flow_ingest::pack::{Form as Written, Spread};
        flow_ingest::pack::Shape {
            form: match shape.framing {
                Form::Packed => Written::Packed,
                Form::Delimited => Written::Delimited,
                Form::Bare => Written::Bare,
            },
            dialect: shape.dialect.into(),
            spread: match shape.partition_by {
                PartitionBy::RoundRobin => Spread::RoundRobin,
                PartitionBy::Exporter => Spread::Exporter,
            },
        }
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// About a hundred length-prefixed messages, and our header.
    Packed,
    /// One length-prefixed message, no header: as goflow2 -format=bin and GoFlow -proto.fixedlen write.
    Delimited,
    /// One bare message, no header: as GoFlow writes by default.
    Bare,
}

/// How flows are spread over partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartitionBy {
    /// In turn.
    RoundRobin,
    /// All flows of an exporter to one partition.
    Exporter,
}

/// Whose field numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// goflow2's, with GoFlow's seconds added.
    Goflow2,
    /// GoFlow's: field 38 is the start in seconds.
    Goflow,
}

impl From<Dialect> for flow_proto::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Goflow2 => flow_proto::Dialect::Goflow2,
            Dialect::Goflow => flow_proto::Dialect::Goflow,
        }
    }
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where its topic, state and database are; a second demo goes on there. Default: a new temporary directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// End by itself after this long.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) run_for: Option<Duration>,
    /// Address of the page; the next free port if it is taken.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = crate::units::http_address)]
    pub(crate) http: SocketAddr,
}

/// `mock`.
#[derive(Debug, Args)]
pub(crate) struct Mock {
    /// Topic to write, as kafka://HOST:9092/flows or dir:///var/lib/flow-pipeline/flows; a missing one is made.
    #[arg(long, value_name = "URL")]
    pub(crate) topic: Option<String>,
    /// Collector to send to: sflow://HOST:PORT, netflow-v5://…, netflow-v9://… or ipfix://….
    #[arg(long, value_name = "URL")]
    pub(crate) udp: Option<String>,
    /// Flows per second of all exporters together; with --from, per second of simulated time.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = positive)]
    pub(crate) flows_per_second: u64,
    /// Decides everything that is left to chance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Ends after so many flows.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Number of exporters.
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) exporters: u32,
    /// Simulated receive times from here up to now, RFC 3339 or -2h; the topic must keep them (create).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::units::when)]
    pub(crate) from: Option<crate::units::When>,
    /// Simulated seconds per second; without it simulated flows come as fast as they can be written.
    #[arg(long, value_name = "X", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    /// Partitions of a topic that is made.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) partitions: u32,
    /// How flows become records of the topic.
    #[command(flatten)]
    pub(crate) shape: Shape,
}

fn positive(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "give a whole number from 1 on".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: Option<f64> = text.parse().ok();
    speed
        .filter(|x| (0.001..=1e9).contains(x))
        .ok_or_else(|| "give a number from 0.001 to 1e9".to_owned())
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Topic to read, as kafka://HOST:9092/flows or dir:///var/lib/flow-pipeline/flows.
    #[arg(long, value_name = "URL")]
    pub(crate) topic: String,
    /// Where rows go.
    #[arg(
        long,
        value_name = "URL",
        required = true,
        help = format!("Where rows go, or enriched flows to a topic; may be repeated: {}", flow_sinks::url::SCHEMES)
    )]
    pub(crate) sink: Vec<String>,
    /// Where its checkpoints are: a directory, or s3://BUCKET/PREFIX; one job at a time.
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) state: PathBuf,
    /// What addresses are looked up in.
    #[command(flatten)]
    pub(crate) tables: Tables,
    /// What to sum.
    #[arg(
        long,
        value_name = "NAME=DIMENSIONS",
        help = "What to sum, NAME=DIMENSIONS[@WINDOW], as rollup_1h=src_as,dst_as@1h; may be repeated. Default: rollup_5m by AS \
                pair and EtherType, and rollup_5m_country"
    )]
    pub(crate) rollup: Vec<String>,
    /// Worker threads of each process; any number may follow any other on the same state.
    #[arg(long, short = 'w', value_name = "N", default_value = "1", value_parser = crate::run::workers)]
    pub(crate) workers: usize,
    /// The other processes of the job, if it has several.
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Read to the offsets seen at the start, let every sink follow, end.
    #[arg(long)]
    pub(crate) until_end: bool,
    /// Where a job with a new state begins: earliest, latest, or a time of the topic's (RFC 3339, or -2h).
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, value_parser = crate::topic::source::from)]
    pub(crate) start: Option<crate::topic::source::From>,
    /// Go on over records that retention has deleted before they were read, and mark the slots that may lack flows.
    #[arg(long)]
    pub(crate) accept_gap: bool,
    /// Take over stores that another job, or a later copy of this state, has written: for one start, that one ended before.
    #[arg(long)]
    pub(crate) adopt: bool,
    /// How long after its end a slot accepts flows, each correcting its row.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = crate::run::lateness)]
    pub(crate) allowed_lateness: Duration,
    /// How long after its end a slot is first written.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = crate::units::duration)]
    pub(crate) emit_delay: Duration,
    /// Which of a flow's times names its slot.
    #[arg(long, value_enum, default_value_t = SlotTime::Received)]
    pub(crate) slot_time: SlotTime,
    /// How records of other producers are split into messages.
    #[arg(long, value_enum, default_value_t = Framing::Auto)]
    pub(crate) framing: Framing,
    /// Serve metrics, health and a page at HOST:PORT; :PORT means loopback.
    #[arg(long, value_name = "ADDRESS", value_parser = crate::units::http_address)]
    pub(crate) http: Option<std::net::SocketAddr>,
    /// How its tables are loaded again while it runs.
    #[command(flatten)]
    pub(crate) reload: Reload,
}

/// A flow's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlotTime {
    /// When the collector took the datagram.
    Received,
    /// First packet, as the exporter says.
    Start,
    /// Last packet, as the exporter says.
    End,
}

impl From<SlotTime> for flow_dataflow::SlotTime {
    fn from(time: SlotTime) -> Self {
        match time {
            SlotTime::Received => flow_dataflow::SlotTime::Received,
            SlotTime::Start => flow_dataflow::SlotTime::Start,
            SlotTime::End => flow_dataflow::SlotTime::End,
        }
    }
}

/// How records without our header are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Framing {
    /// A chain if the lengths end exactly at the record's end, else one bare message.
    Auto,
    /// Length-prefixed messages.
    Delimited,
    /// One message a record.
    Bare,
}

impl From<Framing> for flow_proto::Framing {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Auto => flow_proto::Framing::Auto,
            Framing::Delimited => flow_proto::Framing::Delimited,
            Framing::Bare => flow_proto::Framing::Bare,
        }
    }
}

/// `decode`.
#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Captures (pcap, pcapng) or bare datagrams, in order; templates are kept from file to file.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub(crate) format: Format,
}

/// What `decode` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON line a flow, with goflow2's field names.
    Json,
    /// Length-delimited FlowMessages.
    Protobuf,
}
