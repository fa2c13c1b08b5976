//! The only parser of request paths. What it returns is both what policy judges and what is sent
//! upstream, byte for byte; what it cannot read in exactly one way is refused.

use std::fmt;
use std::sync::Arc;

/// The longest path, in bytes, after canonicalisation.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// A canonical absolute path, without query and fragment.
///
/// Canonical means: begins with `/`; no empty, `.` or `..` segment (a single trailing `/` may stand);
/// no backslash, semicolon, control byte or encoded form of `/ \ ; . %` and control bytes; escapes are valid
/// UTF-8 in upper-case hexadecimal and stand only for bytes that need one (RFC 3986 sections 2.3 and 6.2.2). That holds
/// for `$` and its like too, which servers read the same either way: `%24everything` must not lead around a rule about
/// `$everything`. `%2B` alone stays, since some servers read a plain `+` as a space.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Arc<str>);

/// Why a path is refused: two servers could read it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// Does not begin with `/`.
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// `//` in it.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment, plain or encoded.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A byte that may not stand in a path.
    #[error("the path has a byte that may not stand in a path")]
    BadByte,
    /// `%` without two hexadecimal digits after it.
    #[error("the path has a broken percent escape")]
    BrokenEscape,
    /// An escape that hides a separator, a percent sign, a dot, a semicolon or a control byte.
    #[error("the path hides a separator or an escape in an escape")]
    HiddenSeparator,
    /// The escapes do not spell UTF-8.
    #[error("the escapes of the path are not UTF-8")]
    NotUtf8,
}

impl Path {
    /// Reads the path of a request target.
    ///
    /// # Errors
    /// [`PathProblem`]; answer 400 and forward nothing.
    pub fn parse(raw: &str) -> Result<Self, PathProblem> {
        if !raw.starts_with('/') {
            return Err(PathProblem::NotAbsolute);
        }
        if raw.len() > PATH_BYTES_MAX {
            return Err(PathProblem::TooLong);
        }
        let canonical = canonical(raw)?;
        check_segments(&canonical)?;
        Ok(Self(Arc::from(canonical)))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this path is `prefix` or stands below it: `/fhir` covers `/fhir` and `/fhir/x`, not `/fhirx`.
    #[must_use]
    pub fn is_below(&self, prefix: &Self) -> bool {
        let prefix = prefix.as_str().trim_end_matches('/');
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Copies the path, writing escapes in one way only.
fn canonical(raw: &str) -> Result<String, PathProblem> {
    if raw.bytes().all(|b| stands_for_itself(b) || b == b'/') {
        return Ok(raw.to_owned());
    }
    let mut out = String::with_capacity(raw.len());
    let mut escaped = Vec::new();
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            flush_escaped(&mut escaped, &mut out)?;
            if !(stands_for_itself(byte) || byte == b'/') {
                return Err(PathProblem::BadByte);
            }
            out.push(char::from(byte));
            continue;
        }
        let (high, low) = (bytes.next().and_then(hex_value), bytes.next().and_then(hex_value));
        let (Some(high), Some(low)) = (high, low) else { return Err(PathProblem::BrokenEscape) };
        let value = high * 16 + low;
        if matches!(value, b'/' | b'\\' | b'%' | b';' | b'.' | 0x7f) || value < 0x20 {
            return Err(PathProblem::HiddenSeparator);
        }
        escaped.push(value);
    }
    flush_escaped(&mut escaped, &mut out)?;
    Ok(out)
}

/// Writes a run of decoded bytes: as itself where the byte needs no escape, else `%XX`.
fn flush_escaped(escaped: &mut Vec<u8>, out: &mut String) -> Result<(), PathProblem> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if escaped.is_empty() {
        return Ok(());
    }
    std::str::from_utf8(escaped).map_err(|_| PathProblem::NotUtf8)?;
    for byte in escaped.drain(..) {
        if stands_for_itself(byte) && byte != b'+' {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                out.push(HEX.get(usize::from(digit)).copied().map_or('0', char::from));
            }
        }
    }
    Ok(())
}

fn check_segments(path: &str) -> Result<(), PathProblem> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "" if is_last => {}
            "" => return Err(PathProblem::EmptySegment),
            "." | ".." => return Err(PathProblem::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

/// RFC 3986 `unreserved`.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 `pchar` without escapes, and without `;`, which some servers cut a segment at.
fn stands_for_itself(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

fn hex_value(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Paths can carry patient numbers, so a debug print shows only the length.
impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_stay_as_they_are() {
        for path in ["/", "/a", "/a/", "/dicom-web/studies/1.2.840.1/series", "/Patient/$everything", "/a:b@c,d=e"] {
            assert_eq!(Path::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn one_path_has_one_spelling() {
        assert_eq!(Path::parse("/%61dmin/%7Ex").unwrap().as_str(), "/admin/~x");
        assert_eq!(Path::parse("/%e6%82%a3%e8%80%85").unwrap().as_str(), "/%E6%82%A3%E8%80%85");
        assert_eq!(Path::parse("/a%20b").unwrap().as_str(), "/a%20b");
        assert_eq!(Path::parse("/Patient/%24everything").unwrap().as_str(), "/Patient/$everything");
        assert_eq!(Path::parse("/%21%26%27%28%29%2a%2C%3D%3a%40%2b").unwrap().as_str(), "/!&'()*,=:@%2B");
    }

    #[test]
    fn whatever_could_be_read_twice_is_refused() {
        use PathProblem::{BadByte, BrokenEscape, DotSegment, EmptySegment, HiddenSeparator, NotAbsolute, NotUtf8};
        for (raw, problem) in [
            ("", NotAbsolute),
            ("a", NotAbsolute),
            ("*", NotAbsolute),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("//", EmptySegment),
            ("/a/../b", DotSegment),
            ("/a/..", DotSegment),
            ("/./a", DotSegment),
            ("/a/%2e%2e/b", HiddenSeparator),
            ("/a%2Fb", HiddenSeparator),
            ("/a%5cb", HiddenSeparator),
            ("/a%252e", HiddenSeparator),
            ("/a%3bb", HiddenSeparator),
            ("/a%00", HiddenSeparator),
            ("/a%0d%0aX", HiddenSeparator),
            ("/a;b", BadByte),
            ("/a;/../b", BadByte),
            ("/a\\b", BadByte),
            ("/a b", BadByte),
            ("/a?b", BadByte),
            ("/a#b", BadByte),
            ("/患者", BadByte),
            ("/a%", BrokenEscape),
            ("/a%4", BrokenEscape),
            ("/a%zz", BrokenEscape),
            ("/a%+1", BrokenEscape),
            ("/%ff", NotUtf8),
            ("/%e6%82", NotUtf8),
            ("/%c0%af", NotUtf8),
        ] {
            assert_eq!(Path::parse(raw), Err(problem), "{raw:?}");
        }
        assert_eq!(Path::parse(&format!("/{}", "a".repeat(PATH_BYTES_MAX))), Err(PathProblem::TooLong));
    }

    #[test]
    fn prefixes_end_at_a_segment() {
        let prefix = Path::parse("/fhir").unwrap();
        assert!(Path::parse("/fhir/Patient").unwrap().is_below(&prefix));
        assert!(Path::parse("/fhir").unwrap().is_below(&prefix));
        assert!(!Path::parse("/fhirx").unwrap().is_below(&prefix));
        assert!(Path::parse("/x").unwrap().is_below(&Path::parse("/").unwrap()));
    }
}
