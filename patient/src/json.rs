//! Reading JSON as a stream of events, without building anything: what was told before a document broke off counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What some programs begin a text with.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What happens in a document, in the order of its text.
pub(crate) trait Events {
    /// An object or a list begins.
    fn begin(&mut self, kind: Kind);
    /// The member that comes next has this name.
    fn key(&mut self, name: &str);
    /// A text, or a whole number.
    fn text(&mut self, text: &str);
    /// Another value that is neither object nor list.
    fn other(&mut self);
    /// The innermost object or list ends.
    fn end(&mut self);
}

/// What begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Object,
    List,
}

/// How reading ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// At the end of the document.
    Whole,
    /// The document breaks off.
    BrokenOff,
    /// It is not what it should be, or nested deeper than anything true.
    Unreadable,
}

/// Reads one document, or several one after the other (NDJSON).
pub(crate) fn read(bytes: &[u8], events: &mut impl Events) -> Ending {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // Nesting is bounded by the reader itself, at 128.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    // Each turn reads a document, so it comes to an end.
    while reader.end().is_err() {
        if let Err(error) = Value(&mut *events).deserialize(&mut reader) {
            return if error.is_eof() { Ending::BrokenOff } else { Ending::Unreadable };
        }
    }
    Ending::Whole
}

/// A value on its way to the events.
struct Value<'e, E>(&'e mut E);

/// The name of a member, on the same way.
struct Key<'e, E>(&'e mut E);

impl<'de, E: Events> DeserializeSeed<'de> for Value<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, E: Events> Visitor<'de> for Value<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<Err>(self, text: &str) -> Result<(), Err> {
        self.0.text(text);
        Ok(())
    }

    fn visit_u64<Err>(self, number: u64) -> Result<(), Err> {
        self.0.text(&number.to_string());
        Ok(())
    }

    fn visit_i64<Err>(self, number: i64) -> Result<(), Err> {
        self.0.text(&number.to_string());
        Ok(())
    }

    fn visit_f64<Err>(self, _: f64) -> Result<(), Err> {
        self.0.other();
        Ok(())
    }

    fn visit_bool<Err>(self, _: bool) -> Result<(), Err> {
        self.0.other();
        Ok(())
    }

    fn visit_unit<Err>(self) -> Result<(), Err> {
        self.0.other();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.begin(Kind::List);
        while list.next_element_seed(Value(&mut *self.0))?.is_some() {}
        self.0.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.begin(Kind::Object);
        while members.next_key_seed(Key(&mut *self.0))?.is_some() {
            members.next_value_seed(Value(&mut *self.0))?;
        }
        self.0.end();
        Ok(())
    }
}

impl<'de, E: Events> DeserializeSeed<'de> for Key<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<E: Events> Visitor<'_> for Key<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<Err>(self, name: &str) -> Result<(), Err> {
        self.0.key(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Written(String);

    impl Events for Written {
        fn begin(&mut self, kind: Kind) {
            self.0.push(if kind == Kind::Object { '{' } else { '[' });
        }
        fn key(&mut self, name: &str) {
            self.0.push_str(&format!("{name}:"));
        }
        fn text(&mut self, text: &str) {
            self.0.push_str(&format!("{text} "));
        }
        fn other(&mut self) {
            self.0.push_str("- ");
        }
        fn end(&mut self) {
            self.0.push('>');
        }
    }

    fn written(text: &str) -> (String, Ending) {
        let mut events = Written::default();
        let ending = read(text.as_bytes(), &mut events);
        (events.0, ending)
    }

    #[test]
    fn a_document_is_told_as_it_is_read() {
        let (told, ending) = written("\u{feff}{\"a\":[\"x\",1,-2,true,null,1.5],\"\\u0062\":{}}");
        assert_eq!((told.as_str(), ending), ("{a:[x 1 -2 - - - >b:{>>", Ending::Whole));
        assert_eq!(written(" ").1, Ending::Whole);
    }

    #[test]
    fn several_documents_follow_each_other() {
        assert_eq!(written("{\"a\":1}\n{\"b\":2}\n"), ("{a:1 >{b:2 >".to_owned(), Ending::Whole));
        assert_eq!(written("{}x").1, Ending::Unreadable);
    }

    #[test]
    fn what_was_told_before_it_broke_off_was_told() {
        let (told, ending) = written(r#"{"a":["x","y"#);
        assert_eq!((told.as_str(), ending), ("{a:[x ", Ending::BrokenOff));
        assert_eq!(written("{\"a\":}").1, Ending::Unreadable);
        assert_eq!(read(b"{\"a\":\"\xff\"}", &mut Written::default()), Ending::Unreadable);
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        assert_eq!(written(&"[".repeat(1_000_000)).1, Ending::Unreadable);
        assert_eq!(written(&"{\"a\":".repeat(500_000)).1, Ending::Unreadable);
    }
}
