//! The administration console: people, invitations, devices, sessions, posture, outages, who may do what, and who did.
//!
//! The policy lets in whoever has a part in it (administrator, help desk, auditor); what each of them may do to which
//! object is decided here, before anything is shown or changed. Deliberately not here: how a change is made
//! (identity, store) and how it is recorded (the store's events, which the gateway writes to the log).

mod approval;
mod desk;
mod device;
mod device_form;
mod devices;
mod explain;
mod explain_form;
mod field;
mod glass;
mod home;
mod import;
mod inventory;
mod invitations;
mod invite;
mod log;
mod lost;
mod maintenance;
mod multipart;
mod nodes;
mod notices;
mod outage;
mod people;
mod person;
mod person_form;
pub(crate) mod posted;
mod posture;
mod record;
pub(crate) mod recording;
mod route;
mod sessions;
mod sheet;
#[cfg(test)]
mod tests;
mod texts;
mod versions;
pub(crate) mod view;

use audit::{Event, Note};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use http::{Response, StatusCode};
use policy::{DeviceId, Reason, Reasons, RuleId, UserId};

pub(crate) use route::TABLE;
pub use route::{ConsolePage, Duty, TABLE as CONSOLE_TABLE};

use crate::site::Answer;
use crate::{AnswerForm, Fault, PageRequest, Refusal, Site, Why, headers, language, wants_page};
use desk::{Desk, Refused, Shown};

/// The rule of the gateway that stands for what is refused here.
const RULE: &str = "builtin-console";

impl Site {
    /// Answers a page of the console.
    pub(crate) async fn console(&self, page: ConsolePage, request: &PageRequest) -> Answer {
        match self.console_page(page, request).await {
            Ok(response) => Ok(response),
            Err(Refused::Fault(fault)) => Err(fault),
            Err(Refused::Right(reason)) => self.not_theirs(reason, request),
            Err(Refused::Log(trouble)) => match Desk::of(self, request) {
                Ok(desk) => Ok(log::trouble(&desk, trouble)),
                Err(_) => Err(Fault::Internal),
            },
        }
    }

    async fn console_page(&self, page: ConsolePage, request: &PageRequest) -> Shown {
        if request.method.as_str() == "POST" {
            self.check_origin(request)?;
        }
        let desk = Desk::of(self, request)?;
        desk.demand(page.duty())?;
        let desk = &desk;
        match page {
            ConsolePage::Home => home::home(desk).await,
            ConsolePage::People => people::people(desk).await,
            ConsolePage::ExportPeople => people::export(desk).await,
            ConsolePage::AskNewPerson => person_form::ask_new(desk),
            ConsolePage::AddPerson => person_form::add(desk).await,
            ConsolePage::AskImportPeople => import::ask(desk, import::Of::People),
            ConsolePage::ImportPeople => import::import(desk, import::Of::People).await,
            ConsolePage::Person => person::person(desk).await,
            ConsolePage::ChangePerson => person_form::change(desk).await,
            ConsolePage::AskDisablePerson => person_form::ask_disable(desk).await,
            ConsolePage::DisablePerson => person_form::disable(desk).await,
            ConsolePage::EnablePerson => person_form::enable(desk).await,
            ConsolePage::InvitePerson => invite::invite(desk).await,
            ConsolePage::IssueTemporary => invite::temporary(desk).await,
            ConsolePage::EndPersonSessions => invite::end_sessions(desk).await,
            ConsolePage::AskRemoveKey => invite::ask_remove_key(desk).await,
            ConsolePage::RemoveKey => invite::remove_key(desk).await,
            ConsolePage::Invitations => invitations::invitations(desk).await,
            ConsolePage::RevokeInvitation => invitations::revoke(desk).await,
            ConsolePage::Devices => devices::devices(desk).await,
            ConsolePage::ExportDevices => devices::export(desk).await,
            ConsolePage::AskImportDevices => import::ask(desk, import::Of::Devices),
            ConsolePage::ImportDevices => import::import(desk, import::Of::Devices).await,
            ConsolePage::AskNewDevice => device_form::ask_new(desk),
            ConsolePage::InviteDevice => device_form::invite(desk).await,
            ConsolePage::AskStockTake => device_form::ask_stock_take(desk).await,
            ConsolePage::TakeStock => device_form::take_stock(desk).await,
            ConsolePage::Device => device::device(desk).await,
            ConsolePage::ChangeDevice => device::change(desk).await,
            ConsolePage::InviteDeviceAgain => device_form::invite_again(desk).await,
            ConsolePage::AskRevokeDevice => device_form::ask_revoke(desk).await,
            ConsolePage::RevokeDevice => device_form::revoke(desk).await,
            ConsolePage::AskLostDevice => lost::ask_lost(desk).await,
            ConsolePage::LoseDevice => lost::lose(desk).await,
            ConsolePage::DeviceTrail => lost::trail(desk).await,
            ConsolePage::AskRevokeCertificate => device_form::ask_revoke_certificate(desk).await,
            ConsolePage::RevokeCertificate => device_form::revoke_certificate(desk).await,
            ConsolePage::Sessions => sessions::sessions(desk).await,
            ConsolePage::AskEndSession => sessions::ask_end(desk).await,
            ConsolePage::EndSession => sessions::end(desk).await,
            ConsolePage::Posture => posture::posture(desk).await,
            ConsolePage::Outage => outage::outage(desk),
            ConsolePage::AskSwitchOutage => outage::ask_switch(desk),
            ConsolePage::SwitchOutage => outage::switch(desk).await,
            ConsolePage::OutageReport => outage::report(desk).await,
            ConsolePage::Glasses => glass::glasses(desk).await,
            ConsolePage::AskReviewGlass => glass::ask_review(desk).await,
            ConsolePage::ReviewGlass => glass::review(desk).await,
            ConsolePage::EndGlass => glass::end(desk).await,
            ConsolePage::Notices => notices::notices(desk).await,
            ConsolePage::Nodes => nodes::nodes(desk),
            ConsolePage::Policy => Ok(sheet::sheet(desk)),
            ConsolePage::ExportPolicy => Ok(sheet::export(desk)),
            ConsolePage::AskExplain => explain::page(desk).await,
            ConsolePage::Explain => explain::ask(desk).await,
            ConsolePage::Versions => versions::versions(desk).await,
            ConsolePage::Version => versions::version(desk).await,
            ConsolePage::AskApproveVersion => approval::ask(desk).await,
            ConsolePage::ApproveVersion => approval::approve(desk).await,
            ConsolePage::Maintenance => maintenance::requests(desk).await,
            ConsolePage::MaintenanceRequest => maintenance::one(desk).await,
            ConsolePage::MaintenanceFile => maintenance::file(desk).await,
            ConsolePage::MaintenancePaper => maintenance::paper(desk).await,
            ConsolePage::AskApproveMaintenance => maintenance::ask_approve(desk).await,
            ConsolePage::ApproveMaintenance => maintenance::approve(desk).await,
            ConsolePage::RefuseMaintenance => maintenance::refuse(desk).await,
            ConsolePage::AskAdmitMaintenance => maintenance::ask_admit(desk).await,
            ConsolePage::AdmitMaintenance => maintenance::admit(desk).await,
            ConsolePage::EndMaintenance => maintenance::end(desk).await,
            ConsolePage::ConfirmMaintenance => maintenance::confirm(desk).await,
            ConsolePage::Recording => recording::one(desk).await,
            ConsolePage::RecordingFrames => recording::frames(desk).await,
            ConsolePage::RecordingFile => recording::file(desk).await,
            ConsolePage::RecordingProof => recording::proof(desk).await,
            ConsolePage::Inventory => inventory::inventory(desk).await,
            ConsolePage::ExportInventory => inventory::export(desk).await,
            ConsolePage::AskNewLine => inventory::ask_new(desk),
            ConsolePage::AddLine => inventory::add(desk).await,
            ConsolePage::AskImportInventory => import::ask(desk, import::Of::Inventory),
            ConsolePage::ImportInventory => import::import(desk, import::Of::Inventory).await,
            ConsolePage::AskChangeLine => inventory::ask_change(desk).await,
            ConsolePage::ChangeLine => inventory::change(desk).await,
            ConsolePage::RemoveLine => inventory::remove(desk).await,
            ConsolePage::SetVendor => maintenance::set_vendor(desk).await,
            ConsolePage::SearchLog => log::search(desk).await,
            ConsolePage::FindInLog => log::find(desk),
            ConsolePage::LogRecord => log::access(desk).await,
            ConsolePage::LogTimeline => log::timeline(desk).await,
            ConsolePage::LogCharts => log::charts(desk).await,
            ConsolePage::KeepQuestion => log::keep(desk).await,
            ConsolePage::ForgetQuestion => log::forget(desk).await,
            ConsolePage::ExportLog => log::begin_export(desk).await,
            ConsolePage::LogExport => Ok(log::export(desk)),
            ConsolePage::CancelLogExport => Ok(log::cancel_export(desk)),
            ConsolePage::LogExportFile => log::export_file(desk).await,
            ConsolePage::LogExportVerifier => Ok(log::export_verifier()),
            ConsolePage::LogReport => log::report(desk).await,
            ConsolePage::Reviews => log::reviews(desk).await,
            ConsolePage::AskNewReview => Ok(log::ask_new(desk)),
            ConsolePage::BeginReview => log::begin(desk).await,
            ConsolePage::DrawingReview => Ok(log::drawing(desk)),
            ConsolePage::CancelReview => Ok(log::cancel(desk)),
            ConsolePage::Review => log::review(desk).await,
            ConsolePage::AskJudgeLine => log::ask_item(desk).await,
            ConsolePage::JudgeLine => log::judge(desk).await,
            ConsolePage::SignReview => log::sign(desk).await,
        }
    }

    /// Answers what is not theirs as the policy would.
    fn not_theirs(&self, main: Reason, request: &PageRequest) -> Answer {
        let rule = RuleId::parse(RULE).map_err(|_| Fault::Internal)?;
        let refusal = Refusal {
            why: Why::Policy(Reasons { main, rule, others: Vec::new() }),
            request: request.request,
            at: request.at,
            host: Some(request.host.clone()),
            target: None,
            who: request.session.as_ref().map(|session| session.who.clone()),
            app: None,
            ways: Vec::new(),
        };
        let is_page = wants_page(&request.headers, &request.method);
        let form = if is_page { AnswerForm::Page(language(&request.headers)) } else { AnswerForm::Problem };
        Ok(self.refusal(&refusal, form))
    }
}

impl Desk<'_> {
    /// Records that what was recorded of people is read. Nobody reads it unrecorded.
    async fn note_reading(&self, what: &'static str, device: Option<&DeviceId>) -> Result<(), Refused> {
        let note = Note::new(Event::LogRead, self.at()).who(&self.who).code(what);
        Ok(self.record_about(note, device).await?)
    }

    /// Says of a note in which request it happened, from where, and under which configuration.
    fn placed(&self, note: Note) -> Note {
        let mut note = note.request(self.request.request).from(&self.request.from);
        note.host = Some(self.request.host.clone());
        note.revision = Some(self.config().revision.clone());
        note
    }

    /// Writes a note about this request and a device, and waits until it is on disk.
    async fn record_about(&self, note: Note, device: Option<&DeviceId>) -> Result<(), Fault> {
        let mut note = self.placed(note);
        note.device = device.cloned();
        self.site.parts.recorder.note(note).await.map_err(|problem| {
            tracing::warn!(request = %self.request.request, %problem, "the console could not record");
            Fault::NotRecorded
        })
    }

    /// Who did something, as people read it; `actor` is as events and the store name them.
    async fn actor_name(&self, actor: &str) -> Result<String, Refused> {
        if let Some(name) = actor.strip_prefix("cli:") {
            return Ok(self.say_with("console-actor-cli", "name", name));
        }
        if actor.starts_with("gateway") {
            return Ok(self.say("console-actor-gateway"));
        }
        let Ok(id) = UserId::parse(actor) else { return Ok(actor.to_owned()) };
        Ok(self.store().person(&id).await?.map_or_else(|| actor.to_owned(), |person| person.name))
    }
}

/// A table for spreadsheets, named after what is in it and the day.
fn csv_file(desk: &Desk<'_>, what: &'static str, text: String) -> Response<Bytes> {
    let mut response = headers::document(StatusCode::OK, "text/csv; charset=utf-8", "no-store", Bytes::from(text));
    let name = format!("attachment; filename=\"{what}-{}.csv\"", desk.day(desk.at()));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers::set(&mut response, CONTENT_DISPOSITION, name);
    }
    response
}
