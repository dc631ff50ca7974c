//! The page of faults: every test that it names is there.
//!
//! Law: a promise without a test is no promise; a test that was renamed is found out here.

use crate::assert_none;
use crate::tree::file;

#[test]
fn every_test_of_the_page_of_faults_is_there() {
    let page = file("docs/reliability.md").text;
    let named = named(&page);
    assert!(named.len() > 30, "{named:?}");
    assert_none("faults-have-tests", &missing(&named));
    let wrong = "`tests/house/faults.rs: no_such_test`, `tests/house/main.rs`";
    assert_eq!(missing(&self::named(wrong)).len(), 1);
}

/// `file: name` in back quotes.
fn named(page: &str) -> Vec<(String, String)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let pairs = quoted.filter_map(|text| text.split_once(".rs: "));
    pairs
        .map(|(path, name)| (format!("{path}.rs"), name.to_owned()))
        .collect()
}

fn missing(named: &[(String, String)]) -> Vec<String> {
    let is_there = |path: &str, name: &str| {
        let begins = format!("fn {name}(");
        file(path).text.contains(&begins)
    };
    let gone = named.iter().filter(|(path, name)| !is_there(path, name));
    gone.map(|(path, name)| format!("{path}: {name}")).collect()
}
