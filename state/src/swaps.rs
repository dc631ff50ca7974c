//! Requests to swap the enrichment tables, and what has become of them.
//!
//! Whoever wants other tables archives them and puts a request beside; the running job takes requests up in the order of their
//! numbers. Law 3: a request decides nothing. What was decided stands in the checkpoints and nowhere else, so that
//! put-if-absent decides it, too.

use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use crate::frame::{self, Form};
use crate::layout::{self, SWAPS};
use crate::objects::Placed;
use crate::{Amendment, SlotSecs, StateError, StateStore};

const REQUEST: Form = Form {
    magic: *b"FPSWAPS\n",
    version: 1,
    name: "a request to swap tables",
};

/// Outcomes that are kept: enough for whoever waits for one.
const KEPT_OUTCOMES: usize = 64;
/// How often another one may take the number that a request was to have.
const TRIES: usize = 1_000;

/// That these tables are to be in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapRequest {
    /// Its number, from 1 on.
    pub number: u64,
    /// Under which they are archived.
    pub hash: String,
    /// Hash of the tables that they were made from, which have to be in force still; `None`: whatever is.
    pub base: Option<String>,
    /// If they come from the sources that the job's own configuration names: hash of what stood there, of which a part may be
    /// older than what is in force. A restart with the same sources is no swap then.
    pub given: Option<String>,
    /// When it was put: seconds since 1970, UTC.
    pub asked_secs: u64,
    /// Who has put it, for people: `command`, `signal`, `file`, `http`.
    pub by: String,
    /// Slots from this one on, up to where the tables come into force, are to be computed again with them.
    pub from_secs: Option<SlotSecs>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapOutcome {
    /// Its number.
    pub request: u64,
    /// The table version that is in force for it, or why it was refused.
    pub result: Result<u32, String>,
}

/// What a checkpoint says of swaps, beside the versions of its timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swaps {
    /// Hash of the tables that the job's configuration named when it last took them up; not known of older states.
    pub given: Option<String>,
    /// The last request that was decided.
    pub decided: u64,
    /// The outcomes of the last ones, ascending.
    pub outcomes: Vec<SwapOutcome>,
    /// What the last requests have amended of the past, in their order.
    pub amended: Vec<Amendment>,
}

impl Swaps {
    /// A request is decided, and with it every one before it.
    pub fn decide(&mut self, outcome: SwapOutcome) {
        self.decided = self.decided.max(outcome.request);
        self.outcomes.push(outcome);
        let over = self.outcomes.len().saturating_sub(KEPT_OUTCOMES);
        self.outcomes.drain(..over);
    }

    /// What became of a request; `None`: nothing yet, or it is long ago.
    pub fn outcome(&self, request: u64) -> Option<&SwapOutcome> {
        self.outcomes.iter().find(|it| it.request == request)
    }
}

impl StateStore {
    /// Puts a request under the next number, which it gets, and says which. `decided` is the newest checkpoint's;
    /// `attempt` is the writer's id.
    ///
    /// # Errors
    /// `Io` if it could not be made durable: it may be there all the same. `Unfit`.
    pub fn ask_swap(
        &self,
        request: &SwapRequest,
        decided: u64,
        attempt: u64,
    ) -> Result<u64, StateError> {
        let last = self.swap_requests()?.last().copied().unwrap_or(0);
        let mut number = last.max(decided);
        for _ in 0..TRIES {
            number += 1;
            let name = layout::swap(number);
            let path = self.shown(&name);
            let asked = SwapRequest {
                number,
                ..request.clone()
            };
            let body = postcard::to_stdvec(&asked).map_err(|error| frame::unfit(&path, &error))?;
            let file = frame::framed(&REQUEST, &body);
            let placed = self
                .objects()
                .make_folder(SWAPS)
                .and_then(|()| self.objects().put_if_absent(&name, attempt, &[&file]))
                .map_err(StateError::io("write", &path))?;
            if placed == Placed::New || self.swap_request(number)? == Some(asked) {
                return Ok(number);
            }
        }
        Err(StateError::Unfit {
            path: self.shown(SWAPS),
            what: "others put requests faster than this one".into(),
        })
    }

    /// A request; `None` if there is none of that number.
    ///
    /// # Errors
    /// `Damaged` if it is not whole, `Newer`, `Io`.
    pub fn swap_request(&self, number: u64) -> Result<Option<SwapRequest>, StateError> {
        let name = layout::swap(number);
        let path = self.shown(&name);
        let file = match self.objects().get(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(StateError::io("read", &path))?,
        };
        let (_, body) = frame::body(&REQUEST, &file, &path)?;
        match postcard::take_from_bytes::<SwapRequest>(body) {
            Ok((request, [])) if request.number == number => Ok(Some(request)),
            _ => Err(StateError::damaged(
                &path,
                "its body is not that of its name",
            )),
        }
    }

    /// Numbers of all requests that are there, ascending.
    ///
    /// # Errors
    /// `Io` if they cannot be listed.
    pub fn swap_requests(&self) -> Result<Vec<u64>, StateError> {
        self.numbers_in(SWAPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(hash: &str) -> SwapRequest {
        SwapRequest {
            number: 0,
            hash: hash.to_owned(),
            base: None,
            given: None,
            asked_secs: 1_700_000_000,
            by: "command".to_owned(),
            from_secs: Some(300),
        }
    }

    #[test]
    fn requests_get_numbers_of_their_own_above_what_is_decided() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(folder.path()).expect("new");
        assert_eq!(state.swap_requests().expect("listed"), []);
        let joined = StateStore::join(folder.path()).expect("joined");
        assert_eq!(joined.ask_swap(&request("ab"), 6, 1).expect("put"), 7);
        assert_eq!(state.ask_swap(&request("cd"), 6, 2).expect("put"), 8);
        assert_eq!(state.swap_requests().expect("listed"), [7, 8]);
        let found = state.swap_request(8).expect("read").expect("there");
        assert_eq!((found.number, found.hash.as_str()), (8, "cd"));
        assert_eq!(state.swap_request(9).expect("none"), None);
    }

    #[test]
    fn a_damaged_request_is_told_from_a_whole_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateStore::open(folder.path()).expect("new");
        let number = state.ask_swap(&request("ab"), 0, 1).expect("put");
        let path = folder.path().join(layout::swap(number));
        let whole = std::fs::read(&path).expect("read");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).expect("written");
            assert!(state.swap_request(number).is_err(), "byte {at}");
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).expect("written");
        assert!(state.swap_request(number).is_err());
    }

    #[test]
    fn the_last_outcomes_are_kept() {
        let mut swaps = Swaps::default();
        for request in 1..=100 {
            swaps.decide(SwapOutcome {
                request,
                result: Err("no".to_owned()),
            });
        }
        assert_eq!((swaps.decided, swaps.outcomes.len()), (100, KEPT_OUTCOMES));
        assert!(swaps.outcome(36).is_none() && swaps.outcome(37).is_some());
    }
}
