//! `Summary`: how values are distributed, in little memory.
//!
//! GoFlow's summaries have quantiles over the last ten minutes. Here values fall into buckets an eighth of an octave
//! wide, in two windows of five minutes that take turns, so that a quantile is at most 7 % off and tells of the last
//! five to ten minutes. Law: count and sum are exact; memory does not grow with the number of values.

/// How long a window is filled.
const WINDOW_NS: u64 = 300_000_000_000;

/// Values, summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    count: u64,
    sum: u64,
    /// Counts by bucket: the window that is filled, and the one before.
    windows: [Vec<u32>; 2],
    begun_ns: u64,
}

impl Summary {
    /// Takes a value at `now_ns`.
    pub(super) fn observe(&mut self, value: u64, now_ns: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.turn(now_ns);
        let at = bucket(value);
        let [window, _] = &mut self.windows;
        if window.len() <= at {
            window.resize(at + 1, 0);
        }
        if let Some(count) = window.get_mut(at) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The value below which this part of the values lies, as of `now_ns`; `None`: none in the last minutes.
    pub(super) fn quantile(&self, part: f64, now_ns: u64) -> Option<u64> {
        let [new, old] = &self.windows;
        let age_ns = now_ns.saturating_sub(self.begun_ns);
        let live: &[&Vec<u32>] = match age_ns / WINDOW_NS {
            0 => &[new, old],
            1 => &[new],
            _ => &[],
        };
        let in_bucket = |at: usize| -> u64 {
            let counts = live.iter().filter_map(|window| window.get(at));
            counts.map(|count| u64::from(*count)).sum()
        };
        let buckets = 0..new.len().max(old.len());
        let all: u64 = buckets.clone().map(in_bucket).sum();
        #[expect(clippy::cast_precision_loss, reason = "a quantile is an estimate")]
        let rank = part * all as f64;
        let mut below = 0;
        buckets.into_iter().find_map(|at| {
            below += in_bucket(at);
            #[expect(clippy::cast_precision_loss, reason = "a quantile is an estimate")]
            let reached = below > 0 && below as f64 >= rank;
            reached.then(|| middle(at))
        })
    }

    /// Adds what another one has taken.
    pub(super) fn add(&mut self, other: &Summary) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        // The later turn counts: windows differ by their threads' idle times at most.
        self.begun_ns = self.begun_ns.max(other.begun_ns);
        for (mine, theirs) in self.windows.iter_mut().zip(&other.windows) {
            if mine.len() < theirs.len() {
                mine.resize(theirs.len(), 0);
            }
            for (count, more) in mine.iter_mut().zip(theirs) {
                *count = count.saturating_add(*more);
            }
        }
    }

    fn turn(&mut self, now_ns: u64) {
        let age_ns = now_ns.saturating_sub(self.begun_ns);
        if age_ns < WINDOW_NS {
            return;
        }
        self.begun_ns = now_ns;
        let [new, old] = &mut self.windows;
        std::mem::swap(new, old);
        new.clear();
        if age_ns >= 2 * WINDOW_NS {
            old.clear();
        }
    }
}

/// Values below 8 have a bucket each; above, eight buckets share an octave.
fn bucket(value: u64) -> usize {
    let octave = value.checked_ilog2().unwrap_or(0);
    let at = match octave {
        0..=2 => value,
        _ => u64::from(octave - 2) * 8 + (value >> (octave - 3) & 7),
    };
    usize::try_from(at).unwrap_or(0)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let at = u64::try_from(bucket).unwrap_or(0);
    if at < 8 {
        return at;
    }
    let (octave, eighth) = (at / 8 + 2, at % 8);
    ((8 + eighth) << (octave - 3)) + (1 << (octave - 3)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_those_of_the_sorted_values() {
        for scale in [1, 7, 1000, 1_000_000] {
            let mut summary = Summary::default();
            let mut values: Vec<u64> = (1..=1000).map(|n| n * n * scale / 100).collect();
            for value in &values {
                summary.observe(*value, 1);
            }
            values.sort_unstable();
            for (part, at) in [(0.5, 499), (0.9, 899), (0.99, 989)] {
                let (found, exact) = (summary.quantile(part, 1).unwrap(), values[at]);
                let off = found.abs_diff(exact);
                assert!(off * 14 <= exact, "{part}: {found}, not {exact}");
            }
            assert_eq!(summary.sum(), values.iter().sum::<u64>());
        }
    }

    #[test]
    fn buckets_are_in_order_and_hold_their_middle() {
        for value in (0..4096).chain([1 << 40, u64::MAX]) {
            assert!(bucket(value) >= bucket(value.saturating_sub(1)));
            assert_eq!(bucket(middle(bucket(value))), bucket(value), "{value}");
        }
    }

    #[test]
    fn what_is_older_than_ten_minutes_is_forgotten() {
        let mut summary = Summary::default();
        let at = |minutes: u64| minutes * WINDOW_NS / 5 + 1;
        summary.observe(100, at(10));
        assert_eq!(summary.quantile(0.5, at(14)), Some(middle(bucket(100))));
        summary.observe(5, at(16));
        assert_eq!(summary.quantile(0.99, at(17)), Some(middle(bucket(100))));
        assert_eq!(summary.quantile(0.99, at(22)), Some(5));
        assert_eq!(summary.quantile(0.99, at(40)), None);
        assert_eq!(summary.count(), 2);
    }
}
