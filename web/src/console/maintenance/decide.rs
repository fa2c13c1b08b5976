//! What the hospital decides of a window: approve, refuse, let in before approval, end, confirm the report. Whether who
//! asks may is looked at once more where it is done (store): their role may be gone since the page was shown.

use identity::GrantProblem;
use policy::Timestamp;
use store::{GrantConfirmation, GrantRecord, GrantState};

use super::super::desk::{Desk, Refused, Shown};
use super::super::posted::Posted;
use super::super::view::{Field, Form, Go, GoLook, Part, Submit};
use super::{content, named, place};
use crate::Fault;
use crate::maintenance::Side;

/// The longest words of a decision, in characters.
const WORDS_CHARS_MAX: usize = 500;

/// Asks whether to approve or refuse.
pub(in super::super) async fn ask_approve(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let mut page = content(desk, &record, false).await?;
    let mut forms = vec![approve_form(desk, &record)];
    if record.state(desk.at()) == GrantState::Requested {
        forms.push(refuse_form(desk, &record));
    }
    page.parts.extend(forms.into_iter().map(Part::Form));
    page.actions.clear();
    Ok(desk.show(page))
}

/// Approves.
pub(in super::super) async fn approve(desk: &Desk<'_>) -> Shown {
    let (record, words) = posted(desk).await?;
    let done = desk.site.parts.grants.approve(&record.id, &desk.actor(), &words, desk.at()).await;
    decided(desk, &record, done, "maintenance-approved").await
}

/// Refuses.
pub(in super::super) async fn refuse(desk: &Desk<'_>) -> Shown {
    let (record, words) = posted(desk).await?;
    let done = desk.site.parts.grants.refuse(&record.id, &desk.actor(), &words, desk.at()).await;
    decided(desk, &record, done, "maintenance-refused").await
}

/// Asks whether to let in before approval.
pub(in super::super) async fn ask_admit(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let mut page = content(desk, &record, false).await?;
    page.parts.push(Part::Form(admit_form(desk, &record)));
    page.actions.clear();
    Ok(desk.show(page))
}

/// Lets in before approval.
pub(in super::super) async fn admit(desk: &Desk<'_>) -> Shown {
    let (record, words) = posted(desk).await?;
    let done = desk.site.parts.grants.admit(&record.id, &desk.actor(), &words, desk.at()).await;
    decided(desk, &record, done, "maintenance-admitted").await
}

/// Ends it at once: whoever helps, administers or approves.
pub(in super::super) async fn end(desk: &Desk<'_>) -> Shown {
    let (record, words) = posted(desk).await?;
    let console = &desk.config().console;
    let others = [console.administrators.as_slice(), console.help_desk.as_slice()].concat();
    let done = desk.site.parts.grants.end(&record.id, &desk.actor(), &words, &others, desk.at()).await;
    decided(desk, &record, done, "maintenance-ended").await
}

/// Confirms the report.
pub(in super::super) async fn confirm(desk: &Desk<'_>) -> Shown {
    let (record, words) = posted(desk).await?;
    let reported_at = Posted::read(desk.request)?.raw("reported-at").parse().ok().map(Timestamp::from_unix_micros);
    let reported_at = Some(reported_at.ok_or(Fault::BadRequest)?);
    // What the log tells may have come after the vendor handed in the report: what stays is what it tells now.
    let draft = desk.site.work_under(&record, Side::Hospital).await.map(|work| work.text());
    let confirmation = GrantConfirmation { reported_at, draft, words };
    let done = desk.site.parts.grants.confirm(&record.id, &desk.actor(), confirmation, desk.at()).await;
    decided(desk, &record, done, "maintenance-confirmed").await
}

async fn posted(desk: &Desk<'_>) -> Result<(GrantRecord, String), Refused> {
    let record = named(desk).await?;
    let words = Posted::read(desk.request)?.line("words", WORDS_CHARS_MAX)?;
    Ok((record, words))
}

async fn decided(desk: &Desk<'_>, record: &GrantRecord, done: Result<(), GrantProblem>, word: &'static str) -> Shown {
    match done {
        Ok(()) => Ok(desk.go(&place(record), word)),
        Err(GrantProblem::Refused(refusal)) => {
            Ok(desk.show_problem(desk.teller().refusal(&refusal), content(desk, record, false).await?))
        }
        Err(GrantProblem::Store(problem)) => Err(problem.into()),
    }
}

fn words_field(desk: &Desk<'_>, form: &str) -> Field {
    Field::text(form, "words", desk.say("maintenance-words"), "", WORDS_CHARS_MAX)
        .hinted(desk.say("maintenance-words-hint"))
}

fn approve_form(desk: &Desk<'_>, record: &GrantRecord) -> Form {
    let words = words_field(desk, "approve");
    // Who was let in before it was approved must be told why.
    let words = if record.approval_due_at().is_some() { words.required() } else { words };
    Form {
        id: "approve",
        heading: desk.say("maintenance-approve"),
        lead: Some(desk.say("maintenance-approve-lead")),
        action: format!("{}/approve", place(record)),
        with_file: false,
        fields: vec![words],
        buttons: Submit::main(desk.say("maintenance-approve-button")),
        back: Some(Go::new(desk.say("console-cancel"), place(record))),
        folded: false,
    }
}

fn refuse_form(desk: &Desk<'_>, record: &GrantRecord) -> Form {
    Form {
        id: "refuse",
        heading: desk.say("maintenance-refuse"),
        lead: None,
        action: format!("{}/refuse", place(record)),
        with_file: false,
        fields: vec![words_field(desk, "refuse").required()],
        buttons: Submit::stop(desk.say("maintenance-refuse-button")),
        back: None,
        folded: false,
    }
}

fn admit_form(desk: &Desk<'_>, record: &GrantRecord) -> Form {
    let hours = desk.config().maintenance.approve_within.as_secs() / 3_600;
    Form {
        id: "admit",
        heading: desk.say("maintenance-admit"),
        lead: Some(desk.say_with("maintenance-admit-lead", "hours", &hours.to_string())),
        action: format!("{}/admit", place(record)),
        with_file: false,
        fields: vec![words_field(desk, "admit")],
        buttons: vec![Submit { label: desk.say("maintenance-admit-button"), look: GoLook::Stop, sends: None }],
        back: Some(Go::new(desk.say("console-cancel"), place(record))),
        folded: false,
    }
}

/// The form that confirms a report.
pub(super) fn confirm_form(desk: &Desk<'_>, record: &GrantRecord) -> Form {
    // The report that is shown beside the form, and no other, is confirmed.
    let report = record.maintenance().and_then(|one| one.report.as_ref());
    let reported_at = report.map(|report| report.at.unix_micros().to_string()).unwrap_or_default();
    Form {
        id: "confirm",
        heading: desk.say("maintenance-confirm"),
        lead: Some(desk.say("maintenance-confirm-lead")),
        action: format!("{}/confirm", place(record)),
        with_file: false,
        fields: vec![Field::hidden_value("reported-at", reported_at), words_field(desk, "confirm")],
        buttons: Submit::main(desk.say("maintenance-confirm-button")),
        back: None,
        folded: false,
    }
}
