//! Which events of the store are told, and what of them. No patient and nothing that anybody wrote: reasons and purposes
//! stay in the log and in the console.

use config::NoticeEvent;
use policy::{GrantId, GrantKind, Timestamp, UserId};
use store::{Change, Event, GrantAbout, GrantRecord, Store};
use web::{By, Told, ToldFact};

/// What is told of an event; nothing where it is none that is told. Whatever the store does not answer is left out.
pub async fn told(event: &Event, store: &dyn Store) -> Option<Told> {
    let about = |kind, place: &str, facts| (kind, Some(place.to_owned()), facts);
    let (kind, place, facts) = match &event.change {
        Change::PersonDisabled(id) => {
            about(NoticeEvent::PersonDisabled, &format!("/people/{id}"), vec![person(id, store).await])
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
        Change::GlassBroken(id) => of_grant(NoticeEvent::GlassBroken, id, event, store).await,
        Change::GlassReviewed(id) => of_grant(NoticeEvent::GlassReviewed, id, event, store).await,
        Change::GrantRequested(id) => of_grant(NoticeEvent::GrantRequested, id, event, store).await,
        Change::GrantApproved(id) => of_grant(NoticeEvent::GrantApproved, id, event, store).await,
        Change::GrantAdmitted(id) => of_grant(NoticeEvent::GrantAdmitted, id, event, store).await,
        Change::GrantRefused(id) => of_grant(NoticeEvent::GrantRefused, id, event, store).await,
        Change::GrantWithdrawn(id) => of_grant(NoticeEvent::GrantWithdrawn, id, event, store).await,
        Change::GrantEnded(id) => of_grant(NoticeEvent::GrantEnded, id, event, store).await,
        Change::GrantReported(id) => of_grant(NoticeEvent::GrantReported, id, event, store).await,
        Change::GrantConfirmed(id) => of_grant(NoticeEvent::GrantConfirmed, id, event, store).await,
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
        | Change::InventoryChanged(_) => return None,
    };
    Some(Told { event: Some(kind), at: event.at, by: by(&event.actor, store).await, facts, place })
}

/// What is told of an exception.
async fn of_grant(
    kind: NoticeEvent,
    id: &GrantId,
    event: &Event,
    store: &dyn Store,
) -> (NoticeEvent, Option<String>, Vec<ToldFact>) {
    let place = match GrantKind::of(id) {
        GrantKind::Maintenance => format!("/maintenance/{id}"),
        GrantKind::Glass => format!("/glass/{id}/review"),
    };
    let mut facts = match store.grant(id).await {
        Ok(Some(grant)) => {
            let mut facts = vec![person(&grant.person, store).await, ToldFact::App(grant.app.clone())];
            facts.extend(beside(&grant, event.at));
            facts
        }
        Ok(None) | Err(_) => Vec::new(),
    };
    facts.push(ToldFact::Grant(id.clone()));
    (kind, Some(place), facts)
}

/// What else is known of an exception. Neither its patient nor anybody's words are among it.
fn beside(grant: &GrantRecord, at: Timestamp) -> Vec<ToldFact> {
    let mut facts = vec![ToldFact::Begin(grant.begin), ToldFact::End(grant.over_at())];
    match &grant.about {
        GrantAbout::Glass(glass) => {
            facts.push(ToldFact::Reason(glass.reason.clone()));
            facts.extend(glass.review.as_ref().map(|review| ToldFact::Verdict(review.verdict)));
        }
        GrantAbout::Maintenance(_) => {}
    }
    facts.extend(grant.approval_due_at().or_else(|| grant.due_at(at)).map(ToldFact::Due));
    facts
}

/// What a receiver is sent to see that it works.
pub fn trial(at: Timestamp, actor: &str) -> Told {
    Told::trial(at, By::Machine(actor.strip_prefix("cli:").unwrap_or(actor).to_owned()))
}

async fn person(id: &UserId, store: &dyn Store) -> ToldFact {
    let (name, login) = names(id, store).await;
    ToldFact::Person { name, login }
}

/// Who did it, as [`Event::actor`] says.
async fn by(actor: &str, store: &dyn Store) -> By {
    if let Some(name) = actor.strip_prefix("cli:") {
        return By::Machine(name.to_owned());
    }
    match UserId::parse(actor) {
        Ok(id) => {
            let (name, login) = names(&id, store).await;
            By::Person { name, login }
        }
        Err(_) => By::Gateway,
    }
}

/// Name and login of a person; their id where the store does not know them.
async fn names(id: &UserId, store: &dyn Store) -> (String, String) {
    match store.person(id).await {
        Ok(Some(person)) => (person.name, person.login),
        Ok(None) | Err(_) => (id.to_string(), id.to_string()),
    }
}
