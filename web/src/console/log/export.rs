//! Handing records over: what a search found, as a file that proves itself. It is made beside the page, with its
//! progress, and can be stopped; who asked for what is recorded first.

use std::sync::Arc;
use std::time::Duration;

use audit::{Event, LogSigner, Note, Recorder};
use bytes::Bytes;
use evidence::Source;
use evidence::export::{Form as ExportForm, Order as ExportOrder};
use find::{Order, Question};
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use http::{Response, StatusCode};
use policy::Timestamp;

use super::super::desk::{Desk, Shown};
use super::super::posted::Posted;
use super::super::view::{Bit, Choice, ConsoleContent, Facts, Field, Form, Go, MarkTone, Part, Submit, Words};
use super::asked::{Asking, FIELDS};
use super::{Asked, work};
use crate::chart::grouped;
use crate::log_view::{Busy, Exported, Job, JobState, LogTrouble, Packing, Parcel, STORIES_MAX, Sight};
use crate::{Fault, headers};

/// How long a file is kept for who asked for it.
const KEPT: Duration = Duration::from_secs(3_600);
/// How long the page waits for what is quick before it shows how far it is.
const PATIENCE: Duration = Duration::from_secs(3);
/// The page that checks an export in any browser, to be handed over with it.
const VERIFIER: &str = include_str!("../../../../deploy/verify-export.html");
/// Where all this is found.
const PLACE: &str = "/log/export";

/// The forms that a file may have, by their words.
const FORMS: [(&str, ExportForm); 4] =
    [("csv", ExportForm::Csv), ("jsonl", ExportForm::Jsonl), ("fhir", ExportForm::Fhir), ("dicom", ExportForm::Dicom)];

/// The form that asks for a file of what was found.
pub(super) fn form(desk: &Desk<'_>, asked: &Asked) -> Form {
    let forms = FORMS
        .map(|(word, form)| Choice::new(word, desk.say(&format!("log-export-form-{word}")), form == ExportForm::Csv));
    let mut fields = vec![Field::choice("export", "form", desk.say("log-export-form"), forms.into())];
    fields.extend(FIELDS.iter().filter_map(|name| Some(Field::hidden_value(name, asked.get(name)?))));
    fields.extend(asked.patient.as_ref().map(|patient| Field::hidden_value("patient", patient)));
    Form {
        id: "export",
        heading: desk.say("log-export"),
        lead: Some(lead(desk)),
        action: PLACE.to_owned(),
        with_file: false,
        fields,
        buttons: Submit::main(desk.say("log-export-button")),
        back: None,
        folded: true,
    }
}

/// What the file is; of several nodes' logs it is of one.
fn lead(desk: &Desk<'_>) -> String {
    let what = desk.say_with("log-export-what", "count", &grouped(STORIES_MAX as u64));
    let own =
        desk.config().nodes.as_ref().map(|nodes| desk.say_with("log-export-this-node", "name", nodes.own.as_str()));
    [Some(what), own].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Begins to make a file.
pub(in super::super) async fn begin(desk: &Desk<'_>) -> Shown {
    let posted = Posted::read(desk.request)?;
    let form = FORMS.iter().find(|(word, _)| *word == posted.raw("form")).map(|(_, form)| *form);
    let form = form.ok_or(Fault::BadRequest)?;
    let asked = Asked::of_form(desk, &posted);
    let question = match asked.asking(desk).await? {
        Asking::Question(question) if !asked.is_lost => question,
        // The search page says what is wrong with it, or offers whom it may mean.
        Asking::Question(_) | Asking::Which(_) | Asking::Wrong(_) => {
            return Ok(headers::redirect(StatusCode::SEE_OTHER, &asked.address(desk, "/log")));
        }
    };
    // What is not over yet could not be found again.
    let until = question.until.min(desk.at());
    let within = desk.sight().within().map(<[_]>::to_vec);
    let question = Question { until, order: Order::Oldest, limit: STORIES_MAX, after: None, within, ..*question };
    match start(desk, &asked, question, form).await? {
        Ok(()) => Ok(headers::redirect(StatusCode::SEE_OTHER, PLACE)),
        Err(busy) => {
            let key = match busy {
                Busy::Own => "log-export-busy-own",
                Busy::Others => "log-export-busy-others",
            };
            Ok(desk.show_problem(desk.say(key), content(desk, Vec::new(), Vec::new())))
        }
    }
}

/// Makes it beside the page, and waits a moment for what is quick.
async fn start(
    desk: &Desk<'_>,
    asked: &Asked,
    question: Question,
    form: ExportForm,
) -> Result<Result<(), Busy>, LogTrouble> {
    let config = desk.config();
    let signer = LogSigner::open(&config.state_dir, &config.audit.origin)?;
    let mut note = Note::new(Event::LogRead, desk.at()).who(&desk.who).code("export");
    note.patients = asked.patient.iter().cloned().collect();
    let note = desk.placed(note);
    let packing = Packing {
        order: ExportOrder {
            form,
            question: asked.told(&question),
            by: desk.who.login.to_string(),
            at: desk.at(),
            recorded: None,
            damaged: 0,
        },
        source: Source::of(config),
        signer,
        within: desk.sight().within().map(<[_]>::to_vec),
        request: desk.request.request.to_string(),
    };
    forget_old(desk);
    let job = match desk.log().exports.begin(&desk.who.user) {
        Ok(job) => job,
        Err(busy) => return Ok(Err(busy)),
    };
    let (of, whose, kept) = (Arc::downgrade(desk.log()), desk.who.user.clone(), job.clone());
    let making = make(desk.sight().alone(), desk.site.parts.recorder.clone(), note, packing, question, job.clone());
    let work = async move {
        job.end(match making.await {
            Ok(Some(made)) if !job.is_cancelled() => JobState::Made(made),
            Ok(_) => JobState::Cancelled,
            Err(_) => JobState::Failed,
        });
        // Whether or not anybody comes to look.
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            if let Some(log) = of.upgrade() {
                log.exports.forget_one(&whose, &kept);
            }
        });
    };
    // Whatever becomes of the page, the work goes on and says how it ended.
    drop(tokio::time::timeout(PATIENCE, tokio::spawn(work)).await);
    Ok(Ok(()))
}

/// Finds the records, records who takes them, and packs them.
async fn make(
    log: Sight,
    recorder: Recorder,
    mut note: Note,
    packing: Packing,
    question: Question,
    job: Arc<Job<Exported>>,
) -> Result<Option<Exported>, LogTrouble> {
    let (finding, waiting) = (log.clone(), job.clone());
    let found = off(move || {
        let Some(size) = finding.catch_up(&waiting)? else { return Ok(None) };
        Ok(Some((size, finding.find(&question)?)))
    });
    let Some((size, found)) = found.await? else { return Ok(None) };
    // How many there are is told, too.
    note.count = Some(found.total);
    if let Err(problem) = recorder.note(note).await {
        tracing::warn!(%problem, "nothing is handed over, for it could not be recorded");
        return Err(LogTrouble::Failed);
    }
    if found.total > STORIES_MAX as u64 {
        return Ok(Some(Exported::TooMany(found.total)));
    }
    off(move || log.pack(packing, &found.seqs, size, &job)).await
}

async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogTrouble> + Send + 'static,
) -> Result<T, LogTrouble> {
    tokio::task::spawn_blocking(work).await.map_err(|problem| {
        tracing::warn!(%problem, "an export of the log broke off");
        LogTrouble::Failed
    })?
}

/// Forgets files that nobody fetched in time.
fn forget_old(desk: &Desk<'_>) {
    let at = desk.at();
    desk.log().exports.forget(|state| matches!(state, JobState::Made(Exported::File(file)) if kept_until(file) <= at));
}

fn kept_until(file: &Parcel) -> Timestamp {
    file.at.after(KEPT)
}

/// What who asks has under way or made, unless they saw more of the log then, or another part of it.
fn own(desk: &Desk<'_>) -> Option<Arc<Job<Exported>>> {
    forget_old(desk);
    let job = desk.log().exports.of(&desk.who.user)?;
    match job.state() {
        JobState::Made(Exported::File(file)) if file.within.as_deref() != desk.sight().within() => {
            desk.log().exports.forget_one(&desk.who.user, &job);
            None
        }
        JobState::Made(_) | JobState::Working | JobState::Cancelled | JobState::Failed => Some(job),
    }
}

/// How far it is, or what came of it.
pub(in super::super) fn export(desk: &Desk<'_>) -> Response<Bytes> {
    let Some(job) = own(desk) else {
        return desk.show(content(desk, vec![said(desk, desk.say("log-export-none"), MarkTone::Plain)], Vec::new()));
    };
    let said = |text: String, tone| content(desk, vec![said(desk, text, tone)], Vec::new());
    desk.show(match job.state() {
        JobState::Working => content(desk, working(desk, &job), Vec::new()),
        JobState::Cancelled => said(desk.say("log-export-cancelled"), MarkTone::Plain),
        JobState::Failed => said(desk.say("log-export-failed"), MarkTone::Bad),
        JobState::Made(Exported::TooLarge) => said(desk.say("log-export-too-large"), MarkTone::Warn),
        JobState::Made(Exported::TooMany(count)) => {
            let most = grouped(STORIES_MAX as u64);
            let count = grouped(count);
            said(desk.voice.say_all("log-export-too-many", &[("count", &count), ("most", &most)]), MarkTone::Warn)
        }
        JobState::Made(Exported::File(file)) => {
            let fetch = vec![Go::main(desk.say("log-export-fetch"), format!("{PLACE}/file"))];
            content(desk, vec![Part::Facts(facts(desk, &file)), Part::Words(checking(desk))], fetch)
        }
    })
}

fn working(desk: &Desk<'_>, job: &Job<Exported>) -> Vec<Part> {
    let said = |done: u64, all: u64| {
        let hundredths = done.saturating_mul(100).checked_div(all).unwrap_or(0);
        desk.say_with("log-export-at", "done", &hundredths.to_string())
    };
    work::under_way(desk, job, PLACE, "log-exporting", said)
}

fn facts(desk: &Desk<'_>, file: &Parcel) -> Facts {
    let text = |text: String| vec![Bit::Text(text)];
    let mut rows = vec![
        (desk.say("log-export-records"), text(grouped(file.stories))),
        (desk.say("log-export-size"), text(format!("{} B", grouped(file.bytes.len() as u64)))),
        (desk.say("log-export-kept"), vec![Bit::Moment(desk.minute(kept_until(file)))]),
    ];
    let own = desk.config().nodes.as_ref().map(|nodes| text(nodes.own.to_string()));
    rows.extend(own.map(|own| (desk.say("log-of-node"), own)));
    if file.damaged > 0 {
        rows.push((desk.say("log-export-damaged"), text(grouped(file.damaged))));
    }
    Facts { id: "file", heading: desk.say("log-export-file"), rows }
}

/// How whoever gets the file checks it.
fn checking(desk: &Desk<'_>) -> Words {
    Words {
        id: "checking",
        heading: desk.say("log-export-check"),
        tone: MarkTone::Plain,
        lines: ["log-export-check-1", "log-export-check-2", "log-export-check-3", "log-export-check-4"]
            .map(|key| desk.say(key))
            .into(),
        links: vec![Go::new(desk.say("log-export-verifier"), format!("{PLACE}/verify-export.html"))],
    }
}

fn said(desk: &Desk<'_>, text: String, tone: MarkTone) -> Part {
    Part::Words(Words {
        id: "said",
        heading: desk.say("log-export"),
        tone,
        lines: vec![text],
        links: vec![Go::new(desk.say("log-back"), "/log")],
    })
}

fn content(desk: &Desk<'_>, parts: Vec<Part>, actions: Vec<Go>) -> ConsoleContent {
    ConsoleContent {
        title: desk.say("log-export"),
        up: Some(Go::new(desk.say("console-records"), "/log")),
        actions,
        parts,
        ..ConsoleContent::default()
    }
}

/// Stops what is under way for who asks.
pub(in super::super) fn cancel(desk: &Desk<'_>) -> Response<Bytes> {
    if let Some(job) = desk.log().exports.of(&desk.who.user) {
        job.cancel();
    }
    headers::redirect(StatusCode::SEE_OTHER, PLACE)
}

/// The file, for who asked for it alone.
pub(in super::super) async fn file(desk: &Desk<'_>) -> Shown {
    let job = own(desk).ok_or(Fault::NotFound)?;
    let JobState::Made(Exported::File(file)) = job.state() else { return Err(Fault::NotFound.into()) };
    desk.note_look("export-file", file.stories, None).await?;
    // Whoever makes one on each node keeps them apart.
    let own = desk.config().nodes.as_ref().map(|nodes| format!("{}-", nodes.own)).unwrap_or_default();
    let name = format!("records-{own}{}.export", desk.day(file.at));
    Ok(attachment("application/octet-stream", &name, file.bytes))
}

/// The page that checks it.
pub(in super::super) fn verifier() -> Response<Bytes> {
    attachment("text/html; charset=utf-8", "verify-export.html", Bytes::from_static(VERIFIER.as_bytes()))
}

fn attachment(kind: &'static str, name: &str, bytes: Bytes) -> Response<Bytes> {
    let mut response = headers::document(StatusCode::OK, kind, "no-store", bytes);
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers::set(&mut response, CONTENT_DISPOSITION, name);
    }
    response
}
