//! The auditor's work in a real browser: find, follow, count, keep, review, sign, print; in both languages, without a
//! violation that axe-core knows.

use std::path::Path;

use tests::{Browser, Device, Hospital, Manner, Person, Plan, Upstream, eventually};

use crate::axe::Gallery;
use crate::console::Desk;

const PATIENT: &str = "00012345";

/// A desk whose app tells patients by its paths, and a morning's work of somebody.
async fn desk() -> Desk {
    let emr = Upstream::http1();
    let routes = "[[app.route]]\npaths = [\"/patients/{patient}/**\"]\nclass = \"chart\"\n";
    let mut hospital = Hospital::build(Plan::new().app("emr", emr.address(), routes).with_console());
    let terminal = Device::add(&hospital, "desk-1", "fixed").await;
    hospital.start();
    let desk = Desk { hospital, terminal, emr };
    let (key, code) = (desk.hospital.key(), desk.hospital.add_person("sato", "佐藤 恵子", "nurse"));
    let mut sato = Person::by_key(&desk.hospital.caller(&desk.terminal), &key);
    sato.enrol(&code, &key, &Manner::default()).await.expect(200);
    // Signed in at the app first: who must sign in is refused once, and that is a record too.
    sato.open(&desk.hospital.url("emr", "/reception")).await.expect(200);
    for path in ["00012345/chart", "00012346/chart", "00012345/results"] {
        sato.open(&desk.hospital.url("emr", &format!("/patients/{path}"))).await.expect(200);
    }
    sato.open(&desk.hospital.url("console", "/")).await.expect(403);
    desk
}

/// Searches for the patient until the index has seen the records.
async fn find(desk: &Desk, auditor: &Browser) {
    eventually("who saw the patient is found", async || {
        auditor.go(&desk.hospital.url("console", "/log")).await;
        auditor.fill("#find-patient", PATIENT).await;
        auditor.click("form[action='/log/find'] button").await;
        // The page before has a table of that name too.
        auditor.arrives_at(&desk.hospital.url("console", "/log?")).await;
        auditor.find("#found").await;
        (rows(auditor).await == 2).then_some(())
    })
    .await;
}

/// How many records the page shows.
async fn rows(auditor: &Browser) -> u64 {
    let count = "return document.querySelectorAll('section[aria-labelledby=found] tbody tr').length";
    auditor.script(count).await.as_u64().unwrap()
}

/// Asks for what was found as a file that proves itself, downloads it, and checks it with nothing but the file and the
/// log's key.
async fn take_away(desk: &Desk, auditor: &Browser) {
    let folder = auditor.downloads().await;
    export(desk, auditor).await;
    auditor.click(".desk-actions .primary").await;
    let file = eventually("the file is downloaded", async || {
        let files = std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path());
        files.into_iter().find(|file| file.extension().is_some_and(|end| end == "export"))
    })
    .await;
    let key = std::fs::read_to_string(desk.hospital.folder().join("state/audit/verifier-key")).unwrap();
    let words = ["audit", "check-export", file.to_str().unwrap(), "--key", key.trim(), "--format", "json"];
    let run = tests::run(desk.hospital.folder().path(), &words);
    assert_eq!((run.code, &run.lines()[0]["good"]), (Some(0), &true.into()), "{:?}", run.lines());
    let taken = desk.hospital.records().with("ev", "log-read").with("why", "export").only().clone();
    assert_eq!((&taken["login"], &taken["pta"][0], &taken["n"]), (&"kansa".into(), &PATIENT.into(), &2.into()));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("00012346"), "what was not found is not in it");
    // And one changed character is found.
    let forged = std::fs::read_to_string(&file).unwrap().replacen("sato", "sata", 1);
    std::fs::write(&file, forged).unwrap();
    assert_eq!(tests::run(desk.hospital.folder().path(), &words).code, Some(1));
}

/// Asks for what was found as a file, and waits until it is made.
async fn export(desk: &Desk, auditor: &Browser) {
    auditor.click("section[aria-labelledby=export] summary").await;
    auditor.click("section[aria-labelledby=export] .form-buttons button").await;
    auditor.arrives_at(&desk.hospital.url("console", "/log/export")).await;
    eventually("the file is made", async || {
        let is_made = "return document.querySelector('a[href=\"/log/export/file\"]') !== null";
        if auditor.script(is_made).await.as_bool()? {
            return Some(());
        }
        auditor.go(&desk.hospital.url("console", "/log/export")).await;
        None
    })
    .await;
}

/// Draws a sample of today's records; the page of the first that waits is shown then.
async fn begin_review(desk: &Desk, auditor: &Browser) {
    auditor.go(&desk.hospital.url("console", "/log/reviews/new")).await;
    let today = "const now = new Date(Date.now() + 9 * 3600e3).toISOString().slice(0, 10);\
                 for (const name of ['from', 'to']) document.querySelector(`[name=${name}]`).value = now;\
                 for (const name of ['late', 'refused', 'export']) document.querySelector(`[name=${name}]`).value = 0;";
    // What opens an app alone: records of the auditor's own are for somebody else to judge.
    auditor.script(today).await;
    auditor.click("form.fields .form-buttons button").await;
    eventually("the sample is drawn", async || {
        let here = auditor.url().await;
        if here.ends_with("/drawing") {
            auditor.go(&here).await;
        }
        auditor.url().await.contains("/log/reviews/1").then_some(())
    })
    .await;
    auditor.click(".desk-actions .primary").await;
    auditor.arrives_at(&desk.hospital.url("console", "/log/reviews/1/items/")).await;
}

#[tokio::test]
async fn an_auditor_finds_follows_counts_reviews_and_signs() {
    let desk = desk().await;
    let auditor = desk.browser("kansa", "監査 花子", "auditor", "ja").await;
    find(&desk, &auditor).await;
    let url = auditor.url().await;
    assert!(!url.contains("12345"), "no address names a patient: {url}");
    let page = auditor.text().await;
    assert!(page.contains("佐藤 恵子") && page.contains(PATIENT), "{page}");

    take_away(&desk, &auditor).await;
    find(&desk, &auditor).await;
    auditor.click("section[aria-labelledby=found] tbody th a").await;
    auditor.arrives_at(&desk.hospital.url("console", "/log/records/")).await;
    let record = auditor.text().await;
    for told in ["何をしたか", "だれが", "なぜそうなったか", "desk-1", PATIENT, "\"ev\":\"open\"", "\"ev\":\"close\""]
    {
        assert!(record.contains(told), "{told}: {record}");
    }
    auditor.click("section[aria-labelledby=what] a[href*='/log/timeline']").await;
    auditor.says("の記録を見た人").await;
    assert_eq!(rows(&auditor).await, 2);

    auditor.go(&desk.hospital.url("console", "/log/charts?days=7")).await;
    auditor.says("多く見られた患者").await;
    let bar = "const bars = document.querySelectorAll('section[aria-labelledby=apps] .rows a');\
               const one = Array.from(bars).find((bar) => bar.textContent === 'emr');\
               const said = one.parentElement.querySelector('.rows-number').textContent; one.click(); return said;";
    let said = auditor.script(bar).await;
    auditor.arrives_at(&desk.hospital.url("console", "/log?")).await;
    auditor.find("#found").await;
    assert_eq!(said.as_str().unwrap().parse::<u64>().unwrap(), rows(&auditor).await, "as many as the bar counts");

    begin_review(&desk, &auditor).await;
    let all = eventually("every record is judged", async || {
        if auditor.url().await.contains("/items/") {
            auditor.click("form[action*='/items/'] .form-buttons button").await;
        }
        auditor
            .script("return document.querySelector('form[action$=\"/sign\"]') !== null")
            .await
            .as_bool()?
            .then_some(())
    });
    all.await;
    auditor.fill("#sign-comment", "問題なし").await;
    auditor.click("form[action$='/sign'] .form-buttons button").await;
    auditor.says("署名済み").await;
    let signed = desk.hospital.records().with("ev", "review-signed").only().clone();
    assert_eq!(signed["login"], "kansa");
    assert!(!desk.hospital.records().with("ev", "review-opened").is_empty());
    assert!(!desk.hospital.records().with("ev", "review-judged").is_empty());
    let looks = desk.hospital.records().with("ev", "log-read").with("why", "search");
    assert!(looks.all().iter().any(|look| look["pta"][0] == PATIENT), "whom the auditor looked for is recorded");

    let month = auditor.script("return new Date(Date.now() + 9 * 3600e3).toISOString().slice(0, 7)").await;
    let month = format!("/log/report?month={}", month.as_str().unwrap());
    auditor.go(&desk.hospital.url("console", &month)).await;
    auditor.says("見直し 1").await;
}

/// Every page of the auditor's, where there is something to see.
async fn walk(language: &str) {
    let desk = desk().await;
    let mut auditor = Gallery::of(desk.browser("kansa", "監査 花子", "auditor", language).await);
    find(&desk, &auditor.browser).await;
    auditor.look("#found").await;
    auditor.visit(&desk.hospital.url("console", "/log/export")).await;
    find(&desk, &auditor.browser).await;
    export(&desk, &auditor.browser).await;
    auditor.look("#file").await;
    find(&desk, &auditor.browser).await;
    auditor.follow("section[aria-labelledby=found] tbody th a").await;
    auditor.follow("section[aria-labelledby=what] a[href*='/log/timeline']").await;
    for path in ["/log", "/log?rule=x&session=y", "/log/charts?days=7", "/log/charts?days=365", "/log/report"] {
        auditor.visit(&desk.hospital.url("console", path)).await;
    }
    auditor.visit(&desk.hospital.url("console", "/log/reviews/new")).await;
    auditor.visit(&desk.hospital.url("console", "/log/reviews/drawing")).await;
    begin_review(&desk, &auditor.browser).await;
    auditor.look("#judge-judgment").await;
    for path in ["/log/reviews", "/log/reviews/1"] {
        auditor.visit(&desk.hospital.url("console", path)).await;
    }
    auditor.close();
}

#[tokio::test]
async fn no_page_of_the_auditors_has_a_violation_in_japanese() {
    walk("ja").await;
}

#[tokio::test]
async fn no_page_of_the_auditors_has_a_violation_in_english() {
    walk("en").await;
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(pictures_of_the_auditors)'` writes them anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_the_auditors_pages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    for language in ["ja", "en"] {
        let desk = desk().await;
        let auditor = desk.browser("kansa", "監査 花子", "auditor", language).await;
        let keep = async |name: &str| {
            std::fs::write(folder.join(format!("log-{name}.{language}.png")), auditor.picture().await).unwrap();
        };
        find(&desk, &auditor).await;
        auditor.script("document.querySelector('#found').scrollIntoView()").await;
        keep("search").await;
        auditor.click("section[aria-labelledby=found] tbody th a").await;
        auditor.find("#what").await;
        keep("record").await;
        auditor.go(&desk.hospital.url("console", "/log/charts?days=7")).await;
        auditor.script("document.querySelector('#accesses').scrollIntoView()").await;
        keep("charts").await;
        begin_review(&desk, &auditor).await;
        keep("judge").await;
        auditor.go(&desk.hospital.url("console", "/log/reviews/1")).await;
        keep("review").await;
    }
}
