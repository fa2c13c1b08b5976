//! Codes for people and devices: invitations to enrol, and temporary codes for who has no key today. A code is shown
//! once, in the answer to the form that made it.

use std::time::Duration;

use identity::MadeInvitation;
use store::{CredentialId, Person, SessionsOf};

use super::desk::{Desk, Refused, Shown};
use super::person::content;
use super::person_form::TEXT_CHARS_MAX;
use super::posted::Posted;
use super::view::{Bit, Choice, Code, ConsoleContent, Facts, Field, Form, Go, Part, Submit};
use crate::{Fault, qr};

const HOUR: Duration = Duration::from_secs(3_600);
/// How long invitations may be good for, in hours; the first is offered first.
pub(super) const INVITATION_HOURS: [u64; 4] = [24, 4, 72, 168];
/// How long temporary codes may be good for, in hours: at most a shift.
const TEMPORARY_HOURS: [u64; 3] = [8, 4, 12];

/// What opens the door to a code.
#[derive(Clone, Copy)]
pub(super) enum CodeFor {
    Passkey,
    Temporary,
    Device,
}

impl CodeFor {
    /// Where the code is used, and the words on its slip.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Passkey => ("/enrol", "passkey"),
            Self::Temporary => ("/temporary", "temporary"),
            Self::Device => ("/device", "device"),
        }
    }
}

/// Invites to enrol a passkey.
pub(super) fn passkey_form(desk: &Desk<'_>, person: &Person) -> Form {
    Form {
        id: "invite",
        heading: desk.say("console-invite"),
        lead: Some(desk.say("console-invite-lead")),
        action: format!("/people/{}/invite", person.id),
        with_file: false,
        fields: vec![
            Field::text("invite", "proofing", desk.say("console-proofing"), "", TEXT_CHARS_MAX)
                .required()
                .hinted(desk.say("console-proofing-hint")),
            hours(desk, "invite", &INVITATION_HOURS),
        ],
        buttons: Submit::main(desk.say("console-invite-button")),
        back: None,
        folded: true,
    }
}

/// Issues a temporary code.
pub(super) fn temporary_form(desk: &Desk<'_>, person: &Person) -> Form {
    Form {
        id: "temporary",
        heading: desk.say("console-temporary"),
        lead: Some(desk.say("console-temporary-lead")),
        action: format!("/people/{}/temporary", person.id),
        with_file: false,
        fields: vec![
            Field::text("temporary", "reason", desk.say("console-reason"), "", TEXT_CHARS_MAX)
                .required()
                .hinted(desk.say("console-temporary-hint")),
            hours(desk, "temporary", &TEMPORARY_HOURS),
        ],
        buttons: Submit::main(desk.say("console-temporary-button")),
        back: None,
        folded: true,
    }
}

/// How long a code is good for.
pub(super) fn hours(desk: &Desk<'_>, form: &str, offered: &[u64]) -> Field {
    let choice = |hours: &u64| {
        let label = desk.say_with("console-hours", "count", &hours.to_string());
        Choice::new(hours.to_string(), label, Some(hours) == offered.first())
    };
    Field::choice(form, "hours", desk.say("console-good-for"), offered.iter().map(choice).collect())
}

/// The span that was chosen; nothing but what was offered.
pub(super) fn chosen_hours(form: &Posted, offered: &[u64]) -> Result<Duration, Refused> {
    let hours = form.raw("hours").parse::<u64>().ok().filter(|hours| offered.contains(hours));
    Ok(hours.map(|hours| HOUR * u32::try_from(hours).unwrap_or(1)).ok_or(Fault::BadRequest)?)
}

/// Nobody makes codes for themselves: the second pair of eyes is what they are for.
fn demand_other(desk: &Desk<'_>, person: &Person) -> Result<(), Refused> {
    desk.demand_touch(person)?;
    if desk.is_self(&person.id) { Err(Refused::Right(policy::Reason::ActionNotAllowed)) } else { Ok(()) }
}

/// Invites a person to enrol a passkey.
pub(super) async fn invite(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    demand_other(desk, &person)?;
    let form = Posted::read(desk.request)?;
    let (span, proofing) = (chosen_hours(&form, &INVITATION_HOURS)?, form.line("proofing", TEXT_CHARS_MAX)?);
    match desk.site.parts.people.invite(&person.id, span, &proofing, &desk.actor(), desk.at()).await {
        Ok(made) => Ok(slip(desk, &made, CodeFor::Passkey, &person.name, &format!("/people/{}", person.id))),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, content(desk, &person).await?)),
    }
}

/// Issues a temporary code to a person.
pub(super) async fn temporary(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    demand_other(desk, &person)?;
    let form = Posted::read(desk.request)?;
    let (span, reason) = (chosen_hours(&form, &TEMPORARY_HOURS)?, form.line("reason", TEXT_CHARS_MAX)?);
    match desk.site.parts.people.temporary(&person.id, span, &reason, &desk.actor(), desk.at()).await {
        Ok(made) => Ok(slip(desk, &made, CodeFor::Temporary, &person.name, &format!("/people/{}", person.id))),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, content(desk, &person).await?)),
    }
}

/// The slip that shows a code, once.
pub(super) fn slip(
    desk: &Desk<'_>,
    made: &MadeInvitation,
    what: CodeFor,
    whose: &str,
    back: &str,
) -> http::Response<bytes::Bytes> {
    let (place, word) = what.words();
    let code = made.code.expose();
    let link = format!("{}{place}#{code}", desk.site.login_origin());
    let step = |number: u8| desk.say(&format!("console-code-{word}-step-{number}"));
    let code = Code {
        heading: desk.say("console-code"),
        picture: qr::svg(&link, &desk.say("console-code-picture")),
        code,
        link,
        until: desk.say_with("console-code-until", "time", &desk.minute(made.expires_at)),
        steps: vec![step(1), step(2), step(3)],
    };
    desk.show(ConsoleContent {
        title: desk.say_with(&format!("console-code-{word}-title"), "name", whose),
        lead: Some(desk.say("console-code-once")),
        up: Some(Go::new(whose.to_owned(), back)),
        parts: vec![Part::Code(code)],
        ..ConsoleContent::default()
    })
}

/// Ends all sessions of a person.
pub(super) async fn end_sessions(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    desk.demand_touch(&person)?;
    desk.store().end_sessions(SessionsOf::User(person.id.clone()), desk.at(), desk.actor()).await?;
    Ok(desk.go(&format!("/people/{}", person.id), "sessions-ended"))
}

/// The key that the path names, if it is this person's.
async fn key(desk: &Desk<'_>, person: &Person) -> Result<store::Credential, Refused> {
    let id = CredentialId::parse(desk.named(3)).ok_or(Fault::NotFound)?;
    let keys = desk.store().credentials_of(&person.id).await?;
    Ok(keys.into_iter().find(|key| key.id == id).ok_or(Fault::NotFound)?)
}

/// Asks whether to remove a key.
pub(super) async fn ask_remove_key(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    demand_other(desk, &person)?;
    let key = key(desk, &person).await?;
    let place = format!("/people/{}", person.id);
    let used = key.used_at.map_or_else(|| desk.say("console-never-yet"), |at| desk.minute(at));
    let rows = vec![
        (desk.say("console-person"), vec![Bit::text(&person.name)]),
        (desk.say("console-key"), vec![Bit::text(&key.name)]),
        (desk.say("console-added"), vec![Bit::Moment(desk.day(key.added_at))]),
        (desk.say("console-last-used"), vec![Bit::Text(used)]),
    ];
    let form = Form {
        id: "remove",
        heading: desk.say("console-remove-key-form"),
        lead: Some(desk.say("console-remove-key-what")),
        action: format!("{place}/keys/{}/remove", key.id),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(desk.say("console-remove-key-button")),
        back: Some(Go::new(desk.say("console-cancel"), place.clone())),
        folded: false,
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-remove-key-title"),
        up: Some(Go::new(person.name, place)),
        parts: vec![Part::Facts(Facts { id: "facts", heading: desk.say("console-key-facts"), rows }), Part::Form(form)],
        ..ConsoleContent::default()
    }))
}

/// Removes a key; the sessions opened with it end.
pub(super) async fn remove_key(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    demand_other(desk, &person)?;
    let key = key(desk, &person).await?;
    let removed = desk.store().remove_credential(&person.id, &key.id, desk.at(), desk.actor()).await?;
    let done = if removed.is_some() { "key-removed" } else { "nothing-changed" };
    Ok(desk.go(&format!("/people/{}", person.id), done))
}
