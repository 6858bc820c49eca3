//! What is noted of each series, 40 bytes in pages that never move.

use super::arena::Chain;
use super::coding::State;

/// Entries of a page.
const PAGE_LEN: usize = 1024;

/// A series: where its measures are and what the next one is coded against. Its key is in the index. The fields of
/// [`State`] and [`Chain`] stand here one by one, which takes eight bytes less.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    last_ns: i64,
    step_ns: i64,
    int: i64,
    first: u32,
    last: u32,
    pub(super) policy: u32,
    used: u16,
    chunks: u8,
    exponent: u8,
}

impl Entry {
    /// A series without measures.
    pub(super) fn empty(policy: u32) -> Self {
        Self { last_ns: 0, step_ns: 0, int: 0, first: 0, last: 0, policy, used: 0, chunks: 0, exponent: 0 }
    }

    pub(super) fn state(&self) -> State {
        State { last_ns: self.last_ns, step_ns: self.step_ns, int: self.int, exponent: self.exponent }
    }

    pub(super) fn chain(&self) -> Chain {
        Chain { first: self.first, last: self.last, used: self.used, chunks: self.chunks }
    }

    pub(super) fn set(&mut self, policy: u32, state: State, chain: Chain) {
        let State { last_ns, step_ns, int, exponent } = state;
        let Chain { first, last, used, chunks } = chain;
        *self = Self { last_ns, step_ns, int, first, last, policy, used, chunks, exponent };
    }
}

/// The entries of a head by number.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pages: Vec<Vec<Entry>>,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        let full = self.pages.len().saturating_sub(1) * PAGE_LEN;
        full + self.pages.last().map_or(0, Vec::len)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        if self.pages.last().is_none_or(|page| page.len() == PAGE_LEN) {
            self.pages.push(Vec::with_capacity(PAGE_LEN));
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(entry);
        }
    }

    pub(super) fn get(&self, number: usize) -> &Entry {
        &self.pages[number / PAGE_LEN][number % PAGE_LEN]
    }

    pub(super) fn get_mut(&mut self, number: usize) -> &mut Entry {
        &mut self.pages[number / PAGE_LEN][number % PAGE_LEN]
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * PAGE_LEN * size_of::<Entry>()
    }
}
