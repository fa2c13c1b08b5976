//! What a node consists of, as the gateway says, and what of a folder belongs into a backup.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use policy::Timestamp;

use crate::BackupProblem;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 16;

/// Everything a backup is made of. Paths are whole.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The configuration.
    pub config: PathBuf,
    /// Files with the place where they belong; the configuration and what it names among them.
    pub files: BTreeMap<PathBuf, Source>,
    /// The state folder, all of which is taken but what [`Sources::left_out`] names.
    pub state: PathBuf,
    /// Files and folders below the state folder that are not taken, or are taken otherwise.
    pub left_out: Vec<PathBuf>,
    /// The folder of the emergency spool, where there is one.
    pub spool: Option<PathBuf>,
    /// The log's folder.
    pub log: PathBuf,
    /// The store's place.
    pub store: PathBuf,
    /// The version of the store's tables.
    pub store_schema: u32,
    /// When the store's dump was written to its end, where it is a database's own dump.
    pub dumped_at: Option<Timestamp>,
    /// When that dump was begun, as far as it says so itself: what is in it is of that moment.
    pub dump_begun_at: Option<Timestamp>,
    /// The institution: its name, and its code where it has one.
    pub facility: (String, Option<String>),
    /// The key ring of the log, where it is encrypted.
    pub ring: Option<PathBuf>,
}

/// A file to be taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Where it is read.
    pub from: PathBuf,
    /// How.
    pub kind: Kind,
}

/// How a file is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// As one with others of its kind: if it changes meanwhile, there is no backup.
    Settled,
    /// By itself.
    Alone,
    /// In small pieces, as few of them change from one backup to the next; none may change meanwhile.
    Pages,
}

impl Sources {
    /// The folder above everything.
    pub(crate) fn root(&self) -> Result<PathBuf, BackupProblem> {
        let folders = [&self.state, &self.log].into_iter().chain(&self.spool).map(PathBuf::as_path);
        let files = self.files.keys().chain([&self.config, &self.store]).chain(&self.ring);
        let mut root: Option<PathBuf> = None;
        for folder in folders.chain(files.filter_map(|file| file.parent())) {
            let folder = plain(folder)?;
            root = Some(match root {
                Some(root) => shared(&root, &folder),
                None => folder,
            });
        }
        Ok(root.unwrap_or_else(|| PathBuf::from("/")))
    }

    /// The files of the state folder.
    pub(crate) fn in_state(&self) -> Result<Vec<PathBuf>, BackupProblem> {
        let mut found = Vec::new();
        let left_out: Vec<&Path> =
            self.left_out.iter().chain([&self.log]).chain(&self.spool).map(PathBuf::as_path).collect();
        walk(&self.state, &left_out, 0, &mut found)?;
        Ok(found)
    }

    /// The files of the emergency spool.
    pub(crate) fn in_spool(&self) -> Result<Vec<PathBuf>, BackupProblem> {
        let mut found = Vec::new();
        if let Some(spool) = self.spool.as_ref().filter(|spool| spool.exists()) {
            walk(spool, &[], 0, &mut found)?;
        }
        Ok(found)
    }
}

/// The files below a folder; neither links nor what is being written.
fn walk(folder: &Path, left_out: &[&Path], depth: usize, found: &mut Vec<PathBuf>) -> Result<(), BackupProblem> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if depth > 0 && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| BackupProblem::disk(folder, &error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| BackupProblem::disk(folder, &error))?;
        let path = entry.path();
        let is_being_written = path.extension().is_some_and(|extension| extension == "new");
        if is_being_written || left_out.contains(&path.as_path()) {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if depth >= DEPTH_MAX {
                return Err(BackupProblem::refused(format!("`{}` lies too deep to be backed up", path.display())));
            }
            walk(&path, left_out, depth + 1, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// The path without `.` and `..`.
pub(crate) fn plain(path: &Path) -> Result<PathBuf, BackupProblem> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::Normal(_) => plain.push(part),
            Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                plain.pop();
            }
        }
    }
    if plain.is_absolute() {
        return Ok(plain);
    }
    Err(BackupProblem::refused(format!("`{}` is no whole path", path.display())))
}

/// The folder above two others.
fn shared(one: &Path, other: &Path) -> PathBuf {
    let pairs = one.components().zip(other.components());
    pairs.take_while(|(one, other)| one == other).map(|(part, _)| part).collect()
}

/// A path below the root, as it stands in the list.
pub(crate) fn below(root: &Path, path: &Path) -> Result<String, BackupProblem> {
    let path = plain(path)?;
    let named = path.strip_prefix(root).ok().and_then(Path::to_str).filter(|name| !name.is_empty());
    named.map(str::to_owned).ok_or_else(|| {
        BackupProblem::refused(format!("`{}` cannot be named in a backup; give it a name in UTF-8", path.display()))
    })
}

/// Whether a path of a list leads below the folder that it is put into.
pub(crate) fn stays_below(name: &str) -> bool {
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_never_leads_out_of_its_folder() {
        for good in ["sekimori.toml", "state/device-ca/ca.pem", "a..b/c"] {
            assert!(stays_below(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "./x"] {
            assert!(!stays_below(bad), "{bad}");
        }
    }

    #[test]
    fn the_root_is_the_folder_above_all_and_names_begin_there() {
        fn path(text: &str) -> PathBuf {
            PathBuf::from(text)
        }
        let one = |from: &str| (path(from), Source { from: path(from), kind: Kind::Settled });
        let mut sources = Sources {
            config: path("/srv/clinic/sekimori.toml"),
            files: [one("/srv/clinic/sekimori.toml"), one("/srv/clinic/tls/../tls/wild.pem")].into(),
            state: path("/srv/clinic/state"),
            left_out: Vec::new(),
            spool: None,
            log: path("/srv/clinic/state/audit"),
            store: path("/srv/clinic/state/store.sqlite"),
            store_schema: 6,
            dumped_at: None,
            dump_begun_at: None,
            facility: ("関守病院".to_owned(), None),
            ring: None,
        };
        let root = sources.root().unwrap();
        assert_eq!(root, path("/srv/clinic"));
        assert_eq!(below(&root, Path::new("/srv/clinic/tls/../tls/wild.pem")).unwrap(), "tls/wild.pem");
        sources.spool = Some(path("/other-disk/spool"));
        assert_eq!(sources.root().unwrap(), path("/"));
        assert_eq!(below(Path::new("/"), Path::new("/other-disk/spool/x")).unwrap(), "other-disk/spool/x");
        assert!(below(&root, Path::new("/etc/x")).is_err());
        assert!(plain(Path::new("state")).is_err());
    }
}
