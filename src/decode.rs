//! `decode`: prints the flows of capture files, state kept from file to file.
//!
//! For a first look without server or configuration, and for comparing decoders: flows are printed as sent,
//! an unknown sampling rate stays absent.
//! Law: flows go to standard output, what could not be decoded to standard error, one line a reason.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flow_ingest::pcap::{self, Datagram, Tally};
use flow_ingest::wire::{Decoder, Limits, Outcome};
use flow_proto::{Dialect, Flow};

use crate::cli::Format;
use crate::failure::{Exit, Failure};

/// Prints the flows of `files`.
///
/// # Errors
/// A file that cannot be read or holds no datagram, or a standard output that is gone. Bad content is no error.
pub(crate) fn run(files: &[PathBuf], format: Format) -> Result<(), Failure> {
    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut printer = Printer {
        out,
        format,
        text: String::new(),
        bytes: Vec::new(),
        failed: None,
    };
    let mut decoder = Decoder::new(Limits::default());
    let mut sum = Sum::default();
    for path in files {
        let read = decode_file(path, &mut decoder, &mut printer, &mut sum);
        // Flows that were read before a failure are shown.
        printer.out.flush()?;
        if let Err(error) = read {
            if let Some(failed) = printer.failed.take() {
                return Err(failed.into());
            }
            let what = format!("{}: {error}", path.display());
            return Err(Failure::new(Exit::Io, what)
                .hint("give pcap, pcapng or files of bare datagrams that can be read"));
        }
    }
    sum.report(&mut io::stderr().lock());
    sum.refuse_empty()
}

fn decode_file(
    path: &Path,
    decoder: &mut Decoder,
    printer: &mut Printer<impl Write>,
    sum: &mut Sum,
) -> io::Result<()> {
    let file = io::BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut flows = Vec::new();
    let mut visit = |datagram: Datagram<'_>| {
        flows.clear();
        let outcome = decoder.decode(
            datagram.source,
            datagram.received_ns,
            datagram.payload,
            &mut flows,
        );
        sum.outcome.add(&outcome);
        flows.iter().try_for_each(|flow| printer.print(flow))
    };
    let tally = pcap::read(file, &mut visit)?;
    sum.files.push((path.to_owned(), tally));
    Ok(())
}

/// Writes flows in the format asked for.
struct Printer<W> {
    out: W,
    format: Format,
    text: String,
    bytes: Vec<u8>,
    /// Why standard output refused; told apart from a file that cannot be read.
    failed: Option<io::Error>,
}

impl<W: Write> Printer<W> {
    fn print(&mut self, flow: &Flow) -> io::Result<()> {
        let written = match self.format {
            Format::Json => {
                self.text.clear();
                flow.write_json(&mut self.text);
                self.text.push('\n');
                self.out.write_all(self.text.as_bytes())
            }
            Format::Protobuf => {
                self.bytes.clear();
                flow.encode_delimited(Dialect::default(), &mut self.bytes);
                self.out.write_all(&self.bytes)
            }
        };
        written.map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

/// What all files held.
#[derive(Default)]
struct Sum {
    outcome: Outcome,
    files: Vec<(PathBuf, Tally)>,
}

impl Sum {
    /// A file without a single datagram is not what was meant.
    fn refuse_empty(&self) -> Result<(), Failure> {
        match self.files.iter().find(|(_, tally)| tally.datagrams == 0) {
            None => Ok(()),
            Some((path, _)) => {
                let what = format!("{}: no datagram in it", path.display());
                Err(Failure::new(Exit::Io, what)
                    .hint("give pcap, pcapng or files of bare datagrams"))
            }
        }
    }

    /// One line for each reason why something was not decoded; nothing if all was.
    fn report(&self, to: &mut impl Write) {
        let mut line = |count: u64, label: &str, text: &str| {
            if count > 0 {
                // Standard error may be gone; the flows have been printed.
                let _ = writeln!(to, "not decoded: {count} {label}: {text}");
            }
        };
        for (reason, count) in self.outcome.reasons() {
            line(u64::from(count), reason.label(), reason.explain());
        }
        line(
            u64::from(self.outcome.waiting),
            "waiting",
            "Data sets without template; give the file with the templates first.",
        );
        let tallies = || self.files.iter().map(|(_, tally)| tally);
        line(
            tallies().map(|t| t.fragments).sum(),
            "fragments",
            "IP fragments; they are not put together.",
        );
        line(
            tallies().map(|t| t.cut_packets).sum(),
            "cut_packets",
            "Packets of which the capture holds only the beginning.",
        );
        line(
            tallies().map(|t| t.unknown_links).sum(),
            "unknown_links",
            "Packets of a link layer other than Ethernet, Linux cooked or raw IP.",
        );
        for (path, _) in self.files.iter().filter(|(_, tally)| tally.damaged) {
            let _ = writeln!(
                to,
                "not decoded: {}: the file is cut or damaged",
                path.display()
            );
        }
    }
}
