//! Connects the processes of a job: this one answers those with a higher number and calls those with a lower one.
//!
//! Law: the order of starts is free, a missing process is named every ten seconds, and one that goes away before all are
//! connected is waited for again.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::barrier::{GO, Look, NOT_READY, READY, look, say, watch};
use crate::{Hosts, PeersError, Token, call, listen, socket};

/// A connection to each process, in their order, none to oneself.
pub type Sockets = Vec<Option<TcpStream>>;

/// Between two looks at the connections.
const LOOK: Duration = Duration::from_millis(20);
/// Between two lines that name who is missing.
const MISSING: Duration = Duration::from_secs(10);

/// What a process is told of its job.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where each process listens.
    pub hosts: Hosts,
    /// Which of them this one is.
    pub process: usize,
    /// What shows that others belong to the job.
    pub token: Token,
    /// SHA-256 of the program.
    pub build: [u8; 32],
    /// What must be alike in every process: `key=value` lines.
    pub options: String,
}

/// What the threads of a start share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    connected: Mutex<Sockets>,
    /// Why a process that is called is not connected.
    why: Mutex<Vec<String>>,
    failed: Mutex<Option<PeersError>>,
    over: AtomicBool,
}

// No code that can panic runs under these locks, so what a poisoned one guards is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(cluster: Cluster) -> Shared {
        let count = cluster.hosts.count();
        Shared {
            connected: Mutex::new((0..count).map(|_| None).collect()),
            why: Mutex::new(vec!["it has not called yet".to_owned(); count]),
            failed: Mutex::new(None),
            over: AtomicBool::new(false),
            cluster,
        }
    }

    pub(crate) fn connected(&self) -> MutexGuard<'_, Sockets> {
        lock(&self.connected)
    }

    pub(crate) fn is_connected(&self, process: usize) -> bool {
        self.connected().get(process).is_some_and(Option::is_some)
    }

    /// Keeps the connection; false: there is one already, or the start is over.
    pub(crate) fn place(&self, process: usize, stream: TcpStream) -> bool {
        let mut connected = self.connected();
        match connected.get_mut(process) {
            Some(place @ None) if !self.is_over() => {
                *place = Some(stream);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn note(&self, process: usize, why: String) {
        if let Some(place) = lock(&self.why).get_mut(process) {
            *place = why;
        }
    }

    pub(crate) fn fail(&self, error: PeersError) {
        lock(&self.failed).get_or_insert(error);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// Waits for all other processes; `None`: `asked` was raised before they were there.
///
/// # Errors
/// If this process can't be part of the job, whoever else is there.
pub fn connect(cluster: Cluster, asked: &AtomicBool) -> Result<Option<Sockets>, PeersError> {
    let (me, own) = (
        cluster.process,
        cluster.hosts.of(cluster.process).to_owned(),
    );
    let cant = |source| PeersError::Listen {
        address: own.clone(),
        line: me + 1,
        source,
    };
    let listener = TcpListener::bind(own.as_str()).map_err(cant)?;
    listener.set_nonblocking(true).map_err(cant)?;
    let shared = Arc::new(Shared::new(cluster));
    let answering = Arc::clone(&shared);
    let answers = thread::Builder::new()
        .name("peer-listen".to_owned())
        .spawn(move || listen::listen(&listener, &answering))?;
    for process in 0..me {
        let shared = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("peer-call-{process}"))
            .spawn(move || call::keep_calling(process, &shared))?;
    }
    let met = meet(&shared, asked);
    shared.over.store(true, Ordering::Release);
    // The port is free again, and nobody answers on it, before the job begins.
    drop(answers.join());
    // Callers still hold `shared` for a moment: connections that are not needed end here, so that the others notice at once.
    let sockets = std::mem::take(&mut *shared.connected());
    if !met? {
        return Ok(None);
    }
    for socket in sockets.iter().flatten() {
        socket::prepare(socket)?;
    }
    Ok(Some(sockets))
}

/// True when all are connected and process 0 has given the word, false when `asked` was raised.
fn meet(shared: &Shared, asked: &AtomicBool) -> Result<bool, PeersError> {
    let me = shared.cluster.process;
    let mut ready = vec![false; shared.cluster.hosts.count()];
    let (mut told, mut since) = (false, Instant::now());
    loop {
        if let Some(error) = lock(&shared.failed).take() {
            return Err(error);
        }
        if asked.load(Ordering::Acquire) {
            return Ok(false);
        }
        let mut sockets = shared.connected();
        let mut go = false;
        for (process, place) in sockets.iter_mut().enumerate() {
            // Process 0 speaks with each, the others with it alone.
            let seen = if me == 0 || process == 0 { look } else { watch };
            match place.as_ref().map_or(Look::Quiet, seen) {
                Look::Quiet => {}
                Look::Said(byte) => {
                    go |= byte == GO && process == 0;
                    if let Some(ready) = ready.get_mut(process) {
                        *ready = byte == READY;
                    }
                }
                Look::Gone => {
                    tracing::warn!(
                        process,
                        "a process has gone again while the job was starting"
                    );
                    *place = None;
                    if let Some(ready) = ready.get_mut(process) {
                        *ready = false;
                    }
                }
            }
        }
        let missing = |(process, place): (usize, &Option<TcpStream>)| {
            (process != me && place.is_none()).then_some(process)
        };
        let missing: Vec<usize> = sockets.iter().enumerate().filter_map(missing).collect();
        if let (true, Some(process)) = (go, missing.first()) {
            return Err(PeersError::Gone { process: *process });
        }
        if go {
            return Ok(true);
        }
        if me == 0 {
            let all_ready = ready.iter().skip(1).all(|ready| *ready);
            if missing.is_empty() && all_ready {
                sockets.iter().flatten().for_each(|socket| say(socket, GO));
                return Ok(true);
            }
        } else if let Some(Some(first)) = sockets.first()
            && told != missing.is_empty()
        {
            told = missing.is_empty();
            say(first, if told { READY } else { NOT_READY });
        } else if sockets.first().is_some_and(Option::is_none) {
            told = false;
        }
        drop(sockets);
        if since.elapsed() >= MISSING && !missing.is_empty() {
            since = Instant::now();
            for process in missing {
                let why = lock(&shared.why).get(process).cloned().unwrap_or_default();
                let address = shared.cluster.hosts.of(process);
                tracing::warn!(process, address, "waiting for a process of this job: {why}");
            }
        }
        // Connections, callers and the signal are looked at together: no one thing to wait for.
        thread::sleep(LOOK);
    }
}
