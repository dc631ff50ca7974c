//! What is made, what is refused and how, and how a database of the project we replace is taken over.

use flow_sinks::{Schema, SinkErrorKind, Standing};

use crate::database::{Database, Session};

/// `flows` as cloudflare/flow-pipeline's compose/postgres/create.sh makes it.
pub(crate) const THEIRS: &str = "CREATE TABLE flows (id bigserial PRIMARY KEY, date_inserted timestamp default NULL,
    time_flow timestamp default NULL, type integer, sampling_rate integer, src_as bigint, dst_as bigint,
    src_ip inet, dst_ip inet, bytes bigint, packets bigint, etype integer, proto integer, src_port integer, dst_port integer)";

fn refused(url: &str, kind: SinkErrorKind, words: &str) {
    let Err(error) = flow_sinks::open(url) else {
        panic!("{url} was taken")
    };
    let line = error.to_string();
    assert_eq!(error.kind, kind, "{line}");
    assert!(line.contains(words), "{words}: {line}");
    assert!(!line.contains('\n') && !line.contains("s3cret"), "{line}");
}

#[test]
fn what_is_printed_makes_it_in_the_schema_of_the_url() {
    let Some(database) = Database::new() else {
        return;
    };
    for (option, schema) in [("s7", "s7"), ("My%20%22own%22;", "My \"own\";")] {
        let url = format!("{}&schema={option}", database.url());
        let mut schema_of_url = crate::schema::schema(&url);
        let printed = schema_of_url.print().join(";");
        // A session of its own, as psql is.
        let psql = Session::open(&format!("{}/{}", database.server, database.name));
        psql.query(&printed);
        let held = "SELECT string_agg(DISTINCT schemaname, ',') FROM pg_tables WHERE tablename = 'rollup_5m'";
        assert_eq!(psql.value(held), schema);
        assert_eq!(schema_of_url.look().unwrap(), Standing::default());
        drop(flow_sinks::open(&url).unwrap());
        psql.query(&format!(
            "DROP SCHEMA \"{}\" CASCADE",
            schema.replace('"', "\"\"")
        ));
    }
}

fn schema(url: &str) -> Box<dyn Schema> {
    flow_sinks::schema(url).unwrap()
}

#[test]
fn an_empty_database_gets_the_schema_and_its_print_makes_the_same() {
    let (Some(ours), Some(printed)) = (Database::new(), Database::new()) else {
        return;
    };
    let mut schema = schema(&ours.url());
    let missing = schema.diff().unwrap();
    assert!(
        missing
            .iter()
            .any(|line| line == "table rollup_5m: missing"),
        "{missing:?}"
    );
    drop(ours.open(""));
    assert_eq!(schema.diff().unwrap(), Vec::<String>::new());
    assert_eq!(schema.apply(false).unwrap(), Vec::<String>::new());
    drop(ours.open(""));

    printed.session.query(&schema.print().join(";"));
    let mut other = crate::schema::schema(&printed.url());
    assert_eq!(other.diff().unwrap(), Vec::<String>::new());
    drop(printed.open(""));
    let order = "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns
                 WHERE table_name = 'rollup_5m'";
    assert_eq!(
        ours.session.value(order),
        "slot src_as dst_as etype bytes packets flows scaled_bytes scaled_packets unknown_rate_flows table_version revision"
    );
}

#[test]
fn what_cannot_be_used_is_refused_in_one_line() {
    use SinkErrorKind::{Refused, Retry};
    let Some(database) = Database::new() else {
        return;
    };
    let server = &database.server;
    refused(
        "postgres://u:s3cret@127.0.0.1:1/d",
        Retry,
        "is the server up",
    );
    refused(
        "postgres://u:s3cret@no-such-host.invalid/d",
        Retry,
        "is the server up",
    );
    refused(
        &format!("{server}/no_such_database?sslmode=disable"),
        Refused,
        "create the database",
    );
    let stranger = server.replace("postgres@", "nobody_of_that_name:s3cret@");
    refused(
        &format!("{stranger}/postgres?sslmode=disable"),
        Refused,
        "check user and password",
    );

    database.session.query("CREATE TABLE mails (id int)");
    refused(
        &database.url(),
        Refused,
        "the schema holds mails, so nothing was made unasked",
    );
    refused(
        &database.url(),
        Refused,
        "flow-pipeline schema apply --sink postgres://",
    );
    drop(database.open("&schema=mine"));
    assert_eq!(
        database
            .session
            .value("SELECT count(*) FROM mine.rollup_5m"),
        "0"
    );
    let made = schema(&database.url()).apply(false).unwrap();
    assert!(
        made.contains(&"table rollup_5m: made".to_owned()),
        "{made:?}"
    );
    drop(database.open(""));

    for (change, back, words) in [
        (
            "ALTER TABLE slots ADD COLUMN mine text",
            "ALTER TABLE slots DROP COLUMN mine",
            "column mine `text` is unknown",
        ),
        (
            "ALTER TABLE rollup_5m ALTER COLUMN etype TYPE text",
            "ALTER TABLE rollup_5m ALTER COLUMN etype TYPE bigint USING etype::bigint",
            "column etype is `text`, should be `bigint`",
        ),
        (
            "ALTER TABLE rollup_5m RENAME COLUMN flows TO count",
            "ALTER TABLE rollup_5m RENAME COLUMN count TO flows",
            "column flows bigint: missing and 1 more",
        ),
        (
            "ALTER TABLE slots DROP CONSTRAINT slots_pkey",
            "ALTER TABLE slots ADD PRIMARY KEY (rollup, slot)",
            "primary key () should be (rollup, slot)",
        ),
        (
            "ALTER TABLE flows ALTER COLUMN bytes TYPE text",
            "ALTER TABLE flows ALTER COLUMN bytes TYPE bigint USING bytes::bigint",
            "table flows: column bytes is `text`",
        ),
        (
            "INSERT INTO flow_pipeline_schema VALUES (99)",
            "DELETE FROM flow_pipeline_schema WHERE version = 99",
            "has version 99, this program knows ",
        ),
    ] {
        database.session.query(change);
        refused(&database.url(), Refused, words);
        let error = schema(&database.url()).apply(false).unwrap_err();
        assert_eq!(error.kind, Refused, "{error}");
        database.session.query(back);
        drop(database.open(""));
    }
}

#[test]
fn what_is_not_ours_under_a_name_of_ours_is_told_first_and_stays() {
    let everything = "SELECT string_agg(oid || relname, ' ' ORDER BY oid) FROM pg_class";
    for (change, words) in [
        (
            "CREATE TABLE rollup_5m (mine int)",
            "table rollup_5m: column slot timestamp with time zone: missing",
        ),
        (
            "CREATE TABLE flow_pipeline_schema (mine int)",
            "table flow_pipeline_schema: column version integer: missing",
        ),
        (
            "CREATE TABLE flows ()",
            "table flows: column id bigint: missing",
        ),
        (
            "CREATE VIEW slots AS SELECT 1 AS mine",
            "table slots: is a view, should be a table",
        ),
        (
            "CREATE MATERIALIZED VIEW slots AS SELECT 1 AS mine",
            "table slots: is a materialized view, should be a table",
        ),
        (
            "CREATE SEQUENCE slots",
            "table slots: is a sequence, should be a table",
        ),
        (
            "CREATE TYPE slots AS ENUM ('mine')",
            "table slots: is a type, should be a table",
        ),
        (
            "CREATE TABLE slots_by_state (mine int)",
            "table slots: missing, and the name of its index slots_by_state is taken",
        ),
    ] {
        let Some(database) = Database::new() else {
            return;
        };
        database.session.query(change);
        let before = database.session.value(everything);
        refused(&database.url(), SinkErrorKind::Refused, words);
        let mut schema = schema(&database.url());
        let error = schema.apply(true).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let found = schema.look().unwrap();
        assert!(!found.made_at_start, "{change}");
        assert!(
            found.differences.iter().any(|line| line == words),
            "{found:?}"
        );
        assert_eq!(database.session.value(everything), before, "{change}");
    }
}

#[test]
fn a_table_of_theirs_is_taken_over_and_extended() {
    let Some(database) = Database::new() else {
        return;
    };
    database.session.query(THEIRS);
    database
        .session
        .query("INSERT INTO flows (date_inserted, bytes) VALUES ('2020-01-01', 7)");
    let mut schema = schema(&database.url());
    let told = |found: &Standing| {
        let [line] = &found.remarks[..] else {
            panic!("{found:?}")
        };
        assert!(line.contains("table flows is that of cloudflare/flow-pipeline"));
        assert!(line.contains("--extend"), "{line}");
    };
    let found = schema.look().unwrap();
    assert!(found.made_at_start && !found.differences.is_empty());
    told(&found);
    drop(database.open(""));
    let found = schema.look().unwrap();
    assert_eq!((found.made_at_start, found.differences.len()), (false, 0));
    told(&found);
    assert_eq!(schema.apply(false).unwrap(), Vec::<String>::new());
    let done = schema.apply(true).unwrap();
    assert_eq!(done, ["table flows: our columns added behind theirs"]);
    assert_eq!(schema.look().unwrap(), Standing::default());
    drop(database.open(""));
    assert_eq!(database.session.value("SELECT sum(bytes) FROM flows"), "7");
}
