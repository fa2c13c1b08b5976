//! HL7 FHIR R4 (hl7.org/fhir/R4/http.html). A resource's type tells its class; types that are not named here belong to
//! the chart. A query decides nothing, so `_include` and `_revinclude` reach what the searched type's class allows.

use super::{BuiltInClass, Row};
use crate::{
    ANSWER_LOOKED_AT, Action, AnswerHeader, BodyForm, BodySource, Field, IdPattern, PatientSource, REQUEST_LOOKED_AT,
    Side,
};

/// Administrative types that are about patients all the same.
const ABOUT_PATIENTS: [&str; 3] = ["AuditEvent", "Device", "Provenance"];

/// Types that are not the chart's.
const TYPES: [(&str, BuiltInClass); 62] = {
    use BuiltInClass::{Administrative, Billing, Images, LabResults, Medications, PatientIdentity, Scheduling};
    [
        ("Patient", PatientIdentity),
        ("RelatedPerson", PatientIdentity),
        ("Person", PatientIdentity),
        ("Observation", LabResults),
        ("DiagnosticReport", LabResults),
        ("Specimen", LabResults),
        ("MolecularSequence", LabResults),
        ("ImagingStudy", Images),
        ("Media", Images),
        ("Medication", Medications),
        ("MedicationRequest", Medications),
        ("MedicationDispense", Medications),
        ("MedicationAdministration", Medications),
        ("MedicationStatement", Medications),
        ("MedicationKnowledge", Medications),
        ("Immunization", Medications),
        ("ImmunizationEvaluation", Medications),
        ("ImmunizationRecommendation", Medications),
        ("Appointment", Scheduling),
        ("AppointmentResponse", Scheduling),
        ("Schedule", Scheduling),
        ("Slot", Scheduling),
        ("Account", Billing),
        ("ChargeItem", Billing),
        ("ChargeItemDefinition", Billing),
        ("Claim", Billing),
        ("ClaimResponse", Billing),
        ("Contract", Billing),
        ("Coverage", Billing),
        ("CoverageEligibilityRequest", Billing),
        ("CoverageEligibilityResponse", Billing),
        ("EnrollmentRequest", Billing),
        ("EnrollmentResponse", Billing),
        ("ExplanationOfBenefit", Billing),
        ("InsurancePlan", Billing),
        ("Invoice", Billing),
        ("PaymentNotice", Billing),
        ("PaymentReconciliation", Billing),
        ("AuditEvent", Administrative),
        ("CapabilityStatement", Administrative),
        ("CodeSystem", Administrative),
        ("ConceptMap", Administrative),
        ("Device", Administrative),
        ("DeviceDefinition", Administrative),
        ("Endpoint", Administrative),
        ("HealthcareService", Administrative),
        ("ImplementationGuide", Administrative),
        ("Location", Administrative),
        ("MessageDefinition", Administrative),
        ("NamingSystem", Administrative),
        ("OperationDefinition", Administrative),
        ("Organization", Administrative),
        ("OrganizationAffiliation", Administrative),
        ("Practitioner", Administrative),
        ("PractitionerRole", Administrative),
        ("Provenance", Administrative),
        ("Questionnaire", Administrative),
        ("SearchParameter", Administrative),
        ("StructureDefinition", Administrative),
        ("StructureMap", Administrative),
        ("Subscription", Administrative),
        ("ValueSet", Administrative),
    ]
};

pub(super) fn rows() -> Vec<Row> {
    use BuiltInClass::{Administrative, Batch, Chart, PatientIdentity};
    let (export, search) = (Some(Action::Export), Some(Action::Search));
    let mut rows = vec![
        // A batch or transaction can hold anything, so it has a class of its own.
        Row::new("POST", "", None, Batch),
        Row::new("GET", "", search, Chart),
        Row::new("GET POST", "/_search", search, Chart),
        Row::new("", "/_history", export, Chart),
        Row::new("", "/$export", export, Chart),
        Row::new("", "/$graphql", export, Chart),
        Row::new("", "/metadata", None, Administrative),
        Row::new("", "/Group/{id}/$export", export, Chart),
        Row::new("", "/Patient/$export", export, Chart),
        Row::new("", "/Patient/$everything", export, Chart),
        Row::new("GET POST", "/Patient/$match", search, PatientIdentity),
        Row::new("", "/Patient/{patient}/$everything", export, Chart),
        Row::new("", "/Patient/{patient}/$export", export, Chart),
        Row::new("", "/Patient/{patient}/$summary", export, Chart),
        Row::new("", "/Patient/{patient}/$graphql", export, Chart),
        Row::new("GET POST", "/Patient/_search", search, PatientIdentity),
        Row::new("", "/Patient/_history", export, PatientIdentity),
        Row::new("", "/Patient/{patient}", None, PatientIdentity),
        Row::new("", "/Patient/{patient}/_history/**", None, PatientIdentity),
        Row::new("", "/Encounter/{id}/$everything", export, Chart),
    ];
    for (name, class) in TYPES {
        rows.extend([
            Row::new("GET", format!("/{name}"), search, class),
            Row::new("GET POST", format!("/{name}/_search"), search, class),
            Row::new("", format!("/{name}/_history"), export, class),
            Row::new("", format!("/{name}/$export"), export, class),
            // What belongs to one patient, by type.
            Row::new("GET", format!("/Patient/{{patient}}/{name}"), search, class),
            Row::new("GET POST", format!("/Patient/{{patient}}/{name}/_search"), search, class),
        ]);
    }
    rows.extend([
        Row::new("GET", "/Patient/{patient}/*", search, Chart),
        Row::new("GET POST", "/Patient/{patient}/_search", search, Chart),
        Row::new("GET POST", "/Patient/{patient}/{type}/_search", search, Chart),
        Row::new("", "/Patient/{patient}/**", None, Chart),
    ]);
    rows.extend(TYPES.map(|(name, class)| Row::new("", format!("/{name}/**"), None, class)));
    rows.extend([
        Row::new("GET", "/{type}", search, Chart),
        Row::new("GET POST", "/{type}/_search", search, Chart),
        Row::new("", "/{type}/_history", export, Chart),
        Row::new("", "/{type}/$export", export, Chart),
        Row::new("", "/**", None, Chart),
    ]);
    let patients = patients();
    rows.into_iter().map(|row| if is_about_patients(&row) { row.naming(patients.clone()) } else { row }).collect()
}

fn is_about_patients(row: &Row) -> bool {
    let mut parts = row.pattern.split('/');
    row.class != BuiltInClass::Administrative || parts.any(|part| ABOUT_PATIENTS.contains(&part) || part == "{patient}")
}

/// Parameters of searches, resources that are sent and that come back, and where a new one is told to lie.
fn patients() -> Vec<PatientSource> {
    let body = |side, bytes_max| PatientSource::Body(BodySource { side, form: BodyForm::Fhir, bytes_max });
    let pattern = IdPattern::parse("(?:^|/)Patient/(?<patient>[A-Za-z0-9.-]{1,64})").ok();
    let location = AnswerHeader { field: Field { name: "location".into(), pattern }, strip: false };
    vec![
        PatientSource::FhirSearch,
        body(Side::Request, REQUEST_LOOKED_AT),
        body(Side::Answer, ANSWER_LOOKED_AT),
        PatientSource::Header(location),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Template;
    use super::super::tests::check;

    #[test]
    fn reads_searches_writes_and_exports_are_told_apart() {
        check(
            Template::FhirR4,
            &[
                ("GET /fhir/Patient/7", "read patient-identity of 7"),
                ("PUT /fhir/Patient/7", "write patient-identity of 7"),
                ("DELETE /fhir/Patient/7", "delete patient-identity of 7"),
                ("GET /fhir/Patient/7/_history/2", "read patient-identity of 7"),
                ("GET /fhir/Patient", "search patient-identity"),
                ("HEAD /fhir/Patient", "search patient-identity"),
                ("POST /fhir/Patient", "write patient-identity"),
                ("POST /fhir/Patient/_search", "search patient-identity"),
                ("GET /fhir/Patient/_search", "search patient-identity"),
                ("DELETE /fhir/Patient/_search", "delete patient-identity of _search"),
                ("POST /fhir/Patient/$match", "search patient-identity"),
                ("GET /fhir/Patient/_history", "export patient-identity"),
                ("GET /fhir/Observation", "search lab-results"),
                ("GET /fhir/Observation/9", "read lab-results"),
                ("POST /fhir/Observation/_search", "search lab-results"),
                ("POST /fhir/Observation", "write lab-results"),
                ("PATCH /fhir/MedicationRequest/1", "write medications"),
                ("GET /fhir/ImagingStudy/1", "read images"),
                ("GET /fhir/Appointment", "search scheduling"),
                ("GET /fhir/Coverage/1", "read billing"),
                ("GET /fhir/Practitioner", "search administrative"),
                ("GET /fhir/metadata", "read administrative"),
                ("GET /fhir/Condition", "search chart"),
                ("GET /fhir/Condition/1", "read chart"),
                ("GET /fhir/Binary/1", "read chart"),
                ("DELETE /fhir/Condition", "delete chart"),
            ],
        );
    }

    #[test]
    fn whatever_takes_much_at_once_is_an_export() {
        for request in [
            "GET /fhir/Patient/7/$everything",
            "POST /fhir/Patient/7/$everything",
            "GET /fhir/Patient/7/$everything/",
            "GET /fhir/Patient/7/$summary",
            "GET /fhir/Patient/7/$export",
        ] {
            check(Template::FhirR4, &[(request, "export chart of 7")]);
        }
        for request in [
            "GET /fhir/$export",
            "POST /fhir/$export",
            "GET /fhir/Patient/$export",
            "GET /fhir/Group/3/$export",
            "GET /fhir/_history",
            "GET /fhir/Patient/$everything",
            "GET /fhir/Condition/_history",
            "POST /fhir/$graphql",
            "GET /fhir/Encounter/3/$everything",
            "POST /fhir/Encounter/3/$everything",
        ] {
            check(Template::FhirR4, &[(request, "export chart")]);
        }
        check(Template::FhirR4, &[("GET /fhir/Observation/_history", "export lab-results")]);
    }

    #[test]
    fn what_belongs_to_a_patient_has_the_class_of_its_type() {
        check(
            Template::FhirR4,
            &[
                ("GET /fhir/Patient/7/Observation", "search lab-results of 7"),
                ("POST /fhir/Patient/7/Observation/_search", "search lab-results of 7"),
                ("GET /fhir/Patient/7/Condition", "search chart of 7"),
                ("GET /fhir/Patient/7/*", "search chart of 7"),
                ("POST /fhir/Patient/7/_search", "search chart of 7"),
            ],
        );
    }

    #[test]
    fn what_can_hold_anything_is_nothing_small() {
        check(
            Template::FhirR4,
            &[
                ("POST /fhir", "write batch"),
                ("GET /fhir", "search chart"),
                ("POST /fhir/_search", "search chart"),
                ("GET /elsewhere", "read -"),
            ],
        );
    }
}
