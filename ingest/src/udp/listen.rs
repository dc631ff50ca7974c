//! Where the collector listens: URLs, sockets, receive buffers.
//!
//! `sflow://`, `netflow://` and `flow://` differ in their usual port and in what is said when something else
//! arrives. Datagrams are decoded by their content at each of them: exporters in the field do send NetFlow to
//! the sFlow port, and dropping what can be read would help nobody.
//! Several sockets may share a port: the kernel spreads exporters over them by address and source port.
//! Law: a port that cannot be had is an error that names it, never a listener less, and never shared with another
//! process.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::CollectError;
use crate::wire::Protocol;

/// How long a receive call waits before the thread looks whether it should stop.
pub(super) const RECEIVE_WAIT: Duration = Duration::from_millis(100);

/// What a listener is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// sFlow.
    Sflow,
    /// NetFlow v5, v9 and IPFIX.
    Netflow,
    /// All of them.
    Flow,
}

impl Scheme {
    const ALL: [(Scheme, &'static str, Option<u16>); 3] = [
        (Scheme::Sflow, "sflow", Some(6343)),
        (Scheme::Netflow, "netflow", Some(2055)),
        (Scheme::Flow, "flow", None),
    ];

    /// Whether the listener is meant for this protocol.
    pub fn expects(self, protocol: Protocol) -> bool {
        match self {
            Scheme::Sflow => protocol == Protocol::Sflow5,
            Scheme::Netflow => protocol != Protocol::Sflow5,
            Scheme::Flow => true,
        }
    }
}

/// One `--listen`: a scheme and an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What it is meant for.
    pub scheme: Scheme,
    /// Where it is bound; port 0 takes a free one.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = CollectError;

    /// `sflow://:6343`, `netflow://[::1]:2055`, `flow://host:port`; without a host all addresses of both
    /// families, without a port the usual one (6343, 2055; `flow` has none).
    fn from_str(url: &str) -> Result<Listen, CollectError> {
        let bad = |what: &str| CollectError::BadUrl {
            url: flow_topic::shown(url),
            what: what.to_owned(),
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("no scheme"))?;
        let (scheme, _, usual) = Scheme::ALL
            .into_iter()
            .find(|(_, name, _)| *name == scheme)
            .ok_or_else(|| bad("unknown scheme"))?;
        let host_ends = rest.rfind(':').filter(|at| !rest[*at..].contains(']'));
        let (host, port) = match host_ends {
            Some(at) => (
                &rest[..at],
                rest[at + 1..].parse().map_err(|_| bad("no port number"))?,
            ),
            None => (rest, usual.ok_or_else(|| bad("flow:// needs a port"))?),
        };
        let host = match host.strip_prefix('[') {
            Some(v6) => v6
                .strip_suffix(']')
                .ok_or_else(|| bad("a bracket is not closed"))?,
            None => host,
        };
        let address = if host.is_empty() {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
        } else {
            let mut found = (host, port)
                .to_socket_addrs()
                .map_err(|_| bad("no such host"))?;
            found.next().ok_or_else(|| bad("the host has no address"))?
        };
        Ok(Listen { scheme, address })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Scheme::ALL
            .iter()
            .find(|(s, ..)| *s == self.scheme)
            .map_or("", |(_, name, _)| name);
        if self.address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            write!(f, "{name}://:{}", self.address.port())
        } else {
            write!(f, "{name}://{}", self.address)
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// With the port it got.
    pub(super) listen: Listen,
    pub(super) socket: UdpSocket,
    /// What the kernel grants, in its own accounting (it counts its overhead, too).
    pub(super) receive_buffer_bytes: usize,
}

/// Binds `sockets` sockets to one port, asking for a receive buffer of `buffer_bytes` for each; the kernel gives at
/// most `net.core.rmem_max`.
pub(super) fn bind(
    listen: &Listen,
    sockets: usize,
    buffer_bytes: usize,
) -> Result<Vec<Listener>, CollectError> {
    let failed = |source| CollectError::Bind {
        listen: listen.to_string(),
        source,
    };
    let alone = bind_alone(listen.address, buffer_bytes).map_err(failed)?;
    let listener = |(socket, receive_buffer_bytes): (UdpSocket, usize)| {
        let listen = Listen {
            scheme: listen.scheme,
            address: socket.local_addr().map_err(failed)?,
        };
        Ok(Listener {
            listen,
            socket,
            receive_buffer_bytes,
        })
    };
    if sockets <= 1 {
        return Ok(vec![listener(alone)?]);
    }
    // Nobody else had the port: SO_REUSEPORT would not tell, another process of ours would get half of what comes.
    let address = alone.0.local_addr().map_err(failed)?;
    drop(alone);
    let shared = (0..sockets).map(|_| bind_to(address, buffer_bytes, true).map_err(failed));
    shared.map(|socket| listener(socket?)).collect()
}

fn bind_alone(address: SocketAddr, buffer_bytes: usize) -> std::io::Result<(UdpSocket, usize)> {
    let any = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match bind_to(address, buffer_bytes, false) {
        // A machine without IPv6: all addresses are the IPv4 ones.
        Err(error) if any && no_ipv6(&error) => {
            let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            bind_to(v4, buffer_bytes, false)
        }
        other => other,
    }
}

fn no_ipv6(error: &std::io::Error) -> bool {
    let code = error.raw_os_error();
    [nix::libc::EAFNOSUPPORT, nix::libc::EADDRNOTAVAIL]
        .iter()
        .any(|known| code == Some(*known))
}

fn bind_to(
    address: SocketAddr,
    buffer_bytes: usize,
    shared: bool,
) -> std::io::Result<(UdpSocket, usize)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    // Asking for too much is no error: the kernel cuts it, and we report what it gave.
    socket.set_recv_buffer_size(buffer_bytes)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.set_read_timeout(Some(RECEIVE_WAIT))?;
    let granted = socket.recv_buffer_size()?;
    Ok((socket.into(), granted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, shown) in [
            ("sflow://:6343", "sflow://:6343"),
            ("sflow://", "sflow://:6343"),
            ("netflow://", "netflow://:2055"),
            ("netflow://127.0.0.1", "netflow://127.0.0.1:2055"),
            ("netflow://[::1]", "netflow://[::1]:2055"),
            ("flow://[::1]:9000", "flow://[::1]:9000"),
            ("flow://0.0.0.0:9", "flow://0.0.0.0:9"),
        ] {
            let listen: Listen = url.parse().expect(url);
            assert_eq!(listen.to_string(), shown);
            assert_eq!(shown.parse::<Listen>().expect(shown), listen);
        }
        for url in [
            "",
            ":6343",
            "udp://:1",
            "flow://",
            "sflow://:x",
            "sflow://:70000",
            "sflow://[::1:9",
        ] {
            assert!(url.parse::<Listen>().is_err(), "{url}");
        }
    }

    #[test]
    fn schemes_expect_their_protocols() {
        assert!(Scheme::Sflow.expects(Protocol::Sflow5) && !Scheme::Sflow.expects(Protocol::Ipfix));
        assert!(
            Scheme::Netflow.expects(Protocol::NetflowV5)
                && !Scheme::Netflow.expects(Protocol::Sflow5)
        );
        assert!(Protocol::ALL.into_iter().all(|p| Scheme::Flow.expects(p)));
    }

    #[test]
    fn a_taken_port_is_named() {
        let any: Listen = "flow://127.0.0.1:0".parse().expect("url");
        for sockets in [1, 3] {
            let first = bind(&any, sockets, 1 << 16).expect("free");
            assert_eq!(first.len(), sockets);
            for socket in &first {
                assert!(socket.receive_buffer_bytes >= 1 << 16);
                assert_ne!(socket.listen.address.port(), 0);
                assert_eq!(socket.listen, first[0].listen);
            }
            for others in [1, 2] {
                let error = bind(&first[0].listen, others, 1 << 16).expect_err("taken");
                let named = format!("{}: ", first[0].listen);
                assert!(error.to_string().starts_with(&named), "{error}");
            }
        }
    }
}
