//! What is noted of each series, 24 bytes in pages that never move.

use super::arena::Chain;

/// Entries of a page.
const PAGE_LEN: usize = 1024;

/// A series; its key is in the index, its oldest timestamp in the arena.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) max_ns: i64,
    pub(super) chain: Chain,
    pub(super) policy: u32,
}

impl Entry {
    /// A series without measures.
    pub(super) fn empty(policy: u32) -> Self {
        Self { max_ns: i64::MIN, chain: Chain::default(), policy }
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
