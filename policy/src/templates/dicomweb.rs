//! DICOM PS3.18 web services: QIDO-RS searches, WADO-RS and WADO-URI read, STOW-RS writes, UPS-RS is work lists. The
//! path names studies, not patients: whose a study is, answers tell. `metadata` is read like the images it describes.

use super::{BuiltInClass, Row};
use crate::{ANSWER_LOOKED_AT, Action, BodyForm, BodySource, Field, PatientSource, Side};

/// How much is looked at of files, whose patient stands before the picture.
const FILE_LOOKED_AT: usize = 64 << 10;

pub(super) fn rows() -> Vec<Row> {
    use BuiltInClass::{Administrative, Images, PatientIdentity, Scheduling};
    let search = Some(Action::Search);
    vec![
        // What is searched is who was examined when; the images are not in it.
        Row::new("GET", "/studies", search, PatientIdentity).naming(searched()),
        Row::new("GET", "/series", search, PatientIdentity).naming(searched()),
        Row::new("GET", "/instances", search, PatientIdentity).naming(searched()),
        Row::new("GET", "/studies/{study}/series", search, PatientIdentity).naming(searched()),
        Row::new("GET", "/studies/{study}/instances", search, PatientIdentity).naming(searched()),
        Row::new("GET", "/studies/{study}/series/{series}/instances", search, PatientIdentity).naming(searched()),
        Row::new("GET POST", "/studies/{study}/archive", Some(Action::Export), Images).naming(images()),
        // A viewer asks for every picture of a study, many a second: they are one record.
        Row::new("GET", "/studies/{study}/series/{series}/instances/**", None, Images).naming(images()).folded(),
        Row::new("", "/studies/{study}/**", None, Images).naming(images()),
        Row::new("", "/studies/**", None, Images).naming(images()),
        Row::new("GET", "/workitems", search, Scheduling).naming(searched()),
        Row::new("", "/workitems/**", None, Scheduling).naming(searched()),
        Row::new("GET", "/wado", None, Images).naming(images()).folded(),
        Row::new("", "/wado", None, Images).naming(images()),
        Row::new("", "/capabilities", None, Administrative),
        Row::new("", "/**", None, Images).naming(images()),
    ]
}

/// Searches name patients by keyword or tag, and their answers list them.
fn searched() -> Vec<PatientSource> {
    let query = |name: &str| PatientSource::Query(Field { name: name.into(), pattern: None });
    let json = |side, bytes_max| PatientSource::Body(BodySource { side, form: BodyForm::DicomJson, bytes_max });
    vec![
        query("PatientID"),
        query("00100020"),
        PatientSource::Study,
        json(Side::Request, crate::REQUEST_LOOKED_AT),
        json(Side::Answer, ANSWER_LOOKED_AT),
    ]
}

/// Images name theirs in `metadata`, in files, and by their study.
fn images() -> Vec<PatientSource> {
    let body = |side, form, bytes_max| PatientSource::Body(BodySource { side, form, bytes_max });
    vec![
        PatientSource::Study,
        body(Side::Request, BodyForm::Dicom, FILE_LOOKED_AT),
        body(Side::Answer, BodyForm::DicomJson, ANSWER_LOOKED_AT),
        body(Side::Answer, BodyForm::Dicom, FILE_LOOKED_AT),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Template;
    use super::super::tests::check;

    #[test]
    fn finding_a_study_is_not_opening_it() {
        check(
            Template::Dicomweb,
            &[
                ("GET /dicom-web/studies", "search patient-identity"),
                ("GET /dicom-web/studies/1.2.3/series", "search patient-identity"),
                ("GET /dicom-web/studies/1.2.3/series/4/instances", "search patient-identity"),
                ("GET /dicom-web/studies/1.2.3", "read images"),
                ("GET /dicom-web/studies/1.2.3/metadata", "read images"),
                ("GET /dicom-web/studies/1.2.3/series/4", "read images"),
                ("GET /dicom-web/studies/1.2.3/series/4/instances/5", "read images"),
                ("GET /dicom-web/studies/1.2.3/series/4/instances/5/frames/1,2", "read images"),
                ("GET /dicom-web/studies/1.2.3/rendered", "read images"),
                ("GET /dicom-web/wado", "read images"),
                ("GET /dicom-web/studies/1.2.3/archive", "export images"),
                ("GET /dicom-web/unheard-of", "read images"),
            ],
        );
    }

    #[test]
    fn only_single_pictures_are_folded() {
        let folded = super::rows().into_iter().filter(|row| row.folds).map(|row| row.pattern).collect::<Vec<_>>();
        assert_eq!(folded, ["/studies/{study}/series/{series}/instances/**", "/wado"]);
    }

    #[test]
    fn storing_writes_and_work_lists_are_schedules() {
        check(
            Template::Dicomweb,
            &[
                ("POST /dicom-web/studies", "write images"),
                ("POST /dicom-web/studies/1.2.3", "write images"),
                ("DELETE /dicom-web/studies/1.2.3", "delete images"),
                ("GET /dicom-web/workitems", "search scheduling"),
                ("PUT /dicom-web/workitems/1/state", "write scheduling"),
            ],
        );
    }
}
