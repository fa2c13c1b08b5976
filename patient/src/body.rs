//! Bodies, or as much of them as was held: whether one is worth holding, and what it names once it ended.

use std::io::Read as _;

use flate2::bufread::MultiGzDecoder;
use policy::{BodyForm, PatientFlag, PatientSource, PatientSources, Pointer, REQUEST_LOOKED_AT, Side};

use crate::dicom_json::DicomJson;
use crate::fhir::Fhir;
use crate::found::Found;
use crate::json::{BYTE_ORDER_MARK, Ending};
use crate::paths::AtPointers;
use crate::query::of_field;
use crate::{dicom, fhir_search, json, xml};

/// A body as far as it was held.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// Whose.
    pub side: Side,
    /// The bytes, as they were sent.
    pub bytes: &'a [u8],
    /// Whether there was more, or it did not come to its end.
    pub is_cut: bool,
    /// `Content-Type`, as sent.
    pub kind: Option<&'a str>,
    /// `Content-Encoding`, as sent.
    pub encoding: Option<&'a str>,
    /// The path of the request.
    pub path: &'a str,
}

/// What the beginning of a body says about the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Glance {
    /// It may name patients: hold it.
    Hold,
    /// It is something else.
    Pass,
}

/// What a body is, as its first bytes show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looks {
    Json,
    Xml,
    Dicom,
    Other,
}

/// Decides by the head and the first bytes of a body whether it is worth holding.
#[must_use]
pub fn glance(kind: Option<&str>, encoding: Option<&str>, first: &[u8]) -> Glance {
    let is_plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
    if !is_plain || looks(first) != Looks::Other || claims(kind) != Claim::Other {
        return Glance::Hold;
    }
    Glance::Pass
}

/// What a body says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Claim {
    Json,
    Xml,
    Form,
    /// `multipart/form-data`, which is not read.
    FormOfParts,
    Dicom,
    Other,
    /// Nothing.
    None,
}

fn claims(kind: Option<&str>) -> Claim {
    let Some(kind) = kind else { return Claim::None };
    let kind = kind.to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.ends_with("json") {
        Claim::Json
    } else if essence.ends_with("xml") && !essence.starts_with("image/") && !essence.contains("xhtml") {
        Claim::Xml
    } else if essence == "application/x-www-form-urlencoded" {
        Claim::Form
    } else if essence == "multipart/form-data" {
        Claim::FormOfParts
    } else if essence == "application/dicom" || (essence == "multipart/related" && is_of_files(&kind)) {
        Claim::Dicom
    } else {
        Claim::Other
    }
}

/// Whether the parts of `multipart/related` are DICOM files, where it says so.
fn is_of_files(kind: &str) -> bool {
    let mut types = kind.split(';').filter_map(|part| part.trim().strip_prefix("type="));
    types.all(|part| part.trim_matches('"') == "application/dicom")
}

fn looks(bytes: &[u8]) -> Looks {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
    match text.first() {
        Some(b'{' | b'[') => Looks::Json,
        Some(b'<') => Looks::Xml,
        _ if bytes.windows(4).take(4_096).any(|window| window == b"DICM") => Looks::Dicom,
        Some(_) | None => Looks::Other,
    }
}

/// Finds the patients in a body.
pub fn read_body(sources: &PatientSources, body: Body<'_>, found: &mut Found<'_>) {
    let Some(most) = bound(sources, body.side, body.kind) else { return };
    let plain = match unpacked(body.bytes, body.encoding, most) {
        Some(plain) => plain,
        None => return found.flag(PatientFlag::Unreadable),
    };
    let (bytes, is_cut) = (&*plain.bytes, body.is_cut || plain.is_cut);
    if bytes.trim_ascii().is_empty() {
        if is_cut {
            found.flag(PatientFlag::Cut);
        }
        return;
    }
    let claim = claims(body.kind);
    let before = found.is_empty();
    let wants_form = body.side == Side::Request && wants_form(sources);
    let ending = match (looks(bytes), claim) {
        // First, since a form can begin like anything; that the app reads something else in it is not ruled out.
        (looks, Claim::Form) if wants_form => {
            read_form(sources, body, bytes, found);
            if looks == Looks::Json {
                read_json(sources, body.side, bytes, found);
            } else if looks == Looks::Xml {
                read_xml(sources, body.side, bytes, found);
            }
            Some(Ending::Whole)
        }
        (_, Claim::FormOfParts) if wants_form => Some(Ending::Unreadable),
        (Looks::Json, _) => read_json(sources, body.side, bytes, found),
        (Looks::Xml, _) => read_xml(sources, body.side, bytes, found),
        (Looks::Dicom, _) | (Looks::Other, Claim::Dicom) if wants_files(sources, body.side) => {
            Some(dicom::read(bytes, found))
        }
        (Looks::Other, Claim::Json | Claim::Xml) => Some(Ending::Unreadable),
        (Looks::Other | Looks::Dicom, _) => None,
    };
    // A page or a picture is not what the route looks for, and says so.
    let is_ours = !matches!(claim, Claim::Other);
    match ending {
        // Files are looked at for their beginning alone.
        Some(Ending::Whole) if claim == Claim::Dicom && body.side == Side::Answer && before != found.is_empty() => {}
        Some(Ending::Whole | Ending::BrokenOff) if is_cut => found.flag(PatientFlag::Cut),
        Some(Ending::Whole) | None => {}
        Some(Ending::Unreadable) if claim == Claim::Dicom && is_cut => found.flag(PatientFlag::Cut),
        Some(Ending::BrokenOff | Ending::Unreadable) if is_ours => found.flag(PatientFlag::Unreadable),
        Some(Ending::BrokenOff | Ending::Unreadable) => {}
    }
}

/// Bytes as they were before they were packed.
struct Plain<'b> {
    bytes: std::borrow::Cow<'b, [u8]>,
    is_cut: bool,
}

/// Unpacks at most so many bytes; `None` for a packing that is not read.
fn unpacked<'b>(bytes: &'b [u8], encoding: Option<&str>, most: usize) -> Option<Plain<'b>> {
    let encoding = encoding.map(|encoding| encoding.trim().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") => Some(Plain { bytes: bytes.into(), is_cut: false }),
        Some("gzip" | "x-gzip") => {
            let mut plain = Vec::new();
            // What a bomb would make of it is never made.
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            let whole = MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut plain);
            let is_longer = plain.len() > most;
            plain.truncate(most);
            match whole {
                Ok(_) => Some(Plain { bytes: plain.into(), is_cut: is_longer }),
                Err(_) if !plain.is_empty() => Some(Plain { bytes: plain.into(), is_cut: true }),
                Err(_) => None,
            }
        }
        Some(_) => None,
    }
}

fn forms(sources: &PatientSources, side: Side) -> impl Iterator<Item = &BodyForm> {
    sources.sources.iter().filter_map(move |source| match source {
        PatientSource::Body(body) => (body.side == side).then_some(&body.form),
        PatientSource::Path(_)
        | PatientSource::Query(_)
        | PatientSource::Form(_)
        | PatientSource::FhirSearch
        | PatientSource::Header(_)
        | PatientSource::Study => None,
    })
}

/// How much of a body of this kind is looked at, in bytes; `None` where nothing of that side is. A kind that the route
/// does not look for may be a lie: it is held as long as anything is.
#[must_use]
pub fn bound(sources: &PatientSources, side: Side, kind: Option<&str>) -> Option<usize> {
    let claim = claims(kind);
    let fits = |form: &BodyForm| match form {
        BodyForm::Json(_) | BodyForm::DicomJson => claim == Claim::Json,
        BodyForm::Xml(_) => claim == Claim::Xml,
        BodyForm::Fhir => matches!(claim, Claim::Json | Claim::Xml),
        BodyForm::Dicom => claim == Claim::Dicom,
    };
    let of_form = (matches!(claim, Claim::Form | Claim::FormOfParts) && side == Side::Request && wants_form(sources))
        .then_some(REQUEST_LOOKED_AT);
    let fitting = sources.sources.iter().filter_map(|source| match source {
        PatientSource::Body(body) if body.side == side && fits(&body.form) => Some(body.bytes_max),
        PatientSource::Body(_)
        | PatientSource::Path(_)
        | PatientSource::Query(_)
        | PatientSource::Form(_)
        | PatientSource::FhirSearch
        | PatientSource::Header(_)
        | PatientSource::Study => None,
    });
    fitting.chain(of_form).max().or_else(|| sources.looks_at(side))
}

/// Whether the route looks for anything in posted forms.
fn wants_form(sources: &PatientSources) -> bool {
    sources.sources.iter().any(|source| matches!(source, PatientSource::Form(_) | PatientSource::FhirSearch))
}

fn wants_files(sources: &PatientSources, side: Side) -> bool {
    forms(sources, side).any(|form| *form == BodyForm::Dicom)
}

/// `None` where the route looks for nothing in JSON.
fn read_json(sources: &PatientSources, side: Side, bytes: &[u8], found: &mut Found<'_>) -> Option<Ending> {
    let pointers: Vec<&Pointer> = forms(sources, side)
        .filter_map(|form| match form {
            BodyForm::Json(pointer) => Some(pointer),
            BodyForm::Xml(_) | BodyForm::Fhir | BodyForm::DicomJson | BodyForm::Dicom => None,
        })
        .collect();
    let mut ending = None;
    if !pointers.is_empty() {
        ending = Some(json::read(bytes, &mut AtPointers::new(pointers, found)));
    }
    if forms(sources, side).any(|form| *form == BodyForm::Fhir) {
        ending = Some(json::read(bytes, &mut Fhir::new(found)));
    }
    if forms(sources, side).any(|form| *form == BodyForm::DicomJson) {
        ending = Some(json::read(bytes, &mut DicomJson::new(found)));
    }
    ending
}

/// `None` where the route looks for nothing in XML.
fn read_xml(sources: &PatientSources, side: Side, bytes: &[u8], found: &mut Found<'_>) -> Option<Ending> {
    let pointers: Vec<&Pointer> = forms(sources, side)
        .filter_map(|form| match form {
            BodyForm::Xml(pointer) => Some(pointer),
            BodyForm::Json(_) | BodyForm::Fhir | BodyForm::DicomJson | BodyForm::Dicom => None,
        })
        .collect();
    let mut ending = None;
    if !pointers.is_empty() {
        ending = Some(xml::at_pointers(bytes, pointers, found));
    }
    if forms(sources, side).any(|form| *form == BodyForm::Fhir) {
        ending = Some(xml::fhir(bytes, &mut Fhir::new(found)));
    }
    ending
}

fn read_form(sources: &PatientSources, body: Body<'_>, bytes: &[u8], found: &mut Found<'_>) {
    let text = String::from_utf8_lossy(bytes);
    for source in &sources.sources {
        match source {
            PatientSource::Form(field) => of_field(field, &text, found),
            PatientSource::FhirSearch => fhir_search::parameters(body.path, &text, found),
            PatientSource::Path(_)
            | PatientSource::Query(_)
            | PatientSource::Header(_)
            | PatientSource::Body(_)
            | PatientSource::Study => {}
        }
    }
}
