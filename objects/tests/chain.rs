//! Who begins a state and wins a checkpoint over every store, what may be deleted, and damage.

// Clippy takes only the functions marked as tests for tests, not their helpers; these tell what they skip.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::io;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use flow_objects::Remote;
use flow_state::{Deleted, Objects, Opened, Placed, Put, StateError, StateStore};
use object_store::memory::InMemory;
use support::records::{checkpoint, name, records};
use support::{memory, stands};

/// No store of raw flows holds anything back.
const NO_RAW: u64 = u64::MAX;
/// Numbers that two writers race for.
const RACES: u64 = 200;

#[test]
fn a_number_is_won_once_and_a_sleeper_has_lost() {
    for stand in stands() {
        let state = &stand.state;
        assert_eq!(state.newest().unwrap(), None, "{}", stand.name);
        assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
        assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
        assert_eq!(state.put(&checkpoint(1, 8, &[])).unwrap(), Put::Lost);
        assert_eq!(state.newest().unwrap(), Some(checkpoint(1, 7, &[])));
        for number in 2..=5 {
            let next = checkpoint(number, 7, &[]);
            assert_eq!(state.put(&next).unwrap(), Put::Won);
            state.delete_unlisted(&next, NO_RAW).unwrap();
        }
        assert_eq!(state.numbers().unwrap(), [4, 5]);
        assert_eq!(state.put(&checkpoint(2, 9, &[])).unwrap(), Put::Lost);
        assert_eq!((stand.again)().newest().unwrap().unwrap().number, 5);
        let late = state.delete_unlisted(&checkpoint(2, 9, &[]), NO_RAW);
        assert_eq!(late.unwrap(), Deleted::default());
    }
}

#[test]
fn only_what_no_one_needs_is_deleted() {
    for stand in stands() {
        let state = &stand.state;
        for number in 1..=6 {
            let written = state.write_segment(name(number, 7), &records(number));
            written.unwrap();
        }
        for (number, listed) in [(3, vec![1, 2, 3]), (4, vec![2, 4]), (5, vec![4, 5])] {
            let put = state.put(&checkpoint(number, 7, &listed));
            assert_eq!(put.unwrap(), Put::Won);
        }
        let newest = checkpoint(5, 7, &[4, 5]);
        let deleted = state.delete_unlisted(&newest, NO_RAW).unwrap();
        assert_eq!((deleted.segments, deleted.checkpoints), (2, 1));
        for number in [2, 4, 5, 6] {
            let segment = state.read_segment::<[u64; 9]>(name(number, 7)).unwrap();
            assert_eq!(segment.records(), records(number).concat());
        }
        let gone = state.read_segment::<[u64; 9]>(name(1, 7));
        assert!(matches!(gone, Err(StateError::Missing { .. })), "{gone:?}");
    }
}

/// Law 5: of two jobs on one state one wins each number, and what it put is what stands there.
#[test]
fn two_writers_race_and_each_number_has_one_winner() {
    for stand in stands() {
        let attempts = [7, 8];
        let handles = attempts.map(|_| (stand.again)());
        let barrier = Barrier::new(2);
        let won: Vec<Vec<bool>> = thread::scope(|scope| {
            let writers = attempts.iter().zip(&handles).map(|(attempt, state)| {
                let barrier = &barrier;
                scope.spawn(move || race(state, *attempt, barrier))
            });
            let writers: Vec<_> = writers.collect();
            writers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        for number in 1..=RACES {
            let at = usize::try_from(number - 1).unwrap();
            let winner = match (won[0][at], won[1][at]) {
                (true, false) => attempts[0],
                (false, true) => attempts[1],
                both => panic!("{}: number {number}: {both:?}", stand.name),
            };
            let held = stand.state.checkpoint(number).unwrap().unwrap();
            assert_eq!(held, checkpoint(number, winner, &[]), "{}", stand.name);
        }
        let wins = won[0].iter().filter(|won| **won).count();
        println!("over {}: {wins} to {}", stand.name, RACES as usize - wins);
        assert_eq!(stand.state.newest().unwrap().unwrap().number, RACES);
    }
}

/// Both writers try each number together; whether this one has won it.
fn race(state: &StateStore, attempt: u64, barrier: &Barrier) -> Vec<bool> {
    let one = |number| {
        barrier.wait();
        state.put(&checkpoint(number, attempt, &[])).unwrap() == Put::Won
    };
    (1..=RACES).map(one).collect()
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_its_number_never_used_again() {
    for stand in stands() {
        let state = &stand.state;
        assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
        assert_eq!(state.put(&checkpoint(2, 7, &[])).unwrap(), Put::Won);
        let object = format!("checkpoints/{:020}", 2);
        let whole = state.objects().get(&object).unwrap();
        for length in [0, whole.len() / 2, whole.len() - 1] {
            let cut = &whole[..length];
            state.objects().put(&object, 7, &[cut]).unwrap();
            assert_eq!(state.newest().unwrap(), Some(checkpoint(1, 7, &[])));
            assert_eq!(state.numbers().unwrap(), [1]);
            assert_eq!(state.next_number().unwrap(), 3);
        }
        let object = format!("checkpoints/{:020}", 1);
        state.objects().put(&object, 7, &[b"FPCHECK\n"]).unwrap();
        for _ in 0..2 {
            let none = state.newest();
            assert!(matches!(none, Err(StateError::Damaged { .. })), "{none:?}");
        }
    }
}

/// Cut at every byte, flipped at every bit: in an object store as on a disk.
#[test]
fn a_damaged_segment_gives_an_error_or_what_was_written() {
    let stand = memory();
    let (state, objects) = (&stand.state, stand.state.objects());
    state.write_segment(name(1, 7), &records(1)).unwrap();
    let object = format!("segments/{}", objects.list("segments").unwrap()[0]);
    let whole = objects.get(&object).unwrap();
    let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
    let flips = (0..whole.len() * 8).map(|bit| {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let mut forms = 0;
    for form in cuts.chain(flips).chain([[&whole[..], &[0]].concat()]) {
        objects.put(&object, 7, &[&form]).unwrap();
        let read = state.read_segment::<[u64; 9]>(name(1, 7));
        assert!(matches!(read, Err(StateError::Damaged { .. })), "{read:?}");
        forms += 1;
    }
    assert!(forms > 9 * whole.len());
    objects.put(&object, 7, &[&whole]).unwrap();
    let segment = state.read_segment::<[u64; 9]>(name(1, 7)).unwrap();
    assert_eq!(segment.records(), records(1).concat());
}

/// A store in which another one puts an object after the first look for `format`, and before anything is listed.
#[derive(Debug)]
struct Raced {
    objects: Remote,
    other: Mutex<Option<(&'static str, &'static [u8])>>,
}

impl Objects for Raced {
    fn put(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.objects.put(name, attempt, parts)
    }

    fn put_if_absent(&self, name: &str, attempt: u64, parts: &[&[u8]]) -> io::Result<Placed> {
        self.objects.put_if_absent(name, attempt, parts)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Opened>> {
        self.objects.open(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        if let Some((name, words)) = self.other.lock().unwrap().take() {
            self.objects.put(name, 0, &[words])?;
        }
        self.objects.list(folder)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.objects.delete(name)
    }
}

/// Two jobs are started at once on a place where nothing is: both have a state there, and the first checkpoint decides.
#[test]
fn a_state_that_another_job_begins_meanwhile_is_no_foreign_one() {
    let begin = |name, words| {
        let objects = Remote::new(Arc::new(InMemory::new()), "a/prefix").unwrap();
        let other = Mutex::new(Some((name, words)));
        StateStore::over(Arc::new(Raced { objects, other }), "raced")
    };
    let state = begin("format", b"flow-pipeline state, layout 1\n").unwrap();
    assert_eq!(state.put(&checkpoint(1, 7, &[])).unwrap(), Put::Won);
    let strangers: [(_, &'static [u8]); 2] = [
        ("format", b"somebody's"),
        ("letters", b"flow-pipeline state, layout 1\n"),
    ];
    for (name, words) in strangers {
        let refused = begin(name, words);
        let foreign = matches!(refused, Err(StateError::Foreign { .. }));
        assert!(foreign, "{name}: {refused:?}");
    }
}
