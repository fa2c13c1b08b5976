//! A small hospital for tests.

use std::sync::Arc;

use crate::calendar::Calendar;
use crate::{
    Access, Action, AppFacts, Apps, Assurance, CedarFile, ConsoleRoles, Device, DeviceClass, Devices, Durability,
    Effect, Fingerprint, From, Holidays, Host, Judge, Method, Methods, Path, Policy, PolicySource, RequestId, Rule,
    SessionId, SignInMethod, Subjects, Timestamp, UtcOffset, Who,
};

/// A clock without holidays.
pub(crate) const JAPAN: Calendar = Calendar::new(UtcOffset::JAPAN, Holidays::NONE);

/// Two clinical apps and the gateway's own two.
pub(crate) fn apps() -> Vec<AppFacts> {
    [("emr", false), ("pacs", false), ("login", true), ("portal", true), ("console", true)]
        .into_iter()
        .map(|(id, built_in)| AppFacts {
            id: id.parse().unwrap(),
            routes: vec![],
            reads_by_post: vec![],
            reads: Durability::Written,
            writes: Durability::Synced,
            built_in,
        })
        .collect()
}

/// A row that lets one role read one app.
pub(crate) fn rule(id: &str, role: &str, app: &str) -> Rule {
    Rule {
        id: id.parse().unwrap(),
        effect: Effect::Permit,
        subjects: Subjects::Roles(vec![role.parse().unwrap()]),
        apps: Apps::Only(vec![app.parse().unwrap()]),
        actions: vec![Action::Read],
        classes: vec![],
        paths: vec![],
        devices: Devices::Any,
        zones: vec![],
        hours: None,
        assurance: None,
        authenticated_within: None,
        methods: Methods::NONE,
        keys: vec![],
        posture: vec![],
        in_outage: false,
        grant: false,
        break_glass: false,
        caps: None,
    }
}

/// A row that lets nurses read the EMR, changed.
pub(crate) fn rule_with(id: &str, change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = rule(id, "nurse", "emr");
    change(&mut rule);
    rule
}

pub(crate) fn source(rules: Vec<Rule>, cedar: &str) -> PolicySource {
    let file = CedarFile { name: "extra.cedar".to_owned(), text: cedar.to_owned() };
    PolicySource {
        revision: "r1".parse().unwrap(),
        apps: apps(),
        rules,
        cedar: vec![file],
        console: ConsoleRoles::default(),
        offset: UtcOffset::JAPAN,
        holidays: Holidays::NONE,
    }
}

pub(crate) fn judge(rules: Vec<Rule>, cedar: &str) -> Judge {
    Judge::new(Arc::new(Policy::load(&source(rules, cedar)).unwrap()))
}

/// A moment on the hospital's clock, written like `2026-11-20T08:30:00`.
pub(crate) fn moment(text: &str) -> Timestamp {
    // 2026-11-01T00:00 in Japan.
    const NOVEMBER: i64 = 1_793_458_800;
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    assert!(text.starts_with("2026-11-"));
    let days = number(8..10) - 1;
    let seconds = ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19);
    Timestamp::from_unix_micros((NOVEMBER + seconds) * 1_000_000)
}

/// Nurse Sato with one factor, signed in an hour ago on the ward's terminal.
pub(crate) fn nurse() -> Who {
    Who {
        user: "u-1".parse().unwrap(),
        login: "n.sato".into(),
        name: "佐藤 直子".into(),
        unit: "".into(),
        provider: "idp".parse().unwrap(),
        issuer: "https://idp.example".into(),
        subject: "1".into(),
        roles: Arc::from(["nurse".parse().unwrap()]),
        session: SessionId::new(1),
        assurance: Assurance::Aal1,
        methods: Methods::of([SignInMethod::Provider]),
        key_model: None,
        in_outage: false,
        roles_confirmed_at: moment("2026-11-20T09:00:00"),
        authenticated_at: moment("2026-11-20T09:00:00"),
        bound_to: Some("ward-3".parse().unwrap()),
        ends_at: moment("2026-11-20T18:00:00"),
    }
}

pub(crate) fn ward_terminal() -> Device {
    Device {
        id: "ward-3".parse().unwrap(),
        class: DeviceClass::WardShared,
        place: "".into(),
        certificate: Fingerprint::new([3; 32]),
        posture: Arc::from([]),
    }
}

/// Friday, 10:00: the nurse reads a chart from the ward.
pub(crate) fn nurse_reads_emr() -> Access {
    let at = moment("2026-11-20T10:00:00");
    Access {
        request: RequestId::new(at, 7),
        at,
        app: "emr".parse().unwrap(),
        action: Action::Read,
        class: None,
        method: Method::parse("GET").unwrap(),
        host: Host::parse("emr.hosp.example").unwrap(),
        path: Path::parse("/fhir/Patient/1").unwrap(),
        who: Some(Arc::new(nurse())),
        device: Some(Arc::new(ward_terminal())),
        from: From { address: "10.1.2.3".parse().unwrap(), zone: "ward".parse().unwrap() },
        grant: None,
    }
}

/// The same, changed.
pub(crate) fn access_with(change: impl FnOnce(&mut Access)) -> Access {
    let mut access = nurse_reads_emr();
    change(&mut access);
    access
}

/// The same by somebody else.
pub(crate) fn who_with(change: impl FnOnce(&mut Who)) -> Option<Arc<Who>> {
    let mut who = nurse();
    change(&mut who);
    Some(Arc::new(who))
}
