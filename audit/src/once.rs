//! What stands in several logs, read once. What happened in the store is recorded by every node, with the number of the
//! event; lines that say the same of it are one. Where two logs differ, both lines stay: none can hide what another says.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::digest::{SHA256, digest};

/// What stands in several logs, each once.
#[derive(Debug, Default)]
pub struct Once {
    told: HashMap<Digest, u32>,
    seen: HashMap<(usize, Digest), u32>,
}

/// Of what a line says, but for its number in its log.
type Digest = [u8; 16];

impl Once {
    /// Whether no other log has said the same. What one log says twice is two lines.
    pub fn is_new(&mut self, log: usize, line: &[u8]) -> bool {
        let Some(digest) = digest_of(line) else { return true };
        let seen = self.seen.entry((log, digest)).or_default();
        *seen = seen.saturating_add(1);
        let told = self.told.entry(digest).or_default();
        let is_new = *seen > *told;
        *told = (*told).max(*seen);
        is_new
    }
}

/// Nothing where it is not of an event of the store.
fn digest_of(line: &[u8]) -> Option<Digest> {
    let mut said: BTreeMap<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    said.get("sn")?;
    said.remove("seq");
    // How it came into the log, not what it says.
    said.remove("spool");
    let digest = digest(&SHA256, &serde_json::to_vec(&said).ok()?);
    digest.as_ref().get(..16)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, rest: &str) -> Vec<u8> {
        format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:00:00.000000Z\",{rest}}}\n").into_bytes()
    }

    #[test]
    fn what_several_logs_say_of_one_event_is_read_once_and_what_differs_is_not_hidden() {
        let mut once = Once::default();
        let event = |device: &str| format!(r#""ev":"device-revoked","dev":"{device}","sn":501"#);
        assert!(once.is_new(0, &line(4, &event("d1"))));
        assert!(!once.is_new(1, &line(9, &event("d1"))), "the number in a log says nothing");
        assert!(once.is_new(1, &line(10, &event("d2"))), "another log says otherwise");
        assert!(once.is_new(0, &line(5, &event("d1"))), "one log says it twice");
        for _ in 0..2 {
            assert!(once.is_new(1, &line(1, r#""ev":"started""#)), "what a node did itself");
            assert!(once.is_new(1, b"#"));
        }
    }
}
