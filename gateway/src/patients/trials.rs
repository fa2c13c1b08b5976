//! The desk with a real log behind it: who reads which body, and what the record says in the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::{End, Log, Outcome, Receipt};
use config::OnLogFailure::Refuse;
use policy::{
    AppFacts, AppId, BodyForm, BodySource, Clock, ConsoleRoles, Durability, Effect, Holidays, Judge, Method, Path,
    PatientSource, PatientSources, Policy, PolicySource, Question, Revision, Rule, RuleId, Side, Timestamp, UtcOffset,
    Verdict, ZoneId,
};
use serde_json::Value;

use super::desk::Seen;
use super::held::Held;
use super::{About, Desk};
use crate::metrics::PatientCounts;

const AT: Timestamp = Timestamp::from_unix_micros(1_795_309_500_000_000);
const PLAIN: &[u8] = br#"{"resourceType":"Patient","id":"7"}"#;
/// The same, packed.
const PACKED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x2a, 0x4a, 0x2d, 0xce, 0x2f, 0x2d, 0x4a,
    0x4e, 0x0d, 0xa9, 0x2c, 0x48, 0x55, 0xb2, 0x52, 0x0a, 0x48, 0x2c, 0xc9, 0x4c, 0xcd, 0x2b, 0x51, 0xd2, 0x51, 0xca,
    0x4c, 0x01, 0x72, 0xcd, 0x95, 0x6a, 0x01, 0x68, 0x76, 0x6d, 0x38, 0x23, 0x00, 0x00, 0x00,
];

/// A log and a desk, in a folder that goes away with them.
struct House {
    folder: PathBuf,
    log: Log,
    judge: Judge,
    desk: Desk,
}

impl House {
    fn open(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sekimori-desk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let audit = config::Audit {
            directory: folder.join("log"),
            origin: "test".into(),
            segment_bytes_max: 1 << 20,
            segment_age_max: Duration::from_secs(86_400),
            sync_interval: Duration::from_millis(50),
            open_accesses_max: 64,
            emergency_spool: None,
            free_bytes_min: 0,
            archive: false,
            size_bytes_max: None,
            keep: Duration::ZERO,
            delete_after: None,
            encryption: None,
        };
        let facility = config::Facility { name: "試験病院".into(), code: None };
        let clock = || Clock::new(|| AT);
        let (log, _) = Log::open(&audit, &facility, &folder, clock()).unwrap();
        let emr = AppFacts {
            id: AppId::parse("emr").unwrap(),
            routes: Vec::new(),
            reads_by_post: Vec::new(),
            reads: Durability::Written,
            writes: Durability::Synced,
            built_in: false,
        };
        let policy = Policy::load(&PolicySource {
            revision: Revision::parse("r1").unwrap(),
            apps: vec![emr],
            rules: vec![Rule::unconditional(RuleId::parse("everything").unwrap(), Effect::Permit)],
            cedar: Vec::new(),
            console: ConsoleRoles::default(),
            offset: UtcOffset::JAPAN,
            holidays: Holidays::NONE,
        });
        let judge = Judge::new(Arc::new(policy.unwrap()));
        let desk = Desk::open(clock(), PatientCounts::default()).unwrap();
        Self { folder, log, judge, desk }
    }

    async fn receipt(&mut self) -> Receipt {
        let (app, zone) = (AppId::parse("emr").unwrap(), ZoneId::parse("inside").unwrap());
        let question = Question::new(app, Method::parse("GET").unwrap(), Path::parse("/x").unwrap(), zone, AT);
        let access = question.access(self.judge.policy());
        match self.judge.judge(access, ()) {
            Verdict::Allow(authorized) => self.log.recorder().admit(authorized, Refuse).await.unwrap().open().1,
            other @ (Verdict::Challenge(..) | Verdict::Deny(_)) => panic!("{other:?}"),
        }
    }

    /// An answer passes, and its exchange ends.
    async fn pass(&mut self, encoding: Option<&str>, body: &[u8]) {
        let fhir = BodySource { side: Side::Answer, form: BodyForm::Fhir, bytes_max: 1 << 16 };
        let sources = PatientSources { sources: vec![PatientSource::Body(fhir)], ..PatientSources::default() };
        let kind = Some("application/fhir+json");
        let mut answer = Held::new(self.desk.budget(), Side::Answer, 1 << 16, kind, encoding);
        answer.see(body);
        let (end, duration, receipt) = (End::Served, Duration::from_millis(1), self.receipt().await);
        self.desk.close(Seen {
            about: About::by(sources),
            request: None,
            request_came_whole: true,
            answer: Some(answer),
            answer_came_whole: true,
            fields: Vec::new(),
            receipt,
            outcome: Outcome {
                status: Some(200),
                end,
                bytes_in: 0,
                bytes_out: body.len() as u64,
                duration,
                patients: None,
                said: None,
            },
        });
    }

    /// What the closing lines say of patients, after the log has stopped.
    fn closed(&self) -> Vec<(Value, Value)> {
        self.log.stop();
        let lines = audit::tail(&self.folder.join("log"), 100).unwrap();
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["ev"] == "close").map(|line| (line["pt"].clone(), line["ptf"].clone())).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn a_packed_body_is_unpacked_and_read_for_its_record() {
    let mut house = House::open("packed");
    house.pass(Some("gzip"), PACKED).await;
    house.pass(Some("gzip"), &PACKED[..PACKED.len() / 2]).await;
    house.pass(Some("gzip"), PLAIN).await;
    house.desk.stop();
    let none = Value::Null;
    let cannot = |flag: &str| (none.clone(), serde_json::json!([flag]));
    assert_eq!(house.closed(), [(serde_json::json!(["7"]), none.clone()), cannot("cut"), cannot("unreadable")]);
    assert_eq!(house.desk.budget().held(), 0);
}

#[tokio::test]
async fn however_small_a_packed_body_is_no_worker_unpacks_it() {
    let mut house = House::open("worker");
    // Nobody is at the desk.
    house.desk.stop();
    house.pass(Some("gzip"), PACKED).await;
    house.pass(None, PLAIN).await;
    // Packed, but nothing came.
    house.pass(Some("gzip"), b"").await;
    let none = Value::Null;
    let expected = [
        (none.clone(), serde_json::json!(["cut"])),
        (serde_json::json!(["7"]), none.clone()),
        (none.clone(), none.clone()),
    ];
    assert_eq!(house.closed(), expected, "what is read at once is a small plain body");
    assert_eq!(house.desk.budget().held(), 0);
}
