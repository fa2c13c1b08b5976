//! Checking a backup: all of it is read again, and compared with what the log's key signed. With the recovery key every
//! piece is opened too; without it what is sealed is known to be what was sealed.

use std::collections::HashMap;

use audit::{LogKey, PIECE_BYTES_MAX, PIECE_SEAL_BYTES, PieceKey, RecoverySecret};

use crate::entry::{Entry, PAGE_BYTES_MAX, from_page};
use crate::pack::PackReader;
use crate::sources::stays_below;
use crate::{BackupProblem, Manifest, Place};

/// The most problems that are told; more say nothing more.
const PROBLEMS_MAX: usize = 100;
const SEALED_BYTES_MAX: u64 = (PIECE_BYTES_MAX + PIECE_SEAL_BYTES) as u64;

/// A backup that is whole.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it says of itself.
    pub manifest: Manifest,
    /// How many pieces were read.
    pub pieces: u64,
    /// Whether they were opened, which takes the recovery key.
    pub opened: bool,
}

/// Checks a backup, the newest where no number is given.
///
/// # Errors
/// Every [`BackupProblem`], up to a hundred: what is missing, cut short, changed or of a later program, and where.
pub fn check(
    place: &Place,
    number: Option<u64>,
    key: &LogKey,
    secret: Option<&RecoverySecret>,
) -> Result<Checked, Vec<BackupProblem>> {
    let mut read = Reading::open(place, number, key, secret).map_err(|problem| vec![problem])?;
    let entries = std::mem::take(&mut read.entries);
    for entry in &entries {
        if let Err(problem) = read.file(entry, &mut |_| Ok(())) {
            read.tell(problem)?;
        }
    }
    read.end()
}

/// A backup that is being read.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) manifest: Manifest,
    /// Its files, by path.
    pub(crate) entries: Vec<Entry>,
    packs: PackReader,
    secret: Option<&'a RecoverySecret>,
    /// The keys of packs, as far as they were needed; `None` where there is no recovery key.
    keys: HashMap<String, Option<PieceKey>>,
    pieces: u64,
    problems: Vec<BackupProblem>,
}

impl<'a> Reading<'a> {
    pub(crate) fn open(
        place: &Place,
        number: Option<u64>,
        key: &LogKey,
        secret: Option<&'a RecoverySecret>,
    ) -> Result<Self, BackupProblem> {
        let number = number.map_or_else(|| place.newest(), Ok)?;
        let manifest = place.manifest(number, key)?;
        place.check_before(&manifest)?;
        let mut packs = PackReader::new(place.packs());
        let entries = entries(&manifest, &mut packs)?;
        let (keys, problems) = (HashMap::new(), Vec::new());
        Ok(Self { manifest, entries, packs, secret, keys, pieces: 0, problems })
    }

    /// Reads a file piece by piece; `take` is given what is in it, where there is a recovery key.
    pub(crate) fn file(
        &mut self,
        entry: &Entry,
        take: &mut impl FnMut(&[u8]) -> Result<(), BackupProblem>,
    ) -> Result<(), BackupProblem> {
        let of_file = |problem: BackupProblem| BackupProblem::damaged(&entry.path, problem.to_string());
        let mut bytes = 0;
        for piece in &entry.pieces {
            let sealed = self.packs.read(&piece.span, SEALED_BYTES_MAX).map_err(of_file)?;
            self.pieces += 1;
            if let Some(key) = self.key(&piece.span.pack).map_err(of_file)? {
                let opened = key.unseal(&sealed);
                let opened = opened.ok_or_else(|| BackupProblem::damaged(&entry.path, "cannot be opened"))?;
                bytes += opened.len() as u64;
                take(&opened)?;
            }
        }
        if self.secret.is_some() && bytes != entry.bytes {
            let reason = format!("has {bytes} bytes, {} were backed up", entry.bytes);
            return Err(BackupProblem::damaged(&entry.path, reason));
        }
        Ok(())
    }

    /// The key of a pack; nothing where there is no recovery key.
    fn key(&mut self, pack: &str) -> Result<Option<&PieceKey>, BackupProblem> {
        if !self.keys.contains_key(pack) {
            let head = self.packs.head(pack)?;
            let opened = self.secret.map(|secret| {
                PieceKey::open(&head, secret).ok_or_else(|| {
                    BackupProblem::refused(format!(
                        "this recovery key does not open `{pack}`; use the one it was made for"
                    ))
                })
            });
            self.keys.insert(pack.to_owned(), opened.transpose()?);
        }
        Ok(self.keys.get(pack).and_then(Option::as_ref))
    }

    /// Notes a problem; an error where enough are known.
    pub(crate) fn tell(&mut self, problem: BackupProblem) -> Result<(), Vec<BackupProblem>> {
        self.problems.push(problem);
        if self.problems.len() < PROBLEMS_MAX { Ok(()) } else { Err(std::mem::take(&mut self.problems)) }
    }

    pub(crate) fn end(self) -> Result<Checked, Vec<BackupProblem>> {
        if self.problems.is_empty() {
            return Ok(Checked { manifest: self.manifest, pieces: self.pieces, opened: self.secret.is_some() });
        }
        Err(self.problems)
    }
}

/// The list of files, which must be as long as the manifest says and hold what no backup is without.
fn entries(manifest: &Manifest, packs: &mut PackReader) -> Result<Vec<Entry>, BackupProblem> {
    let place = format!("backup {}", manifest.number);
    let mut entries: Vec<Entry> = Vec::new();
    for span in &manifest.pages {
        let page = packs.read(span, PAGE_BYTES_MAX)?;
        let page =
            from_page(&page).ok_or_else(|| BackupProblem::damaged(&place, "its list of files cannot be read"))?;
        entries.extend(page);
    }
    let is_sorted = entries.is_sorted_by(|one, next| one.path < next.path);
    let bytes = entries.iter().map(|entry| entry.bytes).sum::<u64>();
    let is_whole = entries.len() as u64 == manifest.files && bytes == manifest.bytes;
    if !is_sorted || !is_whole || !entries.iter().all(|entry| stays_below(&entry.path)) {
        return Err(BackupProblem::damaged(place, "its list of files is not the one that its manifest tells of"));
    }
    let checkpoint = format!("{}/checkpoint", manifest.log);
    for needed in [&manifest.config, &manifest.store, &checkpoint] {
        if entries.binary_search_by(|entry| entry.path.as_str().cmp(needed)).is_err() {
            return Err(BackupProblem::damaged(place, format!("`{needed}` is not in it")));
        }
    }
    Ok(entries)
}
