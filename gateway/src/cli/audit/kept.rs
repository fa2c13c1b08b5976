//! `sekimori audit verify --checkpoint`: the log against checkpoints of it that were kept elsewhere.

use std::path::PathBuf;

use audit::{LogKey, Reader};

use super::export::read_checkpoint;
use crate::cli::out;
use crate::failure::Failure;

/// Holds the log against each; says what is missing.
pub fn hold(log: &Reader, key: Option<&str>, files: &[PathBuf]) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let beside = || std::fs::read_to_string(log.directory().join("verifier-key")).ok();
    let key = key.map(str::to_owned).or_else(beside).and_then(|text| LogKey::parse(&text));
    let key = key.ok_or_else(|| Failure::input("the log's verifier key cannot be read; give it with `--key`"))?;
    let mut missing = 0;
    for file in files {
        let standing = audit::stands(log, &key, &read_checkpoint(file)?);
        let standing = standing.map_err(|problem| Failure::unavailable(problem.to_string()))?;
        out::say(&format!("{}: {standing}", file.display()));
        missing += usize::from(!standing.is_good());
    }
    if missing == 0 {
        return Ok(());
    }
    Err(Failure::no(format!("the log does not hold what {missing} of {} kept checkpoints signed", files.len())))
}
