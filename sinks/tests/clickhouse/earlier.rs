//! A database of an earlier release: refused by a job, brought up when asked to, with the flows in it.

use flow_sinks::SinkErrorKind;

use crate::database::Database;

#[test]
fn the_table_of_raw_flows_gets_the_columns_of_customers() {
    let Some(database) = Database::new() else {
        return;
    };
    drop(flow_sinks::open(&database.url).unwrap());
    for statement in [
        "ALTER TABLE {db}.raw_flows DROP COLUMN src_customer, DROP COLUMN dst_customer, DROP COLUMN exporter_name, \
         DROP COLUMN in_if_name, DROP COLUMN out_if_name",
        "TRUNCATE TABLE {db}.flow_pipeline_schema",
        "INSERT INTO {db}.flow_pipeline_schema (version) VALUES (1)",
        "INSERT INTO {db}.raw_flows (bytes) VALUES (7)",
    ] {
        database.sql(statement);
    }
    let Err(error) = flow_sinks::open(&database.url) else {
        panic!("taken as it is");
    };
    let line = error.to_string();
    assert_eq!(error.kind, SinkErrorKind::Refused, "{line}");
    assert!(line.contains("flow-pipeline schema apply"), "{line}");
    let mut schema = flow_sinks::schema(&database.url).unwrap();
    let missing = [
        "src_customer",
        "dst_customer",
        "exporter_name",
        "in_if_name",
        "out_if_name",
    ]
    .map(|column| format!("raw_flows: column {column} is missing"));
    assert_eq!(schema.diff().unwrap(), missing);
    assert_eq!(schema.apply(false).unwrap().len(), 1, "one new version");
    assert_eq!(schema.diff().unwrap(), [""; 0]);
    assert_eq!(
        schema.apply(false).unwrap(),
        [""; 0],
        "nothing is left to do"
    );
    let held =
        "SELECT concat(toString(bytes), src_customer, dst_customer, '.') FROM {db}.raw_flows";
    assert_eq!(database.sql(held), "7.");
    drop(flow_sinks::open(&database.url).unwrap());
}
