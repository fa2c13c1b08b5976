//! A log of which a line is damaged, and a place for an export that somebody prepared: what is handed over says what it
//! lacks, and lands nowhere but in a file of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::Value;

use crate::ward::Ward;

/// A ward that was at work and has closed.
async fn ward() -> Ward {
    let mut ward = Ward::open().await;
    for number in 0..6 {
        ward.caller.ask(ward.get(&format!("/chart/{number}"))).await.expect(200);
    }
    assert!(ward.hospital.stop().success());
    ward
}

fn log(ward: &Ward) -> PathBuf {
    ward.hospital.folder().join("state/audit/segments").join(format!("{:020}.jsonl", 0))
}

/// Makes the line that opens an access no line any more; gives its number.
fn damage(ward: &Ward, path: &str) -> u64 {
    let records = ward.hospital.records();
    let number = records.opened(path).only()["seq"].as_u64().unwrap();
    let text = fs::read_to_string(log(ward)).unwrap();
    let lines = (0_u64..).zip(text.split_inclusive('\n'));
    let worse =
        lines.map(|(seq, line)| if seq == number { "#".repeat(line.len() - 1) + "\n" } else { line.to_owned() });
    fs::write(log(ward), worse.collect::<String>()).unwrap();
    number
}

fn export(ward: &Ward, words: &[&str]) -> tests::Run {
    ward.hospital.run(&[&["audit", "export"], words].concat())
}

fn header(file: &std::path::Path) -> Value {
    serde_json::from_str(fs::read_to_string(file).unwrap().lines().next().unwrap()).unwrap()
}

#[tokio::test]
async fn an_export_says_how_many_lines_it_lacks() {
    let ward = ward().await;
    let key = fs::read_to_string(ward.hospital.folder().join("state/audit/verifier-key")).unwrap();
    let check = |file: &str, words: &[&str]| {
        let words = [&["audit", "check-export", file, "--key", key.trim()], words].concat();
        tests::run(ward.hospital.folder().path(), &words).ok()
    };
    let said = export(&ward, &["--proof", "--output", "whole"]).ok();
    assert!(!said.err.contains("damaged"), "{}", said.err);
    assert_eq!(header(&ward.hospital.folder().join("whole"))["damaged"].as_u64().unwrap_or(0), 0);
    assert!(!check("whole", &[]).out.contains("not whole"));

    damage(&ward, "/chart/3");
    for format in ["jsonl", "csv", "fhir", "dicom"] {
        let said = export(&ward, &["--proof", "--format", format, "--app", "emr", "--output", format]).ok();
        assert!(said.err.contains("1 lines of the log are damaged and left out"), "{}", said.err);
        let file = ward.hospital.folder().join(format);
        assert_eq!(header(&file)["damaged"], 1, "{format}");
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("/chart/2") && text.contains("/chart/4") && !text.contains("/chart/3"), "{format}");
        let said = check(format, &[]).out;
        assert!(said.contains("it is not whole: 1 lines of the log were damaged"), "{said}");
        assert_eq!(check(format, &["--format", "json"]).lines()[0]["damaged"], 1);
    }
    let plain = export(&ward, &["--output", "plain"]).ok();
    assert!(plain.err.contains("1 lines of the log are damaged and left out"), "{}", plain.err);
}

#[tokio::test]
async fn an_export_writes_nothing_but_a_file_of_its_own() {
    let ward = ward().await;
    let folder = ward.hospital.folder().path().to_owned();
    let others = folder.join("others");
    let is_untouched = || assert_eq!(fs::read_to_string(&others).unwrap(), "somebody else's");
    for words in [&["--output", "all"][..], &["--proof", "--output", "all"], &["--format", "csv", "--output", "all"]] {
        fs::write(&others, "somebody else's").unwrap();
        fs::set_permissions(&others, fs::Permissions::from_mode(0o666)).unwrap();
        // Links, under its name and under that of its draft.
        for name in ["all", "all.new"] {
            fs::remove_file(folder.join(name)).ok();
            symlink(&others, folder.join(name)).unwrap();
        }
        export(&ward, words).ok();
        is_untouched();
        let made = fs::symlink_metadata(folder.join("all")).unwrap();
        assert!(made.is_file() && made.mode() & 0o777 == 0o600 && made.len() > 100, "{made:?}");
        assert!(!folder.join("all.new").exists());
        // The file itself, open to others.
        fs::hard_link(&others, folder.join("all.new")).unwrap();
        export(&ward, words).ok();
        is_untouched();
        assert_eq!(fs::metadata(folder.join("all")).unwrap().mode() & 0o777, 0o600);
    }
    // What cannot be made leaves what was there before.
    let before = fs::read(folder.join("all")).unwrap();
    fs::create_dir(folder.join("all.new")).unwrap();
    assert_ne!(export(&ward, &["--output", "all"]).code, Some(0));
    assert_eq!(fs::read(folder.join("all")).unwrap(), before);
}
