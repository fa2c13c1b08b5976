//! Which events of the store are told, and what of them. No patient and nothing that anybody wrote: reasons and purposes
//! stay in the log and in the console.

use config::NoticeEvent;
use policy::{GrantId, GrantKind, Timestamp, UserId};
use store::{Change, Event, GrantAbout, GrantDuty, GrantRecord, Store, StoreProblem};
use web::{By, Told, ToldFact};

use crate::record::answered;

/// What is told of an event; nothing where it is none that is told.
///
/// # Errors
/// The store does not answer: ask again, or those who are told would not know whom it is about.
pub async fn told(event: &Event, store: &dyn Store) -> Result<Option<Told>, StoreProblem> {
    let about = |kind, place: &str, facts| (kind, Some(place.to_owned()), facts);
    let (kind, place, facts) = match &event.change {
        Change::PersonDisabled(id) => {
            about(NoticeEvent::PersonDisabled, &format!("/people/{id}"), vec![person(id, store).await?])
        }
        Change::DeviceRevoked(id) => {
            about(NoticeEvent::DeviceRevoked, &format!("/devices/{id}"), vec![ToldFact::Device(id.clone())])
        }
        Change::PolicyProposed(number) => {
            about(NoticeEvent::PolicyProposed, &format!("/versions/{number}"), vec![ToldFact::Version(*number)])
        }
        Change::PolicyApproved(number) => {
            about(NoticeEvent::PolicyApproved, &format!("/versions/{number}"), vec![ToldFact::Version(*number)])
        }
        Change::OutageBegan(id) => about(NoticeEvent::OutageBegan, "/outage", vec![ToldFact::Provider(id.clone())]),
        Change::OutageEnded(id) => about(NoticeEvent::OutageEnded, "/outage", vec![ToldFact::Provider(id.clone())]),
        Change::GlassBroken(id) => of_grant(NoticeEvent::GlassBroken, id, event, store).await?,
        Change::GlassReviewed(id) => of_grant(NoticeEvent::GlassReviewed, id, event, store).await?,
        Change::GrantRequested(id) => of_grant(NoticeEvent::GrantRequested, id, event, store).await?,
        Change::GrantApproved(id) if !is_the_last_approval(id, event, store).await? => return Ok(None),
        Change::GrantApproved(id) => of_grant(NoticeEvent::GrantApproved, id, event, store).await?,
        Change::GrantAdmitted(id) => of_grant(NoticeEvent::GrantAdmitted, id, event, store).await?,
        Change::GrantRefused(id) => of_grant(NoticeEvent::GrantRefused, id, event, store).await?,
        Change::GrantWithdrawn(id) => of_grant(NoticeEvent::GrantWithdrawn, id, event, store).await?,
        Change::GrantEnded(id) => of_grant(NoticeEvent::GrantEnded, id, event, store).await?,
        Change::GrantReported(id) => of_grant(NoticeEvent::GrantReported, id, event, store).await?,
        Change::GrantOverdue { grant, duty } => {
            let (kind, place, mut facts) = of_grant(NoticeEvent::GrantOverdue, grant, event, store).await?;
            facts.push(ToldFact::Duty(*duty));
            (kind, place, facts)
        }
        Change::GrantConfirmed(id) => of_grant(NoticeEvent::GrantConfirmed, id, event, store).await?,
        Change::PersonAdded(_)
        | Change::PersonChanged { .. }
        | Change::PersonEnabled(_)
        | Change::CredentialAdded { .. }
        | Change::CredentialRenamed { .. }
        | Change::CredentialRemoved { .. }
        | Change::InvitationMade(_)
        | Change::InvitationUsed(_)
        | Change::InvitationRevoked(_)
        | Change::DeviceAdded(_)
        | Change::DeviceChanged(_)
        | Change::CertificateAdded(_)
        | Change::CertificateRevoked(_)
        | Change::PostureChanged
        | Change::SessionEnded(_)
        | Change::SessionParked(_)
        | Change::SessionResumed(_)
        | Change::SessionChanged(_)
        | Change::OutageSwitched { .. }
        | Change::LogRead(_)
        | Change::InventoryChanged(_)
        | Change::Unknown(_) => return Ok(None),
    };
    Ok(Some(Told { event: Some(kind), at: event.at, by: by(&event.actor, store).await?, facts, place }))
}

/// Whether as many have approved by this approval as must: before that nobody can come in.
async fn is_the_last_approval(id: &GrantId, event: &Event, store: &dyn Store) -> Result<bool, StoreProblem> {
    let kept = answered(store.grant(id).await)?;
    let Some(one) = kept.as_ref().and_then(GrantRecord::maintenance) else { return Ok(true) };
    let this = one.approvals.iter().position(|ruling| ruling.at == event.at && ruling.by == event.actor);
    let given = this.map_or(one.approvals.len(), |before| before + 1);
    Ok(u32::try_from(given).unwrap_or(u32::MAX) >= one.approvals_needed)
}

/// What is told of an exception.
async fn of_grant(
    kind: NoticeEvent,
    id: &GrantId,
    event: &Event,
    store: &dyn Store,
) -> Result<(NoticeEvent, Option<String>, Vec<ToldFact>), StoreProblem> {
    let place = match GrantKind::of(id) {
        GrantKind::Maintenance => format!("/maintenance/{id}"),
        GrantKind::Glass => format!("/glass/{id}/review"),
    };
    let mut facts = match answered(store.grant(id).await)? {
        Some(grant) => {
            let mut facts = vec![person(&grant.person, store).await?, ToldFact::App(grant.app.clone())];
            facts.extend(beside(&grant, event));
            facts
        }
        None => Vec::new(),
    };
    facts.push(ToldFact::Grant(id.clone()));
    Ok((kind, Some(place), facts))
}

/// What else is known of an exception. Neither its patient nor anybody's words are among it.
fn beside(grant: &GrantRecord, event: &Event) -> Vec<ToldFact> {
    let mut facts = vec![ToldFact::Begin(grant.begin), ToldFact::End(grant.over_at())];
    match &grant.about {
        GrantAbout::Glass(glass) => {
            facts.push(ToldFact::Reason(glass.reason.clone()));
            facts.extend(glass.review.as_ref().map(|review| ToldFact::Verdict(review.verdict)));
        }
        GrantAbout::Maintenance(_) => {}
    }
    let is_late_after =
        matches!(event.change, Change::GrantOverdue { duty: GrantDuty::Report | GrantDuty::Review, .. });
    let approval = grant.approval_due_at().filter(|_| !is_late_after);
    facts.extend(approval.or_else(|| grant.due_at(event.at)).map(ToldFact::Due));
    facts
}

/// What a receiver is sent to see that it works.
pub fn trial(at: Timestamp, actor: &str) -> Told {
    Told::trial(at, By::Machine(actor.strip_prefix("cli:").unwrap_or(actor).to_owned()))
}

async fn person(id: &UserId, store: &dyn Store) -> Result<ToldFact, StoreProblem> {
    let (name, login) = names(id, store).await?;
    Ok(ToldFact::Person { name, login })
}

/// Who did it, as [`Event::actor`] says.
async fn by(actor: &str, store: &dyn Store) -> Result<By, StoreProblem> {
    if let Some(name) = actor.strip_prefix("cli:") {
        return Ok(By::Machine(name.to_owned()));
    }
    match UserId::parse(actor) {
        Ok(id) => {
            let (name, login) = names(&id, store).await?;
            Ok(By::Person { name, login })
        }
        Err(_) => Ok(By::Gateway),
    }
}

/// Name and login of a person; their id where the store does not know them.
async fn names(id: &UserId, store: &dyn Store) -> Result<(String, String), StoreProblem> {
    Ok(match answered(store.person(id).await)? {
        Some(person) => (person.name, person.login),
        None => (id.to_string(), id.to_string()),
    })
}
