//! Chains of chunks in pages of bytes: many growing columns without an allocation each.

/// Bytes of a page.
const PAGE_BYTES: usize = 1 << 18;
/// Chunks begin at multiples of this.
const UNIT_BYTES: usize = 8;
/// Bytes at the start of a chunk: the number of the next one.
const LINK_BYTES: usize = 4;
/// Bytes of the first, second, … chunk of a chain: each about a quarter of those before it. Those after have as many as
/// the last.
const CHUNK_BYTES: [u16; 18] =
    [24, 16, 24, 24, 32, 40, 56, 72, 96, 128, 168, 224, 296, 392, 520, 688, 912, 1024];

/// A column of bytes. Chunk numbers are offsets in units plus one; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chain {
    pub(super) first: u32,
    pub(super) last: u32,
    /// Bytes in the last chunk.
    pub(super) used: u16,
    /// How many chunks there are, as far as that matters to their size.
    pub(super) chunks: u8,
}

impl Chain {
    pub(super) fn is_empty(&self) -> bool {
        self.first == 0
    }

    /// Bytes that chunk `ordinal` (from 0) has room for.
    fn room(ordinal: usize) -> usize {
        usize::from(CHUNK_BYTES[ordinal.min(CHUNK_BYTES.len() - 1)]) - LINK_BYTES
    }
}

/// Pages that chunks are cut from. Nothing is given back before the whole arena is.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pages: Vec<Vec<u8>>,
    used_bytes: usize,
}

impl Arena {
    /// Appends `bytes` to `chain`.
    pub(super) fn append(&mut self, chain: &mut Chain, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (used, room) = match chain.chunks {
                0 => (0, 0),
                chunks => (usize::from(chain.used), Chain::room(usize::from(chunks) - 1)),
            };
            if used == room {
                self.extend(chain);
                continue;
            }
            let (fitting, rest) = bytes.split_at(bytes.len().min(room - used));
            let (page, at) = place(chain.last);
            let begin = at + LINK_BYTES + used;
            self.pages[page][begin..begin + fitting.len()].copy_from_slice(fitting);
            chain.used += fitting.len() as u16;
            bytes = rest;
        }
    }

    /// Appends the bytes of `chain` to `out`.
    pub(super) fn collect(&self, chain: &Chain, out: &mut Vec<u8>) {
        let mut number = chain.first;
        for ordinal in 0.. {
            if number == 0 {
                return;
            }
            out.extend_from_slice(self.chunk(chain, number, ordinal));
            number = self.next(number);
        }
    }

    /// The bytes in the first chunk of `chain`.
    pub(super) fn first(&self, chain: &Chain) -> &[u8] {
        if chain.is_empty() { &[] } else { self.chunk(chain, chain.first, 0) }
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * PAGE_BYTES
    }

    fn chunk(&self, chain: &Chain, number: u32, ordinal: usize) -> &[u8] {
        let (page, at) = place(number);
        let len = if number == chain.last { usize::from(chain.used) } else { Chain::room(ordinal) };
        &self.pages[page][at + LINK_BYTES..at + LINK_BYTES + len]
    }

    fn next(&self, number: u32) -> u32 {
        let (page, at) = place(number);
        self.pages[page][at..].first_chunk().map_or(0, |link| u32::from_le_bytes(*link))
    }

    /// Puts a fresh chunk at the end of `chain`.
    fn extend(&mut self, chain: &mut Chain) {
        let bytes = Chain::room(usize::from(chain.chunks)) + LINK_BYTES;
        if self.pages.len() * PAGE_BYTES - self.used_bytes < bytes {
            self.used_bytes = self.pages.len() * PAGE_BYTES;
            self.pages.push(vec![0; PAGE_BYTES]);
        }
        let number = (self.used_bytes / UNIT_BYTES + 1) as u32;
        self.used_bytes += bytes;
        if chain.is_empty() {
            chain.first = number;
        } else {
            let (page, at) = place(chain.last);
            self.pages[page][at..at + LINK_BYTES].copy_from_slice(&number.to_le_bytes());
        }
        chain.last = number;
        chain.used = 0;
        chain.chunks = chain.chunks.saturating_add(1);
    }
}

/// Page and offset of a chunk.
fn place(number: u32) -> (usize, usize) {
    let offset = (number as usize - 1) * UNIT_BYTES;
    (offset / PAGE_BYTES, offset % PAGE_BYTES)
}
