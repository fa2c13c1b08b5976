//! Tiles that a power cut took, or a disk that forgets: the lines are whole, so nothing is lost.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use config::OnLogFailure::Refuse;

use crate::testing::{Folder, Ward, served};
use crate::{Log, tile, verify};

/// What a power cut leaves of a file that was not synced.
const CUTS: [fn(&Path); 4] = [
    |file| std::fs::remove_file(file).unwrap(),
    |file| std::fs::write(file, "").unwrap(),
    |file| std::fs::write(file, [7; 4_096]).unwrap(),
    |file| std::fs::write(file, [0; 8_192]).unwrap(),
];

async fn accesses(ward: &mut Ward, log: &Log, count: usize) {
    let recorder = log.recorder();
    for _ in 0..count {
        recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Leaves of a file that was being written what a cut leaves.
fn leave_cut(file: &Path, cut: fn(&Path)) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "whole").unwrap();
    cut(file);
}

fn full_tiles(directory: &Path, level: u8) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join(format!("tile/{level}"))).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.collect()
}

fn check_tiles(directory: &Path, expected: &Path) {
    for file in full_tiles(expected, 0) {
        let name = file.strip_prefix(expected).unwrap();
        assert_eq!(std::fs::read(directory.join(name)).unwrap(), std::fs::read(&file).unwrap(), "{}", name.display());
    }
}

#[tokio::test]
async fn tiles_that_no_checkpoint_covered_are_made_again_after_a_power_cut() {
    for segment_bytes_max in [100_000, u64::MAX] {
        let mut ward = Ward::new();
        ward.config.segment_bytes_max = segment_bytes_max;
        let log = ward.open();
        accesses(&mut ward, &log, 200).await;
        log.stop();
        let signed = verify(ward.directory(), None).unwrap().lines_signed;
        let at_checkpoint = Folder::new();
        copy(ward.directory(), at_checkpoint.path());
        let log = ward.open();
        accesses(&mut ward, &log, 400).await;
        log.stop();
        let lines = verify(ward.directory(), None).unwrap().lines;
        for cut in CUTS {
            // The lines are there; checkpoints, and tiles that are whole, are those of the moment before.
            let after = Folder::new();
            let directory = after.path().join("log");
            copy(at_checkpoint.path(), &directory);
            std::fs::remove_dir_all(directory.join("segments")).unwrap();
            copy(&ward.directory().join("segments"), &directory.join("segments"));
            for tile in full_tiles(ward.directory(), 0).iter().map(|tile| tile.strip_prefix(ward.directory()).unwrap())
            {
                if !at_checkpoint.path().join(tile).exists() {
                    leave_cut(&directory.join(tile), cut);
                }
            }
            for (level, index, width) in (signed + 1..=lines).flat_map(tile::edge) {
                let tile = tile::path(level, index, width);
                if !at_checkpoint.path().join(&tile).exists() {
                    leave_cut(&directory.join(tile), cut);
                }
            }
            let key = "audit-signing.key";
            std::fs::copy(ward.folder.path().join(key), after.path().join(key)).unwrap();
            assert_eq!(verify(&directory, None).unwrap().lines_signed, signed, "before it is opened");

            let mut again = Ward::in_folder(Folder::existing(after.path().to_owned()));
            again.config.segment_bytes_max = segment_bytes_max;
            let (log, recovery) = again.try_open().unwrap();
            assert_eq!(recovery, crate::Recovery::default());
            verify(&directory, None).unwrap();
            check_tiles(&directory, ward.directory());
            accesses(&mut again, &log, 100).await;
            log.stop();
            let verified = verify(&directory, None).unwrap();
            assert_eq!(verified.lines, verified.lines_signed);
        }
    }
}

#[tokio::test]
async fn tiles_that_a_disk_forgot_though_it_had_synced_them_are_made_again() {
    let mut ward = Ward::new();
    let log = ward.open();
    accesses(&mut ward, &log, 600).await;
    log.stop();
    let whole = Folder::new();
    copy(ward.directory(), whole.path());
    let (level, index, width) = tile::edge(1_201).next().unwrap();
    let partial = ward.directory().join(tile::path(level, index, width));
    for cut in CUTS {
        full_tiles(ward.directory(), 0).iter().for_each(|tile| cut(tile));
        cut(&partial);
        assert!(verify(ward.directory(), None).is_err());
        ward.open().stop();
        verify(ward.directory(), None).unwrap();
        check_tiles(ward.directory(), whole.path());
    }
}

#[tokio::test]
async fn opening_a_log_that_was_tampered_with_leaves_its_tiles_as_they_are() {
    let mut ward = Ward::new();
    ward.config.segment_bytes_max = 112_000;
    let log = ward.open();
    accesses(&mut ward, &log, 600).await;
    log.stop();
    let segment = crate::segment::list(ward.directory()).unwrap()[1].path.clone();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("n.sato", "n.kato", 1)).unwrap();
    std::fs::remove_file(full_tiles(ward.directory(), 0).iter().max().unwrap()).unwrap();
    let before = Folder::new();
    copy(ward.directory(), before.path());
    assert!(ward.try_open().is_err());
    check_tiles(ward.directory(), before.path());
    assert_eq!(full_tiles(ward.directory(), 0).len(), full_tiles(before.path(), 0).len());
}

#[tokio::test]
async fn after_a_failed_sync_of_tiles_nothing_is_signed_until_they_are_made_again() {
    for segment_bytes_max in [30_000, u64::MAX] {
        let mut ward = Ward::new();
        ward.config.segment_bytes_max = segment_bytes_max;
        let log = ward.open();
        accesses(&mut ward, &log, 100).await;
        until(|| log.health().lines_signed > 0).await;
        log.core().appender().faults.tile_sync_loses = Some(ward.directory().join("tile/0"));
        let signed = log.health().lines_signed;
        accesses(&mut ward, &log, 300).await;
        until(|| log.health().problem.is_some()).await;
        assert!(log.health().problem.unwrap().contains("tile"));
        accesses(&mut ward, &log, 300).await;
        assert!(log.health().lines_signed <= signed.max(250));
        log.core().appender().faults.tile_sync_loses = None;
        until(|| log.health().lines_signed > 1_400 && log.health().problem.is_none()).await;
        accesses(&mut ward, &log, 100).await;
        log.stop();
        let verified = verify(ward.directory(), None).unwrap();
        assert_eq!(verified.lines, verified.lines_signed);
    }
}

/// Waits for the sealer, at most half a minute.
async fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
