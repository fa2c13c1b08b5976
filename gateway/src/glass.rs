//! What somebody would reach by breaking the glass: for the offer on a refusal, and once more for the form that takes it,
//! so that nothing rests on what a page held.

use std::sync::Arc;

use identity::NamedWard;
use policy::{Access, AppId, Method, Path, Reasons, Refused, Timestamp, Unit, Verdict};
use url::form_urlencoded;
use web::GlassDoor;

use crate::gate::Gate;
use crate::patients::{About, named_ward};
use crate::route::{Routed, Target};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// What whoever was refused would reach, where they may break the glass for it.
pub fn offered(
    worker: &Worker,
    snapshot: &Snapshot,
    refused: &Refused<Routed>,
    about: Option<&About>,
) -> Option<GlassDoor> {
    let Target::App(route) = &refused.act.target else { return None };
    let access = &refused.access;
    may_break(worker, access, &refused.reasons).then(|| {
        let (app, method, path) = (route.app.id.clone(), access.method.clone(), access.path.clone());
        let number = snapshot.policy.classifier(&app).classify(&method, &path).route;
        let (patient, ward) = whose(&worker.gate, &app, about, &refused.act.ward(snapshot, number), access.at);
        let query = refused.act.inbound.query.clone().unwrap_or_default();
        GlassDoor { app, method, path, query, patient, ward, is_open: false }
    })
}

/// What a posted form names, judged anew: `asked` is the access to the page that takes it. Nothing where it cannot be
/// read, or where breaking the glass would not open it.
pub fn named(worker: &Worker, snapshot: &Snapshot, asked: &Access, form: &[u8]) -> Option<GlassDoor> {
    let field = |name: &str| form_urlencoded::parse(form).find(|(found, _)| found == name).map(|(_, value)| value);
    let method = Method::parse(&field("method")?)?;
    let path = Path::parse(&field("path")?).ok().filter(|path| !web::is_reserved(path))?;
    let query = field("query").unwrap_or_default().into_owned();
    let route = snapshot.routes.host(&asked.host)?.app(&path)?;
    let found = snapshot.policy.classifier(&route.app.id).classify(&method, &path);
    let (action, class, number) = (found.action, found.class, found.route);
    let mut access = Access {
        app: route.app.id.clone(),
        action,
        class,
        method: method.clone(),
        path: path.clone(),
        grant: None,
        ..asked.clone()
    };
    let about = About::named(&worker.gate, snapshot, &access, Some(&query), number);
    let ward = named_ward(snapshot.policy.classifier(&route.app.id), number, &path, Some(&query));
    access.grant = worker.gate.grant_for(&access, about.as_deref(), || ward.clone());
    let is_open = match worker.judge(snapshot, access.clone(), ()) {
        // What is only to be proven is asked for by the app's own address.
        Verdict::Allow(_) | Verdict::Challenge(..) => true,
        Verdict::Deny(refused) if may_break(worker, &access, &refused.reasons) => false,
        Verdict::Deny(_) => return None,
    };
    let (patient, ward) = whose(&worker.gate, &route.app.id, about.as_deref(), &ward, access.at);
    Some(GlassDoor { app: route.app.id.clone(), method, path, query, patient, ward, is_open })
}

fn may_break(worker: &Worker, access: &Access, reasons: &Reasons) -> bool {
    let may = |who: &Arc<policy::Who>| worker.gate.grants.may_break(who, access.device.as_deref(), reasons);
    access.who.as_ref().is_some_and(may)
}

/// What the glass would be broken for: the one patient that a request is about, else the ward that it names or in which
/// everybody whom it names is known to be; neither where nothing tells, which opens the app as the rules allow.
fn whose(
    gate: &Gate,
    app: &AppId,
    about: Option<&About>,
    named: &NamedWard,
    at: Timestamp,
) -> (Option<String>, Option<Unit>) {
    let patients = about.map_or(&[][..], |about| &about.patients.ids);
    if let [one] = patients {
        return (Some(one.to_string()), None);
    }
    let ward = match named {
        NamedWard::One(ward) => Some(ward.clone()),
        NamedWard::Unclear => None,
        NamedWard::Nothing => the_place(patients.iter().map(|patient| gate.desk.place_of(app, patient, at))),
    };
    (None, ward)
}

/// The ward that all places are; nothing where one is not known, or they differ.
fn the_place(mut places: impl Iterator<Item = Option<Unit>>) -> Option<Unit> {
    let first = places.next()??;
    places.all(|place| place.as_ref() == Some(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_in_one_ward_are_in_that_ward_and_no_others() {
        let place = |name: &str| Unit::parse(name);
        assert_eq!(the_place([place("3F"), place("３Ｆ")].into_iter()), place("3F"));
        for places in
            [vec![], vec![None], vec![place("3F"), None], vec![None, place("3F")], vec![place("3F"), place("4F")]]
        {
            assert_eq!(the_place(places.clone().into_iter()), None, "{places:?}");
        }
    }
}
