//! The windows operator: sums rows by shard, closes ticks in order, seals checkpoints.
//!
//! Inputs: rows exchanged by shard, and the ticks. Outputs: one `Closed` for every tick, and `Sealed` when the
//! segment of a sealed tick is durable. State: `WindowState`, and rows of later ticks that came early. A tick's
//! frontier passing means that no flow of it can come any more, from any worker.
//! No activation does more than a bounded number of rows' work: what is left is done in the next ones, and the source
//! reads between them.
//! Law 4: when tick n is closed, the state is the fold of exactly the flows below cut(n): rows of later ticks wait
//! in `early` until n is sealed to its last shard. Tick n stays open meanwhile, so that the sources' bytes in flight
//! bound what waits (law 8).

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc;

use timely::dataflow::Scope;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::config::{JobConfig, broken};
use crate::operator;
use crate::sealed::{Row, SealedRows};
use crate::segment_writer::{Part, SegmentWriter};
use crate::source::{Builder, Flowing};
use crate::tick::{Closed, Sealed, Tick};
use crate::window_state::{Sealing, WindowState};

/// What the operator owns.
pub(crate) struct Windows<R: Row> {
    pub(crate) worker: usize,
    /// The first worker of its process.
    first: bool,
    pub(crate) state: WindowState<R>,
    pub(crate) writer: SegmentWriter,
    /// Rows of ticks that are not being folded yet, and those that this activation had no time for.
    early: BTreeMap<u64, Vec<Vec<R>>>,
    folding: u64,
    /// The tick being folded is over, and is being sealed.
    sealing: Option<Sealing<R>>,
    /// Rows that an activation may copy.
    turn_rows: usize,
    /// Rows that this one may still copy.
    budget: usize,
    /// A deliberate breakage: rows of the next tick are folded at once.
    fold_early: bool,
}

impl<R: Row> Windows<R> {
    pub(crate) fn new(
        (worker, first): (usize, bool),
        state: WindowState<R>,
        writer: SegmentWriter,
        config: &JobConfig,
    ) -> Self {
        Windows {
            worker,
            first,
            state,
            writer,
            early: BTreeMap::new(),
            folding: 1,
            sealing: None,
            turn_rows: config.turn_rows,
            budget: 0,
            fold_early: broken!(config, NextTickFolded),
        }
    }

    fn take(&mut self, tick: u64, rows: &mut Vec<R>) {
        let due = tick == self.folding && self.sealing.is_none() && self.budget > 0;
        if due || self.fold_early {
            self.fold(rows);
            rows.clear();
        } else {
            self.early
                .entry(tick)
                .or_default()
                .push(std::mem::take(rows));
        }
    }

    fn fold(&mut self, rows: &[R]) {
        let work = self.state.fold(rows);
        self.budget = self.budget.saturating_sub(work);
    }

    /// Folds what waits of the open tick. False if there is more than this activation may do.
    fn fold_waiting(&mut self) -> bool {
        while let Some(waiting) = self.early.get_mut(&self.folding) {
            let Some(rows) = waiting.pop() else {
                self.early.remove(&self.folding);
                return true;
            };
            if self.budget == 0 {
                waiting.push(rows);
                return false;
            }
            self.fold(&rows);
        }
        true
    }

    /// Copies what the tick just folded seals. `None`: there is more than this activation may do.
    fn seal(&mut self, tick: &Tick) -> Option<SealedRows> {
        let (state, budget) = (&mut self.state, &mut self.budget);
        let sealing = self
            .sealing
            .get_or_insert_with(|| state.begin_seal(tick.complete_secs, tick.retired_secs));
        let rows = state.seal(sealing, budget)?;
        self.sealing = None;
        Some(R::sealed(rows))
    }
}

/// An announced tick and the rights to send in it: closed, sealed.
type Announced = (Tick, Capability<u64>, Capability<u64>);

/// Builds the operator.
pub(crate) fn windows<'s, R: Row>(
    scope: Scope<'s, u64>,
    rows: Flowing<'s, R>,
    ticks: Flowing<'s, Tick>,
    mut windows: Windows<R>,
) -> (Flowing<'s, Closed>, Flowing<'s, Sealed>) {
    let mut builder = OperatorBuilder::new("windows".to_owned(), scope);
    let by_shard = Exchange::new(|row: &R| u64::from(row.view().shard));
    let mut rows_in = builder.new_input(rows, by_shard);
    let mut ticks_in = builder.new_input(ticks, Pipeline);
    let (output, closed) = builder.new_output();
    let mut closed_out = OutputBuilder::<u64, Builder<Closed>>::from(output);
    let (output, sealed) = builder.new_output();
    let mut sealed_out = OutputBuilder::<u64, Builder<Sealed>>::from(output);
    let wake = scope
        .worker()
        .sync_activator_for(builder.operator_info().address.to_vec());
    let again = scope.activator_for(builder.operator_info().address);
    builder.build(move |initial| {
        drop(initial);
        let mut announced: BTreeMap<u64, Announced> = BTreeMap::new();
        let mut sealing: VecDeque<(u64, Capability<u64>)> = VecDeque::new();
        let (ack, acks) = mpsc::channel::<Sealed>();
        move |frontiers| {
            let _running = operator::enter("windows");
            let (mut closed_out, mut sealed_out) = (closed_out.activate(), sealed_out.activate());
            windows.budget = windows.turn_rows;
            ticks_in.for_each(|capability, ticks| {
                for tick in ticks.drain(..) {
                    if let Some((a, b)) = capability.retain_least(0).zip(capability.retain_least(1))
                    {
                        announced.insert(tick.n, (tick, a, b));
                    }
                }
            });
            rows_in.for_each(|capability, rows| {
                if let Some(tick) = capability.least() {
                    windows.take(*tick, rows);
                }
            });
            loop {
                if windows.sealing.is_none() && !windows.fold_waiting() {
                    again.activate();
                    break;
                }
                let Some(next) = announced.first_entry() else {
                    break;
                };
                let n = *next.key();
                if frontiers.iter().any(|frontier| frontier.less_equal(&n)) {
                    break; // a flow of this tick can still come, from any worker
                }
                let tick = next.get().0;
                if tick.seal > 0 {
                    let Some(rows) = windows.seal(&tick) else {
                        again.activate();
                        break;
                    };
                    windows.writer.send(Part {
                        number: tick.seal,
                        first: windows.first,
                        rows,
                        ack: ack.clone(),
                        wake: wake.clone(),
                    });
                }
                let (_, capability, seal_capability) = next.remove();
                if tick.seal > 0 {
                    // Held until the segment is durable: the frontier of `sealed` is the acknowledgement.
                    sealing.push_back((tick.seal, seal_capability));
                }
                closed_out.session(&capability).give(Closed {
                    worker: windows.worker,
                    open_keys: windows.state.keys(),
                });
                windows.folding = n + 1;
            }
            for done in acks.try_iter() {
                if let Some((_, capability)) = sealing.pop_front() {
                    sealed_out.session(&capability).give(done);
                }
            }
        }
    });
    (closed, sealed)
}
