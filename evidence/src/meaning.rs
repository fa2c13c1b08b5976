//! What a story of the log means in the words of the health sector: the event catalogue of DICOM PS3.15 A.5.3 and of
//! FHIR's AuditEvent with IHE BALP. Decided here once, for every form.

use audit::{Entry, EntryKind, Event, Story};

/// A code with its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// Its words.
    pub words: &'static str,
}

const fn code(code: &'static str, words: &'static str) -> Code {
    Code { code, words }
}

// Event ids, DICOM PS3.16 CID 400.
pub(crate) const APPLICATION_ACTIVITY: Code = code("110100", "Application Activity");
pub(crate) const AUDIT_LOG_USED: Code = code("110101", "Audit Log Used");
pub(crate) const INSTANCES_TRANSFERRED: Code = code("110104", "DICOM Instances Transferred");
pub(crate) const EXPORT: Code = code("110106", "Export");
pub(crate) const PATIENT_RECORD: Code = code("110110", "Patient Record");
pub(crate) const QUERY: Code = code("110112", "Query");
pub(crate) const SECURITY_ALERT: Code = code("110113", "Security Alert");
pub(crate) const USER_AUTHENTICATION: Code = code("110114", "User Authentication");
// Event types, DICOM PS3.16 CID 401.
const APPLICATION_START: Code = code("110120", "Application Start");
const APPLICATION_STOP: Code = code("110121", "Application Stop");
const LOGIN: Code = code("110122", "Login");
const LOGOUT: Code = code("110123", "Logout");
const NODE_AUTHENTICATION: Code = code("110126", "Node Authentication");
const EMERGENCY_OVERRIDE_STARTED: Code = code("110127", "Emergency Override Started");
const SECURITY_CONFIGURATION: Code = code("110129", "Security Configuration");
pub(crate) const RESTRICTED_FUNCTION: Code = code("110132", "Use of Restricted Function");
const AUDIT_RECORDING_STARTED: Code = code("110134", "Audit Recording Started");
const AUDIT_RECORDING_STOPPED: Code = code("110133", "Audit Recording Stopped");
const OBJECT_ATTRIBUTES: Code = code("110135", "Object Security Attributes Changed");
const SECURITY_ROLES: Code = code("110136", "Security Roles Changed");
const USER_ATTRIBUTES: Code = code("110137", "User security Attributes Changed");
const EMERGENCY_OVERRIDE_STOPPED: Code = code("110138", "Emergency Override Stopped");
const REMOTE_SERVICE_STARTED: Code = code("110139", "Remote Service Operation Started");
const REMOTE_SERVICE_STOPPED: Code = code("110140", "Remote Service Operation Stopped");

/// What was done, as DICOM's EventActionCode and FHIR's AuditEvent.action say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// C
    Created,
    /// R
    Read,
    /// U
    Updated,
    /// D
    Deleted,
    /// E
    Executed,
}

impl Done {
    /// Its letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Created => "C",
            Self::Read => "R",
            Self::Updated => "U",
            Self::Deleted => "D",
            Self::Executed => "E",
        }
    }
}

/// How it went, as DICOM PS3.15 table A.5.2-1 grades it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grade {
    /// 0: done, or nobody knows.
    Success,
    /// 4: not done, and may be tried again.
    Minor,
    /// 8: ended.
    Serious,
}

impl Grade {
    /// Its number.
    #[must_use]
    pub fn number(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::Minor => "4",
            Self::Serious => "8",
        }
    }
}

/// A REST interaction (<http://hl7.org/fhir/restful-interaction>).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interaction {
    /// `create`
    Create,
    /// `read`
    Read,
    /// `update`
    Update,
    /// `patch`
    Patch,
    /// `delete`
    Delete,
    /// `search-type`
    Search,
    /// `operation`
    Operation,
}

impl Interaction {
    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Search => "search-type",
            Self::Operation => "operation",
        }
    }

    fn done(self) -> Done {
        match self {
            Self::Create => Done::Created,
            Self::Read => Done::Read,
            Self::Update | Self::Patch => Done::Updated,
            Self::Delete => Done::Deleted,
            Self::Search | Self::Operation => Done::Executed,
        }
    }
}

/// What kind of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Somebody used an app.
    Access(Interaction),
    /// Somebody was refused the use of an app.
    Refusal,
    /// Somebody signed in or out, or tried to.
    Authentication(Code),
    /// Something about the safety of the house changed or happened.
    Alert(Code),
    /// The gateway started or stopped.
    Activity(Code),
    /// The log was looked at or handed over.
    LogUse,
}

/// What a story means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meaning {
    /// What kind of thing happened.
    pub kind: Kind,
    /// DICOM's event id.
    pub event: Code,
    /// What was done.
    pub done: Done,
    /// How it went.
    pub grade: Grade,
}

impl Meaning {
    /// What a story means; nothing where it is none that is handed over: the beginning of a file of the log, a closing
    /// line whose beginning is not there, a word that is not known.
    #[must_use]
    pub fn of(story: &Story) -> Option<Self> {
        match &story.begin.kind {
            EntryKind::Open => Some(access(story)),
            EntryKind::Refused => Some(refusal(&story.begin)),
            EntryKind::Fact(event) => Some(fact(*event, &story.begin)),
            EntryKind::Close | EntryKind::Segment | EntryKind::Unknown(_) => None,
        }
    }
}

impl Meaning {
    /// Whom a message or event of a story is about, one of them after the other: each patient of an access, else nobody.
    pub(crate) fn each<'a>(&self, story: &'a Story) -> Vec<Option<&'a str>> {
        let patients: Vec<_> = match self.kind {
            Kind::Access(_) => story.patients().map(Some).collect(),
            Kind::Refusal | Kind::Authentication(_) | Kind::Alert(_) | Kind::Activity(_) | Kind::LogUse => Vec::new(),
        };
        if patients.is_empty() { vec![None] } else { patients }
    }
}

fn access(story: &Story) -> Meaning {
    let interaction = interaction(&story.begin);
    let is_export = story.begin.action.as_deref() == Some("export");
    let has_studies = story.studies().next().is_some();
    let event = match interaction {
        Interaction::Search => QUERY,
        Interaction::Read | Interaction::Operation if is_export => EXPORT,
        Interaction::Read | Interaction::Create if has_studies => INSTANCES_TRANSFERRED,
        Interaction::Create
        | Interaction::Read
        | Interaction::Update
        | Interaction::Patch
        | Interaction::Delete
        | Interaction::Operation => PATIENT_RECORD,
    };
    Meaning { kind: Kind::Access(interaction), event, done: interaction.done(), grade: grade(story) }
}

/// The action that the gateway judged, and where it is a write the method that tells which.
fn interaction(begin: &Entry) -> Interaction {
    match (begin.action.as_deref(), begin.method.as_deref()) {
        (Some("search"), _) => Interaction::Search,
        (Some("delete"), _) | (Some("write"), Some("DELETE")) => Interaction::Delete,
        (Some("write"), Some("PUT")) => Interaction::Update,
        (Some("write"), Some("PATCH")) => Interaction::Patch,
        (Some("write"), _) => Interaction::Create,
        (Some("connect"), _) => Interaction::Operation,
        (Some(_) | None, _) => Interaction::Read,
    }
}

/// How an access went: by its end, and where it was served by the app's status.
fn grade(story: &Story) -> Grade {
    let Some(end) = &story.end else { return Grade::Success };
    match end.end.as_deref() {
        Some("served" | "upgraded") => match end.status {
            Some(500..) => Grade::Serious,
            Some(400..) => Grade::Minor,
            Some(_) | None => Grade::Success,
        },
        Some("client-gone" | "refused") => Grade::Minor,
        Some("upstream-failed" | "upstream-timeout" | "revoked" | "stopped" | "abandoned") => Grade::Serious,
        Some(_) | None => Grade::Success,
    }
}

fn refusal(begin: &Entry) -> Meaning {
    let grade = if begin.is_challenge() { Grade::Minor } else { Grade::Serious };
    Meaning { kind: Kind::Refusal, event: SECURITY_ALERT, done: Done::Executed, grade }
}

fn alert(what: Code) -> Meaning {
    Meaning { kind: Kind::Alert(what), event: SECURITY_ALERT, done: Done::Executed, grade: Grade::Success }
}

fn authentication(what: Code) -> Meaning {
    Meaning { kind: Kind::Authentication(what), event: USER_AUTHENTICATION, ..alert(what) }
}

fn activity(what: Code) -> Meaning {
    Meaning { kind: Kind::Activity(what), event: APPLICATION_ACTIVITY, ..alert(what) }
}

impl Meaning {
    fn graded(self, grade: Grade) -> Self {
        Self { grade, ..self }
    }
}

fn fact(event: Event, begin: &Entry) -> Meaning {
    match event {
        Event::Started => activity(APPLICATION_START),
        Event::Stopped => activity(APPLICATION_STOP),
        Event::SignedIn | Event::SteppedUp | Event::SessionResumed | Event::TemporaryCodeUsed => authentication(LOGIN),
        Event::SignInFailed | Event::CeremonyRefused => authentication(LOGIN).graded(Grade::Minor),
        Event::SignedOut
        | Event::SessionEnded
        | Event::SessionParked
        | Event::SessionLocked
        | Event::LogoutAccepted => authentication(LOGOUT),
        Event::LogoutRefused => authentication(LOGOUT).graded(Grade::Minor),
        Event::PersonChanged if !begin.roles.is_empty() || !begin.roles_before.is_empty() => alert(SECURITY_ROLES),
        Event::PersonAdded
        | Event::PersonChanged
        | Event::PersonDisabled
        | Event::PersonEnabled
        | Event::SessionChanged
        | Event::KeyAdded
        | Event::KeyRenamed
        | Event::KeyRemoved
        | Event::InvitationMade
        | Event::InvitationUsed
        | Event::InvitationRevoked
        | Event::TemporaryCodeIssued => alert(USER_ATTRIBUTES),
        Event::DeviceAdded
        | Event::DeviceChanged
        | Event::CertificateAdded
        | Event::CertificateRevoked
        | Event::DeviceRevoked
        | Event::PostureReceived => alert(OBJECT_ATTRIBUTES),
        Event::PostureRefused | Event::TlsRefused => alert(NODE_AUTHENTICATION).graded(Grade::Serious),
        Event::BadRequest | Event::CapExceeded => alert(RESTRICTED_FUNCTION).graded(Grade::Minor),
        Event::OutageBegan
        | Event::OutageEnded
        | Event::OutageSwitched
        | Event::ConfigActivated
        | Event::PolicyProposed
        | Event::PolicyApproved
        | Event::PolicyReturned
        | Event::InventoryChanged => alert(SECURITY_CONFIGURATION),
        Event::GrantRequested
        | Event::GrantApproved
        | Event::GrantAdmitted
        | Event::GrantRefused
        | Event::GrantWithdrawn
        | Event::GrantEnded
        | Event::GrantReported
        | Event::GrantConfirmed
        | Event::GrantOverdue
        | Event::GlassReviewed => alert(USER_ATTRIBUTES),
        Event::GlassBroken => alert(EMERGENCY_OVERRIDE_STARTED),
        Event::EmergencyEnded => alert(EMERGENCY_OVERRIDE_STOPPED),
        Event::VendorSessionBegan => alert(REMOTE_SERVICE_STARTED),
        Event::VendorSessionEnded => alert(REMOTE_SERVICE_STOPPED),
        Event::ConfigRefused => alert(SECURITY_CONFIGURATION).graded(Grade::Minor),
        Event::Recovered | Event::RecordingBegan | Event::RecordingMarked => alert(AUDIT_RECORDING_STARTED),
        Event::RecordingEnded => alert(AUDIT_RECORDING_STOPPED),
        Event::CommandEntered | Event::FileCarried => alert(RESTRICTED_FUNCTION),
        Event::SegmentDeleted => alert(OBJECT_ATTRIBUTES),
        Event::DeletionVoid | Event::Restored => alert(OBJECT_ATTRIBUTES).graded(Grade::Serious),
        Event::LogKeyChanged | Event::CertificateOrdered => alert(SECURITY_CONFIGURATION),
        Event::PeerCheckpoint | Event::NodeAlarmOver | Event::UnknownChange => alert(SECURITY_CONFIGURATION),
        Event::NodeAlarm => alert(SECURITY_CONFIGURATION).graded(Grade::Serious),
        Event::ClockSynchronised | Event::ClockStepped => alert(SECURITY_CONFIGURATION),
        Event::LogCapacity | Event::ClockUnsynchronised => alert(SECURITY_CONFIGURATION).graded(Grade::Minor),
        Event::LogRead | Event::RecordingViewed | Event::ReviewOpened | Event::ReviewJudged | Event::ReviewSigned => {
            Meaning { kind: Kind::LogUse, event: AUDIT_LOG_USED, done: Done::Read, grade: Grade::Success }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{entry, story};

    fn meaning(begin: &str, end: Option<&str>) -> Meaning {
        Meaning::of(&story(begin, end)).unwrap()
    }

    #[test]
    fn what_is_done_follows_the_judged_action() {
        let of = |act: &str, method: &str| {
            let meaning = meaning(&format!(r#""ev":"open","act":"{act}","m":"{method}""#), None);
            (meaning.event.code, meaning.done.letter())
        };
        assert_eq!(of("read", "GET"), ("110110", "R"));
        assert_eq!(of("read", "POST"), ("110110", "R"), "a route said so");
        assert_eq!(of("search", "GET"), ("110112", "E"));
        assert_eq!(of("write", "POST"), ("110110", "C"));
        assert_eq!(of("write", "PUT"), ("110110", "U"));
        assert_eq!(of("write", "PATCH"), ("110110", "U"));
        assert_eq!(of("delete", "DELETE"), ("110110", "D"));
        assert_eq!(of("export", "GET"), ("110106", "R"));
        assert_eq!(of("connect", "GET"), ("110110", "E"));
        let study = meaning(r#""ev":"open","act":"read","m":"GET","study":["1.2.3"]"#, None);
        assert_eq!((study.event.code, study.done.letter()), ("110104", "R"));
    }

    #[test]
    fn success_and_failure_are_told_apart() {
        let of = |end: &str| meaning(r#""ev":"open","act":"read""#, Some(end)).grade.number();
        assert_eq!(of(r#""end":"served","st":200"#), "0");
        assert_eq!(of(r#""end":"served","st":404"#), "4");
        assert_eq!(of(r#""end":"served","st":500"#), "8");
        assert_eq!(of(r#""end":"upstream-failed""#), "8");
        assert_eq!(of(r#""end":"revoked","why":"x""#), "8");
        assert_eq!(of(r#""end":"unknown""#), "0", "unknown counts as success by the table");
        let refused = |why: &str| meaning(&format!(r#""ev":"refused","why":"{why}""#), None).grade.number();
        assert_eq!(refused("sign-in-required"), "4");
        assert_eq!(refused("role-not-allowed"), "8");
    }

    #[test]
    fn exceptions_begin_and_end_with_codes_of_their_own() {
        let of = |word: &str| meaning(&format!(r#""ev":"{word}""#), None).kind;
        for (word, code) in [
            ("glass-broken", EMERGENCY_OVERRIDE_STARTED),
            ("emergency-ended", EMERGENCY_OVERRIDE_STOPPED),
            ("vendor-session-began", REMOTE_SERVICE_STARTED),
            ("vendor-session-ended", REMOTE_SERVICE_STOPPED),
        ] {
            assert_eq!(of(word), Kind::Alert(code), "{word}");
        }
    }

    #[test]
    fn every_fact_has_a_meaning_and_files_have_none() {
        for event in Event::ALL {
            let meaning = meaning(&format!(r#""ev":"{}""#, event.code()), None);
            assert!(meaning.event.code.starts_with("1101"), "{event:?}");
        }
        assert_eq!(Meaning::of(&Story::of(entry(r#""ev":"segment""#))), None);
        assert_eq!(Meaning::of(&Story::of(entry(r#""ev":"close","end":"served""#))), None);
        assert_eq!(Meaning::of(&Story::of(entry(r#""ev":"something-later""#))), None);
    }
}
