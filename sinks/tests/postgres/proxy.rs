//! A way to the server that breaks where a test wants it: before or after the n-th message of the client.
//!
//! What is cut *after* a message has reached the server and was carried out; its answer is lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Where to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Messages of the client that still get through.
    pub(crate) messages: u64,
    /// The next one gets through as well, and its answer does not.
    pub(crate) after: bool,
}

/// A listener on loopback.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    plan: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    /// In front of `postgres://user@host:port`.
    pub(crate) fn start(server: &str) -> Proxy {
        let target = server.rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan: Arc<Mutex<Option<Cut>>> = Arc::default();
        let given = Arc::clone(&plan);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&target).unwrap();
                for socket in [&server, &client] {
                    socket.set_nodelay(true).unwrap();
                }
                let muted = Arc::new(Mutex::new(false));
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let quiet = Arc::clone(&muted);
                std::thread::spawn(move || drop(answers(back.0, back.1, &quiet)));
                let plan = Arc::clone(&given);
                std::thread::spawn(move || drop(requests(client, server, &plan, &muted)));
            }
        });
        Proxy { port, plan }
    }

    /// Cuts from now on.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.plan.lock().unwrap() = Some(cut);
    }

    /// Cuts no more; true if the planned cut has happened.
    pub(crate) fn heal(&self) -> bool {
        self.plan.lock().unwrap().take().is_none()
    }
}

/// From the server; after a muted request nothing gets through.
fn answers(
    mut server: TcpStream,
    mut client: TcpStream,
    muted: &Mutex<bool>,
) -> std::io::Result<()> {
    let mut bytes = [0; 16 << 10];
    loop {
        let n = server.read(&mut bytes)?;
        if n == 0 || *muted.lock().unwrap() {
            server.shutdown(Shutdown::Both).ok();
            return client.shutdown(Shutdown::Both);
        }
        client.write_all(&bytes[..n])?;
    }
}

/// From the client, message by message.
fn requests(
    mut client: TcpStream,
    mut server: TcpStream,
    plan: &Mutex<Option<Cut>>,
    muted: &Mutex<bool>,
) -> std::io::Result<()> {
    let mut kind = 0;
    loop {
        let mut message = vec![0; kind + 4];
        if client.read_exact(&mut message).is_err() {
            return server.shutdown(Shutdown::Both);
        }
        // The first message has no kind before its length.
        let length = u32::from_be_bytes(message[kind..].try_into().unwrap());
        let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
        client.read_exact(&mut rest)?;
        message.append(&mut rest);
        kind = 1;
        let now = {
            let mut plan = plan.lock().unwrap();
            match &mut *plan {
                Some(cut) if cut.messages == 0 => plan.take(),
                Some(cut) => {
                    cut.messages -= 1;
                    None
                }
                None => None,
            }
        };
        match now {
            Some(cut) if cut.after => {
                *muted.lock().unwrap() = true;
                server.write_all(&message)?;
            }
            Some(_) => {
                server.shutdown(Shutdown::Both).ok();
                return client.shutdown(Shutdown::Both);
            }
            None => server.write_all(&message)?,
        }
    }
}
