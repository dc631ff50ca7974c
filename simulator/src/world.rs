//! What all parts of a run share: the dice, the clock, the trace, and the first law that was seen broken.
//!
//! Only one thread runs at a time (see `worker`), so the order of what is asked here is the schedule's. Law 10: the
//! clock stands still unless the schedule moves it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dice::Dice;
use crate::mutant::Mutant;

/// A handle of it; clones are the same.
#[derive(Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    now_ns: Arc<AtomicU64>,
    offered: Arc<AtomicU64>,
}

struct Inner {
    dice: Dice,
    /// Whether anything may fail.
    faults: bool,
    /// How bad this world is, from 0 to 1000.
    badness: u64,
    violation: Option<String>,
    /// Lines of the trace; empty unless it is kept.
    trace: Vec<String>,
    traced: bool,
    /// Of every line, kept or not.
    digest: u64,
    mutant: Option<Mutant>,
}

impl World {
    pub(crate) fn new(seed: u64, traced: bool) -> World {
        let mut dice = Dice::new(seed);
        let badness = dice.roll(1001);
        World {
            inner: Arc::new(Mutex::new(Inner {
                dice,
                faults: true,
                badness,
                violation: None,
                trace: Vec::new(),
                traced,
                digest: 0xcbf2_9ce4_8422_2325,
                mutant: None,
            })),
            now_ns: Arc::default(),
            offered: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a worker is a finding of its own; what the lock guards stays sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rolls the dice.
    pub(crate) fn roll<T>(&self, with: impl FnOnce(&mut Dice) -> T) -> T {
        with(&mut self.lock().dice)
    }

    /// Whether something fails now that fails `permille` times in a thousand where the world is worst.
    pub(crate) fn fails(&self, permille: u64) -> bool {
        let mut inner = self.lock();
        let scaled = permille * inner.badness / 1000;
        inner.faults && inner.dice.chance(scaled)
    }

    /// How bad this world is, from 0 to 1000.
    pub(crate) fn badness(&self) -> u64 {
        self.lock().badness
    }

    /// From now on nothing fails any more.
    pub(crate) fn heal(&self) {
        self.lock().faults = false;
    }

    /// Things fail again.
    pub(crate) fn ail(&self) {
        self.lock().faults = true;
    }

    /// From now on what this breaks is broken.
    pub(crate) fn break_with(&self, mutant: Mutant) {
        self.lock().mutant = Some(mutant);
    }

    /// Whether this is broken on purpose.
    pub(crate) fn is_broken(&self, mutant: Mutant) -> bool {
        self.lock().mutant == Some(mutant)
    }

    /// A law is broken.
    pub(crate) fn violated(&self, what: impl Into<String>) {
        self.lock().violation.get_or_insert(what.into());
    }

    /// The first law that was seen broken.
    pub(crate) fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    /// Says what has happened. The text is made only if it is kept or counted.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        let now_ms = self.now_ns() / 1_000_000;
        let line = format!("{now_ms} {}", what());
        let mut inner = self.lock();
        for byte in line.bytes() {
            inner.digest = (inner.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if inner.traced {
            inner.trace.push(line);
        }
    }

    /// The trace, and the digest of its lines.
    pub(crate) fn told(&self) -> (Vec<String>, u64) {
        let mut inner = self.lock();
        (std::mem::take(&mut inner.trace), inner.digest)
    }

    /// A store is given what belongs to this checkpoint.
    pub(crate) fn offer(&self, number: u64) {
        self.offered.fetch_max(number, Ordering::AcqRel);
    }

    /// The newest checkpoint of which any store was ever given anything.
    pub(crate) fn offered(&self) -> u64 {
        self.offered.load(Ordering::Acquire)
    }

    /// The clock: nanoseconds since 1970.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::Acquire)
    }

    /// Time goes by.
    pub(crate) fn pass_millis(&self, millis: u64) {
        self.now_ns.fetch_add(millis * 1_000_000, Ordering::AcqRel);
    }

    /// Time goes on until this second, unless it is later already.
    pub(crate) fn pass_until_secs(&self, secs: u64) {
        self.now_ns
            .fetch_max(secs * 1_000_000_000, Ordering::AcqRel);
    }
}
