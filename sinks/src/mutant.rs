//! Deliberate breakages of what followers do: negative controls that the tests must catch.
//!
//! Exists only with the feature `mutants`, which the shipped binary lacks.

/// One breakage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Law 6: a raw follower that is behind joins the blocks up to the newest checkpoint.
    RawBlocksJoined,
    /// Law 6: a partition without a cursor begins at the newest checkpoint.
    RawFromNewest,
    /// Law 6: a cursor that somebody else has moved is taken for one's own success.
    MovedTakenForDone,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 3] = [
        Mutant::RawBlocksJoined,
        Mutant::RawFromNewest,
        Mutant::MovedTakenForDone,
    ];
}
