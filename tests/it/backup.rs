//! Backups: taken while the gateway works, put back on a bare folder, and every way in which one is not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Run, eventually, run, sekimori};

use crate::crash::ask_until_the_end;
use crate::ward::Ward;

/// How many backups are killed: so many, and more where each was too fast to be cut short.
const KILLS_MIN: usize = 12;
const KILLS_MAX: usize = 60;

/// A ward with a recovery key, whose secret half lies in `safe`.
async fn ward() -> Ward {
    ward_with("").await
}

async fn ward_with(more: &str) -> Ward {
    let more = more.to_owned();
    let mut ward = Ward::open_with(|plan| plan.with_console()).await;
    let folder = ward.hospital.folder().path().to_owned();
    let out = run(&folder, &["audit", "key", "escrow", "--out", "safe/recovery", "--elsewhere"]).ok().out;
    let key = out.trim().trim_start_matches("recovery_key = ").to_owned();
    let mut plan = ward.hospital.plan().clone().set("backup", &format!("recovery_keys = [{key}]"));
    if !more.is_empty() {
        plan = plan.set("backup", &more);
    }
    ward.hospital.reload(plan);
    ward
}

fn back_up(ward: &Ward) -> Value {
    ward.hospital.run(&["backup", "--to", "backups", "--format", "json"]).ok().json()
}

/// The log's key as it was kept apart.
fn key(ward: &Ward) -> String {
    fs::read_to_string(ward.hospital.folder().join("state/audit/verifier-key")).unwrap().trim().to_owned()
}

fn restore(ward: &Ward, into: &str, more: &[&str]) -> Run {
    let key = key(ward);
    let words = ["restore", "--from", "backups", "--into", into, "--recovery-key", "safe/recovery", "--key", &key];
    run(ward.hospital.folder().path(), &[&words, more].concat())
}

fn verify(ward: &Ward, more: &[&str]) -> Run {
    let key = key(ward);
    run(ward.hospital.folder().path(), &[&["backup", "verify", "--from", "backups", "--key", &key], more].concat())
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let to = to.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
}

/// Requests of eight clients until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn begin(ward: &Ward) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = |_| {
            let (caller, doctor) = (ward.caller.clone(), ward.doctor.clone());
            tokio::spawn(ask_until_the_end(caller, doctor, Arc::clone(&sent), Arc::clone(&stop)))
        };
        let clients = (0..8).map(one).collect();
        Self { stop, sent, clients }
    }

    async fn reach(&self, count: usize) {
        let begin = Instant::now();
        while self.sent.load(Ordering::Relaxed) < count {
            assert!(begin.elapsed() < Duration::from_secs(120), "the load goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answered = Vec::new();
        for client in self.clients {
            answered.extend(client.await.unwrap());
        }
        answered
    }
}

/// What a command says on the configuration in a folder.
fn told(folder: &Path, words: &[&str]) -> String {
    run(folder, &[words, &["--config", "sekimori.toml"]].concat()).ok().out
}

/// What it lists, but for the moments at which somebody was seen last.
fn listed(folder: &Path, what: &str) -> Vec<Value> {
    let mut listed: Vec<Value> = told(folder, &[what, "list", "--format", "json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for one in &mut listed {
        one.as_object_mut().unwrap().remove("seen_at");
    }
    listed
}

#[tokio::test]
async fn a_node_that_is_backed_up_under_load_comes_back_whole_on_a_bare_folder_and_says_so() {
    let mut ward = ward().await;
    ward.hospital.run(&["user", "add", "suzuki", "--name", "鈴木", "--role", "nurse"]).ok();
    let load = Load::begin(&ward);
    load.reach(300).await;
    back_up(&ward);
    load.reach(900).await;
    let made = back_up(&ward);
    load.end().await;
    let lines = made["lines"].as_u64().unwrap();
    let good = verify(&ward, &["--recovery-key", "safe/recovery", "--format", "json"]).ok().json();
    assert_eq!((&good["good"], &good["opened"], &good["number"]), (&true.into(), &true.into(), &2.into()));
    eventually("that the log was handed over is recorded", async || {
        ward.hospital.records().with("ev", "log-read").with("why", "backup").all().first().map(|_| ())
    })
    .await;
    let folder = ward.hospital.folder().path().to_owned();
    let asked = ["user", "device", "session"];
    let before = asked.map(|what| listed(&folder, what));
    assert!(before.iter().all(|listed| !listed.is_empty()), "{before:?}");
    let policy = told(&folder, &["policy", "show"]);
    assert!(ward.hospital.stop().success());

    // The whole node is gone: what is left is its folder of backups, the safe, and the key on paper.
    let paper = key(&ward);
    let words =
        ["restore", "--from", "backups", "--into", "new/node", "--recovery-key", "safe/recovery", "--key", &paper];
    let said = run(&folder, &words).ok().out;
    assert!(said.contains("backup 2") && said.contains("もう一度失効"), "{said}");
    let restored = folder.join("new/node");
    for (what, before) in asked.iter().zip(&before) {
        assert_eq!(&listed(&restored, what), before, "{what}");
    }
    assert_eq!(told(&restored, &["policy", "show"]), policy);
    let verified = told(&restored, &["audit", "verify", "--key", &paper, "--format", "json"]);
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert!(verified["lines"].as_u64().unwrap() > lines);
    let log = told(&restored, &["audit", "export", "--format", "jsonl"]);
    let facts: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fact = facts.iter().find(|fact| fact["ev"] == "restored").unwrap();
    assert_eq!((&fact["why"], &fact["n"]), (&"backup".into(), &lines.into()));
    assert!(fact["seq"].as_u64().unwrap() >= lines, "after what the backup holds");
    assert!(fact["reason"].as_str().unwrap().starts_with("backup 2 of "), "{fact}");

    // It serves where it is now, with the sessions of that moment.
    for gone in ["state", "sekimori.toml", "wild.pem", "wild.key"] {
        let path = folder.join(gone);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    for (name, bytes) in files(&restored) {
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(&to, bytes).unwrap();
        tests::make_private(&to);
    }
    ward.hospital.start();
    ward.caller.ask(ward.get("/after")).await.expect(200);
    assert_eq!(ward.hospital.records().opened("/after").len(), 1);
    ward.hospital.run(&["audit", "verify", "--key", &paper]).ok();
}

#[tokio::test]
async fn an_hourly_backup_costs_little_and_what_is_not_known_to_be_whole_is_told_by_doctor() {
    let ward = ward_with("folder = \"backups\"").await;
    let doctor = |ward: &Ward| {
        let found = ward.hospital.run(&["doctor", "--format", "json"]).lines();
        let one = found.into_iter().find(|one| one["what"] == "backup").unwrap();
        (one["grade"].as_str().unwrap().to_owned(), one["says"].as_str().unwrap().to_owned())
    };
    assert_eq!(doctor(&ward).0, "warning");
    let load = Load::begin(&ward);
    load.reach(4_000).await;
    load.end().await;
    let back_up = || ward.hospital.run(&["backup", "--format", "json"]).ok().json();
    let first = back_up();
    let once = first["written"].as_u64().unwrap();
    let mut made = 1;
    // Segments that were closed under the load may be archived meanwhile, and are written once more then.
    let again = eventually("one costs little", async || {
        made += 1;
        back_up()["written"].as_u64().filter(|again| again * 3 < once * 2)
    })
    .await;
    eprintln!("{} bytes backed up: {once} written at first, {again} an hour later", first["bytes"]);
    assert_eq!(doctor(&ward).0, "warning", "made is not verified");
    verify(&ward, &["--config", "sekimori.toml"]).ok();
    let (grade, says) = doctor(&ward);
    assert_eq!(grade, "good", "{says}");
    assert!(says.contains(&format!("backup {made} in")) && says.contains("not opened"), "{says}");
    let listed = run(ward.hospital.folder().path(), &["backup", "list", "--from", "backups", "--format", "json"]).ok();
    assert_eq!(listed.lines().len(), made);
}

#[tokio::test]
async fn a_node_believes_no_backups_that_another_key_signed_whichever_key_lies_beside_them() {
    let (ward, other) = (ward().await, ward().await);
    back_up(&ward);
    back_up(&other);
    let (folder, theirs) = (ward.hospital.folder().path(), other.hospital.folder().join("backups"));
    let words = ["backup", "verify", "--from", "backups", "--config", "sekimori.toml"];
    run(folder, &words).ok();
    fs::remove_dir_all(folder.join("backups")).unwrap();
    copy(&theirs, &folder.join("backups"));
    run(folder, &words[..4]).ok();
    let refused = run(folder, &words);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(refused.err.contains("is not the key of the log of this node"), "{}", refused.err);
}

#[tokio::test]
async fn secrets_and_patients_are_never_in_the_clear_in_a_backup_and_without_a_key_there_is_none() {
    let ward = Ward::open_with(|plan| plan.with_directory()).await;
    let refused = ward.hospital.run(&["backup", "--to", "backups"]);
    assert_eq!(refused.code, Some(64));
    assert!(refused.err.contains("no recovery key is named"), "{}", refused.err);
    assert!(!ward.hospital.folder().join("backups").exists());
    drop(ward);

    let ward = self::ward().await;
    ward.caller.ask(ward.get("/patients/12345678")).await.expect(200);
    back_up(&ward);
    let node = ward.hospital.folder();
    let key = fs::read(node.join("wild.key")).unwrap();
    let secrets: [&[u8]; 4] = [&key[30..90], b"/patients/12345678", b"SQLite format 3", b"[facility]"];
    for (name, bytes) in files(&node.join("backups")) {
        for secret in secrets {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!is_there, "{}: {}", name.display(), String::from_utf8_lossy(secret));
        }
    }
}

#[tokio::test]
async fn a_backup_cut_short_mixed_changed_or_of_a_later_program_is_refused_with_its_place() {
    let ward = ward().await;
    back_up(&ward);
    let folder = ward.hospital.folder().path().to_owned();
    copy(&folder.join("backups"), &folder.join("monday"));
    ward.caller.ask(ward.get("/tuesday")).await.expect(200);
    back_up(&ward);
    let refused = |what: &str| {
        let verified = verify(&ward, &[]);
        let restored = restore(&ward, "back", &[]);
        for run in [&verified, &restored] {
            assert_eq!(run.code, Some(1), "{what}: {}", run.err);
            assert!(run.err.contains(what), "{what}: {}", run.err);
        }
        assert!(!folder.join("back").exists(), "nothing half restored");
        let left = fs::read_dir(&folder).unwrap().flatten();
        assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().contains("restoring")).count(), 0);
    };
    // Of Tuesday's own pack every byte is needed; of Monday's only what did not change.
    let (monday, packs) = (files(&folder.join("monday/packs")), files(&folder.join("backups/packs")));
    let (name, whole) = packs.iter().find(|(name, _)| !monday.contains_key(*name)).unwrap();
    let pack = folder.join("backups/packs").join(name);
    fs::write(&pack, &whole[..whole.len() - 100]).unwrap();
    refused("is cut short");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    fs::write(&pack, &changed).unwrap();
    refused("is not what was written");
    fs::remove_file(&pack).unwrap();
    refused("is missing");
    fs::write(&pack, whole).unwrap();

    // Tuesday's manifest over Monday's files, and the other way round.
    let tuesday = folder.join("backups/backups/00000002.backup");
    fs::copy(&tuesday, folder.join("monday/backups/00000002.backup")).unwrap();
    let mixed = run(&folder, &["backup", "verify", "--from", "monday"]);
    assert!(mixed.code == Some(1) && mixed.err.contains("is missing"), "{}", mixed.err);
    let manifest = fs::read(&tuesday).unwrap();
    fs::copy(folder.join("monday/backups/00000001.backup"), &tuesday).unwrap();
    refused("it was put here from elsewhere");
    fs::write(&tuesday, &manifest[..manifest.len() - 20]).unwrap();
    refused("cut, changed or another's");
    fs::write(&tuesday, &manifest).unwrap();

    fs::create_dir(folder.join("own")).unwrap();
    fs::write(folder.join("own/file"), "somebody's").unwrap();
    let over = restore(&ward, "own", &[]);
    assert!(over.code == Some(1) && over.err.contains("is not empty"), "{}", over.err);
    run(&folder, &["audit", "key", "escrow", "--out", "safe/another", "--elsewhere"]).ok();
    let stranger = verify(&ward, &["--recovery-key", "safe/another"]);
    assert!(stranger.code == Some(1) && stranger.err.contains("does not open"), "{}", stranger.err);
    let other = run(&folder, &["backup", "verify", "--from", "backups", "--key", "a+b+c"]);
    assert_eq!(other.code, Some(64));
    verify(&ward, &["--recovery-key", "safe/recovery"]).ok();
}

#[tokio::test]
async fn no_restore_hides_that_records_are_missing() {
    let mut ward = ward().await;
    back_up(&ward);
    let folder = ward.hospital.folder().path().to_owned();
    assert!(ward.hospital.stop().success());
    copy(&folder.join("state/audit"), &folder.join("older"));
    ward.hospital.start();
    for number in 0..50 {
        ward.caller.ask(ward.get(&format!("/missing/{number}"))).await.expect(200);
    }
    assert!(ward.hospital.stop().success());
    let paper = key(&ward);
    fs::copy(folder.join("state/audit/checkpoint"), folder.join("witness")).unwrap();
    copy(&folder.join("state/audit"), &folder.join("newer"));

    // The restored log is whole by itself; what a witness kept shows what is missing, before it grows and after.
    restore(&ward, "node", &[]).ok();
    let held = |log: &str| {
        let words = ["audit", "verify", "--dir", log, "--key", &paper, "--checkpoint", "witness"];
        run(&folder, &words)
    };
    held("newer").ok();
    // As the page has it: the checkpoint of a backup, out of the list of them. The list itself is none, and that is no
    // word about the log.
    let list = ["backup", "list", "--from", "backups", "--key", &paper, "--format", "json"];
    let list = run(&folder, &list).ok().out;
    let newest: Value = serde_json::from_str(list.lines().last().unwrap()).unwrap();
    let audit =
        |file: &str| run(&folder, &["audit", "verify", "--dir", "newer", "--key", &paper, "--checkpoint", file]);
    fs::write(folder.join("of-backup"), format!("{}\n", newest["checkpoint"].as_str().unwrap())).unwrap();
    audit("of-backup").ok();
    for (text, word) in [(list.as_str(), "is JSON"), ("sekimori.example/log\n12\nroot\n", "holds no checkpoint")] {
        fs::write(folder.join("none"), text).unwrap();
        let said = audit("none");
        assert!(said.code == Some(64) && said.err.contains(word), "{:?} {}", said.code, said.err);
    }
    run(&folder, &["audit", "verify", "--dir", "node/state/audit", "--key", &paper]).ok();
    let short = held("node/state/audit");
    assert!(short.code == Some(1) && short.out.contains("are missing"), "{} {}", short.out, short.err);

    // An older log in the place of the newer: the gateway does not go on with it silently.
    fs::remove_dir_all(folder.join("state/audit")).unwrap();
    copy(&folder.join("older"), &folder.join("state/audit"));
    let start = run(&folder, &["serve", "--config", "sekimori.toml"]);
    assert_eq!(start.code, Some(69), "{}", start.err);
    assert!(start.err.contains("The store knows a later checkpoint") && start.err.contains("go-on"), "{}", start.err);
    fs::remove_dir_all(folder.join("state/audit")).unwrap();
    let start = run(&folder, &["serve", "--config", "sekimori.toml"]);
    assert_eq!(start.code, Some(69), "a log that is gone is no new one: {}", start.err);
    copy(&folder.join("older"), &folder.join("state/audit"));
    ward.hospital.run(&["audit", "go-on", "--why", "the disk was lost; what is left lies in the safe"]).ok();
    ward.hospital.start();
    let records = ward.hospital.records();
    let said = records.with("ev", "restored");
    assert_eq!(said.only()["why"], "accepted");
    assert_eq!(said.only()["reason"], "the disk was lost; what is left lies in the safe");
    assert!(said.only()["n"].as_u64().unwrap() >= 100, "{}", said.only());
    for number in 0..100 {
        ward.caller.ask(ward.get(&format!("/later/{number}"))).await.expect(200);
    }
    assert!(ward.hospital.stop().success());
    let other = held("state/audit");
    assert!(other.code == Some(1) && other.out.contains("others were written in their place"), "{}", other.out);
    // Whoever goes on is told that there is nothing to go on with.
    assert_eq!(ward.hospital.run(&["audit", "go-on", "--why", "again"]).code, Some(1));
}

#[tokio::test]
async fn a_log_in_another_folder_is_gone_on_with_and_says_that_it_is_another() {
    let mut ward = ward().await;
    assert!(ward.hospital.stop().success());
    let plan = ward.hospital.plan().clone().set("audit", "directory = \"elsewhere\"");
    ward.hospital.folder().write("sekimori.toml", plan.text());
    ward.hospital.start();
    let fact = eventually("the log says that it is another", async || {
        let out = ward.hospital.run(&["audit", "export", "--format", "jsonl"]).ok().out;
        out.lines().find(|line| line.contains("\"ev\":\"restored\"")).map(str::to_owned)
    })
    .await;
    assert!(fact.contains("\"why\":\"moved\"") && fact.contains("state/audit"), "{fact}");
}

/// Where a backup is when it is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// It writes its packs.
    Packing,
    /// Its manifest has its name.
    Kept,
}

/// The names of a folder that end so.
fn named(folder: &Path, end: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == end)).collect()
}

/// Begins a backup and kills it at that moment; gives whether there is one more then.
fn kill_at(moment: Moment, folder: &Path) -> bool {
    let (packs, kept) = (folder.join("backups/packs"), folder.join("backups/backups"));
    let (marks, before) = (named(&packs, "unfinished"), named(&kept, "backup"));
    let mut child = std::process::Command::new(sekimori())
        .args(["backup", "--to", "backups", "--config", "sekimori.toml"])
        .current_dir(folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let is_there = || match moment {
        Moment::Packing => !named(&packs, "unfinished").is_subset(&marks),
        Moment::Kept => named(&kept, "backup") != before,
    };
    while !is_there() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().ok();
    child.wait().unwrap();
    named(&kept, "backup") != before
}

#[tokio::test]
async fn killed_at_any_moment_a_backup_is_whole_or_none() {
    let ward = ward().await;
    let folder = ward.hospital.folder().path().to_owned();
    let load = Load::begin(&ward);
    load.reach(500).await;
    let (mut cut_short, mut finished) = (0, 0);
    for turn in 0..KILLS_MAX {
        let moment = if turn % 2 == 0 { Moment::Packing } else { Moment::Kept };
        let place = folder.clone();
        let is_one_more = tokio::task::spawn_blocking(move || kill_at(moment, &place)).await.unwrap();
        assert!(is_one_more || moment == Moment::Packing, "its manifest had its name, or it ended by itself");
        if is_one_more {
            finished += 1;
        } else {
            cut_short += 1;
        }
        if finished > 0 {
            verify(&ward, &["--recovery-key", "safe/recovery"]).ok();
        }
        if turn >= KILLS_MIN && cut_short > 1 {
            break;
        }
    }
    assert!(cut_short > 0 && finished > 0, "{cut_short} were cut short, {finished} were not");
    back_up(&ward);
    load.end().await;
    verify(&ward, &["--recovery-key", "safe/recovery"]).ok();
    assert!(!folder.join("state/backup-store.sqlite.new").exists(), "no view of the store stays");
}

#[tokio::test]
async fn a_disk_that_is_full_gives_no_backup_and_hurts_none() {
    let ward = ward().await;
    back_up(&ward);
    let folder = ward.hospital.folder().path().to_owned();
    let before = files(&folder.join("backups"));
    let mut random = vec![0; 3 << 20];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    ward.hospital.folder().write("state/large", random);
    // No file may become longer than this: what a full disk is to a program.
    let limited = |to: &str| {
        let words = format!(
            "ulimit -f 2048; trap '' XFSZ; exec {} backup --to {to} --config sekimori.toml",
            sekimori().display()
        );
        let run = std::process::Command::new("bash").args(["-c", &words]).current_dir(&folder).output().unwrap();
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let (code, said) = limited("fresh");
    assert!(code == Some(69) && said.contains(".pack"), "{code:?} {said}");
    let none = run(&folder, &["backup", "verify", "--from", "fresh"]);
    assert!(none.code == Some(1) && none.err.contains("holds no backup"), "{}", none.err);
    assert_eq!(limited("backups").0, Some(69));
    assert!(files(&folder.join("backups")) == before, "what was there is as it was");
    verify(&ward, &[]).ok();
}
