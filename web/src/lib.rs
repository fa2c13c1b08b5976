//! What people see: sign-in, portal, refusals, errors, sign-out, in Japanese and English.
//!
//! Every page is a row of one table ([`route`]) and is reached through the gateway's own door, so it is judged and
//! recorded like any app. Deliberately not here: sockets, the policy's judgment (gateway asks it), OpenID itself
//! (identity), and anything inside an app's own pages.

mod alarms;
mod arrive;
mod asset;
mod certificates;
mod challenge;
mod chart;
mod connect;
mod console;
mod cookie;
mod device;
mod enrol;
mod entry;
mod glass;
mod headers;
mod json;
mod language;
mod log_view;
mod looked_up;
mod maintenance;
mod me;
mod nodes;
mod notice;
mod notices;
mod open_now;
mod origin;
mod passkey;
mod portal;
mod problem;
mod programs;
mod qr;
mod query;
mod refusal;
mod request;
mod route;
mod second;
mod seen;
mod sheet;
mod sign_in;
mod sign_out;
mod site;
mod switch;
mod temporary;
mod terminal;
mod texts;
mod view;

pub use alarms::{Alarm, Alarms};
pub use asset::Asset;
pub use certificates::{CertificateProblem, DeviceCertificates, DeviceFile, DeviceForm, SignedRequest};
pub use challenge::Challenged;
pub use connect::ConnectWords;
pub use console::{CONSOLE_TABLE, ConsolePage, Duty};
pub use cookie::{SESSION_COOKIE, has_own_cookie, is_own_cookie, session_token};
pub use glass::GlassDoor;
pub use language::{Language, language, wants_page};
pub use log_view::{LogPeers, LogView};
pub use looked_up::line_of_access;
pub use nodes::{NodeAlarm, NodeBoard, NodeSaid, NodeStanding, NodeState};
pub use notices::{By, NoticeEnd, NoticeLate, NoticeResult, NoticeStanding, NoticeText, NoticeWaiting, Told, ToldFact};
pub use open_now::{OpenEntry, OpenNow};
pub use refusal::{AnswerForm, Fault, Refusal, Why, help_code};
pub use request::PageRequest;
pub use route::{
    BuiltIn, HostKind, MaintenancePage, Page, RESERVED_PREFIX, Row, TABLE, TerminalPage, is_reserved, route,
};
pub use seen::{Opened, PatientSeen, PatientsSeen, opened_from, patients_seen};
pub use sheet::{
    Explained, ExplainedRule, PolicyWords, REPLAY_BYTES_MAX, ReplayTable, ReplayText, Replayed, Sheet, SheetCell,
    SheetGroup, SheetLook, SheetNote, SheetRow, SheetTable, SheetTone, WordBook,
};
pub use sign_in::{post_logout_uri, redirect_uri};
pub use site::{Site, SiteParts};
pub use terminal::{FOLDER, FileKind, GET_FILE, ListedFile, Listing, PUT_FILE, TERMINAL_STREAM};

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod program_tests;
#[cfg(test)]
mod soft_key;
#[cfg(test)]
mod testing;
