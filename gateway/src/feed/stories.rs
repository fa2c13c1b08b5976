//! Lines into stories: an access is told of once, when it has ended. What was begun and has not ended is kept, within a
//! bound, and its place in the log is part of the feed's position.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use audit::{Entry, EntryKind, Story};

/// How many accesses may be open at once before the oldest is told of without its end.
const OPEN_MAX: usize = 16_384;

/// Accesses that were begun and not told of.
#[derive(Debug)]
pub struct Stories {
    begun: HashMap<String, Entry>,
    by_line: BTreeMap<u64, String>,
    open_max: usize,
}

impl Stories {
    /// None are open.
    pub fn new() -> Self {
        Self { begun: HashMap::new(), by_line: BTreeMap::new(), open_max: OPEN_MAX }
    }

    /// Takes the next line, and gives what can be told now. The end of an access that was told of already, or that
    /// began before the feed did, tells nothing.
    pub fn take(&mut self, entry: Entry) -> Option<Story> {
        match (&entry.kind, &entry.request) {
            (EntryKind::Open, Some(request)) => {
                self.by_line.insert(entry.seq, request.clone());
                self.begun.insert(request.clone(), entry);
                if self.by_line.len() > self.open_max { self.oldest() } else { None }
            }
            (EntryKind::Close, Some(request)) => {
                let begin = self.begun.remove(request)?;
                self.by_line.remove(&begin.seq);
                Some(Story { begin, end: Some(entry) })
            }
            (EntryKind::Close, None) => None,
            (EntryKind::Open, None)
            | (EntryKind::Refused | EntryKind::Segment | EntryKind::Fact(_) | EntryKind::Unknown(_), _) => {
                Some(Story { begin: entry, end: None })
            }
        }
    }

    fn oldest(&mut self) -> Option<Story> {
        let (_, request) = self.by_line.pop_first()?;
        self.begun.remove(&request).map(|begin| Story { begin, end: None })
    }

    /// The opening lines of what is open, in order.
    pub fn lines(&self) -> Arc<[u64]> {
        self.by_line.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, event: &str, request: &str) -> Entry {
        let line = format!(
            "{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:05:00.000000Z\",\"ev\":\"{event}\",\"id\":\"{request}\"}}"
        );
        Entry::read(line.as_bytes()).unwrap()
    }

    #[test]
    fn an_access_is_told_of_once_it_has_ended() {
        let mut stories = Stories::new();
        assert_eq!(stories.take(entry(1, "open", "a")), None);
        assert_eq!(stories.take(entry(2, "open", "b")), None);
        assert_eq!(stories.take(entry(3, "refused", "c")).unwrap().begin.seq, 3);
        assert_eq!(stories.lines()[..], [1, 2]);
        let story = stories.take(entry(4, "close", "a")).unwrap();
        assert_eq!((story.begin.seq, story.end.unwrap().seq), (1, 4));
        assert_eq!(stories.take(entry(5, "close", "a")), None, "not twice");
        assert_eq!(stories.take(entry(6, "close", "unknown")), None);
        assert_eq!(stories.lines()[..], [2]);
    }

    #[test]
    fn too_many_open_ones_are_told_of_without_their_end() {
        let mut stories = Stories { open_max: 2, ..Stories::new() };
        for seq in 1..=2 {
            assert_eq!(stories.take(entry(seq, "open", &seq.to_string())), None);
        }
        let early = stories.take(entry(3, "open", "3")).unwrap();
        assert_eq!((early.begin.seq, early.end), (1, None));
        assert_eq!(stories.take(entry(4, "close", "1")), None);
        assert_eq!(stories.lines()[..], [2, 3]);
    }
}
