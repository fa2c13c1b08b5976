//! Reading what a form of the console posts. What our own forms could not have sent is refused, not repaired.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use policy::Timestamp;
use url::form_urlencoded;

use super::multipart::{self, Piece};
use crate::{Fault, PageRequest};

/// The most fields of a form.
const FIELDS_MAX: usize = 1_200;
/// The longest name of a file, in characters.
const FILE_NAME_CHARS_MAX: usize = 100;

/// A posted form.
pub(crate) struct Posted {
    fields: Vec<(String, String)>,
    /// Fields whose bytes are not UTF-8: files in another encoding.
    pub(crate) unreadable: Vec<String>,
}

/// A file that was sent, as it is: nothing here looks into it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PostedFile {
    /// What it is called: one plain line without a folder.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Posted {
    /// Reads the body of a request.
    pub(crate) fn read(request: &PageRequest) -> Result<Self, Fault> {
        let mut posted = Self { fields: Vec::new(), unreadable: Vec::new() };
        if content_type(request).starts_with("multipart/form-data") {
            for Piece { name, bytes, .. } in pieces(request)? {
                // Spreadsheets write a byte order mark.
                match std::str::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)) {
                    Ok(text) => posted.fields.push((name, text.to_owned())),
                    Err(_) => posted.unreadable.push(name),
                }
            }
        } else {
            let read = form_urlencoded::parse(&request.body).take(FIELDS_MAX + 1);
            posted.fields = read.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        }
        if posted.fields.len() > FIELDS_MAX { Err(Fault::BadRequest) } else { Ok(posted) }
    }

    /// The file of a field, if one was chosen, whatever is in it.
    pub(crate) fn file(request: &PageRequest, field: &str) -> Result<Option<PostedFile>, Fault> {
        let found = pieces(request)?.into_iter().find(|piece| piece.name == field);
        let named = found.and_then(|Piece { file_name, bytes, .. }| Some((file_name?, bytes)));
        Ok(named.map(|(name, bytes)| PostedFile { name: plain_name(&name), bytes: bytes.to_vec() }))
    }

    /// The first value of a field, as sent; empty if there is none.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str())
    }

    /// Every value of a field.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A line of text without what is around it, at most so many characters.
    pub(crate) fn line(&self, name: &str, chars_max: usize) -> Result<String, Fault> {
        let line = self.raw(name).trim();
        let is_plain = line.chars().count() <= chars_max && !line.chars().any(char::is_control);
        if is_plain { Ok(line.to_owned()) } else { Err(Fault::BadRequest) }
    }
}

fn pieces(request: &PageRequest) -> Result<Vec<Piece<'_>>, Fault> {
    multipart::pieces(content_type(request), &request.body).ok_or(Fault::BadRequest)
}

fn content_type(request: &PageRequest) -> &str {
    request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

/// The last part of what a file is called, without what could mislead who reads it: control characters, marks that turn
/// the direction of writing.
fn plain_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = last.chars().filter(is_plain).take(FILE_NAME_CHARS_MAX).collect();
    let name = name.trim().trim_start_matches('.');
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

/// The moment so long before another.
pub(crate) fn ago(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_called_misleads_nobody() {
        for (given, expected) in [
            ("作業計画.pdf", "作業計画.pdf"),
            ("C:\\plans\\plan.pdf", "plan.pdf"),
            ("../../etc/passwd", "passwd"),
            ("plan\u{202e}fdp.exe", "planfdp.exe"),
            ("a\r\nb", "ab"),
            (".bashrc", "bashrc"),
            ("..", "file"),
            ("", "file"),
        ] {
            assert_eq!(plain_name(given), expected);
        }
        assert_eq!(plain_name(&"あ".repeat(300)).chars().count(), FILE_NAME_CHARS_MAX);
    }
}
