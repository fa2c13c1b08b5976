//! Routes that ship: which paths and methods of common interfaces are which information, which of them search or
//! export, and where they name their patients. A hospital's own routes come before a template's.

mod dicomweb;
mod fhir_r4;
mod orca;

use std::sync::Arc;

use crate::{Action, ClassRoute, InfoClass, Method, Path, PatientIds, PatientSource, PatientSources, RoutePattern};

/// An interface whose routes are known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Template {
    /// HL7 FHIR R4, RESTful API.
    FhirR4,
    /// DICOM PS3.18 web services.
    Dicomweb,
    /// The API of 日医標準レセプトソフト (ORCA).
    Orca,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FhirR4, Self::Dicomweb, Self::Orca];

    /// Its word in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FhirR4 => "fhir-r4",
            Self::Dicomweb => "dicomweb",
            Self::Orca => "orca",
        }
    }

    /// Where the interface usually begins.
    #[must_use]
    pub fn usual_base(self) -> &'static str {
        match self {
            Self::FhirR4 => "/fhir",
            Self::Dicomweb => "/dicom-web",
            Self::Orca => "/",
        }
    }

    /// The routes of the interface, below the path where it begins.
    #[must_use]
    pub fn routes(self, base: &Path) -> Vec<ClassRoute> {
        self.routes_with(base, &PatientIds::default())
    }

    /// The same, with how the ids of patients are written.
    #[must_use]
    pub fn routes_with(self, base: &Path, ids: &PatientIds) -> Vec<ClassRoute> {
        let rows = match self {
            Self::FhirR4 => fhir_r4::rows(),
            Self::Dicomweb => dicomweb::rows(),
            Self::Orca => orca::rows(),
        };
        let base = base.as_str().trim_end_matches('/');
        let mut known = Vec::new();
        rows.iter().filter_map(|row| row.route(base, ids, &mut known)).collect()
    }
}

/// An information class that the templates use, with how people read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum BuiltInClass {
    /// 患者基本情報
    PatientIdentity,
    /// 診療記録
    Chart,
    /// 検査結果
    LabResults,
    /// 画像
    Images,
    /// 処方・注射・予防接種
    Medications,
    /// 予約
    Scheduling,
    /// 会計・レセプト
    Billing,
    /// 管理・マスター
    Administrative,
    /// 一括処理: requests that hold others, which nobody looks into
    Batch,
}

impl BuiltInClass {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::PatientIdentity,
        Self::Chart,
        Self::LabResults,
        Self::Images,
        Self::Medications,
        Self::Scheduling,
        Self::Billing,
        Self::Administrative,
        Self::Batch,
    ];

    /// Its word in configuration, policy and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PatientIdentity => "patient-identity",
            Self::Chart => "chart",
            Self::LabResults => "lab-results",
            Self::Images => "images",
            Self::Medications => "medications",
            Self::Scheduling => "scheduling",
            Self::Billing => "billing",
            Self::Administrative => "administrative",
            Self::Batch => "batch",
        }
    }

    /// Its name in Japanese.
    #[must_use]
    pub fn ja(self) -> &'static str {
        match self {
            Self::PatientIdentity => "患者基本情報",
            Self::Chart => "診療記録",
            Self::LabResults => "検査結果",
            Self::Images => "画像",
            Self::Medications => "処方・注射",
            Self::Scheduling => "予約",
            Self::Billing => "会計・レセプト",
            Self::Administrative => "管理・マスター",
            Self::Batch => "一括処理",
        }
    }

    /// Its name in English.
    #[must_use]
    pub fn en(self) -> &'static str {
        match self {
            Self::PatientIdentity => "Patient identity",
            Self::Chart => "Chart",
            Self::LabResults => "Laboratory results",
            Self::Images => "Images",
            Self::Medications => "Medications",
            Self::Scheduling => "Scheduling",
            Self::Billing => "Billing",
            Self::Administrative => "Administration",
            Self::Batch => "Batches of requests",
        }
    }

    /// The class.
    #[must_use]
    pub fn class(self) -> InfoClass {
        InfoClass::parse(self.as_str()).expect("the words above are names")
    }
}

/// One row of a template's table.
struct Row {
    /// Methods with a space between; empty for all.
    methods: &'static str,
    /// Below the base.
    pattern: String,
    action: Option<Action>,
    class: BuiltInClass,
    /// Where its patients are, beside the path.
    patients: Vec<PatientSource>,
    /// Whether requests for parts of one study are one record.
    folds: bool,
}

impl Row {
    fn new(methods: &'static str, pattern: impl Into<String>, action: Option<Action>, class: BuiltInClass) -> Self {
        Self { methods, pattern: pattern.into(), action, class, patients: Vec::new(), folds: false }
    }

    fn naming(self, patients: Vec<PatientSource>) -> Self {
        Self { patients, ..self }
    }

    fn folded(self) -> Self {
        Self { folds: true, ..self }
    }

    /// Never `None`: a test reads every row. Rows that name their patients alike share what says so, in `known`.
    fn route(&self, base: &str, ids: &PatientIds, known: &mut Vec<Arc<PatientSources>>) -> Option<ClassRoute> {
        let text = format!("{base}{}", self.pattern);
        let pattern = RoutePattern::parse(if text.is_empty() { "/" } else { &text }).ok()?;
        let names_some = !self.patients.is_empty() || pattern.names_patient() || pattern.names_study();
        Some(ClassRoute {
            methods: self.methods.split_ascii_whitespace().filter_map(Method::parse).collect(),
            pattern,
            action: self.action,
            class: self.class.class(),
            patients: names_some.then(|| shared(known, &self.patients, ids)),
            folds: self.folds,
            ward_field: None,
        })
    }
}

fn shared(known: &mut Vec<Arc<PatientSources>>, sources: &[PatientSource], ids: &PatientIds) -> Arc<PatientSources> {
    if let Some(same) = known.iter().find(|one| one.sources == sources) {
        return Arc::clone(same);
    }
    let made = Arc::new(PatientSources { sources: sources.to_vec(), ids: ids.clone() });
    known.push(Arc::clone(&made));
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Classifier;

    fn base(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    /// What a template says of requests below its usual base.
    #[track_caller]
    pub(super) fn check(template: Template, expected: &[(&str, &str)]) {
        let classifier = Classifier::of(&template.routes(&base(template.usual_base())));
        for (request, told) in expected {
            let (method, path) = request.split_once(' ').unwrap();
            let path = Path::parse(path).unwrap();
            let found = classifier.classify(&Method::parse(method).unwrap(), &path);
            let class = found.class.map_or_else(|| "-".to_owned(), |class| class.to_string());
            let patient = found.patient.map_or_else(String::new, |patient| format!(" of {patient}"));
            assert_eq!(format!("{} {class}{patient}", found.action.as_str()), *told, "{request}");
        }
    }

    #[test]
    fn every_row_is_a_route_wherever_the_interface_begins() {
        for template in Template::ALL {
            let rows = match template {
                Template::FhirR4 => fhir_r4::rows(),
                Template::Dicomweb => dicomweb::rows(),
                Template::Orca => orca::rows(),
            };
            for place in ["/", "/fhir", "/a/b%20c"] {
                assert_eq!(template.routes(&base(place)).len(), rows.len(), "{template:?} below {place}");
            }
        }
    }

    #[test]
    fn every_class_is_one_that_some_template_uses() {
        let used: Vec<_> =
            Template::ALL.into_iter().flat_map(|one| one.routes(&base("/"))).map(|route| route.class).collect();
        for class in BuiltInClass::ALL {
            assert!(used.contains(&class.class()), "{class:?}");
        }
    }
}
