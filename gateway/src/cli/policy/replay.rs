//! `sekimori policy replay`: a proposed policy over the accesses that were recorded. Who and what would be answered
//! otherwise, as text, as a page to keep with the change, or as CSV. Nothing is changed.

mod render;
mod report;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::Reader;
use config::Config;
use policy::{Policy, Timestamp, UtcOffset};
use web::{Language, Replayed};

use self::report::Compared;
use self::tally::Period;
use super::Lang;
use crate::cli::{ConfigArg, out, span};
use crate::failure::Failure;
use crate::{clock, shadow};

/// Before anything was recorded.
const BEGINNING: Timestamp = Timestamp::from_unix_micros(i64::MIN);
/// How many threads judge at most.
const THREADS_MAX: usize = 8;

/// What to replay.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The proposed configuration: a whole sekimori.toml, of which only the policy is used.
    #[arg(value_name = "PROPOSED.toml")]
    proposed: PathBuf,
    /// From when on: a date, a moment, or a span back from now such as `30d`. From the beginning where left out.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when: a date, a moment, or a span back from now. Until now where left out.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The file to write; standard output where left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The log's directory, such as a copy; by default the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    language: Lang,
    #[command(flatten)]
    config: ConfigArg,
}

/// The form of the report.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Form {
    /// For a terminal: the first rows of each table.
    #[default]
    Text,
    /// A page to read, sign and keep with the change.
    Html,
    /// For a spreadsheet.
    Csv,
    /// For `policy activate --replay-report`: in both languages, to be kept with the version.
    Json,
}

/// Replays.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let active = Arc::clone(&config.loaded);
    let proposed = shadow::read(&args.proposed).map_err(Failure::input)?.0;
    let now = clock::now();
    let when =
        |text: &Option<String>, default| text.as_deref().map_or(Ok(default), |text| moment(text, now, config.offset));
    let period = Period { since: when(&args.since, BEGINNING)?, until: when(&args.until, Timestamp::MAX)? };
    let log: Reader = match &args.dir {
        Some(copy) => copy.into(),
        None => (&config.audit).into(),
    };
    let tally = tally::replay(log, period, (&active, &proposed), threads())?;
    let compared = Compared {
        facility: config.facility.name.clone(),
        active: format!("{} ({})", args.config.config.display(), active.revision()),
        proposed: format!("{} ({})", args.proposed.display(), proposed.revision()),
        offset: config.offset,
        at: now,
    };
    let language = args.language.language();
    let report = || report::report(&tally, &compared, language);
    let written = match args.format {
        Form::Text => render::text(&report(), language),
        Form::Html => render::html(&report(), language),
        Form::Csv => render::csv(&report()),
        Form::Json => report::kept(&tally, &compared, versions(&active, &proposed)).text(),
    };
    match &args.output {
        None => out::say(&written),
        Some(file) => std::fs::write(file, written)
            .map_err(|error| Failure::unavailable(format!("{}: {error}", file.display())))?,
    }
    Ok(())
}

/// Replays what was recorded since a moment, or from the beginning, for a version that is proposed to follow another: the
/// report that is kept with it.
pub(super) fn kept(before: &Config, proposed: &Config, since: &str) -> Result<Replayed, Failure> {
    let (active, then) = (&before.loaded, &proposed.loaded);
    let now = clock::now();
    let period = Period { since: moment(since, now, before.offset)?, until: Timestamp::MAX };
    let tally = tally::replay(&before.audit, period, (active, then), threads())?;
    let compared = Compared {
        facility: before.facility.name.clone(),
        active: active.revision().to_string(),
        proposed: then.revision().to_string(),
        offset: before.offset,
        at: now,
    };
    Ok(report::kept(&tally, &compared, versions(active, then)))
}

/// The report that was kept with a version, for a terminal.
pub(super) fn told(report: &Replayed, language: Language) -> String {
    render::text(report.told(language), language)
}

fn versions(active: &Policy, proposed: &Policy) -> (String, String) {
    (active.revision().to_string(), proposed.revision().to_string())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// A moment as it is typed: a date, a moment, or a span back from now.
fn moment(text: &str, now: Timestamp, offset: UtcOffset) -> Result<Timestamp, Failure> {
    let back = |span: Duration| {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(now.unix_micros().saturating_sub(micros))
    };
    match span::parse(text) {
        Ok(span) => Ok(back(span)),
        Err(_) => super::moment(text, offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_moments_and_spans_back() {
        let now = Timestamp::parse_rfc3339("2026-11-22T10:00:00+09:00").unwrap();
        let read = |text| moment(text, now, UtcOffset::JAPAN).map(|at| at.rfc3339(UtcOffset::JAPAN)).ok();
        assert_eq!(read("2026-11-01").as_deref(), Some("2026-11-01T00:00:00.000+09:00"));
        assert_eq!(read("2026-11-01T08:00:00Z").as_deref(), Some("2026-11-01T17:00:00.000+09:00"));
        assert_eq!(read("2d").as_deref(), Some("2026-11-20T10:00:00.000+09:00"));
        assert_eq!(read("yesterday"), None);
    }
}
