//! Patients in FHIR resources and Bundles: Patient resources themselves, and whatever refers to one. Also what a batch
//! asks for, which stands in it as addresses.
//!
//! A Patient is named by its number where the hospital says which identifier that is, else by its id. A reference counts
//! wherever it stands: to be told of a patient is to be told.

use crate::fhir_search::{self, identifier, patient_of, reference};
use crate::found::Found;
use crate::json::{Events, Kind};

/// The longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// How many identifiers of one object are looked at.
const IDENTIFIERS_MAX: usize = 32;

/// Reads FHIR as it is told.
#[derive(Debug)]
pub(crate) struct Fhir<'f, 'i> {
    found: &'f mut Found<'i>,
    open: Vec<Part>,
    /// The member that comes next.
    key: Key,
}

/// An object or list that is open.
#[derive(Debug, Default)]
struct Part {
    key: Key,
    is_list: bool,
    is_contained: bool,
    resource_type: Option<Box<str>>,
    id: Option<Box<str>>,
    kind: Option<Box<str>>,
    system: Option<Box<str>>,
    value: Option<Box<str>>,
    identifiers: Vec<(Box<str>, Box<str>)>,
}

/// Members that matter.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
enum Key {
    ResourceType,
    Id,
    Type,
    System,
    Value,
    Identifier,
    Reference,
    Contained,
    Request,
    Response,
    Url,
    Location,
    #[default]
    Other,
}

impl<'f, 'i> Fhir<'f, 'i> {
    pub(crate) fn new(found: &'f mut Found<'i>) -> Self {
        Self { found, open: Vec::new(), key: Key::Other }
    }

    /// The member a value belongs to: that of the list it stands in, where it stands in one.
    fn current(&self) -> Key {
        match self.open.last() {
            Some(part) if part.is_list => part.key,
            Some(_) | None => self.key,
        }
    }

    fn parent_is(&self, key: Key) -> bool {
        self.open.last().is_some_and(|part| part.key == key)
    }

    fn closed(&mut self, part: Part) {
        if part.key == Key::Identifier {
            if let (Some(value), Some(owner)) = (part.value, self.open.iter_mut().rev().find(|one| !one.is_list))
                && owner.identifiers.len() < IDENTIFIERS_MAX
            {
                owner.identifiers.push((part.system.unwrap_or_default(), value));
            }
        } else if part.resource_type.as_deref() == Some("Patient") {
            self.patient(&part);
        } else if part.kind.as_deref() == Some("Patient") {
            // A reference that names its patient by number alone.
            part.identifiers.iter().for_each(|(system, value)| identifier(system, value, self.found));
        }
    }

    fn patient(&mut self, part: &Part) {
        let ours = self.found.ids().system.as_deref();
        let mut numbers = part.identifiers.iter().filter(|(system, _)| ours == Some(&**system)).peekable();
        if numbers.peek().is_some() {
            numbers.for_each(|(_, number)| self.found.patient(number));
        } else if let Some(id) = part.id.as_deref().filter(|_| !part.is_contained) {
            self.found.patient(id);
        }
    }
}

impl Events for Fhir<'_, '_> {
    fn begin(&mut self, kind: Kind) {
        let key = self.current();
        let is_contained =
            key == Key::Contained || self.open.last().is_some_and(|part| part.is_list && part.is_contained);
        self.open.push(Part { key, is_list: kind == Kind::List, is_contained, ..Part::default() });
        self.key = Key::Other;
    }

    fn key(&mut self, name: &str) {
        self.key = match name {
            "resourceType" => Key::ResourceType,
            "id" => Key::Id,
            "type" => Key::Type,
            "system" => Key::System,
            "value" => Key::Value,
            "identifier" => Key::Identifier,
            "reference" => Key::Reference,
            "contained" => Key::Contained,
            "request" => Key::Request,
            "response" => Key::Response,
            "url" => Key::Url,
            "location" => Key::Location,
            _ => Key::Other,
        };
    }

    fn text(&mut self, text: &str) {
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        let key = self.current();
        match key {
            Key::Reference => reference(text, self.found),
            Key::Url if self.parent_is(Key::Request) => {
                let (path, query) = text.split_once('?').unwrap_or((text, ""));
                match patient_of(path) {
                    Some(id) => self.found.patient(id),
                    None => fhir_search::parameters(path, query, self.found),
                }
            }
            Key::Location if self.parent_is(Key::Response) => reference(text, self.found),
            Key::ResourceType
            | Key::Id
            | Key::Type
            | Key::System
            | Key::Value
            | Key::Identifier
            | Key::Contained
            | Key::Request
            | Key::Response
            | Key::Url
            | Key::Location
            | Key::Other => {}
        }
        let Some(part) = self.open.last_mut().filter(|part| !part.is_list) else { return };
        let place = match key {
            Key::ResourceType => &mut part.resource_type,
            Key::Id => &mut part.id,
            Key::Type => &mut part.kind,
            Key::System => &mut part.system,
            Key::Value => &mut part.value,
            Key::Identifier
            | Key::Reference
            | Key::Contained
            | Key::Request
            | Key::Response
            | Key::Url
            | Key::Location
            | Key::Other => return,
        };
        *place = Some(text.into());
    }

    fn other(&mut self) {}

    fn end(&mut self) {
        if let Some(part) = self.open.pop().filter(|part| !part.is_list) {
            self.closed(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::PatientIds;

    use super::*;
    use crate::json::{Ending, read};

    fn ids(system: Option<&str>) -> PatientIds {
        PatientIds { system: system.map(Into::into), ..PatientIds::default() }
    }

    fn named_by(system: Option<&str>, document: &str) -> String {
        let ids = ids(system);
        let mut found = Found::new(&ids);
        read(document.as_bytes(), &mut Fhir::new(&mut found));
        found.finish().0.ids.join(" ")
    }

    fn named(document: &str) -> String {
        named_by(None, document)
    }

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p-1","identifier":[
        {"system":"urn:oid:9","value":"x"},{"use":"usual","system":"urn:oid:1.2","value":"00012345"}],
        "link":[{"other":{"reference":"Patient/p-2"}}],"name":[{"id":"n","text":"試験"}]}"#;

    #[test]
    fn a_patient_is_named_by_the_hospitals_number_where_that_is_known() {
        assert_eq!(named(PATIENT), "p-2 p-1");
        assert_eq!(named_by(Some("urn:oid:1.2"), PATIENT), "p-2 00012345");
        assert_eq!(named_by(Some("urn:oid:7"), PATIENT), "p-2 p-1");
    }

    #[test]
    fn the_type_may_stand_after_the_id() {
        assert_eq!(named(r#"{"id":"1","resourceType":"Patient"}"#), "1");
        assert_eq!(named(r#"{"id":"1","resourceType":"Practitioner"}"#), "");
    }

    #[test]
    fn a_resource_names_those_it_refers_to() {
        let observation = r#"{"resourceType":"Observation","id":"9","subject":{"reference":"https://emr/fhir/Patient/1"},
            "performer":[{"reference":"Practitioner/7"}],"focus":[{"reference":"Patient/2"}]}"#;
        assert_eq!(named(observation), "1 2");
        let by_number = r#"{"resourceType":"Coverage","beneficiary":{"type":"Patient",
            "identifier":{"system":"urn:oid:1.2","value":"3"}},"payor":[{"type":"Organization","identifier":{"value":"4"}}]}"#;
        assert_eq!(named_by(Some("urn:oid:1.2"), by_number), "3");
    }

    #[test]
    fn a_bundle_names_everyone_in_it() {
        let bundle = r##"{"resourceType":"Bundle","id":"b","entry":[
            {"fullUrl":"https://emr/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1"}},
            {"resource":{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/2"},
              "contained":[{"resourceType":"Patient","id":"local"}],"asserter":{"reference":"#local"}}}]}"##;
        assert_eq!(named(bundle), "1 2");
    }

    #[test]
    fn a_batch_names_those_it_asks_for_and_its_answer_those_it_made() {
        let batch = r#"{"resourceType":"Bundle","type":"batch","entry":[
            {"request":{"method":"GET","url":"Patient/1/$everything"}},
            {"request":{"method":"GET","url":"/Observation?patient=2&code=x"}},
            {"request":{"method":"GET","url":"Patient?_id=3"}},
            {"request":{"method":"POST","url":"Patient"},"resource":{"resourceType":"Patient"}}]}"#;
        assert_eq!(named(batch), "1 2 3");
        let answer = r#"{"resourceType":"Bundle","link":[{"relation":"self","url":"Patient/9"}],
            "entry":[{"response":{"status":"201","location":"Patient/4/_history/1"}}]}"#;
        assert_eq!(named(answer), "4");
    }

    #[test]
    fn xml_and_lines_of_json_say_the_same() {
        let xml = r#"<?xml version="1.0"?><Bundle xmlns="http://hl7.org/fhir"><entry><resource><Patient><id value="1"/>
            <identifier><system value="urn:oid:1.2"/><value value="00000001"/></identifier></Patient></resource></entry>
            <entry><resource><Observation><id value="o"/><subject><reference value="Patient/2"/></subject></Observation>
            </resource></entry></Bundle>"#;
        let ids = ids(Some("urn:oid:1.2"));
        let mut found = Found::new(&ids);
        assert_eq!(crate::xml::fhir(xml.as_bytes(), &mut Fhir::new(&mut found)), Ending::Whole);
        assert_eq!(found.finish().0.ids.join(" "), "00000001 2");
        let lines = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n";
        assert_eq!(named(lines), "1 2");
    }

    #[test]
    fn what_was_named_before_the_answer_was_cut_counts() {
        let bundle =
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"1"}},{"resource":{"res"#;
        assert_eq!(named(bundle), "1");
    }
}
