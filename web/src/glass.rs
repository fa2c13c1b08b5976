//! Broken glass: the offer on the page of a refusal, breaking it, the strip on our pages while it is broken, and
//! ending it early. What is asked for travels in the form, never in an address, as it may name a patient.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use identity::{BrokenGlass, GrantProblem, Granted};
use policy::{AppId, GrantId, GrantKind, Method, Path, Timestamp, Unit, Who};
use serde_json::json;
use store::GrantRefusal;

use crate::notice::wall_clock;
use crate::site::{Answer, said, store_fault};
use crate::texts::Voice;
use crate::view::{GlassOffer, GlassStrip, Link, Notice, NoticeView, Tone, show};
use crate::{Fault, Language, PageRequest, Site, headers, language, query, wants_page};

/// Where the glass is broken, on the host of the app.
pub(crate) const BREAK: &str = "/.sekimori/glass";
/// How long the page waits until what was broken stands in the log.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// What a person who was refused would reach by breaking the glass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlassDoor {
    /// In which app.
    pub app: AppId,
    /// The method they were refused.
    pub method: Method,
    /// The path.
    pub path: Path,
    /// The query.
    pub query: String,
    /// The patient it is about, where it is about one.
    pub patient: Option<String>,
    /// The ward it is about, where it is about no one patient and that is known.
    pub ward: Option<Unit>,
    /// Whether it is open to them as it is, so that nothing needs to be broken.
    pub is_open: bool,
}

impl GlassDoor {
    /// Where they go on; only what was a plain navigation is asked for again.
    fn target(&self) -> Option<String> {
        (self.method.as_str() == "GET").then(|| query::target(&self.path, &self.query))
    }
}

impl Site {
    /// The form on the page of a refusal.
    pub(crate) fn glass_offer(&self, door: &GlassDoor, voice: Voice<'_>) -> GlassOffer {
        let glass = &self.config().break_glass;
        let reasons =
            glass.reasons.iter().map(|(code, names)| (code.clone(), said(names, voice.language()).to_owned()));
        let scope = match (&door.patient, &door.ward) {
            (Some(_), _) => voice.say("glass-offer-patient"),
            (None, Some(ward)) => voice.say_with("glass-offer-ward", "ward", ward.as_str()),
            (None, None) => voice.say_with("glass-offer-app", "app", &self.app_name(&door.app, voice.language())),
        };
        let span = [("minutes", minutes(glass.length)), ("hours", (glass.review_within.as_secs() / 3_600).to_string())];
        let span: Vec<(&str, &str)> = span.iter().map(|(name, value)| (*name, value.as_str())).collect();
        GlassOffer {
            action: BREAK,
            method: door.method.to_string(),
            path: door.path.to_string(),
            query: door.query.clone(),
            reasons: reasons.collect(),
            scope,
            lines: vec![voice.say_all("glass-offer-span", &span), voice.say("glass-offer-seen")],
        }
    }

    /// Breaks the glass, and goes on to what was refused.
    pub(crate) async fn break_glass(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let who = request.usable_session().ok_or(Fault::SignInExpired)?.who.clone();
        let Some(door) = &request.glass else {
            return Ok(self.glass_refused(request, &GrantRefusal::NotOffered));
        };
        if door.is_open {
            return Ok(self.glass_broken(request, door, None));
        }
        let field = |name| query::field(&request.body, name).unwrap_or_default().trim().to_owned();
        let (reason, words) = (field("reason"), field("words"));
        let (patient, ward) = (door.patient.clone(), door.ward.clone());
        let broken = BrokenGlass { app: door.app.clone(), reason, words, patient, ward };
        let grants = &self.parts.grants;
        match grants.break_glass(&who, request.device.as_deref(), broken, request.at).await {
            // Broken now, or by the press before this one, which may not stand in the log yet.
            Ok(id) | Err(GrantProblem::Refused(GrantRefusal::Overlaps(id))) => {
                if !grants.wait_for(&id, RECORD_TIMEOUT).await {
                    // It is broken, but not in force: nothing opens that is not on record.
                    return Err(Fault::NotRecorded);
                }
                Ok(self.glass_broken(request, door, Some(&id)))
            }
            Err(GrantProblem::Refused(refusal)) => Ok(self.glass_refused(request, &refusal)),
            Err(GrantProblem::Store(problem)) => Err(store_fault(&problem)),
        }
    }

    /// Ends one's own broken glass before its time.
    pub(crate) async fn end_glass(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let who = &request.usable_session().ok_or(Fault::SignInExpired)?.who;
        let id = query::field(&request.body, "glass").and_then(|id| GrantId::parse(&id).ok());
        let id = id.filter(|id| GrantKind::of(id) == GrantKind::Glass).ok_or(Fault::BadRequest)?;
        match self.parts.grants.end(&id, who.user.as_str(), "", &[], request.at).await {
            // It is over either way.
            Ok(()) | Err(GrantProblem::Refused(GrantRefusal::NotNow(_))) => {}
            Err(GrantProblem::Refused(_)) => return Err(Fault::NotFound),
            Err(GrantProblem::Store(problem)) => return Err(store_fault(&problem)),
        }
        let voice = self.voice(language(&request.headers));
        let on = Link::new(voice.say("action-portal"), self.portal_address());
        Ok(self.notice(request, done(voice, "glass-ended", on)))
    }

    /// The strips on every page of ours that a person sees while glass of theirs is broken.
    pub(crate) fn glass_strips(&self, who: &Who, at: Timestamp, voice: Voice<'_>) -> Vec<GlassStrip> {
        let in_force = self.parts.grants.of(&who.user, at);
        let glass = in_force.iter().filter(|one| one.kind == GrantKind::Glass);
        glass.map(|one| self.glass_strip(one, at, voice)).collect()
    }

    fn glass_strip(&self, glass: &Arc<Granted>, at: Timestamp, voice: Voice<'_>) -> GlassStrip {
        let (app, until) = (self.app_name(&glass.app, voice.language()), wall_clock(glass.end, self.config().offset));
        let until: String = until.chars().skip(11).take(5).collect();
        let left = minutes(glass.end.since(at));
        let span = [("minutes", left.as_str()), ("until", until.as_str())];
        let text = match &glass.ward {
            Some(ward) => {
                voice.say_all("glass-strip-ward", &[&[("app", &*app), ("ward", ward.as_str())][..], &span].concat())
            }
            None => voice.say_all("glass-strip", &[&[("app", &*app)][..], &span].concat()),
        };
        GlassStrip { id: glass.id.to_string(), text, end_label: voice.say_with("glass-strip-end-label", "app", &app) }
    }

    /// On to what was refused; what cannot be asked again by itself, the person does again.
    fn glass_broken(&self, request: &PageRequest, door: &GlassDoor, id: Option<&GrantId>) -> Response<Bytes> {
        if !wants_page(&request.headers, &request.method) {
            let body = json!({ "broken": true, "glass": id.map(GrantId::as_str) }).to_string();
            return headers::document(StatusCode::OK, "application/json", "no-store", Bytes::from(body));
        }
        if let Some(target) = door.target() {
            return headers::redirect(StatusCode::SEE_OTHER, &target);
        }
        let voice = self.voice(language(&request.headers));
        let on = Link::new(self.app_name(&door.app, voice.language()), "/");
        self.notice(request, done(voice, "glass-again", on))
    }

    /// Why it was not broken.
    fn glass_refused(&self, request: &PageRequest, refusal: &GrantRefusal) -> Response<Bytes> {
        if !wants_page(&request.headers, &request.method) {
            let body = json!({
                "type": format!("urn:sekimori:problem:{}", refusal.code()),
                "title": self.voice(Language::English).say(refusal_key(refusal)),
                "status": StatusCode::FORBIDDEN.as_u16(),
                "code": refusal.code(),
                "request": request.request.to_string(),
            });
            let body = Bytes::from(body.to_string());
            return headers::document(StatusCode::FORBIDDEN, "application/problem+json", "no-store", body);
        }
        let voice = self.voice(language(&request.headers));
        let notice = Notice {
            tone: Tone::Stop,
            title: voice.say("glass-not-broken-title"),
            what: voice.say(refusal_key(refusal)),
            todo: Some(voice.say("glass-not-broken-do")),
            ways: Vec::new(),
            sign_out: false,
            actions: vec![Link::new(voice.say("action-portal"), self.portal_address())],
            help: None,
            urgent: true,
        };
        show(StatusCode::FORBIDDEN, &NoticeView { frame: self.frame_of(request), notice, glass: None })
    }
}

/// What was done, and where to go on.
fn done(voice: Voice<'_>, key: &str, on: Link) -> Notice {
    Notice {
        tone: Tone::Done,
        title: voice.say(&format!("{key}-title")),
        what: voice.say(key),
        todo: None,
        ways: Vec::new(),
        sign_out: false,
        actions: vec![on],
        help: None,
        urgent: false,
    }
}

/// What to say where the glass was not broken.
fn refusal_key(refusal: &GrantRefusal) -> &'static str {
    match refusal {
        GrantRefusal::Vendor => "glass-refused-vendor",
        GrantRefusal::Overdue(_) => "glass-refused-overdue",
        GrantRefusal::NoWords | GrantRefusal::NoSuchReason => "glass-refused-words",
        GrantRefusal::TooLarge => "glass-refused-too-large",
        GrantRefusal::NotOffered
        | GrantRefusal::NoSuchApp
        | GrantRefusal::NotThere
        | GrantRefusal::NotNow(_)
        | GrantRefusal::PersonNotInForce
        | GrantRefusal::NotAVendor
        | GrantRefusal::NotInRole
        | GrantRefusal::TheirOwn
        | GrantRefusal::SamePerson
        | GrantRefusal::OutsideHours
        | GrantRefusal::InThePast
        | GrantRefusal::Empty
        | GrantRefusal::TooLong(_)
        | GrantRefusal::TooFarAhead(_)
        | GrantRefusal::Overlaps(_)
        | GrantRefusal::TooMany
        | GrantRefusal::NotApproved => "glass-refused-not-offered",
    }
}

/// A reason as people read it; its code where the configuration has it no longer.
pub(crate) fn glass_reason(config: &config::Config, code: &str, language: Language) -> String {
    config.break_glass.reason(code).map_or_else(|| code.to_owned(), |names| said(names, language).to_owned())
}

/// A span in minutes, each that has begun.
fn minutes(span: Duration) -> String {
    span.as_secs().div_ceil(60).to_string()
}
