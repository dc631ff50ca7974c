//! The checked frame of a checkpoint: magic, version, length, crc32, then the body in postcard.
//!
//! A checkpoint decides what the next job does, so a torn or flipped one must be told from a whole one.
//! Law: the frame's layout never changes; a change of the body's types is a new version. The checksum covers
//! the version and the length too, so that a flipped bit never reads as "newer".

use std::path::Path;

use crate::{Checkpoint, StateError};

const MAGIC: [u8; 8] = *b"FPCHECK\n";
const HEADER_BYTES: usize = 24;

/// Version of the checkpoint's body that this program writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 3;

/// The file of a checkpoint.
///
/// # Errors
/// `Unfit` if the checkpoint cannot be serialized; `path` is for the message.
pub fn encode_checkpoint(checkpoint: &Checkpoint, path: &Path) -> Result<Vec<u8>, StateError> {
    let body = postcard::to_stdvec(checkpoint).map_err(|error| StateError::Unfit {
        path: path.to_owned(),
        what: error.to_string(),
    })?;
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&checksum(VERSION, length, &body).to_le_bytes());
    file.extend_from_slice(&body);
    Ok(file)
}

/// The checkpoint in a file.
///
/// # Errors
/// `Damaged` unless every byte is as it was written, `Newer` for a later version.
pub fn decode_checkpoint(file: &[u8], path: &Path) -> Result<Checkpoint, StateError> {
    let damaged = |what: &str| StateError::damaged(path, what);
    let (magic, rest) = file
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("cut short"))?;
    let (version, rest) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| damaged("cut short"))?;
    let (length, rest) = rest
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged("cut short"))?;
    let (crc, body) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| damaged("cut short"))?;
    let (version, length) = (u32::from_le_bytes(*version), u64::from_le_bytes(*length));
    if *magic != MAGIC {
        return Err(damaged("not a checkpoint"));
    }
    if usize::try_from(length) != Ok(body.len()) {
        return Err(damaged("its length is not the one it states"));
    }
    if checksum(version, length, body) != u32::from_le_bytes(*crc) {
        return Err(damaged("its checksum does not fit"));
    }
    if version > VERSION {
        return Err(StateError::Newer {
            path: path.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    let mut older;
    let body = match version {
        // Each version has more fields than the one before, at the end and empty then: 2 has `starts`, 3 `gaps` and
        // `generations`.
        1 | 2 => {
            older = body.to_vec();
            older.extend_from_slice(if version == 1 { &[0; 3] } else { &[0; 2] });
            &older
        }
        _ => body,
    };
    match postcard::take_from_bytes::<Checkpoint>(body) {
        Ok((checkpoint, [])) => Ok(checkpoint),
        _ => Err(damaged("its body is not a checkpoint's")),
    }
}

fn checksum(version: u32, length: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
