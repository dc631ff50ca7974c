//! Requests for other tables are kept as long as the job may go on from a checkpoint that has not decided them.

// Clippy takes only the functions marked as tests for tests, not their helpers.
#![allow(clippy::unwrap_used)]

mod support;

use flow_state::{Put, StateStore, SwapRequest, Swaps};
use support::checkpoint;

fn ask(state: &StateStore, decided: u64) -> u64 {
    let request = SwapRequest {
        number: 0,
        hash: "ab".into(),
        base: None,
        given: None,
        asked_secs: 0,
        by: "test".into(),
        from_secs: None,
    };
    state.ask_swap(&request, decided, 1).unwrap()
}

#[test]
fn requests_go_when_a_later_one_is_decided() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateStore::open(folder.path()).unwrap();
    for number in 1..=4 {
        assert_eq!(ask(&state, 0), number);
    }
    // Checkpoint after checkpoint: how many requests it has decided, and which are left then.
    let steps: [(u64, &[u64]); 6] = [
        (0, &[1, 2, 3, 4]),
        (1, &[1, 2, 3, 4]),
        (1, &[1, 2, 3, 4]),
        (3, &[2, 3, 4]),
        (4, &[4]),
        (4, &[4]),
    ];
    for (number, (decided, left)) in (1..).zip(steps) {
        let newest = flow_state::Checkpoint {
            swaps: Swaps {
                decided,
                ..Swaps::default()
            },
            ..checkpoint(number, 7, &[])
        };
        assert_eq!(state.put(&newest).unwrap(), Put::Won);
        state.delete_unlisted(&newest, u64::MAX).unwrap();
        assert_eq!(state.swap_requests().unwrap(), left, "checkpoint {number}");
        // Should the newest be damaged, the job goes on from the one before: what that has not decided is there.
        let before = number.checked_sub(1).filter(|before| *before > 0);
        let before = before.and_then(|before| state.checkpoint(before).unwrap());
        let undecided = before.map_or(0, |before| before.swaps.decided) + 1;
        assert!((undecided..=4).all(|request| left.contains(&request)));
    }
    assert_eq!(ask(&state, 4), 5, "numbers go on");
}
