//! `sekimori policy history`: who brought which version into force, when and why.

use policy::UtcOffset;
use serde_json::{Value, json};
use store::{PolicyRevision, RevisionState};
use web::{Language, Replayed};

use super::Lang;
use super::change::{tell, unavailable};
use crate::cli::{ConfigArg, Format, block_on, open_store, out, table};
use crate::failure::Failure;

/// Which versions to show.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// One version, with its difference in words, and the report of its replay.
    number: Option<u64>,
    /// With the text of the configuration as it was.
    #[arg(long, requires = "number")]
    text: bool,
    /// How many versions, newest first.
    #[arg(long, default_value_t = 20)]
    most: usize,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    lang: Lang,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows the history, or one version of it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let store = open_store(&config)?;
    let (kept, last, replay) = block_on(async {
        let kept = match args.number {
            Some(number) => store.revision(number).await.map(|one| one.into_iter().collect()),
            None => store.revisions(args.most).await,
        };
        let replay = match args.number {
            Some(number) => store.replay_of(number).await.map_err(unavailable)?,
            None => None,
        };
        let last = store.last_activated_revision().await.map_err(unavailable)?;
        Ok((kept.map_err(unavailable)?, last, replay.as_deref().and_then(Replayed::read)))
    })?;
    if kept.is_empty() {
        return Err(Failure::no("no such version is kept; a gateway keeps the first when it starts"));
    }
    let last = last.as_ref();
    match args.format {
        Format::Json => kept.iter().for_each(|one| {
            out::say(&as_json(one, last, replay.as_ref(), args.text).to_string());
        }),
        Format::Text => as_text(&kept, last, replay.as_ref(), args, config.offset),
    }
    Ok(())
}

fn as_text(
    kept: &[PolicyRevision],
    last: Option<&PolicyRevision>,
    replay: Option<&Replayed>,
    args: &Args,
    offset: UtcOffset,
) {
    let language = args.lang.language();
    let headings = match language {
        Language::Japanese => ["版", "状態", "日時", "提案", "承認", "理由"],
        Language::English => ["NUMBER", "STATE", "AT", "BY", "APPROVED BY", "WHY"],
    };
    let row = |one: &PolicyRevision| {
        let proposal = &one.proposal;
        vec![
            one.number.to_string(),
            in_words(one.state(last), language).to_owned(),
            one.activated_at.unwrap_or(proposal.proposed_at).rfc3339(offset),
            proposal.proposed_by.clone(),
            one.approved.as_ref().map_or_else(|| "-".to_owned(), |(_, by)| by.clone()),
            proposal.why.clone(),
        ]
    };
    out::say(&table(&headings, &kept.iter().map(row).collect::<Vec<_>>()));
    if args.number.is_some() {
        for one in kept {
            tell(&one.proposal.difference, language);
            if let Some(replay) = replay {
                out::say(&format!("\n{}", super::replay::told(replay, language)));
            }
            if args.text {
                one.proposal.files.iter().for_each(|file| out::say(&format!("\n# {}\n{}", file.path, file.text)));
            }
        }
    }
}

fn as_json(one: &PolicyRevision, last: Option<&PolicyRevision>, replay: Option<&Replayed>, with_text: bool) -> Value {
    let proposal = &one.proposal;
    let difference: Vec<_> = proposal.difference.iter().map(|one| json!({ "ja": one.ja, "en": one.en })).collect();
    let file = |file: &store::KeptFile| json!({ "path": file.path, "text": file.text });
    json!({
        "number": one.number,
        "revision": proposal.revision.as_str(),
        "state": one.state(last).code(),
        "why": proposal.why,
        "proposed_at": proposal.proposed_at.to_string(),
        "proposed_by": proposal.proposed_by,
        "approved_at": one.approved.as_ref().map(|(at, _)| at.to_string()),
        "approved_by": one.approved.as_ref().map(|(_, by)| by),
        "activated_at": one.activated_at.map(|at| at.to_string()),
        "difference": difference,
        "replay": replay,
        "files": with_text.then(|| proposal.files.iter().map(file).collect::<Vec<_>>()),
    })
}

/// How a version stands, in words.
fn in_words(state: RevisionState, language: Language) -> &'static str {
    match (language, state) {
        (Language::Japanese, RevisionState::InForce) => "有効",
        (Language::Japanese, RevisionState::WasInForce) => "以前有効",
        (Language::Japanese, RevisionState::Waits) => "承認待ち",
        (Language::Japanese, RevisionState::WaitsBehind) => "承認待ち (別の版が先に有効)",
        (Language::Japanese, RevisionState::ToCome) => "未反映",
        (Language::Japanese, RevisionState::Overtaken) => "無効 (別の版が先に有効)",
        (Language::English, RevisionState::InForce) => "in force",
        (Language::English, RevisionState::WasInForce) => "was in force",
        (Language::English, RevisionState::Waits) => "waits for approval",
        (Language::English, RevisionState::WaitsBehind) => "waits, made for an earlier version",
        (Language::English, RevisionState::ToCome) => "not taken yet",
        (Language::English, RevisionState::Overtaken) => "overtaken by a later version",
    }
}
