//! From series keys to small numbers: keys are dense, so pages of them cost four bytes a series.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const PAGE_KEYS: usize = 256;

/// Spreads keys that are small integers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        let mixed = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A map by series key.
pub(crate) type KeyMap<V> = HashMap<u64, V, BuildHasherDefault<KeyHasher>>;

/// Numbers of the series of one sack.
#[derive(Debug)]
pub(super) struct KeyIndex {
    stride: u64,
    /// What all keys of the sack leave when divided by the stride.
    residue: u64,
    /// The number plus one of each key; 0 where there is none. A page holds neighbouring keys of the sack.
    pages: KeyMap<Box<[u32; PAGE_KEYS]>>,
}

impl KeyIndex {
    pub(super) fn new(stride: u32) -> Self {
        Self { stride: u64::from(stride.max(1)), residue: 0, pages: KeyMap::default() }
    }

    pub(super) fn number(&self, key: u64) -> Option<usize> {
        let (page, slot) = self.place(key);
        let stored = self.pages.get(&page)?[slot];
        (stored != 0).then(|| stored as usize - 1)
    }

    /// The number of `key`, which becomes `fresh` where it has none.
    pub(super) fn number_or_insert(&mut self, key: u64, fresh: usize) -> usize {
        let (page, slot) = self.place(key);
        self.residue = key % self.stride;
        let stored = &mut self.pages.entry(page).or_insert_with(|| Box::new([0; PAGE_KEYS]))[slot];
        if *stored == 0 {
            *stored = fresh as u32 + 1;
        }
        *stored as usize - 1
    }

    /// All keys with their numbers, ascending.
    pub(super) fn numbers_by_key(&self) -> impl Iterator<Item = (u64, usize)> {
        let mut pages: Vec<_> = self.pages.iter().collect();
        pages.sort_unstable_by_key(|(page, _)| **page);
        let key_at =
            |page: u64, slot: usize| (page * PAGE_KEYS as u64 + slot as u64) * self.stride + self.residue;
        pages.into_iter().flat_map(move |(page, slots)| {
            let stored = slots.iter().enumerate().filter(|(_, stored)| **stored != 0);
            stored.map(move |(slot, stored)| (key_at(*page, slot), *stored as usize - 1))
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * (PAGE_KEYS * size_of::<u32>() + 24)
    }

    fn place(&self, key: u64) -> (u64, usize) {
        let dense = key / self.stride;
        (dense / PAGE_KEYS as u64, (dense % PAGE_KEYS as u64) as usize)
    }
}
