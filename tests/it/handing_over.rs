//! The log handed over: in the health sector's formats, held against validators that know nothing of us, and as files
//! that prove themselves to the command line and to the stand-alone page alike.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::Value;
use tests::{Ask, Browser, eventually};

use crate::axe::Gallery;
use crate::judges::{self, root};
use crate::ward::Ward;

/// A ward where something happened: reads, a write, a refusal, a request that was none.
async fn busy_ward() -> Ward {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    ward.caller.ask(ward.get("/chart/7?name=SHIKEN")).await.expect(200);
    ward.caller.ask(ward.ask("POST", "/chart/7/notes")).await.expect(200);
    ward.caller.ask(ward.get("/status/404")).await.expect(404);
    ward.caller.ask(Ask::new("DELETE", "emr", "/refused").signed_in(&nurse)).await.expect(403);
    ward.caller.ask(Ask::get("emr", "/a%00b")).await.expect(400);
    eventually("the closing lines", async || (ward.hospital.records().with("ev", "close").len() == 3).then_some(()))
        .await;
    let lines = ward.hospital.records().len() as u64;
    eventually("a checkpoint that covers them", async || {
        let verify = ward.hospital.run(&["audit", "verify", "--format", "json"]);
        (verify.code == Some(0) && verify.json()["lines_signed"].as_u64() >= Some(lines)).then_some(())
    })
    .await;
    ward
}

fn key(ward: &Ward) -> String {
    fs::read_to_string(ward.hospital.folder().join("state/audit/verifier-key")).unwrap().trim().to_owned()
}

/// Exports to a file of the hospital's folder.
fn export(ward: &Ward, words: &[&str], file: &str) -> PathBuf {
    ward.hospital.run(&[&["audit", "export", "--output", file], words].concat()).ok();
    ward.hospital.folder().join(file)
}

/// What `check-export` finds, as codes; none where everything fits.
fn found(ward: &Ward, file: &Path, key: &str, kept: Option<&Path>) -> Vec<String> {
    let mut words = vec!["audit", "check-export", file.to_str().unwrap(), "--key", key, "--format", "json"];
    if let Some(kept) = kept {
        words.extend(["--checkpoint", kept.to_str().unwrap()]);
    }
    // It needs no configuration, and takes none.
    let run = tests::run(ward.hospital.folder().path(), &words);
    let lines: Vec<Value> = run.lines();
    assert_eq!(run.code, Some(i32::from(lines[0]["good"] == false)), "{lines:?}");
    let codes = lines.iter().filter_map(|line| line["code"].as_str().map(str::to_owned));
    codes.collect()
}

#[tokio::test]
async fn dicom_messages_fit_the_standards_schema() {
    let ward = busy_ward().await;
    let text = fs::read_to_string(export(&ward, &["--format", "dicom"], "messages")).unwrap();
    assert!(text.lines().count() >= 8, "{text}");
    let mut files: Vec<PathBuf> = (0..)
        .zip(text.lines())
        .map(|(number, message)| {
            let file = ward.hospital.folder().join(&format!("message-{number}.xml"));
            fs::write(&file, message).unwrap();
            file
        })
        .collect();
    let samples = root().join("evidence/samples");
    let kept = fs::read_dir(&samples).unwrap().map(|entry| entry.unwrap().path());
    files.extend(kept.filter(|path| path.extension().is_some_and(|end| end == "xml")));
    assert_eq!(judges::dicom(&files), Ok(()));
    let wrong = ward.hospital.folder().join("wrong.xml");
    fs::write(&wrong, text.lines().next().unwrap().replace("UserIsRequestor", "UserAsked")).unwrap();
    assert!(judges::dicom(&[wrong]).is_err(), "the validator finds what is wrong");
}

#[tokio::test]
async fn fhir_events_fit_by_independent_validators() {
    let ward = busy_ward().await;
    let events = export(&ward, &["--format", "fhir"], "events");
    let samples = root().join("evidence/samples");
    assert_eq!(judges::fhir(&[&events, &samples.join("patient_read.json"), &samples.join("deny.json")]), Ok(()));
    let text = fs::read_to_string(&events).unwrap();
    assert!(text.lines().count() >= 8, "{text}");
    let wrong = ward.hospital.folder().join("wrong");
    fs::write(&wrong, text.lines().next().unwrap().replace("\"recorded\"", "\"record\"")).unwrap();
    assert!(judges::fhir(&[&wrong]).is_err(), "the validators find what is wrong");
}

#[tokio::test]
async fn an_export_proves_itself_and_is_recorded_with_who_asked_and_for_what() {
    let ward = busy_ward().await;
    let kept = ward.hospital.folder().join("kept");
    fs::copy(ward.hospital.folder().join("state/audit/checkpoint"), &kept).unwrap();
    let key = key(&ward);
    for format in ["jsonl", "csv", "fhir", "dicom"] {
        let words = ["--proof", "--format", format, "--person", "doctor", "--since-checkpoint", "kept"];
        let file = export(&ward, &words, format);
        assert_eq!(found(&ward, &file, &key, Some(&kept)), Vec::<String>::new(), "{format}");
        let header: Value = serde_json::from_str(fs::read_to_string(&file).unwrap().lines().next().unwrap()).unwrap();
        assert_eq!(header["question"]["person"], "doctor");
        let line = &ward.hospital.records().with("ev", "log-read").all().last().cloned().unwrap();
        assert_eq!((&line["seq"], &line["why"]), (&header["recorded"], &"export".into()), "the file holds its record");
        assert_eq!((&line["n"], &line["reason"]), (&header["stories"], &"person=doctor".into()));
        assert!(line["actor"].as_str().unwrap().starts_with("cli:"), "{line}");
    }
    let of_a_patient = export(&ward, &["--format", "csv", "--patient", "00012345"], "of-a-patient");
    assert_eq!(fs::read_to_string(of_a_patient).unwrap().lines().count(), 1, "headings alone: nobody was asked about");
    let records = ward.hospital.records().with("ev", "log-read").all().to_vec();
    let store = fs::read(ward.hospital.folder().join("state/store.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&store).contains("00012345"), "patients stand in the log alone");
    assert!(records.iter().all(|line| !line.to_string().contains("00012345")));
}

#[tokio::test]
async fn an_export_that_was_touched_is_found_out_by_the_command_line() {
    let ward = busy_ward().await;
    let (key, file) = (key(&ward), export(&ward, &["--proof"], "all"));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(found(&ward, &file, &key, None), Vec::<String>::new());
    for (edited, code) in
        [(text.replacen("/chart/7", "/chart/8", 1), "changed"), (text[..text.len() / 2].to_owned(), "cut-short")]
    {
        fs::write(&file, edited).unwrap();
        assert!(found(&ward, &file, &key, None).contains(&code.to_owned()), "{code}");
    }
}

#[tokio::test]
async fn the_page_finds_what_the_command_line_finds() {
    let mut ward = busy_ward().await;
    let samples = root().join("evidence/samples/exports");
    let page = format!("file://{}", root().join("deploy/verify-export.html").display());
    let browser = Browser::open(&ward.hospital, "ja").await;
    browser.go(&page).await;
    assert_eq!(browser.script("return document.documentElement.dataset.sound").await, "true", "it counts right");
    let kept = fs::read_to_string(samples.join("kept")).unwrap();
    let sample_key = fs::read_to_string(samples.join("key")).unwrap();
    for line in fs::read_to_string(samples.join("expected")).unwrap().lines() {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let file = samples.join(words.next().unwrap());
        let expected: BTreeSet<String> = words.map(str::to_owned).collect();
        let told = on_the_page(&browser, &page, &file, &sample_key, &kept).await;
        assert_eq!(told, expected, "{line}");
        let by_command = found(&ward, &file, sample_key.trim(), Some(&samples.join("kept")));
        assert_eq!(by_command.into_iter().collect::<BTreeSet<_>>(), expected, "{line}");
    }
    let live = export(&ward, &["--proof", "--format", "fhir"], "live");
    assert_eq!(on_the_page(&browser, &page, &live, &key(&ward), "").await, BTreeSet::new());
    let text = browser.text().await;
    assert!(
        text.contains("/chart/7") && text.contains("すべて合っています") && text.contains("Everything fits"),
        "{text}"
    );
    browser.narrow_to(360).await;
    let wide = browser.script("return document.documentElement.scrollWidth > innerWidth + 1").await;
    assert_eq!(wide, false, "it fits on a phone");
    ward.hospital.stop();
}

/// Has the page check a file, and gives the codes of what it finds.
async fn on_the_page(browser: &Browser, page: &str, file: &Path, key: &str, kept: &str) -> BTreeSet<String> {
    browser.go(page).await;
    browser.fill("#file", file.to_str().unwrap()).await;
    browser.fill("#key", key.trim()).await;
    let set = format!("document.querySelector('#kept').value = {}", serde_json::to_string(kept).unwrap());
    browser.script(&set).await;
    browser.click("#check").await;
    eventually("a verdict", async || {
        browser
            .script("return document.querySelector('#verdict').dataset.good ?? null")
            .await
            .as_str()
            .map(str::to_owned)
    })
    .await;
    let codes = "return [...document.querySelectorAll('#verdict li')].map((one) => one.dataset.code)";
    let codes = browser.script(codes).await;
    codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_page_has_no_violation_before_a_check_and_after() {
    let ward = Ward::open().await;
    let samples = root().join("evidence/samples/exports");
    let page = format!("file://{}", root().join("deploy/verify-export.html").display());
    let mut gallery = Gallery::of(Browser::open(&ward.hospital, "ja").await);
    gallery.visit(&page).await;
    let key = fs::read_to_string(samples.join("key")).unwrap();
    for file in ["good-fhir", "removed"] {
        on_the_page(&gallery.browser, &page, &samples.join(file), &key, "").await;
        gallery.look("#records td").await;
    }
    gallery.close();
}

/// What runs and what is drawn is what stands in the file: its policy names both by their digests.
#[test]
fn the_page_runs_nothing_but_its_own_script() {
    let page = fs::read_to_string(root().join("deploy/verify-export.html")).unwrap();
    let between = |begin: &str, end: &str| page.split_once(begin).unwrap().1.split_once(end).unwrap().0;
    let digest = |text: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(digest))
    };
    let (script, style) = (digest(between("<script>", "</script>")), digest(between("<style>", "</style>")));
    let policy = between("Content-Security-Policy\" content=\"", "\"");
    let expected =
        format!("default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'");
    assert_eq!(policy, expected);
    for word in ["innerHTML", "insertAdjacent", "document.write", "fetch(", "XMLHttp", "http:", "src=", "eval("] {
        assert!(!page.contains(word), "{word}");
    }
}
