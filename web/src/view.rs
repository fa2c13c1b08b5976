//! What the templates are filled with. Plain values: every decision is made before.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use tracing::error;

use crate::texts::Voice;
use crate::{Asset, Fault, Language, headers};

/// What every page has around it.
pub(crate) struct Frame<'a> {
    /// Its language.
    pub(crate) voice: Voice<'a>,
    /// Whose gateway it is.
    pub(crate) facility: &'a str,
    /// Path and query to come back to after switching the language; no switch where that cannot be.
    pub(crate) back: Option<String>,
}

impl Frame<'_> {
    pub(crate) fn say(&self, key: &str) -> String {
        self.voice.say(key)
    }

    fn tag(&self) -> &'static str {
        self.voice.language().tag()
    }

    fn other(&self) -> Language {
        self.voice.language().other()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    fn logo(&self) -> &'static str {
        Asset::Logo.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    fn style(&self) -> &'static str {
        Asset::Style.path()
    }
}

/// A link that looks like a button.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) label: String,
    pub(crate) href: String,
    /// Whether it opens beside this page, which then stays.
    pub(crate) beside: bool,
}

impl Link {
    pub(crate) fn new(label: String, href: impl Into<String>) -> Self {
        Self { label, href: href.into(), beside: false }
    }

    pub(crate) fn beside(label: String, href: impl Into<String>) -> Self {
        Self { label, href: href.into(), beside: true }
    }
}

/// Which way to sign in, or to prove it again.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) title: String,
    pub(crate) lead: String,
    pub(crate) lines: Vec<String>,
    pub(crate) ways: Vec<Link>,
}

/// An app in the portal.
pub(crate) struct AppTile {
    pub(crate) name: String,
    /// The first character of the name, as a picture.
    pub(crate) sign: String,
    pub(crate) host: String,
    pub(crate) href: String,
}

/// The portal.
#[derive(Template)]
#[template(path = "portal.html")]
pub(crate) struct PortalView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) roles: String,
    pub(crate) device: String,
    pub(crate) until: String,
    pub(crate) apps: Vec<AppTile>,
    pub(crate) none: String,
    pub(crate) none_do: String,
}

/// How a notice feels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tone {
    /// No.
    Stop,
    /// Not now, or not yet.
    Wait,
    /// Done.
    Done,
    /// A question.
    Ask,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Wait => "wait",
            Self::Done => "done",
            Self::Ask => "ask",
        }
    }

    /// The picture in the circle: a closed bar, a clock, a tick, a person.
    fn path(self) -> &'static str {
        match self {
            Self::Stop => "M13 24h22",
            Self::Wait => "M24 11a13 13 0 1 0 0 26a13 13 0 1 0 0-26M24 17v7.5l5 3",
            Self::Done => "M14 25l7 7 13-15",
            Self::Ask => "M24 14a5 5 0 1 0 0 10a5 5 0 1 0 0-10M14 35c2-5 5-7 10-7s8 2 10 7",
        }
    }
}

/// What a person needs to talk to the help desk.
pub(crate) struct Help {
    pub(crate) code: String,
    pub(crate) rows: Vec<(String, String)>,
}

/// Anything that is said rather than offered: refusals, faults, signed out.
pub(crate) struct Notice {
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) todo: Option<String>,
    /// Whether it holds the form that signs out.
    pub(crate) sign_out: bool,
    pub(crate) actions: Vec<Link>,
    pub(crate) help: Option<Help>,
    /// Whether it reminds of what to do when a patient cannot wait.
    pub(crate) urgent: bool,
}

#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct NoticeView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) notice: Notice,
}

/// A posted form that waits for its person to sign in.
#[derive(Template)]
#[template(path = "kept.html")]
pub(crate) struct KeptView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) step_1: String,
    pub(crate) sign_in: String,
    pub(crate) sign_in_label: String,
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) count: String,
}

/// Fills a template. One that cannot be filled is our own fault: a bare line of text, so that nobody waits.
pub(crate) fn show(status: StatusCode, view: &impl Template) -> Response<Bytes> {
    match view.render() {
        Ok(html) => headers::page(status, html),
        Err(problem) => {
            error!(%problem, "a page could not be written");
            let line = Bytes::from_static("関所の不具合です。A fault in the checkpoint.\n".as_bytes());
            headers::document(Fault::Internal.status(), "text/plain; charset=utf-8", "no-store", line)
        }
    }
}
