//! What a killed process, a torn line and a lost file leave behind, and what opening the log makes of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use config::OnLogFailure::Refuse;

use crate::segment;
use crate::testing::{Folder, Ward, served};
use crate::{LogProblem, Recovery, verify};

const CHILD_FOLDER: &str = "SEKIMORI_AUDIT_CHILD_FOLDER";
const CHILD_SEALS: &str = "SEKIMORI_AUDIT_CHILD_SEALS";

/// A log of small segments that are archived while it grows, from some round on encrypted.
fn archiving(folder: Folder, seals: bool) -> Ward {
    let ring = folder.path().join("keys/ring");
    let mut ward = Ward::in_folder(folder);
    ward.config.segment_bytes_max = 20_000;
    ward.config.open_accesses_max = 100_000;
    ward.config.archive = true;
    ward.config.encryption = seals.then_some(config::AuditEncryption { ring, recovery_key: None });
    ward
}

/// Not a test: the child of the one below. It admits, says so, and closes every other access, until it is killed.
#[test]
#[ignore = "run by `killed_at_any_moment_no_admitted_access_is_lost` as its child"]
fn child_records_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let mut ward = archiving(Folder::existing(folder.into()), std::env::var(CHILD_SEALS).is_ok_and(|yes| yes == "yes"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = ward.open();
    let recorder = log.recorder();
    let mut open = Vec::new();
    loop {
        let authorized = if open.len() % 8 == 7 { ward.write() } else { ward.read() };
        let admitted = runtime.block_on(recorder.admit(authorized, Refuse)).unwrap();
        println!("admitted {}", admitted.permit().access().request);
        let (_, receipt) = admitted.open();
        if open.len() % 2 == 0 {
            open.push(Some(receipt));
        } else {
            receipt.close(served());
            open.push(None);
        }
    }
}

#[test]
fn killed_at_any_moment_no_admitted_access_is_lost() {
    let folder = Folder::new();
    let (mut admitted_in_all, mut archived) = (0, 0);
    for round in 0..4 {
        let seals = round >= 2;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trials::crash::child_records_until_it_is_killed", "--ignored", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .env(CHILD_SEALS, if seals { "yes" } else { "no" })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut admitted = Vec::new();
        let wanted = 450 + round * 277;
        while admitted.len() < wanted {
            let line = lines.next().unwrap().unwrap();
            admitted.extend(line.strip_prefix("admitted ").map(str::to_owned));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        admitted.extend(lines.map_while(Result::ok).filter_map(|l| l.strip_prefix("admitted ").map(str::to_owned)));
        admitted_in_all += admitted.len();

        let ward = archiving(Folder::existing(folder.path().to_owned()), seals);
        let (log, recovery) = ward.try_open().unwrap();
        log.stop();
        assert!(recovery.unknown as usize >= wanted / 2, "{recovery:?}");
        let (opened, closed) = (ward.events("open"), ward.events("close"));
        assert_eq!(opened.len(), closed.len(), "every access is closed once");
        for id in &admitted {
            assert!(opened.iter().any(|line| line["id"] == id.as_str()), "{id} was admitted and is not in the log");
        }
        let verified = verify(ward.reader(), None).unwrap();
        assert_eq!(verified.lines, verified.lines_signed);
        assert!(opened.len() >= admitted_in_all);
        archived = verified.segments_archived;
    }
    assert!(archived > 0, "it was killed while segments were archived");
}

async fn three_accesses(ward: &mut Ward) {
    let log = ward.open();
    for _ in 0..3 {
        log.recorder().admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
    log.stop();
}

#[tokio::test]
async fn a_torn_line_is_cut_kept_aside_and_recorded() {
    let mut ward = Ward::new();
    three_accesses(&mut ward).await;
    let path = segment::list(ward.directory()).unwrap()[0].path.clone();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"v\":1,\"seq\":7,\"ts").unwrap();
    let (log, recovery) = ward.try_open().unwrap();
    log.stop();
    assert_eq!(recovery, Recovery { unknown: 0, torn_bytes: 18, merged: 0 });
    assert_eq!(ward.events("recovered")[0]["torn"], 18);
    let kept = std::fs::read(ward.directory().join("torn/00000000000000000007")).unwrap();
    assert_eq!(kept, b"{\"v\":1,\"seq\":7,\"ts");
    assert!(verify(ward.directory(), None).is_ok());
}

#[tokio::test]
async fn accesses_open_at_the_crash_are_closed_as_unknown_however_many_segments_ago_they_began() {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = 3_000;
    let log = ward.open();
    let recorder = log.recorder();
    let forgotten = recorder.admit(ward.read(), Refuse).await.unwrap();
    let id = forgotten.permit().access().request.to_string();
    for _ in 0..30 {
        recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
    log.stop();
    // Closed after the stop: never written, as in a crash.
    drop(forgotten);
    let (log, recovery) = ward.try_open().unwrap();
    log.stop();
    assert!(verify(ward.directory(), None).unwrap().segments > 4);
    assert_eq!(recovery.unknown, 1);
    let unknown = ward.lines().into_iter().find(|line| line["end"] == "unknown").unwrap();
    assert_eq!(unknown["id"], id.as_str());
    assert_eq!(ward.try_open().unwrap().1, Recovery::default());
}

#[tokio::test]
async fn a_log_shorter_than_its_checkpoint_is_not_gone_on_with() {
    let mut ward = Ward::new();
    three_accesses(&mut ward).await;
    let path = segment::list(ward.directory()).unwrap()[0].path.clone();
    let bytes = std::fs::read(&path).unwrap();
    let cut = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(&path, &bytes[..cut]).unwrap();
    let problem = ward.try_open().unwrap_err();
    assert!(matches!(problem, LogProblem::Damaged { .. }), "{problem}");
    assert!(problem.to_string().contains("7 lines were signed, but only 6 are there"), "{problem}");
}

#[tokio::test]
async fn a_log_whose_lines_were_changed_is_not_gone_on_with() {
    let mut ward = Ward::new();
    three_accesses(&mut ward).await;
    let path = segment::list(ward.directory()).unwrap()[0].path.clone();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("n.sato", "n.kato", 1)).unwrap();
    let problem = ward.try_open().unwrap_err();
    assert!(problem.to_string().contains("not those that were signed"), "{problem}");
}

#[tokio::test]
async fn a_log_is_not_gone_on_with_under_another_key_or_name() {
    let mut ward = Ward::new();
    three_accesses(&mut ward).await;
    let key = ward.folder.path().join("audit-signing.key");
    let aside = ward.folder.path().join("aside");
    std::fs::rename(&key, &aside).unwrap();
    assert!(matches!(ward.try_open(), Err(LogProblem::Key { .. })));
    std::fs::rename(&aside, &key).unwrap();
    ward.config.origin = "sekimori.example/gw02".into();
    assert!(matches!(ward.try_open(), Err(LogProblem::Key { .. })));
    ward.config.origin = "two words".into();
    assert!(matches!(ward.try_open(), Err(LogProblem::Origin { .. })));
    ward.config.origin = "sekimori.example/gw01".into();
    std::fs::remove_file(ward.directory().join("checkpoint")).unwrap();
    assert!(matches!(ward.try_open(), Err(LogProblem::Damaged { .. })), "a checkpoint that vanished");
}

#[tokio::test]
async fn lost_tiles_are_made_again_from_the_lines() {
    let mut ward = Ward::new();
    let log = ward.open();
    let recorder = log.recorder();
    for _ in 0..300 {
        recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
    log.stop();
    std::fs::remove_dir_all(ward.directory().join("tile")).unwrap();
    assert!(verify(ward.directory(), None).is_err());
    ward.open().stop();
    assert!(verify(ward.directory(), None).is_ok());
}
