//! The texts of a field in a file of the index: in order, each after the part it shares with the one before, in blocks
//! that can be read by themselves.

use std::ops::Range;

/// Names of one block; the first of them is whole.
const BLOCK: usize = 32;

/// Names as they lie in a file.
#[derive(Debug)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    count: usize,
}

impl Names {
    /// Writes names that are in order, each once.
    pub(crate) fn write(names: &[&str], out: &mut Vec<u8>) {
        let (mut starts, mut text) = (Vec::new(), Vec::new());
        for block in names.chunks(BLOCK) {
            starts.push(text.len());
            let mut before = "";
            for name in block {
                let shared = before.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
                push_number(shared, &mut text);
                push_number(name.len() - shared, &mut text);
                text.extend(name.bytes().skip(shared));
                before = name;
            }
        }
        for number in std::iter::once(names.len()).chain(starts) {
            out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.append(&mut text);
    }

    /// Takes up what was written; nothing where that is not what it is.
    pub(crate) fn read(bytes: Vec<u8>) -> Option<Self> {
        let names = Self { count: 0, bytes };
        let count = names.number(0)?;
        (count.div_ceil(BLOCK) * 4 + 4 <= names.bytes.len()).then_some(Self { count, ..names })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The place of a name.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let place = self.before(|other| other < name.as_bytes());
        let mut is_it = false;
        self.each(std::iter::once(place), |found| is_it = found == name);
        is_it.then_some(place)
    }

    /// The places of the names that begin so.
    pub(crate) fn beginning(&self, start: &str) -> Range<u32> {
        let start = start.as_bytes();
        self.before(|name| name < start)..self.before(|name| name < start || name.starts_with(start))
    }

    /// Hands over the names of places, which are given in order.
    pub(crate) fn each(&self, places: impl Iterator<Item = u32>, mut each: impl FnMut(&str)) {
        let mut open: Option<Block<'_>> = None;
        for place in places {
            let place = place as usize;
            if place >= self.count {
                return;
            }
            let number = place / BLOCK;
            let mut block = match open.take().filter(|block| block.number == number) {
                Some(block) => block,
                None => self.block(number),
            };
            while block.read <= place % BLOCK {
                if block.next().is_none() {
                    return;
                }
            }
            if let Ok(name) = std::str::from_utf8(&block.name) {
                each(name);
            }
            open = Some(block);
        }
    }

    /// How many names come first for which this holds; it holds for none after one for which it does not.
    fn before(&self, holds: impl Fn(&[u8]) -> bool) -> u32 {
        let blocks = self.count.div_ceil(BLOCK);
        let (mut low, mut high) = (0, blocks);
        while low < high {
            let middle = low.midpoint(high);
            let mut block = self.block(middle);
            if block.next().is_some() && holds(&block.name) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(last) = low.checked_sub(1) else { return 0 };
        let mut block = self.block(last);
        let mut place = last * BLOCK;
        while place < self.count && block.read < BLOCK && block.next().is_some() && holds(&block.name) {
            place += 1;
        }
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn block(&self, number: usize) -> Block<'_> {
        let texts = (1 + self.count.div_ceil(BLOCK)) * 4;
        let start = self.number(1 + number).and_then(|start| self.bytes.get(texts + start..));
        Block { number, rest: start.unwrap_or_default(), name: Vec::new(), read: 0 }
    }

    fn number(&self, place: usize) -> Option<usize> {
        let bytes = self.bytes.get(place * 4..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    }
}

/// A block that is being read.
struct Block<'a> {
    number: usize,
    rest: &'a [u8],
    /// The name that was read last.
    name: Vec<u8>,
    read: usize,
}

impl Block<'_> {
    fn next(&mut self) -> Option<()> {
        let (shared, rest) = take_number(self.rest)?;
        let (length, rest) = take_number(rest)?;
        let (own, rest) = rest.split_at_checked(length)?;
        self.name.truncate(shared);
        self.name.extend_from_slice(own);
        self.rest = rest;
        self.read += 1;
        Some(())
    }
}

/// Writes a number, seven bits a byte, the lowest first.
pub(crate) fn push_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads it.
pub(crate) fn take_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_found_by_whole_and_by_their_beginnings(
            texts in prop::collection::btree_set("[a-c病]{0,5}", 0..200),
            asked in "[a-c病]{0,3}",
        ) {
            let names: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut bytes = Vec::new();
            Names::write(&names, &mut bytes);
            let read = Names::read(bytes).unwrap();
            prop_assert_eq!(read.count(), names.len());
            prop_assert_eq!(read.find(&asked).map(|place| names[place as usize]), texts.get(&asked).map(String::as_str));
            let beginning: BTreeSet<&str> = names[{ let range = read.beginning(&asked); range.start as usize..range.end as usize }].iter().copied().collect();
            prop_assert_eq!(beginning, names.iter().copied().filter(|name| name.starts_with(&asked)).collect());
            let mut again = Vec::new();
            read.each((0..names.len() as u32).filter(|place| place % 3 < 2), |name| again.push(name.to_owned()));
            let expected: Vec<_> = names.iter().enumerate().filter(|(place, _)| place % 3 < 2).map(|(_, name)| *name).collect();
            prop_assert_eq!(again, expected);
        }

        #[test]
        fn whatever_it_reads_it_ends(bytes in prop::collection::vec(any::<u8>(), 0..200), asked in "[a-c]{0,3}") {
            if let Some(names) = Names::read(bytes) {
                let _found = (names.find(&asked), names.beginning(&asked));
                names.each(0..100, |_| ());
            }
        }
    }
}
