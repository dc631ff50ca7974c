//! One live line on a terminal; else a plain line every ten seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines.
const PLAIN: Duration = Duration::from_secs(10);

/// Shows what goes on, on standard error.
pub(crate) struct LiveLine {
    bar: Option<ProgressBar>,
    last: Instant,
}

impl LiveLine {
    pub(crate) fn new() -> LiveLine {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        LiveLine {
            bar,
            last: Instant::now(),
        }
    }

    /// With a bar beside it that shows how much of so much is done.
    pub(crate) fn of(all: u64) -> LiveLine {
        let line = LiveLine::new();
        if let Some(bar) = &line.bar {
            bar.set_length(all);
            let style = "{spinner} [{bar:24}] {percent:>3}% {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("=> "));
            }
        }
        line
    }

    /// So much is done.
    pub(crate) fn at(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Renews the line; `text` is asked for only if it is shown.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        } else if self.last.elapsed() >= PLAIN {
            self.last = Instant::now();
            tracing::info!("{}", text());
        }
    }

    /// Prints above the live line.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => tracing::info!("{text}"),
        }
    }

    /// The last line stays.
    pub(crate) fn end(self, text: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        tracing::info!("{text}");
    }
}

/// Seconds since 1970 as RFC 3339, UTC.
pub(crate) fn time(secs: u64) -> String {
    i64::try_from(secs)
        .ok()
        .and_then(|secs| jiff::Timestamp::from_second(secs).ok())
        .map_or_else(|| secs.to_string(), |time| time.to_string())
}
