//! `kafka://host:9092,host2:9092/topic?property=value&…`: what it names, and how it may be shown.
//!
//! Why our own: the list of hosts before the topic is no URL authority, and a secret must never come out again.
//! Law: a value that is secret is in no message; it may stand in a file (`sasl.password.file=/path`).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::shown::{ENCODED, is_port, option_name, secret_file};
use crate::{TopicError, shown};

/// Before the hosts.
pub(crate) const SCHEME: &str = "kafka://";

/// Kafka's rule for the names of topics: the brokers refuse others late, and librdkafka tells of it as of a failed
/// connection.
const NAMES: &str =
    "a Kafka topic's name has 1 to 249 of the characters a-z A-Z 0-9 . _ - and is neither . nor ..";
const LONGEST_NAME: usize = 249;

/// librdkafka's own choice, GSSAPI, is not in our build of it.
const MECHANISMS: &str = "security.protocol says SASL: give sasl.mechanism=PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";

/// Properties whose values are never shown, and may be given as `NAME.file=PATH`.
const SECRETS: [&str; 8] = [
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Properties on which the laws of a topic rest.
const OURS: [(&str, &str); 9] = [
    ("bootstrap.servers", "the hosts stand before the topic"),
    ("metadata.broker.list", "the hosts stand before the topic"),
    ("acks", "a record counts once all replicas in sync have it"),
    (
        "request.required.acks",
        "a record counts once all replicas in sync have it",
    ),
    (
        "enable.idempotence",
        "a retry must not write a record twice",
    ),
    (
        "auto.offset.reset",
        "an offset that is gone must be told, not skipped",
    ),
    ("enable.auto.commit", "offsets are kept in the job's state"),
    (
        "enable.auto.offset.store",
        "offsets are kept in the job's state",
    ),
    ("enable.partition.eof", "the job must know when all is read"),
];

/// A topic of a Kafka cluster, and the properties of its clients.
#[derive(Clone)]
pub(crate) struct Address {
    /// As for librdkafka's `bootstrap.servers`.
    pub(crate) hosts: String,
    pub(crate) topic: String,
    /// librdkafka's, in their own words.
    pub(crate) properties: BTreeMap<String, String>,
}

impl Address {
    /// Reads a URL, and the files of secrets that it names.
    pub(crate) fn parse(url: &str) -> Result<Address, TopicError> {
        let rest = url.strip_prefix(SCHEME).unwrap_or(url);
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, topic) = place.split_once('/').unwrap_or((place, ""));
        let refused = |what: &str| TopicError::BadOptions {
            url: shown(url),
            what: what.to_owned(),
        };
        let decode =
            |text: &str| decoded(text).ok_or_else(|| refused("a % stands for itself as %25"));
        if hosts.contains('@') {
            let what =
                "no user stands before the hosts: give ?sasl.username=…&sasl.password.file=/path";
            return Err(refused(what));
        }
        let hosts = decode(hosts)?;
        if !hosts.split(',').all(is_port) {
            let what = "what follows a host's : is no port; a user and a password do not stand before the hosts";
            return Err(refused(what));
        }
        if hosts.is_empty() || !place.contains('/') {
            return Err(refused(
                "give kafka://host:9092,host2:9092/topic?property=value",
            ));
        }
        let mut properties = BTreeMap::new();
        let mut before = "";
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let cut = || refused(&unnamed(before));
            let (name, value) = pair.split_once('=').ok_or_else(cut)?;
            let (known, value) = property(&decode(name)?, decode(value)?, before, &refused)?;
            properties.insert(known, value);
            before = name;
        }
        let given = |name: &str| properties.contains_key(name);
        let with_sasl = properties
            .get("security.protocol")
            .is_some_and(|protocol| protocol.to_ascii_lowercase().starts_with("sasl"));
        if with_sasl && !given("sasl.mechanism") && !given("sasl.mechanisms") {
            return Err(refused(MECHANISMS));
        }
        let topic = decode(topic)?;
        if !is_name(&topic) {
            return Err(refused(NAMES));
        }
        Ok(Address {
            hosts,
            topic,
            properties,
        })
    }

    /// The URL without its properties.
    pub(crate) fn url(&self) -> String {
        format!("{SCHEME}{}/{}", self.hosts, self.topic)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

fn is_name(topic: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_NAME).contains(&topic.len())
        && topic.bytes().all(fit)
        && ![".", ".."].contains(&topic)
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// What is said of a pair that names no property. It may be the rest of the value `before`, cut at its `&`.
fn unnamed(before: &str) -> String {
    match option_name(before) {
        Some(before) => format!("what follows {before} is no property=value; {ENCODED}"),
        None => format!("properties are given as property=value; {ENCODED}"),
    }
}

/// That librdkafka knows the property and takes the value, which is not told.
fn known(
    (name, value): (&str, &str),
    before: &str,
    refused: &dyn Fn(&str) -> TopicError,
) -> Result<(), TopicError> {
    let asked = ClientConfig::new().set(name, value).create_native_config();
    match asked {
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            let named = option_name(name).filter(|name| name.contains('.') && !is_secret(before));
            Err(refused(&named.map_or_else(
                || unnamed(before),
                |name| format!("No such configuration property: \"{name}\""),
            )))
        }
        Err(KafkaError::ClientConfig(_, what, ..)) if !is_secret(name) && !value.is_empty() => {
            // librdkafka names an alias by its other name.
            Err(refused(&format!("{name}: {}", what.replace(value, "…"))))
        }
        Err(_) => Err(refused(&format!(
            "{name}: librdkafka does not take its value"
        ))),
        Ok(_) => Ok(()),
    }
}

/// One property, its secret read from its file.
fn property(
    name: &str,
    value: String,
    before: &str,
    refused: &dyn Fn(&str) -> TopicError,
) -> Result<(String, String), TopicError> {
    if let Some((_, why)) = OURS.iter().find(|(ours, _)| *ours == name) {
        return Err(refused(&format!("{name} is not for choice: {why}")));
    }
    let unreadable = |e| {
        refused(&format!(
            "{name}: {} cannot be read: {e}",
            secret_file(&value)
        ))
    };
    // OpenSSL's own words for it name neither the file nor what is wrong. `probe` looks for the system's authorities.
    if name.starts_with("ssl.") && name.ends_with(".location") && value != "probe" {
        File::open(&value).map_err(unreadable)?;
    }
    let Some(secret) = name.strip_suffix(".file").filter(|name| is_secret(name)) else {
        known((name, &value), before, refused)?;
        return Ok((name.to_owned(), value));
    };
    match std::fs::read_to_string(&value) {
        Ok(text) => Ok((
            secret.to_owned(),
            text.trim_end_matches(['\r', '\n']).to_owned(),
        )),
        Err(e) => Err(unreadable(e)),
    }
}

/// `%41` is `A`. `None`: no UTF-8, or a `%` without two digits.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_topic_and_properties() {
        let address = Address::parse(
            "kafka://a:9092,b:9093/flows?linger.ms=5&client.id=x%20%26%3D&sasl.password=p%25",
        )
        .unwrap();
        assert_eq!(address.hosts, "a:9092,b:9093");
        assert_eq!(address.topic, "flows");
        let values: Vec<_> = address.properties.values().map(String::as_str).collect();
        assert_eq!(values, ["x &=", "5", "p%"]);
    }

    #[test]
    fn secrets_stay_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let url = format!(
            "kafka://h/t?sasl.password.file={}&ssl.key.password=hunter2&sasl.username=me",
            path.display()
        );
        let address = Address::parse(&url).unwrap();
        assert_eq!(address.properties["sasl.password"], "hunter2");
        let shown = format!("{} {address:?}", address.url());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(address.url(), "kafka://h/t");
        for url in [
            "kafka://u:hunter2@h/t",
            "kafka://h?sasl.password=hunter2",
            "kafka://h/t?sasl.password=hunter2&acks=1",
            "kafka://h/t?sasl.password=hunter2%",
            "kafka://h/t?sasl.passwrd=hunter2",
            "kafka://h/t?sasl.password=x&hunter2=x",
            "kafka://h/t?sasl.password=x&hunter.x=x",
            "kafka://h/t?sasl.password=x&hunter2",
            "kafka://u:hunter2/x@h/t",
            "kafka://u:hunter2?x@h/t",
            "kafka://u:hunter2",
            "kafka://h/t?sasl.password.file=hunter2",
            "kafka://h/t?security.protocol=hunter2",
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn a_name_that_no_broker_takes_is_refused_before_any_is_asked() {
        let long = "n".repeat(250);
        for name in [
            "", ".", "..", "a b", "a%20b", "m#x", "a/b", "flüsse", "a:b", &long,
        ] {
            let error = Address::parse(&format!("kafka://h/{name}?linger.ms=5")).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, TopicError::BadOptions { .. }), "{text}");
            assert!(text.contains(NAMES), "{text}");
        }
        for name in ["a", "...", "net.flow_s-2", "%61", &long[1..]] {
            Address::parse(&format!("kafka://h/{name}")).unwrap();
        }
    }

    #[test]
    fn what_the_laws_rest_on_is_not_for_choice() {
        for (name, _) in OURS {
            let error = Address::parse(&format!("kafka://h/t?{name}=1")).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        for url in [
            "kafka://",
            "kafka://h",
            "kafka:///t",
            "kafka://h/a/b",
            "kafka://h/t?x",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, TopicError::BadOptions { .. }), "{error}");
        }
        for name in ["sasl.password.file", "ssl.ca.location", "ssl.key.location"] {
            let missing = Address::parse(&format!("kafka://h/t?{name}=/nowhere")).unwrap_err();
            let wanted = format!("{name}: /nowhere cannot be read: No such file");
            assert!(missing.to_string().contains(&wanted), "{missing}");
        }
        Address::parse("kafka://h/t?ssl.ca.location=probe").unwrap();
        let none = Address::parse("kafka://h/t?security.protocol=SASL_SSL").unwrap_err();
        assert!(none.to_string().contains(MECHANISMS), "{none}");
    }
}
