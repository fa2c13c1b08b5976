//! What a person who must sign in first, or prove again who they are, is answered.

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use identity::HandOffProblem;
use policy::{AppId, Challenge, Host, Path, Reasons, RequestId, Timestamp};
use tracing::warn;
use url::form_urlencoded;

use crate::cookie::{self, Ceremony};
use crate::notice::START_SIGN_IN;
use crate::query::{Ask, target};
use crate::site::{Answer, store_fault};
use crate::view::{KeptView, Link, Notice, NoticeView, Tone, show};
use crate::{AnswerForm, Fault, Language, Refusal, Site, Why, headers, language, origin};

/// How many fields of a form are kept at most.
const FIELDS_MAX: usize = 2_000;

/// A person's request that the policy answered with a challenge.
#[derive(Clone)]
pub struct Challenged {
    /// What the policy asks for.
    pub challenge: Challenge,
    /// Why.
    pub reasons: Reasons,
    /// The request's id.
    pub request: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The host it was addressed to.
    pub host: Host,
    /// The app it was for.
    pub app: AppId,
    /// Its path.
    pub path: Path,
    /// Its query, without `?`; empty for none.
    pub query: String,
    /// Its header fields.
    pub headers: HeaderMap,
}

/// Header fields and query hold secrets and names of patients, so a debug print shows only which request.
impl fmt::Debug for Challenged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenged").field("request", &self.request).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Challenged {
    fn again(&self) -> Option<policy::Assurance> {
        match self.challenge {
            Challenge::SignIn => None,
            Challenge::StepUp(level) => Some(level),
        }
    }
}

impl Site {
    /// For a navigation (`GET`, `HEAD`): starts a hand-off and sends the browser to the login host (302), with the
    /// cookie that ties the hand-off to this browser. Path and query stay on the server. A store that cannot be
    /// reached gives the 503 page.
    pub async fn sign_in_redirect(&self, challenged: &Challenged) -> Response<Bytes> {
        let is_portal = challenged.host == self.config().portal_host;
        let login_hint = if is_portal { Ask::read(&challenged.query).login_hint } else { None };
        // The app is named only where a provider is meant for some apps alone.
        let app_counts = self.config().providers.iter().any(|provider| !provider.apps.is_empty());
        let app = app_counts.then(|| challenged.app.clone());
        let ask = Ask { again: challenged.again(), login_hint, app, ..Ask::default() };
        let place = target(&challenged.path, &challenged.query);
        let sent = self.send_to_login(&challenged.host, &place, &challenged.headers, ask, challenged.at).await;
        sent.unwrap_or_else(|fault| {
            warn!(request = %challenged.request, fault = fault.code(), "a sign-in could not be started");
            let refusal = Refusal {
                why: Why::Fault(fault),
                request: challenged.request,
                at: challenged.at,
                host: Some(challenged.host.clone()),
                target: Some((challenged.path.clone(), challenged.query.clone())),
                who: None,
                app: Some(challenged.app.clone()),
                ways: Vec::new(),
            };
            self.refusal(&refusal, AnswerForm::Page(language(&challenged.headers)))
        })
    }

    /// Starts a hand-off and sends the browser to the login host.
    pub(crate) async fn send_to_login(
        &self,
        host: &Host,
        target: &str,
        request: &HeaderMap,
        ask: Ask,
        at: Timestamp,
    ) -> Answer {
        let started = self.parts.hand_offs.start(host, target, at).await.map_err(|problem| match problem {
            HandOffProblem::Void => Fault::BadRequest,
            HandOffProblem::SessionOver => Fault::SignInExpired,
            HandOffProblem::Store(problem) => store_fault(&problem),
        })?;
        let ask = Ask { hand_off: Some(started.id.clone()), ..ask };
        let place = ask.address(&format!("{}/sign-in", self.login_origin()));
        let mut response = headers::redirect(StatusCode::FOUND, &place);
        let secret = started.browser_secret.expose();
        headers::add_cookies(&mut response, cookie::tie(request, Ceremony::HandOff, &started.id, secret, at));
        Ok(response)
    }

    /// For a posted form: a page (401) that keeps what was typed while the person signs in in another tab.
    /// `body` is what could be read within 256 KiB; `None` if it was larger. What cannot be kept faithfully, or was
    /// not posted by a page of this host, is not kept, and the page says what to do instead.
    #[must_use]
    pub fn session_over_form(&self, challenged: &Challenged, body: Option<&Bytes>) -> Response<Bytes> {
        let language = language(&challenged.headers);
        let own = origin::is_same_origin(&challenged.headers, &self.config().origin(&challenged.host));
        let kept = body.filter(|_| own && is_plain_form(&challenged.headers)).and_then(|body| fields(body));
        let again = challenged.again().map_or(String::new(), |level| format!("&again={}", level.as_str()));
        let beside = format!("{START_SIGN_IN}?then=tell{again}");
        match kept {
            Some(fields) => self.kept_page(challenged, fields, beside, language),
            None => self.not_kept_page(own, beside, language),
        }
    }

    fn kept_page(
        &self,
        challenged: &Challenged,
        fields: Vec<(String, String)>,
        sign_in: String,
        language: Language,
    ) -> Response<Bytes> {
        let voice = self.voice(language);
        let [title, what, step_1, sign_in_label] = match challenged.challenge {
            Challenge::SignIn => ["kept-title", "kept-what", "kept-step-1", "kept-sign-in"],
            Challenge::StepUp(_) => {
                ["kept-step-up-title", "kept-step-up-what", "kept-step-up-step-1", "kept-step-up-sign-in"]
            }
        };
        let view = KeptView {
            frame: self.frame(language, None),
            tone: Tone::Wait,
            title: voice.say(title),
            what: voice.say(what),
            step_1: voice.say(step_1),
            sign_in,
            sign_in_label: voice.say(sign_in_label),
            action: target(&challenged.path, &challenged.query),
            count: voice.say_with("kept-count", "count", &fields.len().to_string()),
            fields,
        };
        show(StatusCode::UNAUTHORIZED, &view)
    }

    fn not_kept_page(&self, own: bool, sign_in: String, language: Language) -> Response<Bytes> {
        let voice = self.voice(language);
        let link = Link::beside(voice.say("kept-sign-in"), sign_in);
        let notice = Notice {
            tone: Tone::Wait,
            title: voice.say("kept-not-title"),
            what: voice.say("kept-not-what"),
            todo: Some(voice.say(if own { "kept-not-do" } else { "kept-foreign-do" })),
            ways: Vec::new(),
            sign_out: false,
            actions: vec![link],
            help: None,
            urgent: false,
        };
        show(StatusCode::UNAUTHORIZED, &NoticeView { frame: self.frame(language, None), notice, glass: None })
    }
}

/// Whether the body is a form that a page can carry on in hidden fields: names and values, in UTF-8.
fn is_plain_form(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let charset = parameters.trim().to_ascii_lowercase();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && matches!(charset.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
}

/// The fields of a form, if a page would send them again byte for byte: not where the escapes spell another encoding
/// (older Japanese apps post Shift_JIS) or hold a character that HTML cannot carry.
fn fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    let fields: Vec<(String, String)> =
        form_urlencoded::parse(body).take(FIELDS_MAX + 1).map(|(name, value)| (name.into(), value.into())).collect();
    let sound = |text: &str| !text.contains(['\0', char::REPLACEMENT_CHARACTER]);
    let all_sound = fields.iter().all(|(name, value)| sound(name) && sound(value) && name != "_charset_");
    (all_sound && fields.len() <= FIELDS_MAX).then_some(fields)
}
