//! The files a configuration names: whether they can be read, and the text of those read here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::walk::Value;
use crate::{Secret, SourceText};

/// The largest configuration or policy file.
pub(crate) const TEXT_BYTES_MAX: u64 = 4 << 20;
/// The largest file with one secret in it.
const SECRET_BYTES_MAX: u64 = 16 << 10;
/// Where systemd hands credentials over, readable by the unit's user through an ACL, which shows as group bits; and where
/// the chart lays them, for a group that is the gateway's own.
const CREDENTIALS: &str = "/run/credentials/";

/// Whether a secret in a file with these permissions may be read by others than whom it is for.
#[must_use]
pub fn is_open_to_others(path: &Path, mode: u32) -> bool {
    let others = if path.starts_with(CREDENTIALS) { 0o007 } else { 0o077 };
    mode & others != 0
}

/// Where relative paths start, and every file named so far.
pub(crate) struct Files<'b> {
    base: &'b Path,
    /// Texts that stand for what is on the disk.
    kept: Option<&'b BTreeMap<PathBuf, String>>,
    named: RefCell<Vec<PathBuf>>,
    texts: RefCell<Vec<SourceText>>,
}

impl<'b> Files<'b> {
    pub(crate) fn new(base: &'b Path) -> Self {
        Self { base, kept: None, named: RefCell::default(), texts: RefCell::default() }
    }

    /// The same with texts that are taken instead of what is on the disk.
    pub(crate) fn with(self, kept: &'b BTreeMap<PathBuf, String>) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// A path as written, from the folder of the configuration.
    pub(crate) fn path(&self, value: &Value<'_>) -> Option<PathBuf> {
        Some(self.base.join(value.text()?))
    }

    /// A file that others will read: here it only must be readable.
    pub(crate) fn readable(&self, value: &Value<'_>) -> Option<PathBuf> {
        let path = self.path(value)?;
        self.open(value, &path)?;
        Some(path)
    }

    /// As [`Files::readable`], of a file that nobody else may read.
    pub(crate) fn readable_secret(&self, value: &Value<'_>) -> Option<PathBuf> {
        let path = self.path(value)?;
        let file = self.open(value, &path)?;
        refuse_if_others_can_read(value, &path, &file)?;
        Some(path)
    }

    /// A program that the gateway runs: nobody but its owner may change it.
    pub(crate) fn program(&self, value: &Value<'_>) -> Option<PathBuf> {
        let path = self.path(value)?;
        let file = self.open(value, &path)?;
        let mode = match file.metadata() {
            Ok(about) => about.permissions().mode() & 0o777,
            Err(error) => {
                return value
                    .wrong(format!("`{}` cannot be read: {error}", path.display()), "see whether its disk is well");
            }
        };
        if mode & 0o111 == 0 {
            return value.wrong(
                format!("`{}` is not a program (mode {mode:03o})", path.display()),
                format!("`chmod 755 {}`", path.display()),
            );
        }
        if mode & 0o022 != 0 {
            return value.wrong(
                format!("`{}` may be changed by other users of this machine (mode {mode:03o})", path.display()),
                format!("`chmod 755 {}`, and let it belong to root", path.display()),
            );
        }
        Some(path)
    }

    /// The secret in a file, without the line break at its end.
    pub(crate) fn secret(&self, value: &Value<'_>) -> Option<Secret> {
        let path = self.path(value)?;
        let file = self.open(value, &path)?;
        refuse_if_others_can_read(value, &path, &file)?;
        let text = Secret::new(text_of(value, &path, file, SECRET_BYTES_MAX)?);
        let secret = text.expose().trim_end_matches(['\r', '\n']);
        if secret.is_empty() || secret.contains(['\r', '\n', '\0']) {
            return value.wrong(
                format!("`{}` does not hold one line of text", path.display()),
                "write the secret into it, and nothing else",
            );
        }
        Some(Secret::new(secret.to_owned()))
    }

    /// The secret in a file that has several lines, such as a private key.
    pub(crate) fn secret_lines(&self, value: &Value<'_>) -> Option<Secret> {
        let path = self.path(value)?;
        let file = self.open(value, &path)?;
        refuse_if_others_can_read(value, &path, &file)?;
        Some(Secret::new(text_of(value, &path, file, SECRET_BYTES_MAX)?))
    }

    /// The text of a file that belongs to this machine, and the path it was read from: it is no part of the version, which
    /// is the same on every machine.
    pub(crate) fn of_machine(&self, value: &Value<'_>) -> Option<(PathBuf, String)> {
        let path = self.path(value)?;
        let file = self.open(value, &path)?;
        let text = text_of(value, &path, file, TEXT_BYTES_MAX)?;
        Some((path, text))
    }

    /// The text of a file, and the path it was read from.
    pub(crate) fn text(&self, value: &Value<'_>) -> Option<(PathBuf, String)> {
        let path = self.path(value)?;
        let text = match self.kept.and_then(|kept| kept.get(&path)) {
            Some(text) => {
                self.named.borrow_mut().push(path.clone());
                text.clone()
            }
            None => {
                let file = self.open(value, &path)?;
                text_of(value, &path, file, TEXT_BYTES_MAX)?
            }
        };
        self.texts.borrow_mut().push(SourceText { path: path.clone(), text: text.clone() });
        Some((path, text))
    }

    /// Every file named and every text read, in the order they were asked for, each once.
    pub(crate) fn into_named(self) -> (Vec<PathBuf>, Vec<SourceText>) {
        let mut named = self.named.into_inner();
        let mut seen = BTreeSet::new();
        named.retain(|path| seen.insert(path.clone()));
        let mut texts = self.texts.into_inner();
        seen.clear();
        texts.retain(|text| seen.insert(text.path.clone()));
        (named, texts)
    }

    fn open(&self, value: &Value<'_>, path: &Path) -> Option<File> {
        self.named.borrow_mut().push(path.to_owned());
        match open_file(path) {
            Ok(file) => Some(file),
            Err((reason, remedy)) => value.wrong(format!("`{}` {reason}", path.display()), remedy),
        }
    }
}

/// Opens a plain file; else what is wrong with it and what to do.
pub(crate) fn open_file(path: &Path) -> Result<File, (String, &'static str)> {
    // Asked before opening, because opening a pipe waits for its writer.
    let opened =
        std::fs::metadata(path).and_then(|about| if about.is_file() { File::open(path).map(Some) } else { Ok(None) });
    match opened {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(("is not a file".into(), "name a plain file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err((
            "does not exist".into(),
            "create it, or correct the path; relative paths start at the folder of the configuration",
        )),
        Err(error) => Err((format!("cannot be read: {error}"), "let the user the gateway runs as read it")),
    }
}

/// Reads a whole text of at most so many bytes; else what is wrong and what to do.
pub(crate) fn read_text(file: File, bytes_max: u64) -> Result<String, (String, &'static str)> {
    let mut bytes = Vec::new();
    if let Err(error) = file.take(bytes_max + 1).read_to_end(&mut bytes) {
        return Err((format!("cannot be read: {error}"), "see whether its disk is well"));
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err((format!("is larger than {} KiB", bytes_max >> 10), "name the right file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        (format!("is not UTF-8 (line {line})"), "save it as UTF-8")
    })
}

fn text_of(value: &Value<'_>, path: &Path, file: File, bytes_max: u64) -> Option<String> {
    match read_text(file, bytes_max) {
        Ok(text) => Some(text),
        Err((reason, remedy)) => value.wrong(format!("`{}` {reason}", path.display()), remedy),
    }
}

/// Secrets belong to one user. Asked of the open file, so that what was checked is what is read.
fn refuse_if_others_can_read(value: &Value<'_>, path: &Path, file: &File) -> Option<()> {
    let mode = match file.metadata() {
        Ok(about) => about.permissions().mode() & 0o777,
        Err(error) => {
            return value
                .wrong(format!("`{}` cannot be read: {error}", path.display()), "see whether its disk is well");
        }
    };
    if !is_open_to_others(path, mode) {
        return Some(());
    }
    value.wrong(
        format!("`{}` is open to other users of this machine (mode {mode:03o})", path.display()),
        format!("`chmod 600 {0}`, and `chown` it to the user the gateway runs as", path.display()),
    )
}
