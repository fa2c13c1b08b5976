//! Whole recordings: written by the log, read back, checked, and kept from whoever would change them.

use std::path::PathBuf;
use std::time::Duration;

use policy::{Access, RequestId};
use serde_json::Value;

use super::{PatientsIn, Player, Tape, TapeHeader, TapeProblem, file};
use crate::testing::{Ward, clock};
use crate::{KeyRing, Keys, Log, Reader};

fn header() -> TapeHeader {
    let find = |text: &str| text.split("患者").skip(1).map(|rest| rest.chars().take(4).collect()).collect();
    let patients = Some(PatientsIn::new(std::sync::Arc::new(find)));
    TapeHeader { columns: 80, rows: 24, title: "PACS".into(), patients }
}

fn begin(log: &Log, access: &Access) -> Tape {
    run(log.tapes().begin(access, header())).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Records a short session, and stops the log.
fn recorded(ward: &mut Ward) -> (RequestId, PathBuf) {
    let log = ward.open();
    let access = ward.access("GET", "n.sato");
    let tape = begin(&log, &access);
    tape.output(b"$ ");
    tape.input_seen(b"cat \xe6\x82\xa3\xe8\x80\x854711\r");
    tape.output("cat 患者4711\r\nsecret of 4711\r\n$ ".as_bytes());
    tape.resize(100, 30);
    tape.output(b"\xff\xe5");
    tape.close();
    log.stop();
    let path = file::place(ward.directory(), &access.request.to_string()).path;
    (access.request, path)
}

fn text(reader: &Reader, id: RequestId) -> String {
    String::from_utf8(reader.recordings().text(id, usize::MAX).unwrap().unwrap().0).unwrap()
}

fn problems(ward: &Ward) -> Vec<String> {
    match crate::verify(ward.reader(), None) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_was_shown_is_recorded_and_the_log_vouches_for_it() {
    let mut ward = Ward::new();
    let (id, _) = recorded(&mut ward);
    let text = text(&ward.reader(), id);
    let mut lines = text.lines();
    let first: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&first["version"], &first["width"], &first["title"]), (&2.into(), &80.into(), &"PACS".into()));
    let events: Vec<(f64, String, String)> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: String = events.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, "omoroo", "{events:?}");
    assert_eq!(events[1].2, "cat 患者4711");
    assert_eq!((events[4].2.as_str(), events[5].2.as_str()), ("\u{fffd}", "\u{fffd}"));
    assert!(!text.contains("\\r\",\"i\""), "keystrokes are not kept");
    let verified = crate::verify(ward.reader(), None).unwrap();
    assert_eq!(verified.recordings, 1);
    let (began, ended) = (&ward.events("recording-began")[0], &ward.events("recording-ended")[0]);
    assert_eq!(began["id"], id.to_string());
    assert_eq!((&ended["why"], &ended["login"]), (&"closed".into(), &"n.sato".into()));
    let (_, stand) = ward.reader().recordings().text(id, usize::MAX).unwrap().unwrap();
    assert_eq!((ended["rec"].as_str(), ended["sha"].as_str()), (Some(&*stand.chain), Some(&*stand.text)));
    assert_eq!(ended["len"], stand.bytes);
    let command = &ward.events("command-entered")[0];
    assert_eq!((&command["cmd"], &command["pt"][0]), (&"cat 患者4711".into(), &"4711".into()));
}

#[test]
fn every_changed_byte_of_a_recording_is_found() {
    let mut ward = Ward::new();
    let (_, path) = recorded(&mut ward);
    let good = std::fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let problems = problems(&ward);
        assert!(problems.iter().any(|problem| problem.contains(".tape")), "byte {at}: {problems:?}");
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(problems(&ward), Vec::<String>::new());
}

#[test]
fn a_recording_that_is_cut_taken_away_longer_or_another_is_found() {
    let mut ward = Ward::new();
    let (_, path) = recorded(&mut ward);
    let (_, other) = recorded(&mut ward);
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(problems(&ward)[0].contains("is cut"), "{:?}", problems(&ward));
    std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
    assert!(problems(&ward)[0].contains("more bytes than were recorded"));
    std::fs::copy(&other, &path).unwrap();
    assert!(problems(&ward)[0].contains("is the recording"));
    std::fs::remove_file(&path).unwrap();
    assert!(problems(&ward)[0].contains("is missing"));
    std::fs::write(&path, b"nothing of ours").unwrap();
    assert!(problems(&ward)[0].contains("does not begin as a recording"));
}

#[test]
fn what_the_log_was_told_outlives_a_gateway_that_dies() {
    let mut ward = Ward::new();
    let (id, path) = recorded(&mut ward);
    // As after a kill: nothing tells of the end, and half a block lies behind the last one that was told of.
    let good = std::fs::read(&path).unwrap();
    let told = ward.events("recording-began")[0]["len"].as_u64().unwrap();
    std::fs::write(&path, &good[..good.len() - 3]).unwrap();
    let mut opened = ward.reader().recordings().open(id).unwrap().unwrap();
    while opened.next_event().unwrap().is_some() {}
    assert!(opened.stand().bytes >= told);
    assert!(opened.stand().bytes < good.len() as u64);
}

#[test]
fn a_recording_is_encrypted_as_the_archive_is_and_its_key_goes_with_rotation_and_escrow() {
    let mut ward = Ward::new();
    let secret = crate::RecoverySecret::make(&ward.folder.path().join("offline")).unwrap();
    let ring = ward.folder.path().join("keys/ring");
    ward.config.encryption =
        Some(config::AuditEncryption { ring: ring.clone(), recovery_key: Some(secret.public().to_string()) });
    let (id, path) = recorded(&mut ward);
    let bytes = std::fs::read(&path).unwrap();
    assert!(memchr::memmem::find(&bytes, b"4711").is_none());
    assert!(text(&ward.reader(), id).contains("secret of 4711"));
    assert!(problems(&ward).is_empty(), "no key is needed to check it");
    let closed = Reader::open(ward.directory(), Keys::none()).unwrap();
    assert!(closed.recordings().open(id).is_err());
    let old = KeyRing::read(&ring).unwrap().keys().next().unwrap().0.to_owned();
    KeyRing::read(&ring).unwrap().add(clock().now()).unwrap();
    assert_eq!(crate::key_use(ward.directory()).unwrap().get(&old), Some(&1));
    assert!(KeyRing::read(&ring).unwrap().remove(&old, ward.directory()).is_err(), "a recording needs it");
    assert_eq!(crate::rewrap(ward.directory(), &Keys::ring(&ring), Some(secret.public())).unwrap(), 1);
    KeyRing::read(&ring).unwrap().remove(&old, ward.directory()).unwrap();
    assert!(text(&ward.reader(), id).contains("secret of 4711"));
    // The ring is lost.
    std::fs::remove_file(&ring).unwrap();
    KeyRing::make(&ring, clock().now()).unwrap();
    assert!(ward.reader().recordings().open(id).is_err());
    let recovered = crate::recover(ward.directory(), &secret, &Keys::ring(&ring)).unwrap();
    assert_eq!((recovered.segments, recovered.closed.len()), (1, 0));
    assert!(text(&ward.reader(), id).contains("secret of 4711"));
    std::fs::remove_file(path.with_extension("keys")).unwrap();
    assert!(problems(&ward)[0].contains("without it nobody opens the recording"));
}

#[test]
fn a_log_that_takes_nothing_lets_no_terminal_begin_and_ends_those_that_are_open() {
    let mut ward = Ward::new();
    let log = ward.open();
    let (first, second) = (ward.access("GET", "n.sato"), ward.access("GET", "n.sato"));
    let tape = begin(&log, &first);
    log.core().appender().faults.write_stops_after = Some(0);
    assert!(run(log.tapes().begin(&second, header())).is_err());
    tape.input_seen(b"id\r");
    tape.output(b"id\r\n");
    let problem = run(tape.failed());
    assert!(matches!(problem, TapeProblem::Log(_)), "{problem:?}");
    assert_eq!(tape.problem(), Some(problem));
    log.core().appender().faults.write_stops_after = None;
    drop(tape);
    log.stop();
    assert!(run(log.tapes().begin(&second, header())).is_err(), "the log was stopped");
    assert_eq!(problems(&ward), Vec::<String>::new());
}

#[test]
fn a_folder_that_takes_nothing_lets_no_terminal_begin() {
    let mut ward = Ward::new();
    let log = ward.open();
    std::fs::write(ward.directory().join("recordings"), "in the way").unwrap();
    let access = ward.access("GET", "n.sato");
    assert!(matches!(run(log.tapes().begin(&access, header())), Err(TapeProblem::Log(_))));
    assert!(ward.events("recording-began").is_empty());
}

#[test]
fn a_recording_that_is_taken_away_while_it_is_written_fails() {
    let mut ward = Ward::new();
    let log = ward.open();
    let access = ward.access("GET", "n.sato");
    let tape = begin(&log, &access);
    std::fs::remove_file(file::place(ward.directory(), &access.request.to_string()).path).unwrap();
    tape.output(b"x");
    let problem = run(tape.failed());
    assert!(problem.to_string().contains("was taken away"), "{problem}");
}

#[test]
fn one_access_has_one_recording() {
    let mut ward = Ward::new();
    let log = ward.open();
    let access = ward.access("GET", "n.sato");
    let _first = begin(&log, &access);
    assert!(run(log.tapes().begin(&access, header())).is_err());
}

#[test]
fn a_recording_ends_before_it_is_too_long() {
    let mut ward = Ward::new();
    let log = ward.open();
    let access = ward.access("GET", "n.sato");
    let tape = begin(&log, &access);
    let piece = vec![b'x'; 1 << 20];
    run(async {
        while tape.problem().is_none() {
            tape.room().await;
            tape.output(&piece);
        }
    });
    assert!(matches!(tape.problem(), Some(TapeProblem::TooLong { .. })), "{:?}", tape.problem());
    tape.close();
    log.stop();
    assert_eq!(ward.events("recording-ended")[0]["why"], "too-long");
    assert!(ward.events("recording-marked").len() <= 2, "text that repeats is small");
    assert_eq!(problems(&ward), Vec::<String>::new());
}

#[test]
fn a_player_shows_what_stood_on_the_screen_and_follows_what_is_written() {
    let mut ward = Ward::new();
    let log = ward.open();
    let access = ward.access("GET", "n.sato");
    let tape = begin(&log, &access);
    let reader = ward.reader();
    let mut player = Player::new(reader.recordings().open(access.request).unwrap().unwrap());
    let first = player.skip(Duration::ZERO, || false).unwrap();
    assert_eq!((first.size, first.rows.len()), (Some((80, 24)), 0));
    tape.output(b"hello\x1b]52;c;cm0gLXJm\x07 \x1b[31mworld");
    let shown = loop {
        let part = player.part().unwrap();
        if let Some(frame) = part.frames.first() {
            break frame.clone();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let texts: Vec<&str> = shown.rows[0].1.iter().map(|run| run.text.as_str()).collect();
    assert_eq!((shown.rows.len(), texts), (1, vec!["hello ", "world"]));
    tape.resize(20, 5);
    tape.input_seen(b"\r");
    tape.output(b"\r\nend\r\n");
    tape.close();
    log.stop();
    let part = player.part().unwrap();
    assert!(part.is_all && part.frames.iter().any(|frame| frame.size == Some((20, 5))));
    let again =
        Player::new(reader.recordings().open(access.request).unwrap().unwrap()).skip(Duration::MAX, || false).unwrap();
    assert_eq!(again.size, Some((20, 5)));
    assert_eq!(again.rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 1]);
    let (commands, ..) = reader.recordings().open(access.request).unwrap().unwrap().commands(10).unwrap();
    assert_eq!(commands, []);
}
