//! The table sets that a run swaps, each as the job and as the oracle has it.
//!
//! Law 3: which set a slot meets stands in the timeline, under the set's hash; this is where the hash leads to.

use std::sync::{Arc, OnceLock};

use flow_state::table_hash;
use flow_tables::{Kind, Source, TableSet};

use crate::oracle;

/// One set.
pub(crate) struct Set {
    pub(crate) hash: String,
    pub(crate) set: Arc<TableSet>,
    pub(crate) plain: oracle::Tables,
}

const ASN: [&str; 4] = [
    "10.0.0.0,10.0.0.3,64501\n10.0.0.2,10.0.0.2,64502\n2001:db8::,2001:db8::ffff,64503",
    "10.0.0.0,10.0.0.4,64511\n10.0.0.3,10.0.0.5,64512",
    "10.0.0.0,10.0.0.255,64521\n10.0.0.6,10.0.0.6,0\n2001:db8::,2001:db8::ffff,64523",
    "10.0.0.2,10.0.0.2,64501\n10.0.0.7,10.0.0.9,64532",
];
const COUNTRY: [Option<&str>; 4] = [
    Some("10.0.0.0,10.0.0.3,DE\n10.0.0.4,10.0.0.9,NL\n2001:db8::,2001:db8::1,JP"),
    None,
    Some("10.0.0.0,10.0.0.4,NL\n10.0.0.5,10.0.0.9,DE"),
    Some("10.0.0.1,10.0.0.9,JP"),
];

/// All sets; loaded once.
pub(crate) fn sets() -> &'static [Set] {
    static SETS: OnceLock<Vec<Set>> = OnceLock::new();
    SETS.get_or_init(|| {
        ASN.iter()
            .zip(COUNTRY)
            .map(|(asn, country)| set(asn, country))
            .collect()
    })
}

fn set(asn: &str, country: Option<&str>) -> Set {
    let mut sources = vec![(Kind::Asn, Source::Text("asn", asn.as_bytes()))];
    sources.extend(country.map(|text| (Kind::Country, Source::Text("country", text.as_bytes()))));
    let (set, _) = TableSet::load_sources(&sources).expect("tables that can be read");
    Set {
        hash: table_hash(&set.archive()),
        set: Arc::new(set),
        plain: oracle::Tables::from_csv(Some(asn), country),
    }
}

/// The set that a timeline names by its hash, as the oracle has it.
pub(crate) fn plain(hash: &str) -> oracle::Tables {
    let found = sets().iter().find(|set| set.hash == hash);
    found.map_or_else(oracle::Tables::default, |set| set.plain.clone())
}
