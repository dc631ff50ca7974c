//! Answers the processes that call: those with a higher number than this one.
//!
//! Law 9: each caller has a thread and two seconds, and there are never more than `MOST` of them; whatever they send, the
//! start goes on. Law 8: few lines tell of callers that were turned away (`Told`).

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::connect::Shared;
use crate::told::Told;
use crate::wire::{self, Hello, MAGIC, Verdict};
use crate::{proof, socket};

/// Callers at once.
const MOST: usize = 64;
/// Between two looks for a caller, or at whether it is time to end.
const LOOK: Duration = Duration::from_millis(20);
/// Time for a whole handshake.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Accepts until the job has started.
pub(crate) fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let busy = Arc::new(AtomicUsize::new(0));
    let told = Arc::new(Mutex::new(Told::default()));
    while !shared.is_over() {
        let (stream, from) = match listener.accept() {
            Ok(caller) => caller,
            // Nobody calls, or the system is out of something: neither may end the start.
            Err(_) => {
                // Nothing wakes an accept when the start is over.
                thread::sleep(LOOK);
                continue;
            }
        };
        if busy.fetch_add(1, Ordering::AcqRel) >= MOST {
            busy.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (shared, answering, told) = (Arc::clone(shared), Arc::clone(&busy), Arc::clone(&told));
        let thread = thread::Builder::new().name("peer-answer".to_owned());
        let started = thread.spawn(move || {
            if let Err(why) = answer(stream, from, &shared) {
                tell(&told, from, &why);
            }
            answering.fetch_sub(1, Ordering::AcqRel);
        });
        if started.is_err() {
            busy.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Says that a caller was turned away, if that is still news.
fn tell(told: &Mutex<Told>, from: SocketAddr, why: &str) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let unsaid = told.another(from.ip(), why, Instant::now());
    drop(told);
    match unsaid {
        None => {}
        Some(0) => tracing::warn!(%from, "a connection was turned away: {why}"),
        Some(more) => {
            tracing::warn!(%from, "a connection was turned away, as {more} more since this was said last: {why}");
        }
    }
}

/// Hears one caller out. The error says why it is none of us.
fn answer(stream: TcpStream, from: SocketAddr, shared: &Shared) -> Result<(), String> {
    let cluster = &shared.cluster;
    let broken = |error: io::Error| format!("no process of this job ({})", cause(&error));
    stream.set_nonblocking(false).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    let nonce = proof::nonce().map_err(broken)?;
    let greeting = [&MAGIC[..], &nonce].concat();
    io::Write::write_all(&mut &stream, &greeting).map_err(broken)?;
    let mut patient = Patient::new(&stream);
    let hello = Hello::receive(&mut patient, &cluster.token, &nonce).map_err(broken)?;
    let Some(hello) = hello else {
        return Err("it has another token".to_owned());
    };
    let process = usize::try_from(hello.process).unwrap_or(usize::MAX);
    // Placed before it is told so, since two of the same number may call at once.
    let verdict = match unfit(&hello, process, shared) {
        Some(words) => Verdict::Unfit(words),
        None if settle(process, &stream, shared).map_err(broken)? => Verdict::Welcome,
        None => Verdict::Occupied(format!(
            "process {process} is there already; give each process a --process of its own"
        )),
    };
    wire::send_verdict(&mut &stream, &cluster.token, &hello.nonce, &verdict).map_err(broken)?;
    match verdict {
        Verdict::Welcome => {
            tracing::info!(process, %from, "a process of this job has connected");
            Ok(())
        }
        Verdict::Occupied(words) | Verdict::Unfit(words) => Err(words),
    }
}

/// Gives the caller its place; false: it is taken. One that has gone is given a moment to be noticed, so that a process that
/// was started again finds room.
fn settle(process: usize, stream: &TcpStream, shared: &Shared) -> io::Result<bool> {
    socket::watch(stream)?;
    for _ in 0..10 {
        if shared.place(process, stream.try_clone()?) {
            return Ok(true);
        }
        thread::sleep(LOOK);
    }
    Ok(false)
}

/// What speaks against a process that has the token, as it is told.
fn unfit(hello: &Hello, process: usize, shared: &Shared) -> Option<String> {
    let cluster = &shared.cluster;
    let (me, count) = (cluster.process, cluster.hosts.count());
    if hello.build != cluster.build {
        return Some(
            "it runs another build of the program; run the same one everywhere".to_owned(),
        );
    }
    if let Some((key, ours, theirs)) = wire::difference(&cluster.options, &hello.options) {
        return Some(format!(
            "process {process} has {key} {theirs}, process {me} has {ours}; give every process the same"
        ));
    }
    if process <= me || process >= count {
        return Some(format!(
            "it calls itself process {process} and has called process {me} of {count}; give every process the same --hosts, \
             and a --process of its own"
        ));
    }
    None
}

/// Few words for what was wrong with the bytes.
fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it has hung up".to_owned(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "it has said nothing for 2 s".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A connection that is read until a moment, and no longer, however slowly the bytes come.
pub(crate) struct Patient<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Patient<'_> {
    pub(crate) fn new(stream: &TcpStream) -> Patient<'_> {
        Patient {
            stream,
            until: Instant::now() + PATIENCE,
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(into)
    }
}
