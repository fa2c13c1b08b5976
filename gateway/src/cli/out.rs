//! What commands print. A reader that went away (`| head`) is no failure.

use std::io::Write as _;

/// Prints a text and a line end to standard output.
pub fn say(text: &str) {
    // The only thing that can go wrong is a reader that is gone.
    let _written = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a text and a line end to standard error.
pub fn complain(text: &str) {
    let _written = writeln!(std::io::stderr().lock(), "{text}");
}
