//! `sekimori restore`: a node from its backup, whole or not at all, on a machine where nothing of it is.

use std::path::{Path, PathBuf};

use audit::RecoverySecret;
use backup::{Known, Manifest};

use crate::cli::backup::{From, failure, tell_all};
use crate::cli::{actor, out};
use crate::failure::Failure;
use crate::{backups, clock};

/// What `restore` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// Which backup; the newest where none is named.
    #[arg(long, value_name = "NUMBER")]
    backup: Option<u64>,
    /// The folder to restore into; it must not be there yet, or be empty.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The file with the secret half of the recovery key.
    #[arg(long, value_name = "FILE")]
    recovery_key: PathBuf,
}

/// Restores.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (place, key) = (args.from.place(), args.from.key()?);
    let secret =
        RecoverySecret::read(&args.recovery_key).map_err(|problem| Failure::unavailable(problem.to_string()))?;
    let newest = place.newest().map_err(|problem| failure(&problem))?;
    let (actor, clock) = (actor(), clock::real());
    let known = Known { store_schema: store::SCHEMA_VERSION };
    let manifest = backup::restore((&place, args.backup), (&key, &secret), known, &args.into, |folder, manifest| {
        backups::finish(folder, manifest, &key, &actor, &clock)
    })
    .map_err(|problems| tell_all(&problems))?;
    out::say(&said(&manifest, newest, &args.into));
    Ok(())
}

fn said(manifest: &Manifest, newest: u64, into: &Path) -> String {
    let mut said = format!(
        "backup {} of {} is restored in {}: {} files, the log up to line {}, which says so itself (restored)\n",
        manifest.number,
        manifest.at,
        into.display(),
        manifest.files,
        manifest.lines,
    );
    if newest > manifest.number {
        said.push_str(&format!("there are newer backups, up to {newest}\n"));
    }
    if manifest.root == "/" {
        said.push_str(&format!(
            "move what is in it to where it belongs: {0}/{1} is /{1}, {0}/{2} is /{2}\n",
            into.display(),
            manifest.config,
            manifest.state
        ));
    } else {
        said.push_str(&format!("its files lay in {}\n", manifest.root));
    }
    if backups::is_dump(manifest) {
        let dump = into.join(&manifest.store);
        said.push_str(&format!("read the store into its database: pg_restore --dbname=DATABASE {}\n", dump.display()));
    }
    said.push_str(&match (&manifest.dump_begun_at, &manifest.dumped_at) {
        (Some(at), _) => format!(
            "the dump was begun at {at}; revoke again what was revoked since then: people, devices, sessions are as they were then\n\
             ダンプは {at} に始めたものです。それ以後に失効させた職員・端末・セッションは、もう一度失効させてください"
        ),
        // What is in it is of the moment in which it was begun, and only its end is known.
        (None, Some(at)) => format!(
            "the dump was written to its end at {at}; revoke again what was revoked since it began: people, devices, sessions \
             are as they were then\n\
             ダンプは {at} に書き終わりました。ダンプを始めた時刻以後に失効させた職員・端末・セッションは、もう一度失効させてください"
        ),
        (None, None) => format!(
            "revoke again what was revoked since {at}: people, devices, sessions are as they were then\n\
             {at} 以後に失効させた職員・端末・セッションは、もう一度失効させてください",
            at = manifest.at
        ),
    });
    said
}
