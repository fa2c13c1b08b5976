//! `sekimori policy explain`: how an access is answered, by which rules, and what would turn the answer. The access is
//! described, or taken out of the log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Recorded, RecordedAccess};
use config::Config;
use policy::{
    Access, AppId, Assurance, DeviceClass, DeviceId, Explanation, Method, Methods, Path, PostureDemand, Question,
    RoleId, SignInMethod, Timestamp, ZoneId, what_if,
};
use serde_json::json;
use store::{PeopleFilter, Person};
use web::{Explained, PolicyWords, WordBook, line_of_access};

use super::{Lang, moment};
use crate::cli::user::all_people;
use crate::cli::{ConfigArg, Format, block_on, open_store, out, span};
use crate::clock;
use crate::failure::Failure;

/// What `policy explain` takes: an access in words, or one out of the log.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// An access out of the log: its id, or the code that its page told the person.
    #[arg(long, value_name = "ID", conflicts_with_all = ["person", "roles", "device", "app", "path", "at", "zone"])]
    request: Option<String>,
    /// Somebody the gateway knows, by login name: their roles count.
    #[arg(long, value_name = "LOGIN")]
    person: Option<String>,
    /// A role of who asks; may be given more than once.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A device by its name in the ledger, or a class of devices; without it a device that is not known.
    #[arg(long, value_name = "DEVICE|CLASS")]
    device: Option<String>,
    /// What is reported of the device, such as `os_patched` or `edr=running`; may be given more than once.
    #[arg(long, value_name = "REPORT")]
    posture: Vec<String>,
    /// The app.
    #[arg(long, required_unless_present = "request")]
    app: Option<String>,
    /// The method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The path.
    #[arg(long, default_value = "/")]
    path: String,
    /// When, such as `2026-11-23 08:30`; now where absent.
    #[arg(long)]
    at: Option<String>,
    /// The zone; may be left out where there is only one.
    #[arg(long)]
    zone: Option<String>,
    /// The address it comes from.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// How surely the person was recognised: `aal1`, `aal2`, `aal3`.
    #[arg(long, default_value = "aal2")]
    assurance: String,
    /// How they proved who they are: `provider`, `provider-mfa`, `passkey`, `temporary`; may be given more than once.
    #[arg(long = "by", value_name = "METHOD")]
    methods: Vec<String>,
    /// How long ago they proved it.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "0s")]
    authenticated: Duration,
    /// Whether they signed in while their provider was out.
    #[arg(long)]
    in_outage: bool,
    /// Whether they have an approved exception.
    #[arg(long)]
    grant: bool,
    /// Whether they broke the glass.
    #[arg(long, conflicts_with = "grant")]
    break_glass: bool,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    lang: Lang,
}

/// Explains. The answer is the exit code, too: 0 for yes, 1 for anything else.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let policy = Arc::clone(&config.loaded);
    let book = WordBook::new();
    let words = book.words(args.lang.language(), &config);
    let (access, then) = match &args.request {
        Some(id) => {
            let recorded = recorded(id, &config)?;
            let access = policy.classify(&recorded.access).into_owned();
            (access, Some(recorded))
        }
        None => (named(question(args, &config)?.access(&policy), args), None),
    };
    let explanation = what_if(&policy, &access);
    let explained = words.explained(&explanation);
    match args.format {
        Format::Text => out::say(&as_text(&words, &access, then.as_deref(), &explained)),
        Format::Json => out::say(&as_json(&access, then.as_deref(), &explanation, &explained).to_string()),
    }
    if explanation.answer.is_allowed() { Ok(()) } else { Err(Failure::no(explained.answer)) }
}

/// The access with the name of its person, or without one where only roles were told.
fn named(mut access: Access, args: &Args) -> Access {
    if let Some(who) = &mut access.who {
        Arc::make_mut(who).name = args.person.as_deref().unwrap_or_default().into();
    }
    access
}

/// An access out of the log.
fn recorded(id: &str, config: &Config) -> Result<Box<RecordedAccess>, Failure> {
    let wanted = line_of_access(id).ok_or_else(|| {
        Failure::input(format!("`{id}` is not the id of a request, or the eight digits that a page told"))
    })?;
    let since = Timestamp::from_unix_micros(0);
    let search = audit::Search { since, bytes_max: u64::MAX, lines_max: 1 };
    let found = audit::search(&config.audit, search, wanted);
    let found = found.map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let line = found.lines.first().ok_or_else(|| Failure::no(format!("no access `{id}` is in the log")))?;
    match audit::recorded(line.as_bytes()) {
        Recorded::Access(access) => Ok(access),
        Recorded::Unreadable | Recorded::Other => {
            Err(Failure::no(format!("the line of `{id}` does not say enough to ask again")))
        }
    }
}

/// The access that the arguments describe.
fn question(args: &Args, config: &Config) -> Result<Question, Failure> {
    let wrong = |problem: &dyn std::fmt::Display| Failure::input(problem.to_string());
    let app = args.app.as_deref().unwrap_or_default();
    let app = AppId::parse(app).map_err(|problem| wrong(&problem))?;
    if !config.policy.apps.iter().any(|known| known.id == app) {
        let known: Vec<_> = config.apps.iter().map(|app| app.id.as_str()).collect();
        return Err(Failure::input(format!("there is no app `{app}`; there are {}", known.join(", "))));
    }
    let method = Method::parse(&args.method)
        .ok_or_else(|| Failure::input(format!("`{}` is not a method; write `GET` or `POST`", args.method)))?;
    let path = Path::parse(&args.path).map_err(|problem| wrong(&problem))?;
    let at = args.at.as_deref().map_or_else(|| Ok(clock::now()), |text| moment(text, config.offset))?;
    let mut question = Question::new(app, method, path, zone(args, config)?, at);
    question.address = args.address;
    question.roles = roles(args, config)?;
    question.posture = args
        .posture
        .iter()
        .map(|text| PostureDemand::parse(text).map_err(|problem| wrong(&problem)))
        .collect::<Result<_, _>>()?;
    if let Some(login) = &args.person {
        let person = person(login, config)?;
        question.roles.extend(person.roles);
        question.user = Some(person.id);
    }
    question.signed_in = args.person.is_some() || !args.roles.is_empty();
    question.device = args.device.as_deref().map(|text| device(text, config, &mut question.posture, at)).transpose()?;
    question.assurance = Assurance::parse(&args.assurance)
        .ok_or_else(|| Failure::input(format!("`{}` is not `aal1`, `aal2` or `aal3`", args.assurance)))?;
    question.auth_age = args.authenticated;
    question.methods = methods(args)?;
    question.in_outage = args.in_outage;
    question.grant = match (args.grant, args.break_glass) {
        (true, _) => "asked-for".parse().ok(),
        (false, true) => "glass-asked-for".parse().ok(),
        (false, false) => None,
    };
    Ok(question)
}

fn zone(args: &Args, config: &Config) -> Result<ZoneId, Failure> {
    let mut zones: Vec<&ZoneId> = config.listeners.iter().map(|listener| &listener.zone).collect();
    zones.sort();
    zones.dedup();
    let known = || zones.iter().map(|zone| zone.as_str()).collect::<Vec<_>>().join(", ");
    match (&args.zone, zones.as_slice()) {
        (Some(text), _) => match zones.iter().find(|zone| zone.as_str() == text) {
            Some(zone) => Ok((*zone).clone()),
            None => Err(Failure::input(format!("there is no zone `{text}`; there are {}", known()))),
        },
        (None, [only]) => Ok((*only).clone()),
        (None, _) => Err(Failure::input(format!("there are several zones; name one with --zone: {}", known()))),
    }
}

fn roles(args: &Args, config: &Config) -> Result<Vec<RoleId>, Failure> {
    let role = |text: &String| match RoleId::parse(text) {
        Ok(role) if config.roles.contains_key(&role) => Ok(role),
        Ok(_) | Err(_) => {
            let known: Vec<_> = config.roles.keys().map(RoleId::as_str).collect();
            Err(Failure::input(format!("there is no role `{text}`; there are {}", known.join(", "))))
        }
    };
    args.roles.iter().map(role).collect()
}

fn methods(args: &Args) -> Result<Methods, Failure> {
    let method = |text: &String| {
        SignInMethod::parse(text).ok_or_else(|| {
            let known = SignInMethod::ALL.map(SignInMethod::as_str).join(", ");
            Failure::input(format!("`{text}` is no way to sign in; there are {known}"))
        })
    };
    if args.methods.is_empty() {
        return Ok(Methods::of([SignInMethod::Provider]));
    }
    Ok(Methods::of(args.methods.iter().map(method).collect::<Result<Vec<_>, _>>()?))
}

fn person(login: &str, config: &Config) -> Result<Person, Failure> {
    let store = open_store(config)?;
    let filter = PeopleFilter { text: Some(login.to_owned()), ..PeopleFilter::default() };
    let found = block_on(all_people(&*store, &filter))?;
    let mut named = found.into_iter().filter(|person| person.login == login);
    match (named.next(), named.next()) {
        (Some(person), None) => Ok(person),
        (Some(_), Some(_)) => Err(Failure::input(format!("several providers know a `{login}`; name --role instead"))),
        (None, _) => Err(Failure::no(format!("nobody is known as `{login}`; see `sekimori user list`"))),
    }
}

/// A class of devices, or a device of the ledger with what is freshly reported of it.
fn device(
    text: &str,
    config: &Config,
    posture: &mut Vec<PostureDemand>,
    at: Timestamp,
) -> Result<(Option<DeviceId>, DeviceClass), Failure> {
    if let Some(class) = DeviceClass::parse(text) {
        return Ok((None, class));
    }
    let unknown = || Failure::input(format!("`{text}` is neither a class of devices nor a device of the ledger"));
    let id = DeviceId::parse(text).map_err(|_| unknown())?;
    let store = open_store(config)?;
    let in_words = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
    let (device, reported) =
        block_on(async { Ok((store.device(&id).await.map_err(in_words)?, store.posture().await.map_err(in_words)?)) })?;
    let device = device.ok_or_else(unknown)?;
    let reported = reported.into_iter().filter(|row| row.device == id && row.expires_at > at);
    posture.extend(reported.filter_map(|row| PostureDemand::parse(&format!("{}={}", row.name, row.value)).ok()));
    Ok((Some(id), device.class))
}

fn as_text(words: &PolicyWords<'_>, access: &Access, then: Option<&RecordedAccess>, explained: &Explained) -> String {
    let mut lines = words.asked(access);
    if let Some(then) = then {
        lines.push(words.answered_then(then.judged.reason, &then.judged.rule, &then.revision));
        if !then.known.authentication || (access.device.is_some() && !then.known.posture) {
            lines.push(words.not_all_recorded());
        }
    }
    lines.push(String::new());
    lines.extend(explained.lines());
    lines.join("\n")
}

fn as_json(
    access: &Access,
    then: Option<&RecordedAccess>,
    explanation: &Explanation,
    explained: &Explained,
) -> serde_json::Value {
    let rule = |(rule, told): (&policy::Weighed, &web::ExplainedRule)| {
        json!({
            "rule": rule.rule.as_str(),
            "effect": match rule.effect { policy::Effect::Permit => "permit", policy::Effect::Forbid => "forbid" },
            "part": match rule.part {
                policy::Part::Decided => "decided",
                policy::Part::Fits => "fits",
                policy::Part::Near => "near",
            },
            "reasons": rule.missing.iter().map(|missing| missing.reason.code()).collect::<Vec<_>>(),
            "missing": told.missing,
        })
    };
    let reasons = match &explanation.answer {
        policy::Answered::Allowed { .. } => Vec::new(),
        policy::Answered::Challenged(_, why) | policy::Answered::Denied(why) => {
            [why.main].iter().chain(&why.others).map(|reason| reason.code()).collect()
        }
    };
    json!({
        "at": access.at.to_string(),
        "app": access.app.as_str(),
        "action": access.action.as_str(),
        "class": access.class.as_ref().map(policy::InfoClass::as_str),
        "allowed": explanation.answer.is_allowed(),
        "rule": explained.rule,
        "reasons": reasons,
        "rules": explanation.rules.iter().zip(&explained.rules).map(rule).collect::<Vec<_>>(),
        "turns": explained.turns,
        "then": then.map(|then| json!({
            "revision": then.revision.as_str(),
            "rule": then.judged.rule.as_str(),
            "reason": then.judged.reason.map(policy::Reason::code),
        })),
    })
}
