//! Our own pages, reached through the same door as every app: judged, recorded, then answered by `web`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use audit::{End, Outcome, Receipt};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Limited};
use identity::Session;
use policy::{Access, Action, AppId, Method, Verdict};
use web::{ConsolePage, Fault, Page, PageRequest, Why};

use crate::body::{Record, ResponseBody};
use crate::exchange::Exchange;
use crate::inbound::Inbound;
use crate::limit::{Account, Limiter};
use crate::refuse::{Asked, Refuser};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// The largest body of a request for an ordinary page, in bytes: a form of a few fields.
const PAGE_BODY_BYTES_MAX: usize = 8 * 1024;
/// The largest body of a console page, in bytes: a form with many rows to tick.
const CONSOLE_BODY_BYTES_MAX: usize = 256 * 1024;
/// The largest list of people or devices that is uploaded, in bytes.
const IMPORT_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Answers an admitted request for a page.
pub async fn answer(
    worker: &Rc<Worker>,
    snapshot: &Arc<Snapshot>,
    page: Page,
    inbound: Inbound,
    session: Option<Arc<Session>>,
    receipt: Receipt,
) -> Response<ResponseBody> {
    let exchange = Rc::new(Exchange::new(std::time::Instant::now(), Rc::clone(&inbound.connection.cut)));
    let access = receipt.permit().access().clone();
    let asked = Asked::of(&inbound, access.who.clone(), Some(access.app.clone()));
    let refuse = |fault| Refuser { worker, snapshot }.page(Why::Fault(fault), asked.clone());
    let is_head = inbound.method.as_str() == "HEAD";
    let response = match read(worker, snapshot, page, inbound, session, &access).await {
        Err(fault) => refuse(fault),
        Ok(request) => {
            let may_open = |app: &config::App| may_open(worker, snapshot, &access, app);
            snapshot.site.answer(page, request, may_open).await.map(ResponseBody::own)
        }
    };
    // The answer to HEAD has no body to send, so its record closes at once.
    let response = if is_head { response.map(|_| ResponseBody::own(Bytes::new())) } else { response };
    recorded(response, exchange, receipt)
}

/// Reads the request of a page to its end, within bounds.
async fn read(
    worker: &Worker,
    snapshot: &Snapshot,
    page: Page,
    inbound: Inbound,
    session: Option<Arc<Session>>,
    access: &Access,
) -> Result<PageRequest, Fault> {
    within_limits(&worker.gate.limiter, page, access).map_err(Fault::TooManyRequests)?;
    let (parts, body) = inbound.request.into_parts();
    let within = snapshot.config.limits.body_idle_timeout;
    let read = async {
        if inbound.method.as_str() != "POST" {
            return Ok(Ok(Bytes::new()));
        }
        let collected = tokio::time::timeout(within, Limited::new(body, body_bytes_max(page)).collect()).await;
        collected.map(|read| read.map(http_body_util::Collected::to_bytes))
    };
    let body = match read.await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(Fault::BodyTooLarge),
        Err(_) => return Err(Fault::RequestTimeout),
    };
    Ok(PageRequest {
        request: inbound.id,
        at: inbound.at,
        method: inbound.method,
        host: inbound.host,
        path: inbound.path,
        query: inbound.query.unwrap_or_default(),
        headers: parts.headers,
        body,
        from: access.from.clone(),
        device: access.device.clone(),
        session,
    })
}

/// Counts what begins or ends a proof of who somebody is, by address, and for a person who is signed in by account.
fn within_limits(limiter: &Limiter, page: Page, access: &Access) -> Result<(), Duration> {
    if !begins_proof(page) {
        return Ok(());
    }
    limiter.sign_in(access.from.address)?;
    access.who.as_ref().map_or(Ok(()), |who| limiter.proof(&Account::Own(who.user.clone())))
}

/// Whether a page begins a proof, or takes one that needs no begin here.
fn begins_proof(page: Page) -> bool {
    match page {
        Page::Begin | Page::Callback => true,
        Page::LoginHome
        | Page::SignIn
        | Page::Jwks
        | Page::Portal
        | Page::StartSignIn
        | Page::Arrive
        | Page::SignedIn
        | Page::AskSignOut
        | Page::SignOut
        | Page::SignedOut
        | Page::ChooseLanguage
        | Page::Asset(_)
        | Page::Console(_) => false,
    }
}

/// How much the body of a page's request may hold.
fn body_bytes_max(page: Page) -> usize {
    match page {
        Page::Console(ConsolePage::ImportPeople) => IMPORT_BODY_BYTES_MAX,
        Page::Console(_) => CONSOLE_BODY_BYTES_MAX,
        Page::LoginHome
        | Page::SignIn
        | Page::Begin
        | Page::Callback
        | Page::Jwks
        | Page::Portal
        | Page::StartSignIn
        | Page::Arrive
        | Page::SignedIn
        | Page::AskSignOut
        | Page::SignOut
        | Page::SignedOut
        | Page::ChooseLanguage
        | Page::Asset(_) => PAGE_BODY_BYTES_MAX,
    }
}

/// Whether the policy would let this person open the app's first page from here, now.
fn may_open(worker: &Worker, snapshot: &Snapshot, access: &Access, app: &config::App) -> bool {
    let Some(method) = Method::parse("GET") else { return false };
    let question = Access {
        app: AppId::clone(&app.id),
        action: Action::Read,
        method,
        host: app.host.clone(),
        path: app.portal_path.clone(),
        ..access.clone()
    };
    matches!(worker.judge(snapshot, question, ()), Verdict::Allow(_))
}

/// Ties an answer made here to its record.
pub fn recorded(response: Response<ResponseBody>, exchange: Rc<Exchange>, receipt: Receipt) -> Response<ResponseBody> {
    let status = response.status().as_u16();
    let (parts, body) = response.into_parts();
    let bytes = body.into_own().unwrap_or_else(Bytes::new);
    let record = Record { receipt, exchange, status, in_book: None, enter: None };
    Response::from_parts(parts, ResponseBody::own_recorded(bytes, record))
}

/// Closes the record of an access that did not come about, and answers why.
pub fn failed(
    refuse: Refuser<'_>,
    fault: Fault,
    end: End,
    asked: Asked,
    exchange: &Exchange,
    receipt: Receipt,
) -> Response<ResponseBody> {
    refuse.worker.gate.metrics.failed.inc();
    receipt.close(Outcome {
        status: Some(fault.status().as_u16()),
        end,
        bytes_in: exchange.bytes_in.get(),
        bytes_out: 0,
        duration: exchange.started.elapsed(),
    });
    refuse.page(Why::Fault(fault), asked)
}
