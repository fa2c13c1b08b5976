//! PEM files: reading what others wrote, and writing keys that nobody else may read.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::CertProblem;

/// The largest file that is read; a chain has a few KiB, a CA bundle some hundred.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads a file, which may hold a key.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, CertProblem> {
    let failed = |error| unreadable(file, &error);
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = File::open(file).map_err(failed)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(CertProblem::at(file, "is larger than any certificate file", "check that it is the right file"));
    }
    Ok(bytes)
}

/// Reads every certificate of a file; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertProblem> {
    certificates_in(file, &read(file)?)
}

pub(crate) fn certificates_in(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertProblem> {
    let found = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CertProblem::at(file, format!("is not readable as PEM: {error}"), "write it again as PEM"))?;
    if found.is_empty() {
        return Err(CertProblem::at(
            file,
            "holds no certificate",
            "give a PEM file with `BEGIN CERTIFICATE`; convert DER with `openssl x509 -inform der`",
        ));
    }
    Ok(found)
}

/// Reads the private key of a file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertProblem> {
    private_key_in(file, &read(file)?)
}

pub(crate) fn private_key_in(file: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, CertProblem> {
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    if holds(b"ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED") {
        return Err(CertProblem::at(
            file,
            "holds a key that is locked with a passphrase",
            "write it without one, such as with `openssl pkey`, and let only the gateway read it",
        ));
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            return CertProblem::at(file, "holds no private key", "give a PEM file with `BEGIN PRIVATE KEY`");
        }
        CertProblem::at(file, format!("is not readable as PEM: {error}"), "write it again as PEM")
    })
}

/// Whether others than whom it is for may read a file; a file that cannot be looked at is somebody else's question.
pub(crate) fn is_open_to_others(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| config::is_open_to_others(file, found.permissions().mode()))
}

/// Makes a folder (and those above it) that only its owner may enter, and that is there after a power cut.
pub(crate) fn private_folder(folder: &Path) -> Result<(), CertProblem> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| sync_entry(folder));
    made.map_err(|error| CertProblem::at(folder, format!("cannot be made: {error}"), "check the folder above it"))
}

/// Writes the entry of a file or folder in the folder above to the disk.
fn sync_entry(path: &Path) -> Result<(), std::io::Error> {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => File::open(above)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Writes a file that only its owner may read: whole and on the disk, or not at all. What stands there already stays,
/// and the answer is false.
pub(crate) fn write_private_once(file: &Path, bytes: &[u8]) -> Result<bool, CertProblem> {
    let failed = |error| unwritable(file, &error);
    let draft = draft_beside(file)?;
    write_draft(&draft, bytes).map_err(failed)?;
    let placed = match fs::hard_link(&draft, file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    };
    fs::remove_file(&draft).map_err(failed)?;
    sync_entry(file).map_err(failed)?;
    placed.map_err(failed)
}

/// Writes or replaces a file that only its owner may read.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> Result<(), CertProblem> {
    let draft = draft_beside(file)?;
    write_draft(&draft, bytes)
        .and_then(|()| fs::rename(&draft, file))
        .and_then(|()| sync_entry(file))
        .map_err(|error| unwritable(file, &error))
}

fn write_draft(draft: &Path, bytes: &[u8]) -> Result<(), std::io::Error> {
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    written.write_all(bytes)?;
    written.sync_all()
}

fn draft_beside(file: &Path) -> Result<std::path::PathBuf, CertProblem> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| CertProblem::at(file, "cannot be written: no random numbers", "look at the system's log"))?;
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{:016x}", u64::from_be_bytes(random)));
    Ok(file.with_file_name(name))
}

fn unreadable(file: &Path, error: &std::io::Error) -> CertProblem {
    let remedy = if error.kind() == ErrorKind::PermissionDenied {
        "let the gateway's user read it"
    } else {
        "check the path, and that the file is there"
    };
    CertProblem::at(file, format!("cannot be read: {error}"), remedy)
}

fn unwritable(file: &Path, error: &std::io::Error) -> CertProblem {
    CertProblem::at(
        file,
        format!("cannot be written: {error}"),
        "check that the folder is writable and the disk not full",
    )
}
