//! Bad tables given to a running job: each is refused in one line, counted, and the version in force stays.

use std::path::{Path, PathBuf};

use flow_tables::DEMO_ASN_CSV;

use crate::swap::{Job, Place, RELOAD, TOKEN, metric};

/// What an accident makes of the table, each with what it is.
fn accidents() -> Vec<(String, Vec<u8>)> {
    let whole = DEMO_ASN_CSV.as_bytes();
    let cut = |percent: usize| {
        let end = whole.len() * percent / 100;
        (format!("cut at {percent} %"), whole[..end].to_vec())
    };
    let lines = |change: &dyn Fn(&[&str]) -> String| {
        let changed = DEMO_ASN_CSV
            .lines()
            .map(|line| change(&line.splitn(4, ',').collect::<Vec<_>>()));
        changed.collect::<String>().into_bytes()
    };
    let ten_times = (0..DEMO_ASN_CSV.lines().count() * 10).map(|n| {
        let (high, low) = (n / 256, n % 256);
        format!("11.{high}.{low}.0/24,{}\n", 64_496 + n % 8)
    });
    let mut all: Vec<_> = (0..100).map(cut).collect();
    all.push((
        "without its AS numbers".to_owned(),
        lines(&|f| format!("{},{}\n", f[0], f[1])),
    ));
    all.push((
        "without last addresses".to_owned(),
        lines(&|f| format!("{},{}\n", f[0], f[2])),
    ));
    all.push((
        "AS 0 everywhere".to_owned(),
        lines(&|f| format!("{},{},0\n", f[0], f[1])),
    ));
    all.push((
        "ten times the rows".to_owned(),
        ten_times.collect::<String>().into_bytes(),
    ));
    all
}

/// MMDB files that a reader must refuse; none, said loudly, where they are not at hand.
#[allow(clippy::print_stderr, reason = "a test tells what it skipped")]
fn corrupt() -> Vec<(String, Vec<u8>)> {
    let shared = std::env::var_os("FLOW_PIPELINE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let folder = shared.join("tables/maxmind/bad-data");
    if !folder.is_dir() {
        eprintln!("SKIPPED: corrupt MMDB files are not in ../shared");
        return Vec::new();
    }
    let files = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path())
    };
    let all = files(folder).filter(|path| path.is_dir()).flat_map(files);
    let all = all.filter(|path| path.extension().is_some_and(|is| is == "mmdb"));
    let read = |path: PathBuf| {
        (
            path.display().to_string(),
            std::fs::read(&path).expect("readable"),
        )
    };
    let all: Vec<_> = all.map(read).collect();
    assert_eq!(all.len(), 21);
    all
}

#[test]
fn each_is_refused_by_a_running_job_in_one_line() {
    let place = Place::new();
    let job = Job::start(&place, &[]);
    job.wait_for_a_checkpoint();
    let bad = [accidents(), corrupt()].concat();
    for (what, content) in &bad {
        place.write("asn.csv", content);
        let (code, body) = job.ask(RELOAD, Some(TOKEN));
        let line = body["error"].as_str().unwrap_or_default();
        assert_eq!(code, 422, "{what}: {body}");
        assert!(
            line.len() > 10 && line.len() < 600 && !line.contains('\n'),
            "{what}: {line:?}"
        );
        assert!(
            line.contains("asn"),
            "{what}: it names neither table nor file: {line}"
        );
    }
    let counted = ["implausible", "unreadable"].map(|outcome| {
        metric(
            &job,
            &format!("flow_pipeline_tables_reloads_total{{outcome=\"{outcome}\"}}"),
        )
    });
    println!(
        "{} refused; not plausible, not readable: {counted:?}",
        bad.len()
    );
    assert!(counted.iter().all(|n| *n > 0.0), "{counted:?}");
    assert_eq!(counted.iter().sum::<f64>(), bad.len() as f64);
    assert_eq!(metric(&job, "flow_pipeline_tables_version"), 1.0);
    assert_eq!(place.versions(), 1);
    // What it was is nothing new.
    place.write("asn.csv", DEMO_ASN_CSV);
    assert_eq!(job.ask(RELOAD, Some(TOKEN)).1["unchanged"], true);
}
