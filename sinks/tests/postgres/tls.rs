//! TLS: what `sslmode` lets through and what it does not.
//!
//! The test server's certificate is for `localhost`, by the authority in `FLOW_PIPELINE_TEST_CA`.

use flow_sinks::SinkErrorKind;

use crate::database::Database;

#[test]
fn verify_full_talks_only_to_the_server_that_was_named() {
    let Some(database) = Database::new() else {
        return;
    };
    let Ok(authority) = std::env::var("FLOW_PIPELINE_TEST_CA") else {
        eprintln!("SKIPPED: FLOW_PIPELINE_TEST_CA is not set: no certificate to test with");
        return;
    };
    let named = database.server.replace("127.0.0.1", "localhost");
    let url = |server: &str, options: &str| format!("{server}/{}?{options}", database.name);
    let ours = format!("sslrootcert={authority}");
    for (server, options) in [
        (&named, format!("sslmode=verify-full&{ours}")),
        (&named, format!("sslmode=verify-ca&{ours}")),
        (&database.server, format!("sslmode=verify-ca&{ours}")),
        (&database.server, "sslmode=require".to_owned()),
        (&database.server, "sslmode=prefer".to_owned()),
        (&database.server, String::new()),
    ] {
        let store = flow_sinks::open(&url(server, &options));
        let store = store.unwrap_or_else(|error| panic!("{options}: {error}"));
        let sessions = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                        WHERE application_name = 'flow-pipeline' AND datname = current_database()";
        assert_eq!(database.session.query(sessions), [["t"]], "{options}");
        drop(store);
        database.kill_sink_sessions();
    }
    for (server, options) in [
        // The name in the certificate is another.
        (&database.server, format!("sslmode=verify-full&{ours}")),
        // The system does not know the authority.
        (&named, "sslmode=verify-full".to_owned()),
        (&named, "sslmode=verify-ca&sslrootcert=system".to_owned()),
    ] {
        let Err(error) = flow_sinks::open(&url(server, &options)) else {
            panic!("{options} was taken")
        };
        assert_eq!(error.kind, SinkErrorKind::Refused, "{error}");
        let line = error.to_string();
        assert!(
            line.contains("sslrootcert") && !line.contains('\n'),
            "{line}"
        );
    }
    for options in [
        "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
        "sslmode=require&sslcert=/nowhere/c.pem",
    ] {
        let error = flow_sinks::open(&url(&named, options)).err().unwrap();
        assert_eq!(error.kind, SinkErrorKind::Refused, "{error}");
    }
}
