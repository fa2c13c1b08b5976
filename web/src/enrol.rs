//! Enrolment of passkeys: by a code on paper or in a link, beside a passkey one has already, or at the first sign-in.
//!
//! A link is `/enrol#CODE`: a fragment never leaves the browser, so no log holds the code.

use std::time::Duration;

use http::StatusCode;
use identity::{
    Answer as Proof, Begun, Enrolled, Enrolment, Newcomer, PasskeyProblem, PasskeyRefusal, Session,
    may_sign_in_by_passkey,
};
use policy::{Assurance, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cookie::{self, Ceremony};
use crate::passkey::question;
use crate::query::{self, Ask};
use crate::site::Answer;
use crate::view::{EnrolView, KeyTask, Link, Notice, Tone, show_with_script};
use crate::{Fault, PageRequest, Site, entry, headers, json, language};

/// Where who is signed in adds a passkey.
pub(crate) const ENROL_OWN: &str = "/enrol?own=1";
/// How recently one must have proved who one is to add a passkey; identity holds everybody to the same.
const PROOF_AGE_MAX: Duration = Duration::from_secs(15 * 60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginBody {
    code: Option<String>,
    pending: Option<String>,
    login: Option<String>,
    person: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishBody {
    ceremony: String,
    credential: Value,
    #[serde(default)]
    name: String,
    pending: Option<String>,
}

/// Whoever the code does not name says who they are.
#[derive(Serialize)]
struct Wanted {
    ask: &'static str,
    say: String,
}

impl Site {
    /// Where a passkey is enrolled: by a code, or by who is signed in and proved a moment ago who they are.
    pub(crate) async fn enrol(&self, request: &PageRequest) -> Answer {
        let field = |name| query::field(request.query.as_bytes(), name);
        if field("done").is_some() {
            return Ok(self.enrolled_page(request));
        }
        let voice = self.voice(language(&request.headers));
        let own = match (field("own"), request.usable_session()) {
            (None, _) => None,
            (Some(_), Some(session)) if is_fresh(session, request.at) => Some(session),
            (Some(_), session) => {
                let again = session.map(|_| Assurance::Aal2);
                let ask = Ask { again, ..Ask::default() };
                return self.send_to_login(&request.host, ENROL_OWN, &request.headers, ask, request.at).await;
            }
        };
        let lead = match own {
            Some(session) => voice.say_with("enrol-lead-own", "name", &session.who.name),
            None => voice.say("enrol-lead"),
        };
        let view = EnrolView {
            frame: self.frame_of(request),
            title: voice.say("enrol-title"),
            lead,
            lines: Vec::new(),
            asks_code: own.is_none(),
            key: KeyTask {
                task: "enrol",
                label: voice.say("enrol-do"),
                offers: false,
                hand_off: None,
                again: None,
                pending: None,
            },
        };
        Ok(show_with_script(StatusCode::OK, &view))
    }

    /// Asks for a new passkey.
    pub(crate) async fn enrol_begin(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let BeginBody { code, pending, login, person } = json::read(request)?;
        let newcomer = login.zip(person).map(|(login, name)| Newcomer { login, name });
        let is_newcomer = newcomer.is_some();
        let enrolment = match (code, pending) {
            (Some(code), None) => Enrolment::Invitation { code, newcomer },
            (None, Some(pending)) => {
                let signed_in = self.look_at_pending(request, Some(&pending)).await?;
                if !self.may_enrol_now(&signed_in).await? {
                    return Err(Fault::NoKey);
                }
                Enrolment::FirstSignIn(Box::new(signed_in))
            }
            (None, None) => match request.usable_session() {
                Some(session) => Enrolment::Own(session.clone()),
                None => return entry::go_to(ENROL_OWN),
            },
            (Some(_), Some(_)) => return Err(Fault::BadRequest),
        };
        let voice = self.voice(language(&request.headers));
        match self.parts.passkeys.begin_registration(&self.parts.people, enrolment, request.at).await {
            Ok(begun) => {
                let whose = owner(&begun).map(|name| voice.say_with("enrol-whose", "name", &name));
                question(request, Ceremony::Enrolment, &begun, whose)
            }
            Err(PasskeyProblem::ProveFirst) => entry::go_to(ENROL_OWN),
            Err(PasskeyProblem::Newcomer) => {
                let say = if is_newcomer { "enrol-newcomer-wrong" } else { "enrol-newcomer" };
                json::write(&Wanted { ask: "newcomer", say: voice.say(say) })
            }
            Err(problem) => Err(self.passkey_fault(request, problem).await),
        }
    }

    /// Keeps the new passkey, and lets its owner in where it is enough for that.
    pub(crate) async fn enrol_finish(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let FinishBody { ceremony, credential, name, pending } = json::read(request)?;
        let Some(secret) = cookie::tied(&request.headers, Ceremony::Enrolment, &ceremony) else {
            return Err(self.passkey_fault(request, PasskeyRefusal::Void.into()).await);
        };
        let credential = credential.to_string();
        let proof = Proof { ceremony: &ceremony, browser_secret: secret, credential: &credential };
        let voice = self.voice(language(&request.headers));
        let name = if name.trim().is_empty() { voice.say("enrol-key-name") } else { name };
        let finished = self.parts.passkeys.finish_registration(&self.parts.people, proof, &name, request.at).await;
        let Enrolled { proven, passkey: _ } = match finished {
            Ok(enrolled) => enrolled,
            Err(problem) => return Err(self.passkey_fault(request, problem).await),
        };
        let own = request.usable_session().is_some_and(|session| session.who.user == proven.person().id);
        let mut response = match &pending {
            Some(pending) => self.second_factor_done(request, &proven, Some(pending)).await?.into_json()?,
            None if own => entry::go_to(&format!("{}me?done=1", self.portal_address()))?,
            None => self.first_use(request, &proven).await?,
        };
        headers::add_cookies(&mut response, cookie::untie(Ceremony::Enrolment, &ceremony));
        Ok(response)
    }

    /// Whoever made a passkey by invitation was verified by it: they are in, unless their provider comes first.
    async fn first_use(&self, request: &PageRequest, proven: &identity::Proven) -> Answer {
        let config = self.config();
        let outage = self.parts.outage.grants(proven.person(), request.at);
        let may = may_sign_in_by_passkey(proven.person(), &config.directory, &config.providers, outage, request.at);
        match may {
            Ok(_) => self.enter_by_passkey(request, proven, None, None).await?.into_json(),
            Err(_) => entry::go_to("/enrol?done=1"),
        }
    }

    fn enrolled_page(&self, request: &PageRequest) -> http::Response<bytes::Bytes> {
        let voice = self.voice(language(&request.headers));
        let notice = Notice {
            tone: Tone::Done,
            title: voice.say("enrolled-title"),
            what: voice.say("enrolled-what"),
            todo: None,
            ways: Vec::new(),
            sign_out: false,
            actions: vec![Link::new(voice.say("action-sign-in"), self.portal_address())],
            help: None,
            urgent: false,
        };
        self.notice(request, notice)
    }
}

pub(crate) fn is_fresh(session: &Session, at: Timestamp) -> bool {
    session.who.assurance >= Assurance::Aal2 && at.since(session.who.authenticated_at) <= PROOF_AGE_MAX
}

/// Whose passkey it will be, as the authenticator is told.
fn owner(begun: &Begun) -> Option<String> {
    let options: Value = serde_json::from_str(&begun.options).ok()?;
    options.pointer("/publicKey/user/displayName")?.as_str().map(str::to_owned)
}
