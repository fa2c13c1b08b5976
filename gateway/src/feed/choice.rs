//! Which line of the log is which kind of news, and how grave.

use audit::{Entry, EntryKind, Event, Story};
use config::FeedEvents;
use evidence::meaning::{Grade, Meaning};

use crate::feed::message::Severity;

/// The kind of news that a line belongs to.
pub fn kind(entry: &Entry) -> FeedEvents {
    match &entry.kind {
        EntryKind::Open | EntryKind::Close => FeedEvents::Accesses,
        EntryKind::Refused => FeedEvents::Refusals,
        EntryKind::Segment | EntryKind::Unknown(_) => FeedEvents::Gateway,
        EntryKind::Fact(event) => of_event(*event),
    }
}

/// How grave a story is, as its grade says.
pub fn severity(story: &Story) -> Severity {
    match Meaning::of(story).map(|meaning| meaning.grade) {
        Some(Grade::Success) | None => Severity::Notice,
        Some(Grade::Minor) => Severity::Warning,
        Some(Grade::Serious) => Severity::Error,
    }
}

/// How grave a line alone is. How an access ended is said by its closing line, whatever it began with.
pub fn severity_of_line(entry: &Entry) -> Severity {
    let begin = match &entry.kind {
        EntryKind::Close => Entry { kind: EntryKind::Open, ..entry.clone() },
        EntryKind::Open | EntryKind::Refused | EntryKind::Segment | EntryKind::Fact(_) | EntryKind::Unknown(_) => {
            entry.clone()
        }
    };
    severity(&Story { begin, end: Some(entry.clone()) })
}

fn of_event(event: Event) -> FeedEvents {
    match event {
        Event::SignedIn
        | Event::SignInFailed
        | Event::SteppedUp
        | Event::SignedOut
        | Event::SessionEnded
        | Event::SessionChanged
        | Event::SessionParked
        | Event::SessionResumed
        | Event::SessionLocked
        | Event::LogoutAccepted
        | Event::TemporaryCodeUsed => FeedEvents::SignIns,
        Event::CeremonyRefused
        | Event::LogoutRefused
        | Event::PostureRefused
        | Event::TlsRefused
        | Event::BadRequest => FeedEvents::Refusals,
        Event::PersonAdded
        | Event::PersonChanged
        | Event::PersonDisabled
        | Event::PersonEnabled
        | Event::KeyAdded
        | Event::KeyRenamed
        | Event::KeyRemoved
        | Event::InvitationMade
        | Event::InvitationUsed
        | Event::InvitationRevoked
        | Event::TemporaryCodeIssued
        | Event::DeviceAdded
        | Event::DeviceChanged
        | Event::CertificateAdded
        | Event::CertificateRevoked
        | Event::DeviceRevoked
        | Event::PostureReceived
        | Event::ConfigActivated
        | Event::ConfigRefused
        | Event::PolicyProposed
        | Event::PolicyApproved
        | Event::GrantRequested
        | Event::GrantApproved
        | Event::GrantAdmitted
        | Event::GrantRefused
        | Event::GrantWithdrawn
        | Event::GrantEnded
        | Event::GrantReported
        | Event::GrantConfirmed
        | Event::GlassBroken
        | Event::GlassReviewed
        | Event::GrantOverdue
        | Event::EmergencyEnded
        | Event::VendorSessionBegan
        | Event::VendorSessionEnded
        | Event::InventoryChanged
        | Event::RecordingBegan
        | Event::RecordingEnded
        | Event::PolicyReturned
        | Event::LogKeyChanged => FeedEvents::Changes,
        Event::CommandEntered | Event::FileCarried => FeedEvents::Accesses,
        Event::Started
        | Event::Stopped
        | Event::RecordingMarked
        | Event::RecordingViewed
        | Event::OutageBegan
        | Event::OutageEnded
        | Event::OutageSwitched
        | Event::CapExceeded
        | Event::LogRead
        | Event::ReviewOpened
        | Event::ReviewJudged
        | Event::ReviewSigned
        | Event::SegmentDeleted
        | Event::DeletionVoid
        | Event::PeerCheckpoint
        | Event::NodeAlarm
        | Event::NodeAlarmOver
        | Event::CertificateOrdered
        | Event::UnknownChange
        | Event::LogCapacity
        | Event::ClockSynchronised
        | Event::ClockUnsynchronised
        | Event::ClockStepped
        | Event::Recovered
        | Event::Restored => FeedEvents::Gateway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rest: &str) -> Entry {
        let line = format!("{{\"v\":1,\"seq\":4,\"ts\":\"2026-11-22T01:05:00.000000Z\",{rest}}}");
        Entry::read(line.as_bytes()).unwrap()
    }

    #[test]
    fn what_went_wrong_is_graver_than_what_went_well() {
        for (line, expected) in [
            ("\"ev\":\"open\"", Severity::Notice),
            ("\"ev\":\"close\",\"end\":\"served\",\"st\":200", Severity::Notice),
            ("\"ev\":\"close\",\"end\":\"served\",\"st\":404", Severity::Warning),
            ("\"ev\":\"close\",\"end\":\"served\",\"st\":502", Severity::Error),
            ("\"ev\":\"close\",\"end\":\"upstream-timeout\"", Severity::Error),
            ("\"ev\":\"close\",\"end\":\"revoked\",\"st\":200", Severity::Error),
            ("\"ev\":\"close\",\"end\":\"unknown\"", Severity::Notice),
            ("\"ev\":\"refused\",\"why\":\"sign-in-required\",\"st\":401", Severity::Warning),
            ("\"ev\":\"refused\",\"why\":\"action-not-allowed\",\"st\":403", Severity::Error),
            ("\"ev\":\"sign-in-failed\"", Severity::Warning),
            ("\"ev\":\"of-a-later-version\"", Severity::Notice),
        ] {
            assert_eq!(severity_of_line(&entry(line)), expected, "{line}");
        }
    }

    #[test]
    fn every_line_belongs_to_one_kind_of_news() {
        assert_eq!(kind(&entry("\"ev\":\"close\"")), FeedEvents::Accesses);
        assert_eq!(kind(&entry("\"ev\":\"refused\"")), FeedEvents::Refusals);
        assert_eq!(kind(&entry("\"ev\":\"tls-refused\"")), FeedEvents::Refusals);
        assert_eq!(kind(&entry("\"ev\":\"signed-in\"")), FeedEvents::SignIns);
        assert_eq!(kind(&entry("\"ev\":\"device-revoked\"")), FeedEvents::Changes);
        assert_eq!(kind(&entry("\"ev\":\"of-a-later-version\"")), FeedEvents::Gateway, "nothing is left out unseen");
    }
}
