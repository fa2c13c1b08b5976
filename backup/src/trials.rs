//! The crate as a whole: what a backup holds, what it costs, and every way in which one is none.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;

use audit::RecoverySecret;

use crate::testing::{Node, SCHEMA, files};
use crate::{BackupProblem, FORMAT, Known, check, restore};

fn said(problems: Vec<BackupProblem>) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn packs(node: &Node) -> Vec<PathBuf> {
    let mut packs: Vec<PathBuf> =
        fs::read_dir(node.path("place/packs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    packs.sort();
    packs
}

/// Puts a copy of a folder elsewhere.
fn copy(node: &Node, from: &str, to: &str) {
    for (name, bytes) in files(&node.path(from)) {
        node.write(&format!("{to}/{name}"), &bytes);
    }
}

#[test]
fn what_is_backed_up_comes_back_and_nothing_else() {
    let node = Node::new();
    fs::set_permissions(node.path("node/tls/wild.key"), fs::Permissions::from_mode(0o440)).unwrap();
    let made = node.back_up().unwrap();
    assert_eq!(made.manifest.number, 1);
    node.restore(None, "back").unwrap();
    let (mut expected, back) = (files(&node.path("node")), files(&node.path("back")));
    expected.insert("state/store.sqlite".to_owned(), vec![7; 200_000]);
    for gone in ["state/index/segment", "state/half.new", "state/audit/lock"] {
        expected.remove(gone).unwrap();
    }
    assert_eq!(back.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(back == expected, "every byte");
    let mode = |name: &str| fs::metadata(node.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("back/tls/wild.key"), mode("back/sekimori.toml")), (0o440, mode("node/sekimori.toml")));
    audit::verify(node.path("back/state/audit").as_path(), Some(&node.key().to_string())).unwrap();
    assert!(!node.path("").join(".back.restoring").exists());
}

#[test]
fn nothing_in_a_backup_can_be_read_without_the_recovery_key() {
    let node = Node::new();
    node.back_up().unwrap();
    let secrets: [&[u8]; 4] = [b"a server's key", b"the device CA", b"[facility]", b"\"ev\":\"started\""];
    for (name, bytes) in files(&node.path("place")) {
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
        }
        assert_eq!(fs::metadata(node.path("place").join(&name)).unwrap().permissions().mode() & 0o077, 0, "{name}");
    }
    let stranger = RecoverySecret::make(&node.path("stranger")).unwrap();
    let problems = check(&node.place(), None, &node.key(), Some(&stranger)).unwrap_err();
    assert!(said(problems).contains("this recovery key does not open"));
    let known = Known { store_schema: SCHEMA };
    let problems =
        restore((&node.place(), None), (&node.key(), &stranger), known, &node.path("back"), |_, _| Ok(())).unwrap_err();
    assert!(said(problems).contains("this recovery key does not open"));
    assert!(!node.path("back").exists());
    assert!(node.back_up_for(&[]).unwrap_err().to_string().contains("nobody could open"));
}

#[test]
fn what_did_not_change_is_not_copied_again() {
    let node = Node::new();
    node.log(8_000);
    let first = node.back_up().unwrap();
    let again = node.back_up().unwrap();
    assert!(again.written < 20_000, "{} bytes for nothing new, {} at first", again.written, first.written);
    assert!(again.unread > 3, "{} files were not even read", again.unread);

    node.log(50);
    let mut view = vec![7; 200_000];
    view[150_000] = 8;
    node.write("view", &view);
    let third = node.back_up().unwrap();
    assert!(third.written < first.written / 2, "{} bytes of {}", third.written, first.written);
    assert!(third.manifest.lines > again.manifest.lines);
    check(&node.place(), None, &node.key(), Some(&node.secret)).unwrap();

    node.restore(Some(3), "three").unwrap();
    assert_eq!(files(&node.path("three"))["state/store.sqlite"], view);
    node.restore(Some(1), "one").unwrap();
    assert_eq!(files(&node.path("one"))["state/store.sqlite"], vec![7; 200_000]);
}

#[test]
fn every_backup_is_opened_by_the_keys_of_its_day() {
    let node = Node::new();
    node.back_up().unwrap();
    let second = RecoverySecret::make(&node.path("second")).unwrap();
    node.back_up_for(&[second.public().clone()]).unwrap();
    check(&node.place(), Some(1), &node.key(), Some(&node.secret)).unwrap();
    check(&node.place(), Some(2), &node.key(), Some(&second)).unwrap();
    assert!(check(&node.place(), Some(2), &node.key(), Some(&node.secret)).is_err());
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let node = Node::new();
    node.back_up().unwrap();
    let mut places: Vec<(PathBuf, u64)> = Vec::new();
    for path in packs(&node).into_iter().chain([node.path("place/backups/00000001.backup")]) {
        let length = fs::metadata(&path).unwrap().len();
        let step = (length / 40).max(1);
        places.extend((0..length).step_by(usize::try_from(step).unwrap()).map(|at| (path.clone(), at)));
        places.push((path, length - 1));
    }
    for (path, at) in places {
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let found = check(&node.place(), None, &node.key(), None);
        assert!(found.is_err(), "{}: byte {at}", path.display());
        assert!(node.restore(None, "back").is_err(), "{}: byte {at}", path.display());
        assert!(!node.path("back").exists(), "nothing half restored");
        file.write_all_at(&byte, at).unwrap();
    }
    check(&node.place(), None, &node.key(), Some(&node.secret)).unwrap();
}

#[test]
fn what_is_cut_short_or_missing_is_told_by_file() {
    let node = Node::new();
    node.back_up().unwrap();
    let pack = packs(&node).remove(0);
    let whole = fs::read(&pack).unwrap();
    let told = || said(check(&node.place(), None, &node.key(), None).unwrap_err());
    fs::write(&pack, &whole[..whole.len() / 2]).unwrap();
    assert!(told().contains("is cut short"), "{}", told());
    fs::write(&pack, &whole[..50]).unwrap();
    assert!(told().contains("is cut short"), "{}", told());
    fs::remove_file(&pack).unwrap();
    assert!(told().contains("is missing"), "{}", told());
    fs::write(&pack, &whole).unwrap();
    let manifest = node.path("place/backups/00000001.backup");
    let text = fs::read(&manifest).unwrap();
    fs::write(&manifest, &text[..text.len() - 30]).unwrap();
    assert!(told().contains("cut, changed or another's"), "{}", told());
    fs::remove_file(&manifest).unwrap();
    assert!(told().contains("holds no backup"), "{}", told());
}

#[test]
fn files_of_two_days_or_two_places_are_not_one_backup() {
    let node = Node::new();
    node.back_up().unwrap();
    copy(&node, "place", "other");
    node.log(10);
    node.back_up().unwrap();
    let two = fs::read(node.path("place/backups/00000002.backup")).unwrap();
    // The manifest of the second day under the number of the first.
    fs::write(node.path("place/backups/00000001.backup"), &two).unwrap();
    let problems = check(&node.place(), Some(1), &node.key(), None).unwrap_err();
    assert!(said(problems).contains("it was put here from elsewhere"));
    let problems = check(&node.place(), Some(2), &node.key(), None).unwrap_err();
    assert!(said(problems).contains("is not the backup that was there"), "the one before it is another");
    // The manifest of the second day beside the packs of the first.
    node.write("other/backups/00000002.backup", &two);
    let other = crate::Place::at(&node.path("other"));
    let problems = check(&other, None, &node.key(), None).unwrap_err();
    assert!(said(problems).contains("is missing"));
    check(&other, Some(1), &node.key(), Some(&node.secret)).unwrap();
}

#[test]
fn a_backup_of_a_later_program_is_refused_with_what_is_needed() {
    let node = Node::new();
    let made = node.back_up().unwrap();
    let known = Known { store_schema: SCHEMA - 1 };
    let problems =
        restore((&node.place(), None), (&node.key(), &node.secret), known, &node.path("back"), |_, _| Ok(()))
            .unwrap_err();
    assert_eq!(
        said(problems),
        "backup 1: its store is of version 7, this program knows up to 6; use sekimori 0.1.0 or later"
    );
    let later = crate::Manifest { format: FORMAT + 1, program: "9.0.0".to_owned(), ..made.manifest };
    fs::write(node.path("place/backups/00000001.backup"), later.sign(&node.signer()).unwrap()).unwrap();
    let problems = said(check(&node.place(), None, &node.key(), None).unwrap_err());
    assert_eq!(problems, "backup 1: is of form 2, this program knows up to 1; use sekimori 9.0.0 or later");
    assert!(node.back_up().unwrap_err().to_string().contains("9.0.0"));
    assert!(!node.path("back").exists());
}

#[test]
fn a_restore_writes_over_nothing_and_leaves_nothing_half_done() {
    let node = Node::new();
    node.back_up().unwrap();
    node.write("there/own", b"somebody's");
    let problems = node.restore(None, "there").unwrap_err();
    assert!(said(problems).contains("is not empty"));
    assert_eq!(files(&node.path("there")).len(), 1);
    let known = Known { store_schema: SCHEMA };
    let refused =
        restore((&node.place(), None), (&node.key(), &node.secret), known, &node.path("back"), |folder, _| {
            assert!(folder.join("sekimori.toml").exists(), "what is looked at is whole");
            Err(BackupProblem::Refused("not as it was signed".to_owned()))
        });
    assert_eq!(said(refused.unwrap_err()), "not as it was signed");
    let left: Vec<String> = fs::read_dir(node.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("back"))
        .collect();
    assert_eq!(left, [""; 0]);
    fs::create_dir(node.path("back")).unwrap();
    node.restore(None, "back").unwrap();
}

#[test]
fn a_run_that_was_killed_leaves_no_backup_and_nothing_that_stays() {
    let node = Node::new();
    node.back_up().unwrap();
    let before = packs(&node);
    // What a run leaves that is killed before its manifest: its mark and its packs.
    let run = "0123456789abcdef0123456789abcdef";
    node.write(&format!("place/packs/{run}.unfinished"), b"");
    node.write(&format!("place/packs/{run}-0000.pack"), &[7; 1_000]);
    node.write(&format!("place/packs/{run}-0001.pack.new"), &[7; 1_000]);
    node.write("place/backups/00000002.backup.new", b"half a mani");
    assert_eq!(node.place().numbers().unwrap(), [1]);
    check(&node.place(), None, &node.key(), Some(&node.secret)).unwrap();
    node.log(5);
    node.back_up().unwrap();
    let after = packs(&node);
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    assert!(before.iter().all(|pack| after.contains(pack)));
    // Killed after its manifest: the mark alone is left, and the backup stands.
    let mine = after.iter().find(|pack| !before.contains(pack)).unwrap();
    let mine = mine.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
    node.write(&format!("place/packs/{mine}.unfinished"), b"");
    node.log(5);
    node.back_up().unwrap();
    check(&node.place(), Some(2), &node.key(), Some(&node.secret)).unwrap();
}

/// Says of every pack there that its run has not ended, as a copy does that was taken meanwhile.
fn mark_all(node: &Node) {
    for pack in packs(node) {
        let run = pack.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
        node.write(&format!("place/packs/{run}.unfinished"), b"");
    }
}

#[test]
fn marks_that_stayed_cost_no_backup_its_packs() {
    let node = Node::new();
    for _ in 0..3 {
        node.back_up().unwrap();
        node.log(5);
    }
    let before = packs(&node);
    mark_all(&node);
    node.back_up().unwrap();
    let after = packs(&node);
    assert!(before.iter().all(|pack| after.contains(pack)), "{after:?}");
    assert!(after.iter().all(|path| path.extension().is_some_and(|end| end == "pack")), "no mark stays: {after:?}");
    for number in 1..=4 {
        check(&node.place(), Some(number), &node.key(), Some(&node.secret)).unwrap();
    }
}

#[test]
fn where_a_backup_does_not_say_what_it_rests_on_nothing_is_removed() {
    let node = Node::new();
    node.back_up().unwrap();
    node.log(5);
    node.back_up().unwrap();
    node.write("place/backups/00000001.backup", b"damaged");
    node.write("place/packs/0123456789abcdef0123456789abcdef-0000.pack.new", b"half a pack");
    node.write("place/packs/0123456789abcdef0123456789abcdef.unfinished", b"");
    mark_all(&node);
    let before = packs(&node);
    node.back_up().unwrap();
    let after = packs(&node);
    assert!(before.iter().all(|pack| after.contains(pack)), "{after:?}");
}

#[test]
fn a_run_that_fails_takes_back_what_it_wrote() {
    let node = Node::new();
    node.back_up().unwrap();
    let before = files(&node.path("place"));
    let mut sources = node.sources();
    let gone = node.path("node/gone");
    sources.files.insert(gone.clone(), crate::Source { from: gone, kind: crate::Kind::Settled });
    node.write("view", &[9; 300_000]);
    let refused = node.back_up_of(&sources, &[node.secret.public().clone()]).unwrap_err();
    assert!(refused.to_string().contains("node/gone"), "{refused}");
    assert!(files(&node.path("place")) == before);
}

#[test]
fn a_log_that_lost_lines_is_not_backed_up_over_what_has_them() {
    let node = Node::new();
    copy(&node, "node/state/audit", "older");
    node.log(20);
    let made = node.back_up().unwrap();
    fs::remove_dir_all(node.path("node/state/audit")).unwrap();
    copy(&node, "older", "node/state/audit");
    let refused = node.back_up().unwrap_err().to_string();
    assert!(refused.contains("does not go on from backup 1") && refused.contains("are missing"), "{refused}");
    node.log(usize::try_from(made.manifest.lines).unwrap());
    let refused = node.back_up().unwrap_err().to_string();
    assert!(refused.contains("are not those that were signed"), "{refused}");
    assert_eq!(node.place().numbers().unwrap(), [1], "it has what is missing");
}

#[test]
fn the_folder_of_another_node_and_one_within_the_node_are_refused() {
    let (node, other) = (Node::new(), Node::new());
    node.back_up().unwrap();
    copy(&node, "place", "elsewhere");
    for (name, bytes) in files(&node.path("place")) {
        other.write(&format!("place/{name}"), &bytes);
    }
    assert!(other.back_up().unwrap_err().to_string().contains("under another key"));
    let mut sources = node.sources();
    sources.state = node.path("");
    let refused = node.back_up_of(&sources, &[node.secret.public().clone()]).unwrap_err();
    assert!(refused.to_string().contains("name a folder elsewhere"), "{refused}");
}
