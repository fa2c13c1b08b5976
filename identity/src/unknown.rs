//! Tokens that are known to open nothing, so that a browser that keeps sending an old cookie costs no store read.
//!
//! A fixed table: a new entry overwrites whatever shares its place. Nothing is ever taken out, because a token that
//! opened nothing never will: tokens are drawn at random and stored before anybody is told them.
//! It does not stop a stranger who sends a different token each time; what bounds those is the gateway's limit per
//! address and [`LOOK_UPS_MAX`](crate::sessions::LOOK_UPS_MAX).

use std::sync::{Mutex, PoisonError};

use store::TokenHash;

const SHARDS: usize = 16;
/// Tokens remembered in a shard at most, 8,192 in all.
const SHARD_PLACES: usize = 512;

pub(crate) struct UnknownTokens {
    shards: Vec<Mutex<Vec<Option<TokenHash>>>>,
}

impl UnknownTokens {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(vec![None; SHARD_PLACES])).collect() }
    }

    pub(crate) fn contains(&self, token: &TokenHash) -> bool {
        self.at_place(token, |place| *place == Some(*token))
    }

    pub(crate) fn insert(&self, token: TokenHash) {
        self.at_place(&token, |place| {
            *place = Some(token);
            true
        });
    }

    fn at_place(&self, token: &TokenHash, act: impl FnOnce(&mut Option<TokenHash>) -> bool) -> bool {
        let [shard, low, high, ..] = token.0;
        let Some(shard) = self.shards.get(usize::from(shard) % SHARDS) else { return false };
        let mut places = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::from(u16::from_le_bytes([low, high])) % SHARD_PLACES;
        places.get_mut(place).is_some_and(act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::hash;

    const UNKNOWN_TOKENS_MAX: usize = SHARDS * SHARD_PLACES;

    #[test]
    fn unknown_tokens_are_remembered_within_a_fixed_space() {
        let unknown = UnknownTokens::new();
        assert!(!unknown.contains(&hash("0")));
        for number in 0..4 * UNKNOWN_TOKENS_MAX {
            unknown.insert(hash(&number.to_string()));
        }
        let last = hash(&(4 * UNKNOWN_TOKENS_MAX - 1).to_string());
        assert!(unknown.contains(&last));
        assert!(!unknown.contains(&hash("never seen")));
        assert_eq!(unknown.shards.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>(), UNKNOWN_TOKENS_MAX);
    }
}
