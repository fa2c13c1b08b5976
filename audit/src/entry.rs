//! Reading the log's lines back: an [`Entry`] is one line, a [`Story`] is an access with its end, or a fact alone.
//!
//! Everything that shows, searches or hands over the log reads it here. Keys that are not known are passed over, so
//! that lines of later versions are still read. Deliberately not here: where the lines lie, and what they are worth as
//! proof.

use std::net::IpAddr;
use std::time::Duration;

use policy::{Decision, Reason, Timestamp, Unit};
use serde::{Deserialize, Deserializer};

use crate::Event;

/// The longest line that is read, in bytes; no line of ours is longer.
pub(crate) const LINE_BYTES_MAX: usize = crate::line::LINE_BYTES_MAX;

/// One line of the log, read. Texts are as they were written, whatever a reader makes of them.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Entry {
    /// `seq`: its number in the log.
    pub seq: u64,
    /// `ts`: when.
    #[serde(rename = "ts", deserialize_with = "moment")]
    pub at: Timestamp,
    /// `ev`: what kind of line it is.
    #[serde(rename = "ev", deserialize_with = "kind")]
    pub kind: EntryKind,
    /// `id`: the request.
    #[serde(rename = "id")]
    pub request: Option<String>,
    /// `act`: what was to be done.
    #[serde(rename = "act")]
    pub action: Option<String>,
    /// `m`: the HTTP method.
    #[serde(rename = "m")]
    pub method: Option<String>,
    /// `host`: the host that was addressed.
    pub host: Option<String>,
    /// `path`: the path, without the query.
    pub path: Option<String>,
    /// `app`: the app.
    pub app: Option<String>,
    /// `cls`: the information class.
    #[serde(rename = "cls")]
    pub class: Option<String>,
    /// `sub`: the person.
    #[serde(rename = "sub")]
    pub user: Option<String>,
    /// `login`: the name they sign in with.
    pub login: Option<String>,
    /// `name`: the name people call them by.
    pub name: Option<String>,
    /// `unit`: the department they worked in at the time.
    pub unit: Option<String>,
    /// `iss`: who vouches for them.
    #[serde(rename = "iss")]
    pub issuer: Option<String>,
    /// `role`: their roles.
    #[serde(default, rename = "role")]
    pub roles: Vec<String>,
    /// `was`: their roles before, where they changed.
    #[serde(default, rename = "was")]
    pub roles_before: Vec<String>,
    /// `acr`: how surely they are known.
    #[serde(rename = "acr")]
    pub assurance: Option<String>,
    /// `amr`: by what they signed in.
    #[serde(default, rename = "amr")]
    pub methods: Vec<String>,
    /// `model`: the model of their key.
    #[serde(rename = "model")]
    pub key_model: Option<String>,
    /// `outage`: whether their provider was out.
    #[serde(default, rename = "outage")]
    pub in_outage: bool,
    /// `sid`: the session.
    #[serde(rename = "sid")]
    pub session: Option<String>,
    /// `auth`: since when the person is proven.
    #[serde(default, rename = "auth", deserialize_with = "moment_if_stated")]
    pub authenticated_at: Option<Timestamp>,
    /// `conf`: since when the roles are confirmed, where that is another moment.
    #[serde(default, rename = "conf", deserialize_with = "moment_if_stated")]
    pub roles_confirmed_at: Option<Timestamp>,
    /// `dev`: the device.
    #[serde(rename = "dev")]
    pub device: Option<String>,
    /// `dcls`: the class of the device.
    #[serde(rename = "dcls")]
    pub device_class: Option<String>,
    /// `place`: where the device stood at the time.
    pub place: Option<String>,
    /// `pst`: what was believed of the device's condition, each `name=value`.
    #[serde(default, rename = "pst")]
    pub posture: Vec<String>,
    /// `cert`: the certificate that was shown.
    #[serde(rename = "cert")]
    pub certificate: Option<String>,
    /// `ip`: where it came from.
    #[serde(rename = "ip")]
    pub address: Option<IpAddr>,
    /// `zone`: the zone it came in by.
    pub zone: Option<String>,
    /// `rule`: the rule that decided.
    pub rule: Option<String>,
    /// `pol`: the revision of the configuration.
    #[serde(rename = "pol")]
    pub revision: Option<String>,
    /// `why`: the reason, a code.
    pub why: Option<String>,
    /// `also`: other reasons.
    #[serde(default)]
    pub also: Vec<String>,
    /// `sh`: what a shadow policy says instead.
    #[serde(rename = "sh")]
    pub shadow: Option<String>,
    /// `vs`: the grant it rests on.
    #[serde(rename = "vs")]
    pub grant: Option<String>,
    /// `st`: the HTTP status.
    #[serde(rename = "st")]
    pub status: Option<u16>,
    /// `end`: how the access ended, a code.
    pub end: Option<String>,
    /// `ms`: how long it took.
    #[serde(default, rename = "ms", deserialize_with = "millis")]
    pub duration: Option<Duration>,
    /// `bi`: body bytes from the client.
    #[serde(rename = "bi")]
    pub bytes_in: Option<u64>,
    /// `bo`: body bytes to the client.
    #[serde(rename = "bo")]
    pub bytes_out: Option<u64>,
    /// The names that a protocol said in the clear: both sides of a DICOM association.
    pub said: Option<String>,
    /// `pt`: the patients it was about, a hundred at most.
    #[serde(default, rename = "pt")]
    pub patients: Vec<String>,
    /// `ptn`: how many patients in all, where they are more than are listed.
    #[serde(rename = "ptn")]
    pub patients_all: Option<u64>,
    /// `ptf`: what is to be said of the list of patients: `bulk`, `cut`, `unreadable`, `missing`.
    #[serde(default, rename = "ptf")]
    pub patient_flags: Vec<String>,
    /// `study`: the studies (Study Instance UID) it was about.
    #[serde(default, rename = "study")]
    pub studies: Vec<String>,
    /// `actor`: who did it, where that is someone else.
    pub actor: Option<String>,
    /// `prov`: the provider.
    #[serde(rename = "prov")]
    pub provider: Option<String>,
    /// `inv`: the invitation.
    #[serde(rename = "inv")]
    pub invitation: Option<String>,
    /// `key`: the key.
    pub key: Option<String>,
    /// `until`: until when what was given is good.
    #[serde(default, deserialize_with = "moment_if_stated")]
    pub until: Option<Timestamp>,
    /// `proofing`: how the person was proofed.
    pub proofing: Option<String>,
    /// `reason`: why something was done, in the words of whoever did it.
    pub reason: Option<String>,
    /// `src`: the source of posture.
    #[serde(rename = "src")]
    pub source: Option<String>,
    /// `n`: how many: of rows, of sessions, of requests that were folded into one access.
    #[serde(rename = "n")]
    pub count: Option<u64>,
    /// `sn`: the number of the store's event that it tells of, where several nodes tell of it.
    #[serde(rename = "sn")]
    pub store_event: Option<u64>,
    /// `cp`: another node's checkpoint, as it was signed.
    #[serde(rename = "cp")]
    pub checkpoint: Option<String>,
    /// `cmd`: a command, as it stood on the screen of a terminal.
    #[serde(rename = "cmd")]
    pub command: Option<String>,
    /// `file`: a file that was carried, by its place at the app's target.
    pub file: Option<String>,
    /// `sha`: the SHA-256 of what was carried, or of the text of a recording.
    #[serde(rename = "sha")]
    pub sha256: Option<String>,
    /// `rec`: the hash that stands for a recording so far.
    #[serde(rename = "rec")]
    pub recording: Option<String>,
    /// `len`: how long that recording is, in bytes of its file.
    #[serde(rename = "len")]
    pub length: Option<u64>,
    /// `spool`: its place in the emergency spool, where it comes from there.
    pub spool: Option<String>,
    /// `origin`: whose log it is; where a segment begins.
    pub origin: Option<String>,
    /// `facility`: the name of the house; where a segment begins.
    pub facility: Option<String>,
    /// `code`: 医療機関コード; where a segment begins.
    #[serde(rename = "code")]
    pub facility_code: Option<String>,
}

/// What kind of line it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// `open`: an access was allowed and began.
    Open,
    /// `close`: an access ended.
    Close,
    /// `refused`: an access was refused.
    Refused,
    /// `segment`: a file of the log begins.
    Segment,
    /// A fact beside accesses.
    Fact(Event),
    /// A word that this version does not know.
    Unknown(String),
}

impl EntryKind {
    /// Reads the word of a line.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "open" => Self::Open,
            "close" => Self::Close,
            "refused" => Self::Refused,
            "segment" => Self::Segment,
            _ => Event::parse(word).map_or_else(|| Self::Unknown(word.to_owned()), Self::Fact),
        }
    }

    /// Its word in the log.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Refused => "refused",
            Self::Segment => "segment",
            Self::Fact(event) => event.code(),
            Self::Unknown(word) => word,
        }
    }
}

impl Entry {
    /// Reads a line, with or without its newline; nothing where it is not one of the log's.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(line).ok()
    }

    /// The departments it belongs to: that of the person, and that in which the device stood.
    pub fn units(&self) -> impl Iterator<Item = Unit> {
        [&self.unit, &self.place].into_iter().flatten().filter_map(|text| Unit::parse(text))
    }

    /// Whether it only asked the person to sign in, or to sign in more surely, and try again.
    #[must_use]
    pub fn is_challenge(&self) -> bool {
        let reason = Reason::ALL.into_iter().find(|reason| self.why.as_deref() == Some(reason.code()));
        reason.is_some_and(|reason| Decision::of_refusal(reason) != Decision::Deny)
    }
}

/// An access with its end, or a fact alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Story {
    /// The line that begins it: an opening line, a refusal, a fact.
    pub begin: Entry,
    /// The closing line of an access, where it is there.
    pub end: Option<Entry>,
}

/// How a story went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum StoryOutcome {
    /// It was allowed, and what was asked was answered, even if only in part.
    Allowed,
    /// It was refused.
    Refused,
    /// It was allowed, and could not be done.
    Failed,
    /// It was allowed, and nobody knows how it ended: it is still open, or the gateway died.
    Unknown,
}

impl StoryOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Refused, Self::Failed, Self::Unknown];

    /// How a story went that began with a line of this kind, and ended with this code and status.
    #[must_use]
    pub fn of(kind: &EntryKind, end: Option<(Option<&str>, Option<u16>)>) -> Self {
        match kind {
            EntryKind::Refused => Self::Refused,
            EntryKind::Open | EntryKind::Close => end.map_or(Self::Unknown, |(code, status)| Self::ended(code, status)),
            EntryKind::Fact(event) if tells_of_refusal(*event) => Self::Refused,
            EntryKind::Fact(_) | EntryKind::Segment | EntryKind::Unknown(_) => Self::Allowed,
        }
    }

    /// How an access went. Whatever let bytes through counts as allowed, also where it was cut short.
    fn ended(code: Option<&str>, status: Option<u16>) -> Self {
        match code {
            Some("served" | "upgraded" | "client-gone" | "revoked" | "stopped") => match status {
                Some(500..) => Self::Failed,
                Some(_) | None => Self::Allowed,
            },
            Some("upstream-failed" | "upstream-timeout" | "refused" | "abandoned") => Self::Failed,
            Some(_) | None => Self::Unknown,
        }
    }

    /// Its word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == word)
    }
}

impl Story {
    /// A story of one line.
    #[must_use]
    pub fn of(begin: Entry) -> Self {
        Self { begin, end: None }
    }

    /// Every patient it was about, as far as lines list them, each once.
    pub fn patients(&self) -> impl Iterator<Item = &str> {
        self.listed(|entry| &entry.patients)
    }

    /// Every study it was about, each once.
    pub fn studies(&self) -> impl Iterator<Item = &str> {
        self.listed(|entry| &entry.studies)
    }

    fn listed<'a>(&'a self, of: impl Fn(&'a Entry) -> &'a Vec<String>) -> impl Iterator<Item = &'a str> {
        let first = of(&self.begin);
        let later = self.end.as_ref().map(of).into_iter().flatten().filter(move |one| !first.contains(one));
        first.iter().chain(later).map(String::as_str)
    }

    /// How many patients in all; more than [`Story::patients`] lists where there are too many to list.
    #[must_use]
    pub fn patients_count(&self) -> u64 {
        let all = self.end.as_ref().and_then(|end| end.patients_all).max(self.begin.patients_all);
        all.unwrap_or(0).max(self.patients().count() as u64)
    }

    /// The HTTP status that was answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.end.as_ref().and_then(|end| end.status).or(self.begin.status)
    }

    /// How it went.
    #[must_use]
    pub fn outcome(&self) -> StoryOutcome {
        let last = self.end.as_ref().or((self.begin.kind == EntryKind::Close).then_some(&self.begin));
        StoryOutcome::of(&self.begin.kind, last.map(|close| (close.end.as_deref(), close.status)))
    }
}

/// Whether a fact tells that something was refused.
fn tells_of_refusal(event: Event) -> bool {
    matches!(
        event,
        Event::SignInFailed
            | Event::CeremonyRefused
            | Event::LogoutRefused
            | Event::PostureRefused
            | Event::ConfigRefused
            | Event::TlsRefused
            | Event::BadRequest
    )
}

pub(crate) fn moment<'de, D: Deserializer<'de>>(reader: D) -> Result<Timestamp, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(reader)?;
    Timestamp::parse_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("is not a moment"))
}

fn moment_if_stated<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Timestamp>, D::Error> {
    moment(reader).map(Some)
}

fn kind<'de, D: Deserializer<'de>>(reader: D) -> Result<EntryKind, D::Error> {
    let word = <std::borrow::Cow<'de, str>>::deserialize(reader)?;
    Ok(EntryKind::parse(&word))
}

/// Milliseconds with decimals.
fn millis<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Duration>, D::Error> {
    let millis = f64::deserialize(reader)?;
    Duration::try_from_secs_f64(millis / 1_000.0).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Ward, served};

    fn read(text: &str) -> Entry {
        Entry::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_the_log_writes_is_read_back() {
        let mut ward = Ward::new();
        let log = ward.open();
        let act = ward.read();
        let refused = ward.refused();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let recorder = log.recorder();
            let admitted = recorder.admit(act, config::OnLogFailure::Refuse).await.unwrap();
            admitted.open().1.close(served());
            recorder.refuse(&refused, 403).await.unwrap();
            let note = crate::Note::new(Event::DeviceAdded, crate::testing::clock().now()).actor("cli:佐藤");
            recorder.note(note).await.unwrap();
        });
        log.stop();
        let mut text = Vec::new();
        crate::export_jsonl(ward.directory(), &mut text).unwrap();
        let entries: Vec<Entry> =
            text.split_inclusive(|byte| *byte == b'\n').map(|line| Entry::read(line).unwrap()).collect();
        assert!(entries.iter().enumerate().all(|(place, entry)| entry.seq == place as u64));
        let of = |kind: EntryKind| entries.iter().find(|entry| entry.kind == kind).unwrap();
        let (open, close) = (of(EntryKind::Open), of(EntryKind::Close));
        assert_eq!((open.login.as_deref(), open.name.as_deref()), (Some("n.sato"), Some("佐藤 のぞみ")));
        assert_eq!(
            (open.path.as_deref(), open.roles.as_slice()),
            (Some("/Patient/00012345"), &["nurse".to_owned()][..])
        );
        assert_eq!(open.address, Some("10.1.2.3".parse().unwrap()));
        assert_eq!(close.duration, Some(Duration::from_micros(1_500)));
        assert_eq!(
            (close.request.as_ref(), close.status, close.bytes_out),
            (open.request.as_ref(), Some(200), Some(512))
        );
        let story = Story { begin: open.clone(), end: Some(close.clone()) };
        assert_eq!((story.outcome(), story.status()), (StoryOutcome::Allowed, Some(200)));
        assert_eq!(Story::of(of(EntryKind::Refused).clone()).outcome(), StoryOutcome::Refused);
        assert_eq!(of(EntryKind::Fact(Event::DeviceAdded)).actor.as_deref(), Some("cli:佐藤"));
        assert_eq!(of(EntryKind::Segment).facility_code.as_deref(), Some("1312345670"));
    }

    #[test]
    fn the_departments_of_person_and_device_are_written_and_read_back() {
        let mut ward = Ward::new();
        let log = ward.open();
        let mut refused = ward.refused();
        let access = &mut refused.access;
        let who = std::sync::Arc::make_mut(access.who.as_mut().unwrap());
        who.unit = "本院／３Ｆ東".into();
        let note = crate::Note::new(Event::LogRead, crate::testing::clock().now()).who(who);
        access.device = Some(std::sync::Arc::new(policy::Device {
            id: "ward-3".parse().unwrap(),
            class: policy::DeviceClass::WardShared,
            place: "外来".into(),
            certificate: policy::Fingerprint::new([0; 32]),
            posture: [].into(),
        }));
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            log.recorder().refuse(&refused, 403).await.unwrap();
            log.recorder().note(note).await.unwrap();
        });
        log.stop();
        let mut text = Vec::new();
        crate::export_jsonl(ward.directory(), &mut text).unwrap();
        let entries = text.split_inclusive(|byte| *byte == b'\n').map(|line| Entry::read(line).unwrap());
        let units = |entry: &Entry| entry.units().map(|unit| unit.to_string()).collect::<Vec<_>>();
        let all: Vec<_> = entries.filter(|entry| entry.unit.is_some()).map(|entry| units(&entry)).collect();
        assert_eq!(all, [vec!["本院/3F東".to_owned(), "外来".to_owned()], vec!["本院/3F東".to_owned()]]);
    }

    #[test]
    fn keys_and_words_of_later_versions_are_passed_over() {
        let line = r#"{"v":1,"seq":3,"ts":"2026-11-22T01:02:03.000004Z","ev":"later","what":{"x":[1]},"login":"a"}"#;
        let entry = read(line);
        assert_eq!((entry.seq, entry.kind, entry.login.as_deref()), (3, EntryKind::Unknown("later".into()), Some("a")));
        assert_eq!(entry.at, Timestamp::parse_rfc3339("2026-11-22T01:02:03.000004Z").unwrap());
    }

    #[test]
    fn what_is_no_line_of_the_log_is_not_read() {
        for text in ["", "{}", "[]", r#"{"seq":1}"#, r#"{"v":1,"seq":-1,"ts":"2026-11-22T01:02:03Z","ev":"open"}"#] {
            assert_eq!(Entry::read(text.as_bytes()), None, "{text}");
        }
        let long = format!(r#"{{"seq":1,"ts":"2026-11-22T01:02:03Z","ev":"{}"}}"#, "x".repeat(LINE_BYTES_MAX));
        assert_eq!(Entry::read(long.as_bytes()), None);
        let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(Entry::read(nested.as_bytes()), None);
    }

    #[test]
    fn patients_of_both_lines_are_named_once_and_counted_whole() {
        let begin = read(r#"{"seq":1,"ts":"2026-11-22T01:02:03Z","ev":"open","pt":["1","2"]}"#);
        let end = read(r#"{"seq":2,"ts":"2026-11-22T01:02:04Z","ev":"close","end":"served","pt":["2","3"],"ptn":400}"#);
        let story = Story { begin, end: Some(end) };
        assert_eq!(story.patients().collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(story.patients_count(), 400);
    }

    #[test]
    fn how_a_story_went_is_told_by_its_last_line() {
        let open = read(r#"{"seq":1,"ts":"2026-11-22T01:02:03Z","ev":"open"}"#);
        let went = |end: &str| {
            let line = format!(r#"{{"seq":2,"ts":"2026-11-22T01:02:04Z","ev":"close",{end}}}"#);
            Story { begin: open.clone(), end: Some(read(&line)) }.outcome()
        };
        assert_eq!(went(r#""end":"served","st":404"#), StoryOutcome::Allowed);
        assert_eq!(went(r#""end":"served","st":500"#), StoryOutcome::Failed);
        assert_eq!(went(r#""end":"revoked","why":"x""#), StoryOutcome::Allowed, "something may have been seen");
        assert_eq!(went(r#""end":"upstream-timeout""#), StoryOutcome::Failed);
        assert_eq!(went(r#""end":"unknown""#), StoryOutcome::Unknown);
        assert_eq!(Story::of(open).outcome(), StoryOutcome::Unknown);
        let failed = read(r#"{"seq":1,"ts":"2026-11-22T01:02:03Z","ev":"sign-in-failed"}"#);
        assert_eq!(Story::of(failed).outcome(), StoryOutcome::Refused);
        assert!(StoryOutcome::ALL.into_iter().all(|one| StoryOutcome::parse(one.code()) == Some(one)));
    }
}
