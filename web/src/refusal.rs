//! What is answered instead of an app: the page or problem document of a refusal, from a closed vocabulary.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use policy::{Challenge, Host, Path, Reason, Reasons, RequestId, Timestamp, Turn, Who};

use crate::view::{Frame, NoticeView, show};
use crate::{GlassDoor, Language, Site, headers, notice, problem, query};

/// Why a request is not served by an app.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// The request's id; the help desk's code is made from it.
    pub request: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The host it was addressed to, where that could be read and is ours.
    pub host: Option<Host>,
    /// Path and query of a plain navigation (`GET`), for coming back after switching the language; else `None`.
    pub target: Option<(Path, String)>,
    /// Who asked, where someone is signed in.
    pub who: Option<Arc<Who>>,
    /// The app it was for, where that is known.
    pub app: Option<policy::AppId>,
    /// What would let them in that they can do themselves, smallest first.
    pub ways: Vec<Turn>,
}

/// Whether the policy said no, or something went wrong.
#[derive(Clone, Debug)]
pub enum Why {
    /// The policy said no.
    Policy(Reasons),
    /// The policy said not yet.
    Challenge(Reasons, Challenge),
    /// Something went wrong before or after the policy.
    Fault(Fault),
}

/// What went wrong. A closed vocabulary like [`policy::Reason`]: a code in the log, a sentence in both languages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The request could be read in two ways (400).
    BadRequest,
    /// A form that did not come from our own page (403).
    ForeignForm,
    /// There is no such page or app (404).
    NotFound,
    /// The request took too long to arrive (408).
    RequestTimeout,
    /// The body is too large (413).
    BodyTooLarge,
    /// The request head is too large (431).
    HeadTooLarge,
    /// The host does not belong to this connection (421).
    Misdirected,
    /// Too many requests; may come back after so long (429).
    TooManyRequests(Duration),
    /// Our own fault (500).
    Internal,
    /// The app could not be reached, or broke off (502).
    AppUnreachable,
    /// The access could not be recorded, so it was not made (503).
    NotRecorded,
    /// Sessions or devices could not be looked up (503).
    StoreUnavailable,
    /// Too much is going on at once (503).
    Overloaded,
    /// The gateway is stopping (503).
    Stopping,
    /// The app did not answer in time (504).
    AppTimeout,
    /// The sign-in was not started in this browser, was used already, or took too long (400).
    SignInExpired,
    /// The provider says that the sign-in failed, or its answer did not hold (403).
    SignInRefused,
    /// The provider could not be reached (502).
    ProviderUnreachable,
    /// Content of a kind that this address does not take (415).
    NotJson,
    /// The passkey could not be verified; never told apart by why (403).
    PasskeyRefused,
    /// A kind of key that the hospital does not allow (403).
    KeyNotAllowed,
    /// A proven passkey of somebody who has to go to their provider first (403).
    ProviderFirst,
    /// The provider's answer was good, but a passkey must follow and there is none (403).
    NoKey,
    /// A one-time code that is wrong, out of date or used; never told apart (400).
    CodeVoid,
    /// A method that this app is not to be asked by (405).
    MethodNotServed,
    /// Content of a kind that this app is not to be sent (415).
    ContentNotServed,
    /// An answer that would be saved as a file, from an app where that is not allowed (403).
    DownloadForbidden,
}

impl Fault {
    /// Every one, with an example span where it carries one.
    pub const ALL: [Self; 27] = [
        Self::BadRequest,
        Self::ForeignForm,
        Self::NotFound,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::HeadTooLarge,
        Self::Misdirected,
        Self::TooManyRequests(Duration::from_secs(10)),
        Self::Internal,
        Self::AppUnreachable,
        Self::NotRecorded,
        Self::StoreUnavailable,
        Self::Overloaded,
        Self::Stopping,
        Self::AppTimeout,
        Self::SignInExpired,
        Self::SignInRefused,
        Self::ProviderUnreachable,
        Self::NotJson,
        Self::PasskeyRefused,
        Self::KeyNotAllowed,
        Self::ProviderFirst,
        Self::NoKey,
        Self::CodeVoid,
        Self::MethodNotServed,
        Self::ContentNotServed,
        Self::DownloadForbidden,
    ];

    /// Its code in log, API and page.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::ForeignForm => "foreign-form",
            Self::NotFound => "not-found",
            Self::RequestTimeout => "request-timeout",
            Self::BodyTooLarge => "body-too-large",
            Self::HeadTooLarge => "head-too-large",
            Self::Misdirected => "misdirected",
            Self::TooManyRequests(_) => "too-many-requests",
            Self::Internal => "internal",
            Self::AppUnreachable => "app-unreachable",
            Self::NotRecorded => "not-recorded",
            Self::StoreUnavailable => "store-unavailable",
            Self::Overloaded => "overloaded",
            Self::Stopping => "stopping",
            Self::AppTimeout => "app-timeout",
            Self::SignInExpired => "sign-in-expired",
            Self::SignInRefused => "sign-in-refused",
            Self::ProviderUnreachable => "provider-unreachable",
            Self::NotJson => "not-json",
            Self::PasskeyRefused => "passkey-refused",
            Self::KeyNotAllowed => "key-not-allowed",
            Self::ProviderFirst => "provider-first",
            Self::NoKey => "no-key",
            Self::CodeVoid => "code-void",
            Self::MethodNotServed => "method-not-served",
            Self::ContentNotServed => "content-not-served",
            Self::DownloadForbidden => "download-forbidden",
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn may_pass(self) -> bool {
        match self {
            Self::RequestTimeout
            | Self::Misdirected
            | Self::TooManyRequests(_)
            | Self::Internal
            | Self::AppUnreachable
            | Self::NotRecorded
            | Self::StoreUnavailable
            | Self::Overloaded
            | Self::Stopping
            | Self::AppTimeout
            | Self::ProviderUnreachable => true,
            Self::BadRequest
            | Self::ForeignForm
            | Self::NotFound
            | Self::BodyTooLarge
            | Self::HeadTooLarge
            | Self::SignInExpired
            | Self::SignInRefused
            | Self::NotJson
            | Self::PasskeyRefused
            | Self::KeyNotAllowed
            | Self::ProviderFirst
            | Self::NoKey
            | Self::CodeVoid
            | Self::MethodNotServed
            | Self::ContentNotServed
            | Self::DownloadForbidden => false,
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::SignInExpired | Self::CodeVoid => StatusCode::BAD_REQUEST,
            Self::NotJson | Self::ContentNotServed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotServed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ForeignForm
            | Self::SignInRefused
            | Self::PasskeyRefused
            | Self::KeyNotAllowed
            | Self::ProviderFirst
            | Self::NoKey
            | Self::DownloadForbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::AppUnreachable | Self::ProviderUnreachable => StatusCode::BAD_GATEWAY,
            Self::NotRecorded | Self::StoreUnavailable | Self::Overloaded | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::AppTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl Refusal {
    /// The HTTP status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.why {
            Why::Policy(_) => StatusCode::FORBIDDEN,
            Why::Challenge(..) => StatusCode::UNAUTHORIZED,
            Why::Fault(fault) => fault.status(),
        }
    }

    /// Its code: that of the main reason, or of the fault.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.why {
            Why::Policy(reasons) | Why::Challenge(reasons, _) => reasons.main.code(),
            Why::Fault(fault) => fault.code(),
        }
    }

    pub(crate) fn reasons(&self) -> Option<&Reasons> {
        match &self.why {
            Why::Policy(reasons) | Why::Challenge(reasons, _) => Some(reasons),
            Why::Fault(_) => None,
        }
    }

    /// Where its texts begin.
    pub(crate) fn key(&self) -> String {
        let has_no_role = self.who.as_ref().is_some_and(|who| who.roles.is_empty());
        match &self.why {
            Why::Policy(reasons) if reasons.main == Reason::RoleNotAllowed && has_no_role => {
                "reason-no-role".to_owned()
            }
            Why::Policy(reasons) | Why::Challenge(reasons, _) => format!("reason-{}", reasons.main.code()),
            Why::Fault(fault) => format!("fault-{}", fault.code()),
        }
    }

    /// When it makes sense to come back, in seconds.
    fn retry_after(&self) -> Option<u64> {
        match &self.why {
            Why::Fault(Fault::TooManyRequests(span)) => Some(span.as_secs().saturating_add(1)),
            Why::Fault(fault) if fault.status() == StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_SECONDS),
            Why::Fault(_) | Why::Policy(_) | Why::Challenge(..) => None,
        }
    }
}

/// When to come back after a 503, in seconds.
const RETRY_SECONDS: u64 = 5;

impl Site {
    /// Writes a refusal, for a person or for a program.
    #[must_use]
    pub fn refusal(&self, refusal: &Refusal, form: AnswerForm) -> Response<Bytes> {
        self.write_refusal(refusal, None, form)
    }

    /// The same for a person who may break the glass, which is offered.
    #[must_use]
    pub fn refusal_with_glass(&self, refusal: &Refusal, door: &GlassDoor, form: AnswerForm) -> Response<Bytes> {
        self.write_refusal(refusal, Some(door), form)
    }

    fn write_refusal(&self, refusal: &Refusal, door: Option<&GlassDoor>, form: AnswerForm) -> Response<Bytes> {
        let mut response = match form {
            AnswerForm::Page(language) => {
                let voice = self.voice(language);
                let back = refusal.target.as_ref().map(|(path, query)| query::target(path, query));
                let notice = notice::of(self, refusal, voice);
                let glass = door.map(|door| self.glass_offer(door, voice));
                let strips = refusal.who.as_ref().map(|who| self.glass_strips(who, refusal.at, voice));
                let frame = Frame { glass: strips.unwrap_or_default(), ..self.frame(language, back) };
                show(refusal.status(), &NoticeView { frame, notice, glass })
            }
            AnswerForm::Problem => problem::write(self, refusal, door, self.voice(Language::English)),
        };
        if let Some(seconds) = refusal.retry_after() {
            headers::set(&mut response, RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(refusal.why, Why::Challenge(..)) {
            self.add_challenge(&mut response, refusal);
        }
        response
    }

    /// RFC 9110 section 15.5.2: a 401 says how to authenticate. Browsers ignore schemes they do not know.
    fn add_challenge(&self, response: &mut Response<Bytes>, refusal: &Refusal) {
        let challenge = format!("Sekimori sign-in=\"{}\"", self.sign_in_address(refusal));
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            headers::set(response, WWW_AUTHENTICATE, challenge);
        }
    }

    /// Where the person behind a refused program can sign in, or prove it again.
    pub(crate) fn sign_in_address(&self, refusal: &Refusal) -> String {
        let again = match refusal.why {
            Why::Challenge(_, Challenge::StepUp(level)) => Some(level),
            Why::Challenge(_, Challenge::SignIn) | Why::Policy(_) | Why::Fault(_) => None,
        };
        let place = query::Ask { again, ..query::Ask::default() }.address(notice::START_SIGN_IN);
        let host = refusal.host.as_ref().unwrap_or(&self.config().portal_host);
        format!("{}{place}", self.config().origin(host))
    }
}

/// For whom a refusal is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerForm {
    /// A person.
    Page(Language),
    /// A program: `application/problem+json` (RFC 9457).
    Problem,
}

/// The code that a person reads to the help desk: the last eight digits of the request's id, which find its record.
#[must_use]
pub fn help_code(request: RequestId) -> String {
    let id = request.to_string();
    let tail: String = id.chars().skip(id.len().saturating_sub(8)).collect();
    let (first, second) = tail.split_at_checked(4).unwrap_or((tail.as_str(), ""));
    format!("{first} {second}")
}
