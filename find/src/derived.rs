//! What is made of texts that stand in line after line: the words of a name, the departments above one, an address as
//! it is kept. It is made once and remembered.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use policy::Unit;

use crate::words;

/// The most texts that are remembered of one kind; of more, all are forgotten and begin anew.
const TEXTS_MAX: usize = 8_192;
/// Longer texts are not remembered, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// Makes texts of texts.
#[derive(Debug)]
pub(crate) struct Derived {
    /// The words of a text that many lines have.
    pub(crate) words: Kept,
    /// A department and everything it is a part of.
    pub(crate) units: Kept,
    /// An address as the index has it.
    pub(crate) address: Kept,
}

impl Default for Derived {
    fn default() -> Self {
        Self { words: Kept::new(words_of), units: Kept::new(units_of), address: Kept::new(address_of) }
    }
}

/// What one function made, by what it was made of.
#[derive(Debug)]
pub(crate) struct Kept {
    make: fn(&str) -> Vec<String>,
    made: HashMap<Box<str>, Vec<String>>,
    last: Vec<String>,
}

impl Kept {
    fn new(make: fn(&str) -> Vec<String>) -> Self {
        Self { make, made: HashMap::new(), last: Vec::new() }
    }

    /// What is made of a text.
    pub(crate) fn of(&mut self, text: &str) -> &[String] {
        if text.len() > TEXT_BYTES_MAX {
            self.last = (self.make)(text);
            return &self.last;
        }
        if !self.made.contains_key(text) {
            if self.made.len() >= TEXTS_MAX {
                self.made.clear();
            }
            self.made.insert(text.into(), (self.make)(text));
        }
        self.made.get(text).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The words of one text.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    words::gather(text, &mut found);
    found.into_iter().collect()
}

fn units_of(text: &str) -> Vec<String> {
    Unit::parse(text).map(|unit| unit.and_above().map(str::to_owned).collect()).unwrap_or_default()
}

fn address_of(text: &str) -> Vec<String> {
    text.parse::<IpAddr>().map(|address| address.to_string()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_once_is_remembered_within_bounds() {
        let mut derived = Derived::default();
        assert_eq!(derived.words.of("n.sato"), ["n", "sato"]);
        assert_eq!(derived.words.of("n.sato"), ["n", "sato"]);
        assert_eq!(derived.units.of("本院/3階東病棟"), ["本院", "本院/3階東病棟"]);
        assert_eq!(derived.address.of("::0001"), ["::1"]);
        assert_eq!(derived.address.of("no address"), [""; 0]);
        for number in 0..3 * TEXTS_MAX {
            assert_eq!(derived.words.of(&format!("n{number}")), [format!("n{number}")]);
        }
        assert!(derived.words.made.len() <= TEXTS_MAX);
        assert_eq!(derived.words.of(&"x ".repeat(TEXT_BYTES_MAX)), ["x"]);
        assert!(!derived.words.made.keys().any(|text| text.len() > TEXT_BYTES_MAX));
    }
}
