//! Writing base64 in lines, and PEM (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const LINE_CHARACTERS: usize = 64;

/// A certificate as PEM.
pub(crate) fn certificate(der: &[u8]) -> String {
    block("CERTIFICATE", der)
}

/// Bytes as PEM under a label.
pub(crate) fn block(label: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines(bytes, "\n"))
}

/// Bytes as base64, each line with this end.
pub(crate) fn lines(bytes: &[u8], end: &str) -> String {
    let text = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + (text.len() / LINE_CHARACTERS + 1) * end.len());
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % LINE_CHARACTERS == 0 {
            lines.push_str(end);
        }
        lines.push(character);
    }
    lines.push_str(end);
    lines
}
