//! `sekimori audit feed`: how far the hospital's own receivers were told the log. Works beside a running gateway, and
//! without one.

use audit::Reader;
use config::{Config, Feed};
use policy::Timestamp;
use serde_json::json;

use crate::cli::{ConfigArg, Format, out, table};
use crate::failure::Failure;
use crate::feed::Standing;

/// What can be asked of feeds.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Shows how far each feed has come, and what keeps it from going on.
    Status {
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status { config, format } => status(&config.read()?, *format),
    }
}

/// One feed, as it is told of.
struct Told<'a> {
    feed: &'a Feed,
    standing: Standing,
    waiting: u64,
}

fn status(config: &Config, format: Format) -> Result<(), Failure> {
    let reader: Reader = (&config.audit).into();
    let lines = reader.size().map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let told = config.feeds.iter().map(|feed| Told::of(feed, config, lines)).collect::<Result<Vec<_>, _>>()?;
    match format {
        Format::Json => told.iter().for_each(|told| out::say(&told.json())),
        Format::Text if told.is_empty() => out::say("no feed is configured; see [[audit.feed]]"),
        Format::Text => {
            let headings =
                ["feed", "to", "arrived", "waiting", "sent", "left out", "failures", "last success", "problem"];
            out::say(&table(&headings, &told.iter().map(|told| told.row(config)).collect::<Vec<_>>()));
        }
    }
    Ok(())
}

impl<'a> Told<'a> {
    fn of(feed: &'a Feed, config: &Config, lines: u64) -> Result<Self, Failure> {
        let standing = Standing::read(&Standing::file(&config.state_dir, &feed.id)).map_err(Failure::unavailable)?;
        let standing = standing.unwrap_or_else(|| Standing::at(&config.audit.origin, 0));
        Ok(Self { feed, waiting: lines.saturating_sub(standing.settled.next), standing })
    }

    fn json(&self) -> String {
        let moment = |at: Timestamp| at.to_string();
        json!({
            "feed": self.feed.id.as_str(),
            "to": self.to(),
            "arrived": self.standing.settled.next,
            "waiting": self.waiting,
            "sent": self.standing.sent,
            "left_out": self.standing.left_out,
            "failures": self.standing.failures,
            "last_success": self.standing.last_success.map(moment),
            "problem": self.standing.problem.as_ref().map(|(_, what)| what),
            "problem_since": self.standing.problem.as_ref().map(|(since, _)| moment(*since)),
        })
        .to_string()
    }

    fn row(&self, config: &Config) -> Vec<String> {
        let moment = |at: Timestamp| at.rfc3339(config.offset);
        let standing = &self.standing;
        let problem = standing.problem.as_ref();
        vec![
            self.feed.id.to_string(),
            self.to(),
            standing.settled.next.to_string(),
            self.waiting.to_string(),
            standing.sent.to_string(),
            standing.left_out.to_string(),
            standing.failures.to_string(),
            standing.last_success.map_or_else(|| "-".to_owned(), moment),
            problem.map_or_else(|| "-".to_owned(), |(since, what)| format!("since {}: {what}", moment(*since))),
        ]
    }

    fn to(&self) -> String {
        format!("{}:{}", self.feed.host, self.feed.port)
    }
}
