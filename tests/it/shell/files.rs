//! Files that are carried between a person and an SSH server: by rule, whole or not at all, inside the folders, and on
//! record.

use serde_json::Value;
use tests::connector::SshServer;
use tests::{Ask, Folder, eventually};

use super::{RULES, Room};

/// A room with a folder whose files may be carried both ways.
struct Shelf {
    room: Room,
    _sshd: SshServer,
    folder: Folder,
}

impl Shelf {
    async fn open(files: &str) -> Self {
        let (folder, sshd) = (Folder::new(), SshServer::start());
        let more = format!("files = \"{files}\"\nfolders = [\"{}\"]\nfile_max = \"1MiB\"", folder.path().display());
        let room = Room::at(sshd.address(), &sshd.terminal(&more)).await;
        Self { room, _sshd: sshd, folder }
    }

    fn path(&self, way: &str, name: &str) -> String {
        format!("/files/{way}{}/{name}", self.folder.path().display())
    }

    async fn get(&self, path: &str) -> tests::Answer {
        self.room.ask(self.room.get(path).header("accept", "application/json")).await
    }

    async fn put(&self, name: &str, text: impl Into<bytes::Bytes>) -> tests::Answer {
        let ask = Ask::post("shell", &self.path("put", name), text)
            .header("origin", "https://shell.hospital.test:8443")
            .header("content-type", "application/octet-stream")
            .header("accept", "application/json")
            .signed_in(&self.room.vendor);
        self.room.ask(ask).await
    }

    /// What is on record of files that were carried: code, name, size, hash.
    fn carried(&self) -> Vec<(String, String, u64, String)> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let of = |line: &Value| (text(line, "why"), text(line, "file"), line["n"].as_u64().unwrap(), text(line, "sha"));
        self.room.events("file-carried").iter().map(of).collect()
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_file_is_taken_as_an_attachment_and_on_record_with_its_hash() {
    let shelf = Shelf::open("download").await;
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    shelf.folder.write("log.html", &bytes);
    std::fs::create_dir(shelf.folder.join("more")).unwrap();
    let listed = shelf.room.ask(shelf.room.get(&shelf.path("at", "")).as_browser()).await.expect(200).text();
    assert!(listed.contains("log.html") && listed.contains("more/") && listed.contains("684 KiB"), "{listed}");
    let roots = shelf.room.ask(shelf.room.get("/files").as_browser()).await.expect(200).text();
    assert!(roots.contains(&shelf.folder.path().display().to_string()), "{roots}");
    let file = shelf.get(&shelf.path("get", "log.html")).await.expect(200);
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert!(file.header("content-disposition").starts_with("attachment;"));
    assert!(file.body == bytes, "{} bytes of {}", file.body.len(), bytes.len());
    let name = shelf.folder.join("log.html").display().to_string();
    assert_eq!(shelf.carried(), [("download".to_owned(), name, 700_000, sha256(&bytes))]);
    let opened = shelf.room.hospital.records().with("ev", "open").with("act", "read").all().len();
    assert!(opened >= 3, "each is an access of its own");
    assert_eq!(shelf.put("a.txt", "a").await.status, 403, "nothing may be put here");
}

#[tokio::test]
async fn a_file_is_put_whole_and_replaces_nothing() {
    let shelf = Shelf::open("upload").await;
    let put = shelf.put("%E5%BC%95%E7%B6%99%E3%81%8E%201.txt", "handed over").await.expect(201);
    assert_eq!(put.json()["sha256"], sha256(b"handed over").as_str());
    let file = shelf.folder.join("引継ぎ 1.txt");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "handed over");
    let name = file.display().to_string();
    assert_eq!(shelf.carried(), [("upload".to_owned(), name, 11, sha256(b"handed over"))]);
    shelf.folder.write("there.txt", "before");
    let again = shelf.put("there.txt", "after").await;
    assert_eq!((again.status, again.json()["code"].as_str()), (409, Some("file-exists")));
    assert_eq!(std::fs::read_to_string(shelf.folder.join("there.txt")).unwrap(), "before");
    let large = shelf.put("large.bin", vec![0; (1 << 20) + 1]).await;
    assert_eq!((large.status, large.json()["code"].as_str()), (413, Some("file-too-large")));
    let names = || std::fs::read_dir(shelf.folder.path()).unwrap().count();
    assert_eq!(names(), 2, "nothing of it is left");
    assert_eq!(shelf.get(&shelf.path("get", "there.txt")).await.status, 403, "nothing may be taken here");
    let foreign = Ask::post("shell", &shelf.path("put", "evil.txt"), "evil")
        .header("origin", "https://evil.test")
        .header("accept", "application/json")
        .signed_in(&shelf.room.vendor);
    shelf.room.ask(foreign).await.expect_problem(403, "foreign-form");
    assert_eq!(names(), 2);
}

impl Shelf {
    /// A file that is put while the test looks on: begun, and there under a name of its own.
    fn putting(&self, name: &str) -> (Feed, Ask) {
        let (feed, body) = tests::fed();
        let ask = Ask::post("shell", &self.path("put", name), "")
            .body(body)
            .header("origin", "https://shell.hospital.test:8443")
            .header("content-type", "application/octet-stream")
            .header("accept", "application/json")
            .signed_in(&self.room.vendor);
        (feed, ask)
    }

    fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        std::fs::read_dir(self.folder.path()).unwrap().map(name).collect()
    }

    async fn begins(&self) {
        let begun = async || self.names().iter().any(|name| name.ends_with(".part")).then_some(());
        eventually("the file on its way", begun).await;
    }

    fn ways(&self) -> Vec<String> {
        self.carried().into_iter().map(|(way, ..)| way).collect()
    }
}

type Feed = tokio::sync::mpsc::Sender<http_body::Frame<bytes::Bytes>>;

async fn feed(feed: &Feed, text: &'static str) {
    feed.send(http_body::Frame::data(bytes::Bytes::from_static(text.as_bytes()))).await.unwrap();
}

#[tokio::test]
async fn a_file_whose_name_is_taken_meanwhile_is_on_record_as_undone() {
    let shelf = Shelf::open("upload").await;
    let (pieces, ask) = shelf.putting("taken.txt");
    let meanwhile = async {
        feed(&pieces, "half").await;
        shelf.begins().await;
        shelf.folder.write("taken.txt", "theirs");
        feed(&pieces, " and half").await;
        drop(pieces);
    };
    let (answer, ()) = tokio::join!(shelf.room.ask(ask), meanwhile);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some("file-exists")));
    assert_eq!(std::fs::read_to_string(shelf.folder.join("taken.txt")).unwrap(), "theirs");
    assert_eq!(
        (shelf.ways(), shelf.names()),
        (vec!["upload".into(), "upload-undone".into()], vec!["taken.txt".into()])
    );
}

#[tokio::test]
async fn a_file_that_breaks_off_leaves_nothing_and_is_on_record() {
    let shelf = Shelf::open("upload").await;
    let (pieces, ask) = shelf.putting("half.txt");
    let breaks_off = async {
        feed(&pieces, "half").await;
        shelf.begins().await;
    };
    // Who asked goes away in the middle.
    tokio::select! {
        answer = shelf.room.ask(ask) => panic!("{}", answer.status),
        () = breaks_off => {}
    }
    eventually("it is on record", async || (!shelf.ways().is_empty()).then_some(())).await;
    assert_eq!((shelf.ways(), shelf.names()), (vec!["upload-cut".to_owned()], Vec::new()));
}

#[tokio::test]
async fn what_lies_outside_the_folders_is_not_reached_by_links_either() {
    let (shelf, elsewhere) = (Shelf::open("both").await, Folder::new());
    let secret = elsewhere.write("secret", "secret");
    std::os::unix::fs::symlink(&secret, shelf.folder.join("link")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), shelf.folder.join("way")).unwrap();
    let outside = format!("/files/get{}", secret.display());
    for path in [shelf.path("get", "link"), shelf.path("get", "way/secret"), shelf.path("at", "way"), outside] {
        let answer = shelf.get(&path).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("not-a-folder-of-yours")), "{path}");
    }
    assert_eq!(shelf.put("way/new.txt", "x").await.status, 403);
    assert!(!elsewhere.join("new.txt").exists());
    assert_eq!(shelf.get(&shelf.path("get", "nothing")).await.status, 404);
    assert_eq!(shelf.get(&shelf.path("get", "../secret")).await.status, 400, "it is no path");
    assert!(shelf.carried().is_empty());
}

#[tokio::test]
async fn files_are_carried_by_rule() {
    let (folder, sshd) = (Folder::new(), SshServer::start());
    folder.write("a.txt", "a");
    let more = format!("files = \"both\"\nfolders = [\"{}\"]", folder.path().display());
    let only = RULES.replace("actions = [\"connect\", \"read\"]", "actions = [\"connect\"]");
    let room = Room::with(sshd.address(), &sshd.terminal(&more), |plan| plan.rules(&only)).await;
    let path = format!("/files/get{}/a.txt", folder.path().display());
    room.ask(room.get(&path)).await.expect_problem(403, "action-not-allowed");
    let shown = room.ask(room.get("/files")).await;
    shown.expect_problem(403, "action-not-allowed");
    room.ask(room.get("/terminal").as_browser()).await.expect(200);
}
