//! Statements that the documents show: each runs on a database as the program makes it.
//!
//! Law: a column that is renamed breaks the page that names it, here and not at a reader's.

use rusqlite::Connection;

use crate::assert_none;
use crate::tree::file;

#[test]
fn every_statement_of_the_documents_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.db");
    drop(flow_sinks::open(&format!("sqlite://{}", path.display())).unwrap());
    let database = Connection::open(&path).unwrap();
    let statements = statements(&file("docs/sqlite.md").text);
    assert!(statements.len() >= 5, "{statements:?}");
    assert_none("snippets-run", &failing(&database, &statements));
    let example = statements_of_example();
    assert_eq!(
        example,
        [
            "SELECT slot FROM rollup_5m;\n",
            "SELECT weather FROM rollup_5m;\n"
        ]
    );
    assert_eq!(failing(&database, &example).len(), 1);
}

fn statements_of_example() -> Vec<String> {
    let sql = "```sql\nSELECT slot FROM rollup_5m;\n```\n```sh\nls\n```\n";
    statements(&format!("{sql}\n{}", sql.replace("slot", "weather")))
}

/// Blocks of SQL in a document.
fn statements(text: &str) -> Vec<String> {
    let blocks = text.split("```sql\n").skip(1);
    blocks
        .filter_map(|b| b.split_once("```").map(|(sql, _)| sql.to_owned()))
        .collect()
}

/// What the database says of those that it does not take.
fn failing(database: &Connection, statements: &[String]) -> Vec<String> {
    let tried = statements
        .iter()
        .map(|sql| (sql, database.prepare(sql).map(|_| ())));
    tried
        .filter_map(|(sql, result)| result.err().map(|e| format!("{sql}{e}")))
        .collect()
}
