//! `[patients]`, and what apps and their routes say about patients: how ids are written, and where requests and answers
//! name them.

use policy::{
    ANSWER_LOOKED_AT, AnswerHeader, BodyForm, BodySource, Field, IdPattern, OnMissing, PATIENTS_LISTED_MAX, PatientIds,
    PatientSource, Pointer, REQUEST_LOOKED_AT, Side,
};

use crate::walk::{Table, Value};

const ON_MISSING: [(&str, OnMissing); 2] = [("ok", OnMissing::Ok), ("flag", OnMissing::Flag)];
/// Numbers of patients are shorter.
const PAD_MAX: usize = 20;
/// How much is looked at of DICOM files, whose patient stands before the picture.
const FILE_LOOKED_AT: usize = 64 << 10;
/// The most of a body that is held to be looked at.
const BYTES_MAX: u64 = 16 << 20;
const FROM: [(&str, From); 15] = [
    ("path", From::Path),
    ("query", From::Query),
    ("form", From::Form),
    ("fhir-search", From::FhirSearch),
    ("json", From::Body(Side::Request, Form::Json)),
    ("xml", From::Body(Side::Request, Form::Xml)),
    ("fhir", From::Body(Side::Request, Form::Fhir)),
    ("dicom", From::Body(Side::Request, Form::Dicom)),
    ("response-json", From::Body(Side::Answer, Form::Json)),
    ("response-xml", From::Body(Side::Answer, Form::Xml)),
    ("response-fhir", From::Body(Side::Answer, Form::Fhir)),
    ("response-dicom", From::Body(Side::Answer, Form::Dicom)),
    ("response-dicom-json", From::Body(Side::Answer, Form::DicomJson)),
    ("response-header", From::Header),
    ("study-map", From::Study),
];

/// The word after `from`.
#[derive(Clone, Copy)]
enum From {
    Path,
    Query,
    Form,
    FhirSearch,
    Body(Side, Form),
    Header,
    Study,
}

/// The form of a body.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Xml,
    Fhir,
    Dicom,
    DicomJson,
}

/// `[patients]`.
pub(crate) fn read(table: &Table<'_>) -> Option<PatientIds> {
    let ids = read_ids(table, &PatientIds::default());
    table.finish();
    ids
}

/// How ids are written, where a table says so; as around it where it does not.
pub(crate) fn read_ids(table: &Table<'_>, around: &PatientIds) -> Option<PatientIds> {
    let pad = table.or("pad", around.pad, |value| value.count(0..=PAD_MAX));
    let system = table.or("system", around.system.clone(), |value| value.text().map(|text| Some(text.into())));
    let listed_max = table.or("max_ids", around.listed_max, |value| value.count(1..=PATIENTS_LISTED_MAX));
    let on_missing = table.or("on_missing", around.on_missing, |value| value.word(&ON_MISSING));
    Some(PatientIds { pad: pad?, system: system?, listed_max: listed_max?, on_missing: on_missing? })
}

/// Where a route names its patients: `patient = [{ from = "query", name = "pid" }]`.
pub(crate) fn sources(table: &Table<'_>) -> Option<Vec<PatientSource>> {
    table.list("patient", |value| source(&value.table()?))
}

fn source(table: &Table<'_>) -> Option<PatientSource> {
    let from = table.needed("from", "`from = \"query\"`", |value| value.word(&FROM));
    let source = from.and_then(|from| match from {
        From::Path => table
            .needed("regex", "`regex = \"^/chart-(?<patient>[0-9]+)[.]html$\"`", |value| pattern(&value))
            .map(PatientSource::Path),
        From::Query => field(table).map(PatientSource::Query),
        From::Form => field(table).map(PatientSource::Form),
        From::FhirSearch => Some(PatientSource::FhirSearch),
        From::Body(side, form) => body(table, side, form).map(PatientSource::Body),
        From::Header => header(table).map(PatientSource::Header),
        From::Study => Some(PatientSource::Study),
    });
    table.finish();
    source
}

fn field(table: &Table<'_>) -> Option<Field> {
    let name = table.needed("name", "`name = \"patient\"`", |value| value.text().map(Into::into));
    let pattern = table.optional("regex", |value| pattern(&value));
    Some(Field { name: name?, pattern: pattern? })
}

fn header(table: &Table<'_>) -> Option<AnswerHeader> {
    let name = table.needed("name", "`name = \"x-patient-id\"`", |value| {
        let text = value.text()?;
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_name {
            Some(text.to_ascii_lowercase().into())
        } else {
            value.wrong(format!("`{text}` is not the name of a header"), "write it like `x-patient-id`")
        }
    });
    let pattern = table.optional("regex", |value| pattern(&value));
    let strip = table.or("strip", true, |value| value.yes_or_no());
    Some(AnswerHeader { field: Field { name: name?, pattern: pattern? }, strip: strip? })
}

fn body(table: &Table<'_>, side: Side, form: Form) -> Option<BodySource> {
    let usual = match (side, form) {
        (_, Form::Dicom) => FILE_LOOKED_AT,
        (Side::Request, Form::Json | Form::Xml | Form::Fhir | Form::DicomJson) => REQUEST_LOOKED_AT,
        (Side::Answer, Form::Json | Form::Xml | Form::Fhir | Form::DicomJson) => ANSWER_LOOKED_AT,
    };
    let form = match form {
        Form::Json => pointer(table).map(BodyForm::Json),
        Form::Xml => pointer(table).map(BodyForm::Xml),
        Form::Fhir => Some(BodyForm::Fhir),
        Form::Dicom => Some(BodyForm::Dicom),
        Form::DicomJson => Some(BodyForm::DicomJson),
    };
    let bytes_max = table.or("max_bytes", usual, |value| {
        let size = value.size(1_024..=BYTES_MAX)?;
        usize::try_from(size).ok()
    });
    Some(BodySource { side, form: form?, bytes_max: bytes_max? })
}

fn pointer(table: &Table<'_>) -> Option<Pointer> {
    table.needed("pointer", "`pointer = \"/patient/id\"`", |value| {
        value.parse(Pointer::parse, "write it like `/patients/*/id` or `/**/Patient_ID`")
    })
}

fn pattern(value: &Value<'_>) -> Option<IdPattern> {
    value.parse(IdPattern::parse, "put the id into a group, such as `^chart-(?<patient>[0-9]+)$`")
}
