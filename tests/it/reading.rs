//! The policy read by people: the sheet, the explanation of an access out of the log, and what a refused person is told.
//! All three say what the gateway does.

use tests::{Ask, Device, Plan, Run, Session, Upstream};

use crate::ward::Ward;

const MORE: &str = r#"
[[rule]]
id = "pharmacists-dispense"
roles = ["pharmacist"]
apps = ["emr"]
actions = ["read"]
devices = ["tablet"]
"#;

async fn ward() -> Ward {
    let emr = Upstream::http1();
    let plan = Plan::with_emr(emr.address()).block(MORE);
    Ward::around(emr, plan).await
}

fn explain(ward: &Ward, more: &[&str]) -> Run {
    ward.hospital.run(&[&["policy", "explain", "--lang", "en"], more].concat())
}

#[tokio::test]
async fn a_refused_person_reads_what_they_can_do_and_whoever_helps_them_reads_why() {
    let ward = ward().await;
    let pharmacist = ward.sign_in("pharmacist").await;
    let ask = Ask::get("emr", "/charts/1").signed_in(&pharmacist).as_browser();
    let page = ward.caller.ask(ask.header("accept-language", "en")).await.expect(403).text();
    assert!(page.contains("use a device of the kind: tablet"), "{page}");

    let refused = ward.hospital.records().with("ev", "refused").with("path", "/charts/1").only().clone();
    let id = refused["id"].as_str().unwrap();
    let code = &id[id.len() - 8..];
    for name in [id, code] {
        let told = explain(&ward, &["--request", name]);
        assert_eq!(told.code, Some(1), "{}", told.err);
        for said in [
            "Not allowed (pharmacists-dispense)",
            "Answered then: This kind of device",
            "use a device of the kind: tablet",
        ] {
            assert!(told.out.contains(said), "{said} in {}", told.out);
        }
    }
    let tablet = Device::add(&ward.hospital, "tablet-1", "tablet").await;
    let there = Session::open(&ward.hospital, "pharmacist", Some(&tablet), &["emr"]).await;
    let answer = ward.hospital.caller(&tablet).ask(Ask::get("emr", "/charts/1").signed_in(&there)).await;
    answer.expect(200);
}

#[tokio::test]
async fn an_access_that_is_described_is_explained_as_it_would_be_answered() {
    let ward = ward().await;
    let told = explain(&ward, &["--role", "doctor", "--device", "ward-pc-1", "--app", "emr", "--path", "/a"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.out.contains("Allowed (doctors-treat)"), "{}", told.out);
    ward.caller.ask(ward.get("/a")).await.expect(200);

    let json = ["--role", "doctor", "--app", "emr", "--method", "DELETE", "--path", "/archive/1", "--format", "json"];
    let told = explain(&ward, &[&json[..], &["--device", "fixed"]].concat());
    assert_eq!(told.code, Some(1), "{}", told.err);
    let said: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&said["rule"], &said["reasons"][0]), (&"archive-is-kept".into(), &"forbidden".into()), "{said}");
    ward.caller.ask(ward.ask("DELETE", "/archive/1")).await.expect(403);

    for (wrong, named) in [
        (["--role", "docter", "--app", "emr"], "doctor"),
        (["--role", "doctor", "--app", "erm"], "emr"),
        (["--device", "nowhere", "--app", "emr"], "nowhere"),
        (["--person", "nobody.here", "--app", "emr"], "nobody.here"),
        (["--at", "tomorrow", "--app", "emr"], "2026-11-23 08:30"),
        (["--lang", "ja", "--request", "xyz"], "xyz"),
    ] {
        let told = ward.hospital.run(&[&["policy", "explain"], &wrong[..]].concat());
        assert!(matches!(told.code, Some(1 | 64)) && told.err.contains(named), "{wrong:?}: {}", told.err);
    }
}

#[tokio::test]
async fn the_sheet_is_written_for_terminal_spreadsheet_and_paper() {
    let ward = ward().await;
    let show = |more: &[&str]| {
        let told = ward.hospital.run(&[&["policy", "show"], more].concat());
        assert_eq!(told.code, Some(0), "{}", told.err);
        told.out
    };
    let text = show(&["--lang", "ja"]);
    assert!(
        text.contains("薬剤師") && text.contains("pharmacists-dispense") && text.contains("タブレットから"),
        "{text}"
    );
    let narrow = show(&["--lang", "en", "--app", "emr", "--role", "pharmacist"]);
    assert!(narrow.contains("Pharmacist") && !narrow.contains("Vendor"), "{narrow}");
    assert!(show(&["--lang", "en", "--format", "csv"]).contains("pharmacists-dispense,from: tablet,"));
    show(&["--lang", "ja", "--format", "html", "-o", "sheet.html"]);
    let sheet = std::fs::read_to_string(ward.hospital.folder().join("sheet.html")).unwrap();
    assert!(sheet.starts_with("<!DOCTYPE html>") && sheet.contains("承認"), "{sheet}");
    let told = ward.hospital.run(&["policy", "show", "--role", "pharmasist"]);
    assert_eq!(told.code, Some(64), "{}", told.err);
}
