//! Judges that know nothing of us: jing holds DICOM audit messages against the standard's schema, and two validators of
//! FHIR R4 hold AuditEvents against theirs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Whether every file is a DICOM audit message; what is said of those that are none.
pub fn dicom(files: &[PathBuf]) -> Result<(), String> {
    judged(Command::new("jing").arg("-c").arg(root().join("evidence/samples/dicom.rnc")).args(files))
}

/// Whether every line of every file is a FHIR AuditEvent; what is said of those that are none.
pub fn fhir(files: &[&Path]) -> Result<(), String> {
    judged(Command::new("node").arg(root().join("tests/fhir/validate.mjs")).args(files))
}

fn judged(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into_owned()) }
}
