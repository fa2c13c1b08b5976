//! What is kept, a file for each idea, and the one trait that every back end implements.

mod ceremony;
mod credential;
mod device;
mod event;
mod grant;
mod inventory;
mod invitation;
mod outage;
mod person;
mod posture;
mod problem;
mod question;
mod review;
mod revision;
mod secret;
mod session;
mod store;

pub use ceremony::{CEREMONIES_MAX, Ceremony, REMEMBERED_MAX};
pub use credential::{
    CREDENTIALS_MAX, Credential, CredentialFound, CredentialId, CredentialUse, CredentialUsed, WhichCredential,
};
pub use device::{CertificateIssuer, CertificateRecord, DeviceChange, DeviceRecord, DeviceRevocation, DeviceWrite};
pub use event::{Change, Event, LogUse, RolesChanged};
pub use grant::{
    Admission, AskTerms, GRANT_ADMITTED_AHEAD_MAX, GRANT_REACH_MAX, GRANT_TEXT_CHARS_MAX, GRANT_WORDS_CHARS_MAX,
    GRANTS_READ_MAX, GRANTS_WAITING_MAX, Glass, GlassReview, GlassTerms, GlassVerdict, GrantAbout, GrantConfirmation,
    GrantDuty, GrantFilter, GrantReach, GrantRecord, GrantRefusal, GrantReport, GrantState, Maintenance, NewGlass,
    NewMaintenance, PLAN_FILE_BYTES_MAX, PlanFile, Ruler, Ruling,
};
pub use inventory::{MAINTENANCE_LINES_MAX, MaintenanceLine, MaintenanceWrite};
pub use invitation::{INVITATIONS_MAX, Invitation, InvitationId, Invited, Purpose, Redemption};
pub use outage::OutageSwitch;
pub use person::{Disabled, PEOPLE_READ_MAX, PeopleFilter, Person, PersonChange, PersonWrite};
pub use posture::{POSTURE_NAMES_MAX, PostureRow};
pub use problem::{Answer, Lapsed, StoreProblem};
pub use question::{QUESTIONS_MAX, SavedQuestion};
pub use review::{
    Judgment, NewReview, NewReviewItem, REVIEW_ITEMS_MAX, REVIEWS_MAX, Review, ReviewFinding, ReviewItem, Signature,
    Signing, Tally,
};
pub use revision::{
    Approval, Difference, KeptFile, NewRevision, PolicyRevision, REVISIONS_MAX, RevisionState, account_logged_in,
    is_one_person,
};
pub use secret::{Secret, TokenHash};
pub use session::{Displaced, FoundSession, NewSession, Others, Resumed, Resumption, SessionRecord, SessionsOf};
pub use store::Store;
