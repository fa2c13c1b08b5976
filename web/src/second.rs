//! The passkey that must follow a provider's answer: nobody has a session between the two.

use audit::{Event, Note};
use http::StatusCode;
use identity::{Opening, PasskeyRefusal, Proven, SignedIn};

use crate::cookie::{self, Ceremony};
use crate::entry::Entered;
use crate::passkey::foreign;
use crate::query::{self, Return};
use crate::site::{Answer, store_fault};
use crate::view::{EnrolView, KeyTask, SignInView, show_with_script};
use crate::{Fault, PageRequest, Site, headers, language};

impl Site {
    /// Keeps a provider's answer and asks for the passkey. Who has none may enrol one where the operator trusts the
    /// provider for that; all others need an invitation first.
    pub(crate) async fn ask_second_factor(&self, request: &PageRequest, signed_in: &SignedIn) -> Answer {
        if !self.has_passkey(signed_in).await? && !self.may_enrol_now(signed_in).await? {
            let mut note = Note::new(Event::SignInFailed, request.at).user(&signed_in.person.id).code("no-passkey");
            note.provider = Some(signed_in.person.provider.clone());
            return Err(self.record(request, note).await.err().unwrap_or(Fault::NoKey));
        }
        let held = self.pending.hold(signed_in, request.at).await.map_err(|problem| store_fault(&problem))?;
        let mut response = headers::redirect(StatusCode::FOUND, &format!("/second?p={}", held.id));
        let secret = held.browser_secret.expose();
        let cookies = cookie::tie(&request.headers, Ceremony::SecondFactor, &held.id, secret, request.at);
        headers::add_cookies(&mut response, cookies);
        Ok(response)
    }

    /// Where the passkey is asked for, or enrolled.
    pub(crate) async fn second_factor(&self, request: &PageRequest) -> Answer {
        let pending = query::field(request.query.as_bytes(), "p");
        let signed_in = self.look_at_pending(request, pending.as_deref()).await?;
        let voice = self.voice(language(&request.headers));
        let key = |task, label: &str| KeyTask {
            task,
            label: voice.say(label),
            offers: false,
            hand_off: None,
            again: None,
            pending: pending.clone(),
        };
        if self.has_passkey(&signed_in).await? {
            let view = SignInView {
                frame: self.frame_of(request),
                title: voice.say("second-title"),
                lead: voice.say("second-lead"),
                lines: vec![voice.say_with("sign-in-signed-in", "name", &signed_in.person.name)],
                waiting: Vec::new(),
                key: Some(key("second-factor", "passkey-second")),
                ways: Vec::new(),
                more: Vec::new(),
                switch: None,
            };
            return Ok(show_with_script(StatusCode::OK, &view));
        }
        let view = EnrolView {
            frame: self.frame_of(request),
            title: voice.say("second-enrol-title"),
            lead: voice.say_with("second-enrol-lead", "name", &signed_in.person.name),
            lines: Vec::new(),
            asks_code: false,
            key: key("enrol", "enrol-do"),
        };
        Ok(show_with_script(StatusCode::OK, &view))
    }

    /// The provider's answer that waits for this browser's passkey.
    pub(crate) async fn look_at_pending(
        &self,
        request: &PageRequest,
        pending: Option<&str>,
    ) -> Result<SignedIn, Fault> {
        let (id, secret) = pending_of(request, pending).ok_or(Fault::SignInExpired)?;
        let found = self.pending.look(id, secret, request.at).await.map_err(|problem| store_fault(&problem))?;
        found.ok_or(Fault::SignInExpired)
    }

    /// The passkey came: takes the provider's answer and opens the session, if both are of the same person.
    pub(crate) async fn second_factor_done(
        &self,
        request: &PageRequest,
        proven: &Proven,
        pending: Option<&str>,
    ) -> Result<Entered, Fault> {
        let Some((id, secret)) = pending_of(request, pending) else {
            return Err(self.passkey_fault(request, PasskeyRefusal::Void.into()).await);
        };
        let taken = self.pending.take(id, secret, request.at).await.map_err(|problem| store_fault(&problem))?;
        let signed_in = taken.ok_or(Fault::SignInExpired)?;
        let Return { hand_off, again, begun: _ } = Return::read(&signed_in.return_to).ok_or(Fault::SignInExpired)?;
        let opening = Opening::by_provider(signed_in, request.device.clone(), request.host.clone());
        let Some(opening) = opening.with_passkey(proven) else {
            return Err(self.passkey_fault(request, foreign(proven)).await);
        };
        let mut entered = self.enter(request, opening, hand_off.as_deref(), again).await?;
        entered.cookies.extend(cookie::untie(Ceremony::SecondFactor, id));
        Ok(entered)
    }

    async fn has_passkey(&self, signed_in: &SignedIn) -> Result<bool, Fault> {
        let found = self.parts.passkeys.has_any(&signed_in.person.id).await;
        found.map_err(|problem| store_fault(&problem))
    }

    /// Whether who was just vouched for by their provider may enrol a passkey on that word alone: if the operator says
    /// so, and only if they never had one: who lost all their keys is invited.
    pub(crate) async fn may_enrol_now(&self, signed_in: &SignedIn) -> Result<bool, Fault> {
        let provider = self.config().providers.iter().find(|one| one.id == signed_in.person.provider);
        if !provider.is_some_and(|provider| provider.enrol_at_first_sign_in) {
            return Ok(false);
        }
        let had_any = self.parts.passkeys.had_any(&signed_in.person.id).await;
        Ok(!had_any.map_err(|problem| store_fault(&problem))?)
    }
}

/// Name and secret of the provider's answer that waits for this browser.
fn pending_of<'a>(request: &'a PageRequest, pending: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    let id = pending?;
    Some((id, cookie::tied(&request.headers, Ceremony::SecondFactor, id)?))
}
