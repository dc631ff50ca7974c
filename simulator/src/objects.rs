//! The state store in memory: objects that are there whole or not at all, and everything that happens to those who put,
//! read and delete them.
//!
//! Law 5, as `flow_state::Objects` promises it: an error says that the outcome is unknown, so half of the puts that fail
//! here have their effect; one that was created is never called new again. Damage is the disk's own, and is done by the
//! schedule.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_state::{Objects, Opened, Placed};

use crate::world::World;

/// The objects; clones are the same.
#[derive(Clone)]
pub(crate) struct SimObjects {
    world: World,
    /// Whether its calls may fail: the checks look at the same objects without.
    fails: bool,
    all: Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>,
}

impl std::fmt::Debug for SimObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimObjects").finish_non_exhaustive()
    }
}

impl SimObjects {
    pub(crate) fn new(world: World) -> SimObjects {
        SimObjects {
            world,
            fails: true,
            all: Arc::default(),
        }
    }

    /// The same objects, for those who only check.
    pub(crate) fn reliable(&self) -> SimObjects {
        SimObjects {
            fails: false,
            ..self.clone()
        }
    }

    /// A bit of an object turns over.
    pub(crate) fn damage(&self, name: &str) {
        let mut all = self.lock();
        if let Some(object) = all.get(name) {
            let mut bytes = object.to_vec();
            let place = self.world.roll(|dice| dice.index(bytes.len()));
            match bytes.get_mut(place) {
                Some(byte) if self.world.roll(|dice| dice.chance(700)) => *byte ^= 0x10,
                _ => bytes.truncate(place),
            }
            all.insert(name.to_owned(), bytes.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails so many times in a thousand where the world is worst.
    fn answer(&self, permille: u64) -> io::Result<()> {
        match self.fails && self.world.fails(permille) {
            true => Err(io::Error::other("simulated: no answer")),
            false => Ok(()),
        }
    }
}

impl Objects for SimObjects {
    fn put(&self, name: &str, _: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.answer(30)?;
        self.lock().insert(name.to_owned(), parts.concat().into());
        self.answer(30)
    }

    fn put_if_absent(&self, name: &str, _: u64, parts: &[&[u8]]) -> io::Result<Placed> {
        self.answer(60)?;
        let mut all = self.lock();
        if all.contains_key(name) {
            return Ok(Placed::Existed);
        }
        all.insert(name.to_owned(), parts.concat().into());
        drop(all);
        self.answer(60)?;
        Ok(Placed::New)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Opened>> {
        self.answer(4)?;
        let all = self.lock();
        let object = all.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Arc::clone(object)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.answer(4)?;
        let all = self.lock();
        let within = |name: &String| match folder {
            "" => Some(name.split('/').next().unwrap_or_default().to_owned()),
            _ => Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_owned()),
        };
        let mut names: Vec<String> = all.keys().filter_map(within).collect();
        names.dedup();
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.answer(30)?;
        self.lock().remove(name);
        self.answer(30)
    }
}
