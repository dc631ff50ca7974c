//! Deliberate breakages of what a replayer and the stores promise each other: negative controls that the test must catch.
//!
//! They are the simulator's own, since the stores are: those of operators and followers are in `dataflow` and `sinks`.

/// One breakage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Law 6: rows of a generation below the slot's floor are written, and shown.
    FloorIgnored,
    /// Law 6: a slot is written without having been recorded.
    RecordSkipped,
    /// Law 6: the generation that a slot has is used again for other rows.
    GenerationTwice,
    /// Law 6: a slot is replaced that the store still follows.
    NotRetired,
    /// Law 6: where there are no transactions, the floor rises before the rows are there.
    FloorFirst,
    /// Law 6: where there are transactions, the rows that were replaced stay beside the new ones.
    OldRowsLeft,
    /// Law 6: where there are none, rows of a later replacement that is under way are taken for nobody's.
    ClearedUnasked,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 7] = [
        Mutant::FloorIgnored,
        Mutant::RecordSkipped,
        Mutant::GenerationTwice,
        Mutant::NotRetired,
        Mutant::FloorFirst,
        Mutant::OldRowsLeft,
        Mutant::ClearedUnasked,
    ];
}
