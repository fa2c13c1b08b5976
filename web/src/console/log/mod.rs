//! The auditor's view: finding records, one in full, what a person, device or patient had to do with, charts, questions
//! that are kept, and the periodic review with its monthly page. Who looks is recorded before anything is shown.
//! Deliberately not here: where records lie and how they are found (audit, find).

mod access;
mod asked;
mod charts;
mod export;
mod kept;
mod period;
mod report;
mod review;
mod search;
mod story;
mod timeline;
mod work;

use std::sync::Arc;

use audit::{Event, Note, Story};
use bytes::Bytes;
use find::Question;
use http::Response;
use policy::Unit;

pub(super) use access::access;
use asked::Asked;
pub(super) use charts::charts;
pub(super) use export::{
    begin as begin_export, cancel as cancel_export, export, file as export_file, verifier as export_verifier,
};
pub(super) use kept::{forget, keep};
pub(super) use report::report;
pub(super) use review::{ask_item, ask_new, attention, begin, cancel, drawing, judge, one as review, reviews, sign};
pub(super) use search::{find, search};
pub(super) use timeline::timeline;

use super::desk::{Desk, Refused};
use super::view::{ConsoleContent, Go, MarkTone, Part, Words};
use crate::Fault;
use crate::log_view::{LogTrouble, LogView, Sight, Standing};

impl<'a> Desk<'a> {
    /// What the auditor's view stands on.
    pub(super) fn log(&self) -> &'a Arc<LogView> {
        &self.site.parts.log_view
    }

    /// The log as far as who asks may see it.
    pub(super) fn sight(&self) -> Sight {
        Sight::new(self.log().clone(), self.config().console.reads(&self.who)).heard_by(&self.heard)
    }

    /// The departments to which who asks is kept, as people read them; none where it is the whole log.
    pub(super) fn scope(&self) -> Option<String> {
        self.sight().within().map(said)
    }

    /// Asks index and log, off the threads that serve, few at once.
    pub(super) async fn off<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Sight) -> Result<T, LogTrouble> + Send + 'static,
    ) -> Result<T, Refused> {
        self.off_in(self.sight(), work).await
    }

    /// Asks a part of index and log, off the threads that serve, few at once.
    pub(super) async fn off_in<T: Send + 'static>(
        &self,
        log: Sight,
        work: impl FnOnce(&Sight) -> Result<T, LogTrouble> + Send + 'static,
    ) -> Result<T, Refused> {
        let Ok(_turn) = self.site.searches.acquire().await else { return Err(Fault::Stopping.into()) };
        match tokio::task::spawn_blocking(move || work(&log)).await {
            Ok(answer) => Ok(answer?),
            Err(problem) => {
                tracing::warn!(request = %self.request.request, %problem, "a search of the log broke off");
                Err(Refused::Log(LogTrouble::Failed))
            }
        }
    }

    /// Records what is looked at in the log: which page, how many records, and of which patient.
    pub(super) async fn note_look(&self, what: &'static str, count: u64, patient: Option<&str>) -> Result<(), Refused> {
        let mut note = Note::new(Event::LogRead, self.at()).who(&self.who).code(what);
        note.count = Some(count);
        note.patients = patient.map(str::to_owned).into_iter().collect();
        Ok(self.record_about(note, None).await?)
    }

    /// Records that one record is looked at, and of which patients, up to a bound.
    async fn note_look_at(&self, what: &'static str, story: Option<&Story>) -> Result<(), Refused> {
        let mut note = Note::new(Event::LogRead, self.at()).who(&self.who).code(what);
        note.count = Some(1);
        note.patients =
            story.into_iter().flat_map(Story::patients).take(PATIENTS_NOTED_MAX).map(str::to_owned).collect();
        Ok(self.record_about(note, None).await?)
    }

    /// What is said beside an answer while the index has not seen the newest records yet, or does not follow the log.
    async fn behind(&self) -> Result<Option<Part>, Refused> {
        let Standing { behind, trouble } = self.off(|log| Ok(log.standing())).await?;
        let count = crate::chart::grouped(behind);
        let (heading, tone, lines) = match trouble {
            Some(trouble) => {
                let what = self.say_with("log-index-stands-what", "count", &count);
                (self.say("log-index-stands"), MarkTone::Bad, vec![what, trouble])
            }
            None if behind > BEHIND_MAX => {
                (self.say("log-behind"), MarkTone::Warn, vec![self.say_with("log-behind-what", "count", &count)])
            }
            None => return Ok(None),
        };
        Ok(Some(Part::Words(Words { id: "behind", heading, tone, lines, links: Vec::new() })))
    }
}

/// Departments as people read them.
fn said(units: &[Unit]) -> String {
    units.iter().map(Unit::as_str).collect::<Vec<_>>().join(", ")
}

/// How many patients of one record are noted when somebody looks at it.
const PATIENTS_NOTED_MAX: usize = 100;

/// How many records the index may be behind before a page says so: about a second's worth at full speed.
const BEHIND_MAX: u64 = 5_000;

/// A question about the same time and nothing else.
fn only_when(question: &Question) -> Question {
    Question { calendar: question.calendar.clone(), ..Question::new(question.since, question.until) }
}

/// What a page says that cannot show the log.
pub(super) fn trouble(desk: &Desk<'_>, trouble: LogTrouble) -> Response<Bytes> {
    let words = Words {
        id: "trouble",
        heading: desk.say("log-trouble"),
        tone: MarkTone::Bad,
        lines: vec![desk.say(&format!("log-trouble-{}", trouble.code()))],
        links: vec![Go::new(desk.say("log-back"), "/log")],
    };
    desk.show_unavailable(ConsoleContent {
        title: desk.say("console-records"),
        parts: vec![Part::Words(words)],
        ..ConsoleContent::default()
    })
}
