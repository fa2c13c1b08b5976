//! `sekimori outage`: whether people sign in by key because their provider cannot be reached, and what was done
//! meanwhile. A running gateway follows within a second.

use std::collections::BTreeSet;
use std::sync::Arc;

use config::Config;
use identity::{Outage, OutageAct, OutageLine, OutageMode, OutagePeriod, OutageReport, OutageStatus, OutageSwitch};
use policy::{AppId, ProviderId, RoleId, SessionId, Timestamp, UserId};
use serde_json::{Value, json};
use store::Store;

use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;

/// What can be done about outages.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows how each provider stands, and the outages that are remembered.
    Status {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Declares an outage of a provider, whatever it answers: people sign in by key, under the reduced policy.
    On(Switch),
    /// Declares that there is no outage, whatever the provider does.
    Off(Switch),
    /// Leaves it to the gateway again: an outage begins and ends as the provider answers.
    Auto(Switch),
    /// Shows who did what during the last outage of a provider, and what the provider says of them since.
    Report {
        /// The provider; may be left out where there is only one.
        provider: Option<String>,
        /// An earlier outage: 1 for the one before the last, and so on.
        #[arg(long, default_value_t = 0)]
        back: usize,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Which provider's switch.
#[derive(clap::Args, Debug)]
pub struct Switch {
    /// The provider, as the configuration names it.
    provider: String,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status { config, format } => status(config, *format),
        Command::On(switch) => turn(switch, OutageSwitch::On),
        Command::Off(switch) => turn(switch, OutageSwitch::Off),
        Command::Auto(switch) => turn(switch, OutageSwitch::Automatic),
        Command::Report { provider, back, config, format } => report(provider.as_deref(), *back, config, *format),
    }
}

fn unavailable(problem: store::StoreProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

async fn open(config: &Config) -> Result<(Arc<dyn Store>, Outage), Failure> {
    let store = open_store(config)?;
    let outage = Outage::load(store.clone(), &config.providers, config.outage).await.map_err(unavailable)?;
    Ok((store, outage))
}

fn status(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let config = config.read()?;
    let status = block_on(async { Ok(open(&config).await?.1.status()) })?;
    match format {
        Format::Json => status.iter().for_each(|one| out::say(&as_json(one))),
        Format::Text => {
            let time = |at: Timestamp| at.rfc3339(config.offset);
            let row = |one: &OutageStatus| {
                let (standing, since) = match one.mode {
                    OutageMode::Normal => ("normal", None),
                    OutageMode::Outage { since, by } => (
                        match by {
                            identity::OutageBy::Automatic => "outage, by itself",
                            identity::OutageBy::Switch => "outage, by switch",
                        },
                        Some(since),
                    ),
                };
                let last = one.periods.iter().rev().find_map(|period| period.until);
                let dash = || "-".to_owned();
                vec![
                    one.provider.to_string(),
                    standing.to_owned(),
                    since.map_or_else(dash, time),
                    one.switch.as_str().to_owned(),
                    last.map_or_else(dash, time),
                ]
            };
            let rows: Vec<_> = status.iter().map(row).collect();
            out::say(&table(&["PROVIDER", "STATE", "SINCE", "SWITCH", "LAST OUTAGE ENDED"], &rows));
        }
    }
    Ok(())
}

fn as_json(one: &OutageStatus) -> String {
    let (mode, since, by) = match one.mode {
        OutageMode::Normal => ("normal", None, None),
        OutageMode::Outage { since, by } => ("outage", Some(since.to_string()), Some(by.as_str())),
    };
    let periods: Vec<Value> = one.periods.iter().map(period_json).collect();
    json!({
        "provider": one.provider.as_str(),
        "mode": mode,
        "since": since,
        "by": by,
        "switch": one.switch.as_str(),
        "periods": periods,
    })
    .to_string()
}

fn period_json(period: &OutagePeriod) -> Value {
    json!({
        "since": period.since.to_string(),
        "until": period.until.map(|until| until.to_string()),
        "by": period.by.as_str(),
    })
}

fn turn(args: &Switch, switch: OutageSwitch) -> Result<(), Failure> {
    let config = args.config.read()?;
    let provider = ProviderId::parse(&args.provider).map_err(|problem| Failure::input(problem.to_string()))?;
    let mode = block_on(async {
        let (_, outage) = open(&config).await?;
        if !outage.switch(&provider, switch, &actor(), clock::now()).await.map_err(unavailable)? {
            return Err(unknown(&provider, &config));
        }
        Ok(outage.mode(&provider))
    })?;
    let now = match mode {
        OutageMode::Normal => "people sign in at the provider",
        OutageMode::Outage { .. } => "people sign in by key, under the reduced policy",
    };
    out::say(&format!("switch of {provider} is {}; {now}", switch.as_str()));
    Ok(())
}

fn unknown(provider: &ProviderId, config: &Config) -> Failure {
    let known: Vec<&str> = config.providers.iter().map(|one| one.id.as_str()).collect();
    Failure::input(format!("`{provider}` is not a provider; the configuration has {}", known.join(", ")))
}

fn report(provider: Option<&str>, back: usize, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let config = config.read()?;
    let provider = match (provider, config.providers.as_slice()) {
        (Some(text), _) => ProviderId::parse(text).map_err(|problem| Failure::input(problem.to_string()))?,
        (None, [only]) => only.id.clone(),
        (None, _) => return Err(Failure::input("there are several providers; name one")),
    };
    let report = block_on(async {
        let (store, outage) = open(&config).await?;
        let status = outage.status().into_iter().find(|one| one.provider == provider);
        let periods = status.ok_or_else(|| unknown(&provider, &config))?.periods;
        let period = periods.into_iter().rev().nth(back);
        let period = period.ok_or_else(|| Failure::no(format!("no such outage of {provider} is remembered")))?;
        let lines = lines(&config, period.since)?;
        let mut people = Vec::new();
        for user in lines.iter().map(|line| &line.user).collect::<BTreeSet<_>>() {
            people.extend(store.person(user).await.map_err(unavailable)?);
        }
        Ok(OutageReport::of(&provider, period, config.outage.grace, lines, &people))
    })?;
    match format {
        Format::Json => show_json(&report),
        Format::Text => show_text(&report, &config),
    }
    Ok(())
}

fn show_json(report: &OutageReport) {
    out::say(
        &json!({
            "provider": report.provider.as_str(),
            "period": period_json(&report.period),
            "people": report.people.len(),
            "sessions": report.sessions(),
            "accesses": report.accesses(),
        })
        .to_string(),
    );
    for person in &report.people {
        let accesses: serde_json::Map<String, Value> =
            person.accesses.iter().map(|(app, count)| (app.to_string(), (*count).into())).collect();
        out::say(
            &json!({
                "id": person.user.as_str(),
                "login": person.login,
                "name": person.name,
                "roles": person.roles.iter().map(RoleId::as_str).collect::<Vec<_>>(),
                "sessions": person.sessions.iter().map(SessionId::to_string).collect::<Vec<_>>(),
                "accesses": accesses,
                "refused": person.refused,
                "first_at": person.first_at.to_string(),
                "last_at": person.last_at.to_string(),
                "standing": person.standing.code(),
            })
            .to_string(),
        );
    }
}

fn show_text(report: &OutageReport, config: &Config) {
    let time = |at: Timestamp| at.rfc3339(config.offset);
    out::say(&format!(
        "outage of {}: {} to {}\n{} people, {} sessions, {} accesses",
        report.provider,
        time(report.period.since),
        report.period.until.map_or_else(|| "now".to_owned(), time),
        report.people.len(),
        report.sessions(),
        report.accesses(),
    ));
    let rows: Vec<Vec<String>> = report
        .people
        .iter()
        .map(|person| {
            let apps = person.accesses.iter().map(|(app, count)| format!("{app} {count}"));
            vec![
                person.login.clone(),
                person.roles.iter().map(RoleId::as_str).collect::<Vec<_>>().join(","),
                person.sessions.len().to_string(),
                apps.collect::<Vec<_>>().join(", "),
                person.refused.to_string(),
                time(person.first_at),
                time(person.last_at),
                person.standing.code().to_owned(),
            ]
        })
        .collect();
    out::say(&table(&["LOGIN", "ROLES", "SESSIONS", "ACCESSES", "REFUSED", "FIRST", "LAST", "SINCE THEN"], &rows));
}

/// The lines of the log that are marked as of an outage, since a moment.
fn lines(config: &Config, since: Timestamp) -> Result<Vec<OutageLine>, Failure> {
    let search = audit::Search { since, bytes_max: u64::MAX, lines_max: usize::MAX };
    let found = audit::search(&config.audit, search, |line| line.contains(r#""outage":true"#));
    let found = found.map_err(|problem| Failure::unavailable(problem.to_string()))?;
    Ok(found.lines.iter().filter_map(|line| outage_line(line)).collect())
}

fn outage_line(line: &str) -> Option<OutageLine> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| line.get(key).and_then(Value::as_str);
    // A path of somebody's own choice could hold the mark.
    if line.get("outage") != Some(&Value::Bool(true)) {
        return None;
    }
    let act = match text("ev")? {
        "signed-in" => OutageAct::SignedIn,
        "open" => OutageAct::Accessed,
        "refused" => OutageAct::Refused,
        _ => return None,
    };
    let roles = line.get("role").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Some(OutageLine {
        at: Timestamp::parse_rfc3339(text("ts")?)?,
        user: UserId::parse(text("sub")?).ok()?,
        login: text("login").unwrap_or_default().to_owned(),
        roles: roles.iter().filter_map(Value::as_str).filter_map(|role| RoleId::parse(role).ok()).collect(),
        session: text("sid").and_then(SessionId::parse),
        app: text("app").and_then(|app| AppId::parse(app).ok()),
        act,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_are_marked_count_and_only_what_people_did() {
        let access = r#"{"v":1,"seq":1,"ts":"2026-11-22T01:05:00.000001Z","ev":"open","id":"x","act":"read","sub":"u-1","login":"n.sato","role":["nurse"],"outage":true,"sid":"00000000000000ab","app":"emr","path":"/"}"#;
        let read = outage_line(access).unwrap();
        assert_eq!((read.act, read.login.as_str(), read.roles.len()), (OutageAct::Accessed, "n.sato", 1));
        assert_eq!(read.app, AppId::parse("emr").ok());
        assert!(read.session.is_some());
        assert_eq!(read.at.to_string(), "2026-11-22T01:05:00.000Z");
        for other in [
            access.replace(r#""outage":true,"#, ""),
            access.replace(r#""outage":true,"#, "").replace(r#""path":"/""#, r#""path":"/\"outage\":true""#),
            access.replace(r#""ev":"open""#, r#""ev":"close""#),
            access.replace(r#""sub":"u-1","#, ""),
        ] {
            assert_eq!(outage_line(&other), None, "{other}");
        }
    }
}
