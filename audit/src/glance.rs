//! A glance at a line: what a search index keeps of it, read without copying. An [`Entry`](crate::Entry) is the whole
//! line; the index looks at every line there is, so what it does not keep is not read.

mod quick;

use std::borrow::Cow;
use std::fmt;

use policy::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::entry::{LINE_BYTES_MAX, moment};

/// What is looked at of one line. The fields are those of [`Entry`](crate::Entry), as they were written.
#[derive(PartialEq, Debug, serde::Deserialize)]
pub struct Glance<'a> {
    /// Its number in the log.
    pub seq: u64,
    /// When.
    #[serde(rename = "ts", deserialize_with = "moment")]
    pub at: Timestamp,
    /// What kind of line it is: the word.
    #[serde(rename = "ev", borrow)]
    pub kind: Text<'a>,
    /// The request.
    #[serde(rename = "id", borrow)]
    pub request: Option<Text<'a>>,
    /// What was to be done.
    #[serde(rename = "act", borrow)]
    pub action: Option<Text<'a>>,
    /// The host that was addressed.
    #[serde(borrow)]
    pub host: Option<Text<'a>>,
    /// The path, without the query.
    #[serde(borrow)]
    pub path: Option<Text<'a>>,
    /// The app.
    #[serde(borrow)]
    pub app: Option<Text<'a>>,
    /// The information class.
    #[serde(rename = "cls", borrow)]
    pub class: Option<Text<'a>>,
    /// The person.
    #[serde(rename = "sub", borrow)]
    pub user: Option<Text<'a>>,
    /// The name they sign in with.
    #[serde(borrow)]
    pub login: Option<Text<'a>>,
    /// The name people call them by.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// The department they worked in at the time.
    #[serde(borrow)]
    pub unit: Option<Text<'a>>,
    /// Their roles.
    #[serde(default, rename = "role", borrow)]
    pub roles: Vec<Text<'a>>,
    /// The session.
    #[serde(rename = "sid", borrow)]
    pub session: Option<Text<'a>>,
    /// The device.
    #[serde(rename = "dev", borrow)]
    pub device: Option<Text<'a>>,
    /// Where the device stood at the time.
    #[serde(borrow)]
    pub place: Option<Text<'a>>,
    /// Where it came from, as it was written.
    #[serde(rename = "ip", borrow)]
    pub address: Option<Text<'a>>,
    /// The rule that decided.
    #[serde(borrow)]
    pub rule: Option<Text<'a>>,
    /// The revision of the configuration.
    #[serde(rename = "pol", borrow)]
    pub revision: Option<Text<'a>>,
    /// The reason, a code.
    #[serde(borrow)]
    pub why: Option<Text<'a>>,
    /// The grant it rests on.
    #[serde(rename = "vs", borrow)]
    pub grant: Option<Text<'a>>,
    /// The HTTP status.
    #[serde(rename = "st")]
    pub status: Option<u16>,
    /// How the access ended, a code.
    #[serde(borrow)]
    pub end: Option<Text<'a>>,
    /// The patients it was about.
    #[serde(default, rename = "pt", borrow)]
    pub patients: Vec<Text<'a>>,
    /// The studies it was about.
    #[serde(default, rename = "study", borrow)]
    pub studies: Vec<Text<'a>>,
    /// Who did it, where that is someone else.
    #[serde(borrow)]
    pub actor: Option<Text<'a>>,
    /// Why something was done, in the words of whoever did it.
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
}

impl<'a> Glance<'a> {
    /// Reads a line, with or without its newline; nothing where it is not one of the log's.
    #[must_use]
    pub fn at(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        quick::read(line).or_else(|| serde_json::from_slice(line).ok())
    }
}

/// A text of a line: a piece of the line itself, unless characters in it are written in another way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_pieces_of_the_line_unless_they_were_written_in_another_way() {
        let line = br#"{"v":1,"seq":3,"ts":"2026-11-22T16:23:58Z","ev":"open","login":"n.sato","name":"a\"b","new":{"x":[1]}}"#;
        let glance = Glance::at(line).unwrap();
        assert!(matches!(&glance.login, Some(Text(Cow::Borrowed("n.sato")))));
        assert!(matches!(&glance.name, Some(Text(Cow::Owned(name))) if name == "a\"b"));
        assert_eq!((glance.seq, glance.kind.as_str(), glance.roles.len()), (3, "open", 0));
    }

    #[test]
    fn what_is_no_line_is_not_read() {
        for wrong in ["", "{", "[]", r#"{"seq":1}"#, r#"{"seq":1,"ts":"yesterday","ev":"open"}"#] {
            assert_eq!(Glance::at(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Glance::at(&vec![b' '; LINE_BYTES_MAX + 2]), None);
    }
}
