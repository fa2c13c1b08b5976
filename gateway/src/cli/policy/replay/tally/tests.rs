use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use policy::{
    AppFacts, Apps, ConsoleRoles, DeviceClass, Devices, Durability, Effect, Holidays, PolicySource, Rule, Subjects,
    UtcOffset,
};

use super::*;

/// A folder with a log in it, removed at the end.
struct Log(PathBuf);

impl Log {
    fn of(lines: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-replay-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("segments")).unwrap();
        std::fs::write(folder.join("segments/00000000000000000000.jsonl"), lines).unwrap();
        Self(folder)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

const ALWAYS: Period = Period { since: Timestamp::from_unix_micros(i64::MIN), until: Timestamp::MAX };

fn rule(id: &str, role: &str, apps: &[&str], change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule::unconditional(id.parse().unwrap(), Effect::Permit);
    rule.subjects = Subjects::Roles(vec![role.parse().unwrap()]);
    rule.apps = Apps::Only(apps.iter().map(|app| app.parse().unwrap()).collect());
    change(&mut rule);
    rule
}

fn policy(rules: Vec<Rule>) -> Arc<Policy> {
    let app = |id: &str| AppFacts {
        id: id.parse().unwrap(),
        routes: Vec::new(),
        reads_by_post: Vec::new(),
        reads: Durability::Written,
        writes: Durability::Synced,
        built_in: id == "login",
    };
    let source = PolicySource {
        revision: "r1".parse().unwrap(),
        apps: ["emr", "pacs", "login"].map(app).to_vec(),
        rules,
        cedar: Vec::new(),
        console: ConsoleRoles::default(),
        offset: UtcOffset::JAPAN,
        holidays: Holidays::NONE,
    };
    Arc::new(Policy::load(&source).unwrap())
}

/// One access as lines state it: opened and closed, or refused.
fn access(number: u64, role: &str, app: &str, device: Option<DeviceClass>, judged: &str, more: &str) -> String {
    let (hour, minute, second) = (number / 3_600 % 24, number / 60 % 60, number % 60);
    let at = format!("2026-11-{:02}T{hour:02}:{minute:02}:{second:02}.000001Z", 1 + number / 86_400 % 28);
    let id = RequestId::new(Timestamp::parse_rfc3339(&at).unwrap(), u128::from(number));
    let person = number % 5_000;
    let device = device
        .map(|class| format!("\"dev\":\"d-{}\",\"dcls\":\"{}\",{more}", number % 4_000, class.as_str()))
        .unwrap_or_default();
    let asked = format!(
        "\"id\":\"{id}\",\"act\":\"read\",\"sub\":\"u-{person}\",\"login\":\"n.{person}\",\"name\":\"佐藤 {person}\",\
         \"iss\":\"https://idp.example.jp\",\"role\":[\"{role}\"],\"acr\":\"aal2\",\"amr\":[\"provider\"],\
         \"sid\":\"{person:016x}\",\"auth\":\"2026-11-01T00:00:00.000000Z\",{device}\"ip\":\"10.1.2.3\",\"zone\":\"ward\",\
         \"app\":\"{app}\",\"host\":\"{app}.example.jp\",\"m\":\"GET\",\"path\":\"/charts/{number}\""
    );
    let seq = number * 2;
    let begin = |seq: u64, event: &str| format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"{at}\",\"ev\":\"{event}\",");
    match judged {
        "open" => format!(
            "{}{asked},\"rule\":\"nurses\",\"pol\":\"r1\"}}\n{}\"id\":\"{id}\",\"end\":\"served\",\"st\":200,\
             \"ms\":1.500,\"bi\":0,\"bo\":100}}\n",
            begin(seq, "open"),
            begin(seq + 1, "close"),
        ),
        reason => format!(
            "{}{asked},\"why\":\"{reason}\",\"rule\":\"default-deny\",\"pol\":\"r1\",\"st\":403}}\n",
            begin(seq, "refused")
        ),
    }
}

const NO_POSTURE: &str = "\"pst\":[],";

fn count(tally: &Tally, by: By, what: Option<&str>, change: Change) -> u64 {
    let counts = tally.by.get(&by).and_then(|counts| counts.get(&what.map(str::to_owned)));
    counts.and_then(|changes| changes.get(&change)).copied().unwrap_or(0)
}

#[test]
fn who_and_what_would_be_answered_otherwise_is_counted() {
    use Decision::{Allow, Deny};
    let active = policy(vec![rule("nurses", "nurse", &["emr"], |_| {})]);
    let tablets = |rule: &mut Rule| rule.devices = Devices::Classes(vec![DeviceClass::Tablet]);
    let proposed = policy(vec![rule("nurses", "nurse", &["emr"], tablets), rule("clerks", "clerk", &["emr"], |_| {})]);
    let lines = [
        access(1, "nurse", "emr", Some(DeviceClass::Tablet), "open", NO_POSTURE),
        access(2, "nurse", "emr", Some(DeviceClass::Fixed), "open", NO_POSTURE),
        access(3, "clerk", "emr", None, "role-not-allowed", ""),
        access(4, "clerk", "pacs", None, "role-not-allowed", ""),
        // The policy in force would have refused it: it changed since.
        access(5, "clerk", "pacs", None, "open", ""),
        "{\"v\":1,\"seq\":9,\"ts\":\"2026-11-01T00:00:09.000000Z\",\"ev\":\"started\"}\n".to_owned(),
        "{\"v\":1,\"seq\":10,\"ts\":\"x\",\"ev\":\"open\",\"id\":\"?\"}\n".to_owned(),
    ];
    let log = Log::of(&lines.concat());
    for threads in [1, 3] {
        let tally = replay(&log.0, ALWAYS, (&active, &proposed), threads).unwrap();
        assert_eq!((tally.judged(), tally.changed(), tally.unreadable, tally.drifted), (5, 2, 1, 1));
        assert_eq!(
            tally.answers,
            [((Allow, Allow), 1), ((Allow, Deny), 1), ((Deny, Allow), 1), ((Deny, Deny), 2)].into()
        );
        assert_eq!(count(&tally, By::Role, Some("nurse"), (Allow, Deny)), 1);
        assert_eq!(count(&tally, By::DeviceClass, Some("fixed"), (Allow, Deny)), 1);
        assert_eq!(count(&tally, By::DeviceClass, None, (Deny, Allow)), 1);
        assert_eq!(count(&tally, By::Person, Some("u-3"), (Deny, Allow)), 1);
        assert_eq!(count(&tally, By::App, Some("emr"), (Deny, Allow)), 1);
        assert_eq!(tally.names.get("u-3").map(String::as_str), Some("佐藤 3 (n.3)"));
        let group = tally.groups.keys().find(|group| group.change == (Allow, Deny)).unwrap();
        assert_eq!(group.reason, Some(Reason::DeviceClassNotAllowed));
        assert_eq!((group.rule_now.as_str(), group.rule_then.as_str()), ("nurses", "nurses"));
    }
}

#[test]
fn a_period_ends_before_its_end() {
    let policy = policy(vec![rule("nurses", "nurse", &["emr"], |_| {})]);
    let lines: String = (0..10).map(|number| access(number, "nurse", "emr", None, "open", "")).collect();
    let log = Log::of(&lines);
    let at = |second: u32| Timestamp::parse_rfc3339(&format!("2026-11-01T00:00:{second:02}.000001Z")).unwrap();
    let tally = replay(&log.0, Period { since: at(3), until: at(7) }, (&policy, &policy), 2).unwrap();
    assert_eq!((tally.judged(), tally.span), (4, Some((at(3), at(6)))));
}

#[test]
fn what_old_lines_do_not_state_is_not_guessed() {
    let active = policy(vec![rule("nurses", "nurse", &["emr"], |_| {})]);
    let healthy = |rule: &mut Rule| rule.posture = vec![policy::PostureDemand::parse("edr=running").unwrap()];
    let proposed = policy(vec![rule("nurses", "nurse", &["emr"], healthy)]);
    let line = |number, posture| access(number, "nurse", "emr", Some(DeviceClass::Fixed), "open", posture);
    let log = Log::of(&[line(1, ""), line(2, NO_POSTURE), line(3, "\"pst\":[\"edr=running\"],")].concat());
    let tally = replay(&log.0, ALWAYS, (&active, &proposed), 1).unwrap();
    assert_eq!(tally.undecidable, [(Unstated::Posture, 1)].into());
    assert_eq!((tally.judged(), tally.changed()), (2, 1));
}

/// A log of so many accesses of 5,000 people from 4,000 devices, each at a path of its own, before 300 rules that all ask
/// for paths: nothing can be folded. A bound holds where it is built for release.
#[test]
#[ignore = "a measurement, to be run with `--release`: it writes a log of half a gigabyte"]
fn a_million_accesses_are_replayed_within_a_minute() {
    const ACCESSES: u64 = 1_000_000;
    let roles = ["nurse", "doctor", "clerk", "pharmacist"];
    let classes = [DeviceClass::Fixed, DeviceClass::WardShared, DeviceClass::Tablet];
    let mut lines = String::new();
    for number in 0..ACCESSES {
        let pick = usize::try_from(number % 12).unwrap();
        let (role, device) = (roles[pick % 4], Some(classes[pick % 3]));
        let app = if number % 5 == 0 { "pacs" } else { "emr" };
        let judged = if number % 50 == 0 { "role-not-allowed" } else { "open" };
        lines.push_str(&access(number, role, app, device, judged, NO_POSTURE));
    }
    let log = Log::of(&lines);
    let many = |fits: bool| {
        let rules = (0..300).map(|number| {
            rule(&format!("rule-{number}"), roles[number % 4], &["emr", "pacs"], |rule| {
                rule.paths = vec![policy::PathPattern::parse(&format!("/charts/{number}*")).unwrap()];
                rule.devices = if fits { Devices::Known } else { Devices::Classes(vec![classes[number % 3]]) };
            })
        });
        policy(rules.collect())
    };
    let (active, proposed) = (many(true), many(false));
    let start = Instant::now();
    let tally = replay(&log.0, ALWAYS, (&active, &proposed), 2).unwrap();
    let took = start.elapsed();
    let mut told = String::new();
    writeln!(told, "{} accesses, {} would change, {took:?} on two threads", tally.judged(), tally.changed()).unwrap();
    eprint!("{told}");
    assert_eq!(tally.judged(), ACCESSES);
    assert!(cfg!(debug_assertions) || took.as_secs() < 60, "{told}");
}
