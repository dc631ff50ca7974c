//! What goes over a new connection between two processes, before it carries anything else.
//!
//! The one that answers sends `MAGIC` and a nonce. The one that calls sends `MAGIC`, a nonce of its own, its build, its
//! process, what it was told that must be alike everywhere (`key=value` lines), and its proof. The answer is a verdict
//! with the other proof. Numbers are little endian. Law 9: nothing is believed or allocated beyond its bound before
//! the proof is right; whoever has the wrong token hears nothing.

use std::io::{self, Read, Write};

use crate::Token;

pub(crate) const MAGIC: [u8; 8] = *b"FPPEER1\n";
/// A longer list of options was not written by us.
const MAX_OPTIONS: u16 = 8192;
/// A longer verdict neither.
const MAX_WORDS: u16 = 1024;

/// How one process presents itself to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) nonce: [u8; 16],
    /// SHA-256 of the program.
    pub(crate) build: [u8; 32],
    pub(crate) process: u32,
    /// `key=value` lines.
    pub(crate) options: String,
}

impl Hello {
    fn parts(&self) -> (Vec<u8>, &[u8]) {
        let mut head = Vec::with_capacity(52);
        head.extend_from_slice(&self.nonce);
        head.extend_from_slice(&self.build);
        head.extend_from_slice(&self.process.to_le_bytes());
        (head, self.options.as_bytes())
    }

    /// Sends it, proven by the answering side's nonce.
    pub(crate) fn send(&self, to: &mut impl Write, token: &Token, theirs: &[u8]) -> io::Result<()> {
        let (head, options) = self.parts();
        let length = u16::try_from(options.len()).map_err(io::Error::other)?;
        let proof = token.prove(&[b"caller", theirs, &head, options]);
        let mut all = MAGIC.to_vec();
        all.extend_from_slice(&head);
        all.extend_from_slice(&length.to_le_bytes());
        all.extend_from_slice(options);
        all.extend_from_slice(&proof);
        to.write_all(&all)
    }

    /// Reads it. `None`: its proof is wrong.
    pub(crate) fn receive(
        from: &mut impl Read,
        token: &Token,
        ours: &[u8],
    ) -> io::Result<Option<Hello>> {
        magic(from)?;
        let nonce: [u8; 16] = array(from)?;
        let build: [u8; 32] = array(from)?;
        let process = u32::from_le_bytes(array(from)?);
        let options = bounded(from, MAX_OPTIONS)?;
        let proof: [u8; 32] = array(from)?;
        let hello = Hello {
            nonce,
            build,
            process,
            options: String::from_utf8_lossy(&options).into_owned(),
        };
        let (head, _) = hello.parts();
        let right = token.accepts(&[b"caller", ours, &head, &options], &proof);
        Ok(right.then_some(hello))
    }
}

/// The answer to a process that knows the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The connection stays.
    Welcome,
    /// Its number is taken, which may change.
    Occupied(String),
    /// It is no process of this job.
    Unfit(String),
}

impl Verdict {
    fn parts(&self) -> (u8, &str) {
        match self {
            Verdict::Welcome => (0, ""),
            Verdict::Occupied(words) => (1, words),
            Verdict::Unfit(words) => (2, words),
        }
    }
}

/// Sends the verdict, proven by the calling side's nonce.
pub(crate) fn send_verdict(
    to: &mut impl Write,
    token: &Token,
    theirs: &[u8; 16],
    verdict: &Verdict,
) -> io::Result<()> {
    let (kind, words) = verdict.parts();
    let length = u16::try_from(words.len()).map_err(io::Error::other)?;
    let proof = token.prove(&[b"answer", theirs, &[kind], words.as_bytes()]);
    let mut all = vec![kind];
    all.extend_from_slice(&length.to_le_bytes());
    all.extend_from_slice(words.as_bytes());
    all.extend_from_slice(&proof);
    to.write_all(&all)
}

/// Reads the verdict. `None`: its proof is wrong, so whoever answers is not one of us.
pub(crate) fn receive_verdict(
    from: &mut impl Read,
    token: &Token,
    ours: &[u8; 16],
) -> io::Result<Option<Verdict>> {
    let kind: [u8; 1] = array(from)?;
    let words = bounded(from, MAX_WORDS)?;
    let proof: [u8; 32] = array(from)?;
    if !token.accepts(&[b"answer", ours, &kind, &words], &proof) {
        return Ok(None);
    }
    let words = String::from_utf8_lossy(&words).into_owned();
    match kind {
        [0] => Ok(Some(Verdict::Welcome)),
        [1] => Ok(Some(Verdict::Occupied(words))),
        [2] => Ok(Some(Verdict::Unfit(words))),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a verdict of an unknown kind",
        )),
    }
}

/// Reads `MAGIC`.
pub(crate) fn magic(from: &mut impl Read) -> io::Result<()> {
    let found: [u8; 8] = array(from)?;
    if found == MAGIC {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not speak as a process of a job",
        ))
    }
}

pub(crate) fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn bounded(from: &mut impl Read, most: u16) -> io::Result<Vec<u8>> {
    let length = u16::from_le_bytes(array(from)?);
    if length > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{length} bytes of text where at most {most} may be"),
        ));
    }
    let mut bytes = vec![0; usize::from(length)];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The first line in which two lists of options differ: key, the one's value, the other's.
pub(crate) fn difference(ours: &str, theirs: &str) -> Option<(String, String, String)> {
    let value = |text: &str, key: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .find(|(name, _)| *name == key)
            .map_or_else(|| "nothing".to_owned(), |(_, value)| value.to_owned())
    };
    let keys = ours.lines().chain(theirs.lines());
    let keys = keys.filter_map(|line| line.split_once('=').map(|(key, _)| key));
    keys.map(|key| (key.to_owned(), value(ours, key), value(theirs, key)))
        .find(|(_, one, other)| one != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new("0123456789abcdef").expect("long enough")
    }

    fn hello() -> Hello {
        Hello {
            nonce: [7; 16],
            build: [1; 32],
            process: 2,
            options: "workers=2\nslot-time=received".to_owned(),
        }
    }

    #[test]
    fn a_hello_arrives_and_any_flipped_bit_is_refused() {
        let mut sent = Vec::new();
        hello().send(&mut sent, &token(), b"nonce").expect("sent");
        let arrived = Hello::receive(&mut &sent[..], &token(), b"nonce");
        assert_eq!(arrived.expect("whole"), Some(hello()));
        let replayed = Hello::receive(&mut &sent[..], &token(), b"other");
        assert_eq!(replayed.expect("whole"), None);
        for bit in 0..sent.len() * 8 {
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let arrived = Hello::receive(&mut &flipped[..], &token(), b"nonce");
            assert!(!matches!(arrived, Ok(Some(_))), "bit {bit}");
        }
        for cut in 0..sent.len() {
            assert!(Hello::receive(&mut &sent[..cut], &token(), b"nonce").is_err());
        }
    }

    #[test]
    fn a_verdict_is_proven_too() {
        for verdict in [
            Verdict::Welcome,
            Verdict::Occupied("later".to_owned()),
            Verdict::Unfit("no".to_owned()),
        ] {
            let mut sent = Vec::new();
            send_verdict(&mut sent, &token(), &[7; 16], &verdict).expect("sent");
            let receive = |sent: &[u8]| receive_verdict(&mut &*sent, &token(), &[7; 16]);
            assert_eq!(receive(&sent).expect("whole"), Some(verdict));
            for bit in 0..sent.len() * 8 {
                let mut flipped = sent.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!matches!(receive(&flipped), Ok(Some(_))), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let ours = "workers=2\nslot-time=received";
        assert_eq!(difference(ours, ours), None);
        let found = difference(ours, "workers=2\nslot-time=end").expect("one differs");
        assert_eq!(found, ("slot-time".into(), "received".into(), "end".into()));
        let found = difference(ours, "workers=2").expect("one is missing");
        assert_eq!(found.2, "nothing");
        assert!(difference("", "new=1").is_some());
    }
}
