//! The key ring: the keys under which the keys of archived segments are wrapped. It is one file, kept apart from the
//! log, readable by its owner alone; the newest key wraps, all of them unwrap.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::{Timestamp, UtcOffset};
use serde::{Deserialize, Serialize};

use crate::data_key::{KEY_BYTES, Secret, random_secret};
use crate::{LogProblem, disk};

/// A ring of thousands of keys is shorter.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Half the bytes of the hash that names a key.
const ID_BYTES: usize = 8;

/// A key ring, read.
#[derive(Debug)]
pub struct KeyRing {
    path: PathBuf,
    /// Oldest first; there is at least one.
    keys: Vec<RingKey>,
}

/// Keeps other processes, and other threads, from changing a ring meanwhile: the folder that it lies in is locked.
#[derive(Debug)]
pub(crate) struct RingHold {
    _folder: std::fs::File,
}

impl RingHold {
    /// Waits until nobody else holds it. Whoever has it must not take it again.
    pub(crate) fn take(ring: &Path) -> Result<Self, LogProblem> {
        let folder = ring.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let locked = std::fs::File::open(folder).and_then(|file| file.lock().map(|()| file));
        locked.map(|file| Self { _folder: file }).map_err(|error| LogProblem::disk(folder, &error))
    }
}

/// One key of a ring.
pub(crate) struct RingKey {
    pub(crate) id: String,
    made: String,
    secret: Secret,
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingKey({}, ..)", self.id)
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    v: u32,
    keys: Vec<FileKey>,
}

#[derive(Serialize, Deserialize)]
struct FileKey {
    id: String,
    made: String,
    secret: String,
}

/// What a wrapped key is, in the file beside its segment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RingSlot {
    /// The key of the ring that wraps it.
    pub(crate) key: String,
    nonce: String,
    sealed: String,
}

impl KeyRing {
    /// Reads a ring.
    ///
    /// # Errors
    /// [`LogProblem::Key`] where it is missing or is none.
    pub fn read(path: &Path) -> Result<Self, LogProblem> {
        let bytes = match std::fs::metadata(path) {
            Ok(file) if file.len() > FILE_BYTES_MAX => return Err(problem(path, "is too long for a key ring")),
            Ok(_) => std::fs::read(path),
            Err(error) => Err(error),
        };
        let bytes = bytes.map(zeroize::Zeroizing::new).map_err(|error| problem(path, &missing(&error)))?;
        let file: File = serde_json::from_slice(&bytes)
            .map_err(|_| problem(path, "is not a key ring; restore it from the backup, or recover it"))?;
        let keys: Option<Vec<RingKey>> = file.keys.into_iter().map(RingKey::from_file).collect();
        match keys {
            Some(keys) if file.v == 1 && !keys.is_empty() => Ok(Self { path: path.to_owned(), keys }),
            Some(_) | None => Err(problem(path, "holds a key that is not whole; restore it from the backup")),
        }
    }

    /// Makes a ring with one key, where there is no file yet.
    ///
    /// # Errors
    /// [`LogProblem`] where there is one, or none can be written.
    pub fn make(path: &Path, at: Timestamp) -> Result<Self, LogProblem> {
        if path.exists() {
            return Err(problem(path, "is there already; it is not written over"));
        }
        if let Some(folder) = path.parent() {
            disk::make_directory(folder).map_err(|error| LogProblem::disk(folder, &error))?;
        }
        let _held = RingHold::take(path)?;
        // Another process may have made it since.
        if path.exists() {
            return Err(problem(path, "is there already; it is not written over"));
        }
        let mut ring = Self { path: path.to_owned(), keys: Vec::new() };
        ring.push(at)?;
        Ok(ring)
    }

    /// Adds a key, which wraps from then on, and says its id.
    ///
    /// # Errors
    /// [`LogProblem`] where the file cannot be written.
    pub fn add(&mut self, at: Timestamp) -> Result<String, LogProblem> {
        let _held = RingHold::take(&self.path)?;
        // Another process may have changed it since.
        self.keys = Self::read(&self.path)?.keys;
        self.push(at)
    }

    fn push(&mut self, at: Timestamp) -> Result<String, LogProblem> {
        let secret = random_secret().ok_or_else(|| problem(&self.path, "no key could be made; try again"))?;
        let id = id_of(&secret);
        let made = at.rfc3339(UtcOffset::UTC);
        self.keys.push(RingKey { id: id.clone(), made, secret });
        if let Err(problem) = self.save() {
            self.keys.pop();
            return Err(problem);
        }
        Ok(id)
    }

    /// Removes a key that no segment of this log needs any more; see [`crate::key_use`]. The newest stays.
    ///
    /// # Errors
    /// [`LogProblem`] where it is not in the ring, is the newest, is needed, or the file cannot be written.
    pub fn remove(&mut self, id: &str, log: &Path) -> Result<(), LogProblem> {
        let _held = RingHold::take(&self.path)?;
        self.keys = Self::read(&self.path)?.keys;
        let segments = crate::key_use(log)?.get(id).copied().unwrap_or(0);
        if segments > 0 {
            return Err(problem(
                &self.path,
                &format!("{segments} segments or recordings need its key `{id}`; wrap theirs anew first"),
            ));
        }
        let Some(at) = self.keys.iter().position(|key| key.id == id) else {
            return Err(problem(&self.path, &format!("has no key `{id}`")));
        };
        if at + 1 == self.keys.len() {
            return Err(problem(&self.path, &format!("`{id}` is its newest key, which wraps; rotate first")));
        }
        let key = self.keys.remove(at);
        self.save().inspect_err(|_| self.keys.insert(at, key))
    }

    /// Its keys, oldest first: id, and when each was made.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().map(|key| (key.id.as_str(), key.made.as_str()))
    }

    fn save(&self) -> Result<(), LogProblem> {
        let keys = self.keys.iter().map(RingKey::to_file).collect();
        let text = serde_json::to_vec_pretty(&File { v: 1, keys }).map(zeroize::Zeroizing::new);
        text.map_err(io::Error::other)
            .and_then(|text| disk::replace(&self.path, &text))
            .map_err(|error| LogProblem::disk(&self.path, &error))
    }

    /// Wraps a secret under the newest key, bound to a segment.
    pub(crate) fn wrap(&self, secret: &[u8], segment: u64) -> Option<RingSlot> {
        let key = self.keys.last()?;
        let mut sealed = secret.to_vec();
        let nonce = key.aead()?.seal_in_place_append_tag(bound(segment, &key.id), &mut sealed).ok()?;
        let nonce = BASE64.encode(nonce.as_ref());
        Some(RingSlot { key: key.id.clone(), nonce, sealed: BASE64.encode(sealed) })
    }

    /// Unwraps what one of its keys wrapped.
    pub(crate) fn unwrap(&self, slot: &RingSlot, segment: u64) -> Option<Secret> {
        let key = self.keys.iter().find(|key| key.id == slot.key)?;
        let nonce: [u8; 12] = BASE64.decode(&slot.nonce).ok()?.try_into().ok()?;
        let mut sealed = zeroize::Zeroizing::new(BASE64.decode(&slot.sealed).ok()?);
        let bound = bound(segment, &key.id);
        let opened = key.aead()?.open_in_place(Nonce::assume_unique_for_key(nonce), bound, &mut sealed).ok()?;
        secret_of(opened)
    }

    /// Whether the newest key wrapped this.
    pub(crate) fn is_newest(&self, slot: &RingSlot) -> bool {
        self.keys.last().is_some_and(|key| key.id == slot.key)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }
}

impl RingKey {
    fn aead(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, self.secret.as_slice()).ok()
    }

    /// The name of a key is the beginning of its hash, so that a damaged one is known.
    fn from_file(file: FileKey) -> Option<Self> {
        let secret =
            secret_of(&zeroize::Zeroizing::new(BASE64.decode(zeroize::Zeroizing::new(file.secret).as_bytes()).ok()?))?;
        (id_of(&secret) == file.id).then_some(Self { id: file.id, made: file.made, secret })
    }

    fn to_file(&self) -> FileKey {
        FileKey { id: self.id.clone(), made: self.made.clone(), secret: BASE64.encode(self.secret.as_slice()) }
    }
}

pub(crate) fn secret_of(bytes: &[u8]) -> Option<Secret> {
    let bytes: [u8; KEY_BYTES] = bytes.try_into().ok()?;
    Some(Secret::new(bytes))
}

fn id_of(secret: &Secret) -> String {
    let hash = digest(&SHA256, secret.as_slice());
    hash.as_ref().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn bound(segment: u64, key: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("sekimori-segment-key {segment} {key}").into_bytes())
}

fn missing(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "is missing; restore it from the backup, or recover it with the recovery key".to_owned();
    }
    error.to_string()
}

fn problem(path: &Path, reason: &str) -> LogProblem {
    LogProblem::Key { place: path.display().to_string(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Folder, clock};

    #[test]
    fn what_any_key_of_a_ring_wrapped_it_unwraps_for_its_segment_alone() {
        let folder = Folder::new();
        let path = folder.path().join("ring");
        let mut ring = KeyRing::make(&path, clock().now()).unwrap();
        let old = ring.wrap(&[7; 32], 20).unwrap();
        ring.add(clock().now()).unwrap();
        let new = ring.wrap(&[8; 32], 20).unwrap();
        assert!(old.key != new.key && ring.is_newest(&new) && !ring.is_newest(&old));
        let mut again = KeyRing::read(&path).unwrap();
        assert_eq!(again.unwrap(&old, 20).unwrap().as_slice(), [7; 32]);
        assert_eq!(again.unwrap(&new, 20).unwrap().as_slice(), [8; 32]);
        assert!(again.unwrap(&new, 21).is_none(), "another segment's");
        let swapped = RingSlot { key: old.key.clone(), ..new.clone() };
        assert!(again.unwrap(&swapped, 20).is_none());
        assert!(again.remove(&new.key, folder.path()).is_err(), "the newest wraps");
        again.remove(&old.key, folder.path()).unwrap();
        assert!(KeyRing::read(&path).unwrap().unwrap(&old, 20).is_none());
    }

    #[test]
    fn no_change_of_a_ring_is_lost_to_another() {
        let folder = Folder::new();
        let path = folder.path().join("ring");
        let first = KeyRing::make(&path, clock().now()).unwrap().keys().next().unwrap().0.to_owned();
        // Both were read before either changes it.
        let (mut one, mut other) = (KeyRing::read(&path).unwrap(), KeyRing::read(&path).unwrap());
        let second = one.add(clock().now()).unwrap();
        let third = other.add(clock().now()).unwrap();
        one.remove(&first, folder.path()).unwrap();
        let kept = KeyRing::read(&path).unwrap();
        assert_eq!(kept.keys().map(|(id, _)| id).collect::<Vec<_>>(), [second, third]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| KeyRing::read(&path).unwrap().add(clock().now()).unwrap());
            }
        });
        assert_eq!(KeyRing::read(&path).unwrap().keys().count(), 6);
    }

    #[test]
    fn a_ring_is_for_its_owner_alone_and_is_never_written_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new();
        let path = folder.path().join("keys/ring");
        let ring = KeyRing::make(&path, clock().now()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(KeyRing::make(&path, clock().now()).is_err());
        let text = std::fs::read_to_string(&path).unwrap();
        let secret = text.split("\"secret\": \"").nth(1).unwrap().split('"').next().unwrap();
        assert!(!format!("{ring:?}").contains(secret));
        std::fs::write(&path, text.replace(secret, &BASE64.encode([1; 32]))).unwrap();
        assert!(KeyRing::read(&path).unwrap_err().to_string().contains("not whole"));
        std::fs::write(&path, "{}").unwrap();
        assert!(KeyRing::read(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(KeyRing::read(&path).unwrap_err().to_string().contains("missing"));
    }
}
