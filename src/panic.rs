//! The panic hook: says where, then ends the whole process with the exit code for a bug.
//!
//! We do not build with `panic = "abort"`, since tests would then compile every dependency a second time. But a
//! thread that dies quietly leaves the others waiting for it for ever (a timely worker above all).
//! Law: after a panic in any thread the process ends with exit code 70, and names the thread or operator. The one
//! exception: a library's panic at a foreign record, which the topic catches and counts.

use std::io::Write;

use crate::failure::Exit;

/// Sets the hook. Must come first in `main`.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        if flow_topic::kafka::a_panic_is_expected() {
            return;
        }
        let thread = std::thread::current();
        let place = info
            .location()
            .map_or_else(String::new, |l| format!("{}:{}: ", l.file(), l.line()));
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        // Standard error may be gone; there is nobody left to tell then.
        let _ = writeln!(
            std::io::stderr(),
            "flow-pipeline: bug in thread {}: {place}{}\nhint: please report this line with what you ran",
            thread.name().unwrap_or("without a name"),
            what.replace('\n', " "),
        );
        std::process::exit(i32::from(Exit::Bug.code()));
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread::Builder;

    /// Set in the child that panics.
    const CHILD: &str = "PANIC_HOOK_TEST_CHILD";

    #[test]
    fn a_panic_in_any_thread_ends_the_process_and_names_it() {
        if std::env::var_os(CHILD).is_some() {
            super::install();
            let thread = Builder::new().name("window-7".to_owned());
            let _ = thread
                .spawn(|| panic!("lost\nits {}", "way"))
                .expect("starts")
                .join();
            unreachable!("the hook has ended the process");
        }
        let output = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--nocapture"])
            .arg("panic::tests::a_panic_in_any_thread_ends_the_process_and_names_it")
            .env(CHILD, "1")
            .output()
            .expect("starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(70), "{stderr}");
        let line = stderr
            .lines()
            .find(|line| line.starts_with("flow-pipeline: "))
            .expect("a line");
        assert!(
            line.starts_with("flow-pipeline: bug in thread window-7: src/panic.rs:"),
            "{line}"
        );
        assert!(line.ends_with(": lost its way"), "{line}");
        assert_eq!(stderr.matches("hint: ").count(), 1, "{stderr}");
    }
}
