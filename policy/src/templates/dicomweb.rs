//! DICOM PS3.18 web services: QIDO-RS searches, WADO-RS and WADO-URI read, STOW-RS writes, UPS-RS is work lists. The
//! path names studies, not patients. `metadata` is read like the images it describes.

use super::{BuiltInClass, Row};
use crate::Action;

pub(super) fn rows() -> Vec<Row> {
    use BuiltInClass::{Administrative, Images, PatientIdentity, Scheduling};
    let search = Some(Action::Search);
    vec![
        // What is searched is who was examined when; the images are not in it.
        Row::new("GET", "/studies", search, PatientIdentity),
        Row::new("GET", "/series", search, PatientIdentity),
        Row::new("GET", "/instances", search, PatientIdentity),
        Row::new("GET", "/studies/{study}/series", search, PatientIdentity),
        Row::new("GET", "/studies/{study}/instances", search, PatientIdentity),
        Row::new("GET", "/studies/{study}/series/{series}/instances", search, PatientIdentity),
        Row::new("GET POST", "/studies/{study}/archive", Some(Action::Export), Images),
        Row::new("", "/studies/**", None, Images),
        Row::new("GET", "/workitems", search, Scheduling),
        Row::new("", "/workitems/**", None, Scheduling),
        Row::new("", "/wado", None, Images),
        Row::new("", "/capabilities", None, Administrative),
        Row::new("", "/**", None, Images),
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
