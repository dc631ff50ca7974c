//! Tests of the texts of a set: the most specific row, alone and in batches.

use flow_proto::{Addr, text_of};
use flow_tables::{Kind, Source};

use super::*;

/// A set of customers alone.
pub(crate) fn customers(text: &str) -> TableSet {
    let kind = Kind::Attribute("customer".to_owned());
    let sources = [(kind, Source::Text("customers", text.as_bytes()))];
    TableSet::load_sources(&sources).expect("a table").0
}

#[test]
fn each_address_has_the_customer_of_its_most_specific_row() {
    let set = customers("10.0.0.0/8,Outer\n10.1.0.0/16,Inner\n2001:db8::/32,Six\n");
    learn(&set).expect("no clash");
    let of = |address: [u8; 16]| Texts::of(&set).customer(&address);
    let v4 = |last: [u8; 4]| Addr::v4(last).0;
    let mut six = [0; 16];
    six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
    let all = [v4([10, 0, 0, 1]), v4([10, 1, 2, 3]), v4([11, 0, 0, 1]), six];
    let names = ["Outer", "Inner", "", "Six"];
    let (mut numbers, mut found) = ([0; 4], [[9; 2]; 4]);
    Texts::of(&set).customers(&all, &mut numbers, &mut found);
    for ((address, name), in_batch) in all.into_iter().zip(names).zip(found) {
        assert_eq!(text_of(of(address)).as_deref(), Some(name));
        assert_eq!(of(address), in_batch);
    }
    Texts::of(&TableSet::default()).customers(&all, &mut numbers, &mut found);
    assert_eq!(found, [[0; 2]; 4], "no table, no customers");
}
