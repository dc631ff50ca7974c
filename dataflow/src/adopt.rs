//! The checkpoint of an adoption: where a job goes on that has lost its state, or has an older copy of it.
//!
//! Law 6: its number is above every one that a store has seen, and every slot that is not retired in the state gets a
//! generation above every one that a store has; such slots count as open again, so that each is written whole when it
//! completes. Law 1: a job without a state has for its recorded start where it would begin now.

use flow_proto::Rollups;
use flow_state::{Checkpoint, Position};
use flow_topic::Topic;

use crate::config::JobConfig;
use crate::failure::JobError;
use crate::restore::{first, fits, genesis};

/// What an adoption is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The job's new id.
    pub job: String,
    /// Id of this attempt.
    pub attempt: u64,
    /// The checkpoint's number.
    pub number: u64,
    /// Generation of the slots that are not retired.
    pub generation: u32,
}

/// What the adoption begins with: the state's newest checkpoint, or one without a flow where a new job begins.
///
/// # Errors
/// Whatever a start is refused for.
pub fn base(
    config: &JobConfig,
    topic: &dyn Topic,
    newest: Option<Checkpoint>,
) -> Result<Checkpoint, JobError> {
    if let Some(newest) = newest {
        fits(config, topic, &newest)?;
        return Ok(newest);
    }
    let mut base = genesis(config, "");
    for partition in 0..topic.partitions()? {
        let begin = first(config, topic, partition, topic.bounds(partition)?)?;
        base.cut.insert(partition, Position::beginning(begin));
        base.starts.insert(partition, begin);
    }
    Ok(base)
}

/// The checkpoint of the adoption.
pub fn adopted(mut base: Checkpoint, takeover: Takeover, rollups: Rollups) -> Checkpoint {
    let retired_secs = base.timeline.retired_secs;
    base.complete
        .retain(|group, _| rollups.end(group.rollup, group.slot_secs) <= retired_secs);
    base.generations.push((retired_secs, takeover.generation));
    base.number = takeover.number;
    base.attempt = takeover.attempt;
    base.job = takeover.job;
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow_state::Group;

    #[test]
    fn slots_that_are_not_retired_are_open_again_and_above_all_others() {
        let mut newest = genesis(&JobConfig::default(), "old");
        let group = |slot_secs| Group {
            rollup: 0,
            slot_secs,
        };
        newest.number = 7;
        newest.timeline.retired_secs = 900;
        newest.complete = [300, 600, 900].map(|slot| (group(slot), 5)).into();
        newest.generations = vec![(0, 1)];
        let takeover = Takeover {
            job: "new".to_owned(),
            attempt: 3,
            number: 12,
            generation: 4,
        };
        let adopted = adopted(newest.clone(), takeover, Rollups::STANDARD);
        assert_eq!((adopted.job.as_str(), adopted.number), ("new", 12));
        let complete: Vec<u64> = adopted.complete.keys().map(|g| g.slot_secs).collect();
        assert_eq!(complete, [300, 600]);
        let of = |slot| adopted.generation(slot, 300);
        assert_eq!([of(300), of(600), of(900), of(1_200)], [1, 1, 4, 4]);
        assert_eq!(adopted.cut, newest.cut);
    }
}
