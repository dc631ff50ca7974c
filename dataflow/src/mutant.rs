//! Deliberate breakages of the laws: negative controls that the tests must catch.
//!
//! Exists only with the feature `mutants`, which the shipped binary lacks.

/// One breakage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Law 2: a receive time far from the topic's timestamp is believed.
    PoisonTrusted,
    /// Law 2: partition clocks are not taken from the checkpoint at a restart.
    ClocksNotDurable,
    /// Law 2: the retirement line is not taken from the checkpoint at a restart.
    RetirementNotDurable,
    /// Law 4: flows of the next tick are folded before the tick is closed.
    NextTickFolded,
    /// Law 4: a checkpoint's offsets are taken one tick too late.
    CutOfNextTick,
    /// Law 5: a restart reads the newest segment of a slot only.
    OnlyNewestSegment,
    /// Law 2: the pack's own times do not move the clock before its flows are judged.
    ClockWithoutOwnPack,
    /// Law 7: a pre-aggregated row that gives way to another is lost.
    EvictedRowLost,
    /// Law 2: raw flows meet R as it was in the end, not as it was at their offset.
    RawRetirementOfTheEnd,
    /// Law 7: offsets that retention has deleted are jumped over and not declared.
    GapNotDeclared,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 10] = [
        Mutant::PoisonTrusted,
        Mutant::ClocksNotDurable,
        Mutant::RetirementNotDurable,
        Mutant::NextTickFolded,
        Mutant::CutOfNextTick,
        Mutant::OnlyNewestSegment,
        Mutant::ClockWithoutOwnPack,
        Mutant::EvictedRowLost,
        Mutant::RawRetirementOfTheEnd,
        Mutant::GapNotDeclared,
    ];
}
