//! `sekimori notice`: what became of notices by mail and webhook, and a trial of one. Works beside a running gateway, and
//! without one.

use config::{Config, Notice, NoticeTo};
use policy::{NoticeId, Timestamp};
use serde_json::{Value, json};
use web::{NoticeStanding, WordBook};

use crate::cli::{ConfigArg, Format, actor, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;
use crate::notices::{Senders, trial};
use crate::upstream::dial::Dialer;

/// What can be asked of notices.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows who is notified, what of the last notices became, and what keeps them from arriving.
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Sends one receiver a trial now, and says what it answers.
    Test {
        /// The id of the `[[notice]]`.
        id: NoticeId,
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { config, format } => list(config, *format),
        Command::Test { id, config } => test(id, &config.read()?),
    }
}

fn list(config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let config = config.read()?;
    let store = open_store(&config)?;
    let told = block_on(async {
        let mut told = Vec::new();
        for notice in &config.notices {
            let note = store.note(&NoticeStanding::key(&notice.id)).await;
            let note = note.map_err(|problem| Failure::unavailable(problem.to_string()))?;
            let standing = note.map(|note| NoticeStanding::read(&note)).transpose();
            let standing = standing
                .map_err(|problem| Failure::unavailable(format!("what became of `{}`: {problem}", notice.id)))?;
            told.push((notice, standing));
        }
        Ok(told)
    })?;
    match format {
        Format::Json => {
            told.iter().for_each(|(notice, standing)| out::say(&line(notice, standing.as_ref()).to_string()))
        }
        Format::Text if told.is_empty() => out::say("nobody is notified of anything; see [[notice]]"),
        Format::Text => {
            let headings = ["NOTICE", "TO", "SENT", "GIVEN UP", "FAILURES", "LAST SENT", "PROBLEM"];
            let rows: Vec<_> = told.iter().map(|(notice, standing)| row(notice, standing.as_ref(), &config)).collect();
            out::say(&table(&headings, &rows));
        }
    }
    Ok(())
}

fn line(notice: &Notice, standing: Option<&NoticeStanding>) -> Value {
    let moment = |at: Timestamp| at.to_string();
    let waiting = standing.and_then(|standing| standing.waiting.as_ref());
    let results = standing.iter().flat_map(|standing| &standing.results).map(|result| {
        json!({
            "event": result.event,
            "happened_at": moment(result.happened_at),
            "at": moment(result.at),
            "result": result.end.as_str(),
            "attempts": result.attempts,
            "problem": result.problem,
        })
    });
    json!({
        "notice": notice.id.as_str(),
        "to": to(notice),
        "sent": standing.map_or(0, |standing| standing.sent),
        "given_up": standing.map_or(0, |standing| standing.given_up),
        "failures": standing.map_or(0, |standing| standing.failures),
        "last_sent": standing.and_then(|standing| standing.last_success).map(moment),
        "problem": waiting.map(|waiting| &waiting.problem),
        "problem_since": waiting.map(|waiting| moment(waiting.since)),
        "waiting": waiting.map(|waiting| &waiting.event),
        "results": results.collect::<Vec<_>>(),
    })
}

fn row(notice: &Notice, standing: Option<&NoticeStanding>, config: &Config) -> Vec<String> {
    let moment = |at: Timestamp| at.rfc3339(config.offset);
    let count = |of: fn(&NoticeStanding) -> u64| standing.map_or(0, of).to_string();
    let waiting = standing.and_then(|standing| standing.waiting.as_ref());
    vec![
        notice.id.to_string(),
        to(notice),
        count(|standing| standing.sent),
        count(|standing| standing.given_up),
        count(|standing| standing.failures),
        standing.and_then(|standing| standing.last_success).map_or_else(|| "-".to_owned(), moment),
        waiting.map_or_else(
            || "-".to_owned(),
            |waiting| format!("{} waits since {}: {}", waiting.event, moment(waiting.since), waiting.problem),
        ),
    ]
}

/// Whom it is to; of a webhook the host alone, as the rest of its address may be what opens it.
fn to(notice: &Notice) -> String {
    match &notice.to {
        NoticeTo::Mail(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        NoticeTo::Webhook(webhook) => webhook.url.host_str().unwrap_or_default().to_owned(),
    }
}

fn test(id: &NoticeId, config: &Config) -> Result<(), Failure> {
    let senders = Senders::build(config).map_err(|problems| Failure::input(problems.join("\n")))?;
    let sender = senders.find(id).ok_or_else(|| Failure::no(format!("there is no [[notice]] `{id}`")))?;
    let dialer = Dialer::new(config.limits.connect_timeout, &config.forbidden_upstreams);
    let at = clock::now();
    let number = format!("trial-{id}-{}", at.unix_micros());
    let (told, book) = (trial(at, &actor()), WordBook::new());
    let sent = block_on(async { Ok(sender.send(&told, &number, None, &book, config, &dialer).await) })?;
    match sent {
        Ok(sent) => {
            out::say(&format!("{id}: the receiver took it"));
            sent.left_out.iter().for_each(|left_out| out::complain(&format!("{id}: not by {left_out}")));
            Ok(())
        }
        Err(trouble) => Err(Failure::unavailable(format!("{id}: {}", trouble.words()))),
    }
}
