//! Invitations: those in force, and taking one back.

use store::{Invitation, InvitationId, Invited};

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::person::purpose_key;
use super::view::{Bit, ConsoleContent, Part, Table};
use crate::Fault;

/// The most that are listed.
const ROWS_MAX: usize = 200;

/// The list of those in force.
pub(super) async fn invitations(desk: &Desk<'_>) -> Shown {
    let all = desk.site.parts.people.invitations().await?;
    let in_force: Vec<&Invitation> = all.iter().filter(|one| one.is_in_force(desk.at())).collect();
    let mut rows = Vec::new();
    for invitation in in_force.iter().take(ROWS_MAX) {
        rows.push(row(desk, invitation).await?);
    }
    let mut heads =
        vec!["console-invitation", "console-for-whom", "console-until", "console-made-by", "console-reason"];
    if desk.is(Duty::Help) {
        heads.push("console-action");
    }
    let table = Table {
        id: "invitations",
        heading: desk.say("console-invitations-open"),
        heads: heads.into_iter().map(|head| desk.say(head)).collect(),
        rows,
        empty: desk.say("console-invitations-none"),
        note: (in_force.len() > ROWS_MAX).then(|| desk.say("console-list-cut")),
        pages: Vec::new(),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-invitations"),
        lead: Some(desk.say("console-invitations-lead")),
        parts: vec![Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

async fn row(desk: &Desk<'_>, invitation: &Invitation) -> Result<Vec<Vec<Bit>>, Refused> {
    let purpose = desk.say(purpose_key(invitation.invited.purpose()));
    let (whom, about) = match &invitation.invited {
        Invited::Passkey(user) | Invited::Temporary(user) => {
            let name = desk.store().person(user).await?.map_or_else(|| user.to_string(), |person| person.name);
            (Bit::link(&name, format!("/people/{user}")), name)
        }
        Invited::Device(device) => (Bit::link(device.as_str(), format!("/devices/{device}")), device.to_string()),
        Invited::FirstAdministrator => (Bit::Soft(desk.say("console-whoever")), desk.say("console-whoever")),
    };
    let mut row = vec![
        vec![Bit::text(&purpose)],
        vec![whom],
        vec![Bit::Moment(desk.minute(invitation.expires_at))],
        vec![Bit::Text(desk.actor_name(&invitation.made_by).await?), Bit::Soft(desk.minute(invitation.made_at))],
        vec![Bit::text(&invitation.reason), Bit::soft(&invitation.proofing)],
    ];
    if desk.is(Duty::Help) {
        row.push(if may_revoke(desk, invitation).await? {
            let action = format!("/invitations/{}/revoke", invitation.id);
            vec![Bit::Button { label: desk.say("console-revoke"), about: format!("{purpose} {about}"), action }]
        } else {
            Vec::new()
        });
    }
    Ok(row)
}

/// The help desk takes back what it may make: codes of people who have no part in the console.
async fn may_revoke(desk: &Desk<'_>, invitation: &Invitation) -> Result<bool, Refused> {
    match &invitation.invited {
        Invited::Passkey(user) | Invited::Temporary(user) => {
            let person = desk.store().person(user).await?;
            Ok(person.is_none_or(|person| desk.may_touch(&person)) && desk.is(Duty::Help))
        }
        Invited::Device(_) | Invited::FirstAdministrator => Ok(desk.is(Duty::Administer)),
    }
}

/// Revokes one.
pub(super) async fn revoke(desk: &Desk<'_>) -> Shown {
    let id = InvitationId::parse(desk.named(1)).ok_or(Fault::NotFound)?;
    let all = desk.site.parts.people.invitations().await?;
    let invitation = all.into_iter().find(|one| one.id == id).ok_or(Fault::NotFound)?;
    if !may_revoke(desk, &invitation).await? {
        return Err(Refused::Right(policy::Reason::ActionNotAllowed));
    }
    let revoked = desk.site.parts.people.revoke_invitation(id, &desk.actor(), desk.at()).await?;
    Ok(desk.go("/invitations", if revoked { "invitation-revoked" } else { "nothing-changed" }))
}
