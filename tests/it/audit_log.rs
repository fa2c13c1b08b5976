//! The record of what happened: nothing without it, nothing in it that should not be, and no byte changed unnoticed.

use std::fs;
use std::path::{Path, PathBuf};

use tests::{Ask, eventually};

use crate::ward::Ward;

#[tokio::test]
async fn every_way_a_request_can_end_is_recorded() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    ward.caller.ask(ward.get("/read")).await.expect(200);
    ward.caller.ask(ward.ask("POST", "/write")).await.expect(200);
    ward.caller.ask(ward.get("/status/404")).await.expect(404);
    ward.caller.ask(Ask::new("DELETE", "emr", "/refused").signed_in(&nurse)).await.expect(403);
    ward.caller.ask(Ask::get("emr", "/anonymous")).await.expect(401);
    ward.caller.ask(Ask::get("emr", "/a%00b")).await.expect(400);
    let records = ward.hospital.records();
    for (path, action, status) in [("/read", "read", 200), ("/write", "write", 200), ("/status/404", "read", 404)] {
        let opening = records.opened(path).only().clone();
        let closing = eventually("the closing line", async || ward.hospital.records().closing(&opening).cloned()).await;
        assert_eq!((&opening["act"], &closing["st"]), (&action.into(), &status.into()), "{path}");
        for field in ["ts", "id", "sub", "login", "role", "sid", "dev", "ip", "zone", "app", "host", "m", "rule", "pol"]
        {
            assert!(!opening[field].is_null(), "{path} without {field}: {opening}");
        }
    }
    let refused = records.with("ev", "refused");
    assert_eq!(refused.with("path", "/refused").only()["why"], "action-not-allowed");
    assert_eq!(refused.with("path", "/anonymous").only()["why"], "sign-in-required");
    assert_eq!(records.with("ev", "bad-request").len(), 1);
    assert_eq!(records.with("ev", "started").len(), 1);
    assert_eq!(records.with("ev", "device-added").only()["dev"], "ward-pc-1");
}

#[tokio::test]
async fn numbers_run_without_a_gap_and_ids_are_never_used_twice() {
    let ward = Ward::open().await;
    for turn in 0..20 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    let records = ward.hospital.records();
    let numbers: Vec<u64> = records.all().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    let first = numbers[0];
    assert!(numbers.iter().enumerate().all(|(at, number)| *number == first + at as u64), "{numbers:?}");
    let mut ids: Vec<String> = records.with("ev", "open").all().iter().map(|one| one["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn no_secret_and_no_query_is_in_the_record_or_in_the_log() {
    let ward = Ward::open().await;
    let ask = ward.get("/patients?name=SHIKEN%5EKANJA").header("authorization", "Bearer secret-of-the-app");
    ward.caller.ask(ask).await.expect(200);
    ward.caller.ask(Ask::get("emr", "/a").header("cookie", "__Host-sekimori=not-a-token-but-secret")).await.expect(401);
    let everything = format!("{:?}{}", ward.hospital.records(), ward.hospital.log_text());
    for secret in ["SHIKEN", "KANJA", "secret-of-the-app", "not-a-token-but-secret", ward.doctor.token("emr")] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_name_cannot_write_lines_of_its_own() {
    let ward = Ward::open().await;
    let login = "doctor\n{\"v\":1,\"ev\":\"open\"}";
    let evil = tests::Session::open_with(&ward.hospital, login, &["doctor"], Some(&ward.terminal), &["emr"]).await;
    ward.caller.ask(Ask::get("emr", "/evil").signed_in(&evil)).await.expect(200);
    let records = ward.hospital.records();
    assert_eq!(records.opened("/evil").only()["login"], login);
    assert!(records.all().iter().all(|record| record["seq"].is_u64()), "each line is one of ours: {records:#?}");
}

#[tokio::test]
async fn tail_shows_the_last_lines() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/last")).await.expect(200);
    let told = ward.hospital.run(&["audit", "tail"]).ok();
    assert!(told.out.contains("/last"), "{}", told.out);
}

#[tokio::test]
async fn a_whole_log_verifies_and_says_how_much_it_covers() {
    let mut ward = Ward::open().await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    ward.hospital.stop();
    let told = ward.hospital.run(&["audit", "verify", "--format", "json"]).ok().json();
    assert_eq!(told["lines"], ward.hospital.records().len(), "{told}");
    assert_eq!(told["lines_signed"], told["lines"], "a stopped log is signed to its end");
}

#[tokio::test]
async fn any_byte_of_a_copy_that_is_changed_is_found_and_located() {
    let mut ward = Ward::open().await;
    for turn in 0..50 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    ward.hospital.stop();
    let copy = ward.hospital.folder().join("copy");
    copy_folder(&ward.hospital.folder().join("state/audit"), &copy);
    let segment = segment(&copy);
    let bytes = fs::read(&segment).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 23) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&segment, &changed).unwrap();
        let told = ward.hospital.run(&["audit", "verify", "--dir", &copy.display().to_string()]);
        assert_eq!(told.code, Some(1), "byte {at}: {} {}", told.out, told.err);
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let place = format!("{}:{line}", segment.file_name().unwrap().to_string_lossy());
        let said = told.out + &told.err;
        assert!(said.contains(&place) || said.contains(&format!(":{}", line + 1)), "byte {at}, {place}: {said}");
    }
    fs::write(&segment, &bytes).unwrap();
    ward.hospital.run(&["audit", "verify", "--dir", &copy.display().to_string()]).ok();
}

#[tokio::test]
async fn a_changed_tile_or_checkpoint_is_found_too() {
    let mut ward = Ward::open().await;
    for turn in 0..300 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    ward.hospital.stop();
    let copy = ward.hospital.folder().join("copy");
    copy_folder(&ward.hospital.folder().join("state/audit"), &copy);
    let others: Vec<PathBuf> = files(&copy).into_iter().filter(|file| is_proof(file)).collect();
    assert!(others.len() > 2, "{:?}", files(&copy));
    for file in others {
        let bytes = fs::read(&file).unwrap();
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(&file, &changed).unwrap();
        let told = ward.hospital.run(&["audit", "verify", "--dir", &copy.display().to_string()]);
        assert_eq!(told.code, Some(1), "{}: {} {}", file.display(), told.out, told.err);
        fs::write(&file, &bytes).unwrap();
    }
}

/// Whether a file of the log is a tile or holds checkpoints.
fn is_proof(file: &Path) -> bool {
    let path = file.display().to_string();
    (path.contains("/tile/") || path.contains("checkpoint")) && fs::metadata(file).unwrap().len() > 0
}

#[tokio::test]
async fn a_line_that_is_left_out_and_a_log_cut_short_are_found() {
    let mut ward = Ward::open().await;
    for turn in 0..10 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    ward.hospital.stop();
    let copy = ward.hospital.folder().join("copy");
    copy_folder(&ward.hospital.folder().join("state/audit"), &copy);
    let segment = segment(&copy);
    let text = fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let without_one: String = lines.iter().enumerate().filter(|(at, _)| *at != 5).map(|(_, line)| *line).collect();
    let swapped: String = [&lines[..5], &[lines[6], lines[5]], &lines[7..]].concat().concat();
    let shortened: String = lines[..lines.len() - 3].concat();
    for (what, text) in [("without a line", without_one), ("swapped", swapped), ("shortened", shortened)] {
        fs::write(&segment, text).unwrap();
        assert_eq!(
            ward.hospital.run(&["audit", "verify", "--dir", &copy.display().to_string()]).code,
            Some(1),
            "{what}"
        );
    }
}

fn segment(folder: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> =
        files(folder).into_iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl")).collect();
    found.sort();
    found.into_iter().next().unwrap_or_else(|| panic!("a segment among {:?}", files(folder)))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn copy_folder(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
}
