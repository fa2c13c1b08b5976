//! What proves a downloaded recording: the lines of the log that it began and ended, in a file that proves itself. The
//! second of them has the SHA-256 of the download.

use audit::{Event, LogSigner, Note};
use evidence::Source;
use evidence::export::{Form, Order};
use find::FoundAt;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, HeaderValue};

use super::super::desk::{Desk, Shown};
use super::told;
use crate::log_view::{Exported, Jobs, LogTrouble, Packing};
use crate::{Fault, headers};

/// The file; there is none while the recording is not over.
pub(in super::super) async fn proof(desk: &Desk<'_>) -> Shown {
    let told = told(desk).await?;
    let (began, ended) = (told.began.begin.seq, told.ended.as_ref().ok_or(Fault::NotFound)?.begin.seq);
    let config = desk.config();
    let signer = LogSigner::open(&config.state_dir, &config.audit.origin).map_err(LogTrouble::from)?;
    let packing = Packing {
        order: Order {
            form: Form::Jsonl,
            question: serde_json::json!({ "request": told.id.to_string() }),
            by: desk.who.login.to_string(),
            at: desk.at(),
            recorded: None,
            damaged: 0,
        },
        source: Source::of(config),
        signer,
        within: None,
        request: desk.request.request.to_string(),
    };
    let mut note = Note::new(Event::LogRead, desk.at()).who(&desk.who).code("export");
    note.count = Some(2);
    desk.record_about(note, None).await?;
    let job = Jobs::new(0).begin(&desk.who.user).map_err(|_| Fault::Internal)?;
    let found = [began, ended].map(|begin| FoundAt { begin, end: None });
    let made = desk.off_all(move |log| log.pack(packing, &found, ended, &job)).await?;
    let Some(Exported::File(file)) = made else { return Err(Fault::Internal.into()) };
    let mut response = headers::document(StatusCode::OK, "application/octet-stream", "no-store", file.bytes);
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}.export\"", told.id)) {
        headers::set(&mut response, CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
