//! Classic pcap files: a header of 24 bytes, then packets with headers of 16.
//!
//! Law: both byte orders, microseconds and nanoseconds; the file's word, not the extension's.

use std::io::{self, Read};

use super::Packets;
use super::source::Source;

/// Byte order and time unit, told by the magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    big_endian: bool,
    ns_per_unit: u64,
}

impl Format {
    pub(super) fn of(magic: [u8; 4]) -> Option<Format> {
        let (big_endian, ns_per_unit) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            _ => return None,
        };
        Some(Format {
            big_endian,
            ns_per_unit,
        })
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

pub(super) fn read<R: Read>(
    source: &mut Source<R>,
    format: Format,
    packets: &mut Packets<'_>,
) -> io::Result<()> {
    let Some([.., l0, l1, l2, l3]) = source.array::<24>()? else {
        packets.tally.damaged = true;
        return Ok(());
    };
    // The upper bits tell of a frame check sequence.
    let link = format.u32([l0, l1, l2, l3]) & 0xffff;
    loop {
        let header = source.up_to(16)?;
        if header.is_empty() {
            return Ok(());
        }
        let Ok(header) = <[u8; 16]>::try_from(header) else {
            break;
        };
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, ..] = header;
        let secs = u64::from(format.u32([s0, s1, s2, s3]));
        let fraction = u64::from(format.u32([f0, f1, f2, f3]));
        let captured = format.u32([c0, c1, c2, c3]);
        let Some(bytes) = source.take(usize::try_from(captured).unwrap_or(usize::MAX))? else {
            break;
        };
        packets.packet(
            link,
            secs * 1_000_000_000 + fraction * format.ns_per_unit,
            bytes,
        )?;
    }
    packets.tally.damaged = true;
    Ok(())
}
