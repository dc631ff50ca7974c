//! No message about a URL holds a part of a password, whatever is wrong with the URL.
//!
//! URLs are made at random with one word in every place where a secret may stand, and with the mistakes that people make:
//! characters that are not encoded, a lost host, a mistyped scheme, a mistyped option. The oracle is the word.

use proptest::prelude::*;

/// What must not be told.
const WORD: &str = "S3CRET";

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

/// The word among characters of a URL's grammar. It does not begin with a digit: `u:1/S3CRET` is a port and a database.
fn secret() -> impl Strategy<Value = String> {
    const MARKS: &[&str] = &[
        "", "/", "?", "#", "@", ":", ",", "&", "=", "%", "%2F", "[", "]", "+", "://", "a=b&",
        "?x=", " ",
    ];
    (one_of(MARKS), one_of(MARKS), one_of(MARKS))
        .prop_map(|(before, between, after)| format!("w{before}{WORD}{between}x{after}{WORD}"))
}

fn option() -> impl Strategy<Value = String> {
    let plain = one_of(&[
        "raw=off",
        "framing=bare",
        "linger.ms=5",
        "sasl.username=me@there",
        "sslmode=prefer",
        "retention=soon",
        "port=x",
    ]);
    let named = one_of(&[
        "sasl.password",
        "sasl.passwrd",
        "sasl.password.file",
        "ssl.key.pasword",
        "ssl.key.pem",
        "password",
        "passwrd",
        "password_file",
        "passfile",
        "security.protocol",
    ]);
    prop_oneof![
        plain,
        (named, secret()).prop_map(|(name, secret)| format!("{name}={secret}")),
        secret(),
    ]
}

fn url() -> impl Strategy<Value = String> {
    let scheme = one_of(&[
        "postgres://",
        "postgresql://",
        "clickhouse://",
        "kafka://",
        "postgre://",
        "mysql://",
        "Postgres://",
        "http://",
        "postgres:/",
        "clickhouse:",
        "kafka:",
        "://",
        "",
    ]);
    let login = prop_oneof![
        Just(String::new()),
        secret().prop_map(|secret| format!("u:{secret}@")),
        secret().prop_map(|secret| format!("u%3A{secret}@")),
        secret().prop_map(|secret| format!(":{secret}@")),
    ];
    let host = one_of(&[
        "h",
        "h:1",
        "h:x",
        "h:99999",
        "[::1]:7",
        "a:1,b",
        "",
        "%2Frun%2Fpg",
    ]);
    let path = one_of(&["", "/", "/d", "/d/e", "/d%zz", "/a;b"]);
    let options = prop::collection::vec(option(), 0..3).prop_map(|all| match all.len() {
        0 => String::new(),
        _ => format!("?{}", all.join("&")),
    });
    (scheme, login, host, path, options).prop_map(|(scheme, login, host, path, options)| {
        format!("{scheme}{login}{host}{path}{options}")
    })
}

/// Everything that is said of a URL without asking a server.
fn told(url: &str) -> Vec<String> {
    let mut told = vec![flow_topic::shown(url)];
    match flow_sinks::url::shape(url) {
        Ok(shape) => told.push(shape.name),
        Err(error) => {
            told.push(error.to_string());
            told.extend(flow_sinks::open(url).err().map(|error| error.to_string()));
            told.extend(flow_sinks::schema(url).err().map(|error| error.to_string()));
        }
    }
    if let Err(error) = flow_topic::url::check(url) {
        told.push(error.to_string());
        let opened = flow_topic::url::open(url, None);
        told.extend(opened.err().map(|error| error.to_string()));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_is_told(url in url()) {
        for line in told(&url) {
            prop_assert!(!line.contains(WORD), "{url}\n{line}");
        }
    }
}

#[test]
fn the_mistakes_that_people_make() {
    for url in [
        "postgres://pwu:wrong/S3CRET@127.0.0.1:24131/pwdb?raw=off",
        "clickhouse://rw:wrong/S3CRET@h/c2",
        "postgres://pwu:wrong?S3CRET@h/d",
        "postgres://pwu:wrong?S3CRET",
        "postgre://u:S3CRET@h/d",
        "mysql://u:S3CRET@h/d",
        "kafka://h/t?sasl.mechanism=PLAIN&sasl.passwrd=S3CRET",
        "kafka://h/t?ssl.key.pasword=S3CRET",
        "kafka://h/t?sasl.password=x&S3CRET-part=x",
    ] {
        let lines = told(url);
        assert!(lines.iter().all(|line| !line.contains(WORD)), "{lines:?}");
    }
    for url in [
        "postgres://u:a/S3CRET@h/d",
        "postgres://u:a?S3CRET@h/d",
        "clickhouse://u:a/S3CRET@h/d",
    ] {
        let lines = told(url);
        assert!(
            lines[1].contains("percent-encoded") && lines[1].contains("by a file"),
            "{lines:?}"
        );
    }
}

/// What is not secret is still told, so that a form that hides everything does not pass for one that is right.
#[test]
fn which_url_is_meant_is_told() {
    for (url, said) in [
        (
            "postgres://u:S3CRET@db.example:5/d?sslmod=x",
            "sink postgres://u@db.example:5/d: unknown option `sslmod`",
        ),
        (
            "mysql://u:S3CRET@db.example/d",
            "sink mysql://u@db.example/d: unknown scheme",
        ),
        (
            "kafka://k.example:9/t?sasl.passwrd=S3CRET",
            "kafka://k.example:9/t: No such configuration property: \"sasl.passwrd\"",
        ),
    ] {
        let lines = told(url);
        assert!(lines[1].contains(said), "{lines:?}");
    }
}
