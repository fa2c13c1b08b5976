//! What the tests of this crate share: folders that vanish, failures on demand, a log with a policy before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use policy::{
    Access, Action, AppFacts, AppId, Assurance, Authorized, Clock, ConsoleRoles, Durability, Effect, Host, Judge,
    Method, Methods, Policy, PolicySource, ProviderId, Refused, RequestId, Revision, RoleId, Rule, RuleId, SessionId,
    Subjects, Timestamp, UserId, UtcOffset, Verdict, Who, ZoneId,
};

use crate::{End, Log, LogProblem, Outcome, Recovery};

/// A folder of its own for one test, removed at its end.
pub(crate) struct Folder {
    path: PathBuf,
    is_ours: bool,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-audit-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self { path, is_ours: true }
    }

    /// A folder that somebody else removes.
    pub(crate) fn existing(path: PathBuf) -> Self {
        Self { path, is_ours: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_ours {
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

/// Failures that a test asks for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The next writes fail after so many bytes.
    pub(crate) write_stops_after: Option<usize>,
    /// The next syncs fail.
    pub(crate) sync_fails: bool,
    /// How full the disk is, in percent.
    pub(crate) percent: u8,
    /// Whether the log's clock moves, so that it is compared with the passing of time.
    pub(crate) clock_moves: bool,
    /// Whether nothing keeps the clock at true time.
    pub(crate) clock_is_free: bool,
    /// The next syncs of tiles fail, and what is in this folder is lost, or left short.
    pub(crate) tile_sync_loses: Option<PathBuf>,
    /// What somebody does meanwhile when an archive was written, once.
    pub(crate) at_written_archive: Option<Meanwhile>,
}

/// What somebody does meanwhile.
pub(crate) struct Meanwhile(pub(crate) Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile(..)")
    }
}

impl Faults {
    pub(crate) fn before_write(&self, mut file: &std::fs::File, text: &[u8]) -> std::io::Result<()> {
        use std::io::Write as _;
        let Some(bytes) = self.write_stops_after else { return Ok(()) };
        file.write_all(&text[..bytes.min(text.len())])?;
        Err(std::io::ErrorKind::StorageFull.into())
    }

    /// How full the disk is, and how the kernel's clock is.
    pub(crate) fn sight(&self) -> (u8, crate::ClockReading, Option<std::time::Instant>) {
        let state =
            if self.clock_is_free { crate::ClockState::Unsynchronised } else { crate::ClockState::Synchronised };
        let reading = crate::ClockReading { state, offset_micros: 0, error_micros_max: 0 };
        (self.percent, reading, self.clock_moves.then(std::time::Instant::now))
    }

    pub(crate) fn before_sync(&self) -> std::io::Result<()> {
        if self.sync_fails { Err(std::io::Error::other("input/output error")) } else { Ok(()) }
    }

    pub(crate) fn before_tile_sync(&self) -> std::io::Result<()> {
        let Some(folder) = &self.tile_sync_loses else { return Ok(()) };
        std::fs::remove_dir_all(folder)?;
        std::fs::create_dir_all(folder.join("001.p"))?;
        std::fs::write(folder.join("001.p/7"), "")?;
        Err(std::io::Error::other("input/output error"))
    }
}

/// A log in a folder of its own.
pub(crate) struct Ward {
    pub(crate) folder: Folder,
    pub(crate) config: config::Audit,
    judge: Judge,
    asked: u64,
}

impl Ward {
    pub(crate) fn new() -> Self {
        Self::in_folder(Folder::new())
    }

    pub(crate) fn in_folder(folder: Folder) -> Self {
        let config = config::Audit {
            directory: folder.path().join("log"),
            origin: "sekimori.example/gw01".into(),
            segment_bytes_max: 64 * 1024 * 1024,
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
        };
        Self { folder, config, judge: Judge::new(Arc::new(policy())), asked: 0 }
    }

    /// The same with an emergency spool.
    pub(crate) fn with_spool() -> Self {
        let mut ward = Self::new();
        ward.config.emergency_spool = Some(ward.folder.path().join("spool"));
        ward
    }

    pub(crate) fn try_open(&self) -> Result<(Log, Recovery), LogProblem> {
        let facility = config::Facility { name: "関守病院".into(), code: Some("1312345670".into()) };
        Log::open(&self.config, &facility, self.folder.path(), clock())
    }

    pub(crate) fn open(&self) -> Log {
        self.try_open().unwrap().0
    }

    /// Opens the log with another clock.
    pub(crate) fn open_at(&self, clock: Clock) -> Log {
        self.open_with(clock, |_| {})
    }

    /// Opens the log with another clock, and prepares it before its threads look around.
    pub(crate) fn open_with(&self, clock: Clock, prepare: impl FnOnce(&Log)) -> Log {
        let facility = config::Facility { name: "関守病院".into(), code: None };
        let log = Log::open(&self.config, &facility, self.folder.path(), clock).unwrap().0;
        prepare(&log);
        log
    }

    /// A reader of the log with its keys.
    pub(crate) fn reader(&self) -> crate::Reader {
        (&self.config).into()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.config.directory
    }

    /// The lines of the log, read.
    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        crate::export_jsonl(&self.config, &mut out).unwrap();
        out.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    /// The lines of one event.
    pub(crate) fn events(&self, event: &str) -> Vec<serde_json::Value> {
        self.lines().into_iter().filter(|line| line["ev"] == event).collect()
    }

    /// A question, numbered from 1; `login` asks.
    pub(crate) fn access(&mut self, method: &str, login: &str) -> Access {
        self.asked += 1;
        let method = Method::parse(method).unwrap();
        let at = clock().now();
        Access {
            request: RequestId::new(at, self.asked.into()),
            at,
            app: AppId::parse("emr").unwrap(),
            action: method.action(),
            class: None,
            method,
            host: Host::parse("emr.hosp.example").unwrap(),
            path: policy::Path::parse("/Patient/00012345").unwrap(),
            who: Some(Arc::new(who(login))),
            device: None,
            from: policy::From { address: "10.1.2.3".parse().unwrap(), zone: ZoneId::parse("inside").unwrap() },
            grant: None,
        }
    }

    /// The same access, allowed.
    pub(crate) fn allowed(&mut self, access: Access) -> Authorized<u64> {
        match self.judge.judge(access, self.asked) {
            Verdict::Allow(authorized) => authorized,
            other @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{other:?}"),
        }
    }

    /// An allowed read, whose record is `Written`.
    pub(crate) fn read(&mut self) -> Authorized<u64> {
        let access = self.access("GET", "n.sato");
        self.allowed(access)
    }

    /// An allowed read of somebody with a name of one's choice.
    pub(crate) fn read_by(&mut self, login: &str) -> Authorized<u64> {
        let access = self.access("GET", login);
        self.allowed(access)
    }

    /// An allowed write, whose record is `Synced`.
    pub(crate) fn write(&mut self) -> Authorized<u64> {
        let access = self.access("POST", "n.sato");
        self.allowed(access)
    }

    /// A delete, which no rule allows.
    pub(crate) fn refused(&mut self) -> Refused<u64> {
        let access = self.access("DELETE", "n.sato");
        match self.judge.judge(access, self.asked) {
            Verdict::Deny(refused) => *refused,
            other @ (Verdict::Allow(_) | Verdict::Challenge(..)) => panic!("{other:?}"),
        }
    }
}

/// A clock that stands still.
pub(crate) fn clock() -> Clock {
    Clock::new(|| Timestamp::from_unix_micros(1_795_215_600_000_000))
}

/// How most accesses end.
pub(crate) fn served() -> Outcome {
    let duration = Duration::from_micros(1_500);
    Outcome { status: Some(200), end: End::Served, bytes_in: 0, bytes_out: 512, duration, patients: None, said: None }
}

fn who(login: &str) -> Who {
    Who {
        user: UserId::parse("u-0123").unwrap(),
        login: login.into(),
        name: "佐藤 のぞみ".into(),
        unit: "".into(),
        provider: ProviderId::parse("main").unwrap(),
        issuer: "https://idp.example".into(),
        subject: "0123".into(),
        roles: [RoleId::parse("nurse").unwrap()].into(),
        session: SessionId::new(0xab),
        assurance: Assurance::Aal2,
        methods: Methods::NONE,
        key_model: None,
        in_outage: false,
        roles_confirmed_at: clock().now(),
        authenticated_at: clock().now(),
        bound_to: None,
        ends_at: Timestamp::MAX,
    }
}

fn policy() -> Policy {
    let rule = |id: &str, effect, action| Rule {
        subjects: Subjects::SignedIn,
        actions: vec![action],
        ..Rule::unconditional(RuleId::parse(id).unwrap(), effect)
    };
    let emr = AppFacts {
        id: AppId::parse("emr").unwrap(),
        reads: Durability::Written,
        writes: Durability::Synced,
        routes: Vec::new(),
        reads_by_post: Vec::new(),
        built_in: false,
    };
    Policy::load(&PolicySource {
        revision: Revision::parse("r1").unwrap(),
        apps: vec![emr],
        rules: vec![
            rule("reads", Effect::Permit, Action::Read),
            rule("writes", Effect::Permit, Action::Write),
            rule("no-deletes", Effect::Forbid, Action::Delete),
        ],
        cedar: Vec::new(),
        console: ConsoleRoles::default(),
        offset: UtcOffset::JAPAN,
        holidays: policy::Holidays::NONE,
    })
    .unwrap()
}
