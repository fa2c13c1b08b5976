//! What ends a terminal that is open, and how it is said: to whoever looks at it, and in its record.

use std::time::Instant;

use rustix::process::Signal;

use super::{IN_TIME, PATIENCE, Room};

/// Sees an open terminal end in time, for this reason.
async fn ends(change: impl AsyncFnOnce(&Room), why: &str) {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    change(&room).await;
    let changed = Instant::now();
    assert_eq!(line.ends(IN_TIME).await, why);
    assert!(changed.elapsed() < IN_TIME, "{:?}", changed.elapsed());
    let told = line.told.last().unwrap();
    assert!(!told["what"].as_str().unwrap().is_empty() && told["what"] != why, "{told}");
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["why"].as_str()), (Some("revoked"), Some(why)), "{closing}");
}

#[tokio::test]
async fn a_session_that_is_ended_ends_its_terminal() {
    let kill = async |room: &Room| {
        let _ = room.hospital.run(&["session", "revoke", &room.vendor.id]).ok();
    };
    ends(kill, "sign-in-required").await;
}

#[tokio::test]
async fn a_device_that_is_revoked_ends_its_terminal() {
    let revoke = async |room: &Room| {
        let _ = room.hospital.run(&["device", "revoke", "laptop-1"]).ok();
    };
    ends(revoke, "sign-in-required").await;
}

#[tokio::test]
async fn other_rules_end_a_terminal() {
    let forbid = "[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"vendor\"]\napps = \"all\"\n\
                  actions = \"all\"\ndevices = \"any\"";
    let reload = async |room: &Room| {
        let plan = room.hospital.plan().clone().block(forbid);
        room.hospital.folder().write("sekimori.toml", plan.text());
        room.hospital.signal(Signal::HUP);
    };
    ends(reload, "forbidden").await;
}

#[tokio::test]
async fn a_gateway_that_stops_says_so() {
    let (mut room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    room.hospital.signal(Signal::TERM);
    assert_eq!(line.ends(PATIENCE).await, "stopping");
    assert!(room.hospital.wait().success());
    assert_eq!(room.record().await.1["end"], "stopped");
}

#[tokio::test]
async fn a_terminal_that_cannot_be_recorded_is_not_opened() {
    let (room, _sshd) = Room::open("").await;
    let recordings = room.hospital.folder().join("state/audit/recordings");
    std::fs::remove_dir_all(&recordings).ok();
    std::fs::write(&recordings, "no folder").unwrap();
    let mut line = room.terminal().await;
    assert_eq!(line.ends(PATIENCE).await, "recording-failed");
    assert!(line.shown.is_empty(), "{}", line.text());
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("refused"), Some("recording-failed")));
}

#[tokio::test]
async fn a_terminal_whose_recording_fails_ends_within_a_second() {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    // Somebody takes the tape away while it is written: no disk has to be full, and nobody root.
    for tape in std::fs::read_dir(room.hospital.folder().join("state/audit/recordings")).unwrap() {
        std::fs::remove_file(tape.unwrap().path()).unwrap();
    }
    let begun = Instant::now();
    line.types("echo st''ill; while :; do date; done\r").await;
    assert_eq!(line.ends(PATIENCE).await, "recording-failed");
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("refused"), Some("recording-failed")));
    let ended = room.events("recording-ended");
    assert_eq!(ended.iter().map(|fact| fact["why"].as_str()).collect::<Vec<_>>(), [Some("failed")], "{ended:?}");
}

#[tokio::test]
async fn other_settings_of_a_terminal_end_what_is_open() {
    let (mut room, sshd) = Room::open("").await;
    let mut line = room.shell().await;
    let plan = room.hospital.plan().clone();
    // Another setting elsewhere ends nothing.
    room.hospital.reload(plan.clone().set("gateway", "utc_offset = \"+08:00\""));
    line.types("echo st''ill\r").await;
    line.shows("still").await;
    let before = sshd.terminal("");
    let after = sshd.terminal("files = \"download\"\nfolders = [\"/srv\"]");
    room.hospital.folder().write("sekimori.toml", plan.text().replace(&before, &after));
    room.hospital.signal(Signal::HUP);
    assert_eq!(line.ends(PATIENCE).await, "settings-changed");
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("refused"), Some("settings-changed")));
}
