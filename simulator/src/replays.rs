//! Replayers come and go: beside the jobs while anything may fail, and after everything has come to rest.
//!
//! Law 6: whatever they do to each other, a slot of a store is one generation, whole, and in the end a replay that nobody
//! disturbs leaves every plausible flow in its slot.

use std::collections::BTreeMap;

use flow_sinks::SlotState;
use flow_state::SlotCounts;

use crate::judge::{Asked, judge};
use crate::last::differ;
use crate::replayer::{Order, Replayer, Span};
use crate::sim::Sim;

/// At most so many at once, sleepers among them.
const AT_ONCE: usize = 3;
/// At most so many in a phase of a run: each is a job.
pub(crate) const STARTS: u64 = 10;
/// Where replays alone are tried, the last phase is so many times longer.
const LONGER: u64 = 6;
/// Steps within which one that nobody disturbs is through.
const STEPS: u32 = 1_000;

impl Sim {
    /// One replayer has a turn, or dies, or falls asleep, or wakes up, or starts.
    pub(crate) fn replayer_step(&mut self) {
        let starts = self.replays < self.starts && self.replayers.len() < AT_ONCE;
        let begin = starts && (self.replayers.is_empty() || self.world.roll(|d| d.chance(150)));
        if begin {
            self.start_a_replayer();
            return;
        }
        if self.replayers.is_empty() {
            return;
        }
        let which = self.world.roll(|dice| dice.index(self.replayers.len()));
        let number = self.replayers[which].order.number;
        // Between two steps of a write is the worst place.
        let sleepy = if self.replayers[which].is_writing() {
            300
        } else {
            50
        };
        let (dies, turns_over) = (self.world.fails(40), self.world.fails(sleepy));
        let replayer = &mut self.replayers[which];
        if dies {
            self.replayers.remove(which);
            self.world.say(|| format!("replay {number} is killed"));
        } else if replayer.asleep {
            replayer.asleep = !self.world.roll(|dice| dice.chance(100));
        } else if turns_over {
            replayer.asleep = true;
        } else {
            self.replay(which);
        }
    }

    /// A turn; whoever is through goes.
    pub(crate) fn replay(&mut self, which: usize) {
        self.replayers[which].step();
        if self.replayers[which].is_over() {
            self.replayers.remove(which);
        }
    }

    /// Of a store in which a slot has retired.
    fn start_a_replayer(&mut self) {
        // Mostly of the store that others replace, too.
        let beside = self.replayers.last().map(|other| other.order.store.name);
        let beside = beside.filter(|_| self.world.roll(|dice| dice.chance(500)));
        let which = match self.databases.iter().position(|it| Some(it.name) == beside) {
            Some(which) => which,
            None => self.world.roll(|dice| dice.index(self.databases.len())),
        };
        let early = self.world.is_broken(crate::mutant::Mutant::NotRetired);
        let worthwhile = self.databases[which].look(|tables| {
            let mut slots = tables.slots.values();
            slots.any(|(_, slot)| slot.state == SlotState::Retired || early)
        });
        if worthwhile {
            let (every, few) = self.world.roll(|dice| (dice.chance(500), dice.chance(300)));
            let span = match self.disputed {
                _ if few => Span::Few,
                Some(slot) if self.world.roll(|dice| dice.chance(800)) => Span::One(slot),
                _ => Span::All,
            };
            let replayer = self.replayer(which, every, span);
            self.replayers.push(replayer);
        }
    }

    fn replayer(&mut self, which: usize, every: bool, span: Span) -> Replayer {
        self.replays += 1;
        self.replayer_number += 1;
        let (number, store) = (self.replayer_number, self.databases[which].clone());
        self.world
            .say(|| format!("replay {number} of {}: every {every}, {span:?}", store.name));
        Replayer::new(Order {
            number,
            store,
            every,
            span,
            objects: self.objects.clone(),
            topic: self.topic.clone(),
            config: self.config.clone(),
            recordings: self.recordings.clone(),
            world: self.world.clone(),
        })
    }

    /// Everything has come to rest once; now everything may fail again, and most turns are the replayers'.
    pub(crate) fn replay_at_rest(&mut self) -> Result<(), String> {
        let (tried, steps) = self
            .world
            .roll(|dice| (dice.chance(150), 100 + dice.roll(200)));
        let longer = if self.at_length { LONGER } else { 1 };
        if self.starts == 0 || !tried && !self.at_length {
            return Ok(());
        }
        self.disputed = self.any_disputed()?;
        self.world.ail();
        self.world.say(|| "everything may fail again".to_owned());
        (self.replays, self.starts, self.replaying) = (0, STARTS * longer, 750);
        for _ in 0..steps * longer {
            if self.world.roll(|dice| dice.chance(150)) {
                self.all_come_back();
            }
            self.step();
            if let Some(violation) = self.world.violation() {
                return Err(violation);
            }
        }
        self.settle()?;
        self.judge(false)?;
        self.world.say(|| "the last replays".to_owned());
        for which in 0..self.databases.len() {
            let replayer = self.replayer(which, true, Span::All);
            self.replayers.push(replayer);
            self.end_replayers()?;
        }
        self.every_flow()
    }

    /// Every store and partition can be reached.
    pub(crate) fn all_come_back(&self) {
        self.databases.iter().for_each(|it| it.stand(true));
        self.raw_databases.iter().for_each(|it| it.stand(true));
        (0..self.topic.count()).for_each(|p| self.topic.reach(p, true));
    }

    /// A slot of which some flows were refused: what it is replaced by depends on who counts.
    fn any_disputed(&self) -> Result<Option<u64>, String> {
        let newest = self.chain.newest().ok_or("no checkpoint was ever put")?;
        let refused = |(slot, counts): &(&u64, &SlotCounts)| {
            let retired = **slot > 0 && **slot < newest.timeline.retired_secs;
            retired && counts.too_early + counts.too_late > 0
        };
        let slots: Vec<u64> = newest
            .slots
            .iter()
            .filter(refused)
            .map(|(slot, _)| *slot)
            .collect();
        Ok((!slots.is_empty()).then(|| self.world.roll(|dice| dice.pick(&slots))))
    }

    /// Sleepers wake up, and all come to their end.
    pub(crate) fn end_replayers(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            if let Some(violation) = self.world.violation() {
                return Err(violation);
            }
            if self.replayers.is_empty() {
                return Ok(());
            }
            let which = self.world.roll(|dice| dice.index(self.replayers.len()));
            self.replay(which);
        }
        Err("a replay waits for ever".to_owned())
    }

    /// Every slot that has retired holds every plausible flow.
    fn every_flow(&self) -> Result<(), String> {
        let newest = self.chain.newest().ok_or("no checkpoint was ever put")?;
        let expected = judge(&self.topic, newest, &self.config.rows, Asked::Every);
        let retired = |slot: u64| slot < newest.timeline.retired_secs;
        let want = expected
            .rows
            .iter()
            .filter(|((_, slot, _), _)| retired(*slot));
        let want: BTreeMap<_, _> = want.map(|(key, sums)| (*key, *sums)).collect();
        for database in &self.databases {
            let got: BTreeMap<_, _> = database.look(|tables| {
                let seen = tables.seen().filter(|row| retired(row.key.1));
                seen.map(|row| (row.key, row.sums.values())).collect()
            });
            differ(database.name, "row of every flow", &want, &got)?;
            let mut halves = Vec::new();
            database.look(|tables| {
                let ahead = |row: &&crate::rows::Written| {
                    row.generation() != tables.floor((row.key.0, row.key.1))
                };
                halves.extend(tables.seen().filter(ahead).copied());
            });
            if let Some(row) = halves.first() {
                return Err(format!("{}: replaced by half: {row:?}", database.name));
            }
        }
        Ok(())
    }
}
