//! `Step`: addresses of either family as numbers with neighbours, so that what sweeps over ranges is written once.
//!
//! Law: the last address has no next one; nothing wraps around.

/// An address that has neighbours.
pub(crate) trait Step: Copy + Ord {
    fn next(self) -> Option<Self>;
    /// Of one that is not the first.
    fn previous(self) -> Self;
}

impl Step for u32 {
    fn next(self) -> Option<u32> {
        self.checked_add(1)
    }
    fn previous(self) -> u32 {
        self.saturating_sub(1)
    }
}

impl Step for u128 {
    fn next(self) -> Option<u128> {
        self.checked_add(1)
    }
    fn previous(self) -> u128 {
        self.saturating_sub(1)
    }
}
