//! The pages of a TCP app's host: how `sekimori connect` is used, and where its person lets it in; and what that
//! program asks for itself. The pages are judged as the app, with the action `connect`: who may not connect, or must
//! first sign in or prove again who they are, learns it here as everywhere.

use bytes::Bytes;
use http::{Response, StatusCode};
use identity::{ProgramCode, ProgramProblem};
use serde::{Deserialize, Serialize};

use crate::site::{Answer, said, store_fault};
use crate::texts::Texts;
use crate::view::{ConnectView, Notice, Tone, show};
use crate::{Fault, Language, PageRequest, Site, json, language, query};

/// How often a program asks whether it was let in, in seconds.
const ASK_SECONDS: u64 = 2;

/// What a program is told that asks to be let in.
#[derive(Serialize)]
struct Begun<'a> {
    app: &'a str,
    code: String,
    secret: &'a str,
    /// Where its person goes.
    address: String,
    expires_in: u64,
    interval: u64,
}

/// What a program takes its token with.
#[derive(Deserialize)]
struct Take {
    secret: String,
}

/// The token, once its person let it in.
#[derive(Serialize)]
struct Taken<'a> {
    token: Option<&'a str>,
}

impl Site {
    /// How to connect; with a code, whether to let that program in.
    pub(crate) fn connect(&self, request: &PageRequest) -> Answer {
        let app = self.app_of(request)?;
        let code = query::field(request.query.as_bytes(), "code").filter(|code| !code.is_empty());
        let origin = self.config().origin(&app.host);
        let view = ConnectView {
            frame: self.frame_of(request),
            app: said(&app.name, language(&request.headers)).to_owned(),
            device: request.device.as_ref().map(|device| device.id.to_string()),
            is_odd: code.as_deref().is_some_and(|code| ProgramCode::parse(code).is_none()),
            code: code.as_deref().and_then(ProgramCode::parse).map(|code| code.to_string()),
            terminal: app.terminal.as_ref().map(|terminal| terminal.files != config::FileTransfer::None),
            command: format!(
                "sekimori connect {} --gateway {origin} --certificate DEVICE.pem --key DEVICE.key --listen 127.0.0.1:0",
                app.id
            ),
        };
        Ok(show(StatusCode::OK, &view))
    }

    /// Its person lets a program in.
    pub(crate) async fn connect_allow(&self, request: &PageRequest) -> Answer {
        self.check_origin(request)?;
        let app = self.app_of(request)?;
        let code = query::field(&request.body, "code").and_then(|code| ProgramCode::parse(&code));
        let code = code.ok_or(Fault::CodeVoid)?;
        let session = request.usable_session().ok_or(Fault::SignInExpired)?;
        let allowed = self.programs.allow(&request.host, &code, session, request.at).await;
        allowed.map_err(|problem| fault_of(&problem))?;
        let voice = self.voice(language(&request.headers));
        let notice = Notice {
            tone: Tone::Done,
            title: voice.say("connect-done-title"),
            what: voice.say_with("connect-done-what", "app", said(&app.name, language(&request.headers))),
            todo: Some(voice.say("connect-done-do")),
            ways: Vec::new(),
            sign_out: false,
            actions: Vec::new(),
            help: None,
            urgent: false,
        };
        Ok(self.notice(request, notice))
    }

    /// A program asks to be let in. Only with the certificate of a device in the ledger: its person's browser must show
    /// the same.
    pub(crate) async fn connect_begin(&self, request: &PageRequest) -> Answer {
        let _asked: serde::de::IgnoredAny = json::read(request)?;
        let app = self.app_of(request)?;
        let Some(device) = &request.device else { return Ok(no_device()) };
        let begun = self.programs.begin(&request.host, &device.id, request.at).await;
        let begun = begun.map_err(|problem| store_fault(&problem))?;
        let code = begun.code.to_string();
        json::write(&Begun {
            app: app.id.as_str(),
            address: format!("{}/?code={code}", self.config().origin(&app.host)),
            code,
            secret: begun.secret.expose(),
            expires_in: begun.span.as_secs(),
            interval: ASK_SECONDS,
        })
    }

    /// A program asks whether it was let in, and takes its token.
    pub(crate) async fn connect_token(&self, request: &PageRequest) -> Answer {
        let Take { secret } = json::read(request)?;
        let Some(device) = &request.device else { return Ok(no_device()) };
        match self.programs.take_token(&request.host, &device.id, &secret, request.at).await {
            Ok(token) => json::write(&Taken { token: Some(token.expose()) }),
            Err(ProgramProblem::Void) => json::write(&Taken { token: None }),
            Err(problem) => Err(fault_of(&problem)),
        }
    }

    /// The TCP app whose host this is.
    fn app_of(&self, request: &PageRequest) -> Result<&config::App, Fault> {
        let its = |app: &&config::App| app.host == request.host && app.tcp().is_some();
        self.config().apps.iter().find(its).ok_or(Fault::NotFound)
    }
}

fn fault_of(problem: &ProgramProblem) -> Fault {
    match problem {
        ProgramProblem::Void => Fault::CodeVoid,
        ProgramProblem::SessionOver => Fault::SignInExpired,
        ProgramProblem::Store(problem) => store_fault(problem),
    }
}

/// Answers a program on a device that nobody knows.
fn no_device() -> Response<Bytes> {
    let problem = Bytes::from_static(br#"{"code":"device-required"}"#);
    crate::headers::document(StatusCode::FORBIDDEN, "application/problem+json", "no-store", problem)
}

/// The words of `sekimori connect`.
#[derive(Debug)]
pub struct ConnectWords {
    texts: Texts,
    language: Language,
}

impl ConnectWords {
    /// Words in this language.
    #[must_use]
    pub fn new(language: Language) -> Self {
        Self { texts: Texts::new(), language }
    }

    /// The text of `connect-says-KEY`, with this filled in.
    #[must_use]
    pub fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        self.texts.voice(self.language).say_all(&format!("connect-says-{key}"), values)
    }

    /// Why a connection did not come about or ended, and what to do: for the code of a reason, a fault, or an end that
    /// only connections have. The code itself where it has no words.
    #[must_use]
    pub fn why(&self, code: &str) -> String {
        let voice = self.texts.voice(self.language);
        for kind in ["reason", "fault", "connect-end"] {
            let part = |part: &str| voice.try_say(&format!("{kind}-{code}-{part}"));
            if let (Some(what), Some(todo)) = (part("what"), part("do")) {
                return format!("{what} {todo}");
            }
        }
        code.to_owned()
    }
}

#[cfg(test)]
mod tests;
