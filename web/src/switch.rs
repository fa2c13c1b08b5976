//! Shared terminals: who is here, handing over to the next person, and coming back.

use audit::{Event, Note};
use bytes::Bytes;
use http::header::{HeaderValue, REFRESH};
use http::{HeaderMap, Response, StatusCode};
use identity::{Proven, Waiting};
use policy::Timestamp;
use tracing::warn;

use crate::entry::Entered;
use crate::notice::wall_clock;
use crate::query::Ask;
use crate::site::{Answer, store_fault};
use crate::texts::Voice;
use crate::view::{KeyTask, Link, Notice, SignInView, Tone, WaitingRow, show_with_script};
use crate::{Fault, HostKind, PageRequest, Site, cookie, headers, language};

/// The most people that are shown as waiting.
const WAITING_SHOWN_MAX: usize = 8;

impl Site {
    /// Whether several people use the device of this request, one at a time.
    pub(crate) fn is_shared(&self, request: &PageRequest) -> bool {
        request.device.is_some() && self.parts.sessions.is_shared(request.device.as_deref())
    }

    /// Who waits on this device for coming back to it.
    pub(crate) async fn waiting(&self, request: &PageRequest) -> Result<Vec<Waiting>, Fault> {
        let Some(device) = request.device.as_deref().filter(|_| self.is_shared(request)) else { return Ok(Vec::new()) };
        self.parts.sessions.waiting(device, request.at).await.map_err(|problem| store_fault(&problem))
    }

    /// Asks who is here. Its answer empties the browser of the person before; the ceremony that follows begins with
    /// the next one.
    pub(crate) async fn who_is_here(&self, request: &PageRequest) -> Answer {
        let ask = Ask { hand_off: None, again: None, ..Ask::read(&request.query) };
        let is_open = request.usable_session().is_some();
        let mut response = self.who_page(request, &ask, self.waiting(request).await?, is_open);
        if !is_open && may_clear(&request.headers) {
            headers::clear_site_data(&mut response);
        }
        Ok(response)
    }

    /// The page of a terminal that nobody used for a while, or at which somebody is waited for: whoever comes touches
    /// their key.
    pub(crate) fn lock_page(&self, request: &PageRequest, ask: &Ask, waiting: Vec<Waiting>) -> Response<Bytes> {
        self.who_page(request, ask, waiting, true)
    }

    fn who_page(
        &self,
        request: &PageRequest,
        ask: &Ask,
        waiting: Vec<Waiting>,
        offers_switch: bool,
    ) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let is_locked = waiting.first().is_some_and(|first| first.locked);
        let (title, lead) = if is_locked { ("lock-title", "lock-lead") } else { ("switch-title", "switch-lead") };
        let rows = waiting.iter().take(WAITING_SHOWN_MAX).map(|one| self.waiting_row(one, voice, request.at));
        let view = SignInView {
            frame: self.frame_of(request),
            title: voice.say(title),
            lead: voice.say(lead),
            lines: Vec::new(),
            waiting: rows.collect(),
            key: Some(KeyTask {
                task: "switch",
                label: voice.say("switch-key"),
                offers: true,
                hand_off: ask.hand_off.clone(),
                again: None,
                pending: None,
            }),
            ways: if offers_switch { Vec::new() } else { self.provider_ways(request, ask, voice) },
            more: if offers_switch { Vec::new() } else { self.more_ways(ask, voice) },
            switch: offers_switch.then(|| voice.say("switch-other")),
        };
        show_with_script(StatusCode::OK, &view)
    }

    fn waiting_row(&self, waiting: &Waiting, voice: Voice<'_>, now: Timestamp) -> WaitingRow {
        let key = if waiting.locked { "waiting-locked" } else { "waiting-since" };
        let sign = waiting.name.chars().next().map_or(String::new(), |first| first.to_uppercase().to_string());
        let since = voice.say_with(key, "time", &self.clock(waiting.since, now));
        WaitingRow { sign, name: waiting.name.clone(), since }
    }

    /// The hour of a moment, with the day where that is not today.
    pub(crate) fn clock(&self, at: Timestamp, now: Timestamp) -> String {
        let (then, today) = (wall_clock(at, self.config().offset), wall_clock(now, self.config().offset));
        let minutes = then.get(..16).unwrap_or(&then);
        let is_today = then.get(..10) == today.get(..10);
        if is_today { minutes.get(11..).unwrap_or(minutes).to_owned() } else { minutes.to_owned() }
    }

    /// Hands a shared terminal over: parks what is open, and goes on to the page that asks who is here. Elsewhere it
    /// signs out.
    pub(crate) async fn switch(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        if !self.is_shared(request) {
            return self.sign_out(request).await;
        }
        if let Some(session) = request.usable_session() {
            let parked = self.parts.sessions.park(session.id(), session.who.user.as_str(), request.at).await;
            parked.map_err(|problem| store_fault(&problem))?;
        }
        let place = format!("{}/switch", self.login_origin());
        let mut response = if self.kind_of(request) == HostKind::Login {
            headers::redirect(StatusCode::SEE_OTHER, "/switch")
        } else {
            self.switching_page(request, &place)
        };
        headers::add_cookies(&mut response, cookie::no_session());
        Ok(response)
    }

    /// A page that goes on by itself: a redirect to another host would be held against the form's page.
    fn switching_page(&self, request: &PageRequest, place: &str) -> Response<Bytes> {
        let voice = self.voice(language(&request.headers));
        let notice = Notice {
            tone: Tone::Done,
            title: voice.say("switch-going-title"),
            what: voice.say("switch-going-what"),
            todo: Some(voice.say("switch-going-do")),
            ways: Vec::new(),
            sign_out: false,
            actions: vec![Link::new(voice.say("switch-go"), place)],
            help: None,
            urgent: false,
        };
        let mut response = self.notice(request, notice);
        if let Ok(refresh) = HeaderValue::from_str(&format!("0; url={place}")) {
            headers::set(&mut response, REFRESH, refresh);
        }
        response
    }

    /// Back to the session that waits on this device for the person who just proved who they are, if there is one.
    pub(crate) async fn resume(
        &self,
        request: &PageRequest,
        proven: &Proven,
        hand_off: Option<&str>,
    ) -> Result<Option<Entered>, Fault> {
        let Some(device) = request.device.as_deref() else { return Ok(None) };
        let waiting = self.waiting(request).await?;
        let Some(own) = waiting.iter().find(|one| one.user == proven.person().id) else { return Ok(None) };
        let resumed = self.parts.sessions.resume(own.session, proven, device, &request.host, request.at).await;
        let Some((session, token)) = resumed.map_err(|problem| store_fault(&problem))? else { return Ok(None) };
        let note = Note::new(Event::SignedIn, request.at).who(&session.who).code("resumed");
        if let Err(fault) = self.record(request, note).await {
            // Nobody works unrecorded: it waits again.
            if let Err(problem) = self.parts.sessions.park(session.id(), "gateway:unrecorded", request.at).await {
                warn!(request = %request.request, %problem, "an unrecorded session could not be parked");
            }
            return Err(fault);
        }
        self.let_on(request, &session, &token, hand_off).await.map(Some)
    }
}

/// Whether a browser may be emptied by this request: not because a page of another site shows a picture or a link
/// that leads here.
fn may_clear(headers: &HeaderMap) -> bool {
    let field = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_page = field("sec-fetch-dest").is_none_or(|dest| dest == "document");
    let is_ours = field("sec-fetch-site").is_none_or(|site| matches!(site, "none" | "same-origin" | "same-site"));
    is_page && is_ours
}
