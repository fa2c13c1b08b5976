//! What all commands that change the policy share: reading what is in force, telling the difference, putting a version
//! in its place, and waiting until a gateway took it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::ServerCertificates;
use config::Config;
use store::{Difference, KeptFile, PolicyRevision, Store, StoreProblem};
use web::{Language, Replayed};

use crate::cli::{ConfigArg, out};
use crate::failure::Failure;
use crate::{assembly, clock, revisions};

/// How long a command waits for a running gateway to take what it put in place.
const TAKEN_WITHIN: Duration = Duration::from_secs(6);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) fn unavailable(problem: StoreProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

/// The whole path of the configuration that is in force, or to be.
pub(super) fn place(config: &ConfigArg) -> Result<PathBuf, Failure> {
    std::path::absolute(&config.config)
        .map_err(|error| Failure::input(format!("`{}` cannot be found: {error}", config.config.display())))
}

/// Reads a text as if it stood in the place of the configuration.
pub(super) fn read_as(text: &str, place: &Path) -> Result<Config, Failure> {
    let base = place.parent().unwrap_or(Path::new("/"));
    let name = place.display().to_string();
    let config = config::parse(text, &name, base).map_err(|problems| Failure::input(problems.to_string()))?;
    // What a gateway would refuse is refused here, before anybody is asked to approve it.
    let certificates = ServerCertificates::load(&config.certificates, clock::now())
        .map_err(|problems| Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    assembly::uncovered_hosts(&config, &certificates)?;
    Ok(config)
}

/// What is in force by the history, else by the file; nothing where neither can be read.
pub(super) fn in_force(last: Option<&PolicyRevision>, place: &Path) -> Option<Config> {
    let kept = last.and_then(|last| revisions::read_kept(last).ok());
    kept.or_else(|| config::read(place).ok())
}

/// Tells how versions differ.
pub(super) fn tell(difference: &[Difference], language: Language) {
    for one in difference {
        out::say(&format!(
            "- {}",
            match language {
                Language::Japanese => &one.ja,
                Language::English => &one.en,
            }
        ));
    }
}

/// Tells what a replay came to, where there was one.
pub(super) fn tell_replay(report: Option<&Replayed>, language: Language) {
    let Some(Replayed { judged, changed, .. }) = report else { return };
    say(
        language,
        &format!("過去の記録で試した結果: {judged}件のうち{changed}件で結果が変わる"),
        &format!("replayed over what was recorded: {changed} of {judged} accesses would be answered otherwise"),
    );
}

/// One sentence in the language asked for.
pub(super) fn say(language: Language, ja: &str, en: &str) {
    out::say(match language {
        Language::Japanese => ja,
        Language::English => en,
    });
}

/// Puts the files of a version where they belong: the configuration last, each whole or not at all.
pub(super) fn put(files: &[KeptFile]) -> Result<(), Failure> {
    let (own, others) = files.split_first().ok_or_else(|| Failure::fault("the version holds no file"))?;
    for file in others {
        if std::fs::read_to_string(&file.path).is_ok_and(|text| text == file.text) {
            continue;
        }
        replace(file)?;
    }
    // The configuration itself is written even where nothing changed in it, so that it is noticed.
    replace(own)
}

fn replace(file: &KeptFile) -> Result<(), Failure> {
    let path = Path::new(&file.path);
    let failed = |error: std::io::Error| Failure::unavailable(format!("`{}` cannot be written: {error}", file.path));
    let beside = path.with_extension("sekimori-new");
    let written = write_beside(&beside, path, &file.text).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // It may not even be there.
        let _removed = std::fs::remove_file(&beside);
    }
    written.map_err(failed)
}

/// Writes a text with the owner and mode of the file it is to replace.
fn write_beside(beside: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::create(beside)?;
    if let Ok(old) = std::fs::metadata(path) {
        file.set_permissions(std::fs::Permissions::from_mode(old.mode()))?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Waits until a running gateway took a version into force, and tells.
pub(super) async fn wait(store: &dyn Store, number: u64, language: Language) -> Result<(), Failure> {
    let mut waited = Duration::ZERO;
    while waited < TAKEN_WITHIN {
        let kept = store.revision(number).await.map_err(unavailable)?;
        if kept.is_some_and(|kept| kept.activated_at.is_some()) {
            say(language, &format!("版 {number} が有効になった"), &format!("version {number} is in force"));
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
    say(
        language,
        &format!(
            "版 {number} を置いたが、動いている関守がまだ受け取っていない。止まっているなら、次の起動で有効になる。動いているなら、ログを見る"
        ),
        &format!(
            "version {number} is in place, but no running gateway took it yet; if none runs it comes into force at the \
             next start, else look at the gateway's log"
        ),
    );
    Ok(())
}
