//! The checked frame of a checkpoint, and of the record of a replay: magic, version, length, crc32, then the body in
//! postcard.
//!
//! A checkpoint decides what the next job does, so a torn or flipped one must be told from a whole one.
//! Law: the frame's layout never changes; a change of the body's types is a new version. The checksum covers
//! the version and the length too, so that a flipped bit never reads as "newer".

use std::path::Path;

use crate::{Checkpoint, StateError};

/// What a frame holds.
pub(crate) struct Form {
    pub(crate) magic: [u8; 8],
    /// Version of the body that this program writes, and the newest that it reads.
    pub(crate) version: u32,
    /// For messages, as `a checkpoint`.
    pub(crate) name: &'static str,
}

const HEADER_BYTES: usize = 24;

const CHECKPOINT: Form = Form {
    magic: *b"FPCHECK\n",
    version: 4,
    name: "a checkpoint",
};

/// The file of a checkpoint.
///
/// # Errors
/// `Unfit` if the checkpoint cannot be serialized; `path` is for the message.
pub fn encode_checkpoint(checkpoint: &Checkpoint, path: &Path) -> Result<Vec<u8>, StateError> {
    let body = postcard::to_stdvec(checkpoint);
    Ok(framed(
        &CHECKPOINT,
        &body.map_err(|error| unfit(path, &error))?,
    ))
}

/// The checkpoint in a file.
///
/// # Errors
/// `Damaged` unless every byte is as it was written, `Newer` for a later version.
pub fn decode_checkpoint(file: &[u8], path: &Path) -> Result<Checkpoint, StateError> {
    let (version, body) = body(&CHECKPOINT, file, path)?;
    let mut older;
    let body = match version {
        // Each version has more fields than the one before, at the end and empty then: 2 has `starts`, 3 `gaps` and
        // `generations`, 4 `swaps` with its four.
        1..=3 => {
            older = body.to_vec();
            let lacking = [7, 6, 4][usize::try_from(version - 1).unwrap_or(0)];
            older.extend_from_slice(&[0; 7][..lacking]);
            &older
        }
        _ => body,
    };
    match postcard::take_from_bytes::<Checkpoint>(body) {
        Ok((checkpoint, [])) => Ok(checkpoint),
        _ => Err(StateError::damaged(path, "its body is not a checkpoint's")),
    }
}

/// That something cannot be serialized.
pub(crate) fn unfit(path: &Path, error: &postcard::Error) -> StateError {
    StateError::Unfit {
        path: path.to_owned(),
        what: error.to_string(),
    }
}

/// A file: the body in its frame.
pub(crate) fn framed(form: &Form, body: &[u8]) -> Vec<u8> {
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.extend_from_slice(&form.magic);
    file.extend_from_slice(&form.version.to_le_bytes());
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&checksum(form.version, length, body).to_le_bytes());
    file.extend_from_slice(body);
    file
}

/// Version and body of a file.
///
/// # Errors
/// As `decode_checkpoint`.
pub(crate) fn body<'f>(
    form: &Form,
    file: &'f [u8],
    path: &Path,
) -> Result<(u32, &'f [u8]), StateError> {
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
    if *magic != form.magic {
        return Err(damaged(&format!("not {}", form.name)));
    }
    if usize::try_from(length) != Ok(body.len()) {
        return Err(damaged("its length is not the one it states"));
    }
    if checksum(version, length, body) != u32::from_le_bytes(*crc) {
        return Err(damaged("its checksum does not fit"));
    }
    if version > form.version {
        return Err(StateError::Newer {
            path: path.to_owned(),
            found: version,
            known: form.version,
        });
    }
    Ok((version, body))
}

fn checksum(version: u32, length: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
