//! The initializer's script on a real Kafka: it makes the topic once, and is content when the topic is there.

use std::path::Path;
use std::process::Command;

use crate::files::Setup;
use crate::setups::strings;
use crate::stores::{address, unique};

/// Runs the script with another topic; whether it succeeded, and what it said.
fn initialize(script: &str, topic: &str) -> (bool, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_flow-pipeline"));
    let folder = binary.parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let script = script.replace("kafka://kafka:9092/flows", topic);
    let out = Command::new("/bin/sh")
        .args(["-c", &script])
        .env("PATH", path)
        .output()
        .expect("a shell");
    let said = [out.stdout, out.stderr].concat();
    (
        out.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn the_topic_is_made_once_with_the_brokers_timestamps() {
    let Some(kafka) = address("KAFKA") else {
        return;
    };
    let topic = format!("kafka://{kafka}/{}", unique());
    let service = &Setup::load("postgres-mock").section("services")["initializer"];
    let script = strings(service, "command").concat();
    let (made, said) = initialize(&script, &topic);
    assert!(made, "{said}");
    let opened = flow_topic::url::open(&topic, None).expect("a topic");
    assert_eq!(opened.partitions().expect("known"), 4);
    assert_eq!(opened.timestamps(), flow_topic::Timestamps::Append);
    let (content, said) = initialize(&script, &topic);
    assert!(content, "{said}");
    // The broker knows the name already, so that a script that only created would fail here.
    let (again, said) = initialize(script.split("||").nth(1).expect("two commands"), &topic);
    assert!(!again, "created twice: {said}");
}
