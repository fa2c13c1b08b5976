//! Who may do what: the sheet of the policy in force, to read, to print and sign, and to take out.

use bytes::Bytes;
use http::Response;

use super::csv_file;
use super::desk::Desk;
use super::view::{ConsoleContent, Go, Part};
use crate::PolicyWords;

/// The page.
pub(super) fn sheet(desk: &Desk<'_>) -> Response<Bytes> {
    let sheet = words(desk).sheet(desk.site.matrix(), desk.at());
    let facts = sheet.facts.iter().map(|(label, value)| format!("{label}: {value}")).collect::<Vec<_>>().join(" / ");
    desk.show(ConsoleContent {
        title: sheet.title.clone(),
        lead: Some(format!("{} {facts}", sheet.lead)),
        actions: vec![Go::new(desk.say("policy-download"), "/policy.csv")],
        parts: vec![Part::Sheet(Box::new(sheet))],
        ..ConsoleContent::default()
    })
}

/// The same as CSV.
pub(super) fn export(desk: &Desk<'_>) -> Response<Bytes> {
    csv_file(desk, "policy", words(desk).csv(desk.site.matrix()))
}

fn words<'a>(desk: &'a Desk<'_>) -> PolicyWords<'a> {
    PolicyWords::new(desk.voice, desk.config())
}
