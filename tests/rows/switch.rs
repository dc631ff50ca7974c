//! Hosts of a test's own on a switch: each is a network namespace, and its cable can be pulled without a word.
//!
//! Law: nothing tells a host that a cable is out: its link stays up, and it knows the others' hardware addresses for ever, as
//! behind a router. Whatever it sends is lost.

use std::process::Command;

use crate::namespace::{Kinds, Namespace, entering};

/// A name that leads to all of them. So the program takes them for one machine, as far as names tell, and lets its processes
/// have a topic and a database in files, which they do share.
pub(crate) const NAME: &str = "switched";

/// Names are a file's.
const KINDS: Kinds = &["--net", "--mount"];
/// Makes a host that knows itself and these names.
const HOST: &str = "ip link set lo up; file=$(mktemp)
printf '127.0.0.1 localhost\\n%s' \"$1\" >$file; mount --bind $file /etc/hosts; rm $file";

/// The switch, which is a namespace with a bridge, and its hosts.
pub(crate) struct Switch {
    /// Processes in the namespaces, the switch's own first.
    ids: Vec<u32>,
    /// Empty: another process holds them.
    _held: Vec<Namespace>,
}

impl Switch {
    /// With so many hosts; `None`, and said so, if it cannot be.
    pub(crate) fn make(hosts: usize) -> Option<Switch> {
        let made = Switch::with(hosts);
        if let Err(why) = &made {
            eprintln!("SKIPPED: no network of its own can be made: {why}");
        }
        made.ok()
    }

    fn with(hosts: usize) -> Result<Switch, String> {
        let bridge = "ip link add name switch type bridge; ip link set switch up";
        let mut held = vec![Namespace::make(KINDS, bridge, &[])?];
        let names = (0..hosts).map(|host| format!("{} {NAME}\n", address(host)));
        let names: String = names.collect();
        for _ in 0..hosts {
            held.push(Namespace::make(KINDS, HOST, &[&names])?);
        }
        let switch = Switch {
            ids: held.iter().map(Namespace::id).collect(),
            _held: held,
        };
        for host in 0..hosts {
            switch.plug_in(host, hosts)?;
        }
        Ok(switch)
    }

    fn plug_in(&self, host: usize, hosts: usize) -> Result<(), String> {
        let (hardware, id) = (hardware(host), self.ids[host + 1]);
        let cable = format!(
            "ip link add name port{host} type veth peer name eth0 address {hardware} netns {id}
             ip link set port{host} master switch up"
        );
        self.tell(0, &cable)?;
        let address = address(host);
        let mut own = format!("ip address add {address}/24 dev eth0; ip link set eth0 up\n");
        for other in (0..hosts).filter(|other| *other != host) {
            let (to, at) = (self::address(other), self::hardware(other));
            own += &format!("ip neigh replace {to} lladdr {at} dev eth0 nud permanent\n");
        }
        self.tell(host + 1, &own)
    }

    /// Runs a script in one of the namespaces.
    fn tell(&self, namespace: usize, script: &str) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]);
        let out = entering(KINDS, self.ids[namespace], &command).output();
        let out = out.map_err(|error| format!("nsenter: {error}"))?;
        let why = || String::from_utf8_lossy(&out.stderr).trim().to_owned();
        out.status.success().then_some(()).ok_or_else(why)
    }

    /// The same command on a host, killed when the thread that starts it has ended: else it would keep the host.
    pub(crate) fn command(&self, host: usize, command: &Command) -> Command {
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL"]);
        bound.arg(command.get_program()).args(command.get_args());
        entering(KINDS, self.ids[host + 1], &bound)
    }

    /// Pulls a host's cable.
    pub(crate) fn pull(&self, host: usize) {
        let pulled = self.tell(0, &format!("ip link set port{host} nomaster"));
        pulled.expect("a cable");
    }

    /// Puts it back.
    pub(crate) fn put_back(&self, host: usize) {
        let back = self.tell(0, &format!("ip link set port{host} master switch"));
        back.expect("a cable");
    }

    /// In words, for a process that does not hold it.
    pub(crate) fn passed_on(&self) -> String {
        let ids: Vec<String> = self.ids.iter().map(u32::to_string).collect();
        ids.join(" ")
    }

    /// From those words.
    pub(crate) fn of(words: &str) -> Switch {
        let ids = words.split(' ').map(|id| id.parse().expect("a number"));
        Switch {
            ids: ids.collect(),
            _held: Vec::new(),
        }
    }
}

/// A host's address: of those that are kept for such networks (RFC 2544, appendix C.2.2).
pub(crate) fn address(host: usize) -> String {
    format!("198.18.0.{}", host + 1)
}

fn hardware(host: usize) -> String {
    format!("02:00:00:00:00:{:02x}", host + 1)
}
