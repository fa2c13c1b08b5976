//! What somebody would reach by breaking the glass: for the offer on a refusal, and once more for the form that takes it,
//! so that nothing rests on what a page held.

use std::sync::Arc;

use policy::{Access, Method, Path, Reasons, Refused, Verdict};
use url::form_urlencoded;
use web::GlassDoor;

use crate::patients::About;
use crate::route::{Routed, Target};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// What whoever was refused would reach, where they may break the glass for it.
pub fn offered(worker: &Worker, refused: &Refused<Routed>, about: Option<&About>) -> Option<GlassDoor> {
    let Target::App(route) = &refused.act.target else { return None };
    may_break(worker, &refused.access, &refused.reasons).then(|| GlassDoor {
        app: route.app.id.clone(),
        method: refused.access.method.clone(),
        path: refused.access.path.clone(),
        query: refused.act.inbound.query.clone().unwrap_or_default(),
        patient: about.and_then(the_patient),
        is_open: false,
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
    access.grant = worker.gate.grant_for(&access, about.as_deref());
    let is_open = match worker.judge(snapshot, access.clone(), ()) {
        // What is only to be proven is asked for by the app's own address.
        Verdict::Allow(_) | Verdict::Challenge(..) => true,
        Verdict::Deny(refused) if may_break(worker, &access, &refused.reasons) => false,
        Verdict::Deny(_) => return None,
    };
    let patient = about.as_deref().and_then(the_patient);
    Some(GlassDoor { app: route.app.id.clone(), method, path, query, patient, is_open })
}

fn may_break(worker: &Worker, access: &Access, reasons: &Reasons) -> bool {
    let may = |who: &Arc<policy::Who>| worker.gate.grants.may_break(who, access.device.as_deref(), reasons);
    access.who.as_ref().is_some_and(may)
}

/// The one patient that a request is about; a list of many opens the app's own part for emergencies.
fn the_patient(about: &About) -> Option<String> {
    match &*about.patients.ids {
        [one] => Some(one.to_string()),
        [] | [_, ..] => None,
    }
}
