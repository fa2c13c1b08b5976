//! The API of 日医標準レセプトソフト (www.orca.med.or.jp/receipt/tec/api): almost everything is a POST, so the name of
//! the call tells what it does. What is not named here writes, unless it is a GET, and belongs to billing. Patients
//! stand in the query or the body, never in the path.

use super::{BuiltInClass, Row};
use crate::{ANSWER_LOOKED_AT, Action, BodyForm, BodySource, Field, PatientSource, Pointer, REQUEST_LOOKED_AT, Side};

/// Calls: what they do, and to what.
const CALLS: [(&str, Action, BuiltInClass); 35] = {
    use Action::{Read, Search, Write};
    use BuiltInClass::{Administrative, Billing, Chart, Medications, PatientIdentity, Scheduling};
    [
        ("/api01rv2/patientgetv2", Read, PatientIdentity),
        ("/api01rv2/patientlst1v2", Search, PatientIdentity),
        ("/api01rv2/patientlst2v2", Search, PatientIdentity),
        ("/api01rv2/patientlst3v2", Search, PatientIdentity),
        ("/api01rv2/patientlst6v2", Read, Billing),
        ("/api01rv2/patientlst7v2", Read, PatientIdentity),
        ("/api01rv2/patientlst8v2", Search, PatientIdentity),
        ("/orca12/patientmodv2", Write, PatientIdentity),
        ("/orca06/patientmemomodv2", Write, PatientIdentity),
        ("/api01rv2/appointlstv2", Search, Scheduling),
        ("/api01rv2/appointlst2v2", Search, Scheduling),
        ("/orca14/appointmodv2", Write, Scheduling),
        ("/api01rv2/acceptlstv2", Search, Scheduling),
        ("/orca11/acceptmodv2", Write, Scheduling),
        ("/api01rv2/visitptlstv2", Search, Scheduling),
        ("/api01rv2/medicalgetv2", Read, Chart),
        ("/api21/medicalmodv2", Write, Chart),
        ("/api21/medicalmodv23", Write, Chart),
        ("/api01rv2/tmedicalgetv2", Read, Chart),
        ("/api01rv2/diseasegetv2", Read, Chart),
        ("/orca22/diseasev2", Write, Chart),
        ("/orca22/diseasev3", Write, Chart),
        ("/api01rv2/subjectiveslstv2", Read, Chart),
        ("/orca25/subjectivesv2", Write, Chart),
        ("/api01rv2/contraindicationcheckv2", Read, Medications),
        ("/api01rv2/prescriptionv2", Read, Medications),
        ("/api01rv2/medicinenotebookv2", Read, Medications),
        ("/api01rv2/incomeinfv2", Read, Billing),
        ("/orca23/incomev3", Write, Billing),
        ("/api01rv2/invoicereceiptv2", Read, Billing),
        ("/api01rv2/statementv2", Read, Billing),
        ("/api01rv2/insuranceinf1v2", Read, Billing),
        ("/api01rv2/system01lstv2", Read, Administrative),
        ("/api01rv2/system01dailyv2", Read, Administrative),
        ("/orca101/manageusersv2", Write, Administrative),
    ]
};

pub(super) fn rows() -> Vec<Row> {
    let row = |(path, action, class): (&str, _, _)| {
        let row = Row::new("GET POST", path, Some(action), class);
        // Master data is about nobody.
        if class == BuiltInClass::Administrative { row } else { row.naming(patients()) }
    };
    CALLS.into_iter().map(row).chain([Row::new("", "/**", None, BuiltInClass::Billing).naming(patients())]).collect()
}

/// Patients are `id` in the query, and `Patient_ID` wherever it stands in what is asked and answered, in XML and JSON.
fn patients() -> Vec<PatientSource> {
    let bodies = [(Side::Request, REQUEST_LOOKED_AT), (Side::Answer, ANSWER_LOOKED_AT)];
    let bodies = bodies.into_iter().flat_map(|(side, bytes_max)| {
        let forms = Pointer::parse("/**/Patient_ID").into_iter().flat_map(|at| {
            let json = BodyForm::Json(at.clone());
            [BodyForm::Xml(at), json]
        });
        forms.map(move |form| PatientSource::Body(BodySource { side, form, bytes_max }))
    });
    let id = PatientSource::Query(Field { name: "id".into(), pattern: None });
    std::iter::once(id).chain(bodies).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Template;
    use super::super::tests::check;

    #[test]
    fn the_name_of_a_call_tells_what_it_does() {
        check(
            Template::Orca,
            &[
                ("GET /api01rv2/patientgetv2", "read patient-identity"),
                ("POST /api01rv2/patientlst2v2", "search patient-identity"),
                ("POST /api01rv2/patientlst3v2", "search patient-identity"),
                ("POST /orca12/patientmodv2", "write patient-identity"),
                ("POST /api01rv2/system01lstv2", "read administrative"),
                ("POST /api01rv2/medicalgetv2", "read chart"),
                ("POST /api21/medicalmodv2", "write chart"),
                ("POST /orca14/appointmodv2", "write scheduling"),
                ("POST /api01rv2/unheardofv2", "write billing"),
                ("DELETE /api01rv2/patientgetv2", "delete billing"),
            ],
        );
    }
}
