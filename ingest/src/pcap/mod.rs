//! Reads captures: the UDP payloads of pcap and pcapng files, and bare dumps of datagrams.
//!
//! Hand-written, after comparing `pcap-parser` 0.17: it brings four crates (nom among them), refuses every
//! binary timestamp resolution, loses the cause of a read error, and leaves link layers, times and interfaces to
//! its caller; what it would save is the framing of blocks, some sixty lines.
//! Law: a file is read as a stream, one packet in memory; no length in it is believed beyond `MOST_BYTES`.

mod classic;
mod dump;
mod link;
mod ng;
mod source;

use std::io::{self, Read};

use flow_proto::Addr;

pub use dump::split;

/// The largest packet or block, and the largest dump, that is read; larger ones are damage.
pub const MOST_BYTES: usize = 16 << 20;

/// A UDP payload of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where it came from; `Addr::NONE` in a dump, which does not tell.
    pub source: Addr,
    /// When it was captured: ns since 1970, UTC; 0 in a dump.
    pub received_ns: u64,
    /// What it carried.
    pub payload: &'a [u8],
}

/// What a capture held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams handed on.
    pub datagrams: u64,
    /// Packets that are no UDP over IPv4 or IPv6.
    pub other_packets: u64,
    /// IP fragments; they are not put together.
    pub fragments: u64,
    /// Packets of which the capture holds only the beginning, not handed on.
    pub cut_packets: u64,
    /// Packets of a link layer that is not known.
    pub unknown_links: u64,
    /// Whether the file ends inside a packet or goes on with what is none.
    pub damaged: bool,
}

/// Reads a capture of any of the formats, handing each datagram to `visit` in the order of the file.
///
/// # Errors
/// Only those of `input`, and what `visit` returns. A damaged file gives what comes before the damage.
pub fn read(
    input: impl Read,
    visit: &mut dyn FnMut(Datagram<'_>) -> io::Result<()>,
) -> io::Result<Tally> {
    let mut source = source::Source::new(input);
    let mut tally = Tally::default();
    let magic = source.peek()?;
    let mut packets = Packets {
        tally: &mut tally,
        visit,
    };
    match magic {
        ng::SECTION_HEADER => ng::read(&mut source, &mut packets)?,
        magic => match classic::Format::of(magic) {
            Some(format) => classic::read(&mut source, format, &mut packets)?,
            None => dump::read(&mut source, &mut packets)?,
        },
    }
    Ok(tally)
}

/// Where packets go: the link layer is taken off, datagrams are handed on, all else is counted.
struct Packets<'v> {
    tally: &'v mut Tally,
    visit: &'v mut dyn FnMut(Datagram<'_>) -> io::Result<()>,
}

impl Packets<'_> {
    /// A packet of link type `link` (tcpdump.org's LINKTYPE numbers).
    fn packet(&mut self, link: u32, received_ns: u64, bytes: &[u8]) -> io::Result<()> {
        match link::udp(link, bytes) {
            Ok((source, payload)) => self.datagram(Datagram {
                source,
                received_ns,
                payload,
            })?,
            Err(link::Other::NotUdp) => self.tally.other_packets += 1,
            Err(link::Other::Fragment) => self.tally.fragments += 1,
            Err(link::Other::Cut) => self.tally.cut_packets += 1,
            Err(link::Other::UnknownLink) => self.tally.unknown_links += 1,
        }
        Ok(())
    }

    fn datagram(&mut self, datagram: Datagram<'_>) -> io::Result<()> {
        self.tally.datagrams += 1;
        (self.visit)(datagram)
    }
}
