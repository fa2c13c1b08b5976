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
    /// What everybody must know now: a provider cannot be reached.
    pub(crate) banner: Option<String>,
    /// What this person broke and still holds open.
    pub(crate) glass: Vec<GlassStrip>,
}

/// What says on every page that glass is broken, and ends it.
pub(crate) struct GlassStrip {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) end_label: String,
}

impl Frame<'_> {
    pub(crate) fn say(&self, key: &str) -> String {
        self.voice.say(key)
    }

    pub(crate) fn tag(&self) -> &'static str {
        self.voice.language().tag()
    }

    pub(crate) fn other(&self) -> Language {
        self.voice.language().other()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn logo(&self) -> &'static str {
        Asset::Logo.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn script(&self) -> &'static str {
        Asset::Script.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn xterm(&self) -> &'static str {
        Asset::Xterm.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn xterm_style(&self) -> &'static str {
        Asset::XtermStyle.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn terminal_script(&self) -> &'static str {
        Asset::Terminal.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn recording_script(&self) -> &'static str {
        Asset::Recording.path()
    }

    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn style(&self) -> &'static str {
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
    /// Who may come back to this device with a touch of their key.
    pub(crate) waiting: Vec<WaitingRow>,
    pub(crate) key: Option<KeyTask>,
    pub(crate) ways: Vec<Link>,
    pub(crate) more: Vec<Link>,
    /// The button for somebody else, where the page is about one person.
    pub(crate) switch: Option<String>,
}

/// What passkey.js is to do on a page.
pub(crate) struct KeyTask {
    /// The purpose, as `/passkey/begin` knows it, or `enrol`.
    pub(crate) task: &'static str,
    pub(crate) label: String,
    /// Whether keys that the browser knows are offered in a field (conditional mediation).
    pub(crate) offers: bool,
    pub(crate) hand_off: Option<String>,
    pub(crate) again: Option<&'static str>,
    pub(crate) pending: Option<String>,
}

/// A person whose session waits on this device.
pub(crate) struct WaitingRow {
    /// The first character of the name, as a picture.
    pub(crate) sign: String,
    pub(crate) name: String,
    pub(crate) since: String,
}

/// Where a key is added: by a code, or for who is signed in.
#[derive(Template)]
#[template(path = "enrol.html")]
pub(crate) struct EnrolView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) title: String,
    pub(crate) lead: String,
    pub(crate) lines: Vec<String>,
    pub(crate) asks_code: bool,
    pub(crate) key: KeyTask,
}

/// Where a temporary code is typed.
#[derive(Template)]
#[template(path = "temporary.html")]
pub(crate) struct TemporaryView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) hand_off: Option<String>,
    pub(crate) back: String,
}

/// Carries a sign-in over the moment in which the browser is emptied of the person before.
#[derive(Template)]
#[template(path = "land.html")]
pub(crate) struct LandView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) secret: String,
}

/// How to connect to a TCP app, or whether to let a program in.
#[derive(Template)]
#[template(path = "connect.html")]
pub(crate) struct ConnectView<'a> {
    pub(crate) frame: Frame<'a>,
    /// The app's name.
    pub(crate) app: String,
    /// The device whose certificate the browser shows.
    pub(crate) device: Option<String>,
    /// Whether something was typed that is no code.
    pub(crate) is_odd: bool,
    pub(crate) code: Option<String>,
    /// Whether it has a terminal in the browser, and then whether files may be carried.
    pub(crate) terminal: Option<bool>,
    pub(crate) command: String,
}

/// A terminal.
#[derive(Template)]
#[template(path = "terminal.html")]
pub(crate) struct TerminalView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) app: String,
    /// Where its session is opened.
    pub(crate) stream: &'static str,
    pub(crate) has_files: bool,
}

/// The files of a folder of a server.
#[derive(Template)]
#[template(path = "files.html")]
pub(crate) struct FilesView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) app: String,
    /// None for the list of folders.
    pub(crate) folder: Option<String>,
    /// Where to go from a folder.
    pub(crate) above: Option<String>,
    pub(crate) rows: Vec<FileRow>,
    pub(crate) is_cut: bool,
    /// Where files are put, where that may be.
    pub(crate) put: Option<String>,
    /// The largest file that is carried.
    pub(crate) bytes_max: String,
    /// Why nothing is shown.
    pub(crate) refused: Option<String>,
}

/// One file or folder.
pub(crate) struct FileRow {
    pub(crate) name: String,
    /// Where it is looked into or taken; none where it cannot be.
    pub(crate) href: Option<String>,
    pub(crate) is_folder: bool,
    pub(crate) size: String,
    pub(crate) changed: String,
}

impl<'a> FilesView<'a> {
    /// A page that only says why nothing is shown.
    pub(crate) fn refused(frame: Frame<'a>, app: String, why: String) -> Self {
        Self {
            frame,
            app,
            folder: None,
            above: Some("/files".to_owned()),
            rows: Vec::new(),
            is_cut: false,
            put: None,
            bytes_max: String::new(),
            refused: Some(why),
        }
    }
}

/// Where a device gets its certificate.
#[derive(Template)]
#[template(path = "device.html")]
pub(crate) struct DeviceView<'a> {
    pub(crate) frame: Frame<'a>,
    /// What is known of this device, if it is one of ours already.
    pub(crate) known: Option<KnownDevice>,
    /// The kinds of files: word, name, whether it is the likely one.
    pub(crate) forms: Vec<(&'static str, String, bool)>,
}

/// A device that shows a certificate of ours.
pub(crate) struct KnownDevice {
    pub(crate) what: String,
    pub(crate) may_renew: bool,
}

/// A certificate is ready to be installed.
#[derive(Template)]
#[template(path = "device_ready.html")]
pub(crate) struct DeviceReadyView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) what: String,
    pub(crate) password: String,
    pub(crate) file: String,
    pub(crate) file_name: String,
    pub(crate) install: String,
}

/// A person's own page.
#[derive(Template)]
#[template(path = "me.html")]
pub(crate) struct MeView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) name: String,
    pub(crate) login: String,
    /// What was just done.
    pub(crate) said: Option<String>,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) add_key: String,
    pub(crate) sessions: Vec<SessionRow>,
    pub(crate) devices: Vec<DeviceRow>,
    pub(crate) opened: Vec<OpenedRow>,
}

/// One of the person's keys.
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) facts: String,
    pub(crate) is_used_now: bool,
}

/// One of the person's sessions.
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) facts: String,
    pub(crate) is_this: bool,
    pub(crate) end_label: String,
}

/// A device of the person.
pub(crate) struct DeviceRow {
    pub(crate) name: String,
    pub(crate) facts: String,
    pub(crate) is_this: bool,
}

/// Something that was opened as the person.
pub(crate) struct OpenedRow {
    pub(crate) at: String,
    pub(crate) app: String,
    pub(crate) action: String,
    pub(crate) device: String,
    pub(crate) outcome: String,
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
    /// Whether the device is handed from one person to the next.
    pub(crate) is_shared: bool,
    /// Whether they come for a vendor.
    pub(crate) is_vendors: bool,
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
    /// What would let them in that they can do themselves.
    pub(crate) ways: Vec<String>,
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
    /// Where breaking the glass is offered.
    pub(crate) glass: Option<GlassOffer>,
}

/// The form that breaks the glass. What was refused is in it, so that it stands in no address.
pub(crate) struct GlassOffer {
    pub(crate) action: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Code and name.
    pub(crate) reasons: Vec<(String, String)>,
    /// What it opens.
    pub(crate) scope: String,
    pub(crate) lines: Vec<String>,
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
    fill(view, |html| headers::page(status, html))
}

/// The same, for a page with our own script.
pub(crate) fn show_with_script(status: StatusCode, view: &impl Template) -> Response<Bytes> {
    fill(view, |html| headers::page_with_script(status, html))
}

fn fill(view: &impl Template, page: impl FnOnce(String) -> Response<Bytes>) -> Response<Bytes> {
    match view.render() {
        Ok(html) => page(html),
        Err(problem) => {
            error!(%problem, "a page could not be written");
            let line = Bytes::from_static("関所の不具合です。A fault in the checkpoint.\n".as_bytes());
            headers::document(Fault::Internal.status(), "text/plain; charset=utf-8", "no-store", line)
        }
    }
}
