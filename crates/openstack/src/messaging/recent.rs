//! Which messages were dealt with just now, so that those that come again after a lost acknowledgement are known.

use std::collections::{HashSet, VecDeque};

/// The names of the last messages that were dealt with.
#[derive(Debug)]
pub(super) struct Recent {
    most: usize,
    order: VecDeque<String>,
    known: HashSet<String>,
}

impl Recent {
    /// Remembers up to `most` names.
    pub(super) fn new(most: usize) -> Self {
        Self { most, order: VecDeque::new(), known: HashSet::new() }
    }

    /// Whether the message was dealt with. Those without a name never were.
    pub(super) fn holds(&self, unique_id: &str) -> bool {
        self.known.contains(unique_id)
    }

    /// The message was dealt with.
    pub(super) fn add(&mut self, unique_id: &str) {
        if unique_id.is_empty() || !self.known.insert(unique_id.to_owned()) {
            return;
        }
        self.order.push_back(unique_id.to_owned());
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_ones() {
        let mut recent = Recent::new(2);
        for id in ["a", "", "b", "a", "c"] {
            recent.add(id);
        }
        assert_eq!(["a", "b", "c", ""].map(|id| recent.holds(id)), [false, true, true, false]);
    }
}
