//! Patients and studies in DICOM JSON (PS3.18 annex F): the answers of QIDO-RS and of `metadata`. Each data set tells
//! whose its study is. What stands in sequences is about others and is passed over.

use crate::found::Found;
use crate::json::{Events, Kind};

const PATIENT_ID: &str = "00100020";
const STUDY: &str = "0020000D";

/// Reads DICOM JSON as it is told.
#[derive(Debug)]
pub(crate) struct DicomJson<'f, 'i> {
    found: &'f mut Found<'i>,
    /// What is open; the reader bounds how much.
    open: Vec<Kind>,
    /// How many of them are objects: a data set, an attribute of it, and whatever is deeper.
    objects: usize,
    tag: Tag,
    is_value: bool,
    patient: Option<Box<str>>,
    study: Option<Box<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tag {
    Patient,
    Study,
    Other,
}

impl<'f, 'i> DicomJson<'f, 'i> {
    pub(crate) fn new(found: &'f mut Found<'i>) -> Self {
        Self { found, open: Vec::new(), objects: 0, tag: Tag::Other, is_value: false, patient: None, study: None }
    }

    /// The data set ends: it told whose the study is.
    fn data_set(&mut self) {
        match (self.patient.take(), self.study.take()) {
            (Some(patient), Some(study)) => {
                self.found.patient_of(&study, &patient);
                self.found.study(&study);
            }
            (Some(patient), None) => self.found.patient(&patient),
            (None, Some(study)) => self.found.study(&study),
            (None, None) => {}
        }
    }
}

impl Events for DicomJson<'_, '_> {
    fn begin(&mut self, kind: Kind) {
        self.open.push(kind);
        self.objects += usize::from(kind == Kind::Object);
    }

    fn key(&mut self, name: &str) {
        match self.objects {
            1 => {
                self.is_value = false;
                self.tag = match name {
                    PATIENT_ID => Tag::Patient,
                    STUDY => Tag::Study,
                    _ => Tag::Other,
                };
            }
            2 => self.is_value = name == "Value",
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.objects != 2 || !self.is_value {
            return;
        }
        let place = match self.tag {
            Tag::Patient => &mut self.patient,
            Tag::Study => &mut self.study,
            Tag::Other => return,
        };
        place.get_or_insert_with(|| text.into());
    }

    fn other(&mut self) {}

    fn end(&mut self) {
        if self.open.pop() == Some(Kind::Object) {
            self.objects = self.objects.saturating_sub(1);
            if self.objects == 0 {
                self.data_set();
            }
        }
    }
}

impl Drop for DicomJson<'_, '_> {
    /// An answer that was cut told of a patient all the same.
    fn drop(&mut self) {
        self.data_set();
    }
}

#[cfg(test)]
mod tests {
    use policy::PatientIds;

    use super::*;
    use crate::json::{Ending, read};

    fn told(document: &str) -> (String, String, Ending) {
        let ids = PatientIds { pad: 8, ..PatientIds::default() };
        let mut found = Found::new(&ids);
        let ending = read(document.as_bytes(), &mut DicomJson::new(&mut found));
        let (patients, told) = found.finish();
        let told: Vec<_> = told.iter().map(|one| format!("{}={}", one.study, one.patient)).collect();
        (patients.ids.join(" "), told.join(" "), ending)
    }

    #[test]
    fn each_data_set_tells_whose_its_study_is() {
        let answer = r#"[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"SHIKEN^KANJA"}]},
            "00100020":{"vr":"LO","Value":["12345"]},"0020000D":{"vr":"UI","Value":["1.2.3"]},
            "00101002":{"vr":"SQ","Value":[{"00100020":{"vr":"LO","Value":["99999"]}}]}},
            {"0020000D":{"vr":"UI","Value":["1.2.4"]},"00100020":{"Value":["7"]}},{"00100020":{"vr":"LO"}}]"#;
        assert_eq!(told(answer), ("00012345 00000007".into(), "1.2.3=00012345 1.2.4=00000007".into(), Ending::Whole));
    }

    #[test]
    fn a_work_item_is_one_data_set() {
        let item = r#"{"00100020":{"vr":"LO","Value":["5"]}}"#;
        assert_eq!(told(item), ("00000005".into(), String::new(), Ending::Whole));
    }

    #[test]
    fn an_answer_that_is_cut_told_of_whom_it_began() {
        let answer = r#"[{"00100020":{"vr":"LO","Value":["5"]},"00200"#;
        assert_eq!(told(answer), ("00000005".into(), String::new(), Ending::BrokenOff));
    }
}
