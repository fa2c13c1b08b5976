//! Logs for the trials: a folder that vanishes, and lines as the log writes them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use policy::{Timestamp, UtcOffset};
use proptest::prelude::*;

/// Monday, 2026-11-23, 00:00 in Japan.
pub(super) const START: i64 = 1_795_359_600_000_000;

/// A folder of its own for one trial, removed at its end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-find-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("log/segments")).unwrap();
        Self(path)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.0.join("index")
    }

    /// Writes lines at the end of the log's first file.
    pub(super) fn append(&self, lines: &[String]) {
        self.append_segment(0, lines);
    }

    /// Writes lines at the end of the file that begins with this line.
    pub(super) fn append_segment(&self, first: usize, lines: &[String]) {
        append(&self.segment(first), lines);
    }

    pub(super) fn delete_first_segment(&self) {
        std::fs::remove_file(self.segment(0)).unwrap();
    }

    /// Makes the first file an archived one that cannot be read.
    pub(super) fn damage_first_segment(&self) {
        let plain = self.segment(0);
        std::fs::write(plain.with_extension("archive"), "this is no archive").unwrap();
        std::fs::remove_file(plain).unwrap();
    }

    fn segment(&self, first: usize) -> PathBuf {
        self.log().join("segments").join(format!("{first:020}.jsonl"))
    }
}

fn append(file: &Path, lines: &[String]) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().as_bytes()).unwrap();
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// One thing that happens: an access that ends after some others, or never; a refusal; a fact.
#[derive(Clone, Debug)]
pub(super) struct Act {
    kind: u8,
    minute: i64,
    names: [u8; 8],
    patients: Vec<u8>,
    late_patients: Vec<u8>,
    /// How many other lines stand between its two lines; none where it never closes.
    lasts: Option<usize>,
}

pub(super) fn acts(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Act>> {
    let ids = || prop::collection::vec(0_u8..12, 0..3);
    let lasts = prop_oneof![8 => (0_usize..6).prop_map(Some), 1 => (20_usize..200).prop_map(Some), 1 => Just(None)];
    let act = (0_u8..10, 0_i64..20_000, any::<[u8; 8]>(), ids(), ids(), lasts);
    let act = act.prop_map(|(kind, minute, names, patients, late_patients, lasts)| Act {
        kind,
        minute,
        names,
        patients,
        late_patients,
        lasts,
    });
    prop::collection::vec(act, count)
}

const LOGINS: [&str; 5] = ["n.sato", "t.suzuki", "Ｎ.ＳＡＴＯ２", "田中 花子", "a-b_c"];
const DEVICES: [&str; 4] = ["ward3-tablet-07", "ward3-tablet-08", "clinic-1", "受付端末"];
const APPS: [&str; 3] = ["emr", "pacs", "orca"];
const UNITS: [&str; 4] = ["本院/3F東", "本院／３Ｆ東", "本院", "分院/3F東"];
pub(super) const SCOPES: [&str; 4] = ["本院", "本院/3F東", "分院", "3F東"];
const ROLES: [&str; 4] = ["nurse", "physician", "vendor", "admin"];
const ADDRESSES: [&str; 5] = ["10.1.2.3", "10.1.2.4", "10.2.0.1", "192.0.2.7", "2001:db8::1"];
const ACTIONS: [&str; 3] = ["read", "search", "write"];
const REASONS: [&str; 3] = ["role-not-allowed", "outside-hours", "device-unknown"];
const ENDS: [&str; 5] = ["served", "client-gone", "upstream-failed", "unknown", "revoked"];
const FACTS: [&str; 4] = ["signed-in", "sign-in-failed", "device-added", "from-the-future"];

fn pick<'a>(names: &[&'a str], number: u8) -> &'a str {
    names[usize::from(number) % names.len()]
}

fn moment(at: i64) -> String {
    let text = Timestamp::from_unix_micros(at).rfc3339(UtcOffset::UTC);
    format!("{}.{:06}Z", text.trim_end_matches('Z').split('.').next().unwrap(), at.rem_euclid(1_000_000))
}

fn patients(key: &str, ids: &[u8]) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id:08}\"")).collect();
    format!(",\"{key}\":[{}]", ids.join(","))
}

pub(super) fn id(act: usize) -> String {
    format!("01935f1c-0000-7000-8000-0000{:08x}", act.wrapping_mul(2_654_435_761) % 0xffff_ffff)
}

/// The lines of a log in which all this happens.
pub(super) fn lines(acts: &[Act]) -> Vec<String> {
    let mut lines = vec![segment()];
    let mut closing: Vec<(usize, String)> = Vec::new();
    for (number, act) in acts.iter().enumerate() {
        closing.iter_mut().for_each(|(left, _)| *left = left.saturating_sub(1));
        let due = closing.extract_if(.., |(left, _)| *left == 0).map(|(_, line)| line);
        lines.extend(due.collect::<Vec<_>>());
        let [login, device, app, role, address, action, more, end] = act.names;
        let at = START + act.minute * 60_000_000 + i64::from(more) * 1_234;
        let ts = moment(at);
        let mut who = String::new();
        if more % 5 > 0 {
            let (login, role) = (pick(&LOGINS, login), pick(&ROLES, role));
            let second = if more % 3 == 0 { ",\"vendor\"" } else { "" };
            write!(who, r#","sub":"u-{login}","login":"{login}","name":"佐藤 のぞみ","role":["{role}"{second}],"sid":"s{login}""#)
                .unwrap();
        }
        if more % 7 > 0 {
            write!(who, r#","dev":"{}""#, pick(&DEVICES, device)).unwrap();
            if more % 3 > 0 {
                write!(who, r#","place":"{}""#, pick(&UNITS, device)).unwrap();
            }
        }
        if more % 4 > 0 {
            write!(who, r#","unit":"{}""#, pick(&UNITS, login)).unwrap();
        }
        let (app, address, action) = (pick(&APPS, app), pick(&ADDRESSES, address), pick(&ACTIONS, action));
        let place =
            format!(r#","ip":"{address}","app":"{app}","host":"{app}.hosp.example","path":"/fhir/Patient/{more:05}""#);
        let pt = patients("pt", &act.patients);
        let id = id(number);
        match act.kind {
            0 => lines.push(format!(
                r#""ts":"{ts}","ev":"refused","id":"{id}","act":"{action}"{who}{place},"why":"{}","rule":"default-deny","pol":"r1","st":403{pt}}}"#,
                pick(&REASONS, end)
            )),
            1 => lines.push(format!(
                r#""ts":"{ts}","ev":"{}"{who},"ip":"{address}","actor":"cli:root","reason":"故障 の ため"}}"#,
                pick(&FACTS, end)
            )),
            _ => {
                lines.push(format!(
                    r#""ts":"{ts}","ev":"open","id":"{id}","act":"{action}"{who}{place},"cls":"chart","vs":"g-1","rule":"ward-read","pol":"r1"{pt}}}"#
                ));
                let late = patients("pt", &act.late_patients);
                let close = format!(
                    r#""ts":"{}","ev":"close","id":"{id}","end":"{}","st":200,"study":["1.2.{more}"],"ms":1.5,"bi":0,"bo":1{late}}}"#,
                    moment(at + 5_000),
                    pick(&ENDS, end)
                );
                closing.extend(act.lasts.map(|lasts| (lasts + 1, close)));
            }
        }
    }
    lines.extend(closing.into_iter().filter(|(left, _)| *left < 50).map(|(_, line)| line));
    lines.iter().enumerate().map(|(number, body)| format!("{{\"v\":1,\"seq\":{number},{body}")).collect()
}

fn segment() -> String {
    format!(r#""ts":"{}","ev":"segment","since":0,"origin":"trial","facility":"関守病院"}}"#, moment(START))
}
