//! Our own pages, reached through the same door as every app: judged, recorded, then answered by `web`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use audit::{End, Receipt};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use config::Config;
use http::Response;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use identity::{NamedWard, POSTURE_BYTES_MAX, Session};
use policy::{Access, Action, AppId, Method, Verdict};
use web::{ConsolePage, Fault, MaintenancePage, Page, PageRequest, Why};

use crate::body::{Record, ResponseBody};
use crate::exchange::{Ended, Exchange};
use crate::glass;
use crate::inbound::Inbound;
use crate::limit::{Account, Limiter};
use crate::patients::Watched;
use crate::refuse::{Asked, Refuser};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// The largest body of a request for an ordinary page, in bytes: a form of a few fields.
const PAGE_BODY_BYTES_MAX: usize = 8 * 1024;
/// The largest body that brings a proof, in bytes: what an authenticator or a provider signed.
const PROOF_BODY_BYTES_MAX: usize = 80 * 1024;
/// How much of the encoded name in HTTP Basic credentials is looked at, in bytes.
const BASIC_NAME_BYTES: usize = 32;
/// The largest body of a console page, in bytes: a form with many rows to tick.
const CONSOLE_BODY_BYTES_MAX: usize = 256 * 1024;
/// The largest list of people or devices that is uploaded, in bytes.
const IMPORT_BODY_BYTES_MAX: usize = 1024 * 1024;

/// The largest request of a vendor with its file, in bytes: the texts beside it are long.
const UPLOAD_BODY_BYTES_MAX: usize = store::PLAN_FILE_BYTES_MAX + 512 * 1024;

/// Answers an admitted request for a page.
pub async fn answer(
    worker: &Rc<Worker>,
    snapshot: &Arc<Snapshot>,
    page: Page,
    mut inbound: Box<Inbound>,
    session: Option<Arc<Session>>,
    receipt: Receipt,
) -> Response<ResponseBody> {
    let exchange = Rc::new(Exchange::new(std::time::Instant::now(), Rc::clone(&inbound.connection.cut)));
    let access = receipt.permit().access().clone();
    let asked = Asked::of(&inbound, access.who.clone(), Some(access.app.clone()));
    let refuse = |fault| Refuser { worker, snapshot }.page(Why::Fault(fault), asked.clone());
    // Its connection is in use until the last byte of the answer was taken, however slow the line.
    let open = inbound.open.take();
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
    let response = recorded(response, exchange, receipt);
    match open {
        Some(open) => response.map(|body| body.counted(open)),
        None => response,
    }
}

/// Reads the request of a page to its end, within bounds.
async fn read(
    worker: &Worker,
    snapshot: &Snapshot,
    page: Page,
    inbound: Box<Inbound>,
    session: Option<Arc<Session>>,
    access: &Access,
) -> Result<PageRequest, Fault> {
    let inbound = *inbound;
    let (parts, body) = inbound.request.into_parts();
    within_limits(&worker.gate.limiter, page, access, &parts.headers).map_err(Fault::TooManyRequests)?;
    let body = if inbound.method.as_str() == "POST" {
        let kind = Kind::of(page);
        let bytes_max = kind.body_bytes_max(&snapshot.config, &parts.headers);
        let within = snapshot.config.limits.body_idle_timeout;
        collected(Limited::new(body, bytes_max), within, within * kind.slowness_max()).await?
    } else {
        Bytes::new()
    };
    let glass = (page == Page::BreakGlass).then(|| glass::named(worker, snapshot, access, &body)).flatten();
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
        glass,
    })
}

/// Reads a body to its end: no piece of it may take longer than `idle`, and it no longer than `whole`.
async fn collected<B>(mut body: Limited<B>, idle: Duration, whole: Duration) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    let read = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = tokio::time::timeout(idle, body.frame()).await.map_err(|_| Fault::RequestTimeout)? {
            let frame = frame.map_err(|why| match why.is::<LengthLimitError>() {
                true => Fault::BodyTooLarge,
                false => Fault::BadRequest,
            })?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
        }
        Ok::<_, Fault>(bytes.freeze())
    };
    tokio::time::timeout(whole, read).await.unwrap_or(Err(Fault::RequestTimeout))
}

/// How a page is asked for, as far as its requests are bounded before they are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A form of a few fields at most, and nothing to guess.
    Ordinary,
    /// Begins a proof of who somebody is, or takes one that needs no begin here.
    Proof,
    /// The same for a device, which brings a request for a certificate.
    DeviceProof,
    /// Brings what an authenticator or a provider signed. What ends a proof is bounded by its begin: each is good once.
    /// A provider signs out hundreds from one address.
    Signed,
    /// The condition of devices. Its word is a token that nobody guesses.
    Posture,
    /// A request that was refused, named again, with words beside it.
    Glass,
    /// A form of the console, with many rows to tick.
    Console,
    /// A list of people or devices, or a long text.
    Import,
    /// A request with a file.
    Upload,
}

impl Kind {
    fn of(page: Page) -> Self {
        match page {
            Page::Begin
            | Page::Callback
            | Page::PasskeyBegin
            | Page::EnrolBegin
            | Page::TemporarySignIn
            | Page::EnrolDevice
            | Page::RenewDevice
            | Page::ConnectBegin
            | Page::ConnectAllow => Self::Proof,
            Page::EstEnrol | Page::EstRenew => Self::DeviceProof,
            Page::PasskeyFinish | Page::EnrolFinish | Page::LogOutByProvider | Page::ConnectToken => Self::Signed,
            Page::Posture => Self::Posture,
            Page::BreakGlass => Self::Glass,
            Page::Console(ConsolePage::ImportPeople | ConsolePage::ImportDevices | ConsolePage::ImportInventory) => {
                Self::Import
            }
            Page::Maintenance(MaintenancePage::Ask) => Self::Upload,
            Page::Maintenance(MaintenancePage::Report) => Self::Import,
            Page::Console(_) => Self::Console,
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
            | Page::EndGlass
            | Page::WhoIsHere
            | Page::Switch
            | Page::Land
            | Page::SecondFactor
            | Page::Enrol
            | Page::Temporary
            | Page::Device
            | Page::DeviceFile
            | Page::Me
            | Page::RenameKey
            | Page::RemoveKey
            | Page::EndSession
            | Page::Maintenance(_)
            | Page::EstCaCertificates
            | Page::Connect
            | Page::Terminal(_)
            | Page::Asset(_) => Self::Ordinary,
        }
    }

    /// Whether its requests are counted, so that nobody guesses.
    fn is_proof(self) -> bool {
        match self {
            Self::Proof | Self::DeviceProof => true,
            Self::Ordinary
            | Self::Signed
            | Self::Posture
            | Self::Glass
            | Self::Console
            | Self::Import
            | Self::Upload => false,
        }
    }

    /// How many times as long as one piece of it the whole body may take: large ones come over slow lines too.
    fn slowness_max(self) -> u32 {
        match self {
            Self::Import | Self::Upload => 10,
            Self::Ordinary
            | Self::Proof
            | Self::DeviceProof
            | Self::Signed
            | Self::Posture
            | Self::Glass
            | Self::Console => 1,
        }
    }

    /// How much the body of its requests may hold.
    fn body_bytes_max(self, config: &Config, headers: &HeaderMap) -> usize {
        match self {
            Self::Posture if is_posture_source(config, headers) => POSTURE_BYTES_MAX,
            Self::Ordinary | Self::Proof | Self::Posture => PAGE_BODY_BYTES_MAX,
            Self::DeviceProof => certs::est::BODY_BYTES_MAX,
            Self::Signed | Self::Glass => PROOF_BODY_BYTES_MAX,
            Self::Console => CONSOLE_BODY_BYTES_MAX,
            Self::Import => IMPORT_BODY_BYTES_MAX,
            Self::Upload => UPLOAD_BODY_BYTES_MAX,
        }
    }
}

/// Counts what begins a proof of who somebody is, by address; for a person who is signed in by account, and for a device
/// that names itself by that name.
fn within_limits(limiter: &Limiter, page: Page, access: &Access, headers: &HeaderMap) -> Result<(), Duration> {
    if !Kind::of(page).is_proof() {
        return Ok(());
    }
    let address = access.from.address;
    limiter.sign_in(address)?;
    if let Some(who) = &access.who {
        return limiter.proof(&Account::Own(who.user.clone()));
    }
    match headers.get(AUTHORIZATION).filter(|_| page == Page::EstEnrol) {
        Some(basic) => limiter.proof(&Account::named(named(basic), address)),
        None => Ok(()),
    }
}

/// The name in HTTP Basic credentials, still encoded: as much of it as does not depend on the password.
fn named(basic: &HeaderValue) -> &[u8] {
    let bytes = basic.as_bytes();
    bytes.get(..bytes.len().min(BASIC_NAME_BYTES)).unwrap_or_default()
}

/// Whether a report comes from a source of the configuration, so that a stranger's is not even read.
fn is_posture_source(config: &Config, headers: &HeaderMap) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(given) = bearer.map(|token| digest(&SHA256, token.trim().as_bytes())) else { return false };
    let is_its = |source: &config::PostureSource| {
        let its = digest(&SHA256, source.token.expose().as_bytes());
        verify_slices_are_equal(its.as_ref(), given.as_ref()).is_ok()
    };
    // All are compared, whichever it is.
    config.posture_sources.iter().filter(|source| is_its(source)).count() > 0
}

/// Whether the policy would let this person open the app's first page from here, now.
fn may_open(worker: &Worker, snapshot: &Snapshot, access: &Access, app: &config::App) -> bool {
    let Some(method) = Method::parse("GET") else { return false };
    let mut question = Access {
        app: AppId::clone(&app.id),
        action: if app.tcp().is_some() { Action::Connect } else { Action::Read },
        class: None,
        method,
        host: app.host.clone(),
        path: app.portal_path.clone(),
        ..access.clone()
    };
    question.grant = worker.gate.grant_for(&question, None, NamedWard::default);
    matches!(worker.judge(snapshot, question, ()), Verdict::Allow(_))
}

/// Ties an answer made here to its record.
pub fn recorded(response: Response<ResponseBody>, exchange: Rc<Exchange>, receipt: Receipt) -> Response<ResponseBody> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    let bytes = body.into_own().unwrap_or_else(Bytes::new);
    let record = Record { receipt: receipt.into(), exchange, status, in_book: None, enter: None };
    Response::from_parts(parts, ResponseBody::own_recorded(bytes, record))
}

/// Closes the record of an access that did not come about, and answers why.
pub fn failed(
    refuse: Refuser<'_>,
    fault: Fault,
    end: End,
    asked: Asked,
    exchange: &Exchange,
    receipt: impl Into<Watched>,
) -> Response<ResponseBody> {
    refuse.worker.gate.metrics.failed.inc();
    let outcome = exchange.outcome(fault.status(), end);
    receipt.into().close(outcome, exchange);
    refuse.page(Why::Fault(fault), asked)
}

/// Closes the record of an access that was ended before it came about, and answers why.
pub fn ended(
    refuse: Refuser<'_>,
    asked: Asked,
    exchange: &Exchange,
    receipt: impl Into<Watched>,
) -> Response<ResponseBody> {
    let reason = match exchange.ended() {
        Some(Ended::Judged(reason) | Ended::Gone(reason)) => reason,
        Some(Ended::Stopped) => return failed(refuse, Fault::Stopping, End::Stopped, asked, exchange, receipt),
        Some(Ended::Stalled) | None => {
            return failed(refuse, Fault::RequestTimeout, End::ClientGone, asked, exchange, receipt);
        }
    };
    let receipt = receipt.into();
    let response = refuse.ended(reason, receipt.permit(), asked);
    receipt.close(exchange.outcome(response.status(), End::Revoked(reason)), exchange);
    response
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use http_body_util::{Empty, Full};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Gives a piece, and then breaks off or says nothing more.
    struct Broken {
        gave: bool,
        waits: bool,
    }

    impl Body for Broken {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            if !std::mem::replace(&mut self.gave, true) {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"name=")))));
            }
            if self.waits { Poll::Pending } else { Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))) }
        }
    }

    #[tokio::test]
    async fn a_body_is_too_large_or_broken_or_too_slow_and_each_is_told() {
        let of = |bytes_max| Limited::new(Full::new(Bytes::from_static(b"0123456789")), bytes_max);
        assert_eq!(collected(of(10), SECOND, SECOND).await.unwrap(), "0123456789");
        assert_eq!(collected(of(9), SECOND, SECOND).await.unwrap_err(), Fault::BodyTooLarge);
        assert_eq!(collected(Limited::new(Empty::new(), 9), SECOND, SECOND).await.unwrap(), "");
        let broken = |waits| Limited::new(Broken { gave: false, waits }, 9);
        assert_eq!(collected(broken(false), SECOND, SECOND).await.unwrap_err(), Fault::BadRequest);
        let soon = Duration::from_millis(5);
        assert_eq!(collected(broken(true), soon, SECOND).await.unwrap_err(), Fault::RequestTimeout);
        assert_eq!(collected(broken(true), SECOND, soon).await.unwrap_err(), Fault::RequestTimeout);
    }
}
