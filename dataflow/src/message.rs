//! A message from one process of a job to another, over a connection between them: its length, then its bytes.
//!
//! Law 9: what is longer than any of ours, or does not read as one, ends the connection and nothing else.

use std::io::{Error, Read, Result, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message larger than this was not written by us.
const MAX_BYTES: u32 = 64 << 20;

/// Sends it.
///
/// # Errors
/// If the connection is lost.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let body = postcard::to_stdvec(message).map_err(Error::other)?;
    let length = u32::try_from(body.len()).map_err(Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&body)?;
    to.flush()
}

/// Waits for one.
///
/// # Errors
/// If the connection is lost, or something else comes.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_BYTES {
        return Err(Error::other("that is no message of a job"));
    }
    let mut body = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut body)?;
    postcard::from_bytes(&body).map_err(Error::other)
}
