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
mod explain;
mod facts;
mod fit;
#[cfg(test)]
mod fixtures;
mod host;
mod id;
mod index;
mod judge;
mod memo;
mod name;
mod path;
mod policy;
mod problem;
#[cfg(test)]
mod properties;
mod rule;
mod schema;
mod time;
mod verdict;
#[cfg(test)]
mod verdicts;

pub use access::{Access, Action, Assurance, Device, DeviceClass, Fingerprint, From, Method, Who};
pub use host::{Host, HostProblem};
pub use id::{RequestId, SessionId};
pub use judge::Judge;
pub use name::{
    AppId, DeviceId, GrantId, NAME_BYTES_MAX, NameProblem, ProviderId, Revision, RoleId, RuleId, UserId, ZoneId,
};
pub use path::{PATH_BYTES_MAX, Path, PathProblem};
pub use policy::Policy;
pub use problem::{PolicyPlace, PolicyProblem};
pub use rule::{AppFacts, Apps, CedarFile, Devices, Effect, Hours, PathPattern, PolicySource, Rule, Subjects};
pub use time::{Clock, LocalTime, Timestamp, UtcOffset, Weekday};
pub use verdict::{Authorized, Challenge, Durability, Permit, Reason, Reasons, Refused, Verdict};
