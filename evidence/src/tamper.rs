//! Exports that were tampered with: what is found, and where.

use proptest::prelude::*;

use crate::check::{Checked, Fault, Finding, check};
use crate::export::{Form, write_plain};
use crate::testing::{Made, house};

const FORMS: [Form; 4] = [Form::Jsonl, Form::Csv, Form::Fhir, Form::Dicom];

fn checked(made: &Made, file: &[u8], kept: Option<&str>) -> Result<Checked, Vec<Finding>> {
    check(file, &made.key(), kept)
}

/// What is found in a file, without where.
fn faults(made: &Made, file: &[u8], kept: Option<&str>) -> Vec<Fault> {
    let findings = checked(made, file, kept).err().unwrap_or_default();
    findings.into_iter().map(|finding| finding.fault).collect()
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Where the line of the log with this number stands in the file.
fn place_of(lines: &[Vec<u8>], seq: u64) -> usize {
    lines.iter().position(|line| line.starts_with(format!("{{\"v\":1,\"seq\":{seq},").as_bytes())).unwrap()
}

#[test]
fn an_export_that_nobody_touched_fits_in_every_form() {
    let made = Made::new();
    let kept = made.checkpoint(50);
    for form in FORMS {
        let file = made.export(form, 100, Some(&kept));
        let good = checked(&made, &file, Some(&kept)).unwrap();
        assert_eq!((good.size, good.header.records, good.header.stories), (100, 18, 9));
        assert_eq!(good.header.seqs, "0-1,10-11,20-21,30-31,40-41,50-51,60-61,70-71,85,99");
        assert!(good.held_against_kept && checked(&made, &file, None).is_ok());
    }
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let made = Made::new();
    for form in FORMS {
        let file = made.export(form, 100, None);
        for at in (0..file.len()).step_by(31) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(checked(&made, &changed, None).is_err(), "{form:?}, byte {at}");
        }
    }
}

#[test]
fn a_changed_record_is_named() {
    let made = Made::new();
    let file = made.export(Form::Jsonl, 100, None);
    let mut lines = lines(&file);
    let place = place_of(&lines, 20);
    lines[place] = String::from_utf8(lines[place].clone()).unwrap().replace("n.sato", "t.kato").into_bytes();
    let findings = checked(&made, &lines.concat(), None).unwrap_err();
    assert_eq!(findings[0], Finding { line: Some(place as u64 + 1), fault: Fault::Changed(20) });
    // Even where its hash is made to fit: the root is not the one that was signed.
    let hash = audit::line_hash(lines[place].trim_ascii_end());
    use base64::Engine as _;
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    lines[place - 1] = format!("{{\"record\":20,\"hash\":\"{hash}\"}}\n").into_bytes();
    let found = faults(&made, &lines.concat(), None);
    assert_eq!(found, [Fault::SealOfOther, Fault::NotInTheLog]);
}

#[test]
fn a_removed_record_is_named() {
    let made = Made::new();
    for form in FORMS {
        let mut lines = lines(&made.export(form, 100, None));
        let place = place_of(&lines, 20);
        lines.drain(place - 1..=place);
        assert!(faults(&made, &lines.concat(), None).contains(&Fault::Missing(20)), "{form:?}");
    }
}

#[test]
fn a_record_that_was_replaced_by_its_hash_is_missing() {
    let made = Made::new();
    let mut lines = lines(&made.export(Form::Jsonl, 100, None));
    let place = place_of(&lines, 20);
    let hash = String::from_utf8(lines[place - 1].clone()).unwrap();
    lines[place - 1] = hash.replace("\"record\":20", "\"node\":20,\"level\":0").into_bytes();
    lines.remove(place);
    assert_eq!(faults(&made, &lines.concat(), None), [Fault::SealOfOther, Fault::Missing(20)]);
    // Nor does it help to write the header anew: it is under the seal.
    let header = String::from_utf8(lines[0].clone()).unwrap();
    let header = header
        .replace("\"seqs\":\"0-1,10-11,20-21", "\"seqs\":\"0-1,10-11,21")
        .replace("\"records\":18", "\"records\":17");
    lines[0] = header.into_bytes();
    assert_eq!(faults(&made, &lines.concat(), None), [Fault::SealOfOther]);
}

#[test]
fn a_reordered_pair_is_named() {
    let made = Made::new();
    let mut lines = lines(&made.export(Form::Jsonl, 100, None));
    let (one, two) = (place_of(&lines, 20), place_of(&lines, 21));
    lines.swap(one, two);
    lines.swap(one - 1, two - 1);
    let found = faults(&made, &lines.concat(), None);
    assert!(found.contains(&Fault::OutOfOrder(20)) && found.contains(&Fault::NotInTheLog), "{found:?}");
    assert!(!found.iter().any(|fault| matches!(fault, Fault::Missing(_))), "{found:?}");
}

#[test]
fn a_truncated_tail_is_told() {
    let made = Made::new();
    let lines = lines(&made.export(Form::Fhir, 100, None));
    for kept in 1..lines.len() {
        assert!(faults(&made, &lines[..kept].concat(), None).contains(&Fault::CutShort), "{kept} lines");
    }
    let mut more = lines.concat();
    more.extend_from_slice(b"{}\n");
    assert_eq!(faults(&made, &more, None), [Fault::AfterSeal]);
}

#[test]
fn an_added_record_is_named() {
    let made = Made::new();
    let mut lines = lines(&made.export(Form::Jsonl, 100, None));
    let place = place_of(&lines, 20);
    let mut added = made.lines[2].clone();
    added.push(b'\n');
    lines.insert(place + 1, added);
    assert!(faults(&made, &lines.concat(), None).contains(&Fault::Strange(2)));
}

#[test]
fn a_forked_log_is_told_by_a_kept_checkpoint() {
    let made = Made::new();
    let kept = made.checkpoint(50);
    let mut forked = made;
    forked.lines[3] = String::from_utf8(forked.lines[3].clone()).unwrap().replace("200", "404").into_bytes();
    let file = forked.export(Form::Jsonl, 100, Some(&forked.checkpoint(50)));
    assert!(checked(&forked, &file, None).is_ok(), "by itself it fits: whoever has the key can write another log");
    assert_eq!(faults(&forked, &file, Some(&kept)), [Fault::Forked(50)]);
    let same_size = forked.export(Form::Jsonl, 100, None);
    let mut first = forked;
    first.lines[3] = String::from_utf8(first.lines[3].clone()).unwrap().replace("404", "200").into_bytes();
    assert_eq!(faults(&first, &same_size, Some(&first.checkpoint(100))), [Fault::Forked(100)]);
    assert_eq!(faults(&first, &same_size, Some(&first.checkpoint(60))), [Fault::NoProofForKept(60)]);
}

#[test]
fn a_back_dated_checkpoint_is_told() {
    let made = Made::new();
    let kept = made.checkpoint(100);
    let file = made.export(Form::Jsonl, 90, None);
    assert_eq!(faults(&made, &file, Some(&kept)).last(), Some(&Fault::BackDated { size: 90, kept: 100 }));
    // An older checkpoint of the same log in the place of the newer.
    let file = String::from_utf8(made.export(Form::Jsonl, 100, None)).unwrap();
    let one_line = |note: String| serde_json::to_string(&note).unwrap();
    let older = file.replace(&one_line(made.checkpoint(100)), &one_line(made.checkpoint(99)));
    assert_ne!(older, file);
    assert!(checked(&made, older.as_bytes(), None).is_err());
    // Said to have been made before what it holds was written.
    let earlier = file.replace("2025-04-01T09:03:00.000+09:00", "2025-03-31T09:03:00.000+09:00");
    let found = faults(&made, earlier.as_bytes(), None);
    assert!(found.iter().any(|fault| matches!(fault, Fault::Moments(_))), "{found:?}");
}

#[test]
fn what_stands_beside_a_record_must_be_what_it_says() {
    let made = Made::new();
    for (form, said) in [(Form::Csv, "ward-3"), (Form::Fhir, "00012345"), (Form::Dicom, "ward-3")] {
        let mut lines = lines(&made.export(form, 100, None));
        let place = lines
            .iter()
            .position(|line| line.starts_with(b"{") && line.windows(4).any(|four| four == b"\"of\""))
            .unwrap();
        let text = String::from_utf8(lines[place].clone()).unwrap();
        assert!(text.contains(said), "{text}");
        lines[place] = text.replace(said, "other").into_bytes();
        assert_eq!(faults(&made, &lines.concat(), None), [Fault::RenderedOtherwise(0), Fault::SealOfOther], "{form:?}");
    }
}

#[test]
fn another_logs_key_opens_nothing() {
    let (made, other) = (Made::new(), Made::signed_by(8));
    let file = made.export(Form::Jsonl, 100, None);
    let findings = check(file.as_slice(), &other.key(), None).unwrap_err();
    assert_eq!(findings[0].fault, Fault::CheckpointNotSigned);
    assert_eq!(faults(&made, &file, Some(&other.checkpoint(50))), [Fault::KeptNotSigned]);
}

#[test]
fn without_proof_lines_are_as_they_were_and_forms_are_alone() {
    use crate::export::StoryAt;
    let made = Made::new();
    let stories = [StoryAt { begin: 0, end: Some(1) }, StoryAt { begin: 85, end: None }];
    let write = |form| {
        let mut out = Vec::new();
        write_plain(&stories, form, &house(), made.reading(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let as_written = [0, 1, 85].map(|seq: usize| String::from_utf8(made.lines[seq].clone()).unwrap() + "\n").concat();
    assert_eq!(write(Form::Jsonl), as_written);
    assert_eq!(write(Form::Csv).lines().count(), 3);
    assert_eq!(write(Form::Fhir).lines().count(), 3, "an event for each patient");
    assert!(write(Form::Dicom).lines().all(|line| line.starts_with("<?xml") && line.ends_with("</AuditMessage>")));
}

/// Exports as they are kept in `samples/exports`, with the key and the checkpoint to hold them against, for whoever
/// else checks exports: the stand-alone page must find what is found here.
#[test]
fn the_exports_that_are_kept_are_judged_as_is_said_beside_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/exports");
    let made = Made::new();
    let kept = made.checkpoint(95);
    let mut forked = Made::new();
    forked.lines[3] = String::from_utf8(forked.lines[3].clone()).unwrap().replace("200", "404").into_bytes();
    let good = made.export(Form::Fhir, 100, Some(&kept));
    let (one, two) = (place_of(&lines(&good), 60), place_of(&lines(&good), 61));
    let edited = |edit: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = lines(&good);
        edit(&mut lines);
        lines.concat()
    };
    let files: [(&str, Vec<u8>); 10] = [
        ("good-jsonl", made.export(Form::Jsonl, 100, Some(&kept))),
        ("good-csv", made.export(Form::Csv, 100, Some(&kept))),
        ("good-fhir", good.clone()),
        ("good-dicom", made.export(Form::Dicom, 100, Some(&kept))),
        ("changed", edited(&|lines| lines[one][40] ^= 1)),
        ("removed", edited(&|lines| drop(lines.drain(one - 1..=one)))),
        (
            "reordered",
            edited(&|lines| {
                lines.swap(one, two);
                lines.swap(one - 1, two - 1);
            }),
        ),
        ("truncated", good[..good.len() * 2 / 3].to_vec()),
        ("forked", forked.export(Form::Jsonl, 100, Some(&forked.checkpoint(95)))),
        ("back-dated", made.export(Form::Jsonl, 90, None)),
    ];
    if std::env::var_os("WRITE_SAMPLES").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), format!("{}\n", made.key())).unwrap();
        std::fs::write(folder.join("kept"), &kept).unwrap();
        files.iter().for_each(|(name, file)| std::fs::write(folder.join(name), file).unwrap());
        let found = files.iter().map(|(name, file)| {
            let codes: Vec<&str> = faults(&made, file, Some(&kept)).iter().map(Fault::code).collect();
            format!("{name} {}\n", codes.join(" "))
        });
        std::fs::write(folder.join("expected"), found.collect::<String>()).unwrap();
    }
    let expected = std::fs::read_to_string(folder.join("expected")).unwrap();
    for (line, (name, file)) in expected.lines().zip(&files) {
        let codes: Vec<&str> = faults(&made, file, Some(&kept)).iter().map(Fault::code).collect();
        assert_eq!(format!("{name} {}", codes.join(" ")).trim_end(), line.trim_end());
        assert!(std::fs::read(folder.join(name)).unwrap() == *file, "{name} is not as it is kept");
    }
    assert_eq!(expected.lines().count(), files.len());
}

#[test]
fn every_fault_has_a_code_of_its_own_and_both_languages() {
    let made = Made::new();
    let file = made.export(Form::Jsonl, 100, None);
    for finding in checked(&made, &file[..file.len() / 2], None).unwrap_err() {
        assert!(finding.to_string().contains(finding.fault.code()));
        assert!(!finding.fault.en().is_empty() && finding.fault.ja().chars().any(|c| c as u32 > 0x3000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn whatever_a_file_holds_it_is_judged_and_nothing_breaks(
        order in prop::collection::vec(0_usize..40, 0..60),
        junk in "[ -~]{0,80}",
        node in any::<u64>(),
        level in any::<u8>(),
    ) {
        let made = Made::new();
        let file = made.export(Form::Fhir, 100, None);
        let known = lines(&file);
        let hash = "A".repeat(43) + "=";
        let mut strange = vec![known[0].clone()];
        strange.extend(order.iter().filter_map(|at| known.get(*at).cloned()));
        strange.push(format!("{{\"node\":{node},\"level\":{level},\"hash\":\"{hash}\"}}\n").into_bytes());
        strange.push(format!("{{\"record\":{node},\"hash\":\"{hash}\"}}\n{junk}\n").into_bytes());
        strange.push(format!("{{\"of\":[{node},{level}]}}\n{{\"of\":[]}}\n{}\n", "[".repeat(500)).into_bytes());
        prop_assert!(check(strange.concat().as_slice(), &made.key(), Some(&junk)).is_err());
        prop_assert!(check(junk.as_bytes(), &made.key(), None).is_err());
    }
}
