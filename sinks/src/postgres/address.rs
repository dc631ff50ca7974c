//! A `postgres://` URL, taken apart.
//!
//! Law: a password is never in the name that messages, logs and metrics show; what libpq's URLs mean, ours mean too,
//! and an option that there is not is refused by naming those there are.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::password;
use super::tls::{self, Tls};
use crate::SinkError;
use crate::login::Login;
use crate::options::{self, StoreOptions};

/// Options of this store beside those of every store.
const OPTIONS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "schema",
    "password_file",
    "passfile",
    "connect_timeout",
    "statement_timeout",
    "application_name",
];
/// How long a connection may take to come about, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one statement may take, unless the URL says otherwise.
const STATEMENT: Duration = Duration::from_secs(120);
/// What was sent and is not acknowledged for this long: the peer is gone.
const PEER_GONE: Duration = Duration::from_secs(30);
/// Silence after which the peer is asked whether it is there, and between the questions.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where a database is and how to talk to it.
#[derive(Clone)]
pub(super) struct Address {
    /// The URL without secrets.
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// `schema=NAME`: where the tables are; `None`: the first of the server's search path, mostly `public`.
    pub(super) schema: Option<String>,
    /// Longest time for one statement.
    pub(super) statement_limit: Duration,
    pub(super) options: StoreOptions,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// From a URL `postgres://user:password@host:port/database?option=value&…`; every part may be absent.
    pub(super) fn parse(url: &str) -> Result<Address, SinkError> {
        let login = Login::of(url, "postgres")?;
        let name = with_schema(&login);
        let (taken, rest) = options::take(login.query, &name)?;
        let mut address = Address {
            config: Config::new(),
            tls: Tls::None,
            schema: None,
            statement_limit: STATEMENT,
            options: taken,
            name,
        };
        address.place(login.hosts, login.user, login.database)?;
        address.own(&rest, login.secret)?;
        Ok(address)
    }

    /// Hosts, user, database, and how a dead peer is noticed.
    fn place(&mut self, hosts: &str, user: &str, database: &str) -> Result<(), SinkError> {
        for host in hosts.split(',') {
            let (host, port) = match host.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => (host, port),
                _ => (host, ""),
            };
            let host = self.decode(host.trim_start_matches('[').trim_end_matches(']'))?;
            let port = if port.is_empty() { "5432" } else { port };
            let port = port.parse::<u16>().map_err(|_| {
                SinkError::refused(format!("sink {}: a port is no port", self.name))
            })?;
            let host = if host.is_empty() { "localhost" } else { &host };
            self.config.host(host).port(port);
        }
        if !user.is_empty() {
            self.config.user(self.decode(user)?);
        }
        if !database.is_empty() {
            self.config.dbname(self.decode(database)?);
        }
        self.config
            .application_name("flow-pipeline")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(PEER_GONE)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3);
        Ok(())
    }

    /// The options that are this store's own.
    fn own(&mut self, pairs: &[(String, String)], secret: &str) -> Result<(), SinkError> {
        let mut wanted = tls::Wanted::default();
        let mut source = password::Source::default();
        let mut left = Vec::new();
        for (name, value) in pairs {
            let value = self.decode(value)?;
            match name.as_str() {
                "sslmode" => wanted.mode = Some(value),
                "sslrootcert" => wanted.root_certificates = Some(value),
                "sslcert" => wanted.certificate = Some(value),
                "sslkey" => wanted.key = Some(value),
                "schema" if !value.is_empty() => self.schema = Some(value),
                "password_file" => source.file = Some(value),
                "passfile" => source.pass_file = Some(value),
                "connect_timeout" => {
                    self.config.connect_timeout(self.seconds(name, &value)?);
                }
                "statement_timeout" => self.statement_limit = self.seconds(name, &value)?,
                "application_name" => {
                    self.config.application_name(value);
                }
                _ => left.push((name.clone(), value)),
            }
        }
        options::nothing_left(&left, &self.name, OPTIONS)?;
        source.url = Some(self.decode(secret)?).filter(|secret| !secret.is_empty());
        source.environment = std::env::var("PGPASSWORD").ok();
        if let Some(password) = source.password(&self.config, &self.name)? {
            self.config.password(password);
        }
        self.tls = wanted.build(&self.name)?;
        self.config.ssl_mode(match &self.tls {
            Tls::None => SslMode::Disable,
            Tls::IfOffered(_) => SslMode::Prefer,
            Tls::Always(_) => SslMode::Require,
        });
        Ok(())
    }

    fn seconds(&self, option: &str, value: &str) -> Result<Duration, SinkError> {
        match value.trim_end_matches('s').parse::<u32>() {
            Ok(secs @ 1..) => Ok(Duration::from_secs(u64::from(secs))),
            _ => Err(SinkError::refused(format!(
                "sink {}: {option} `{value}` is no number of seconds from 1 on",
                self.name
            ))),
        }
    }

    fn decode(&self, text: &str) -> Result<String, SinkError> {
        percent_decoded(text).ok_or_else(|| {
            SinkError::refused(format!(
                "sink {}: a `%` in a URL begins a byte in two hexadecimal digits, a `%` itself is written %25",
                self.name
            ))
        })
    }
}

/// The URL as it may be shown, with the option that tells databases apart.
fn with_schema(login: &Login<'_>) -> String {
    let schema = login
        .query
        .split('&')
        .find(|pair| pair.starts_with("schema="));
    let schema = schema.map_or(String::new(), |pair| format!("?{pair}"));
    format!("{}{schema}", login.name)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    #[test]
    fn parts_are_decoded_and_the_password_is_nowhere_to_be_seen() {
        let address = Address::parse(
            "postgresql://flow%40x:s%3Acret%2F@db.example:6432/net%20flow?sslmode=disable&schema=mine\
             &retention=30d&statement_timeout=7",
        )
        .unwrap();
        let config = &address.config;
        assert_eq!(config.get_user(), Some("flow@x"));
        assert_eq!(config.get_password(), Some(&b"s:cret/"[..]));
        assert_eq!(config.get_dbname(), Some("net flow"));
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".into())]);
        assert_eq!(config.get_ports(), [6432]);
        assert_eq!(address.schema.as_deref(), Some("mine"));
        assert_eq!(address.options.retention_secs, Some(30 * 86_400));
        assert_eq!(address.statement_limit, Duration::from_secs(7));
        let all = format!("{address:?} {}", address.name);
        assert!(!all.contains("cret"), "{all}");
        assert_eq!(
            address.name,
            "postgres://flow%40x@db.example:6432/net%20flow?schema=mine"
        );
    }

    #[test]
    fn hosts_in_every_notation() {
        let hosts = |url: &str| {
            let address = Address::parse(url).unwrap();
            (
                address.config.get_hosts().to_vec(),
                address.config.get_ports().to_vec(),
            )
        };
        let tcp = |name: &str| Host::Tcp(name.into());
        assert_eq!(hosts("postgres://[::1]:7/d"), (vec![tcp("::1")], vec![7]));
        assert_eq!(hosts("postgres://[::1]/d"), (vec![tcp("::1")], vec![5432]));
        assert_eq!(hosts("postgres://"), (vec![tcp("localhost")], vec![5432]));
        assert_eq!(
            hosts("postgres://u@a:1,b/d"),
            (vec![tcp("a"), tcp("b")], vec![1, 5432])
        );
        assert_eq!(
            hosts("postgres://u@%2Frun%2Fpg/d").0,
            [Host::Unix("/run/pg".into())]
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, words) in [
            (
                "postgres://u:secret@h:port/d",
                "h:port/d: a port is a whole",
            ),
            ("postgres://u:secret/x@h/d", "/ is %2F"),
            ("postgres://u:secret?x@h/d", "? is %3F"),
            ("postgres://u:secret", "percent-encoded"),
            ("postgres://u:secret/h/d", "percent-encoded"),
            ("postgres://u:secret@h/d?sslmode=allow", "verify-full"),
            ("postgres://u:secret@h/d?mode=x", "`mode`"),
            ("postgres://u:secret@h/d%zz", "%25"),
            ("postgres://u:secret@h/d?statement_timeout=0", "from 1 on"),
            (
                "postgres://u:secret@h/d?password_file=/nowhere/p",
                "/nowhere/p",
            ),
            ("postgres://u:secret@h/d?retention=1h", "retention=30d"),
        ] {
            let line = Address::parse(url).unwrap_err().to_string();
            assert!(line.contains(words) && !line.contains('\n'), "{line}");
            assert!(!line.contains("secret"), "{line}");
        }
    }
}
