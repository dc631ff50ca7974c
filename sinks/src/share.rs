//! Which partitions' raw flows one process of a job writes.
//!
//! Law 1: every partition has exactly one writer among the processes of a job, however many there are; another number of
//! them at the next start moves partitions, and each goes on from its stored cursor.

/// One process's share: every `processes`-th partition from `process` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Number of this process, from 0 on.
    pub process: usize,
    /// How many there are.
    pub processes: usize,
}

impl Default for Share {
    /// All of them.
    fn default() -> Share {
        Share {
            process: 0,
            processes: 1,
        }
    }
}

impl Share {
    /// Whether it is this process's.
    pub fn holds(self, partition: u32) -> bool {
        usize::try_from(partition).is_ok_and(|p| p % self.processes.max(1) == self.process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_one_holder() {
        for processes in 1..6 {
            for partition in 0..40 {
                let holders = (0..processes).filter(|process| {
                    let share = Share {
                        process: *process,
                        processes,
                    };
                    share.holds(partition)
                });
                assert_eq!(holders.count(), 1);
            }
        }
        assert!((0..40).all(|p| Share::default().holds(p)));
    }
}
