//! What the EMR holds: FHIR resources by type and id, and the notes of each chart. One truth for HTML and FHIR.

use std::collections::BTreeMap;

use policy::{Timestamp, UtcOffset};
use serde_json::{Value, json};

use super::super::patients;
use super::observation;

/// Resources held at once; more are refused.
const RESOURCES_MAX: usize = 10_000;
/// Notes in one chart; more are refused.
const NOTES_MAX: usize = 200;

/// The two resource types the EMR knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Patient,
    Observation,
}

impl Kind {
    /// Reads the type's name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Patient, Self::Observation].into_iter().find(|kind| kind.as_str() == text)
    }

    /// The type's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Observation => "Observation",
        }
    }
}

/// Why a record was not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum RecordProblem {
    #[error("the demo EMR is full; restart the demo")]
    Full,
    #[error("there is no such patient")]
    NoPatient,
}

/// One note in a chart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub(super) at: Timestamp,
    pub(super) author: String,
    pub(super) text: String,
}

struct Stored {
    version: u64,
    at: Timestamp,
    body: Value,
}

/// Everything the EMR holds.
#[derive(Default)]
pub(super) struct Records {
    resources: BTreeMap<(Kind, String), Stored>,
    notes: BTreeMap<String, Vec<Note>>,
    next_id: u64,
}

impl Records {
    /// The fifty patients with their observations, and a note on the first.
    pub(super) fn seeded(at: Timestamp) -> Self {
        let mut records = Self::default();
        for patient in patients::all() {
            let observations =
                observation::observations(&patient, at).into_iter().map(|body| (Kind::Observation, body));
            for (kind, body) in observations.chain([(Kind::Patient, observation::patient(&patient))]) {
                let id = text(&body, "/id").to_owned();
                records.resources.insert((kind, id), Stored { version: 1, at, body });
            }
        }
        let note = Note {
            at,
            author: "診察 太郎".to_owned(),
            text: "架空の記録です。食事は全量摂取。夜間よく眠れている。\nInvented note: ate everything, slept well."
                .to_owned(),
        };
        records.notes.insert("00012345".to_owned(), vec![note]);
        records
    }

    /// A resource with its `meta`.
    pub(super) fn read(&self, kind: Kind, id: &str) -> Option<Value> {
        self.resources.get(&(kind, id.to_owned())).map(Stored::with_meta)
    }

    /// All resources of a type with their `meta`, by id.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = Value> {
        self.resources.iter().filter(move |((one, _), _)| *one == kind).map(|(_, stored)| stored.with_meta())
    }

    /// Keeps a new resource under an id of its own, and hands it back.
    pub(super) fn create(&mut self, kind: Kind, body: Value, at: Timestamp) -> Result<Value, RecordProblem> {
        self.next_id += 1;
        let id = format!("new-{}", self.next_id);
        self.replace(kind, &id, body, at)
    }

    /// Keeps a resource under this id, in place of what was there, and hands it back.
    pub(super) fn replace(
        &mut self,
        kind: Kind,
        id: &str,
        mut body: Value,
        at: Timestamp,
    ) -> Result<Value, RecordProblem> {
        let key = (kind, id.to_owned());
        let version = self.resources.get(&key).map_or(1, |stored| stored.version + 1);
        if version == 1 && self.resources.len() >= RESOURCES_MAX {
            return Err(RecordProblem::Full);
        }
        if let Some(fields) = body.as_object_mut() {
            fields.insert("id".to_owned(), Value::from(id));
        }
        let stored = Stored { version, at, body };
        let kept = stored.with_meta();
        self.resources.insert(key, stored);
        Ok(kept)
    }

    /// Removes a resource; says whether it was there.
    pub(super) fn remove(&mut self, kind: Kind, id: &str) -> bool {
        self.resources.remove(&(kind, id.to_owned())).is_some()
    }

    /// The notes of a chart, oldest first.
    pub(super) fn notes(&self, patient: &str) -> &[Note] {
        self.notes.get(patient).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds a note to a chart.
    pub(super) fn add_note(&mut self, patient: &str, note: Note) -> Result<(), RecordProblem> {
        if !self.resources.contains_key(&(Kind::Patient, patient.to_owned())) {
            return Err(RecordProblem::NoPatient);
        }
        let notes = self.notes.entry(patient.to_owned()).or_default();
        if notes.len() >= NOTES_MAX {
            return Err(RecordProblem::Full);
        }
        notes.push(note);
        Ok(())
    }
}

impl Stored {
    fn with_meta(&self) -> Value {
        let mut body = self.body.clone();
        if let Some(fields) = body.as_object_mut() {
            let updated = self.at.rfc3339(UtcOffset::JAPAN);
            fields.insert("meta".to_owned(), json!({ "versionId": self.version.to_string(), "lastUpdated": updated }));
        }
        body
    }
}

/// The text at a place in a resource; empty where there is none.
pub(super) fn text<'a>(resource: &'a Value, pointer: &str) -> &'a str {
    resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

    #[test]
    fn it_starts_with_fifty_patients_and_four_observations_each() {
        let records = Records::seeded(NOW);
        assert_eq!(records.all(Kind::Patient).count(), 50);
        assert_eq!(records.all(Kind::Observation).count(), 200);
        let first = records.read(Kind::Patient, "00012345").unwrap();
        assert_eq!(text(&first, "/name/0/text"), "見本 太郎");
        assert_eq!(text(&first, "/meta/versionId"), "1");
    }

    #[test]
    fn it_holds_only_so_much() {
        let mut records = Records::default();
        for _ in 0..RESOURCES_MAX {
            records.create(Kind::Patient, json!({}), NOW).unwrap();
        }
        assert_eq!(records.create(Kind::Patient, json!({}), NOW), Err(RecordProblem::Full));
        assert!(records.replace(Kind::Patient, "new-1", json!({}), NOW).is_ok(), "a change needs no room");

        let note = Note { at: NOW, author: String::new(), text: String::new() };
        assert_eq!(records.add_note("none", note.clone()), Err(RecordProblem::NoPatient));
        for _ in 0..NOTES_MAX {
            records.add_note("new-1", note.clone()).unwrap();
        }
        assert_eq!(records.add_note("new-1", note), Err(RecordProblem::Full));
    }

    #[test]
    fn what_is_removed_is_gone() {
        let mut records = Records::seeded(NOW);
        assert!(records.remove(Kind::Observation, "hr-00012345"));
        assert!(!records.remove(Kind::Observation, "hr-00012345"));
        assert_eq!(records.read(Kind::Observation, "hr-00012345"), None);
    }
}
