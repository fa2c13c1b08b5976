//! What the tests of this crate share: lines as the log writes them, the house of the samples, and a log that is made
//! of lines and a key alone.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use audit::{Entry, LogKey, LogProblem, LogSigner, Prover, Story};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use policy::{Timestamp, UtcOffset};
use serde_json::json;

use crate::Source;
use crate::export::{Form, Order, Proof, StoryAt, write_with_proof};

/// A line with these keys beside its number and moment.
pub(crate) fn entry(keys: &str) -> Entry {
    let moment =
        if keys.contains(r#""ts":"#) { String::new() } else { r#""ts":"2025-04-01T00:15:30.123456Z","#.into() };
    let number = if keys.contains(r#""seq":"#) { "" } else { r#""seq":7,"# };
    Entry::read(format!(r#"{{"v":1,{number}{moment}{keys}}}"#).as_bytes()).unwrap()
}

/// A story of these lines.
pub(crate) fn story(begin: &str, end: Option<&str>) -> Story {
    let end = end.map(|end| entry(&format!(r#""seq":8,"ts":"2025-04-01T00:15:31Z","ev":"close",{end}"#)));
    Story { begin: entry(begin), end }
}

/// The house of the samples.
pub(crate) fn house() -> Source {
    let names = |pairs: [(&str, &str); 2]| pairs.map(|(id, name)| (id.to_owned(), name.to_owned())).into();
    Source {
        node: "gw01.hosp.example.jp".into(),
        facility: "関守病院".into(),
        facility_code: Some("1310000001".into()),
        domain: "hosp.example.jp".into(),
        offset: UtcOffset::JAPAN,
        roles: names([("nurse", "看護師"), ("physician", "医師")]),
        apps: names([("emr", "電子カルテ"), ("pacs", "画像")]),
    }
}

/// A log of a hundred lines: forty accesses that begin and end, and facts.
pub(crate) struct Made {
    folder: PathBuf,
    pair: Ed25519KeyPair,
    pub(crate) lines: Vec<Vec<u8>>,
}

impl Drop for Made {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Made {
    pub(crate) fn new() -> Self {
        Self::signed_by(7)
    }

    /// One whose key is made from this number.
    pub(crate) fn signed_by(seed: u8) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-evidence-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        std::fs::write(folder.join("audit-signing.key"), pair.to_pkcs8v1().unwrap().as_ref()).unwrap();
        Self { folder, pair, lines: (0..100).map(line).collect() }
    }

    pub(crate) fn signer(&self) -> LogSigner {
        LogSigner::open(&self.folder, &house().node).unwrap()
    }

    pub(crate) fn key(&self) -> LogKey {
        self.signer().key()
    }

    pub(crate) fn reading(&self) -> impl FnMut(u64) -> Result<Option<Vec<u8>>, LogProblem> + Clone + '_ {
        |seq| Ok(self.lines.get(usize::try_from(seq).unwrap()).cloned())
    }

    /// A checkpoint over the first so many lines.
    pub(crate) fn checkpoint(&self, size: u64) -> String {
        let root = Prover::new(Path::new("/nonexistent"), self.reading()).root(size).unwrap();
        let name = house().node;
        let text = format!("{name}\n{size}\n{}\n", BASE64.encode(root));
        let public = self.pair.public_key().as_ref();
        let hashed = [name.as_bytes(), b"\n\x01", public].concat();
        let mut bytes = digest(&SHA256, &hashed).as_ref()[..4].to_vec();
        bytes.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {name} {}\n", BASE64.encode(bytes))
    }

    /// An export with proof of every fifth story and of the line that records it, at a checkpoint over so many lines.
    pub(crate) fn export(&self, form: Form, size: u64, kept: Option<&str>) -> Vec<u8> {
        let stories = (0..40).step_by(5).map(|n| StoryAt { begin: n * 2, end: Some(n * 2 + 1) });
        let stories: Vec<StoryAt> = stories.chain([StoryAt { begin: 85, end: None }]).collect();
        let order = Order {
            form,
            question: json!({ "patient": "00012345" }),
            by: "監査 太郎".into(),
            at: Timestamp::parse_rfc3339("2025-04-01T00:03:00Z").unwrap(),
            recorded: Some(99),
            damaged: 0,
        };
        let (checkpoint, signer) = (self.checkpoint(size), self.signer());
        let proof = Proof { directory: Path::new("/nonexistent"), checkpoint: &checkpoint, signer: &signer, kept };
        let mut out = Vec::new();
        write_with_proof(&stories, &order, &house(), &proof, self.reading(), &mut out).unwrap();
        out
    }
}

fn line(seq: u64) -> Vec<u8> {
    let at = Timestamp::from_unix_micros(1_743_465_600_000_000 + i64::try_from(seq).unwrap() * 1_000_000);
    let head = format!(r#"{{"v":1,"seq":{seq},"ts":"{at}","#);
    let id = format!("0195f1c0-0000-7000-8000-{:012x}", seq / 2);
    let patient = if (seq / 2).is_multiple_of(3) { r#","pt":["00012345","00067890"]"# } else { "" };
    let rest = match seq {
        99 => r#""ev":"log-read","login":"k.audit","why":"export"}"#.to_owned(),
        80.. => r#""ev":"signed-in","sub":"u-1","login":"n.sato","ip":"192.0.2.1"}"#.to_owned(),
        _ if seq.is_multiple_of(2) => format!(
            r#""ev":"open","id":"{id}","act":"read","sub":"u-1","login":"n.sato","name":"佐藤 直子","role":["nurse"],"dev":"ward-3","ip":"192.0.2.57","zone":"ward","app":"emr","host":"emr.hosp.example.jp","m":"GET","path":"/Patient/{seq}"{patient},"rule":"r","pol":"p"}}"#
        ),
        _ => format!(r#""ev":"close","id":"{id}","end":"served","st":200,"ms":1.500,"bi":0,"bo":17}}"#),
    };
    format!("{head}{rest}").into_bytes()
}
