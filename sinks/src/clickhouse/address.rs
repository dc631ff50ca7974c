//! A `clickhouse://` URL, taken apart: where the server is, who we are there, what is kept how long.
//!
//! ClickHouse is spoken to over HTTP, since its native protocol is not promised to stay. Law: a password is in no
//! message; what cannot be is refused before anything is connected.

use std::{fmt, fs};

use flow_topic::shown::secret_file;
use native_tls::{Certificate, TlsConnector};

use crate::SinkError;
use crate::login::Login;
use crate::options::{self, StoreOptions};

/// Options of this store beside those of every store.
const OPTIONS: &[&str] = &["secure", "ca", "password_file", "kafka"];
/// Ports of ClickHouse's own configuration.
const PORTS: [(bool, &str); 2] = [(false, "8123"), (true, "8443")];

/// Where the database is and how to get in.
#[derive(Clone)]
pub(super) struct Address {
    /// The URL without secrets and options.
    pub(super) name: String,
    /// `http://host:port` or `https://host:port`.
    pub(super) server: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
    /// Whom to believe over https.
    pub(super) tls: TlsConnector,
    /// `kafka=host:port/topic`: the topic that `schema print` makes the Kafka-engine object of.
    pub(super) kafka: Option<(String, String)>,
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
    /// From `clickhouse://user:password@host:port/database?option=value&…`. The password of the URL wins over
    /// `password_file=`, that over `CLICKHOUSE_PASSWORD` (`environment`).
    pub(super) fn parse(url: &str, environment: Option<String>) -> Result<Address, SinkError> {
        let Login {
            user,
            secret,
            hosts: host,
            database,
            query,
            name,
        } = Login::of(url, "clickhouse")?;
        let text = |text| decoded(text, &name);
        let (database, user) = (text(database)?, text(user)?);
        let fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if database.is_empty() || !database.chars().all(fit) {
            return Err(SinkError::refused(format!(
                "sink {name}: `{database}` is no database; write clickhouse://user@host:8123/flows (letters, digits, _)"
            )));
        }
        let (taken, rest) = options::take(query, &name)?;
        let mut own = Own::default();
        for (option, value) in &rest {
            own.take(option, text(value)?, &name)?;
        }
        let password = match (secret, own.password) {
            ("", Some(password)) => password,
            ("", None) => environment.unwrap_or_default(),
            (secret, _) => text(secret)?,
        };
        Ok(Address {
            server: server(host, own.secure),
            user: if user.is_empty() {
                "default".to_owned()
            } else {
                user
            },
            password,
            database,
            tls: connector(own.authority.as_deref(), &name)?,
            kafka: own.kafka,
            options: taken,
            name,
        })
    }
}

/// Options of this store alone.
#[derive(Default)]
struct Own {
    secure: bool,
    authority: Option<String>,
    password: Option<String>,
    kafka: Option<(String, String)>,
}

impl Own {
    fn take(&mut self, option: &str, value: String, name: &str) -> Result<(), SinkError> {
        match (option, value.as_str()) {
            ("secure", "1" | "true") => self.secure = true,
            ("secure", "0" | "false") => self.secure = false,
            ("secure", other) => {
                return Err(SinkError::refused(format!(
                    "sink {name}: secure `{other}` is neither 1 (https) nor 0"
                )));
            }
            ("ca", _) => self.authority = Some(value),
            ("password_file", file) => {
                let text = fs::read_to_string(file)
                    .map_err(|error| unreadable(name, secret_file(file), &error))?;
                self.password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
            }
            ("kafka", place) => match place.rsplit_once('/') {
                Some((brokers, topic)) if !brokers.is_empty() && !topic.is_empty() => {
                    self.kafka = Some((brokers.to_owned(), topic.to_owned()));
                }
                _ => {
                    return Err(SinkError::refused(format!(
                        "sink {name}: kafka `{place}` is not as in kafka=host:9092/flows"
                    )));
                }
            },
            _ => {
                let left = [(option.to_owned(), value)];
                options::nothing_left(&left, name, OPTIONS)?;
            }
        }
        Ok(())
    }
}

fn server(host: &str, secure: bool) -> String {
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host, ""),
    };
    let port = match PORTS.iter().find(|(with_tls, _)| *with_tls == secure) {
        Some((_, usual)) if port.is_empty() => usual,
        _ => port,
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{host}:{port}")
}

/// Believes the system's authorities, or those of a PEM file alone.
fn connector(authority: Option<&str>, name: &str) -> Result<TlsConnector, SinkError> {
    let mut builder = TlsConnector::builder();
    if let Some(file) = authority {
        let pem = fs::read(file).map_err(|error| unreadable(name, file, &error))?;
        let found = Certificate::stack_from_pem(&pem)
            .ok()
            .filter(|all| !all.is_empty())
            .ok_or_else(|| unreadable(name, file, &"holds no certificate in PEM"))?;
        builder.disable_built_in_roots(true);
        for certificate in found {
            builder.add_root_certificate(certificate);
        }
    }
    builder
        .build()
        .map_err(|error| SinkError::refused(format!("sink {name}: TLS cannot be set up: {error}")))
}

fn unreadable(name: &str, file: &str, why: &dyn fmt::Display) -> SinkError {
    SinkError::refused(format!(
        "sink {name}: {file}: {why}; name a file that this program may read"
    ))
}

/// Text of a URL, `%20` made a space again.
fn decoded(text: &str, name: &str) -> Result<String, SinkError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let byte = match byte {
            b'%' => digit().zip(digit()).map(|(high, low)| high << 4 | low),
            byte => Some(u32::from(byte)),
        };
        bytes.push(byte.and_then(|byte| u8::try_from(byte).ok()));
    }
    let bytes: Option<Vec<u8>> = bytes.into_iter().collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            SinkError::refused(format!(
                "sink {name}: a `%` in a URL begins a byte in two hexadecimal digits, a `%` itself is written %25"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_decoded_and_the_password_is_nowhere_to_be_seen() {
        let url = "clickhouse://flow%40x:s%3Acret%2F@db.example/net?secure=1&raw=off&retention=30d";
        let address = Address::parse(url, Some("other".into())).unwrap();
        assert_eq!(address.server, "https://db.example:8443");
        assert_eq!(
            (address.user.as_str(), address.database.as_str()),
            ("flow@x", "net")
        );
        assert_eq!(address.password, "s:cret/");
        assert_eq!(address.options.retention_secs, Some(30 * 86_400));
        assert_eq!(address.name, "clickhouse://flow%40x@db.example/net");
        assert!(!format!("{address:?}").contains("cret"));
    }

    #[test]
    fn passwords_by_file_and_by_environment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "from file\n").unwrap();
        let url = format!(
            "clickhouse://u@[::1]:9/d?password_file={}",
            file.path().display()
        );
        let address = Address::parse(&url, Some("from environment".into())).unwrap();
        assert_eq!(address.password, "from file");
        assert_eq!(address.server, "http://[::1]:9");
        let address = Address::parse("clickhouse:///d", Some("from environment".into())).unwrap();
        assert_eq!(address.password, "from environment");
        assert_eq!(address.server, "http://localhost:8123");
        assert_eq!(address.user, "default");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, words) in [
            (
                "clickhouse://u:secret@h:port/d",
                "h:port/d: a port is a whole",
            ),
            ("clickhouse://u:secret/x@h/d", "/ is %2F"),
            ("clickhouse://u:secret@h", "no database"),
            ("clickhouse://u:secret@h/a;b", "no database"),
            ("clickhouse://u:secret@h/d?secure=maybe", "neither 1"),
            ("clickhouse://u:secret@h/d?mode=x", "`mode`"),
            ("clickhouse://u:secret@h/d%zz", "%25"),
            (
                "clickhouse://u:secret@h/d?kafka=flows",
                "kafka=host:9092/flows",
            ),
            (
                "clickhouse://u:secret@h/d?password_file=/nowhere/p",
                "/nowhere/p",
            ),
            ("clickhouse://u:secret@h/d?ca=/nowhere/ca", "/nowhere/ca"),
            ("clickhouse://u:secret@h/d?retention=1h", "retention=30d"),
        ] {
            let line = Address::parse(url, None).unwrap_err().to_string();
            assert!(line.contains(words) && !line.contains('\n'), "{line}");
            assert!(!line.contains("secret@"), "{line}");
        }
    }
}
