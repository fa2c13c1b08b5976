//! The last configuration that was in force, kept whole, for the start at which the one in its files cannot be used.
//!
//! Kept are the texts (the file itself, policies, tests) and digests of whatever else it names. Secrets and certificates
//! are not copied: they are read from where they lie, and without them nothing starts. Whether the kept version may come
//! into force is asked of the store as for any other (`revisions.rs`).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use config::{Config, Problems};
use serde::{Deserialize, Serialize};

use crate::assembly::Source;
use crate::reload;

/// Its place in the state directory.
const FILE: &str = "last-good.json";
/// The form that this program writes and reads.
const FORM: u32 = 1;
/// The largest file that is looked at for its digest; certificates and lists are smaller.
const DIGEST_BYTES_MAX: u64 = 16 << 20;

/// What is kept.
#[derive(Serialize, Deserialize, Debug)]
struct Kept {
    form: u32,
    revision: String,
    /// The configuration's own first.
    texts: Vec<KeptText>,
    /// Of what else it names.
    digests: BTreeMap<PathBuf, String>,
}

#[derive(Serialize, Deserialize, Debug)]
struct KeptText {
    path: PathBuf,
    text: String,
}

/// The last good configuration, to begin with.
#[derive(Debug)]
pub struct LastGood {
    /// It.
    pub config: Config,
    /// What it names that is another than when it was kept.
    pub changed: Vec<PathBuf>,
}

/// Keeps a configuration that is in force. One that cannot be kept stops nothing.
pub fn keep(source: &Source, config: &Config) {
    if let Source::File(path) = source
        && let Err(error) = write(source, path, config)
    {
        tracing::error!(%error, "the configuration in force could not be kept for a start on a bad day");
    }
}

fn write(source: &Source, own: &Path, config: &Config) -> io::Result<()> {
    let texts: Vec<KeptText> =
        config.texts.iter().map(|one| KeptText { path: one.path.clone(), text: one.text.clone() }).collect();
    let is_other = |file: &PathBuf| file != own && texts.iter().all(|text| text.path != *file);
    let others = reload::files(source, config).into_iter().filter(is_other);
    let digests = others.filter_map(|file| Some((file.clone(), digest_of(&file)?))).collect();
    let kept = Kept { form: FORM, revision: config.revision.to_string(), texts, digests };
    let (path, beside) = (config.state_dir.join(FILE), config.state_dir.join(format!("{FILE}.new")));
    // Whole or not at all, and for nobody else.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    File::open(&config.state_dir)?.sync_all()
}

fn digest_of(file: &Path) -> Option<String> {
    let about = std::fs::metadata(file).ok().filter(|about| about.is_file() && about.len() <= DIGEST_BYTES_MAX)?;
    let bytes = std::fs::read(file).ok().filter(|bytes| bytes.len() as u64 == about.len())?;
    Some(digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The last good configuration of a file that cannot be used.
///
/// # Errors
/// In words: there is none, or what it needs is gone.
pub fn find(path: &Path) -> Result<LastGood, String> {
    let kept_at = state_dir(path).join(FILE);
    let text = std::fs::read(&kept_at).map_err(|error| format!("`{}`: {error}", kept_at.display()))?;
    let kept: Kept = serde_json::from_slice(&text)
        .map_err(|error| format!("`{}` is not what this program keeps: {error}", kept_at.display()))?;
    if kept.form != FORM {
        return Err(format!("`{}` was kept by another version of this program", kept_at.display()));
    }
    let config = read(&kept, path).map_err(|problems| format!("what it needs is gone or another:\n{problems}"))?;
    let is_other = |(file, digest): &(&PathBuf, &String)| digest_of(file).as_ref() != Some(*digest);
    let changed = kept.digests.iter().filter(is_other).map(|(file, _)| file.clone()).collect();
    Ok(LastGood { config, changed })
}

fn read(kept: &Kept, path: &Path) -> Result<Config, Problems> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let own = kept.texts.first().map_or("", |own| own.text.as_str());
    let others: BTreeMap<PathBuf, String> =
        kept.texts.iter().skip(1).map(|one| (one.path.clone(), one.text.clone())).collect();
    let base = absolute.parent().unwrap_or(Path::new("/"));
    let mut config = config::parse_with(own, &format!("the last good {}", path.display()), base, &others)?;
    if let Some(own) = config.texts.first_mut() {
        own.path.clone_from(&absolute);
    }
    config.files.insert(0, absolute);
    Ok(config)
}

/// Where the state is, as far as a file says so that cannot be used; else where systemd says, or where it usually is.
fn state_dir(path: &Path) -> PathBuf {
    let of_systemd = || {
        let folders = std::env::var("STATE_DIRECTORY").ok()?;
        Some(PathBuf::from(folders.split(':').next()?))
    };
    config::state_dir_of(path).or_else(of_systemd).unwrap_or_else(|| PathBuf::from(config::STATE_DIR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const POLICY: &str = "@id(\"closed\") forbid (principal, action, resource) when { context.zone == \"closed\" };";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("sekimori-last-good-{name}-{}", std::process::id()));
            std::fs::create_dir_all(folder.join("s")).unwrap();
            for file in ["a.pem", "a.key"] {
                std::fs::write(folder.join(file), "x").unwrap();
                std::fs::set_permissions(folder.join(file), std::fs::Permissions::from_mode(0o600)).unwrap();
            }
            let text = "[facility]\nname = \"x\"\n[gateway]\nstate_dir = \"s\"\nlogin_host = \"login.test\"\n\
                        portal_host = \"portal.test\"\n[[listener]]\naddress = \"127.0.0.1:9443\"\nzone = \"z\"\n\
                        [[certificate]]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n[policy]\nfiles = [\"a.cedar\"]\n";
            std::fs::write(folder.join("a.cedar"), POLICY).unwrap();
            std::fs::write(folder.join("sekimori.toml"), text).unwrap();
            Self(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.join("sekimori.toml")
        }

        fn kept(&self) -> Config {
            let config = config::read(&self.path()).unwrap_or_else(|problems| panic!("{problems}"));
            write(&Source::File(self.path()), &self.path(), &config).unwrap();
            config
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // A folder that stays behind harms nobody.
            let _removed = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_is_found_whatever_the_file_holds_now_as_it_was_and_for_nobody_else() {
        let folder = Folder::new("found");
        let config = folder.kept();
        let mode = std::fs::metadata(folder.0.join("s/last-good.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The policy beside it is of the broken version too.
        std::fs::write(folder.0.join("a.cedar"), "nonsense").unwrap();
        for broken in ["[gateway]\nstate_dir = \"s\"\nnonsense", "[gateway]\nstate_dir = \"s\"\n[facility]\nname = [\n"]
        {
            std::fs::write(folder.path(), broken).unwrap();
            assert!(config::read(&folder.path()).is_err());
            let found = find(&folder.path()).unwrap();
            assert_eq!((found.config.revision, found.changed), (config.revision.clone(), Vec::new()), "{broken}");
        }
    }

    #[test]
    fn a_certificate_that_is_another_is_named_and_one_that_is_gone_ends_it() {
        let folder = Folder::new("gone");
        folder.kept();
        std::fs::write(folder.path(), "[gateway]\nstate_dir = \"s\"\n").unwrap();
        std::fs::write(folder.0.join("a.pem"), "y").unwrap();
        assert_eq!(find(&folder.path()).unwrap().changed, [folder.0.join("a.pem")]);
        std::fs::remove_file(folder.0.join("a.key")).unwrap();
        let refused = find(&folder.path()).unwrap_err();
        assert!(refused.contains("a.key") && refused.contains("does not exist"), "{refused}");
    }

    #[test]
    fn what_was_kept_by_another_version_or_is_torn_is_not_used() {
        let folder = Folder::new("torn");
        folder.kept();
        let kept = folder.0.join("s/last-good.json");
        let text = std::fs::read_to_string(&kept).unwrap();
        for (other, why) in [
            (text.replacen("\"form\":1", "\"form\":2", 1), "another version"),
            (text[..text.len() / 2].to_owned(), "not what this program keeps"),
        ] {
            std::fs::write(&kept, other).unwrap();
            let refused = find(&folder.path()).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        std::fs::remove_file(&kept).unwrap();
        assert!(find(&folder.path()).is_err());
    }
}
