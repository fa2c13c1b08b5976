//! Who is asking: sign-in by OIDC and passkey, people, sessions, devices, hand-offs between hosts, and assertions to
//! apps.
//!
//! Facts only: what they permit is decided in `policy`. Everything from outside comes in as an argument: the time,
//! the store, and the HTTP client ([`Fetch`]), so that the binary has one TLS stack and tests need no network.
//! Deliberately not here: cookies and pages (web), sockets (gateway), the record (audit).

mod assertion;
mod cache;
mod csv;
mod devices;
mod fetch;
mod grants;
mod hand_off;
mod inventory;
mod oidc;
mod outage;
mod passkey;
mod pending;
mod people;
mod posture;
mod programs;
mod refresh;
mod secret;
mod session;
mod sessions;
mod shelf;
mod steps;
#[cfg(test)]
mod testing;
mod together;
mod unknown;
mod watch;

pub use assertion::{AssertionProblem, Assertions, KeyProblem};
pub use csv::{CsvFault, CsvProblem};
pub use devices::{DeviceState, Devices, DevicesPlan, EnrolProblem};
pub use fetch::{Fetch, FetchProblem};
pub use grants::{Asked, AskedWindow, BrokenGlass, GrantProblem, Granted, Grants, NamedWard};
pub use hand_off::{Approved, Arrived, HandOffProblem, HandOffs, StartedHandOff};
pub use inventory::{Inventory, InventoryPlan};
pub use oidc::{
    Begin, Callback, LoggedOut, LogoutProblem, Oidc, Place, Rejection, SignInProblem, SignedIn, StartedSignIn, offered,
    user_id,
};
pub use outage::{
    InOutage, Outage, OutageAct, OutageBy, OutageLine, OutageMode, OutagePeriod, OutagePerson, OutageReport,
    OutageStanding, OutageStatus, OutageSwitch,
};
pub use passkey::{
    Alone, Answer, Begun, Enrolled, Enrolment, Newcomer, Passkey, PasskeyProblem, PasskeyRefusal, PasskeySetUpProblem,
    Passkeys, Proven, ProviderFirst, RefusedPasskey, RelyingParty, Whom, may_sign_in_by_passkey,
};
pub use pending::PendingSignIns;
pub use people::{
    ImportProblem, Imported, ImportedPerson, InvitationCode, InvitationShown, MadeInvitation, NewPerson, People,
    PeopleProblem, TemporarilyIn,
};
pub use posture::{POSTURE_BYTES_MAX, PostureDesk, PosturePlace, PostureProblem, PostureReceived};
pub use programs::{BegunProgram, ProgramCode, ProgramProblem, Programs};
pub use refresh::{Refresh, Refreshed};
pub use secret::{BrowserSecret, SessionToken};
pub use session::{Opening, Session};
pub use sessions::{Current, Sessions, Waiting};
pub use shelf::{Shelf, Shelved};
pub use watch::Watch;
