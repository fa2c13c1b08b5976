//! What a node says of itself, once a second, in a note of the store that all nodes read: who it is, what it runs, how far
//! its log is signed, and what it vouches for of the others' logs. Versions of the program that run beside each other read
//! each other's: keys that are not known are passed over, and those that are missing say nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::caps::Ever;

/// The form that is written. A form that a later version cannot read gets another number.
const FORM: u32 = 1;
/// The longest beat that is read, in bytes: sixteen proofs and a thousand counts are a quarter of that.
const BEAT_BYTES_MAX: usize = 1 << 20;

/// What a node says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Beat {
    /// The form.
    pub v: u32,
    /// How often it has said something since it was started.
    pub count: u64,
    /// When, by its own clock, in microseconds.
    pub at: i64,
    /// When it was started.
    pub started_at: i64,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// The revision of its configuration.
    #[serde(default)]
    pub revision: String,
    /// Whether it is about to stop.
    #[serde(default)]
    pub leaving: bool,
    /// The key that signs its log.
    #[serde(default)]
    pub key: String,
    /// The newest checkpoint of its log.
    #[serde(default)]
    pub checkpoint: Option<String>,
    /// For each other node the proof that this checkpoint goes on from what that node vouches for.
    #[serde(default)]
    pub proofs: BTreeMap<String, Proof>,
    /// How many lines of each other node's log it vouches for.
    #[serde(default)]
    pub vouched: BTreeMap<String, u64>,
    /// Its cosignature of each other node's checkpoint of that size.
    #[serde(default)]
    pub cosigned: BTreeMap<String, String>,
    /// Digests of the keys that all nodes must share, by what they are for.
    #[serde(default)]
    pub shared: BTreeMap<String, String>,
    /// Who did much of what a rule bounds.
    #[serde(default)]
    pub counts: Vec<Counted>,
}

/// A proof that a log goes on from an earlier size.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// The earlier size.
    pub from: u64,
    /// The hashes, in hexadecimal digits.
    pub path: Vec<String>,
}

/// What one person did by one rule within an hour, at one node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// The rule.
    pub rule: String,
    /// The person, or the network of whoever is nobody.
    pub who: String,
    /// How many requests.
    pub requests: u64,
    /// How many different patients.
    pub patients: u64,
    /// The same since the counting began; an earlier version does not tell it.
    #[serde(default)]
    pub ever: Option<Ever>,
}

impl Proof {
    /// Writes hashes down.
    pub fn new(from: u64, path: &[[u8; 32]]) -> Self {
        let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { from, path: path.iter().map(hex).collect() }
    }

    /// The hashes; nothing where they are none.
    pub fn hashes(&self) -> Option<Vec<[u8; 32]>> {
        let hash = |text: &String| -> Option<[u8; 32]> {
            if text.len() != 64 {
                return None;
            }
            let bytes: Option<Vec<u8>> =
                (0..32).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
            bytes?.try_into().ok()
        };
        self.path.iter().map(hash).collect()
    }
}

impl Beat {
    /// Reads what a node wrote.
    ///
    /// # Errors
    /// In words, where it is not what a node writes, or what a later version writes that this one cannot read.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > BEAT_BYTES_MAX {
            return Err("is too long".to_owned());
        }
        let beat: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if beat.v == FORM { Ok(beat) } else { Err(format!("is of the form {}, which is not known", beat.v)) }
    }

    /// Writes it.
    pub fn write(&self) -> String {
        // Numbers, texts and maps of texts can always be written.
        serde_json::to_string(&Self { v: FORM, ..self.clone() }).unwrap_or_default()
    }
}

/// Where the store keeps what a node says.
pub fn key(name: &config::NodeName) -> String {
    format!("node:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let beat = Beat {
            v: 1,
            count: 7,
            checkpoint: Some("a\n1\nx\n\n\u{2014} a b\n".to_owned()),
            proofs: [("gw02".to_owned(), Proof::new(3, &[[0xab; 32], [0; 32]]))].into(),
            ..Beat::default()
        };
        let read = Beat::read(&beat.write()).unwrap();
        assert_eq!(read, beat);
        assert_eq!(read.proofs["gw02"].hashes(), Some(vec![[0xab; 32], [0; 32]]));
    }

    #[test]
    fn another_version_is_read_as_far_as_it_is_known() {
        let read = Beat::read(r#"{"v":1,"count":1,"at":2,"started_at":3,"weather":"fine"}"#).unwrap();
        assert_eq!((read.count, read.version.as_str()), (1, ""));
        for text in ["", "{}", "null", r#"{"v":2,"count":1,"at":2,"started_at":3}"#] {
            assert!(Beat::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_hash_is_no_proof() {
        for path in ["", "zz", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66), &"あ".repeat(64)] {
            let proof = Proof { from: 1, path: vec![path.to_owned()] };
            assert_eq!(proof.hashes(), None, "{path}");
        }
    }
}
