//! Somebody of a vendor at the portal, and what every page needs to answer them. For everybody else these pages do not
//! exist.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use policy::{Timestamp, UserId, Who};
use store::{GrantRecord, Store};

use super::told::{Teller, grant_id};
use super::view::PortalPage;
use crate::console::view::{ConsoleContent, Flash, MarkTone};
use crate::site::store_fault;
use crate::texts::Voice;
use crate::view::show;
use crate::{Fault, PageRequest, Site, headers, language, query};

/// What a change may send on to the next page as `done`.
pub(super) const DONE: [&str; 5] = ["asked", "withdrawn", "ended", "reported", "person-disabled"];

/// Somebody of a vendor.
pub(super) struct Visitor<'a> {
    pub(super) site: &'a Site,
    pub(super) request: &'a PageRequest,
    pub(super) who: Arc<Who>,
    pub(super) voice: Voice<'a>,
}

impl<'a> Visitor<'a> {
    /// Whoever is signed in on this device and comes for a vendor; for nobody else is there anything here.
    pub(super) fn of(site: &'a Site, request: &'a PageRequest) -> Result<Self, Fault> {
        let session = request.usable_session().ok_or(Fault::SignInExpired)?;
        if !site.is_vendors(&session.who) {
            return Err(Fault::NotFound);
        }
        if request.method.as_str() == "POST" {
            site.check_origin(request)?;
        }
        Ok(Self { site, request, who: Arc::clone(&session.who), voice: site.voice(language(&request.headers)) })
    }

    pub(super) fn teller(&self) -> Teller<'a> {
        Teller { site: self.site, voice: self.voice, at: self.at() }
    }

    pub(super) fn store(&self) -> &'a dyn Store {
        self.site.parts.store.as_ref()
    }

    pub(super) fn at(&self) -> Timestamp {
        self.request.at
    }

    pub(super) fn say(&self, key: &str) -> String {
        self.voice.say(key)
    }

    /// Part of the path, counted from 0.
    pub(super) fn named(&self, place: usize) -> &'a str {
        self.request.path.as_str().split('/').nth(place + 1).unwrap_or_default()
    }

    /// Their own request that the path names; what is not theirs does not exist.
    pub(super) async fn own(&self) -> Result<GrantRecord, Fault> {
        let id = grant_id(self.named(2)).ok_or(Fault::NotFound)?;
        let found = self.store().grant(&id).await.map_err(|problem| store_fault(&problem))?;
        found.filter(|record| record.person == self.who.user && record.maintenance().is_some()).ok_or(Fault::NotFound)
    }

    /// From which vendor somebody comes.
    pub(super) async fn vendor_of(&self, person: &UserId) -> Result<Option<String>, Fault> {
        let vendors = self.store().vendors().await.map_err(|problem| store_fault(&problem))?;
        Ok(vendors.into_iter().find(|(id, _)| id == person).map(|(_, vendor)| vendor))
    }

    /// Shows a page.
    pub(super) fn show(&self, page: ConsoleContent) -> Response<Bytes> {
        let done = query::field(self.request.query.as_bytes(), "done").filter(|done| DONE.contains(&done.as_str()));
        let flash = done.map(|done| Flash {
            tone: MarkTone::Good,
            text: self.say(&format!("maintenance-done-{done}")),
            lines: Vec::new(),
        });
        self.show_as(StatusCode::OK, flash, page)
    }

    /// Shows a page with what stood in the way; nothing was changed.
    pub(super) fn show_problem(&self, problem: String, page: ConsoleContent) -> Response<Bytes> {
        let flash = Flash { tone: MarkTone::Bad, text: problem, lines: Vec::new() };
        self.show_as(StatusCode::UNPROCESSABLE_ENTITY, Some(flash), page)
    }

    fn show_as(&self, status: StatusCode, flash: Option<Flash>, page: ConsoleContent) -> Response<Bytes> {
        show(status, &PortalPage { frame: self.site.frame_of(self.request), flash, page })
    }

    /// On to a page after a change.
    pub(super) fn go(&self, place: &str, done: &'static str) -> Response<Bytes> {
        headers::redirect(StatusCode::SEE_OTHER, &format!("{place}?done={done}"))
    }
}
