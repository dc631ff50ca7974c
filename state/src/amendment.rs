//! What is amended of the past: slots that are to have other tables than those that their rows were made with.
//!
//! Law 3: the timeline stays what it is, since rows on record were made with it. An amendment says what a replay is to give a
//! slot when it replaces it as a whole.

use serde::{Deserialize, Serialize};

use crate::{SlotSecs, Swaps, TableVersion};

/// Amendments that are kept: years of one a day would be, if their slots had not been replaced long ago.
const KEPT_AMENDMENTS: usize = 512;

/// Slots of the past that are to have another version than that of the timeline, which says what their rows were made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// The request that says so.
    pub request: u64,
    /// The first slot.
    pub from_secs: SlotSecs,
    /// Where the last one ends.
    pub until_secs: SlotSecs,
    /// What they are to have.
    pub version: TableVersion,
}

impl Swaps {
    /// Slots of the past are to have another version; of several that say so of a slot the last one holds.
    pub fn amend(&mut self, amendment: Amendment) {
        if amendment.from_secs < amendment.until_secs {
            self.amended.push(amendment);
            let over = self.amended.len().saturating_sub(KEPT_AMENDMENTS);
            self.amended.drain(..over);
        }
    }

    /// The version that a slot is to have in place of the timeline's.
    pub fn amended_at(&self, slot_secs: SlotSecs) -> Option<&TableVersion> {
        let holds = |it: &&Amendment| (it.from_secs..it.until_secs).contains(&slot_secs);
        self.amended.iter().rev().find(holds).map(|it| &it.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_amendment_of_a_slot_holds() {
        let mut swaps = Swaps::default();
        for (request, from_secs, until_secs) in [(1, 300, 1_500), (2, 900, 1_200), (3, 900, 900)] {
            let number = u32::try_from(request).expect("small");
            let version = TableVersion {
                number,
                hash: String::new(),
            };
            swaps.amend(Amendment {
                request,
                from_secs,
                until_secs,
                version,
            });
        }
        assert_eq!(swaps.amended.len(), 2, "the third has no slot");
        let of = |slot| swaps.amended_at(slot).map(|version| version.number);
        assert_eq!(
            [0, 300, 900, 1_200, 1_500].map(of),
            [None, Some(1), Some(2), Some(1), None]
        );
    }
}
