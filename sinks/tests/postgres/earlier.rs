//! A database of an earlier release: refused by a job, brought up when asked to, with the flows in it.

use flow_sinks::SinkErrorKind;

use crate::database::Database;

#[test]
fn tables_of_raw_flows_get_the_columns_of_customers() {
    let Some(database) = Database::new() else {
        return;
    };
    drop(database.open(""));
    database.session.query(
        "ALTER TABLE flows DROP COLUMN src_customer, DROP COLUMN dst_customer, DROP COLUMN exporter_name,
             DROP COLUMN in_if_name, DROP COLUMN out_if_name;
         ALTER TABLE flows_implausible DROP COLUMN src_customer, DROP COLUMN dst_customer, DROP COLUMN exporter_name,
             DROP COLUMN in_if_name, DROP COLUMN out_if_name;
         UPDATE flow_pipeline_schema SET version = 1;
         CREATE TABLE flows_of_then PARTITION OF flows DEFAULT; INSERT INTO flows (bytes) VALUES (7)",
    );
    let Err(error) = flow_sinks::open(&database.url()) else {
        panic!("taken as it is");
    };
    let line = error.to_string();
    assert_eq!(error.kind, SinkErrorKind::Refused, "{line}");
    assert!(line.contains("flow-pipeline schema apply"), "{line}");
    let mut schema = flow_sinks::schema(&database.url()).unwrap();
    let missing =
        |table: &str, column: &str| format!("table {table}: column {column} text: missing");
    let differs = schema.diff().unwrap();
    for table in ["flows", "flows_implausible"] {
        for column in [
            "src_customer",
            "dst_customer",
            "exporter_name",
            "in_if_name",
            "out_if_name",
        ] {
            assert!(differs.contains(&missing(table, column)), "{differs:?}");
        }
    }
    assert_eq!(
        schema.apply(false).unwrap(),
        [
            "table flows: columns of customers and names added",
            "table flows_implausible: columns of customers and names added",
            "schema version 2: noted"
        ]
    );
    assert_eq!(schema.diff().unwrap(), [""; 0]);
    assert_eq!(
        schema.apply(false).unwrap(),
        [""; 0],
        "nothing is left to do"
    );
    let held = "SELECT bytes || src_customer || in_if_name || '.' FROM flows";
    assert_eq!(database.session.value(held), "7.");
    drop(database.open(""));
}
