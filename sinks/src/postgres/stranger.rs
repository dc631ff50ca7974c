//! What it is that accepts a connection and does not answer as a PostgreSQL does.
//!
//! A server that waits for a line of HTTP says nothing to PostgreSQL's first packet, and neither does one that hangs. Law:
//! a server that answers in time is asked nothing here; of one that does not, it is told within the limit of a connection.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// A PostgreSQL answers in much less.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends with what the server at the address does, if that is no PostgreSQL or has not answered within `limit`. Never ends
/// where nobody accepts connections, which connecting itself tells best, nor where several hosts are tried in turn.
pub(super) async fn stranger(config: &Config, limit: Duration) -> String {
    let ([Host::Tcp(host)], [port]) = (config.get_hosts(), config.get_ports()) else {
        return pending().await;
    };
    let deadline = Instant::now() + limit;
    sleep(PATIENCE.min(limit / 2)).await;
    let connecting = TcpStream::connect((host.as_str(), *port));
    let Ok(Ok(stream)) = timeout_at(deadline, connecting).await else {
        return pending().await;
    };
    if let Ok(Ok(true)) = timeout_at(deadline, speaks_http(&stream)).await {
        return "it is a server for HTTP, no PostgreSQL".to_owned();
    }
    sleep_until(deadline).await;
    let secs = limit.as_secs();
    format!("it accepts connections, and gives no answer within {secs} s")
}

async fn speaks_http(stream: &TcpStream) -> io::Result<bool> {
    const WORD: &[u8] = b"HTTP/";
    stream.writable().await?;
    stream.try_write(b"GET / HTTP/1.0\r\n\r\n")?;
    stream.readable().await?;
    let mut answer = [0; WORD.len()];
    let length = stream.try_read(&mut answer)?;
    Ok(length == WORD.len() && answer == WORD)
}
