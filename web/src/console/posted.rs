//! Reading what a form of the console posts. What our own forms could not have sent is refused, not repaired.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use policy::Timestamp;
use url::form_urlencoded;

use super::desk::Refused;
use super::multipart;
use crate::{Fault, PageRequest};

/// The most fields of a form.
const FIELDS_MAX: usize = 1_200;

/// A posted form.
pub(crate) struct Posted {
    fields: Vec<(String, String)>,
    /// Fields whose bytes are not UTF-8: files in another encoding.
    pub(crate) unreadable: Vec<String>,
}

impl Posted {
    /// Reads the body of a request.
    pub(crate) fn read(request: &PageRequest) -> Result<Self, Refused> {
        let kind = request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let mut posted = Self { fields: Vec::new(), unreadable: Vec::new() };
        if kind.starts_with("multipart/form-data") {
            for (name, bytes) in multipart::pieces(kind, &request.body).ok_or(Fault::BadRequest)? {
                match std::str::from_utf8(bytes) {
                    Ok(text) => posted.fields.push((name, text.to_owned())),
                    Err(_) => posted.unreadable.push(name),
                }
            }
        } else {
            let read = form_urlencoded::parse(&request.body).take(FIELDS_MAX + 1);
            posted.fields = read.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        }
        if posted.fields.len() > FIELDS_MAX { Err(Fault::BadRequest.into()) } else { Ok(posted) }
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
    pub(crate) fn line(&self, name: &str, chars_max: usize) -> Result<String, Refused> {
        let line = self.raw(name).trim();
        let is_plain = line.chars().count() <= chars_max && !line.chars().any(char::is_control);
        if is_plain { Ok(line.to_owned()) } else { Err(Fault::BadRequest.into()) }
    }
}

/// The moment so long before another.
pub(crate) fn ago(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))
}
