//! Questions that somebody keeps, to ask them again with a press. What may name a patient is not kept with
//! them.

use super::super::desk::{Desk, Refused, Shown};
use super::super::posted::Posted;
use super::super::view::{Bit, Field, Form, Submit, Table};
use super::Asked;
use crate::Fault;
use store::StoreProblem;

/// How long a name may be, in characters.
const NAME_CHARS_MAX: usize = 60;

/// The questions of who asks.
pub(super) async fn table(desk: &Desk<'_>) -> Result<Table, Refused> {
    let kept = desk.store().saved_questions(&desk.who.user).await?;
    let row = |one: &store::SavedQuestion| {
        vec![
            vec![Bit::link(&one.name, Asked::of_kept(&one.query).address(desk, "/log"))],
            vec![Bit::Moment(desk.minute(one.saved_at))],
            vec![Bit::Button {
                label: desk.say("console-remove"),
                about: one.name.clone(),
                action: format!("/log/questions/{}/forget", one.id),
            }],
        ]
    };
    Ok(Table {
        id: "kept",
        heading: desk.say("log-kept"),
        heads: ["log-kept-name", "console-added", "console-action"].map(|head| desk.say(head)).into(),
        rows: kept.iter().map(row).collect(),
        empty: desk.say("log-kept-none"),
        note: None,
        pages: Vec::new(),
    })
}

/// The form that keeps what is asked for.
pub(super) fn form(desk: &Desk<'_>, asked: &Asked) -> Form {
    let lead = if asked.is_kept_whole() { "log-keep-what" } else { "log-keep-without-patient" };
    Form {
        id: "keep",
        heading: desk.say("log-keep"),
        lead: Some(desk.say(lead)),
        action: "/log/questions".to_owned(),
        with_file: false,
        fields: vec![
            Field::text("keep", "name", desk.say("log-kept-name"), "", NAME_CHARS_MAX).required(),
            Field::hidden_value("query", asked.kept()),
        ],
        buttons: Submit::main(desk.say("log-keep-button")),
        back: None,
        folded: true,
    }
}

/// Keeps a question.
pub(in super::super) async fn keep(desk: &Desk<'_>) -> Shown {
    let form = Posted::read(desk.request)?;
    let name = form.line("name", NAME_CHARS_MAX)?;
    // Only what a search of ours could ask for is kept.
    let query = Asked::of_kept(form.raw("query")).kept();
    if name.is_empty() {
        return Err(Fault::BadRequest.into());
    }
    match desk.store().save_question(desk.who.user.clone(), name, query, desk.at()).await {
        Ok(_) => Ok(desk.go("/log", "question-kept")),
        Err(StoreProblem::Full) => Ok(desk.go("/log", "question-too-many")),
        Err(problem) => Err(problem.into()),
    }
}

/// Forgets a question.
pub(in super::super) async fn forget(desk: &Desk<'_>) -> Shown {
    let id: u64 = desk.named(2).parse().map_err(|_| Fault::NotFound)?;
    if !desk.store().forget_question(&desk.who.user, id).await? {
        return Err(Fault::NotFound.into());
    }
    Ok(desk.go("/log", "question-forgotten"))
}
