//! Which app or page a request is for, and what it would do there. The path matched here is the path judged and sent.

use std::sync::Arc;

use config::Shield;
use identity::{NamedWard, Session};
use policy::{Access, Action, AppId, Device, From, InfoClass, Method, RouteNumber};
use web::{Fault, HostKind, Page, TerminalPage};

use crate::inbound::{Inbound, Switch};
use crate::patients::named_ward;
use crate::snapshot::{AppRoute, Snapshot};

/// A request that has a target.
#[derive(Debug)]
pub struct Routed {
    /// What it is for.
    pub target: Target,
    /// The request.
    pub inbound: Box<Inbound>,
    /// The session it carries, once that was looked up.
    pub session: Option<Arc<Session>>,
}

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Target {
    /// An app behind the gateway.
    App(Arc<AppRoute>),
    /// A page of our own.
    Page(Page, AppId),
}

/// Finds the target of a request.
///
/// # Errors
/// [`Fault::Misdirected`] for a host that is not ours, [`Fault::NotFound`] where there is no app or page.
pub fn route(snapshot: &Snapshot, inbound: Box<Inbound>) -> Result<Routed, (Fault, &'static str, Box<Inbound>)> {
    let Some(host) = snapshot.routes.host(&inbound.host) else {
        return Err((Fault::Misdirected, "host-unknown", inbound));
    };
    let is_stream = inbound.switch == Switch::Tunnel;
    if is_stream && (host.kind != HostKind::Tunnel || web::is_reserved(&inbound.path)) {
        return Err((Fault::BadRequest, "connect", inbound));
    }
    // On an app's host, what is not reserved is the app's; of a TCP app only its streams are.
    if is_stream || (host.kind == HostKind::App && !web::is_reserved(&inbound.path)) {
        return match host.app(&inbound.path) {
            Some(app) => Ok(Routed { target: Target::App(Arc::clone(app)), inbound, session: None }),
            None => Err((Fault::NotFound, "no-such-app-or-page", inbound)),
        };
    }
    let Some(page) = page_of(host.kind, &inbound) else {
        return Err((Fault::NotFound, "no-such-app-or-page", inbound));
    };
    let app = match page.built_in() {
        Some(part) => AppId::parse(part.app_id()).ok(),
        None => host.app(&inbound.path).map(|route| route.app.id.clone()),
    };
    match app {
        Some(app) => Ok(Routed { target: Target::Page(page, app), inbound, session: None }),
        None => Err((Fault::Internal, "app-id", inbound)),
    }
}

/// Which page a request is for. The stream of a terminal is asked for by a WebSocket alone, and over HTTP/2 a WebSocket is
/// no other page.
fn page_of(kind: HostKind, inbound: &Inbound) -> Option<Page> {
    const STREAM: Page = Page::Terminal(TerminalPage::Stream);
    match inbound.switch {
        Switch::WebSocketOverHttp2 => {
            web::route(kind, &Method::parse("GET")?, &inbound.path).filter(|page| *page == STREAM)
        }
        Switch::WebSocket => web::route(kind, &inbound.method, &inbound.path),
        Switch::No | Switch::Tunnel => web::route(kind, &inbound.method, &inbound.path).filter(|page| *page != STREAM),
    }
}

impl Routed {
    /// Every fact of the question, and which of the app's routes fits.
    pub fn access(&self, snapshot: &Snapshot, device: Option<Arc<Device>>) -> (Access, Option<RouteNumber>) {
        let inbound = &self.inbound;
        let (action, class, number) = self.classified(snapshot);
        let connection = &inbound.connection;
        let access = Access {
            request: inbound.id,
            at: inbound.at,
            app: self.app_id().clone(),
            action,
            class,
            method: inbound.method.clone(),
            host: inbound.host.clone(),
            path: inbound.path.clone(),
            who: self.session.as_ref().map(|session| Arc::clone(&session.who)),
            device,
            from: From { address: connection.address, zone: connection.zone.clone() },
            grant: None,
        };
        (access, number)
    }

    /// The ward that the request names, by the route that fits it.
    pub fn ward(&self, snapshot: &Snapshot, number: Option<RouteNumber>) -> NamedWard {
        let classifier = snapshot.policy.classifier(self.app_id());
        named_ward(classifier, number, &self.inbound.path, self.inbound.query.as_deref())
    }

    /// The app, as policy and log name it.
    pub fn app_id(&self) -> &AppId {
        match &self.target {
            Target::App(route) => &route.app.id,
            Target::Page(_, app) => app,
        }
    }

    /// What shields the app, where anything does.
    pub fn shield(&self) -> Option<&Shield> {
        match &self.target {
            Target::App(route) => route.app.shield.as_ref(),
            Target::Page(..) => None,
        }
    }

    /// What it would do, and to which information: as the app's routes say. A WebSocket connects, whatever its path.
    fn classified(&self, snapshot: &Snapshot) -> (Action, Option<InfoClass>, Option<RouteNumber>) {
        let inbound = &self.inbound;
        let route = match &self.target {
            Target::App(route) => route,
            Target::Page(page, _) if page.built_in().is_some() => return (inbound.action(), None, None),
            Target::Page(Page::Terminal(page), _) => return (page.action(), None, None),
            // The other pages of a TCP app say how to connect to it, and let programs in.
            Target::Page(..) => return (Action::Connect, None, None),
        };
        let classified = snapshot.policy.classifier(&route.app.id).classify(&inbound.method, &inbound.path);
        let action = match inbound.switch {
            Switch::No => classified.action,
            Switch::WebSocket | Switch::WebSocketOverHttp2 | Switch::Tunnel => Action::Connect,
        };
        (action, classified.class, classified.route)
    }
}
