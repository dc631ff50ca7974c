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
    /// Law 2: where nothing is left to read, the watermark is taken for the end of time.
    NothingUnreadIsTheEnd,
    /// Law 2: R does not hold for the first record of a partition that is found later.
    NewPartitionNotRetired,
    /// Law 3: a flow meets the newest tables, whatever its slot.
    VersionByArrival,
    /// Law 3: L is not taken from the checkpoint at a restart.
    LineNotDurable,
    /// Law 3: L goes by the packs that were read, not by those that wait.
    LineFromReadPacks,
    /// Law 3: tables are announced for a slot that L has passed.
    SwapBelowLine,
    /// Law 3: tables are announced before every process has them.
    AnnouncedUnprepared,
    /// Law 3: a swap is on record one tick too late.
    SwapRecordedLate,
    /// Law 5: a job that has lost its number goes on as if it had won.
    LoserGoesOn,
    /// Law 5: the names of segments do not say which attempt wrote them.
    FileNamedByNumber,
    /// Law 5: a segment is let go when its slots retire, whoever still needs it.
    FilesDroppedAtRetirement,
    /// Law 6: a checkpoint is published before it is put.
    SinkFedUnrecorded,
    /// Law 6: the other processes publish whatever has the number of their last checkpoint.
    RelayOfAnyAttempt,
    /// A retirement is put with its own tick, or never.
    RetirementToldOnce,
    /// A longer slot is over with its first slot of the base window, not with its last.
    LongerSlotEndsEarly,
}

impl Mutant {
    /// So many, the first of all, are seen in the histories of one job in one process.
    pub const OF_ONE_JOB: usize = 10;
    /// All of them.
    pub const ALL: [Mutant; 25] = [
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
        Mutant::NothingUnreadIsTheEnd,
        Mutant::NewPartitionNotRetired,
        Mutant::VersionByArrival,
        Mutant::LineNotDurable,
        Mutant::LineFromReadPacks,
        Mutant::SwapBelowLine,
        Mutant::AnnouncedUnprepared,
        Mutant::SwapRecordedLate,
        Mutant::LoserGoesOn,
        Mutant::FileNamedByNumber,
        Mutant::FilesDroppedAtRetirement,
        Mutant::SinkFedUnrecorded,
        Mutant::RelayOfAnyAttempt,
        Mutant::RetirementToldOnce,
        Mutant::LongerSlotEndsEarly,
    ];
}
