//! Whom a request is about, as far as its path, its query and what is known of studies tell before it is judged.

use std::sync::Arc;

use identity::NamedWard;
use patient::{Asked, Found};
use policy::{Access, AppId, Method, Path, PatientSources, Patients, RouteNumber, Side, Timestamp};

use crate::gate::Gate;
use crate::route::{Routed, Target};
use crate::snapshot::Snapshot;

/// Whom a request is about, and where more of it may be told.
#[derive(Debug)]
pub struct About {
    /// Those that the request names, for its opening line.
    pub patients: Patients,
    /// Where more may be named.
    pub sources: Arc<PatientSources>,
    /// The pattern of its route.
    pub pattern: Arc<str>,
    /// Its app.
    pub app: AppId,
    /// Its path.
    pub path: Path,
    /// The ward that it names.
    pub ward: NamedWard,
    /// Whether it is asked by GET, so that it can carry nothing that its answer would repeat.
    pub is_get: bool,
    /// Whether it names nobody, and may be about anybody: a body tells, or a study of which nothing is known.
    pub is_about_anybody: bool,
    /// The study whose parts are one record, where the route folds.
    folded: Option<Box<str>>,
}

impl About {
    /// What a request tells by a route that fits it; `None` where the route names no patient.
    pub fn of(gate: &Gate, snapshot: &Snapshot, routed: &Routed, number: Option<RouteNumber>) -> Option<Arc<Self>> {
        let Target::App(route) = &routed.target else { return None };
        let inbound = &routed.inbound;
        let asked = (&inbound.method, &inbound.path, inbound.query.as_deref());
        Self::by_route(gate, snapshot, &route.app.id, asked, inbound.at, number)
    }

    /// The same of a request that is only named.
    pub fn named(
        gate: &Gate,
        snapshot: &Snapshot,
        access: &Access,
        query: Option<&str>,
        number: Option<RouteNumber>,
    ) -> Option<Arc<Self>> {
        Self::by_route(gate, snapshot, &access.app, (&access.method, &access.path, query), access.at, number)
    }

    fn by_route(
        gate: &Gate,
        snapshot: &Snapshot,
        app: &AppId,
        (method, path, query): (&Method, &Path, Option<&str>),
        at: Timestamp,
        number: Option<RouteNumber>,
    ) -> Option<Arc<Self>> {
        let number = number?;
        let classifier = snapshot.policy.classifier(app);
        let told = classifier.about_patients(number)?;
        let sources = Arc::clone(told.sources);
        let (patient, study) = (classifier.patient(number, path), classifier.study(number, path));
        let mut found = Found::new(&sources.ids);
        let asked = Asked { path, patient: patient.as_deref(), study: study.as_deref(), query };
        patient::of_request(&sources, asked, &mut found);
        let studies = found.studies().to_vec();
        for patient in gate.desk.patients_of(app, &studies, at) {
            found.patient(&patient);
        }
        let (patients, _) = found.finish();
        let folded = match &*studies {
            // Where only answers name the patient, they would wait in memory for the closing line of all.
            [study] if told.folds && !patients.ids.is_empty() => Some(study.clone()),
            _ => None,
        };
        let pattern = Arc::clone(told.pattern);
        let ward = super::named_ward(classifier, Some(number), path, query);
        let is_get = method.as_str() == "GET";
        let is_about_anybody = patients.ids.is_empty() && (!studies.is_empty() || tells_later(&sources, is_get));
        let (app, path) = (app.clone(), path.clone());
        Some(Arc::new(Self { patients, sources, pattern, app, path, ward, is_get, is_about_anybody, folded }))
    }

    /// An access by a route with these sources.
    #[cfg(test)]
    pub fn by(sources: PatientSources) -> Arc<Self> {
        let (app, path) = ("emr".parse().unwrap(), Path::parse("/x").unwrap());
        let patients = Patients::default();
        let (sources, pattern, ward) = (Arc::new(sources), "/x".into(), NamedWard::Nothing);
        let (is_get, is_about_anybody) = (true, tells_later(&sources, true));
        Arc::new(Self { patients, sources, pattern, app, path, ward, is_get, is_about_anybody, folded: None })
    }

    /// What the opening line says of it.
    pub fn opening(&self) -> audit::About<'_> {
        audit::About { patients: &self.patients, folded: self.folded.as_deref() }
    }

    /// Whether something of a body is looked at.
    pub fn looks_at(&self, side: Side) -> bool {
        self.sources.looks_at(side).is_some()
    }
}

/// Whether what comes after the head of a request says whom it is about.
fn tells_later(sources: &PatientSources, is_get: bool) -> bool {
    let by_request = !is_get && sources.looks_at(Side::Request).is_some();
    by_request || sources.looks_at(Side::Answer).is_some() || sources.headers().next().is_some()
}

#[cfg(test)]
mod tests {
    use policy::{BodyForm, BodySource, PatientSource};

    use super::*;

    #[test]
    fn who_is_named_only_later_may_be_anybody() {
        let body = |side| PatientSource::Body(BodySource { side, form: BodyForm::Fhir, bytes_max: 1 << 16 });
        let of = |sources: Vec<PatientSource>| PatientSources { sources, ..PatientSources::default() };
        for (sources, by_get, by_post) in [
            (vec![], false, false),
            (vec![PatientSource::Study], false, false),
            (vec![PatientSource::FhirSearch], false, true),
            (vec![body(Side::Request)], false, true),
            (vec![body(Side::Answer)], true, true),
        ] {
            let sources = of(sources);
            assert_eq!(tells_later(&sources, true), by_get, "{sources:?}");
            assert_eq!(tells_later(&sources, false), by_post, "{sources:?}");
        }
    }
}
