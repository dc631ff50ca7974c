//! Bytes of a source, unpacked: gzip, zstd and bzip2, told by their first bytes.
//!
//! Law 8: no more is unpacked than the bound; a packed file that is cut or damaged is refused, never read in part.

use std::borrow::Cow;
use std::io::Read;

/// First bytes of bzip2: a block's, after the digit of its size, so that a text that begins with `BZh` is none.
const BZIP2_BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];

/// Why bytes can't be had.
#[derive(Debug)]
pub(crate) enum Unpacked {
    /// Unpacked they would be more than the bound.
    TooLarge,
    /// Cut or damaged.
    Damaged(String),
}

/// The bytes themselves if they are not packed; of several members, all.
pub(crate) fn unpack(bytes: &[u8], limit_bytes: u64) -> Result<Cow<'_, [u8]>, Unpacked> {
    match bytes {
        [0x1f, 0x8b, ..] => all(
            "gzip",
            flate2::read::MultiGzDecoder::new(bytes),
            limit_bytes,
        ),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(|error| Unpacked::Damaged(format!("zstd: {error}")))?;
            all("zstd", decoder, limit_bytes)
        }
        [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.starts_with(&BZIP2_BLOCK) => all(
            "bzip2",
            bzip2::read::MultiBzDecoder::new(bytes),
            limit_bytes,
        ),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

fn all(name: &str, decoder: impl Read, limit_bytes: u64) -> Result<Cow<'static, [u8]>, Unpacked> {
    let mut unpacked = Vec::new();
    let read = decoder
        .take(limit_bytes.saturating_add(1))
        .read_to_end(&mut unpacked);
    match read {
        Ok(n) if u64::try_from(n).is_ok_and(|n| n <= limit_bytes) => Ok(Cow::Owned(unpacked)),
        Ok(_) => Err(Unpacked::TooLarge),
        Err(error) => Err(Unpacked::Damaged(format!(
            "{name}: {error}; the file is cut or damaged"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(text: &[u8]) -> [Vec<u8>; 3] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).expect("to memory");
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(text).expect("to memory");
        [
            gzip.finish().expect("gzip"),
            zstd::encode_all(text, 1).expect("zstd"),
            bzip2.finish().expect("bzip2"),
        ]
    }

    #[test]
    fn every_packing_and_several_members() {
        let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for bytes in packed(&text) {
            assert_eq!(unpack(&bytes, 200_000).expect("one").as_ref(), text);
            let twice = [&bytes[..], &bytes[..]].concat();
            assert_eq!(
                unpack(&twice, 400_000).expect("two").as_ref(),
                text.repeat(2)
            );
        }
        assert_eq!(unpack(&text, 1).expect("plain").as_ref(), text);
        assert_eq!(unpack(b"BZh1,AS1", 1).expect("text").as_ref(), b"BZh1,AS1");
    }

    #[test]
    fn a_bomb_is_not_unpacked_beyond_the_bound() {
        for bytes in packed(&vec![0; 1 << 20]) {
            assert!(bytes.len() < 1 << 14);
            assert!(matches!(
                unpack(&bytes, (1 << 20) - 1),
                Err(Unpacked::TooLarge)
            ));
        }
    }

    #[test]
    fn a_cut_is_refused() {
        for bytes in packed(&(0..2000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()) {
            for at in 12..bytes.len() {
                let cut = unpack(&bytes[..at], 1 << 20);
                assert!(matches!(cut, Err(Unpacked::Damaged(_))), "at {at}");
            }
        }
    }
}
