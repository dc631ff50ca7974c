//! `SharedDecoder`: one decoder for any number of threads.
//!
//! Several sockets share a port, and the kernel spreads an exporter's source ports over them: its templates may come
//! in at one, its data at another. So all see the same state, split by exporter into parts with a lock each, held for
//! one datagram. Law: what is decoded does not depend on the thread that decodes it, only on the order in which an
//! exporter's datagrams come.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flow_proto::{Addr, Flow};

use super::reader::Reader;
use super::saved::{self, Restored, Saved, SavedError};
use super::{Decoder, Limits, Outcome};

/// Parts; far more than threads, so that two seldom meet at one.
const PARTS: usize = 16;

/// A decoder that threads share.
#[derive(Debug)]
pub struct SharedDecoder {
    parts: Vec<Mutex<Decoder>>,
}

impl SharedDecoder {
    /// A decoder that knows no exporter yet. What `limits` bounds for all exporters together is divided evenly, so
    /// that a flood from one address fills its part alone.
    pub fn new(limits: Limits) -> SharedDecoder {
        let part = Limits {
            exporters: limits.exporters.div_ceil(PARTS),
            entries: limits.entries.div_ceil(PARTS),
            early_bytes: limits.early_bytes.div_ceil(PARTS),
            ..limits
        };
        SharedDecoder {
            parts: (0..PARTS).map(|_| Mutex::new(Decoder::new(part))).collect(),
        }
    }

    /// As `Decoder::decode`.
    pub fn decode(
        &self,
        source: Addr,
        received_ns: u64,
        datagram: &[u8],
        out: &mut Vec<Flow>,
    ) -> Outcome {
        let part = part_of(source, self.parts.len());
        match self.parts.get(part) {
            Some(part) => lock(part).decode(source, received_ns, datagram, out),
            None => Outcome::default(),
        }
    }

    /// Exporters known, by address.
    pub fn exporters(&self) -> usize {
        self.parts.iter().map(|part| lock(part).exporters()).sum()
    }

    /// What is kept for all exporters together.
    pub fn entries(&self) -> usize {
        self.parts.iter().map(|part| lock(part).entries()).sum()
    }

    /// As `Decoder::news`.
    pub fn news(&self) -> u64 {
        self.parts.iter().map(|part| lock(part).news()).sum()
    }

    /// Templates and sampling rates as the content of a file; the same state gives the same bytes.
    pub fn save(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for part in &self.parts {
            lock(part).save(&mut body);
        }
        saved::file(&body)
    }

    /// Takes what `save` gave, as far as it is not too old at `now_ns` and there is room.
    ///
    /// # Errors
    /// If the content is of another kind or version, or damaged; nothing is taken then.
    pub fn restore(&self, content: &[u8], now_ns: u64) -> Result<Restored, SavedError> {
        let mut reader = Reader::new(saved::body(content)?);
        let mut all = Vec::new();
        while reader.len() > 0 {
            all.push(Saved::read(&mut reader).ok_or(SavedError::Damaged)?);
        }
        let mut restored = Restored::default();
        for domain in &all {
            let part = part_of(domain.source, self.parts.len());
            if let Some(part) = self.parts.get(part) {
                lock(part).restore(domain, now_ns, &mut restored);
            }
        }
        Ok(restored)
    }

    /// Bytes of the data sets that wait for their template.
    pub fn early_bytes(&self) -> usize {
        self.parts.iter().map(|part| lock(part).early_bytes()).sum()
    }
}

/// A panic of another thread while it decoded has left counts, no half-written flows: the state is good to go on.
fn lock(part: &Mutex<Decoder>) -> MutexGuard<'_, Decoder> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

fn part_of(source: Addr, parts: usize) -> usize {
    // Exporters are neighbours: their addresses differ in the last bytes.
    let hash = source.0.iter().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(0x9e37_79b1) ^ u32::from(*byte)
    });
    usize::try_from(hash.wrapping_mul(0x9e37_79b1) >> 16).unwrap_or(0) % parts.max(1)
}
