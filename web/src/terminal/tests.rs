use http::StatusCode;

use super::*;
use crate::testing::{Browser, Hospital, LOGIN, SHELL, text, ward_terminal};

fn of(path: &str) -> String {
    format!("https://{SHELL}{path}")
}

async fn nurse(hospital: &Hospital) -> Browser {
    let mut browser = Browser::at(Some(ward_terminal()));
    browser.open(hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    browser.open(hospital, &of("/")).await;
    browser
}

#[tokio::test]
async fn an_app_without_a_terminal_has_no_page_of_it() {
    let hospital = Hospital::open().await;
    let mut browser = nurse(&hospital).await;
    assert_eq!(browser.get(&hospital, &of("/terminal")).await.status(), StatusCode::NOT_FOUND);
    let page = text(&browser.get(&hospital, &of("/")).await);
    assert!(page.contains("sekimori connect") && !page.contains("href=\"/terminal\""), "{page}");
}

#[tokio::test]
async fn every_end_has_words_in_both_languages() {
    let hospital = Hospital::open().await;
    let own = [
        "closed",
        "left",
        "target-unreachable",
        "target-silent",
        "target-broke",
        "host-key-unknown",
        "credentials-refused",
        "shell-refused",
        "no-files",
        "recording-failed",
        "recording-too-long",
        "settings-changed",
        "too-many",
        "protocol",
        "stopping",
        "no-such-file",
        "not-a-folder-of-yours",
        "file-refused",
        "file-exists",
        "file-too-large",
        "file-failed",
        "upload-ended",
    ];
    let reasons = policy::Reason::ALL.map(policy::Reason::code);
    for language in Language::ALL {
        for code in own.iter().chain(&reasons) {
            let told: serde_json::Value = serde_json::from_str(&hospital.site.terminal_end(language, code)).unwrap();
            assert_eq!((&told["state"], &told["code"]), (&"ended".into(), &(*code).into()));
            for part in ["what", "do"] {
                let said = told[part].as_str().unwrap();
                assert!(!said.is_empty() && said != *code, "{code} {part}");
            }
        }
    }
}

#[test]
fn an_address_is_a_path_that_means_the_same_file() {
    for (path, expected) in [
        ("/var/log/pacs.log", Some("/files/get/var/log/pacs.log")),
        ("/srv/引継ぎ 1.txt", Some("/files/get/srv/%E5%BC%95%E7%B6%99%E3%81%8E%201.txt")),
        ("/srv/<b>&\"'", Some("/files/get/srv/%3Cb%3E%26%22%27")),
        ("/srv/50%", None),
        ("/srv/a;b", None),
        ("/srv/a\\b", None),
        ("/srv/\u{1b}[31m", None),
        ("/srv/..", None),
    ] {
        let address = address(GET_FILE, path);
        // A sub-delimiter may stand for itself.
        let same = address.as_deref().map(|address| address.replace('&', "%26").replace('\'', "%27"));
        assert_eq!(same.as_deref(), expected, "{path}");
    }
}

#[test]
fn a_file_is_an_attachment_that_no_browser_opens() {
    let head = crate::headers::attachment("結果\"\r\n;x=1.html");
    let field = |name: &str| head.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(field("content-type"), "application/octet-stream");
    assert_eq!(field("content-disposition"), "attachment; filename*=UTF-8''%E7%B5%90%E6%9E%9C%22%0D%0A%3Bx%3D1.html");
    assert_eq!(field("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(field("x-content-type-options"), "nosniff");
}

#[test]
fn sizes_are_read_by_people() {
    for (bytes, expected) in [(0, "0 B"), (1_023, "1023 B"), (1_024, "1 KiB"), (1_025, "2 KiB"), (1_048_576, "1 MiB")] {
        assert_eq!(size(bytes), expected);
    }
}
