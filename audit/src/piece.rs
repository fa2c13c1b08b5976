//! The keys of backups: each run makes one, seals its pieces with it, and keeps it beside them encrypted to the recovery
//! keys alone. The machine that writes a backup cannot read it; whoever has a backup and no recovery key has nothing.

use serde::{Deserialize, Serialize};

use crate::data_key::{DataKey, KEY_BYTES, TAG_BYTES, random_secret};
use crate::escrow::{RecoveryKey, RecoverySecret, RecoverySlot};

/// The longest piece, before it is sealed.
pub const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What sealing adds at most: the number, how it is packed, the tag.
pub const PIECE_SEAL_BYTES: usize = NUMBER_BYTES + 1 + TAG_BYTES;

const NUMBER_BYTES: usize = 8;
const BOUND: &[u8] = b"sekimori-backup-piece 1";
const PURPOSE: &[u8] = b"sekimori-backup-key 1";
/// Pieces change every hour, and are compressed beside a gateway that works.
const ZSTD_LEVEL: i32 = 3;
const AS_IT_IS: u8 = 0;
const COMPRESSED: u8 = 1;

/// The key of one run of the backup. It is never printed.
#[derive(Debug)]
pub struct PieceKey {
    key: DataKey,
    /// How many pieces it sealed.
    sealed: u64,
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    v: u32,
    recovery: Vec<RecoverySlot>,
}

impl PieceKey {
    /// Makes a key, and gives it with itself encrypted to each recovery key, as one line of JSON; `None` where the machine
    /// gives no randomness, or there is no recovery key.
    #[must_use]
    pub fn make(recovery: &[RecoveryKey]) -> Option<(Self, String)> {
        let secret = random_secret()?;
        let slots: Option<Vec<RecoverySlot>> =
            recovery.iter().map(|key| key.wrap_for(secret.as_slice(), PURPOSE)).collect();
        let wrapped = Wrapped { v: 1, recovery: slots.filter(|slots| !slots.is_empty())? };
        let text = serde_json::to_string(&wrapped).ok()?;
        Some((Self { key: DataKey::from_secret(secret)?, sealed: 0 }, text))
    }

    /// Opens what [`PieceKey::make`] gave; `None` where it was not encrypted to this recovery key.
    #[must_use]
    pub fn open(wrapped: &str, secret: &RecoverySecret) -> Option<Self> {
        let wrapped: Wrapped = serde_json::from_str(wrapped).ok()?;
        let opened = wrapped.recovery.iter().find_map(|slot| secret.unwrap_for(slot, PURPOSE))?;
        Some(Self { key: DataKey::from_secret(opened)?, sealed: 0 })
    }

    /// Seals a piece; `None` where it is longer than [`PIECE_BYTES_MAX`].
    #[must_use]
    pub fn seal(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        if plain.len() > PIECE_BYTES_MAX {
            return None;
        }
        let number = self.sealed;
        // Invariant: a number is sealed once under a key.
        self.sealed = number.checked_add(1)?;
        let sealed = self.key.seal(usize::try_from(number).ok()?, BOUND, packed(plain))?;
        let mut piece = number.to_be_bytes().to_vec();
        piece.extend_from_slice(&sealed);
        Some(piece)
    }

    /// Opens a piece; `None` where it is not what was sealed.
    #[must_use]
    pub fn unseal(&self, piece: &[u8]) -> Option<Vec<u8>> {
        let (number, sealed) = piece.split_first_chunk::<NUMBER_BYTES>()?;
        let number = usize::try_from(u64::from_be_bytes(*number)).ok()?;
        let packed = self.key.open(number, BOUND, sealed.to_vec())?;
        match packed.split_first()? {
            (&AS_IT_IS, plain) => Some(plain.to_vec()),
            (&COMPRESSED, packed) => zstd::bulk::decompress(packed, PIECE_BYTES_MAX).ok(),
            _ => None,
        }
    }
}

/// The bytes compressed where that makes them shorter.
fn packed(plain: &[u8]) -> Vec<u8> {
    let (kind, bytes) = match zstd::bulk::compress(plain, ZSTD_LEVEL) {
        Ok(compressed) if compressed.len() < plain.len() => (COMPRESSED, compressed),
        Ok(_) | Err(_) => (AS_IT_IS, plain.to_vec()),
    };
    let mut packed = Vec::with_capacity(bytes.len() + 1 + KEY_BYTES);
    packed.push(kind);
    packed.extend_from_slice(&bytes);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    fn secret(folder: &Folder, name: &str) -> RecoverySecret {
        RecoverySecret::make(&folder.path().join(name)).unwrap()
    }

    #[test]
    fn either_recovery_key_opens_what_a_run_sealed_and_no_other_does() {
        let folder = Folder::new();
        let (one, two, stranger) = (secret(&folder, "one"), secret(&folder, "two"), secret(&folder, "three"));
        let (mut key, wrapped) = PieceKey::make(&[one.public().clone(), two.public().clone()]).unwrap();
        let random: Vec<u8> = (0..300_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let plain = [vec![7; 100_000], random, Vec::new()];
        let pieces: Vec<Vec<u8>> = plain.iter().map(|plain| key.seal(plain).unwrap()).collect();
        assert!(pieces[0].len() < 1_000, "what is alike takes little room");
        assert!(pieces[1].len() <= plain[1].len() + PIECE_SEAL_BYTES);
        for opener in [&one, &two] {
            let opened = PieceKey::open(&wrapped, opener).unwrap();
            for (piece, plain) in pieces.iter().zip(&plain) {
                assert_eq!(opened.unseal(piece).as_ref(), Some(plain));
            }
        }
        assert!(PieceKey::open(&wrapped, &stranger).is_none());
        assert!(PieceKey::make(&[]).is_none(), "nothing is sealed that nobody could open");
        assert_eq!(format!("{key:?}"), "PieceKey { key: DataKey(..), sealed: 3 }");
    }

    #[test]
    fn a_changed_byte_of_a_piece_opens_nothing() {
        let folder = Folder::new();
        let one = secret(&folder, "one");
        let (mut key, wrapped) = PieceKey::make(&[one.public().clone()]).unwrap();
        let piece = key.seal(b"the device CA").unwrap();
        let opened = PieceKey::open(&wrapped, &one).unwrap();
        for at in 0..piece.len() {
            let mut changed = piece.clone();
            changed[at] ^= 1;
            assert_eq!(opened.unseal(&changed), None, "byte {at}");
            assert_eq!(opened.unseal(&piece[..at]), None, "cut at {at}");
        }
        assert!(key.seal(&vec![0; PIECE_BYTES_MAX + 1]).is_none());
    }
}
