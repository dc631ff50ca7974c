//! HTTP: metrics, liveness, readiness, status as JSON and the page, for one process.
//!
//! On a thread and a runtime of its own, so that a slow reader of the page takes nothing from the job. Law: whatever is
//! asked, however often, costs the process a bounded amount, and changes nothing unless it bears the token.

mod last_hour;
#[cfg(test)]
mod metrics_reference;
mod routes;
mod tables;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use flow_ingest::goflow::Goflow;
use prometheus_client::registry::Registry;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

pub(crate) use tables::Tables;

use crate::failure::{Exit, Failure};

/// How many ports `Port::NextFree` tries.
const TRIES: u16 = 20;

/// What is served.
pub(crate) struct Page {
    /// Metrics for `/metrics`.
    pub(crate) registry: Arc<Registry>,
    /// The collector's in GoFlow's terms, for `/metrics?names=goflow`; `None`: no collector here.
    pub(crate) goflow: Option<Goflow>,
    /// The answer of `/api/status`; asked by every open page every two seconds, and must not block.
    pub(crate) status: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// SQLite file of `/api/last-hour`; it need not exist yet.
    pub(crate) last_hour: Option<PathBuf>,
    /// The tables of the job that runs here, if one does.
    pub(crate) tables: Option<Tables>,
    /// The answer of `/readyz`.
    pub(crate) ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What to do when the port is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// Fail.
    Exact,
    /// Take the next free one of the `TRIES` that follow.
    NextFree,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A port that is ours, before there is anything to serve.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Takes the port if an address was given: first of all, so that a taken one is told before anything has started.
pub(crate) fn bind_at(address: Option<SocketAddr>) -> Result<Option<Bound>, Failure> {
    address.map(|at| Bound::new(at, Port::Exact)).transpose()
}

/// Serves `page` if there is a port, and says where.
pub(crate) fn serve_at(bound: Option<Bound>, page: Page) -> Result<Option<Server>, Failure> {
    let Some(bound) = bound else {
        return Ok(None);
    };
    let server = start(bound, page)?;
    tracing::info!("page: http://{}", server.address);
    Ok(Some(server))
}

/// Starts to serve `page` at `address`.
pub(crate) fn serve(address: SocketAddr, port: Port, page: Page) -> Result<Server, Failure> {
    start(Bound::new(address, port)?, page)
}

impl Bound {
    fn new(address: SocketAddr, port: Port) -> Result<Bound, Failure> {
        let (listener, address) = bind(address, port).map_err(|error| {
            Failure::new(Exit::Io, format!("http {address}: {error}"))
                .hint("name another address and port with --http")
        })?;
        Ok(Bound { listener, address })
    }
}

fn start(bound: Bound, page: Page) -> Result<Server, Failure> {
    let Bound { listener, address } = bound;
    let failed = |error: io::Error| Failure::new(Exit::Io, format!("http {address}: {error}"));
    // One read of the database, or one load of tables, at a time; more would only compete.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_name("http-read")
        .build()
        .map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new()
        .name("http".into())
        .spawn(move || work(runtime, listener, stopped, page))
        .map_err(failed)?;
    Ok(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropping the sender is the signal.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the hook.
            let _ = thread.join();
        }
    }
}

fn bind(address: SocketAddr, port: Port) -> io::Result<(TcpListener, SocketAddr)> {
    let mut candidate = address;
    let mut result = TcpListener::bind(candidate);
    if port == Port::NextFree {
        for _ in 0..TRIES {
            match &result {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                _ => break,
            }
            let Some(next) = candidate.port().checked_add(1) else {
                break;
            };
            candidate.set_port(next);
            result = TcpListener::bind(candidate);
        }
    }
    let listener = result?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Serves until `stopped`. Open connections are cut then: no answer of ours is worth waiting for.
fn work(runtime: Runtime, listener: TcpListener, stopped: oneshot::Receiver<()>, page: Page) {
    let served = runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let server = axum::serve(listener, routes::router(page)).into_future();
        tokio::select! {
            result = server => result,
            _ = stopped => Ok(()),
        }
    });
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server has ended; the job goes on");
    }
    // Not waiting for a read of the database that may be under way.
    runtime.shutdown_background();
}
