//! Passkeys on the sign-in host, for our script: begin asks for a proof, finish judges it and lets the person in.
//!
//! One address for every purpose. Nothing that is answered tells whether a person or a key exists; why a proof was
//! refused is in the record alone.

use audit::{Event, Note};
use bytes::Bytes;
use http::Response;
use identity::{
    Answer as Proof, Begun, Opening, PasskeyProblem, PasskeyRefusal, Proven, RefusedPasskey, Whom,
    may_sign_in_by_passkey,
};
use policy::Assurance;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use crate::cookie::{self, Ceremony};
use crate::entry::{self, Entered};
use crate::query::Ask;
use crate::site::{Answer, store_fault};
use crate::{Fault, PageRequest, Site, headers, json};

/// What a proof is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Purpose {
    /// To sign in, whoever it is.
    SignIn,
    /// To take over a shared device, or to come back to it.
    Switch,
    /// To prove again who one is, in one's own session.
    StepUp,
    /// To follow the provider's answer.
    SecondFactor,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginBody {
    r#for: Purpose,
    h: Option<String>,
    again: Option<String>,
    pending: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishBody {
    r#for: Purpose,
    ceremony: String,
    credential: Value,
    h: Option<String>,
    again: Option<String>,
    pending: Option<String>,
}

/// What our script asks the browser.
#[derive(Serialize)]
struct Question<'a> {
    ceremony: &'a str,
    options: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    whose: Option<String>,
}

impl Site {
    /// Asks for a proof.
    pub(crate) async fn passkey_begin(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let BeginBody { r#for, h, again, pending } = json::read(request)?;
        let whom = match r#for {
            Purpose::SignIn | Purpose::Switch => Whom::Anyone,
            Purpose::StepUp => match request.usable_session() {
                Some(session) => Whom::Person(session.who.user.clone()),
                // Signed out meanwhile, or locked: the page for that comes next.
                None => return entry::go_to(&again_later(h, again).address("/sign-in")),
            },
            Purpose::SecondFactor => Whom::Person(self.look_at_pending(request, pending.as_deref()).await?.person.id),
        };
        match self.parts.passkeys.begin_authentication(whom, request.at).await {
            Ok(begun) => question(request, Ceremony::Passkey, &begun, None),
            Err(problem) => Err(self.passkey_fault(request, problem).await),
        }
    }

    /// Judges a proof and lets the person in.
    pub(crate) async fn passkey_finish(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let body: FinishBody = json::read(request)?;
        let proven = self.proven(request, &body.ceremony, &body.credential).await?;
        let again = body.again.as_deref().and_then(Assurance::parse);
        let entered = match body.r#for {
            Purpose::SignIn | Purpose::Switch => {
                self.enter_by_passkey(request, &proven, body.h.as_deref(), again).await?
            }
            Purpose::StepUp => self.step_up(request, &proven, body.h.as_deref(), again).await?,
            Purpose::SecondFactor => self.second_factor_done(request, &proven, body.pending.as_deref()).await?,
        };
        let mut response = entered.into_json()?;
        headers::add_cookies(&mut response, cookie::untie(Ceremony::Passkey, &body.ceremony));
        Ok(response)
    }

    async fn proven(&self, request: &PageRequest, ceremony: &str, credential: &Value) -> Result<Proven, Fault> {
        let Some(secret) = cookie::tied(&request.headers, Ceremony::Passkey, ceremony) else {
            return Err(self.passkey_fault(request, PasskeyRefusal::Void.into()).await);
        };
        let credential = credential.to_string();
        let proof = Proof { ceremony, browser_secret: secret, credential: &credential };
        match self.parts.passkeys.finish_authentication(proof, request.at).await {
            Ok(proven) => Ok(proven),
            Err(problem) => Err(self.passkey_fault(request, problem).await),
        }
    }

    /// A passkey alone: back to a session that waits on this device, or a new session where that is enough.
    pub(crate) async fn enter_by_passkey(
        &self,
        request: &PageRequest,
        proven: &Proven,
        hand_off: Option<&str>,
        again: Option<Assurance>,
    ) -> Result<Entered, Fault> {
        if let Some(entered) = self.resume(request, proven, hand_off).await? {
            return Ok(entered);
        }
        let person = proven.person();
        let outage = self.parts.outage.grants(person, request.at);
        let config = self.config();
        match may_sign_in_by_passkey(person, &config.directory, &config.providers, outage, request.at) {
            Ok(alone) => {
                let opening = Opening::by_passkey(proven, alone, request.device.clone(), request.host.clone());
                self.enter(request, opening, hand_off, again).await
            }
            Err(_) => {
                let mut note = Note::new(Event::SignInFailed, request.at).user(&person.id).code("provider-first");
                note.provider = Some(person.provider.clone());
                Err(self.record(request, note).await.err().unwrap_or(Fault::ProviderFirst))
            }
        }
    }

    async fn step_up(
        &self,
        request: &PageRequest,
        proven: &Proven,
        hand_off: Option<&str>,
        again: Option<Assurance>,
    ) -> Result<Entered, Fault> {
        let session = request.usable_session().ok_or(Fault::SignInExpired)?;
        let opening = Opening::step_up(session, proven, request.device.clone(), request.host.clone());
        match opening {
            Some(opening) => self.enter(request, opening, hand_off, again.or(Some(Assurance::Aal2))).await,
            None => Err(self.passkey_fault(request, foreign(proven)).await),
        }
    }

    /// Records why a proof was refused, and turns it into the one thing that is answered.
    pub(crate) async fn passkey_fault(&self, request: &PageRequest, problem: PasskeyProblem) -> Fault {
        let RefusedPasskey { reason, user, credential: _ } = match problem {
            PasskeyProblem::Refused(refused) => *refused,
            PasskeyProblem::NoPasskey => return Fault::NoKey,
            PasskeyProblem::ProveFirst => return Fault::SignInExpired,
            PasskeyProblem::Newcomer => return Fault::BadRequest,
            PasskeyProblem::Store(problem) => return store_fault(&problem),
        };
        warn!(request = %request.request, reason = reason.as_str(), "a passkey was refused");
        let mut note = Note::new(Event::CeremonyRefused, request.at).code(reason.as_str());
        note.user = user;
        let recorded = self.record(request, note).await;
        recorded.err().unwrap_or(answer_to(reason))
    }
}

/// Everything about the key itself looks the same from outside.
fn answer_to(reason: PasskeyRefusal) -> Fault {
    match reason {
        PasskeyRefusal::Model => Fault::KeyNotAllowed,
        PasskeyRefusal::Void | PasskeyRefusal::SessionOver => Fault::SignInExpired,
        PasskeyRefusal::Invitation => Fault::CodeVoid,
        PasskeyRefusal::Malformed
        | PasskeyRefusal::Challenge
        | PasskeyRefusal::Origin
        | PasskeyRefusal::CrossOrigin
        | PasskeyRefusal::Party
        | PasskeyRefusal::Kind
        | PasskeyRefusal::NotPresent
        | PasskeyRefusal::NotVerified
        | PasskeyRefusal::Signature
        | PasskeyRefusal::Counter
        | PasskeyRefusal::BackupChanged
        | PasskeyRefusal::Unknown
        | PasskeyRefusal::Foreign
        | PasskeyRefusal::Disabled
        | PasskeyRefusal::Attestation
        | PasskeyRefusal::Algorithm
        | PasskeyRefusal::Known
        | PasskeyRefusal::TooMany => Fault::PasskeyRefused,
    }
}

/// The refusal of a passkey that is another person's than was asked for.
pub(crate) fn foreign(proven: &Proven) -> PasskeyProblem {
    PasskeyProblem::Refused(Box::new(RefusedPasskey {
        reason: PasskeyRefusal::Foreign,
        user: Some(proven.person().id.clone()),
        credential: Some(proven.credential().clone()),
    }))
}

/// Hands a question to our script, and ties it to this browser.
pub(crate) fn question(
    request: &PageRequest,
    ceremony: Ceremony,
    begun: &Begun,
    whose: Option<String>,
) -> Result<Response<Bytes>, Fault> {
    let options = serde_json::from_str(&begun.options).map_err(|_| Fault::Internal)?;
    let mut response = json::write(&Question { ceremony: &begun.ceremony, options, whose })?;
    let secret = begun.browser_secret.expose();
    headers::add_cookies(&mut response, cookie::tie(&request.headers, ceremony, &begun.ceremony, secret, request.at));
    Ok(response)
}

fn again_later(hand_off: Option<String>, again: Option<String>) -> Ask {
    let again = again.as_deref().and_then(Assurance::parse);
    Ask { hand_off, again, ..Ask::default() }
}
