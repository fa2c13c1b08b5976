//! `sekimori audit check-export`: whether an export is what the log holds. Needs the file and the log's public key, and
//! neither a configuration nor the log.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use audit::LogKey;
use evidence::check::{Checked, Finding, check};
use serde_json::json;

use super::export::read_checkpoint;
use crate::cli::{Format, out};
use crate::failure::Failure;

/// What to check, and with what.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The export.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The log's verifier key, kept apart from the log and from the file.
    #[arg(long, value_name = "KEY")]
    key: String,
    /// A checkpoint of the log that somebody kept; shows a log that was made anew, and an older one that is shown.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Checks an export.
pub fn run(args: &Args) -> Result<(), Failure> {
    let key = LogKey::parse(&args.key)
        .ok_or_else(|| Failure::input("the key is not written as `name+id+key`; see `audit/verifier-key`"))?;
    let kept = args.checkpoint.as_deref().map(read_checkpoint).transpose()?;
    let file = File::open(&args.file).map_err(|error| Failure::input(format!("{}: {error}", args.file.display())))?;
    match check(BufReader::with_capacity(256 * 1024, file), &key, kept.as_deref()) {
        Ok(good) => {
            out::say(&said(&good, args.format));
            Ok(())
        }
        Err(findings) => {
            findings.iter().for_each(|finding| out::say(&found(finding, args.format)));
            let count = findings.len();
            Err(Failure::no(format!("the export does not fit: {count} findings / 書き出しは合いません: {count} 件")))
        }
    }
}

fn said(good: &Checked, format: Format) -> String {
    let header = &good.header;
    match format {
        Format::Json => json!({
            "good": true,
            "origin": header.origin,
            "exported_at": header.exported_at,
            "exported_by": header.exported_by,
            "question": header.question,
            "stories": header.stories,
            "records": header.records,
            "damaged": header.damaged,
            "lines_signed": good.size,
            "held_against_kept": good.held_against_kept,
        })
        .to_string(),
        Format::Text => {
            let held = if good.held_against_kept {
                "it goes on from the kept checkpoint / 保管していたチェックポイントから続いています"
            } else {
                "it was not held against a kept checkpoint (--checkpoint) / 保管のチェックポイントとは照らしていません"
            };
            let damaged = match header.damaged {
                0 => String::new(),
                count => format!(
                    "\nit is not whole: {count} lines of the log were damaged and passed over / 完全ではありません: ログの壊れた {count} 行は入っていません"
                ),
            };
            format!(
                "good: {} records of {} stories, as they stand in {} ({} lines signed)\n合っています: 記録 {} 件\nexported {} by {}, asked {}\n{held}{damaged}",
                header.records,
                header.stories,
                shown(&header.origin),
                good.size,
                header.records,
                shown(&header.exported_at),
                shown(&header.exported_by),
                shown(&header.question.to_string()),
            )
        }
    }
}

fn found(finding: &Finding, format: Format) -> String {
    match format {
        Format::Json => json!({
            "good": false,
            "line": finding.line,
            "code": finding.fault.code(),
            "what": finding.fault.en(),
        })
        .to_string(),
        Format::Text => shown(&format!("{finding}\n    {}", finding.fault.ja())),
    }
}

/// A text of the file, in which nothing moves a terminal or turns the direction of reading.
fn shown(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if (c.is_control() && c != '\n') || turns(c) { '\u{fffd}' } else { c }).collect()
}
