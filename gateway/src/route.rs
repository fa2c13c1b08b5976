//! Which app or page a request is for, and what it would do there. The path matched here is the path judged and sent.

use std::sync::Arc;

use identity::Session;
use policy::{Access, Action, AppId, Device, From};
use web::{Fault, HostKind, Page};

use crate::inbound::Inbound;
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
    // On an app's host, what is not reserved is the app's.
    if host.kind == HostKind::App && !web::is_reserved(&inbound.path) {
        return match host.app(&inbound.path) {
            Some(app) => Ok(Routed { target: Target::App(Arc::clone(app)), inbound, session: None }),
            None => Err((Fault::NotFound, "no-such-app-or-page", inbound)),
        };
    }
    let Some(page) = web::route(host.kind, &inbound.method, &inbound.path) else {
        return Err((Fault::NotFound, "no-such-app-or-page", inbound));
    };
    match AppId::parse(page.built_in().app_id()) {
        Ok(app) => Ok(Routed { target: Target::Page(page, app), inbound, session: None }),
        Err(_) => Err((Fault::Internal, "app-id", inbound)),
    }
}

impl Routed {
    /// Every fact of the question.
    pub fn access(&self, device: Option<Arc<Device>>) -> Access {
        let inbound = &self.inbound;
        let connection = &inbound.connection;
        Access {
            request: inbound.id,
            at: inbound.at,
            app: self.app_id().clone(),
            action: self.action(),
            class: None,
            method: inbound.method.clone(),
            host: inbound.host.clone(),
            path: inbound.path.clone(),
            who: self.session.as_ref().map(|session| Arc::clone(&session.who)),
            device,
            from: From { address: connection.address, zone: connection.zone.clone() },
            grant: None,
        }
    }

    /// The app, as policy and log name it.
    pub fn app_id(&self) -> &AppId {
        match &self.target {
            Target::App(route) => &route.app.id,
            Target::Page(_, app) => app,
        }
    }

    /// What it would do: by method, but where the app says that POST only reads.
    fn action(&self) -> Action {
        let action = self.inbound.action();
        let Target::App(route) = &self.target else { return action };
        let reads_by_post = action == Action::Write
            && self.inbound.method.as_str() == "POST"
            && route.app.reads_by_post.iter().any(|pattern| pattern.matches(&self.inbound.path));
        if reads_by_post { Action::Read } else { action }
    }
}
