//! What the tests of this crate share: a little node with a real log, and folders that vanish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use audit::{Event, LogKey, LogSigner, Note, Reader, RecoveryKey, RecoverySecret};
use policy::{Clock, Timestamp};

use crate::{BackupProblem, Kind, Known, Made, Manifest, Order, Place, Source, Sources, make, restore};

/// The version of the store's tables in these tests.
pub(crate) const SCHEMA: u32 = 7;
pub(crate) const ORIGIN: &str = "sekimori.example/gw01";

/// A folder of its own for one test, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-backup-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A node: configuration, keys, a store, a log.
pub(crate) struct Node {
    pub(crate) folder: Folder,
    pub(crate) secret: RecoverySecret,
    /// The moment of the next backup.
    pub(crate) at: Timestamp,
    /// So that no two lines are alike.
    written: AtomicU32,
}

/// A moment after everything these tests write.
fn later() -> Timestamp {
    Timestamp::parse_rfc3339("2099-01-01T00:00:00Z").unwrap()
}

impl Node {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let secret = RecoverySecret::make(&folder.path().join("safe")).unwrap();
        let node = Self { folder, secret, at: later(), written: AtomicU32::new(0) };
        node.write("node/sekimori.toml", b"[facility]\n");
        node.write("node/tls/wild.key", b"a server's key");
        node.write("node/state/store.sqlite", b"never read: a view is");
        node.write("node/state/device-ca/ca.key", b"the device CA");
        node.write("node/state/index/segment", b"built again");
        node.write("node/state/half.new", b"being written");
        node.write("view", &vec![7; 200_000]);
        node.log(400);
        node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn audit(&self) -> config::Audit {
        config::Audit {
            directory: self.path("node/state/audit"),
            origin: ORIGIN.to_owned(),
            segment_bytes_max: 1 << 20,
            sync_interval: Duration::from_millis(50),
            open_accesses_max: 64,
            emergency_spool: None,
            free_bytes_min: 0,
            segment_age_max: Duration::from_secs(86_400),
            archive: false,
            size_bytes_max: None,
            keep: Duration::ZERO,
            delete_after: None,
            encryption: None,
        }
    }

    /// Adds lines to the log.
    pub(crate) fn log(&self, count: usize) {
        let facility = config::Facility { name: "関守病院".into(), code: None };
        let clock = Clock::new(later);
        let (log, _) = audit::Log::open(&self.audit(), &facility, &self.path("node/state"), clock).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..count {
            let number = self.written.fetch_add(1, Ordering::Relaxed);
            let note = Note::new(Event::Started, later()).reason(&format!("{number} {}", "x".repeat(180)));
            runtime.block_on(log.recorder().note(note)).unwrap();
        }
        log.stop();
    }

    pub(crate) fn sources(&self) -> Sources {
        let settled = |path: PathBuf| (path.clone(), Source { from: path, kind: Kind::Settled });
        let store = self.path("node/state/store.sqlite");
        let mut files: BTreeMap<PathBuf, Source> =
            [settled(self.path("node/sekimori.toml")), settled(self.path("node/tls/wild.key"))].into();
        files.insert(store.clone(), Source { from: self.path("view"), kind: Kind::Pages });
        Sources {
            config: self.path("node/sekimori.toml"),
            files,
            state: self.path("node/state"),
            left_out: vec![store.clone(), self.path("node/state/index")],
            spool: None,
            log: self.path("node/state/audit"),
            store,
            store_schema: SCHEMA,
            dumped_at: None,
            dump_begun_at: None,
            facility: ("関守病院".to_owned(), None),
            ring: None,
        }
    }

    pub(crate) fn signer(&self) -> LogSigner {
        LogSigner::open(&self.path("node/state"), ORIGIN).unwrap()
    }

    pub(crate) fn key(&self) -> LogKey {
        self.signer().key()
    }

    pub(crate) fn place(&self) -> Place {
        Place::at(&self.path("place"))
    }

    pub(crate) fn back_up(&self) -> Result<Made, BackupProblem> {
        self.back_up_for(&[self.secret.public().clone()])
    }

    pub(crate) fn back_up_for(&self, recovery: &[RecoveryKey]) -> Result<Made, BackupProblem> {
        self.back_up_of(&self.sources(), recovery)
    }

    pub(crate) fn back_up_of(&self, sources: &Sources, recovery: &[RecoveryKey]) -> Result<Made, BackupProblem> {
        let log = Reader::open(&self.path("node/state/audit"), audit::Keys::none()).unwrap();
        let (place, signer) = (self.place(), self.signer());
        let order = Order { place: &place, recovery, signer: &signer, log: &log, at: self.at, program: "0.1.0" };
        make(sources, &order)
    }

    pub(crate) fn restore(&self, number: Option<u64>, into: &str) -> Result<Manifest, Vec<BackupProblem>> {
        let known = Known { store_schema: SCHEMA };
        restore((&self.place(), number), (&self.key(), &self.secret), known, &self.path(into), |_, _| Ok(()))
    }
}

/// Every file below a folder, by its path there.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}
