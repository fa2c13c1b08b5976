//! Reading XML: elements, attributes and text, as a stream. No document type and no entity but the five of XML itself
//! and characters by number: whoever sends others is not read. Bytes are taken in any encoding that has ASCII as it
//! is; ids are ASCII.

use policy::Pointer;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::found::Found;
use crate::json::{BYTE_ORDER_MARK, Ending, Events, Kind};
use crate::paths::Paths;

/// How deep elements may stand in each other.
const DEPTH_MAX: usize = 128;
/// The longest text that is kept of one element, in bytes: ids are shorter.
const TEXT_BYTES_MAX: usize = 256;

/// What happens in a document.
trait Elements {
    /// An element begins.
    fn open(&mut self, name: &str, attributes: &[(String, String)]);
    /// Text of the innermost element; long text is left out.
    fn text(&mut self, text: &str);
    /// The innermost element ends.
    fn close(&mut self);
}

/// Takes ids out of a document at pointers.
pub(crate) fn at_pointers(bytes: &[u8], pointers: Vec<&Pointer>, found: &mut Found<'_>) -> Ending {
    read(bytes, &mut AtPointers { paths: Paths::new(pointers), found, open: Vec::new() })
}

/// Tells a FHIR document (R4 section 2.6.1) as its JSON would be told.
pub(crate) fn fhir(bytes: &[u8], events: &mut impl Events) -> Ending {
    read(bytes, &mut AsJson { events, depth: 0, plain: Vec::new() })
}

fn read(bytes: &[u8], elements: &mut impl Elements) -> Ending {
    // Bytes of other encodings become marks; what is ASCII stays.
    let text = String::from_utf8_lossy(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes));
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0_usize;
    let mut has_root = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                depth += 1;
                has_root = true;
                let Some((name, attributes)) = (depth <= DEPTH_MAX).then(|| opened(&start)).flatten() else {
                    return Ending::Unreadable;
                };
                elements.open(&name, &attributes);
            }
            Ok(Event::End(_)) => {
                depth = depth.saturating_sub(1);
                elements.close();
            }
            Ok(Event::Text(text)) => elements.text(&text),
            Ok(Event::CData(text)) => elements.text(&text),
            Ok(Event::GeneralRef(reference)) => match character(&reference) {
                Some(c) => elements.text(c.encode_utf8(&mut [0; 4])),
                None => return Ending::Unreadable,
            },
            Ok(Event::DocType(_)) => return Ending::Unreadable,
            Ok(Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => {}
            Ok(Event::Eof) if depth > 0 => return Ending::BrokenOff,
            Ok(Event::Eof) => return if has_root { Ending::Whole } else { Ending::Unreadable },
            Err(quick_xml::Error::Syntax(_)) => return Ending::BrokenOff,
            Err(_) => return Ending::Unreadable,
        }
    }
}

/// Name and attributes of an element, names without their prefix.
fn opened(start: &BytesStart<'_>) -> Option<(String, Vec<(String, String)>)> {
    let name = start.local_name().as_ref().to_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let key = attribute.key.local_name().as_ref().to_owned();
        let raw = attribute.value.into_owned();
        if raw.len() <= TEXT_BYTES_MAX {
            attributes.push((key, quick_xml::escape::unescape(&raw).ok()?.into_owned()));
        }
    }
    Some((name, attributes))
}

/// What `&lt;` or `&#12;` stands for.
fn character(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c);
    }
    match &**reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

struct AtPointers<'p, 'f, 'i> {
    paths: Paths<'p>,
    found: &'f mut Found<'i>,
    /// For each open element its text so far, where a pointer ends at it.
    open: Vec<Option<String>>,
}

impl Elements for AtPointers<'_, '_, '_> {
    fn open(&mut self, name: &str, attributes: &[(String, String)]) {
        let arrives = self.paths.enter(name);
        self.open.push(arrives.then(String::new));
        for (key, value) in attributes {
            if self.paths.would_arrive(&format!("@{key}")) {
                self.found.patient(value);
            }
        }
    }

    fn text(&mut self, text: &str) {
        let Some(slot) = self.open.last_mut() else { return };
        match slot {
            Some(taken) if taken.len() + text.len() <= TEXT_BYTES_MAX => taken.push_str(text),
            // Too long for an id.
            Some(_) => *slot = None,
            None => {}
        }
    }

    fn close(&mut self) {
        self.paths.leave();
        if let Some(Some(text)) = self.open.pop() {
            self.found.patient(&text);
        }
    }
}

/// FHIR's XML: an element with an attribute `value` is a plain value, one with a capital is a resource, and others are
/// objects. That a list has several members is not told: each is told as a member of its own.
struct AsJson<'e, E> {
    events: &'e mut E,
    depth: usize,
    /// For each open element whether it was told as a plain value.
    plain: Vec<bool>,
}

impl<E: Events> Elements for AsJson<'_, E> {
    fn open(&mut self, name: &str, attributes: &[(String, String)]) {
        if self.depth > 0 {
            self.events.key(name);
        }
        self.depth += 1;
        let value = attributes.iter().find(|(key, _)| key == "value");
        let is_resource = name.starts_with(|first: char| first.is_ascii_uppercase());
        self.plain.push(value.is_some());
        match value {
            Some((_, value)) => self.events.text(value),
            None => {
                self.events.begin(Kind::Object);
                if is_resource {
                    self.events.key("resourceType");
                    self.events.text(name);
                }
            }
        }
    }

    fn text(&mut self, _: &str) {}

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.plain.pop() == Some(false) {
            self.events.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::PatientIds;

    use super::*;

    fn found(pointer: &str, document: &[u8]) -> (Vec<String>, Ending) {
        let pointer = Pointer::parse(pointer).unwrap();
        let ids = PatientIds::default();
        let mut found = Found::new(&ids);
        let ending = at_pointers(document, vec![&pointer], &mut found);
        (found.finish().0.ids.iter().map(ToString::to_string).collect(), ending)
    }

    const ORCA: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<data><patientlst2req type="record"><Patient_ID_Information type="array">
<Patient_ID_Information_child type="record"><Patient_ID type="string">13</Patient_ID></Patient_ID_Information_child>
<Patient_ID_Information_child type="record"><x:Patient_ID><![CDATA[1]]>&#52;</x:Patient_ID><Patient_ID/></Patient_ID_Information_child>
</Patient_ID_Information></patientlst2req></data>"#;

    #[test]
    fn ids_are_taken_out_of_elements_and_attributes() {
        assert_eq!(found("/**/Patient_ID", ORCA.as_bytes()), (vec!["13".into(), "14".into()], Ending::Whole));
        assert_eq!(found("/data/Patient_ID", ORCA.as_bytes()).0, [""; 0]);
        assert_eq!(found("/a/b/@id", b"<a><b id='7&amp;'/><b x='8'/></a>"), (vec!["7&".into()], Ending::Whole));
    }

    #[test]
    fn other_encodings_are_read_as_far_as_ids_go() {
        let shift_jis = b"<a><name>\x8c\xa9\x96{</name><id>12</id></a>";
        assert_eq!(found("/a/id", shift_jis), (vec!["12".into()], Ending::Whole));
        let utf_16: Vec<u8> = "<a><id>12</id></a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found("/a/id", &utf_16).0, [""; 0]);
    }

    #[test]
    fn entities_and_document_types_are_not_read() {
        let bomb = b"<!DOCTYPE a [<!ENTITY x \"yyyy\"><!ENTITY z \"&x;&x;&x;\">]><a><id>&z;</id></a>";
        assert_eq!(found("/a/id", bomb), (vec![], Ending::Unreadable));
        assert_eq!(found("/a/id", b"<a><id>1&x;</id></a>"), (vec![], Ending::Unreadable));
        let outside = b"<!DOCTYPE a SYSTEM \"http://127.0.0.1/x.dtd\"><a><id>1</id></a>";
        assert_eq!(found("/a/id", outside), (vec![], Ending::Unreadable));
    }

    #[test]
    fn what_breaks_off_was_told_until_then() {
        assert_eq!(found("/a/id", b"<a><id>1</id><id>2"), (vec!["1".into()], Ending::BrokenOff));
        assert_eq!(found("/a/id", b"<a><id>1</id><id x='"), (vec!["1".into()], Ending::BrokenOff));
        assert_eq!(found("/a/id", b"<a><id>1</b></a>").1, Ending::Unreadable);
        assert_eq!(found("/a/id", b"").1, Ending::Unreadable);
        assert_eq!(found("/a/id", b"{\"a\":1}").1, Ending::Unreadable);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(found("/a/id", "<a>".repeat(300_000).as_bytes()).1, Ending::Unreadable);
    }

    #[test]
    fn a_long_text_is_no_id() {
        let long = format!("<a><id>{}</id></a>", "1".repeat(10_000));
        assert_eq!(found("/a/id", long.as_bytes()), (vec![], Ending::Whole));
    }
}
