//! `sekimori glass`: glass that people broke, and its review. Nobody breaks it here: that is done on the page that
//! refused.

use identity::Grants;
use policy::GrantKind;
use serde_json::json;
use store::{GlassVerdict, GrantRecord};

use super::grant::{failure, login, name, read};
use super::policy::person::approver;
use super::user::Directory;
use crate::cli::{ConfigArg, Format, block_on, out, table};
use crate::clock;
use crate::failure::Failure;

/// What can be done about broken glass.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Lists glass that was broken, newest first. Patients are named in the log alone.
    List {
        /// Only what nobody has reviewed yet.
        #[arg(long)]
        unreviewed: bool,
        #[command(flatten)]
        config: ConfigArg,
        /// How to write.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Says what came of a review, as another person than whoever broke it.
    Review {
        /// Its name: `glass-` and ten digits, from `glass list`.
        glass: String,
        /// Whether it was right.
        #[arg(long, value_enum)]
        verdict: Verdict,
        /// Why; needed unless it was right.
        #[arg(long, value_name = "WORDS", default_value = "")]
        words: String,
        #[command(flatten)]
        config: ConfigArg,
    },
}

/// What a review says.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It was needed.
    Justified,
    /// The person must be asked.
    Ask,
    /// It was not.
    Unjustified,
}

impl From<Verdict> for GlassVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Justified => Self::Justified,
            Verdict::Ask => Self::Ask,
            Verdict::Unjustified => Self::Unjustified,
        }
    }
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List { unreviewed, config, format } => list(*unreviewed, config, *format),
        Command::Review { glass, verdict, words, config } => review(glass, (*verdict).into(), words, config),
    }
}

fn review(glass: &str, verdict: GlassVerdict, words: &str, config: &ConfigArg) -> Result<(), Failure> {
    let id = name(glass, GrantKind::Glass)?;
    let (directory, reviewer) = (Directory::open(config)?, approver()?);
    let grants = Grants::new(directory.store.clone(), &directory.config);
    block_on(async { grants.review(&id, &reviewer, verdict, words, clock::now()).await.map_err(failure) })?;
    out::say(&format!("{id} reviewed"));
    Ok(())
}

fn list(unreviewed: bool, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let (offset, at) = (directory.config.offset, clock::now());
    block_on(async {
        let mut rows = Vec::new();
        for kept in read(&directory, GrantKind::Glass, unreviewed).await? {
            let login = login(&directory, &kept).await?;
            let Some(glass) = kept.glass() else { continue };
            let verdict = glass.review.as_ref().map(|review| review.verdict.as_str());
            match format {
                Format::Json => out::say(
                    &json!({
                        "id": kept.id.as_str(),
                        "state": kept.state(at).code(),
                        "overdue": kept.is_overdue(at),
                        "login": login,
                        "app": kept.app.as_str(),
                        "begin": kept.begin.to_string(),
                        "end": kept.over_at().to_string(),
                        "reason": glass.reason,
                        "words": glass.words,
                        "review_due_at": glass.review_due_at.to_string(),
                        "verdict": verdict,
                    })
                    .to_string(),
                ),
                Format::Text => rows.push(vec![
                    kept.id.to_string(),
                    login,
                    kept.app.to_string(),
                    kept.begin.rfc3339(offset),
                    glass.reason.clone(),
                    verdict.map_or_else(|| due(&kept, glass.review_due_at.rfc3339(offset)), ToOwned::to_owned),
                ]),
            }
        }
        if format == Format::Text {
            out::say(&table(&["GLASS", "PERSON", "APP", "BROKEN", "REASON", "REVIEW"], &rows));
        }
        Ok(())
    })
}

fn due(kept: &GrantRecord, due: String) -> String {
    if kept.is_overdue(clock::now()) { format!("overdue since {due}") } else { format!("due by {due}") }
}
