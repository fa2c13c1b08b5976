//! Who may do what, from which device, now.
//!
//! The words of the domain, the rules a hospital writes, and the judgment. Pure: no I/O, no clock, no async.
//! Deliberately not here: where facts come from (identity), how an answer is recorded (audit), what is done
//! about it (gateway).

mod access;
mod answer;
mod built_in;
mod calendar;
mod caps;
mod case;
mod cedar_file;
mod check;
mod compare;
mod compile;
mod condition;
mod console;
mod contexts;
mod difference;
mod edges;
mod expect;
mod explain;
mod facts;
mod fit;
#[cfg(test)]
mod fixtures;
mod gate;
mod grant;
mod guard;
mod host;
mod id;
mod in_cedar;
mod index;
mod judge;
mod judged;
mod lint;
mod matrix;
mod memo;
mod methods;
mod mould;
mod name;
mod path;
mod patient_source;
mod patients;
mod policy;
mod posture;
mod problem;
#[cfg(test)]
mod properties;
mod question;
mod route_class;
mod route_pattern;
mod rule;
mod schema;
mod slice;
mod templates;
mod time;
mod unit;
mod verdict;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod verdicts_of_grants;
#[cfg(test)]
mod verdicts_of_people;
mod what_if;

pub use access::{Access, Action, Assurance, Device, DeviceClass, Fingerprint, From, Method, Who};
pub use calendar::{Date, Day, Holidays};
pub use caps::{Beyond, Caps};
pub use compare::{Compared, Comparison, Known, Unstated};
pub use condition::{Condition, Missing};
pub use console::{ConsoleRight, ConsoleRoles, Readers, Reads};
pub use difference::{Change, difference};
pub use expect::Expectation;
pub use grant::{Grant, GrantKind};
pub use guard::Guard;
pub use host::{Host, HostProblem};
pub use id::{RequestId, SessionId};
pub use in_cedar::{RuleInCedar, cedar_schema};
pub use judge::Judge;
pub use judged::{Decision, Judged};
pub use lint::{About, Around, Finding, Flaw, lint};
pub use matrix::{AppTable, Cell, Entry, Line, Lines, Matrix, NeverBecause, Reading, Subject};
pub use methods::{Aaguid, Methods, SignInMethod};
pub use name::{
    AppId, DeviceId, FeedId, GrantId, InfoClass, NAME_BYTES_MAX, NameProblem, NoticeId, PostureName, PostureSourceId,
    ProviderId, Revision, RoleId, RuleId, RuleSetId, StatementId, UserId, ZoneId,
};
pub use path::{PATH_BYTES_MAX, Path, PathProblem};
pub use patient_source::{
    ANSWER_LOOKED_AT, AnswerHeader, BodyForm, BodySource, Field, IdPattern, IdPatternProblem, OnMissing,
    PATIENTS_LISTED_MAX, PatientIds, PatientSource, PatientSources, Pointer, PointerProblem, PointerStep,
    REQUEST_LOOKED_AT, Side,
};
pub use patients::{PatientFlag, PatientFlags, Patients};
pub use policy::Policy;
pub use posture::{POSTURE_VALUE_BYTES_MAX, PostureDemand, PostureFact, PostureProblem};
pub use problem::{PolicyPlace, PolicyProblem};
pub use question::Question;
pub use route_class::{AboutPatients, ClassRoute, Classified, Classifier, RouteNumber};
pub use route_pattern::{RoutePattern, RoutePatternProblem};
pub use rule::{AppFacts, Apps, CedarFile, Devices, Effect, Hours, PathPattern, PolicySource, Rule, Subjects};
pub use templates::{BuiltInClass, Template};
pub use time::{Clock, LocalTime, Timestamp, UtcOffset, Weekday};
pub use unit::{NotAUnit, Unit};
pub use verdict::{Authorized, Challenge, Durability, Permit, Reason, Reasons, Refused, Verdict};
pub use what_if::{Alteration, Answered, Explanation, Part, Turn, Weighed, ways_for_them, what_if};
