//! Calls a process with a lower number than this one, until it answers.
//!
//! The order in which processes are started does not matter: whoever is not there yet is called again. Only a verdict that
//! is proven to come from the job, and would be the same again, ends the start. That this number is taken may mean that it
//! was started again after its host was lost, which the others notice some 11 s later: it ends the start only after `TAKEN`.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::connect::Shared;
use crate::listen::{PATIENCE, Patient};
use crate::wire::{self, Hello, Verdict};
use crate::{PeersError, proof, socket};

/// Between two calls.
const AGAIN: Duration = Duration::from_millis(200);
/// For so long the number may be taken by one that has gone.
const TAKEN: Duration = Duration::from_secs(15);

/// Keeps process number `process` connected until the job has started.
pub(crate) fn keep_calling(process: usize, shared: &Arc<Shared>) {
    let mut taken: Option<Instant> = None;
    while !shared.is_over() {
        if !shared.is_connected(process) {
            let refusal = call(process, shared).err();
            if !matches!(refusal, Some(Refusal::Taken(_))) {
                taken = None;
            }
            match refusal {
                None => {}
                Some(Refusal::Taken(why))
                    if taken.get_or_insert_with(Instant::now).elapsed() < TAKEN =>
                {
                    shared.note(process, why);
                }
                Some(Refusal::Again(why)) => shared.note(process, why),
                Some(Refusal::Taken(why) | Refusal::Final(why)) => {
                    let address = shared.cluster.hosts.of(process).to_owned();
                    shared.fail(PeersError::TurnedAway {
                        process,
                        address,
                        why,
                    });
                    return;
                }
            }
        }
        // A process that is not there yet can only be called again.
        thread::sleep(AGAIN);
    }
}

enum Refusal {
    /// It may be otherwise the next time.
    Again(String),
    /// Another process has this one's number.
    Taken(String),
    /// It would be the same again.
    Final(String),
}

fn call(process: usize, shared: &Shared) -> Result<(), Refusal> {
    let cluster = &shared.cluster;
    let address = cluster.hosts.of(process);
    let again = |error: io::Error| Refusal::Again(error.to_string());
    let stream = reach(address).map_err(again)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(again)?;
    let mut patient = Patient::new(&stream);
    wire::magic(&mut patient).map_err(again)?;
    let theirs: [u8; 16] = wire::array(&mut patient).map_err(again)?;
    let hello = Hello {
        nonce: proof::nonce().map_err(again)?,
        build: cluster.build,
        process: u32::try_from(cluster.process).unwrap_or(u32::MAX),
        options: cluster.options.clone(),
    };
    let sent = hello.send(&mut &stream, &cluster.token, &theirs);
    sent.map_err(again)?;
    let verdict = wire::receive_verdict(&mut patient, &cluster.token, &hello.nonce);
    let verdict = verdict.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::Again(
            "it hangs up, as it does when the token is another one: compare --token-file"
                .to_owned(),
        ),
        _ => again(error),
    })?;
    match verdict {
        None => {
            let why = "who answers there does not have the token of this job";
            Err(Refusal::Again(why.to_owned()))
        }
        Some(Verdict::Unfit(why)) => Err(Refusal::Final(why)),
        Some(Verdict::Occupied(why)) => Err(Refusal::Taken(why)),
        Some(Verdict::Welcome) => {
            socket::watch(&stream).map_err(again)?;
            if shared.place(process, stream) {
                tracing::info!(process, address, "connected to a process of this job");
            }
            Ok(())
        }
    }
}

/// Tries each address that the name leads to.
fn reach(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name leads to no address");
    for found in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&found, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
