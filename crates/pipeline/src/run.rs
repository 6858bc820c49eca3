//! A batch on its way through a sink's transformers.

use std::collections::{BTreeMap, HashMap};

use nephometer_model::{Sample, Timestamp};

use crate::transform::{DropReason, Entry, Kept, Key, Outcome, Transformer, View};

/// What a batch leads to: nothing of it has happened yet.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// What goes out, in order.
    pub(crate) samples: Vec<Sample>,
    /// What is to be remembered, and forgotten.
    pub(crate) changes: BTreeMap<Key, Option<Kept>>,
    /// Why samples went no further.
    pub(crate) drops: Vec<DropReason>,
}

impl Outcomes {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.changes.is_empty()
    }
}

struct Run<'s> {
    chain: &'s [Transformer],
    view: View<'s>,
    samples: Vec<Sample>,
    drops: Vec<DropReason>,
}

impl<'s> Run<'s> {
    fn new(chain: &'s [Transformer], stored: &'s HashMap<Key, Entry>, now: Timestamp) -> Self {
        Self { chain, view: View::new(stored, now), samples: Vec::new(), drops: Vec::new() }
    }

    /// Takes `sample` through the chain from the transformer at `place` on.
    fn push(&mut self, mut sample: Sample, place: usize) {
        for (at, transformer) in self.chain.iter().enumerate().skip(place) {
            self.view.turn_to(transformer.identity(at));
            match transformer.handle(sample, &mut self.view) {
                Outcome::On(next) => sample = next,
                Outcome::Kept => return,
                Outcome::Dropped(reason) => {
                    self.drops.push(reason);
                    return;
                }
            }
        }
        self.samples.push(sample);
    }

    /// Lets go what each transformer lets go: it enters at the next one, so that it can go on through several.
    fn flush(&mut self) {
        for (at, transformer) in self.chain.iter().enumerate() {
            self.view.turn_to(transformer.identity(at));
            for sample in transformer.flush(&mut self.view, &mut self.drops) {
                self.push(sample, at + 1);
            }
        }
    }

    fn end(self) -> Outcomes {
        Outcomes { samples: self.samples, changes: self.view.into_changes(), drops: self.drops }
    }
}

/// Takes a batch through `chain`; none is only time passing.
pub(crate) fn batch(
    chain: &[Transformer],
    stored: &HashMap<Key, Entry>,
    samples: Vec<Sample>,
    now: Timestamp,
) -> Outcomes {
    let mut run = Run::new(chain, stored, now);
    for sample in samples {
        run.push(sample, 0);
    }
    run.flush();
    run.end()
}

/// Takes what transformers that are `gone` hold back through what follows them, and forgets what they remember.
pub(crate) fn drain(
    chain: &[Transformer],
    stored: &HashMap<Key, Entry>,
    gone: &dyn Fn(u64) -> bool,
    now: Timestamp,
) -> Outcomes {
    let mut run = Run::new(chain, stored, now);
    for (at, transformer) in chain.iter().enumerate() {
        let identity = transformer.identity(at);
        if gone(identity) {
            run.view.turn_to(identity);
            for sample in transformer.drain(&mut run.view) {
                run.push(sample, at + 1);
            }
        }
    }
    let mut outcomes = run.end();
    for key in stored.keys().filter(|key| gone(key.transformer)) {
        outcomes.changes.insert(key.clone(), None);
    }
    outcomes.changes.retain(|key, kept| kept.is_none() || !gone(key.transformer));
    outcomes
}
