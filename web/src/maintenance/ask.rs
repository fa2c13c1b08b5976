//! The form in which somebody of a vendor asks for a window.

use bytes::Bytes;
use http::Response;
use identity::{AskedWindow, GrantProblem};
use policy::{AppId, Apps, Method, PathPattern, Rule, Subjects, Timestamp, Who};
use store::{GRANT_WORDS_CHARS_MAX, GrantReach};

use super::visitor::Visitor;
use crate::console::posted::{Posted, PostedFile};
use crate::console::view::{Choice, ConsoleContent, Field, Form, MarkTone, Part, Submit, Words};
use crate::notice::read_wall_clock;
use crate::site::{Answer, store_fault};
use crate::{PageRequest, Site};

/// What a file is said to be, whatever it is: nobody here looks into it, and no browser is to.
const FILE_MEDIA_TYPE: &str = "application/octet-stream";

/// What somebody typed.
#[derive(Default)]
struct Typed {
    app: String,
    purpose: String,
    ticket: String,
    begin: String,
    end: String,
    plan: String,
    methods: String,
    paths: String,
    is_urgent: bool,
}

impl Site {
    /// The form.
    pub(crate) fn ask_maintenance(&self, request: &PageRequest) -> Answer {
        let visitor = Visitor::of(self, request)?;
        Ok(visitor.show(page(&visitor, &Typed::default())))
    }

    /// Asks.
    pub(crate) async fn request_maintenance(&self, request: &PageRequest) -> Answer {
        let visitor = &Visitor::of(self, request)?;
        let typed = Typed::read(&Posted::read(request)?);
        let file = Posted::file(request, "file")?.filter(|file| !file.bytes.is_empty());
        let asked = match typed.asked(visitor, file) {
            Ok(asked) => asked,
            Err(problem) => return Ok(refused(visitor, problem, &typed)),
        };
        match self.parts.grants.ask(asked, visitor.who.user.as_str(), visitor.at()).await {
            Ok(id) => Ok(visitor.go(&format!("/maintenance/requests/{id}"), "asked")),
            Err(GrantProblem::Refused(refusal)) => Ok(refused(visitor, visitor.teller().refusal(&refusal), &typed)),
            Err(GrantProblem::Store(problem)) => Err(store_fault(&problem)),
        }
    }
}

impl Typed {
    fn read(form: &Posted) -> Self {
        let text = |name| form.raw(name).trim().replace("\r\n", "\n");
        Self {
            app: text("app"),
            purpose: text("purpose"),
            ticket: text("ticket"),
            begin: text("begin"),
            end: text("end"),
            plan: text("plan"),
            methods: text("methods"),
            paths: text("paths"),
            is_urgent: form.raw("urgent") == "on",
        }
    }

    /// What they ask for, or in words why it cannot be asked for as typed. What is too long, or at the wrong time, the
    /// store says.
    fn asked(&self, visitor: &Visitor<'_>, file: Option<PostedFile>) -> Result<AskedWindow, String> {
        if self.plan.is_empty() {
            return Err(visitor.say("maintenance-problem-grant-no-words"));
        }
        let app = maintained_by(visitor.site, &visitor.who).into_iter().find(|app| app.as_str() == self.app);
        Ok(AskedWindow {
            person: visitor.who.user.clone(),
            app: app.ok_or_else(|| visitor.say("maintenance-problem-app"))?,
            begin: self.moment(visitor, &self.begin)?,
            end: self.moment(visitor, &self.end)?,
            purpose: self.purpose.clone(),
            ticket: self.ticket.clone(),
            plan: self.plan.clone(),
            file: file.map(|PostedFile { name, bytes }| (name, FILE_MEDIA_TYPE.to_owned(), bytes)),
            reach: self.reach(visitor)?,
            is_urgent: self.is_urgent,
        })
    }

    fn moment(&self, visitor: &Visitor<'_>, text: &str) -> Result<Timestamp, String> {
        let read = read_wall_clock(text, visitor.site.config().offset);
        read.ok_or_else(|| visitor.say("maintenance-problem-time"))
    }

    fn reach(&self, visitor: &Visitor<'_>) -> Result<GrantReach, String> {
        let parts = |text: &str| -> Vec<String> {
            let parts = text.split([',', '\n', ' ', '、']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let problem = |key: &str, name: &str| visitor.voice.say_with(key, "name", name);
        let mut reach = GrantReach::default();
        for word in parts(&self.methods) {
            let method = Method::parse(&word.to_ascii_uppercase());
            reach.methods.push(method.ok_or_else(|| problem("maintenance-problem-method", &word))?);
        }
        for word in parts(&self.paths) {
            let path = PathPattern::parse(&word);
            reach.paths.push(path.map_err(|_| problem("maintenance-problem-path", &word))?);
        }
        Ok(reach)
    }
}

/// The apps that a person may ask for: those that some rule opens to one of their roles under a grant.
fn maintained_by(site: &Site, who: &Who) -> Vec<AppId> {
    let source = &site.config().policy;
    // What a `.cedar` file opens is not known here: every app is offered, and the approver sees which it is.
    let is_open = source.cedar.iter().any(|file| file.text.contains("context.grant"));
    let rules: Vec<&Rule> = source.rules.iter().filter(|rule| rule.grant && is_for(rule, who)).collect();
    let opens = |app: &AppId| is_open || rules.iter().any(|rule| covers(rule, app));
    site.config().apps.iter().map(|app| app.id.clone()).filter(opens).collect()
}

fn is_for(rule: &Rule, who: &Who) -> bool {
    match &rule.subjects {
        Subjects::Anyone | Subjects::SignedIn => true,
        Subjects::Roles(roles) => who.roles.iter().any(|role| roles.contains(role)),
    }
}

fn covers(rule: &Rule, app: &AppId) -> bool {
    match &rule.apps {
        Apps::All => true,
        Apps::Only(apps) => apps.contains(app),
    }
}

fn refused(visitor: &Visitor<'_>, problem: String, typed: &Typed) -> Response<Bytes> {
    visitor.show_problem(problem, page(visitor, typed))
}

fn page(visitor: &Visitor<'_>, typed: &Typed) -> ConsoleContent {
    let apps = maintained_by(visitor.site, &visitor.who);
    let offset = visitor.site.config().offset.to_string();
    let part = if apps.is_empty() {
        Part::Words(Words {
            id: "no-app",
            heading: visitor.say("maintenance-ask-form"),
            tone: MarkTone::Warn,
            lines: vec![visitor.say("maintenance-ask-no-app")],
            links: Vec::new(),
        })
    } else {
        Part::Form(form(visitor, typed, &apps))
    };
    ConsoleContent {
        title: visitor.say("maintenance-ask-title"),
        lead: Some(visitor.voice.say_with("maintenance-ask-lead", "offset", &offset)),
        up: Some(visitor.teller().go("maintenance-own-title", "/maintenance")),
        parts: vec![part],
        ..ConsoleContent::default()
    }
}

fn form(visitor: &Visitor<'_>, typed: &Typed, apps: &[AppId]) -> Form {
    let say = |key: &str| visitor.say(&format!("maintenance-ask-{key}"));
    let line = |name: &'static str, value: &str| {
        let hint = say(&format!("{name}-hint"));
        Field::text("ask", name, say(name), value, GRANT_WORDS_CHARS_MAX).hinted(hint)
    };
    let app = |app: &AppId| {
        let name = visitor.site.app_name(app, visitor.voice.language());
        Choice::new(app.as_str(), name, app.as_str() == typed.app)
    };
    let minutes = visitor.site.config().maintenance.max_length.as_secs() / 60;
    let span = match minutes % 60 {
        0 => visitor.voice.say_with("console-hours", "count", &(minutes / 60).to_string()),
        _ => visitor.voice.say_with("maintenance-minutes", "count", &minutes.to_string()),
    };
    let span = visitor.voice.say_with("maintenance-ask-end-hint", "span", &span);
    let urgent = Choice::new("on", say("urgent-tick"), typed.is_urgent);
    Form {
        id: "ask",
        heading: say("form"),
        lead: None,
        action: "/new-maintenance".to_owned(),
        with_file: true,
        fields: vec![
            Field::choice("ask", "app", say("app"), apps.iter().map(app).collect()),
            line("purpose", &typed.purpose).required(),
            line("ticket", &typed.ticket),
            Field::moment("ask", "begin", say("begin"), typed.begin.clone()).required(),
            Field::moment("ask", "end", say("end"), typed.end.clone()).required().hinted(span),
            Field::area("ask", "plan", say("plan"), typed.plan.clone(), 10).required().hinted(say("plan-hint")),
            Field::file("ask", "file", say("file"), "").hinted(say("file-hint")),
            line("methods", &typed.methods),
            Field::area("ask", "paths", say("paths"), typed.paths.clone(), 3).hinted(say("paths-hint")),
            Field::some_of("ask", "urgent", say("urgent"), vec![urgent]),
        ],
        buttons: Submit::main(say("button")),
        back: Some(visitor.teller().go("console-cancel", "/maintenance")),
        folded: false,
    }
}
