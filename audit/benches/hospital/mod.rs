//! What the benchmarks share: a log, a policy before it, people.

use std::path::Path;
use std::time::Duration;

use audit::Log;
use policy::{
    Action, AppFacts, AppId, Assurance, Clock, ConsoleRoles, Durability, Effect, Methods, Policy, PolicySource,
    ProviderId, Revision, RoleId, Rule, RuleId, SessionId, Subjects, Timestamp, UserId, UtcOffset, Who,
};

pub fn clock() -> Clock {
    Clock::new(|| Timestamp::from_unix_micros(1_795_215_600_000_000))
}

/// A log in a folder of its own.
pub fn config(directory: &Path) -> config::Audit {
    config::Audit {
        directory: directory.join("log"),
        origin: "sekimori.example/bench".into(),
        segment_bytes_max: 256 * 1024 * 1024,
        sync_interval: Duration::from_millis(50),
        open_accesses_max: 100_000,
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

/// Opens it.
pub fn open(directory: &Path, config: &config::Audit, clock: Clock) -> Log {
    let facility = config::Facility { name: "bench".into(), code: None };
    Log::open(config, &facility, directory, clock).unwrap().0
}

/// Somebody.
pub fn who() -> Who {
    Who {
        user: UserId::parse("u-0123456789abcdef0123456789abcdef").unwrap(),
        login: "n.sato".into(),
        name: "佐藤 のぞみ".into(),
        unit: "".into(),
        provider: ProviderId::parse("main").unwrap(),
        issuer: "https://idp.hosp.example".into(),
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

/// Nurses may read and write.
pub fn policy() -> Policy {
    let rule = Rule {
        subjects: Subjects::SignedIn,
        actions: vec![Action::Read, Action::Write],
        ..Rule::unconditional(RuleId::parse("nurses").unwrap(), Effect::Permit)
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
        rules: vec![rule],
        cedar: Vec::new(),
        console: ConsoleRoles::default(),
        offset: UtcOffset::JAPAN,
        holidays: policy::Holidays::NONE,
    })
    .unwrap()
}
