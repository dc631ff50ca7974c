//! The keeping thread: what is to be done now and then.
//!
//! It says when nothing arrives, shows the state's size, and keeps templates and sampling rates in a file, so that a
//! collector that starts again decodes at once. Law: the file is whole or the one before, whenever the process ends, and
//! lacks nothing that was learned more than a moment before; one that cannot be read is set aside, told in one line, and
//! the collector starts without.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::queue::Budget;
use super::watch::Watch;
use super::{Clock, CollectError};
use crate::metrics::Metrics;
use crate::wire::SharedDecoder;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// How often the file is written if nothing was learned: it also tells when each exporter was last seen.
const SAVE_EVERY_NS: u64 = 30_000_000_000;
/// How soon after it was last written it may be written again …
const SAVE_SOONEST_NS: u64 = 1_000_000_000;
/// … and for how many times as long as that took: a large file, or a slow disk, is not written all the time.
const SAVE_REST: u64 = 20;
/// Larger files are none of ours: the state's bounds keep it far below.
const LARGEST_BYTES: u64 = 1 << 30;

/// What the keeping thread owns.
pub(super) struct Keeper {
    pub(super) decoder: Arc<SharedDecoder>,
    pub(super) state: Option<PathBuf>,
    pub(super) budget: Budget,
    /// URLs of the listeners, for messages.
    pub(super) listening: String,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

impl Keeper {
    /// Takes what an earlier collector has kept.
    ///
    /// # Errors
    /// If the file is there and cannot be read or set aside, or none can be written there.
    pub(super) fn restore(&self) -> Result<(), CollectError> {
        let Some(path) = &self.state else {
            return Ok(());
        };
        let failed = |source| CollectError::State {
            path: path.display().to_string(),
            source,
        };
        let content = match read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Told now rather than in half a minute that it cannot be written.
                return replace(path, &self.decoder.save()).map_err(failed);
            }
            Err(error) => return Err(failed(error)),
        };
        match self.decoder.restore(&content, (self.clock)()) {
            Ok(restored) => {
                let (domains, templates) = (restored.domains, restored.templates);
                self.metrics.restored_templates.inc_by(templates);
                tracing::info!(state = %path.display(), domains, templates, "templates restored");
            }
            Err(error) => {
                let aside = beside(path, "damaged");
                fs::rename(path, &aside).map_err(failed)?;
                tracing::warn!(
                    state = %path.display(),
                    set_aside = %aside.display(),
                    %error,
                    "starting without templates; exporters send them again"
                );
            }
        }
        Ok(())
    }

    /// Looks after things until all decoding threads have ended.
    pub(super) fn run(self, alive: &Receiver<()>) {
        let mut now_ns = (self.clock)();
        let mut watch = Watch::new(now_ns);
        let mut before = self.metrics.totals();
        let mut saved = Saved {
            began_ns: now_ns,
            ..Saved::default()
        };
        while let Err(RecvTimeoutError::Timeout) = alive.recv_timeout(LOOK) {
            now_ns = (self.clock)();
            let totals = self.metrics.totals();
            if totals.datagrams_decoded > before.datagrams_decoded {
                let flows = totals.flows_decoded - before.flows_decoded;
                let waiting = totals.waiting_sets - before.waiting_sets;
                watch.decoded(now_ns, flows, waiting);
            }
            before = totals;
            if let Some(notice) = watch.notice(now_ns) {
                tracing::warn!(listening = %self.listening, "{notice}");
            }
            self.show();
            if saved.is_due(now_ns, self.decoder.news()) {
                self.save(&mut saved);
            }
        }
        self.show();
        self.save(&mut saved);
    }

    fn show(&self) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics
            .queue_bytes
            .set(gauge(self.budget.used_bytes()));
        self.metrics.exporters.set(gauge(self.decoder.exporters()));
        self.metrics
            .early_bytes
            .set(gauge(self.decoder.early_bytes()));
    }

    /// Writes the state if it is not what was saved last. A failure is told and tried again.
    fn save(&self, saved: &mut Saved) {
        let Some(path) = &self.state else { return };
        // Before the content: what is learned meanwhile is saved the next time.
        let (began_ns, news) = ((self.clock)(), self.decoder.news());
        let content = self.decoder.save();
        let replaced = if content == saved.content {
            Ok(())
        } else {
            replace(path, &content)
        };
        let took_ns = (self.clock)().saturating_sub(began_ns);
        (saved.began_ns, saved.took_ns) = (began_ns, took_ns);
        match replaced {
            Ok(()) => (saved.content, saved.news) = (content, news),
            Err(error) => {
                self.metrics.state_errors.inc();
                tracing::error!(state = %path.display(), %error, "templates were not saved; trying again");
            }
        }
    }
}

/// What was saved last, and when.
#[derive(Debug, Default)]
struct Saved {
    content: Vec<u8>,
    news: u64,
    began_ns: u64,
    took_ns: u64,
}

impl Saved {
    /// Whether it is time to save again, the decoder having so much news.
    fn is_due(&self, now_ns: u64, news: u64) -> bool {
        let rest_ns = self.took_ns.saturating_mul(SAVE_REST).max(SAVE_SOONEST_NS);
        let wait_ns = if news == self.news {
            SAVE_EVERY_NS.max(rest_ns)
        } else {
            rest_ns
        };
        now_ns.saturating_sub(self.began_ns) >= wait_ns
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > LARGEST_BYTES {
        let what = format!("{length} bytes; a file of templates has less than {LARGEST_BYTES}");
        return Err(io::Error::new(ErrorKind::FileTooLarge, what));
    }
    fs::read(path)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Puts a whole file in the place of the one before, durably.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_saved_soon_and_a_slow_disk_is_left_alone() {
        let second_ns = 1_000_000_000;
        let mut saved = Saved {
            news: 7,
            ..Saved::default()
        };
        assert!(!saved.is_due(second_ns - 1, 8) && saved.is_due(second_ns, 8));
        assert!(!saved.is_due(30 * second_ns - 1, 7) && saved.is_due(30 * second_ns, 7));
        saved.took_ns = second_ns;
        assert!(!saved.is_due(20 * second_ns - 1, 8) && saved.is_due(20 * second_ns, 8));
        saved.took_ns = 10 * second_ns;
        assert!(!saved.is_due(200 * second_ns - 1, 7) && saved.is_due(200 * second_ns, 7));
    }
}
