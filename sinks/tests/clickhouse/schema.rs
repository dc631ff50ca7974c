//! What is made, what is refused and how, what is left alone.

use std::io::{Read, Write};
use std::net::TcpListener;

use flow_sinks::SinkErrorKind;

use crate::database::Database;

/// Opening is refused, or put off, in one line with these words.
fn refused(url: &str, kind: SinkErrorKind, words: &str) {
    let Err(error) = flow_sinks::open(url) else {
        panic!("{url} was taken")
    };
    let line = error.to_string();
    assert_eq!(error.kind, kind, "{line}");
    assert!(
        line.contains(words) && !line.contains('\n'),
        "{words}: {line}"
    );
    assert!(!line.contains("s3cret"), "{line}");
}

#[test]
fn an_empty_database_gets_what_is_printed() {
    let (Some(database), Some(by_hand)) = (Database::new(), Database::new()) else {
        return;
    };
    let mut schema = flow_sinks::schema(&database.url).unwrap();
    assert!(schema.look().unwrap().made_at_start);
    drop(flow_sinks::open(&database.url).unwrap());
    drop(flow_sinks::open(&database.url).unwrap());
    assert!(!schema.look().unwrap().made_at_start);
    assert_eq!(schema.diff().unwrap(), [""; 0]);
    assert_eq!(schema.apply(false).unwrap(), [""; 0]);
    let url = format!("{}?kafka=127.0.0.1:1/flows", by_hand.url);
    let mut schema = flow_sinks::schema(&url).unwrap();
    for statement in schema.print() {
        by_hand.sql(&statement);
    }
    assert_eq!(schema.diff().unwrap(), [""; 0]);
    drop(flow_sinks::open(&url).unwrap());
    let engine = "SELECT engine FROM system.tables WHERE database = '{db}' AND name = 'flows'";
    assert_eq!(by_hand.sql(engine), "Kafka");
    assert_eq!(database.sql(engine), "", "it is printed, not made");
}

#[test]
fn the_tables_of_the_other_pipeline_stay_as_they_are() {
    for table in ["flows", "flows_raw", "flows_5m"] {
        let Some(database) = Database::new() else {
            return;
        };
        database.sql("CREATE DATABASE {db}");
        database.sql(&format!(
            "CREATE TABLE {{db}}.{table} (Bytes UInt64) ENGINE = MergeTree ORDER BY Bytes"
        ));
        database.sql(&format!("INSERT INTO {{db}}.{table} VALUES (7)"));
        let words = format!(
            "holds {table} of another flow pipeline, which stays as it is; name another database, as {}_exact",
            database.name
        );
        refused(&database.url, SinkErrorKind::Refused, &words);
        let error = flow_sinks::schema(&database.url)
            .unwrap()
            .apply(true)
            .unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Refused);
        assert_eq!(database.sql(&format!("SELECT * FROM {{db}}.{table}")), "7");
        assert_eq!(
            database.sql("SELECT count() FROM system.tables WHERE database = '{db}'"),
            "1"
        );
    }
}

/// Whatever there is, down to the number of rows: what is made or replaced, even by the same, has another UUID.
fn everything(database: &Database) -> String {
    database.sql(
        "SELECT name, uuid, create_table_query, total_rows FROM system.tables WHERE database = '{db}' ORDER BY name",
    )
}

#[test]
fn what_is_not_ours_under_a_name_of_ours_is_told_first_and_stays() {
    let foreign =
        |name| format!("CREATE TABLE {{db}}.{name} (mine UInt8) ENGINE = MergeTree ORDER BY mine");
    let printed = flow_sinks::schema("clickhouse://u@127.0.0.1:1/d").unwrap();
    let rows = printed.print()[1].replace("`d`.", "{db}.");
    assert!(rows.contains("`rollup_5m_rows`"), "{rows}");
    let cases = [
        (
            foreign("rollup_5m"),
            "rollup_5m: is a table (MergeTree), should be a view",
        ),
        (
            foreign("rollup_5m_rows"),
            "rollup_5m_rows: column 1 `mine UInt8` should be `slot DateTime('UTC')`",
        ),
        (
            foreign("slots_rows"),
            "slots_rows: column 1 `mine UInt8` should be",
        ),
        (
            foreign("raw_flows"),
            "raw_flows: column 1 `mine UInt8` should be `topic_partition UInt32`",
        ),
        (
            foreign("flow_pipeline_schema"),
            "flow_pipeline_schema: column 1 `mine UInt8` should be `version UInt32`",
        ),
        (
            "CREATE VIEW {db}.raw_flows AS SELECT 1 AS mine".to_owned(),
            "raw_flows: column 1 `mine UInt8` should be",
        ),
        (
            "CREATE VIEW {db}.slots AS SELECT 1 AS mine".to_owned(),
            "slots: column 1 `mine UInt8` should be",
        ),
        (
            rows.replace("ReplacingMergeTree(revision, is_deleted)", "MergeTree()"),
            "rollup_5m_rows: is MergeTree partitioned by",
        ),
        (
            rows.replace("(revision, is_deleted)", "(revision)"),
            "rollup_5m_rows: is ReplacingMergeTree(revision) partitioned by",
        ),
    ];
    for (statement, words) in cases {
        let Some(database) = Database::new() else {
            return;
        };
        database.sql("CREATE DATABASE {db}");
        database.sql(&statement);
        if statement.contains("(mine UInt8)") {
            let (_, rest) = statement.split_once("{db}.").unwrap();
            let name = rest.split(' ').next().unwrap();
            database.sql(&format!("INSERT INTO {{db}}.{name} VALUES (7)"));
        }
        let before = everything(&database);
        refused(&database.url, SinkErrorKind::Refused, words);
        let mut schema = flow_sinks::schema(&database.url).unwrap();
        let error = schema.apply(true).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let found = schema.look().unwrap();
        assert!(!found.made_at_start, "{statement}");
        assert!(
            found.differences.iter().any(|line| line.contains(words)),
            "{found:?}"
        );
        assert_eq!(everything(&database), before, "{statement}");
    }
}

#[test]
fn a_table_in_place_of_a_view_of_ours_keeps_its_rows() {
    let Some(database) = Database::new() else {
        return;
    };
    drop(flow_sinks::open(&database.url).unwrap());
    database.sql("DROP VIEW {db}.flows_5m");
    database.sql("CREATE TABLE {db}.flows_5m (mine UInt8) ENGINE = MergeTree ORDER BY mine");
    database.sql("INSERT INTO {db}.flows_5m VALUES (7)");
    let before = everything(&database);
    let words = "flows_5m: is a table (MergeTree), should be a view";
    refused(&database.url, SinkErrorKind::Refused, words);
    let error = flow_sinks::schema(&database.url)
        .unwrap()
        .apply(true)
        .unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(everything(&database), before);
    // A view that is ours, of an older release, is replaced.
    database.sql("DROP TABLE {db}.flows_5m");
    database.sql("CREATE VIEW {db}.flows_5m AS SELECT 1 AS older");
    let done = flow_sinks::schema(&database.url).unwrap().apply(false);
    assert!(done.unwrap()[0].starts_with("mended: flows_5m: column 1"));
    drop(flow_sinks::open(&database.url).unwrap());
}

#[test]
fn a_difference_is_refused_and_what_can_be_mended_is() {
    let Some(database) = Database::new() else {
        return;
    };
    drop(flow_sinks::open(&database.url).unwrap());
    let apply = format!("flow-pipeline schema apply --sink {}", database.url);
    let mut schema = flow_sinks::schema(&database.url).unwrap();
    database.sql("DROP VIEW {db}.flows_5m");
    refused(&database.url, SinkErrorKind::Refused, "flows_5m is missing");
    refused(&database.url, SinkErrorKind::Refused, &apply);
    assert_eq!(
        schema.apply(false).unwrap(),
        ["mended: flows_5m is missing"]
    );
    drop(flow_sinks::open(&database.url).unwrap());

    database
        .sql("ALTER TABLE {db}.raw_flows MODIFY SETTING non_replicated_deduplication_window = 5");
    refused(
        &database.url,
        SinkErrorKind::Refused,
        "raw_flows: lacks the setting",
    );
    let error = schema.apply(false).unwrap_err();
    assert!(
        error.to_string().contains("cannot be mended in place"),
        "{error}"
    );
    database.sql(
        "ALTER TABLE {db}.raw_flows MODIFY SETTING non_replicated_deduplication_window = 100000",
    );
    database.sql("ALTER TABLE {db}.slots_rows ADD COLUMN mine String");
    refused(
        &database.url,
        SinkErrorKind::Refused,
        "slots_rows: column mine is unknown",
    );
    database.sql("ALTER TABLE {db}.slots_rows DROP COLUMN mine");
    database.sql("ALTER TABLE {db}.raw_flows MODIFY COLUMN proto UInt8");
    refused(
        &database.url,
        SinkErrorKind::Refused,
        "`proto UInt8` should be `proto UInt32`",
    );
    database.sql("ALTER TABLE {db}.raw_flows MODIFY COLUMN proto UInt32");
    drop(flow_sinks::open(&database.url).unwrap());

    database.sql("INSERT INTO {db}.flow_pipeline_schema (version) VALUES (99)");
    refused(&database.url, SinkErrorKind::Refused, "version 99");
    assert_eq!(schema.diff().unwrap().len(), 1);
}

#[test]
fn beside_the_tables_of_others_only_when_asked() {
    let Some(database) = Database::new() else {
        return;
    };
    database.sql("CREATE DATABASE {db}");
    database.sql("CREATE TABLE {db}.mails (id UInt8) ENGINE = MergeTree ORDER BY id");
    refused(&database.url, SinkErrorKind::Refused, "schema apply");
    let done = flow_sinks::schema(&database.url)
        .unwrap()
        .apply(false)
        .unwrap();
    assert!(done[0].contains("tables and views made"), "{done:?}");
    drop(flow_sinks::open(&database.url).unwrap());
    assert_eq!(database.sql("SELECT count() FROM {db}.mails"), "0");
}

#[test]
fn who_is_not_let_in_or_finds_nobody_is_told_in_one_line() {
    let Some(database) = Database::new() else {
        return;
    };
    let wrong_user = database.url.replace("default@", "nobody:s3cret@");
    refused(
        &wrong_user,
        SinkErrorKind::Refused,
        "user or password is wrong",
    );
    refused(
        "clickhouse://u:s3cret@127.0.0.1:1/d",
        SinkErrorKind::Retry,
        "Connection refused",
    );
    // Not the real one: its engine aborts if a client greets it like that and is gone before the answer.
    let plain = answering("400 Bad Request\r\n\r\n");
    let tls = format!("clickhouse://u:s3cret@127.0.0.1:{plain}/d?secure=1");
    refused(&tls, SinkErrorKind::Retry, "speaks no TLS");
    for (answer, kind, words) in [
        (
            "404 Not Found\r\n\r\n<html>nothing here</html>",
            SinkErrorKind::Retry,
            "no ClickHouse",
        ),
        (
            "500 x\r\nX-ClickHouse-Exception-Code: 497\r\n\r\nCode: 497. DB::Exception: u: Not enough privileges.\n",
            SinkErrorKind::Refused,
            "Not enough privileges.; grant",
        ),
        (
            "200 OK\r\n\r\n{\"data\":[[\"18.16.1\"]]}\n",
            SinkErrorKind::Refused,
            "ClickHouse 18.16.1; 23.2 or newer",
        ),
        ("200 OK\r\n\r\n", SinkErrorKind::Retry, "has its disk room?"),
        (
            "200 OK\r\n\r\nwhat?\n",
            SinkErrorKind::Retry,
            "is it a ClickHouse",
        ),
    ] {
        let port = answering(answer);
        refused(
            &format!("clickhouse://u:s3cret@127.0.0.1:{port}/d"),
            kind,
            words,
        );
    }
}

/// A server that has one answer, once; its port.
fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        _ = stream.read(&mut request);
        stream
            .write_all(format!("HTTP/1.0 {answer}").as_bytes())
            .unwrap();
    });
    port
}

#[test]
fn https_believes_the_named_authority_alone() {
    let (Ok(url), Ok(authority)) = (
        std::env::var("FLOW_PIPELINE_TEST_CLICKHOUSE_TLS"),
        std::env::var("FLOW_PIPELINE_TEST_CA"),
    ) else {
        eprintln!("SKIPPED: no ClickHouse over TLS: FLOW_PIPELINE_TEST_CLICKHOUSE_TLS is not set");
        return;
    };
    let Some(database) = Database::new() else {
        return;
    };
    let url = format!("{url}/{}?secure=1", database.name);
    drop(flow_sinks::open(&format!("{url}&ca={authority}")).unwrap());
    assert_ne!(database.sql("SHOW TABLES FROM {db}"), "");
    refused(
        &url,
        SinkErrorKind::Refused,
        "name its authority with ca=FILE",
    );
    let address = url.replace("localhost", "127.0.0.1");
    refused(
        &format!("{address}&ca={authority}"),
        SinkErrorKind::Refused,
        "as it is certified",
    );
}
