//! A vendor's own requests: all of them, one with what comes next, its end before its time, and its report.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_DISPOSITION, HeaderName, HeaderValue};
use identity::GrantProblem;
use policy::{GrantId, Reads};
use store::{GRANTS_READ_MAX, GrantFilter, GrantRecord, GrantState, PlanFile};

use super::told::Side;
use super::visitor::Visitor;
use super::work::{Span, Work};
use crate::console::posted::Posted;
use crate::console::view::{Bit, ConsoleContent, Field, Form, Go, Part, Submit, Table};
use crate::log_view::{LogTrouble, Sight};
use crate::site::{Answer, store_fault};
use crate::{Fault, PageRequest, Site, headers};

/// How long a page waits until it may count what was done.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

impl Site {
    /// All of them.
    pub(crate) async fn own_maintenance(&self, request: &PageRequest) -> Answer {
        let visitor = &Visitor::of(self, request)?;
        let filter = GrantFilter {
            kind: Some(policy::GrantKind::Maintenance),
            person: Some(visitor.who.user.clone()),
            ..GrantFilter::default()
        };
        let read = self.parts.store.grants(filter, None, GRANTS_READ_MAX).await;
        let records = read.map_err(|problem| store_fault(&problem))?;
        let mut actions = vec![Go::main(visitor.say("maintenance-ask"), "/new-maintenance")];
        if self.leads_vendors(&visitor.who) {
            actions.push(Go::new(visitor.say("maintenance-own-people"), "/vendor-people"));
        }
        Ok(visitor.show(ConsoleContent {
            title: visitor.say("maintenance-own-title"),
            lead: Some(visitor.say("maintenance-own-lead")),
            up: Some(visitor.teller().go("maintenance-portal", "/")),
            actions,
            parts: vec![Part::Table(table(visitor, &records))],
            ..ConsoleContent::default()
        }))
    }

    /// One of them.
    pub(crate) async fn own_request(&self, request: &PageRequest) -> Answer {
        let visitor = &Visitor::of(self, request)?;
        let record = visitor.own().await?;
        Ok(visitor.show(content(visitor, &record).await?))
    }

    /// The file that came with it.
    pub(crate) async fn own_file(&self, request: &PageRequest) -> Answer {
        let record = Visitor::of(self, request)?.own().await?;
        self.plan_file(&record.id).await
    }

    /// Takes one back.
    pub(crate) async fn withdraw_maintenance(&self, request: &PageRequest) -> Answer {
        let visitor = &Visitor::of(self, request)?;
        let record = visitor.own().await?;
        let done = self.parts.grants.withdraw(&record.id, visitor.who.user.as_str(), "", visitor.at()).await;
        outcome(visitor, &record, done, "withdrawn").await
    }

    /// Ends one before its time.
    pub(crate) async fn end_own(&self, request: &PageRequest) -> Answer {
        let visitor = &Visitor::of(self, request)?;
        let record = visitor.own().await?;
        let done = self.parts.grants.end(&record.id, visitor.who.user.as_str(), "", &[], visitor.at()).await;
        outcome(visitor, &record, done, "ended").await
    }

    /// Hands in the report; what the log tells is kept beside it as it is now.
    pub(crate) async fn report_maintenance(&self, request: &PageRequest) -> Answer {
        let visitor = &Visitor::of(self, request)?;
        let record = visitor.own().await?;
        let text = Posted::read(request)?.raw("text").trim().replace("\r\n", "\n");
        // Where the log cannot be read now, it is drafted when the report is confirmed.
        let draft = self.work_under(&record, Side::Vendor).await.map(|work| work.text()).unwrap_or_default();
        let actor = visitor.who.user.as_str();
        let done = self.parts.grants.report(&record.id, actor, draft, text, visitor.at()).await;
        outcome(visitor, &record, done, "reported").await
    }

    /// What was done under an exception: once its report is confirmed as it was then, before as the log tells it now.
    pub(crate) async fn work_of(&self, record: &GrantRecord, side: Side) -> Option<Work> {
        let kept = record.maintenance().filter(|one| one.confirmed.is_some()).and_then(|one| one.report.as_ref());
        match kept {
            Some(report) => Work::kept(&report.draft),
            None => self.work_under(record, side).await,
        }
    }

    /// What was done under an exception, as the log tells it now. A log that cannot be read, or an index that is not
    /// there, drafts nothing; the page says so, and the operator hears of it elsewhere.
    pub(crate) async fn work_under(&self, record: &GrantRecord, side: Side) -> Option<Work> {
        // What began in the last moment is written down a moment later.
        let span = Span { since: record.begin, until: record.over_at().after(Duration::from_secs(60)) };
        // All of it, whoever asks: they see counts.
        let log = Sight::new(self.parts.log_view.clone(), Reads::Everything);
        let (policy, id) = (self.parts.policy.clone(), record.id.clone());
        // With turns of their own: a vendor who asks again and again keeps nobody of the hospital waiting.
        let turns = match side {
            Side::Vendor => &self.vendors_searches,
            Side::Hospital => &self.searches,
        };
        let turn = tokio::time::timeout(TURN_TIMEOUT, turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return None };
        let read = tokio::task::spawn_blocking(move || Work::read(&log, &policy, &id, span)).await;
        match read.unwrap_or(Err(LogTrouble::Failed)) {
            Ok(work) => Some(work),
            Err(trouble) => {
                tracing::warn!(grant = %record.id, trouble = trouble.code(), "the log could not be read for a report");
                None
            }
        }
    }

    /// A file that came with a work plan, to be saved and never shown.
    pub(crate) async fn plan_file(&self, id: &GrantId) -> Answer {
        let found = self.parts.store.plan_file(id).await.map_err(|problem| store_fault(&problem))?;
        let (file, bytes) = found.ok_or(Fault::NotFound)?;
        Ok(attachment(&file, bytes))
    }
}

/// A file that a browser saves and does not look into, whatever it is.
fn attachment(file: &PlanFile, bytes: Vec<u8>) -> Response<Bytes> {
    let kind = "application/octet-stream";
    let mut response = headers::document(http::StatusCode::OK, kind, "no-store", Bytes::from(bytes));
    // RFC 6266 and RFC 8187: the plain name for programs that know no other, the whole one for browsers.
    let plain: String =
        file.name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect();
    let whole: String = url::form_urlencoded::byte_serialize(file.name.as_bytes()).collect();
    let named = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", whole.replace('+', "%20"));
    let named = HeaderValue::from_str(&named).unwrap_or(HeaderValue::from_static("attachment"));
    headers::set(&mut response, CONTENT_DISPOSITION, named);
    // Whatever opens it after all may do nothing.
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers::set(&mut response, HeaderName::from_static("content-security-policy"), sandbox);
    response
}

async fn outcome(
    visitor: &Visitor<'_>,
    record: &GrantRecord,
    done: Result<(), GrantProblem>,
    word: &'static str,
) -> Answer {
    match done {
        Ok(()) => Ok(visitor.go(&place(record), word)),
        Err(GrantProblem::Refused(refusal)) => {
            Ok(visitor.show_problem(visitor.teller().refusal(&refusal), content(visitor, record).await?))
        }
        Err(GrantProblem::Store(problem)) => Err(store_fault(&problem)),
    }
}

fn place(record: &GrantRecord) -> String {
    format!("/maintenance/requests/{}", record.id)
}

fn table(visitor: &Visitor<'_>, records: &[GrantRecord]) -> Table {
    let teller = visitor.teller();
    let row = |record: &GrantRecord| {
        let purpose = record.maintenance().map(|one| one.purpose.as_str()).unwrap_or_default();
        vec![
            vec![teller.link(record, "/maintenance/requests")],
            vec![Bit::Text(visitor.site.app_name(&record.app, visitor.voice.language()))],
            vec![Bit::text(purpose)],
            teller.marks(record).into_iter().map(Bit::Mark).collect(),
            teller.next(record, Side::Vendor).lines.into_iter().map(Bit::Text).collect(),
        ]
    };
    let heads = ["window", "app", "purpose", "state", "next"];
    Table {
        id: "requests",
        heading: visitor.say("maintenance-own-table"),
        heads: heads.map(|head| visitor.say(&format!("maintenance-{head}"))).into(),
        rows: records.iter().map(row).collect(),
        empty: visitor.say("maintenance-own-none"),
        note: (records.len() >= GRANTS_READ_MAX).then(|| visitor.say("maintenance-console-cut")),
        pages: Vec::new(),
    }
}

async fn content(visitor: &Visitor<'_>, record: &GrantRecord) -> Result<ConsoleContent, Fault> {
    let teller = visitor.teller();
    let names = teller.names([record]).await.map_err(|problem| store_fault(&problem))?;
    let person = visitor.store().person(&record.person).await.map_err(|problem| store_fault(&problem))?;
    let vendor = visitor.vendor_of(&record.person).await?.unwrap_or_default();
    let state = record.state(visitor.at());
    let mut parts = vec![Part::Words(teller.next(record, Side::Vendor))];
    parts.extend(ways_out(visitor, record, state).map(Part::Form));
    let has_work = matches!(state, GrantState::Ended | GrantState::Reported | GrantState::Confirmed);
    if has_work {
        parts.extend(teller.work(visitor.site.work_of(record, Side::Vendor).await.as_ref()));
    }
    if matches!(state, GrantState::Ended | GrantState::Reported) {
        parts.push(Part::Form(report_form(visitor, record)));
    }
    parts.extend(teller.report(record).filter(|_| state == GrantState::Confirmed).map(Part::Raw));
    parts.push(Part::Table(teller.history(record, &names)));
    parts.extend(teller.request(record, person.as_ref(), &vendor, format!("{}/file", place(record))));
    Ok(ConsoleContent {
        title: visitor.site.app_name(&record.app, visitor.voice.language()),
        lead: Some(teller.window(record)),
        up: Some(teller.go("maintenance-own-title", "/maintenance")),
        marks: teller.marks(record),
        parts,
        ..ConsoleContent::default()
    })
}

/// How they end it, or take it back.
fn ways_out(visitor: &Visitor<'_>, record: &GrantRecord, state: GrantState) -> Option<Form> {
    // What is approved is ended, also before it begins; only what waits is taken back.
    let (word, label) = match state {
        GrantState::Active => ("end", "end"),
        GrantState::Armed => ("end", "call-off"),
        GrantState::Requested => ("withdraw", "withdraw"),
        GrantState::Lapsed
        | GrantState::Refused
        | GrantState::Withdrawn
        | GrantState::Ended
        | GrantState::Reported
        | GrantState::Confirmed => return None,
    };
    let lead = visitor.say(&format!("maintenance-{label}-what"));
    let label = visitor.say(&format!("maintenance-{label}"));
    Some(Form {
        id: "out",
        heading: label.clone(),
        lead: Some(lead),
        action: format!("{}/{word}", place(record)),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(label),
        back: None,
        folded: false,
    })
}

fn report_form(visitor: &Visitor<'_>, record: &GrantRecord) -> Form {
    let report = record.maintenance().and_then(|one| one.report.as_ref());
    let text = report.map(|report| report.text.clone()).unwrap_or_default();
    let label = if report.is_some() { "maintenance-report-again" } else { "maintenance-report-button" };
    Form {
        id: "report",
        heading: visitor.say("maintenance-report-form"),
        lead: Some(visitor.say("maintenance-report-lead")),
        action: format!("{}/report", place(record)),
        with_file: false,
        fields: vec![
            Field::area("report", "text", visitor.say("maintenance-report-text"), text, 12)
                .required()
                .hinted(visitor.say("maintenance-report-text-hint")),
        ],
        buttons: Submit::main(visitor.say(label)),
        back: None,
        folded: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_under_its_name_and_never_shown() {
        for (name, expected) in [
            ("plan.pdf", "attachment; filename=\"plan.pdf\"; filename*=UTF-8''plan.pdf"),
            ("作業 1.pdf", "attachment; filename=\"___1.pdf\"; filename*=UTF-8''%E4%BD%9C%E6%A5%AD%201.pdf"),
            ("a\"; x=\".html", "attachment; filename=\"a___x__.html\"; filename*=UTF-8''a%22%3B%20x%3D%22.html"),
        ] {
            let file = PlanFile { name: name.to_owned(), media_type: String::new(), bytes: 1, sha256: [0; 32] };
            let response = attachment(&file, vec![b'x']);
            assert_eq!(response.headers()["content-disposition"], expected, "{name}");
            assert_eq!(response.headers()["content-type"], "application/octet-stream");
            assert_eq!(response.headers()["content-security-policy"], "default-src 'none'; sandbox");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
    }
}
