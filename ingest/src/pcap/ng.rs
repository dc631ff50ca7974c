//! pcapng files (draft-ietf-opsawg-pcapng): sections of blocks; byte order per section, time unit per
//! interface.
//!
//! Law: blocks that hold no packet are skipped by their length; a block that makes no sense ends the reading.

use std::io::{self, Read};

use super::source::Source;
use super::{MOST_BYTES, Packets};

/// First four bytes of a section, and its block type, alike in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Interfaces of a section; those beyond are not known.
const MOST_INTERFACES: usize = 4096;

/// A section's byte order and interfaces.
#[derive(Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

struct Interface {
    link: u32,
    snap_bytes: usize,
    /// Units of a timestamp in a second.
    per_second: u64,
    /// Seconds to be added.
    offset_secs: i64,
}

pub(super) fn read<R: Read>(source: &mut Source<R>, packets: &mut Packets<'_>) -> io::Result<()> {
    let mut section = Section::default();
    loop {
        let head = source.up_to(8)?;
        if head.is_empty() {
            return Ok(());
        }
        let Ok(head) = <[u8; 8]>::try_from(head) else {
            break;
        };
        let [k0, k1, k2, k3, l0, l1, l2, l3] = head;
        let mut length_read = 8;
        if [k0, k1, k2, k3] == SECTION_HEADER {
            let Some(order) = source.array::<4>()? else {
                break;
            };
            length_read += 4;
            section = Section::default();
            match order {
                [0x1a, 0x2b, 0x3c, 0x4d] => section.big_endian = true,
                [0x4d, 0x3c, 0x2b, 0x1a] => section.big_endian = false,
                _ => break,
            }
        }
        let kind = section.u32([k0, k1, k2, k3]);
        let length = usize::try_from(section.u32([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let rest = length
            .checked_sub(length_read)
            .filter(|rest| *rest >= 4 && *rest <= MOST_BYTES);
        let Some(rest) = rest else { break };
        let Some(block) = source.take(rest)? else {
            break;
        };
        // The length stands again at the end.
        let body = block.get(..rest - 4).unwrap_or(&[]);
        section.block(kind, body, packets)?;
    }
    packets.tally.damaged = true;
    Ok(())
}

impl Section {
    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    fn block(&mut self, kind: u32, body: &[u8], packets: &mut Packets<'_>) -> io::Result<()> {
        match kind {
            INTERFACE => {
                if self.interfaces.len() < MOST_INTERFACES
                    && let Some(interface) = self.interface(body)
                {
                    self.interfaces.push(interface);
                }
                Ok(())
            }
            ENHANCED_PACKET | OBSOLETE_PACKET => self.packet(kind, body, packets),
            SIMPLE_PACKET => self.simple_packet(body, packets),
            _ => Ok(()),
        }
    }

    fn interface(&self, body: &[u8]) -> Option<Interface> {
        let ([l0, l1, _, _, s @ ..], mut options) = body.split_first_chunk::<8>()?;
        let snap = usize::try_from(self.u32(*s)).unwrap_or(usize::MAX);
        let mut interface = Interface {
            link: u32::from(self.u16([*l0, *l1])),
            snap_bytes: if snap == 0 { usize::MAX } else { snap },
            per_second: 1_000_000,
            offset_secs: 0,
        };
        while let Some(([c0, c1, n0, n1], rest)) = options.split_first_chunk::<4>() {
            let length = usize::from(self.u16([*n0, *n1]));
            let Some(value) = rest.get(..length) else {
                break;
            };
            match (self.u16([*c0, *c1]), value) {
                (0, _) => break,
                // if_tsresol: a power of 10, or of 2 if the top bit is set.
                (9, [resolution, ..]) => interface.per_second = per_second(*resolution)?,
                (14, [a, b, c, d, e, f, g, h]) => {
                    let bytes = [*a, *b, *c, *d, *e, *f, *g, *h];
                    interface.offset_secs = match self.big_endian {
                        true => i64::from_be_bytes(bytes),
                        false => i64::from_le_bytes(bytes),
                    };
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
        Some(interface)
    }

    /// Enhanced: interface, time, lengths. Obsolete: a 16-bit interface and a drop count in its place.
    fn packet(&self, kind: u32, body: &[u8], packets: &mut Packets<'_>) -> io::Result<()> {
        let Some((header, data)) = body.split_first_chunk::<20>() else {
            return Ok(());
        };
        let [
            i0,
            i1,
            i2,
            i3,
            h0,
            h1,
            h2,
            h3,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            c2,
            c3,
            ..,
        ] = *header;
        let interface = match kind {
            ENHANCED_PACKET => self.u32([i0, i1, i2, i3]),
            _ => u32::from(self.u16([i0, i1])),
        };
        let high = u64::from(self.u32([h0, h1, h2, h3]));
        let time = high << 32 | u64::from(self.u32([l0, l1, l2, l3]));
        let captured = usize::try_from(self.u32([c0, c1, c2, c3])).unwrap_or(usize::MAX);
        let interface = usize::try_from(interface)
            .ok()
            .and_then(|at| self.interfaces.get(at));
        match (interface, data.get(..captured)) {
            (Some(interface), Some(bytes)) => {
                packets.packet(interface.link, interface.time_ns(time), bytes)
            }
            (None, _) => {
                packets.tally.unknown_links += 1;
                Ok(())
            }
            (_, None) => {
                packets.tally.cut_packets += 1;
                Ok(())
            }
        }
    }

    /// Of the first interface, without a time.
    fn simple_packet(&self, body: &[u8], packets: &mut Packets<'_>) -> io::Result<()> {
        let (Some((length, data)), Some(interface)) =
            (body.split_first_chunk::<4>(), self.interfaces.first())
        else {
            packets.tally.unknown_links += 1;
            return Ok(());
        };
        let original = usize::try_from(self.u32(*length)).unwrap_or(usize::MAX);
        let captured = original.min(interface.snap_bytes).min(data.len());
        packets.packet(interface.link, 0, data.get(..captured).unwrap_or(&[]))
    }
}

fn per_second(resolution: u8) -> Option<u64> {
    match resolution {
        0..=0x7f => 10_u64.checked_pow(u32::from(resolution)),
        _ => 1_u64.checked_shl(u32::from(resolution & 0x7f)),
    }
}

impl Interface {
    fn time_ns(&self, time: u64) -> u64 {
        let (secs, fraction) = (time / self.per_second, time % self.per_second);
        let ns = u128::from(fraction) * 1_000_000_000 / u128::from(self.per_second);
        let secs = secs.saturating_add_signed(self.offset_secs);
        secs.saturating_mul(1_000_000_000)
            .saturating_add(u64::try_from(ns).unwrap_or(0))
    }
}
