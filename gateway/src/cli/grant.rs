//! `sekimori grant`: vendors' windows. The pages do the same; here it is done at the machine, beside a running gateway,
//! which follows within a second.

use identity::{AskedWindow, GrantProblem, Grants};
use policy::{AppId, GrantId, GrantKind, Method, PathPattern, Timestamp};
use serde_json::json;
use store::{GrantConfirmation, GrantFilter, GrantReach, GrantRecord};

use super::inventory;
use super::policy::person::{approver, proposer};
use super::user::{Directory, Who};
use crate::cli::{ConfigArg, Format, actor, block_on, out, span, table};
use crate::clock;
use crate::failure::Failure;

/// What can be done with windows.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Lists windows, newest first.
    List {
        /// Only where somebody still has something to do.
        #[arg(long)]
        unfinished: bool,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Shows one with all that was said.
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Asks for a window for somebody of a vendor, such as one who calls.
    Ask(Ask),
    /// Approves a window as another person than whoever asked, or makes up for letting somebody in.
    Approve(Decision),
    /// Lets somebody in before it is approved; that is due within the time that the configuration sets.
    Admit(Decision),
    /// Refuses a window.
    Refuse(Decision),
    /// Ends a window before its time, with all that is open in it.
    End(Decision),
    /// Confirms the report of a window.
    Confirm(Decision),
    /// The inventory of remote maintenance as CSV.
    #[command(subcommand)]
    Inventory(inventory::Command),
}

/// Which window.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// Its name: `g-` and ten digits, from `grant list`.
    grant: String,
}

/// What is decided, and why.
#[derive(clap::Args, Debug)]
pub struct Decision {
    #[command(flatten)]
    which: Which,
    /// Why, for whoever looks back.
    #[arg(long, value_name = "WORDS", default_value = "")]
    words: String,
    #[command(flatten)]
    config: ConfigArg,
}

/// What is asked for.
#[derive(clap::Args, Debug)]
pub struct Ask {
    #[command(flatten)]
    who: Who,
    /// The app.
    #[arg(long)]
    app: String,
    /// Its first moment, on the hospital's clock such as `2026-11-23 08:30`; now where left out.
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// How long it is to last, such as `2h`.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    length: std::time::Duration,
    /// What for.
    #[arg(long, value_name = "WORDS")]
    purpose: String,
    /// The number of the ticket.
    #[arg(long, default_value = "")]
    ticket: String,
    /// The work plan.
    #[arg(long, value_name = "WORDS", default_value = "")]
    plan: String,
    /// A method it is for; all where none is named.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// A path it is for, such as `/admin/*`; all where none is named.
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { unfinished, config, format } => list(*unfinished, config, *format),
        Command::Show { which, config, format } => show(which, config, *format),
        Command::Ask(asked) => ask(asked),
        Command::Approve(decision) => decide(decision, "approved", async |grants, id, words, at| {
            grants.approve(id, &approver()?, words, at).await.map_err(failure)
        }),
        Command::Admit(decision) => decide(decision, "let in", async |grants, id, words, at| {
            grants.admit(id, &approver()?, words, at).await.map_err(failure)
        }),
        Command::Refuse(decision) => decide(decision, "refused", async |grants, id, words, at| {
            grants.refuse(id, &actor(), words, at).await.map_err(failure)
        }),
        Command::End(decision) => decide(decision, "ended", async |grants, id, words, at| {
            grants.end(id, &actor(), words, &[], at).await.map_err(failure)
        }),
        Command::Inventory(command) => inventory::run(command),
        Command::Confirm(decision) => decide(decision, "confirmed", async |grants, id, words, at| {
            let confirmation = GrantConfirmation { words: words.to_owned(), ..GrantConfirmation::default() };
            grants.confirm(id, &approver()?, confirmation, at).await.map_err(failure)
        }),
    }
}

/// What went wrong with an exception, in the command line's words.
pub fn failure(problem: GrantProblem) -> Failure {
    match problem {
        GrantProblem::Refused(refusal) => Failure::no(refusal.code()),
        GrantProblem::Store(problem) => Failure::unavailable(problem.to_string()),
    }
}

/// Reads the name of an exception of this kind.
pub fn name(text: &str, kind: GrantKind) -> Result<GrantId, Failure> {
    let read = GrantId::parse(text).ok().filter(|id| GrantKind::of(id) == kind);
    read.ok_or_else(|| Failure::input(format!("`{text}` is not a name such as `{}0123456789`", kind.prefix())))
}

/// Reads exceptions of a kind, at most as many as are read at once.
pub async fn read(directory: &Directory, kind: GrantKind, unfinished: bool) -> Result<Vec<GrantRecord>, Failure> {
    let unfinished_at = unfinished.then(clock::now);
    let filter = GrantFilter { kind: Some(kind), unfinished_at, ..GrantFilter::default() };
    directory.store.grants(filter, None, store::GRANTS_READ_MAX).await.map_err(unavailable)
}

/// The name that somebody signs in with.
pub async fn login(directory: &Directory, kept: &GrantRecord) -> Result<String, Failure> {
    let person = directory.store.person(&kept.person).await.map_err(unavailable)?;
    Ok(person.map_or_else(|| kept.person.to_string(), |person| person.login))
}

fn unavailable(problem: store::StoreProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

fn decide(
    decision: &Decision,
    done: &str,
    act: impl AsyncFnOnce(&Grants, &GrantId, &str, Timestamp) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let id = name(&decision.which.grant, GrantKind::Maintenance)?;
    let directory = Directory::open(&decision.config)?;
    let grants = Grants::new(directory.store.clone(), &directory.config);
    block_on(async { act(&grants, &id, &decision.words, clock::now()).await })?;
    out::say(&format!("{id} {done}"));
    Ok(())
}

fn ask(asked: &Ask) -> Result<(), Failure> {
    let directory = Directory::open(&asked.config)?;
    let (config, at) = (&directory.config, clock::now());
    let begin = match &asked.from {
        Some(text) => super::policy::moment(text, config.offset)?,
        None => at,
    };
    let grants = Grants::new(directory.store.clone(), config);
    let id = block_on(async {
        let window = AskedWindow {
            person: directory.find(&asked.who).await?.id,
            app: AppId::parse(&asked.app).map_err(|problem| Failure::input(format!("--app: {problem}")))?,
            begin,
            end: begin.after(asked.length),
            purpose: asked.purpose.clone(),
            ticket: asked.ticket.clone(),
            plan: asked.plan.clone(),
            file: None,
            reach: reach(asked)?,
            is_urgent: false,
        };
        grants.ask(window, &proposer(), at).await.map_err(failure)
    })?;
    out::say(id.as_str());
    Ok(())
}

fn reach(asked: &Ask) -> Result<GrantReach, Failure> {
    let method = |text: &String| {
        Method::parse(text).ok_or_else(|| Failure::input(format!("--method: `{text}` is not a method such as `GET`")))
    };
    let path = |text: &String| {
        PathPattern::parse(text).map_err(|problem| Failure::input(format!("--path: `{text}`: {problem}")))
    };
    Ok(GrantReach {
        methods: asked.methods.iter().map(method).collect::<Result<_, _>>()?,
        paths: asked.paths.iter().map(path).collect::<Result<_, _>>()?,
    })
}

fn list(unfinished: bool, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let (offset, at) = (directory.config.offset, clock::now());
    block_on(async {
        let mut rows = Vec::new();
        for kept in read(&directory, GrantKind::Maintenance, unfinished).await? {
            let login = login(&directory, &kept).await?;
            match format {
                Format::Json => out::say(&as_json(&kept, &login, at).to_string()),
                Format::Text => rows.push(vec![
                    kept.id.to_string(),
                    kept.state(at).code().to_owned() + if kept.is_overdue(at) { ", overdue" } else { "" },
                    login,
                    kept.app.to_string(),
                    kept.begin.rfc3339(offset),
                    kept.over_at().rfc3339(offset),
                ]),
            }
        }
        if format == Format::Text {
            out::say(&table(&["GRANT", "STATE", "PERSON", "APP", "FROM", "TO"], &rows));
        }
        Ok(())
    })
}

fn show(which: &Which, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let id = name(&which.grant, GrantKind::Maintenance)?;
    let directory = Directory::open(config)?;
    let at = clock::now();
    block_on(async {
        let kept = directory.store.grant(&id).await.map_err(unavailable)?;
        let kept = kept.ok_or_else(|| Failure::no(format!("there is no `{id}`; see `sekimori grant list`")))?;
        let login = login(&directory, &kept).await?;
        match format {
            Format::Json => out::say(&as_json(&kept, &login, at).to_string()),
            Format::Text => out::say(&in_lines(&kept, &login, directory.config.offset, at)),
        }
        Ok(())
    })
}

fn in_lines(kept: &GrantRecord, login: &str, offset: policy::UtcOffset, at: Timestamp) -> String {
    let Some(one) = kept.maintenance() else { return String::new() };
    let mut lines = vec![
        format!("{} {} {login} {}", kept.id, kept.state(at).code(), kept.app),
        format!("from {} to {}", kept.begin.rfc3339(offset), kept.over_at().rfc3339(offset)),
        format!("asked by {} at {}: {}", kept.asked_by, kept.asked_at.rfc3339(offset), one.purpose),
    ];
    let mut say = |what: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("{what}: {text}"));
        }
    };
    say("ticket", &one.ticket);
    say("plan", &one.plan);
    say("methods", &one.reach.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(" "));
    say("paths", &one.reach.paths.iter().map(PathPattern::as_str).collect::<Vec<_>>().join(" "));
    say("file", one.file.as_ref().map_or("", |file| file.name.as_str()));
    let admitted = one.admitted.as_ref().map(|admitted| ("let in", &admitted.by));
    let approved = one.approvals.iter().map(|approval| ("approved", approval));
    let rulings = [("refused", &one.refused), ("withdrawn", &one.withdrawn), ("ended", &kept.ended)];
    let rulings = rulings.into_iter().filter_map(|(what, ruling)| Some((what, ruling.as_ref()?)));
    for (what, ruling) in admitted.into_iter().chain(approved).chain(rulings) {
        say(what, &format!("by {} at {} {}", ruling.by, ruling.at.rfc3339(offset), ruling.words));
    }
    if let Some(report) = &one.report {
        say("reported", &format!("by {} at {}: {}", report.by, report.at.rfc3339(offset), report.text));
    }
    if let Some(confirmed) = &one.confirmed {
        say("confirmed", &format!("by {} at {}", confirmed.by, confirmed.at.rfc3339(offset)));
    }
    let due = kept.due_at(at).or(kept.approval_due_at());
    say("due", &due.map(|due| due.rfc3339(offset)).unwrap_or_default());
    lines.join("\n")
}

fn as_json(kept: &GrantRecord, login: &str, at: Timestamp) -> serde_json::Value {
    let ruling =
        |ruling: &store::Ruling| json!({ "at": ruling.at.to_string(), "by": ruling.by, "words": ruling.words });
    let one = kept.maintenance();
    json!({
        "id": kept.id.as_str(),
        "state": kept.state(at).code(),
        "overdue": kept.is_overdue(at),
        "due_at": kept.due_at(at).or(kept.approval_due_at()).map(|due| due.to_string()),
        "login": login,
        "person": kept.person.as_str(),
        "app": kept.app.as_str(),
        "begin": kept.begin.to_string(),
        "end": kept.over_at().to_string(),
        "asked_at": kept.asked_at.to_string(),
        "asked_by": kept.asked_by,
        "purpose": one.map(|one| &one.purpose),
        "ticket": one.map(|one| &one.ticket),
        "plan": one.map(|one| &one.plan),
        "methods": one.map(|one| one.reach.methods.iter().map(Method::as_str).collect::<Vec<_>>()),
        "paths": one.map(|one| one.reach.paths.iter().map(PathPattern::as_str).collect::<Vec<_>>()),
        "approvals": one.map(|one| one.approvals.iter().map(ruling).collect::<Vec<_>>()),
        "admitted": one.and_then(|one| one.admitted.as_ref()).map(|admitted| ruling(&admitted.by)),
        "refused": one.and_then(|one| one.refused.as_ref()).map(ruling),
        "withdrawn": one.and_then(|one| one.withdrawn.as_ref()).map(ruling),
        "ended": kept.ended.as_ref().map(ruling),
        "confirmed": one.and_then(|one| one.confirmed.as_ref()).map(ruling),
    })
}
