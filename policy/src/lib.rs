//! Who may do what, from which device, now.
//!
//! The words of the domain, the rules a hospital writes, and the judgment. Pure: no I/O, no clock, no async.
//! Deliberately not here: where facts come from (identity), how an answer is recorded (audit), what is done
//! about it (gateway).

mod access;
mod answer;
mod built_in;
mod case;
mod cedar_file;
mod check;
mod compile;
mod console;
mod contexts;
mod edges;
mod explain;
mod facts;
mod fit;
#[cfg(test)]
mod fixtures;
mod gate;
mod host;
mod id;
mod index;
mod judge;
mod judged;
mod memo;
mod methods;
mod name;
mod path;
mod policy;
mod posture;
mod problem;
#[cfg(test)]
mod properties;
mod rule;
mod schema;
mod slice;
mod time;
mod verdict;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod verdicts_of_people;

pub use access::{Access, Action, Assurance, Device, DeviceClass, Fingerprint, From, Method, Who};
pub use console::{ConsoleRight, ConsoleRoles};
pub use host::{Host, HostProblem};
pub use id::{RequestId, SessionId};
pub use judge::Judge;
pub use judged::{Decision, Judged};
pub use methods::{Aaguid, Methods, SignInMethod};
pub use name::{
    AppId, DeviceId, GrantId, NAME_BYTES_MAX, NameProblem, PostureName, PostureSourceId, ProviderId, Revision, RoleId,
    RuleId, UserId, ZoneId,
};
pub use path::{PATH_BYTES_MAX, Path, PathProblem};
pub use policy::Policy;
pub use posture::{POSTURE_VALUE_BYTES_MAX, PostureDemand, PostureFact, PostureProblem};
pub use problem::{PolicyPlace, PolicyProblem};
pub use rule::{AppFacts, Apps, CedarFile, Devices, Effect, Hours, PathPattern, PolicySource, Rule, Subjects};
pub use time::{Clock, LocalTime, Timestamp, UtcOffset, Weekday};
pub use verdict::{Authorized, Challenge, Durability, Permit, Reason, Reasons, Refused, Verdict};
