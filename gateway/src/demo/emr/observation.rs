//! The FHIR resources the EMR starts with: a Patient for each of the fifty, and four Observations for each of them.

use policy::{Timestamp, UtcOffset};
use serde_json::{Value, json};

use super::super::patients::{NUMBER_SYSTEM, Name, Patient, Sex};
use super::vitals::vitals;

/// The code system of all Observations here.
pub(super) const LOINC: &str = "http://loinc.org";
const MICROS_PER_HOUR: i64 = 3_600_000_000;
const UCUM: &str = "http://unitsofmeasure.org";
const REPRESENTATION: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";

/// A Patient as JP Core writes one: the name in kanji, in kana and in Latin letters.
pub(super) fn patient(patient: &Patient) -> Value {
    let written = |script: &str, text: String, part: fn(&Name) -> &'static str| {
        json!({
            "extension": [{ "url": REPRESENTATION, "valueCode": script }],
            "use": "official", "text": text,
            "family": part(&patient.family), "given": [part(&patient.given)],
        })
    };
    json!({
        "resourceType": "Patient",
        "id": patient.id(),
        "identifier": [{ "use": "usual", "system": NUMBER_SYSTEM, "value": patient.id() }],
        "active": true,
        "name": [
            written("IDE", patient.kanji(), |name| name.kanji),
            written("SYL", patient.kana(), |name| name.kana),
            written("ABC", patient.latin(), |name| name.latin),
        ],
        "gender": match patient.sex { Sex::Male => "male", Sex::Female => "female" },
        "birthDate": patient.born.to_string(),
    })
}

/// The four Observations of a patient, measured in the hours before `at`.
pub(super) fn observations(patient: &Patient, at: Timestamp) -> Vec<Value> {
    let now = vitals(patient.number, 0);
    let quantity =
        |value: Value, unit: &str, code: &str| json!({ "value": value, "unit": unit, "system": UCUM, "code": code });
    let tenths = f64::from(now.temperature_tenths) / 10.0;
    let pressure = json!([
        { "code": coding("8480-6", "Systolic blood pressure", "収縮期血圧"),
          "valueQuantity": quantity(json!(now.systolic), "mmHg", "mm[Hg]") },
        { "code": coding("8462-4", "Diastolic blood pressure", "拡張期血圧"),
          "valueQuantity": quantity(json!(now.diastolic), "mmHg", "mm[Hg]") },
    ]);
    let simple = |value: Value| ("valueQuantity", value);
    [
        ("hr", coding("8867-4", "Heart rate", "脈拍"), simple(quantity(json!(now.pulse), "/min", "/min"))),
        ("spo2", coding("59408-5", "Oxygen saturation", "SpO2"), simple(quantity(json!(now.spo2), "%", "%"))),
        ("bt", coding("8310-5", "Body temperature", "体温"), simple(quantity(json!(tenths), "Cel", "Cel"))),
        ("bp", coding("85354-9", "Blood pressure", "血圧"), ("component", pressure)),
    ]
    .into_iter()
    .zip(1_i64..)
    .map(|((kind, code, (field, value)), hours)| {
        let measured = Timestamp::from_unix_micros(at.unix_micros().saturating_sub(hours * MICROS_PER_HOUR));
        json!({
            "resourceType": "Observation",
            "id": format!("{kind}-{}", patient.id()),
            "status": "final",
            "category": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs",
            }] }],
            "code": code,
            "subject": { "reference": format!("Patient/{}", patient.id()), "display": patient.kanji() },
            "effectiveDateTime": measured.rfc3339(UtcOffset::JAPAN),
            (field): value,
        })
    })
    .collect()
}

fn coding(code: &str, display: &str, text: &str) -> Value {
    json!({ "coding": [{ "system": LOINC, "code": code, "display": display }], "text": text })
}
