//! One person: what is known of them, their keys, sessions and invitations, and what was done to them.

use policy::SignInMethod;
use store::{Credential, Person, Purpose, SessionRecord, SessionsOf};

use super::desk::{Desk, LOCAL, Refused, Shown};
use super::people::{last_sign_in, marks};
use super::record::needle;
use super::view::{Bit, ConsoleContent, Facts, Form, Go, GoLook, Mark, Part, Submit, Table};
use super::{Duty, invite, person_form};

/// The page.
pub(super) async fn person(desk: &Desk<'_>) -> Shown {
    let person = desk.person().await?;
    Ok(desk.show(content(desk, &person).await?))
}

/// What the page says, for showing it again where something stood in the way.
pub(super) async fn content(desk: &Desk<'_>, person: &Person) -> Result<ConsoleContent, Refused> {
    let is_active = person.disabled.is_none();
    let may_touch = desk.may_touch(person);
    let keys = keys(desk, person).await?;
    let mut marks = marks(desk, person);
    if is_active && is_local(person) && keys.rows.is_empty() {
        marks.push(Mark::warn(desk.say("console-mark-no-key")));
    }
    let mut parts = vec![Part::Facts(facts(desk, person).await?), Part::Table(keys)];
    if is_active && may_touch && !desk.is_self(&person.id) {
        parts.push(Part::Form(invite::passkey_form(desk, person)));
        parts.push(Part::Form(invite::temporary_form(desk, person)));
    }
    parts.push(Part::Table(sessions(desk, person).await?));
    if !is_active && desk.is(Duty::Administer) {
        parts.push(Part::Form(person_form::enable_form(desk, person)));
    }
    if is_active && may_touch {
        parts.extend(end_all(desk, person).await?.map(Part::Form));
    }
    parts.push(Part::Table(invitations(desk, person).await?));
    if desk.is(Duty::Administer) {
        parts.extend(super::maintenance::vendor_form(desk, person).await?.map(Part::Form));
        parts.push(Part::Form(person_form::change_form(desk, person, None)));
    }
    parts.push(Part::Table(desk.changes(needle("sub", person.id.as_str())).await?));
    Ok(ConsoleContent {
        title: person.name.clone(),
        up: Some(Go::new(desk.say("console-people"), "/people")),
        marks,
        actions: actions(desk, person, may_touch),
        parts,
        ..ConsoleContent::default()
    })
}

fn actions(desk: &Desk<'_>, person: &Person, may_touch: bool) -> Vec<Go> {
    let mut actions = Vec::new();
    if desk.is(Duty::Inspect) {
        actions.push(Go::new(desk.say("console-person-records"), format!("/log/timeline?who={}", person.id)));
    }
    if person.disabled.is_none() && may_touch && !desk.is_self(&person.id) {
        actions.push(Go::stop(desk.say("console-disable"), format!("/people/{}/disable", person.id)));
    }
    actions
}

async fn facts(desk: &Desk<'_>, person: &Person) -> Result<Facts, Refused> {
    let mut rows = vec![
        ("console-login", vec![Bit::text(&person.login)]),
        ("console-unit", vec![Bit::text(&person.unit)]),
        ("console-roles", vec![Bit::Text(desk.role_names(&person.roles))]),
        ("console-provider", vec![Bit::Text(desk.provider_name(&person.provider))]),
        ("console-last-sign-in", vec![Bit::Text(last_sign_in(desk, person))]),
        ("console-roles-confirmed", vec![Bit::Moment(desk.minute(person.confirmed_at))]),
        ("console-added", vec![Bit::Moment(desk.day(person.added_at))]),
        ("console-id", vec![Bit::Mono(person.id.to_string())]),
    ];
    if let Some(disabled) = &person.disabled {
        let by = desk.actor_name(&disabled.actor).await?;
        let why = vec![Bit::text(&disabled.why), Bit::Soft(format!("{} {by}", desk.minute(disabled.at)))];
        rows.push(("console-disabled-why", why));
    }
    let rows = rows.into_iter().map(|(label, bits)| (desk.say(label), bits)).collect();
    Ok(Facts { id: "facts", heading: desk.say("console-person-facts"), rows })
}

async fn keys(desk: &Desk<'_>, person: &Person) -> Result<Table, Refused> {
    let keys = desk.store().credentials_of(&person.id).await?;
    let may_remove = desk.may_touch(person) && !desk.is_self(&person.id);
    let mut heads = vec!["console-key", "console-key-model", "console-added", "console-last-used", "console-proofing"];
    if may_remove {
        heads.push("console-action");
    }
    let mut rows = Vec::new();
    for key in &keys {
        rows.push(key_row(desk, key, may_remove).await?);
    }
    Ok(Table {
        id: "keys",
        heading: desk.say("console-keys"),
        heads: heads.into_iter().map(|head| desk.say(head)).collect(),
        rows,
        empty: desk.say("console-keys-none"),
        note: None,
        pages: Vec::new(),
    })
}

async fn key_row(desk: &Desk<'_>, key: &Credential, may_remove: bool) -> Result<Vec<Vec<Bit>>, Refused> {
    let model = desk.config().passkeys.name_of(key.model);
    let model = model.map_or_else(|| desk.say("console-key-model-unknown"), ToOwned::to_owned);
    let bound = if key.device_bound { "console-key-bound" } else { "console-key-synced" };
    let used = key.used_at.map_or_else(|| desk.say("console-never-yet"), |at| desk.minute(at));
    let mut row = vec![
        vec![Bit::text(&key.name), Bit::Mark(Mark::plain(desk.say(bound)))],
        vec![Bit::Text(model)],
        vec![Bit::Moment(desk.day(key.added_at)), Bit::Soft(desk.actor_name(&key.added_by).await?)],
        vec![Bit::Text(used)],
        vec![Bit::text(&key.proofing)],
    ];
    if may_remove {
        row.push(vec![Bit::link(desk.say("console-remove"), format!("/people/{}/keys/{}/remove", key.user, key.id))]);
    }
    Ok(row)
}

async fn sessions(desk: &Desk<'_>, person: &Person) -> Result<Table, Refused> {
    let open = desk.store().sessions_of(SessionsOf::User(person.id.clone())).await?;
    let heads = ["console-session", "console-device", "console-methods", "console-last-used", "console-until"];
    Ok(Table {
        id: "sessions",
        heading: desk.say("console-sessions"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: open.iter().map(|(session, _)| session_row(desk, session, desk.may_touch(person))).collect(),
        empty: desk.say("console-sessions-none"),
        note: None,
        pages: Vec::new(),
    })
}

fn session_row(desk: &Desk<'_>, session: &SessionRecord, may_end: bool) -> Vec<Vec<Bit>> {
    let mut first = vec![Bit::Moment(desk.minute(session.opened_at))];
    first.extend(session_marks(desk, session).into_iter().map(Bit::Mark));
    if may_end {
        first.push(Bit::link(desk.say("console-end"), format!("/sessions/{}/end", session.id)));
    }
    vec![
        first,
        vec![device_bit(desk, session)],
        vec![Bit::Text(methods(desk, session))],
        vec![Bit::Moment(desk.minute(session.seen_at))],
        vec![Bit::Moment(desk.minute(session.ends_at))],
    ]
}

/// The states of a session that somebody should notice.
pub(super) fn session_marks(desk: &Desk<'_>, session: &SessionRecord) -> Vec<Mark> {
    let marks = [
        session.parked_at.map(|_| Mark::plain(desk.say("console-mark-parked"))),
        session.in_outage.then(|| Mark::warn(desk.say("console-mark-outage"))),
        (session.id == desk.who.session).then(|| Mark::plain(desk.say("console-mark-own"))),
    ];
    marks.into_iter().flatten().collect()
}

/// The device of a session.
pub(super) fn device_bit(desk: &Desk<'_>, session: &SessionRecord) -> Bit {
    match &session.device {
        Some(id) => Bit::link(id.as_str(), format!("/devices/{id}")),
        None => Bit::Soft(desk.say("console-device-none")),
    }
}

/// By what a session was opened, and how surely.
pub(super) fn methods(desk: &Desk<'_>, session: &SessionRecord) -> String {
    let word = |method: SignInMethod| desk.say(&format!("console-method-{}", method.as_str()));
    let words: Vec<String> = session.methods.iter().map(word).collect();
    format!("{} ({})", words.join(" + "), session.assurance.as_str())
}

/// The button that ends all sessions of a person, where there are any.
async fn end_all(desk: &Desk<'_>, person: &Person) -> Result<Option<Form>, Refused> {
    if desk.store().sessions_of(SessionsOf::User(person.id.clone())).await?.is_empty() {
        return Ok(None);
    }
    Ok(Some(Form {
        id: "end-all",
        heading: desk.say("console-end-all"),
        lead: Some(desk.say("console-end-all-lead")),
        action: format!("/people/{}/end-sessions", person.id),
        with_file: false,
        fields: Vec::new(),
        buttons: vec![Submit { label: desk.say("console-end-all-button"), look: GoLook::Stop, sends: None }],
        back: None,
        folded: true,
    }))
}

async fn invitations(desk: &Desk<'_>, person: &Person) -> Result<Table, Refused> {
    let all = desk.store().invitations().await?;
    let theirs = all.iter().filter(|one| one.invited.user() == Some(&person.id) && one.is_in_force(desk.at()));
    let may_revoke = desk.may_touch(person);
    let mut rows = Vec::new();
    for invitation in theirs {
        let about = desk.say(purpose_key(invitation.invited.purpose()));
        let mut row = vec![
            vec![Bit::text(&about)],
            vec![Bit::Moment(desk.minute(invitation.expires_at))],
            vec![Bit::Text(desk.actor_name(&invitation.made_by).await?)],
            vec![Bit::text(&invitation.reason)],
        ];
        if may_revoke {
            let action = format!("/invitations/{}/revoke", invitation.id);
            row.push(vec![Bit::Button { label: desk.say("console-revoke"), about, action }]);
        }
        rows.push(row);
    }
    let mut heads = vec!["console-invitation", "console-until", "console-made-by", "console-reason"];
    if may_revoke {
        heads.push("console-action");
    }
    Ok(Table {
        id: "invitations",
        heading: desk.say("console-invitations-open"),
        heads: heads.into_iter().map(|head| desk.say(head)).collect(),
        rows,
        empty: desk.say("console-invitations-none"),
        note: None,
        pages: Vec::new(),
    })
}

/// What an invitation is for, in words.
pub(super) fn purpose_key(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Passkey => "console-purpose-passkey",
        Purpose::Device => "console-purpose-device",
        Purpose::Temporary => "console-purpose-temporary",
        Purpose::FirstAdministrator => "console-purpose-first-administrator",
    }
}

/// Whether a person belongs to the local directory, which alone says what they are called and may act as.
pub(super) fn is_local(person: &Person) -> bool {
    person.provider.as_str() == LOCAL
}
