//! Chains of chunks in pages of words: many growing columns without an allocation each.

/// Words of a page: 256 KiB.
const PAGE_WORDS: usize = 1 << 15;
/// Most measures of a chunk.
const MAX_CHUNK: usize = 1024;
/// Least measures of a chunk.
const MIN_CHUNK: usize = 2;

/// A column of measures: its first and last chunk and its length. Chunk numbers are word offsets plus one; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    pub(super) len: u32,
}

/// A chunk is a header word (next chunk in bits 0-31, capacity in 32-47, length in 48-63), then timestamps, then
/// values, each in `capacity` words.
#[derive(Debug, Clone, Copy)]
struct Header {
    next: u32,
    capacity: u16,
    len: u16,
}

impl Header {
    fn unpack(word: u64) -> Self {
        Self { next: word as u32, capacity: (word >> 32) as u16, len: (word >> 48) as u16 }
    }

    fn pack(self) -> u64 {
        u64::from(self.next) | u64::from(self.capacity) << 32 | u64::from(self.len) << 48
    }
}

/// Pages that chunks are cut from. Nothing is given back before the whole arena is.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pages: Vec<Vec<u64>>,
    used_words: usize,
}

impl Arena {
    /// Appends measures to `chain`.
    pub(super) fn append(&mut self, chain: &mut Chain, timestamps_ns: &[i64], values: &[f64]) {
        let mut done = 0;
        while done < timestamps_ns.len() {
            let free = if chain.last == 0 { 0 } else { self.free(chain.last) };
            if free == 0 {
                let left = timestamps_ns.len() - done;
                self.extend(chain, left);
                continue;
            }
            let take = free.min(timestamps_ns.len() - done);
            self.fill(chain.last, &timestamps_ns[done..done + take], &values[done..done + take]);
            done += take;
            chain.len += take as u32;
        }
    }

    /// Appends the measures of `chain` to two columns.
    pub(super) fn collect(&self, chain: &Chain, timestamps_ns: &mut Vec<i64>, values: &mut Vec<f64>) {
        let mut number = chain.first;
        while number != 0 {
            let (page, at) = place(number);
            let page = &self.pages[page];
            let header = Header::unpack(page[at]);
            let (len, capacity) = (usize::from(header.len), usize::from(header.capacity));
            timestamps_ns.extend(page[at + 1..at + 1 + len].iter().map(|word| word.cast_signed()));
            let begin = at + 1 + capacity;
            values.extend(page[begin..begin + len].iter().map(|word| f64::from_bits(*word)));
            number = header.next;
        }
    }

    /// The timestamp that arrived first; nothing where there is none.
    pub(super) fn first(&self, chain: &Chain) -> Option<i64> {
        let (page, at) = (chain.first != 0).then(|| place(chain.first))?;
        Some(self.pages[page][at + 1].cast_signed())
    }

    /// The oldest timestamp; nothing where there is none.
    pub(super) fn min(&self, chain: &Chain) -> Option<i64> {
        let mut min = None;
        let mut number = chain.first;
        while number != 0 {
            let (page, at) = place(number);
            let header = Header::unpack(self.pages[page][at]);
            let words = &self.pages[page][at + 1..at + 1 + usize::from(header.len)];
            let oldest = words.iter().map(|word| word.cast_signed()).min();
            min = min.into_iter().chain(oldest).min();
            number = header.next;
        }
        min
    }

    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * PAGE_WORDS * size_of::<u64>()
    }

    fn free(&self, number: u32) -> usize {
        let (page, at) = place(number);
        let header = Header::unpack(self.pages[page][at]);
        usize::from(header.capacity - header.len)
    }

    fn fill(&mut self, number: u32, timestamps_ns: &[i64], values: &[f64]) {
        let (page, at) = place(number);
        let page = &mut self.pages[page];
        let mut header = Header::unpack(page[at]);
        let (len, capacity) = (usize::from(header.len), usize::from(header.capacity));
        let begin = at + 1 + len;
        for (word, timestamp) in page[begin..].iter_mut().zip(timestamps_ns) {
            *word = timestamp.cast_unsigned();
        }
        for (word, value) in page[begin + capacity..].iter_mut().zip(values) {
            *word = value.to_bits();
        }
        header.len += timestamps_ns.len() as u16;
        page[at] = header.pack();
    }

    /// Puts a fresh chunk at the end of `chain`: room for `wanted` measures, or for as many as the chain has.
    fn extend(&mut self, chain: &mut Chain, wanted: usize) {
        let capacity = wanted.max((chain.len as usize).min(64)).clamp(MIN_CHUNK, MAX_CHUNK);
        let words = 1 + 2 * capacity;
        let room = self.pages.len() * PAGE_WORDS - self.used_words;
        if room < words {
            self.used_words = self.pages.len() * PAGE_WORDS;
            self.pages.push(vec![0; PAGE_WORDS]);
        }
        let number = (self.used_words + 1) as u32;
        self.used_words += words;
        let (page, at) = place(number);
        self.pages[page][at] = Header { next: 0, capacity: capacity as u16, len: 0 }.pack();
        if chain.last == 0 {
            chain.first = number;
        } else {
            let (page, at) = place(chain.last);
            let header = Header::unpack(self.pages[page][at]);
            self.pages[page][at] = Header { next: number, ..header }.pack();
        }
        chain.last = number;
    }
}

/// Page and offset of a chunk.
fn place(number: u32) -> (usize, usize) {
    let offset = number as usize - 1;
    (offset / PAGE_WORDS, offset % PAGE_WORDS)
}
