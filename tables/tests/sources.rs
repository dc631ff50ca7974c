//! One content in several formats and places: the same table. Published samples, forms made here, options, preference.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod reference;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use flow_tables::{LoadReport, SourceSpec, TableSet, no_remote};
use reference::files::shared;
use reference::octets;

fn load(specs: &[&str]) -> Result<(TableSet, LoadReport), String> {
    let specs: Vec<SourceSpec> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
    TableSet::load(&specs, &no_remote).map_err(|error| error.to_string())
}

fn written(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn asn_at(set: &TableSet, address: &str) -> u32 {
    let address: IpAddr = address.parse().unwrap();
    set.asn.as_ref().unwrap().lookup(&octets(address))
}

#[test]
fn samples_in_three_formats_are_one_table() {
    let Some(folder) = shared("ipinfo") else {
        return;
    };
    for (name, kinds) in [
        ("ip_asn_sample", &["asn"][..]),
        ("ip_country_asn_sample", &["asn", "country"]),
        ("ipinfo_lite_sample", &["asn", "country"]),
    ] {
        for kind in kinds {
            let of = |format: &str| {
                let path = folder.join(format!("{name}.{format}"));
                let (set, report) = load(&[&format!("{kind}={}", path.display())]).unwrap();
                assert_eq!(report.tables[0].bad_rows, 0, "{name}.{format}");
                set.hash()
            };
            assert_eq!(of("csv"), of("json"), "{name} {kind}");
            assert_eq!(of("csv"), of("mmdb"), "{name} {kind}");
        }
        let names = |format: &str| {
            let path = folder.join(format!("{name}.{format}"));
            load(&[&format!("as-names={}", path.display())]).unwrap().0
        };
        let found = names("csv");
        assert_eq!(found.hash(), names("json").hash());
        let table = found.as_names.unwrap();
        assert_eq!(table.get(&13335), Some("Cloudflare, Inc."), "{name}");
    }
}

#[test]
fn names_of_ases_from_an_object_and_from_ranges() {
    let Some(folder) = shared("pyasn/asnames.json.gz") else {
        return;
    };
    let (set, report) = load(&[&format!("as-names={}", folder.display())]).unwrap();
    assert_eq!(
        (report.tables[0].rows, report.tables[0].bad_rows),
        (77_586, 0)
    );
    let names = set.as_names.unwrap();
    assert_eq!(names.get(&50088), Some("FITL-IE Fort Technologies, GB"));
    let ranges = shared("ip-location-db/asn-ipv4.csv.gz").unwrap();
    let (set, report) = load(&[&format!("as-names={}", ranges.display())]).unwrap();
    let names = set.as_names.unwrap();
    assert_eq!(names.get(&13335), Some("Cloudflare, Inc."));
    assert_eq!(names.get(&201_907), Some("LLC \"SPUTNIK\""));
    eprintln!(
        "{} names, {} odd rows",
        names.len(),
        report.tables[0].odd_rows
    );
}

/// Team Cymru's answers of the table's own day: all but those where it has another view of the routes.
#[test]
fn a_routing_table_answers_as_another_service() {
    let Some(folder) = shared("pyasn") else {
        return;
    };
    let table = folder.join("ipasn_20140513.dat.gz");
    let (set, _) = load(&[&format!("asn={}", table.display())]).unwrap();
    let answers = std::fs::read_to_string(folder.join("cymru.map")).unwrap();
    let (mut equal, mut all) = (0, 0);
    for line in answers.lines().filter(|line| line.starts_with('\'')) {
        let (address, asn) = line.trim_end_matches([' ', ',']).split_once(" : ").unwrap();
        all += 1;
        let asn = asn.parse().unwrap_or(0);
        equal += u32::from(asn_at(&set, address.trim_matches('\'')) == asn);
    }
    assert_eq!((equal, all), (973, 1000));
}

#[test]
fn every_form_of_one_table_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let forms = [
        "1.0.0.0/24,13335\n2001:db8::/32,64500\n",
        "1.0.0.0,1.0.0.255,13335\n2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,64500\n",
        "name;Prefix;AS Number\nx;1.0.0.0/24;AS13335\n\"a;b\";2001:db8::/32;64500\n",
        "1.0.0.0/24\t13335\n2001:db8::/32\t64500\n",
        "1.0.0.0\t24\t13335\n2001:db8::\t32\t64500_64501\n",
        "; by pyasn\n1.0.0.0/24\t13335\n2001:db8::/32\t64500\n9.0.0.0/8\t{1,2}\n",
        "{\"prefix\": \"1.0.0.0/24\", \"asn\": 13335}\n{\"start\": \"2001:db8::\", \
         \"end\": \"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\", \"asn\": \"AS64500\"}\n",
        "1.0.0.0\t1.0.0.255\t13335\tAU\tCLOUDFLARENET\n1.0.1.0\t1.0.1.255\t0\tNone\tNot routed\n\
         2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t64500\tDE\tx\n",
    ];
    let hash = |at: usize, text: &str| {
        let path = written(folder.path(), &format!("{at}.txt"), text);
        let (set, report) = load(&[&format!("asn={path}")]).unwrap();
        assert_eq!(report.tables[0].bad_rows, 0, "{text}");
        set.hash()
    };
    let hashes: Vec<_> = forms
        .iter()
        .enumerate()
        .map(|(at, text)| hash(at, text))
        .collect();
    assert!(
        hashes.windows(2).all(|pair| pair[0] == pair[1]),
        "{hashes:?}"
    );
    let country = load(&[&format!("country={}/7.txt", folder.path().display())]).unwrap();
    assert_eq!(country.0.country.unwrap().range_count(), 2);
    let json = "{\"network\":\"1.0.0.0/24\",\"a\":{\"b\":[{\"c\":7}],\"d\":\"x\"}}\n";
    let path = written(folder.path(), "deep.json", json);
    let (set, _) = load(&[&format!("customer={path}?field=a.d")]).unwrap();
    assert_eq!(set.attributes["customer"].values, ["x"]);
}

#[test]
fn of_several_sources_the_first_that_has_a_value_wins() {
    let folder = tempfile::tempdir().unwrap();
    let coarse = written(folder.path(), "a.csv", "10.0.0.0/8,1\n10.9.0.0/16,0\n");
    let fine = written(
        folder.path(),
        "b.csv",
        "10.1.0.0/16,2\n10.9.0.0/16,2\n11.0.0.0/8,2\n",
    );
    let (set, report) = load(&[&format!("asn={coarse}"), &format!("asn={fine}")]).unwrap();
    let found = ["10.1.0.0", "10.9.0.0", "11.0.0.0", "12.0.0.0"].map(|a| asn_at(&set, a));
    assert_eq!(found, [1, 2, 2, 0]);
    assert_eq!(report.tables[0].nested, 1);
    let (set, _) = load(&[&format!("asn={fine}"), &format!("asn={coarse}")]).unwrap();
    assert_eq!(["10.1.0.0", "10.2.0.0"].map(|a| asn_at(&set, a)), [2, 1]);
    let names = |text: &str, name: &str| written(folder.path(), name, text);
    let (a, b) = (
        names("1,one\n2,two\n", "n.csv"),
        names("2,zwei\n3,drei\n", "m.csv"),
    );
    let (set, _) = load(&[&format!("as-names={a}"), &format!("as-names={b}")]).unwrap();
    let table = set.as_names.unwrap();
    let found: Vec<_> = table.iter().collect();
    assert_eq!(found, [(1, "one"), (2, "two"), (3, "drei")]);
}

#[test]
fn attributes_have_strings_or_integers() {
    let folder = tempfile::tempdir().unwrap();
    let text = "prefix,customer,rack\n10.0.0.0/8,\"Acme, Inc.\",007\n10.1.0.0/16,Bolt,-3\n10.2.0.0/16,Acme; Inc.,7\n";
    let path = written(folder.path(), "c.csv", text);
    let (set, report) = load(&[
        &format!("customer={path}"),
        &format!("attribute.rack={path}?value=integer"),
    ])
    .unwrap();
    let customer = &set.attributes["customer"];
    assert_eq!(customer.values, ["Acme, Inc.", "Acme; Inc.", "Bolt"]);
    let at = |name: &str, address: &str| {
        let table = &set.attributes[name];
        let number = table.table.lookup(&octets(address.parse().unwrap()));
        table.text(number).map(str::to_owned)
    };
    assert_eq!(at("customer", "10.1.2.3"), Some("Bolt".to_owned()));
    assert_eq!(at("rack", "10.3.0.0"), Some("7".to_owned()));
    assert_eq!(at("rack", "10.1.0.0"), Some("-3".to_owned()));
    assert_eq!(at("rack", "11.0.0.0"), None);
    assert_eq!(set.attributes["rack"].values, ["-3", "7"]);
    assert_eq!(report.tables[1].distinct_values, 2);
    let both = load(&[
        &format!("customer={path}"),
        &format!("customer={path}?value=integer"),
    ]);
    assert!(both.is_err_and(|line| line.contains("must be the same for all its sources")));
    let latin = written(folder.path(), "l.csv", b"10.0.0.0/8,M\xfcller\n");
    let refused = load(&[&format!("customer={latin}")]).unwrap_err();
    assert!(refused.contains("is not UTF-8"), "{refused}");
    let (set, report) = load(&[&format!(
        "exporters={}",
        written(folder.path(), "e", b"10.0.0.1,M\xfcller\n")
    )])
    .unwrap();
    assert_eq!(report.tables[0].odd_rows, 1);
    let exporter = octets("10.0.0.1".parse().unwrap());
    assert_eq!(
        set.exporter_names.unwrap().get(&exporter),
        Some("M\u{fffd}ller")
    );
}

#[test]
fn interfaces_are_named_by_exporter_and_index() {
    let folder = tempfile::tempdir().unwrap();
    let bare = written(
        folder.path(),
        "a",
        "192.0.2.1,3,et-0/0/1\n2001:db8::1,4,lo0\n",
    );
    let text = "{\"exporter\":\"192.0.2.1\",\"if_index\":3,\"if_name\":\"et-0/0/1\"}\n\
                {\"exporter\":\"2001:db8::1\",\"if_index\":4,\"if_name\":\"lo0\"}\n";
    let json = written(folder.path(), "b", text);
    let [a, b] = [bare, json].map(|path| load(&[&format!("interfaces={path}")]).unwrap().0);
    assert_eq!(a.hash(), b.hash());
    let names = a.interface_names.unwrap();
    let exporter = octets("192.0.2.1".parse().unwrap());
    assert_eq!(
        [names.get(&(exporter, 3)), names.get(&(exporter, 4))],
        [Some("et-0/0/1"), None]
    );
}

/// What is fetched is a source as any other.
#[test]
fn objects_are_fetched_by_the_caller() {
    let spec: SourceSpec = "asn=s3://b/t/?region=x".parse().unwrap();
    let asked = std::cell::RefCell::new(HashMap::new());
    let fetch = |url: &str, limit: u64| {
        asked.borrow_mut().insert(url.to_owned(), limit);
        Ok(flow_tables::Fetched {
            name: "s3://b/t/new.csv".to_owned(),
            bytes: b"1.0.0.0/24,7\n".to_vec(),
        })
    };
    let (set, report) = TableSet::load(std::slice::from_ref(&spec), &fetch).unwrap();
    assert_eq!(asn_at(&set, "1.0.0.1"), 7);
    assert_eq!(report.tables[0].name, "s3://b/t/new.csv");
    assert!(asked.borrow().contains_key("s3://b/t/?region=x"));
    let refused = TableSet::load(&[spec], &no_remote).map(|_| ()).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("s3://b/t/: cannot read the table: ")
    );
}
