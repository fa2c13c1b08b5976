//! The keys of archived segments: how a segment's own key is made, kept beside it wrapped, and found again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::data_key::{DataKey, Secret};
use crate::escrow::{RecoveryKey, RecoverySecret, RecoverySlot};
use crate::ring::{KeyRing, RingHold, RingSlot};
use crate::segment::{self, Form, Segment};
use crate::tape::wrapped_tapes;
use crate::{LogProblem, disk};

/// How the name of a file of wrapped keys ends.
pub(crate) const KEYS: &str = "keys";
/// A file of wrapped keys has two of them.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What opens encrypted segments: a key ring, or nothing. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    ring: Option<Arc<Ring>>,
}

#[derive(Debug)]
struct Ring {
    path: PathBuf,
    /// As it was when it was last read; rings change while the gateway runs.
    known: Mutex<Option<Arc<KeyRing>>>,
}

/// The key of one segment, wrapped: the file beside it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Wrapped {
    v: u32,
    /// The segment.
    first: u64,
    ring: Vec<RingSlot>,
    recovery: Vec<RecoverySlot>,
}

impl Keys {
    /// No keys: plain and merely compressed segments can be read.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The keys of the ring in a file, which is read when it is needed.
    #[must_use]
    pub fn ring(path: &Path) -> Self {
        Self { ring: Some(Arc::new(Ring { path: path.to_owned(), known: Mutex::default() })) }
    }

    /// The ring as it is on disk now; `None` where no ring is named.
    pub(crate) fn read(&self) -> Result<Option<Arc<KeyRing>>, LogProblem> {
        let Some(ring) = &self.ring else { return Ok(None) };
        let read = Arc::new(KeyRing::read(&ring.path)?);
        *ring.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        Ok(Some(read))
    }

    /// Keeps others from changing the ring, or what is wrapped under its keys; nothing where no ring is named.
    pub(crate) fn hold(&self) -> Result<Option<RingHold>, LogProblem> {
        self.ring.as_ref().map(|ring| RingHold::take(&ring.path)).transpose()
    }

    fn known(&self) -> Option<Arc<KeyRing>> {
        self.ring.as_ref()?.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key of a segment.
    pub(crate) fn data_key(&self, segment: &Segment) -> Result<DataKey, LogProblem> {
        let wrapped = read_wrapped(segment)?;
        let unwrap = |ring: &KeyRing| wrapped.ring.iter().find_map(|slot| ring.unwrap(slot, segment.first));
        let known = self.known().and_then(|ring| unwrap(&ring));
        let secret = match known {
            Some(secret) => Some(secret),
            None => self.read()?.and_then(|ring| unwrap(&ring)),
        };
        secret.and_then(DataKey::from_secret).ok_or_else(|| {
            let ids: Vec<&str> = wrapped.ring.iter().map(|slot| slot.key.as_str()).collect();
            let ring = match &self.ring {
                Some(ring) => format!("`{}` does not open it", ring.path.display()),
                None => "name the key ring".to_owned(),
            };
            let reason = format!("is encrypted under the key `{}`; {ring}", ids.join("`, `"));
            LogProblem::Key { place: segment.path.display().to_string(), reason }
        })
    }
}

/// Where the wrapped key of a segment lies.
pub(crate) fn wrapped_path(segment: &Segment) -> PathBuf {
    segment.path.with_extension(KEYS)
}

fn read_wrapped(segment: &Segment) -> Result<Wrapped, LogProblem> {
    let path = wrapped_path(segment);
    let bytes = match std::fs::metadata(&path) {
        Ok(file) if file.len() <= FILE_BYTES_MAX => std::fs::read(&path),
        Ok(_) => Err(std::io::Error::other("is too long for wrapped keys")),
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| LogProblem::disk(&path, &error))?;
    let wrapped: Option<Wrapped> = serde_json::from_slice(&bytes).ok();
    wrapped
        .filter(|wrapped| wrapped.v == 1 && wrapped.first == segment.first)
        .ok_or_else(|| LogProblem::damaged(&path, "does not hold the key of its segment"))
}

/// Writes the key of a segment, wrapped under the newest key of the ring and for the recovery key. Without one, what was
/// encrypted to recovery keys before is kept. To be called while the ring is held.
pub(crate) fn write_wrapped(
    segment: &Segment,
    secret: &[u8],
    ring: &KeyRing,
    recovery: Option<&RecoveryKey>,
    kept: Vec<RecoverySlot>,
) -> Result<(), LogProblem> {
    let path = wrapped_path(segment);
    let fault = || LogProblem::Key { place: path.display().to_string(), reason: "could not be wrapped".to_owned() };
    let recovery = match recovery {
        Some(key) => vec![key.wrap(secret, segment.first).ok_or_else(fault)?],
        None => kept,
    };
    let ring = vec![ring.wrap(secret, segment.first).ok_or_else(fault)?];
    let wrapped = Wrapped { v: 1, first: segment.first, ring, recovery };
    let text = serde_json::to_vec(&wrapped).map_err(|_| fault())?;
    disk::replace(&path, &text).map_err(|error| LogProblem::disk(&path, &error))
}

/// Whether the ring as it is on disk now opens the key beside a segment, and gives this one. To be called while the ring
/// is held: else the key may go from it the moment after.
pub(crate) fn is_kept(segment: &Segment, key: &DataKey, keys: &Keys) -> Result<bool, LogProblem> {
    let wrapped = read_wrapped(segment)?;
    let ring = keys.read()?;
    let opened = ring.and_then(|ring| wrapped.ring.iter().find_map(|slot| ring.unwrap(slot, segment.first)));
    Ok(opened.is_some_and(|secret| secret.as_slice() == key.secret()))
}

/// How many encrypted segments and recordings need each key of a ring, by the key's id; those that are being archived
/// count too.
///
/// # Errors
/// [`LogProblem`] where the log cannot be read.
pub fn key_use(dir: &Path) -> Result<BTreeMap<String, u64>, LogProblem> {
    let mut uses = BTreeMap::new();
    for segment in sealed(dir)? {
        let wrapped = match read_wrapped(&segment) {
            // It was deleted a moment ago.
            Err(_) if !wrapped_path(&segment).exists() => continue,
            read => read?,
        };
        for slot in wrapped.ring {
            *uses.entry(slot.key).or_insert(0) += 1;
        }
    }
    Ok(uses)
}

/// Wraps the key of every encrypted segment under the newest key of the ring, and for the recovery key where one is
/// given, and says how many were changed. The segments themselves are not touched. It may be done again where it broke
/// off.
///
/// # Errors
/// [`LogProblem`] where a key cannot be unwrapped or written.
pub fn rewrap(dir: &Path, keys: &Keys, recovery: Option<&RecoveryKey>) -> Result<u64, LogProblem> {
    let mut changed = 0;
    for segment in sealed(dir)? {
        // The archiver may write the same file, and others change the ring: one segment after the other.
        let _held = keys.hold()?;
        let Some(ring) = keys.read()? else { return Ok(0) };
        let wrapped = match read_wrapped(&segment) {
            Err(_) if !wrapped_path(&segment).exists() => continue,
            read => read?,
        };
        let is_in_ring = wrapped.ring.iter().any(|slot| ring.is_newest(slot));
        let is_in_escrow = recovery.is_none_or(|key| wrapped.recovery.iter().any(|slot| slot.key == key.id()));
        if is_in_ring && is_in_escrow && wrapped.ring.len() == 1 {
            continue;
        }
        let key = keys.data_key(&segment)?;
        write_wrapped(&segment, key.secret(), &ring, recovery, wrapped.recovery)?;
        changed += 1;
    }
    Ok(changed)
}

/// What [`recover`] could do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveredKeys {
    /// Segments whose key is wrapped under the ring again.
    pub segments: u64,
    /// Segments whose key was never encrypted to this recovery key: they stay closed.
    pub closed: Vec<PathBuf>,
}

/// After the key ring was lost: opens the key of every encrypted segment with the recovery key, and wraps it under the
/// newest key of a ring.
///
/// # Errors
/// [`LogProblem`] where the ring or a file cannot be read or written.
pub fn recover(dir: &Path, secret: &RecoverySecret, keys: &Keys) -> Result<RecoveredKeys, LogProblem> {
    let mut recovered = RecoveredKeys::default();
    for segment in sealed(dir)? {
        let _held = keys.hold()?;
        let Some(ring) = keys.read()? else { return Ok(recovered) };
        let wrapped = match read_wrapped(&segment) {
            Err(_) if !wrapped_path(&segment).exists() => continue,
            read => read?,
        };
        if wrapped.ring.iter().any(|slot| ring.has(&slot.key)) {
            continue;
        }
        let unwrap = |slot: &RecoverySlot| secret.unwrap(slot, segment.first);
        let opened: Option<Secret> = wrapped.recovery.iter().find_map(unwrap);
        match opened {
            Some(opened) => {
                write_wrapped(&segment, opened.as_slice(), &ring, Some(secret.public()), Vec::new())?;
                recovered.segments += 1;
            }
            None => recovered.closed.push(segment.path),
        }
    }
    Ok(recovered)
}

/// The encrypted segments, and the recordings after them: those with a key beside them, also where the archive is still
/// being written.
fn sealed(dir: &Path) -> Result<Vec<Segment>, LogProblem> {
    let folder = segment::folder(dir);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| LogProblem::disk(&folder, &error))?,
    };
    let mut sealed = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| LogProblem::disk(&folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == KEYS) {
            let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            sealed.extend(first.map(|first| Segment::of(dir, first, Form::Archived)));
        }
    }
    sealed.sort_by_key(|segment| segment.first);
    sealed.extend(wrapped_tapes(dir)?);
    Ok(sealed)
}
