//! What MDM and EDR tell of devices: taken in by JSON or CSV from systems that prove themselves, whole or not at all.
//!
//! Each attribute is good for the source's time to live, counted from when it was so, not from when we heard of it.
//! What is stale stays: policy tells it from what was never known.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use policy::{DeviceId, POSTURE_VALUE_BYTES_MAX, PostureName, PostureSourceId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use store::{POSTURE_NAMES_MAX, PostureRow, Store, StoreProblem};

use crate::csv::{Cell, Column, Table};
use crate::secret::sha256;

/// The longest body, in bytes.
pub const POSTURE_BYTES_MAX: usize = 4 << 20;
/// Attributes in one body.
const ROWS_MAX: usize = 100_000;
/// How far a source's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 100;

const COLUMNS: [Column; 4] = [
    Column { name: "device", ja: "端末名", required: true },
    Column { name: "name", ja: "項目", required: true },
    Column { name: "value", ja: "値", required: true },
    Column { name: "at", ja: "日時", required: false },
];

/// Takes in what the sources of one configuration tell.
pub struct PostureDesk {
    store: Arc<dyn Store>,
    sources: Vec<config::PostureSource>,
}

/// What was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostureReceived {
    /// Who told it.
    pub source: PostureSourceId,
    /// How many attributes were told.
    pub rows: usize,
    /// Devices that are not in the ledger; what was told of them is not kept.
    pub unknown: Vec<DeviceId>,
}

/// Why nothing was taken in.
#[derive(Debug, thiserror::Error)]
pub enum PostureProblem {
    /// The token is none of ours.
    #[error("the token is not known")]
    Unauthorized,
    /// Neither JSON nor CSV.
    #[error("the content type must be `application/json` or `text/csv`")]
    Format,
    /// The body is larger than [`POSTURE_BYTES_MAX`], or tells too much of one device.
    #[error("too much at once: at most {POSTURE_NAMES_MAX} attributes of a device")]
    TooMuch,
    /// What it says cannot be taken in; at most a hundred problems.
    #[error("{} problems; the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Rows(Vec<PosturePlace>),
    /// The store did not do it; send it again.
    #[error(transparent)]
    Store(StoreProblem),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PosturePlace {
    /// `line 3, column 2` of CSV; `item 3, edr` of JSON, or its line and column where it is no JSON.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for PosturePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl PostureProblem {
    /// Its code in log and API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "posture-unauthorized",
            Self::Format => "posture-format",
            Self::TooMuch => "posture-too-much",
            Self::Rows(_) => "posture-malformed",
            Self::Store(_) => "store",
        }
    }
}

/// One item of the JSON form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    device: String,
    attributes: Map<String, Value>,
    at: Option<String>,
}

/// One attribute as it was read.
struct Told {
    place: String,
    device: String,
    name: String,
    value: String,
    at: Option<String>,
}

impl PostureDesk {
    /// Knows the sources of a configuration.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, sources: Vec<config::PostureSource>) -> Self {
        Self { store, sources }
    }

    /// Takes in what a source tells. `bearer` is its token, `content_type` the header of its request.
    ///
    /// # Errors
    /// [`PostureProblem`]; nothing was taken in.
    pub async fn receive(
        &self,
        bearer: &str,
        content_type: &str,
        body: &[u8],
        at: Timestamp,
    ) -> Result<PostureReceived, PostureProblem> {
        let source = self.source_of(bearer).ok_or(PostureProblem::Unauthorized)?;
        if body.len() > POSTURE_BYTES_MAX {
            return Err(PostureProblem::TooMuch);
        }
        let told = match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => read_json(body),
            "text/csv" => read_csv(body),
            _ => return Err(PostureProblem::Format),
        };
        let rows = told.and_then(|told| rows(told, source, at)).map_err(|mut problems| {
            problems.truncate(PROBLEMS_MAX);
            PostureProblem::Rows(problems)
        })?;
        let count = rows.len();
        let kept = self.store.set_posture(rows, at, format!("posture:{}", source.id)).await;
        let unknown = kept.map_err(|problem| match problem {
            StoreProblem::Full => PostureProblem::TooMuch,
            StoreProblem::Unavailable(_)
            | StoreProblem::Corrupt(_)
            | StoreProblem::Exists(_)
            | StoreProblem::NotInForce(_) => PostureProblem::Store(problem),
        })?;
        Ok(PostureReceived { source: source.id.clone(), rows: count, unknown })
    }

    /// The source of a token. Every token is compared, each in constant time.
    fn source_of(&self, bearer: &str) -> Option<&config::PostureSource> {
        let given = sha256(&[bearer]);
        let is_its =
            |source: &config::PostureSource| verify_slices_are_equal(&sha256(&[source.token.expose()]), &given).is_ok();
        self.sources.iter().fold(None, |found, source| if is_its(source) { Some(source) } else { found })
    }
}

fn read_json(body: &[u8]) -> Result<Vec<Told>, Vec<PosturePlace>> {
    let items: Vec<Value> = serde_json::from_slice(body).map_err(|problem| {
        let place = format!("line {}, column {}", problem.line(), problem.column());
        vec![PosturePlace { place, reason: "not a JSON array".to_owned() }]
    })?;
    let (mut told, mut problems) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let place = format!("item {}", index + 1);
        let item: Item = match serde_json::from_value(item) {
            Ok(item) => item,
            Err(problem) => {
                problems.push(PosturePlace { place, reason: problem.to_string() });
                continue;
            }
        };
        for (name, value) in item.attributes {
            let place = format!("{place}, {}", cut(&name));
            match plain(&value) {
                Some(value) => {
                    let (device, at) = (item.device.clone(), item.at.clone());
                    told.push(Told { place, device, name, value, at });
                }
                None => {
                    let reason = "a value is a text, a whole number, or true or false".to_owned();
                    problems.push(PosturePlace { place, reason });
                }
            }
        }
    }
    if problems.is_empty() { Ok(told) } else { Err(problems) }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) if value.is_i64() || value.is_u64() => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn read_csv(body: &[u8]) -> Result<Vec<Told>, Vec<PosturePlace>> {
    let text = std::str::from_utf8(body).map_err(|problem| {
        let line = body.iter().take(problem.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        vec![PosturePlace { place: format!("line {line}"), reason: "not UTF-8".to_owned() }]
    })?;
    let table = Table::read(text, &COLUMNS).map_err(|problems| {
        let place = |problem: &crate::CsvProblem| format!("line {}, column {}", problem.line, problem.column);
        problems.iter().map(|one| PosturePlace { place: place(one), reason: one.fault.en() }).collect::<Vec<_>>()
    })?;
    let text = |cell: Option<Cell<'_>>| cell.map(|cell| cell.text.to_owned());
    let told = table.rows.iter().map(|row| Told {
        place: format!("line {}", row.line),
        device: text(table.cell(row, "device")).unwrap_or_default(),
        name: text(table.cell(row, "name")).unwrap_or_default(),
        value: text(table.cell(row, "value")).unwrap_or_default(),
        at: text(table.cell(row, "at")).filter(|text| !text.is_empty()),
    });
    Ok(told.collect())
}

/// Checks every attribute.
fn rows(told: Vec<Told>, source: &config::PostureSource, now: Timestamp) -> Result<Vec<PostureRow>, Vec<PosturePlace>> {
    if told.len() > ROWS_MAX {
        let reason = format!("more than {ROWS_MAX} attributes; send them in several parts");
        return Err(vec![PosturePlace { place: "the whole".to_owned(), reason }]);
    }
    let (mut rows, mut problems, mut named) = (Vec::with_capacity(told.len()), Vec::new(), BTreeSet::new());
    for one in told {
        let place = one.place.clone();
        match row(one, source, now) {
            Ok(row) if named.insert((row.device.clone(), row.name.clone())) => rows.push(row),
            Ok(row) => {
                let reason = format!("`{}` of `{}` is told twice", row.name, row.device);
                problems.push(PosturePlace { place, reason });
            }
            Err(reason) => problems.push(PosturePlace { place, reason }),
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

fn row(told: Told, source: &config::PostureSource, now: Timestamp) -> Result<PostureRow, String> {
    let device = DeviceId::parse(&told.device).map_err(|problem| problem.to_string())?;
    let name = PostureName::parse(&told.name).map_err(|problem| problem.to_string())?;
    let value = told.value.trim();
    if !(1..=POSTURE_VALUE_BYTES_MAX).contains(&value.len()) || value.chars().any(char::is_control) {
        return Err(format!("a value has 1 to {POSTURE_VALUE_BYTES_MAX} bytes in one line"));
    }
    let at = match &told.at {
        None => now,
        Some(text) => Timestamp::parse_rfc3339(text)
            .ok_or_else(|| format!("`{}` is not a moment; write it as `2027-03-31T08:30:00+09:00`", cut(text)))?,
    };
    if at > now.after(CLOCK_SKEW) {
        return Err("the moment is still to come; set the clocks".to_owned());
    }
    let at = at.min(now);
    Ok(PostureRow {
        device,
        name,
        value: value.to_owned(),
        source: source.id.clone(),
        at,
        expires_at: at.after(source.ttl),
    })
}

/// What somebody sent, fit to be repeated to them.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl fmt::Debug for PostureDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|source| &source.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, Ward, minutes, terminal};

    const TOKEN: &str = "a-token-of-the-edr-that-is-long!";

    fn desk(ward: &Ward) -> PostureDesk {
        let source = |id: &str, token: &str| config::PostureSource {
            id: PostureSourceId::parse(id).unwrap(),
            token: config::Secret::new(token.to_owned()),
            ttl: minutes(60),
        };
        PostureDesk::new(ward.store.clone(), vec![source("mdm", "another-token"), source("edr", TOKEN)])
    }

    async fn problems(content_type: &str, body: &str) -> Vec<String> {
        let ward = Ward::open().await;
        let problem = desk(&ward).receive(TOKEN, content_type, body.as_bytes(), START).await.unwrap_err();
        assert!(ward.store.posture().await.unwrap().is_empty(), "nothing half taken in");
        match &problem {
            PostureProblem::Rows(places) => places.iter().map(|place| place.place.clone()).collect(),
            PostureProblem::Unauthorized
            | PostureProblem::Format
            | PostureProblem::TooMuch
            | PostureProblem::Store(_) => vec![problem.code().to_owned()],
        }
    }

    #[tokio::test]
    async fn json_and_csv_tell_the_same() {
        let json =
            r#"[{"device":"ward-3","attributes":{"edr":"running","os_patched":true},"at":"2026-11-20T22:30:00Z"}]"#;
        let csv = "device,name,value,at\nward-3,edr,running,2026-11-21T07:30:00+09:00\n\
                   ward-3,os_patched,true,2026-11-20T22:30:00Z\n";
        let mut kept = Vec::new();
        for (kind, body) in [("application/json; charset=utf-8", json), ("Text/CSV", csv)] {
            let ward = Ward::open().await;
            let received = desk(&ward).receive(TOKEN, kind, body.as_bytes(), START).await.unwrap();
            assert_eq!((received.source.as_str(), received.rows, received.unknown.len()), ("edr", 2, 0));
            kept.push(ward.store.posture().await.unwrap());
        }
        let (first, second) = (&kept[0], &kept[1]);
        assert_eq!(first, second);
        assert_eq!(first.len(), 2);
        let half_an_hour_left = START.after(minutes(30));
        assert!(first.iter().all(|row| row.expires_at == half_an_hour_left && row.source.as_str() == "edr"));
    }

    #[tokio::test]
    async fn only_who_proves_itself_is_heard() {
        let ward = Ward::open().await;
        for bearer in ["", "another", &TOKEN[1..], &format!("{TOKEN} ")] {
            let refused = desk(&ward).receive(bearer, "application/json", b"[]", START).await;
            assert!(matches!(refused, Err(PostureProblem::Unauthorized)), "{bearer}");
        }
        let received = desk(&ward).receive("another-token", "application/json", b"[]", START).await.unwrap();
        assert_eq!(received.source.as_str(), "mdm");
        let shown = format!("{:?}", desk(&ward));
        assert!(!shown.contains(TOKEN));
    }

    #[tokio::test]
    async fn devices_out_of_the_ledger_are_named() {
        let ward = Ward::open().await;
        let body = r#"[{"device":"ward-3","attributes":{"edr":1}},{"device":"nowhere","attributes":{"edr":1}}]"#;
        let received = desk(&ward).receive(TOKEN, "application/json", body.as_bytes(), START).await.unwrap();
        assert_eq!(received.unknown, [DeviceId::parse("nowhere").unwrap()]);
        let kept = ward.store.posture().await.unwrap();
        assert_eq!(kept.iter().map(|row| &row.device).collect::<Vec<_>>(), [&terminal().id]);
    }

    #[tokio::test]
    async fn every_problem_names_its_place_and_nothing_is_taken_in() {
        let item = |attributes: &str| format!(r#"[{{"device":"ward-3","attributes":{{{attributes}}}}}]"#);
        for (body, expected) in [
            ("{}".to_owned(), "line 1, column 0"),
            ("[1,\n2".to_owned(), "line 2, column 1"),
            ("[1]".to_owned(), "item 1"),
            (r#"[{"device":"ward-3"}]"#.to_owned(), "item 1"),
            (r#"[{"device":"ward-3","attributes":{},"and":1}]"#.to_owned(), "item 1"),
            (r#"[{"device":"WARD 3","attributes":{"a":1}}]"#.to_owned(), "item 1, a"),
            (item(r#""a":null"#), "item 1, a"),
            (item(r#""a":1.5"#), "item 1, a"),
            (item(r#""a":["x"]"#), "item 1, a"),
            (item(r#""a":"""#), "item 1, a"),
            (item(r#""a":"x\ny""#), "item 1, a"),
            (item(r#""A b":1"#), "item 1, A b"),
            (r#"[{"device":"ward-3","attributes":{"a":1},"at":"yesterday"}]"#.to_owned(), "item 1, a"),
            (r#"[{"device":"ward-3","attributes":{"a":1},"at":"2026-11-20T23:02:00Z"}]"#.to_owned(), "item 1, a"),
            (
                r#"[{"device":"ward-3","attributes":{"a":1}},{"device":"ward-3","attributes":{"a":2}}]"#.to_owned(),
                "item 2, a",
            ),
        ] {
            let found = problems("application/json", &body).await;
            assert_eq!(found, [expected], "{body}");
        }
        assert_eq!(problems("text/csv", "device,name,value\nward-3,a,1\nward-3,,1\n").await, ["line 3"]);
        assert_eq!(problems("text/csv", "device,name\nward-3,a\n").await, ["line 1, column 1"]);
        assert_eq!(problems("application/xml", "<x/>").await, ["posture-format"]);
        let many: String = (0..=POSTURE_NAMES_MAX).map(|number| format!("ward-3,a{number},1\n")).collect();
        assert_eq!(problems("text/csv", &format!("device,name,value\n{many}")).await, ["posture-too-much"]);
        let ward = Ward::open().await;
        let broken = desk(&ward).receive(TOKEN, "text/csv", b"device,name,value\n\xff", START).await;
        assert!(matches!(broken, Err(PostureProblem::Rows(places)) if places[0].place == "line 2"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_readers(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = (read_json(&bytes).is_ok(), read_csv(&bytes).is_ok());
        }

        #[test]
        fn whatever_is_read_is_kept_within_bounds(
            device in ".{0,40}", name in ".{0,40}", value in ".{0,80}", at in proptest::option::of(".{0,40}"),
        ) {
            let source = config::PostureSource {
                id: PostureSourceId::parse("edr").unwrap(),
                token: config::Secret::new(TOKEN.to_owned()),
                ttl: minutes(60),
            };
            if let Ok(row) = row(Told { place: String::new(), device, name, value, at }, &source, START) {
                proptest::prop_assert!((1..=POSTURE_VALUE_BYTES_MAX).contains(&row.value.len()));
                proptest::prop_assert!(row.at <= START && row.expires_at <= START.after(minutes(60)));
            }
        }
    }
}
