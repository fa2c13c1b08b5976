//! Files of people and devices that are imported.

use std::path::Path;

use identity::{CsvProblem, ImportProblem};

use crate::failure::Failure;

/// The largest file that is imported, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads a file that was exported, edited and is imported.
pub fn read_file(file: &Path) -> Result<String, Failure> {
    let in_words = |error: std::io::Error| Failure::input(format!("{}: {error}", file.display()));
    let bytes = std::fs::metadata(file).map_err(in_words)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Failure::input(format!(
            "{}: {bytes} bytes are more than a list of this kind holds ({FILE_BYTES_MAX})",
            file.display()
        )));
    }
    let text = std::fs::read(file).map_err(in_words)?;
    String::from_utf8(text).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::input(format!("{}: byte {at} is not UTF-8; save the file as \"CSV UTF-8\"", file.display()))
    })
}

/// What is wrong with a file that is imported, each with its line and column.
pub fn import_failure(problem: ImportProblem, file: &Path) -> Failure {
    match problem {
        ImportProblem::Lines(lines) => {
            let place = |one: &CsvProblem| format!("{}:{}:{}", file.display(), one.line, one.column);
            let said = |one: &CsvProblem| {
                let fault = &one.fault;
                format!("{}: {}: {}\n    {}", place(one), fault.code(), fault.en(), fault.ja())
            };
            let lines = lines.iter().map(said);
            Failure::input(format!(
                "{}\nnothing was imported / 何も取り込んでいません",
                lines.collect::<Vec<_>>().join("\n")
            ))
        }
        ImportProblem::People(problem) => crate::cli::user::failure(problem),
    }
}
