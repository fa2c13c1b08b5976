//! Work that takes longer than a page may, as pages show it: how far it is, and the way to stop it.

use super::super::desk::Desk;
use super::super::view::{Form, Go, Part, Progress, Submit};
use crate::log_view::Job;

/// How far a piece of work is; `place` is where it is looked at again, and below that where it is stopped.
pub(super) fn under_way<T: Clone + PartialEq>(
    desk: &Desk<'_>,
    job: &Job<T>,
    place: &str,
    heading: &str,
    said: impl FnOnce(u64, u64) -> String,
) -> Vec<Part> {
    let (done, all) = job.progress();
    let progress = Progress {
        heading: desk.say(heading),
        said: said(done, all),
        done,
        all,
        links: vec![Go::main(desk.say("log-look-again"), place)],
    };
    let stop = Form {
        id: "cancel",
        heading: desk.say("log-drawing-stop"),
        lead: None,
        action: format!("{place}/cancel"),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(desk.say("log-drawing-stop")),
        back: None,
        folded: false,
    };
    vec![Part::Progress(progress), Part::Form(stop)]
}
