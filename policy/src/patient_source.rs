//! Where a request or its answer names the patient: told by the app's routes, found by the crate `patient`.
//!
//! Deliberately not here: how bodies are read. These are the words that configuration and templates are written in.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// How many ids a record lists, where nothing else is said.
pub const PATIENTS_LISTED_MAX: usize = 100;
/// How many bytes of a request's body are looked at, where nothing else is said.
pub const REQUEST_LOOKED_AT: usize = 64 << 10;
/// How many bytes of an answer are looked at, where nothing else is said.
pub const ANSWER_LOOKED_AT: usize = 1 << 20;
/// The longest regular expression, in bytes as written.
const REGEX_BYTES_MAX: usize = 512;
/// The largest regular expression, in bytes as compiled.
const REGEX_MEMORY_MAX: usize = 256 << 10;
/// The most steps of a pointer.
const POINTER_STEPS_MAX: usize = 32;

/// Which patients a route is about, and where that is told. A `{patient}` or `{study}` in the route's pattern is one
/// source by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatientSources {
    /// Further places.
    pub sources: Vec<PatientSource>,
    /// How ids are written.
    pub ids: PatientIds,
}

/// How the ids of patients are written and listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientIds {
    /// To how many digits an id that is all digits is filled up with zeros; 0 leaves it as it is.
    pub pad: usize,
    /// The identifier system of patient numbers: where a FHIR resource has several identifiers, this one is the id.
    pub system: Option<Box<str>>,
    /// How many a record lists.
    pub listed_max: usize,
    /// What to do where none is found.
    pub on_missing: OnMissing,
}

impl Default for PatientIds {
    fn default() -> Self {
        Self { pad: 0, system: None, listed_max: PATIENTS_LISTED_MAX, on_missing: OnMissing::Ok }
    }
}

/// What to do where a route names no patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    /// Nothing: there may be none.
    Ok,
    /// The record is marked.
    Flag,
}

/// One place where a patient may be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatientSource {
    /// In the path: what the expression's group takes.
    Path(IdPattern),
    /// In a field of the query; of its value what the expression's group takes.
    Query(Field),
    /// In a field of a posted form, likewise.
    Form(Field),
    /// In the parameters of a FHIR search, in the query and in a posted form.
    FhirSearch,
    /// In a field of the answer's head.
    Header(AnswerHeader),
    /// In a body.
    Body(BodySource),
    /// By the study that the path or the query names (`studyUID`), where an answer told earlier whose it is.
    Study,
}

/// A named field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// What of its value is the id; all of it where absent.
    pub pattern: Option<IdPattern>,
}

/// A field of an answer's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHeader {
    /// The field, its name in small letters.
    pub field: Field,
    /// Whether the client does not get to see it.
    pub strip: bool,
}

/// Which body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request's.
    Request,
    /// The answer's.
    Answer,
}

/// A body that may name patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySource {
    /// Which.
    pub side: Side,
    /// In what form.
    pub form: BodyForm,
    /// How much of it is looked at, in bytes.
    pub bytes_max: usize,
}

/// The form of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// JSON, with ids at a pointer.
    Json(Pointer),
    /// XML, with ids in elements or attributes at a pointer.
    Xml(Pointer),
    /// FHIR resources and Bundles, in JSON, XML or NDJSON.
    Fhir,
    /// DICOM JSON (PS3.18 annex F), which also tells whose each study is.
    DicomJson,
    /// DICOM files (PS3.10), alone or in `multipart/related`, which tell the same.
    Dicom,
}

impl PatientSources {
    /// How much of a body is looked at; `None` where nothing of it is.
    #[must_use]
    pub fn looks_at(&self, side: Side) -> Option<usize> {
        let of = |source: &PatientSource| match source {
            PatientSource::Body(body) => (body.side == side).then_some(body.bytes_max),
            PatientSource::Form(_) | PatientSource::FhirSearch => (side == Side::Request).then_some(REQUEST_LOOKED_AT),
            PatientSource::Path(_) | PatientSource::Query(_) | PatientSource::Header(_) | PatientSource::Study => None,
        };
        self.sources.iter().filter_map(of).max()
    }

    /// The fields of an answer's head that name patients.
    pub fn headers(&self) -> impl Iterator<Item = &AnswerHeader> {
        self.sources.iter().filter_map(|source| match source {
            PatientSource::Header(header) => Some(header),
            PatientSource::Path(_)
            | PatientSource::Query(_)
            | PatientSource::Form(_)
            | PatientSource::FhirSearch
            | PatientSource::Body(_)
            | PatientSource::Study => None,
        })
    }
}

/// A regular expression whose group is an id: the group named `patient`, or the first one.
#[derive(Clone)]
pub struct IdPattern {
    regex: Regex,
    group: usize,
}

/// Why a text is not such an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdPatternProblem {
    /// Not an expression that is understood.
    #[error("cannot be read as a regular expression: {0}")]
    Syntax(String),
    /// Too long, or too large when compiled.
    #[error("is too large")]
    TooLarge,
    /// No group says what of it is the id.
    #[error("has no group that says which part is the patient")]
    NoGroup,
}

impl IdPattern {
    /// Reads an expression such as `^/chart-(?<patient>[0-9]+)\.html$`.
    ///
    /// # Errors
    /// [`IdPatternProblem`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, IdPatternProblem> {
        if text.len() > REGEX_BYTES_MAX {
            return Err(IdPatternProblem::TooLarge);
        }
        let regex = RegexBuilder::new(text).size_limit(REGEX_MEMORY_MAX).build().map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                IdPatternProblem::TooLarge
            } else {
                IdPatternProblem::Syntax(last_line(&error.to_string()))
            }
        })?;
        let group = regex.capture_names().position(|name| name == Some("patient")).unwrap_or(1);
        if group >= regex.captures_len() {
            return Err(IdPatternProblem::NoGroup);
        }
        Ok(Self { regex, group })
    }

    /// The parts of a text that are ids.
    pub fn find<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        self.regex.captures_iter(text).filter_map(|found| found.get(self.group).map(|part| part.as_str()))
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }
}

/// What is wrong, without the picture of the expression above it.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

impl PartialEq for IdPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for IdPattern {}

impl fmt::Debug for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in a JSON or XML document an id stands: names with `/` before each, `*` for any one name or place in a list,
/// `**` for any number of them. In JSON otherwise as RFC 6901 says; in XML names are those of elements, without prefix,
/// the last of an attribute where it begins with `@`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    text: Box<str>,
    steps: Vec<PointerStep>,
}

/// One step of a [`Pointer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointerStep {
    /// The member, element or attribute of this name, or this place in a list.
    Name(Box<str>),
    /// Any one.
    Any,
    /// Any number of them, also none.
    Deep,
}

/// Why a text is not a pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerProblem {
    /// Does not begin with `/`, or has nothing between two.
    #[error("is not names with `/` before each")]
    Form,
    /// Too many steps.
    #[error("has more than {POINTER_STEPS_MAX} steps")]
    TooLong,
    /// `~` before something else than `0` or `1`.
    #[error("has a `~` that RFC 6901 does not know")]
    Escape,
    /// Nothing but `**` at its end, which is everything.
    #[error("ends with `**`")]
    Everything,
}

impl Pointer {
    /// Reads a pointer such as `/entry/*/resource/subject/reference`.
    ///
    /// # Errors
    /// [`PointerProblem`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PointerProblem> {
        let rest = text.strip_prefix('/').ok_or(PointerProblem::Form)?;
        let steps: Vec<_> = rest.split('/').map(step).collect::<Result<_, _>>()?;
        if steps.len() > POINTER_STEPS_MAX {
            return Err(PointerProblem::TooLong);
        }
        if steps.last() == Some(&PointerStep::Deep) {
            return Err(PointerProblem::Everything);
        }
        Ok(Self { text: text.into(), steps })
    }

    /// Its steps.
    #[must_use]
    pub fn steps(&self) -> &[PointerStep] {
        &self.steps
    }

    /// The pointer as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn step(text: &str) -> Result<PointerStep, PointerProblem> {
    match text {
        "" => Err(PointerProblem::Form),
        "*" => Ok(PointerStep::Any),
        "**" => Ok(PointerStep::Deep),
        _ => {
            let plain = text.replace("~0", "").replace("~1", "");
            if plain.contains('~') {
                return Err(PointerProblem::Escape);
            }
            Ok(PointerStep::Name(text.replace("~1", "/").replace("~0", "~").into()))
        }
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_takes_its_group_out_of_a_text() {
        let taken = |pattern: &str, text: &str| {
            IdPattern::parse(pattern).unwrap().find(text).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(taken(r"^/chart-(?<patient>[0-9]+)\.html$", "/chart-12.html"), ["12"]);
        assert_eq!(taken(r"(a)(?<patient>[0-9])", "a1a2"), ["1", "2"]);
        assert_eq!(taken(r"p=([0-9]+)", "none"), [""; 0]);
    }

    #[test]
    fn what_takes_nothing_or_too_much_is_no_expression() {
        assert_eq!(IdPattern::parse("[0-9]+"), Err(IdPatternProblem::NoGroup));
        assert!(matches!(IdPattern::parse("("), Err(IdPatternProblem::Syntax(_))));
        assert_eq!(IdPattern::parse(&"(a)".repeat(200)), Err(IdPatternProblem::TooLarge));
        assert_eq!(IdPattern::parse(r"(\w{900}{900})"), Err(IdPatternProblem::TooLarge));
    }

    #[test]
    fn pointers_are_names_with_slashes() {
        let steps = |text: &str| Pointer::parse(text).unwrap().steps().to_vec();
        let name = |text: &str| PointerStep::Name(text.into());
        assert_eq!(steps("/a~1b/*/**/c~0d"), [name("a/b"), PointerStep::Any, PointerStep::Deep, name("c~d")]);
        assert_eq!(steps("/**/Patient_ID"), [PointerStep::Deep, name("Patient_ID")]);
        for (text, problem) in [
            ("a", PointerProblem::Form),
            ("/a//b", PointerProblem::Form),
            ("/a/", PointerProblem::Form),
            ("", PointerProblem::Form),
            ("/a~2", PointerProblem::Escape),
            ("/a/**", PointerProblem::Everything),
        ] {
            assert_eq!(Pointer::parse(text), Err(problem), "{text}");
        }
        assert_eq!(Pointer::parse(&"/a".repeat(33)), Err(PointerProblem::TooLong));
    }

    #[test]
    fn a_route_says_how_much_of_each_body_it_looks_at() {
        let body = |side, bytes_max| PatientSource::Body(BodySource { side, form: BodyForm::Fhir, bytes_max });
        let of = |sources: Vec<PatientSource>| {
            let sources = PatientSources { sources, ids: PatientIds::default() };
            (sources.looks_at(Side::Request), sources.looks_at(Side::Answer))
        };
        assert_eq!(of(vec![PatientSource::Study]), (None, None));
        assert_eq!(of(vec![body(Side::Answer, 5), body(Side::Answer, 7)]), (None, Some(7)));
        assert_eq!(of(vec![PatientSource::FhirSearch]), (Some(REQUEST_LOOKED_AT), None));
    }
}
