//! The vendor's hour at two browsers: the terminal opens with the window and ends with it, the hospital watches, and the
//! recording and the report tell of it.

use tests::connector::SshServer;
use tests::{Browser, Device, Hospital, Plan, eventually, now};

use super::IN_TIME;
use crate::maintenance::{OFFICE, enters, in_seconds, sets, until};

/// What a page's terminal shows at this moment.
async fn screen(browser: &Browser) -> String {
    let script = "return document.querySelector('.xterm-rows')?.innerText || ''";
    browser.script(script).await.as_str().unwrap_or_default().replace('\u{a0}', " ")
}

async fn state(browser: &Browser) -> Option<String> {
    let script = "return document.querySelector('[data-terminal]').dataset.state || ''";
    browser.script(script).await.as_str().map(str::to_owned)
}

/// Types a line at the terminal of a page.
async fn enters_line(browser: &Browser, line: &str) {
    browser.fill(".xterm-helper-textarea", &format!("{line}{ENTER}")).await;
}

async fn shows(browser: &Browser, words: &str) {
    eventually(&format!("the terminal shows {words}"), async || screen(browser).await.contains(words).then_some(()))
        .await;
}

const ENTER: char = '\u{e007}';

const RULE: &str = r#"
[[rule]]
id = "vendors"
roles = ["vendor"]
apps = ["shell"]
actions = ["connect", "read", "write"]
devices = ["vendor"]
grant = true
"#;

#[tokio::test]
async fn the_vendors_hour_in_a_terminal_by_two_browsers() {
    let sshd = SshServer::start();
    let terminal = sshd.terminal("patient = '(?<patient>[0-9]{8})'");
    let plan = Plan::new()
        .tcp("shell", sshd.address(), "ssh")
        .block(&terminal)
        .rules(&format!("{OFFICE}{RULE}"))
        .with_directory()
        .set("gateway", "console_host = \"console.hospital.test\"")
        .set("console", "administrators = [\"administrator\"]");
    let mut hospital = Hospital::build(plan);
    let (desk, laptop) =
        (Device::add(&hospital, "desk-1", "fixed").await, Device::add(&hospital, "nova-1", "vendor").await);
    hospital.start();
    let vendor = enters(&hospital, &laptop, "m.hoshi", "星 誠", "vendor", "ja").await;
    let chief = enters(&hospital, &desk, "s.kato", "加藤 進", "approver", "ja").await;

    // Before it nothing.
    let page = hospital.url("shell", "/terminal");
    vendor.go(&page).await;
    vendor.says("承認が必要です").await;
    vendor.go(&hospital.url("portal", "/new-maintenance")).await;
    vendor.fill("[name=purpose]", "画像が出ない").await;
    vendor.fill("[name=plan]", "1. 記録を見る").await;
    let ((begin, begin_text), (end, end_text)) = (in_seconds(15), in_seconds(45));
    sets(&vendor, "begin", &begin_text).await;
    sets(&vendor, "end", &end_text).await;
    vendor.click("form.fields .form-buttons button").await;
    vendor.arrives_at(&hospital.url("portal", "/maintenance/requests/g-")).await;
    let id = vendor.url().await.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    chief.go(&hospital.url("console", &format!("/maintenance/{id}/approve"))).await;
    chief.click("form[action$='/approve'] .form-buttons button").await;
    chief.arrives_at(&hospital.url("console", &format!("/maintenance/{id}?done="))).await;

    // In it a terminal, without a password.
    until(begin).await;
    eventually("the page is open", async || {
        vendor.go(&page).await;
        (!vendor.text().await.contains("承認が必要です")).then_some(())
    })
    .await;
    vendor.click("[data-do=open]").await;
    eventually("the terminal is open", async || (state(&vendor).await? == "open").then_some(())).await;
    enters_line(&vendor, "PS1='> '; echo re''ady").await;
    shows(&vendor, "ready").await;
    enters_line(&vendor, "echo looking for 00123456").await;
    shows(&vendor, "\nlooking for 00123456").await;
    let styled = vendor.script("return getComputedStyle(document.querySelector('.xterm-rows span')).display").await;
    assert_eq!(styled, "inline-block", "the terminal styles itself under our content security policy");

    // The hospital watches.
    eventually("the console sees it", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        (chief.text().await.contains("nova-1")).then_some(())
    })
    .await;
    assert!(now() < end, "the window is long enough for a slow machine");

    // After it ended within one second.
    until(end).await;
    eventually("the end of the terminal", async || (state(&vendor).await? == "ended").then_some(())).await;
    let late = now().unix_micros() - end.unix_micros();
    assert!(late < i64::try_from(IN_TIME.as_micros()).unwrap(), "{late} us after the end");
    vendor.go(&page).await;
    vendor.says("承認が必要です").await;

    // The recording plays in the console, and in asciinema.
    let opened = hospital.records().opened("/terminal/stream").only().clone();
    assert_eq!(opened["vs"], id.as_str(), "{opened}");
    let recording = format!("/recordings/{}", opened["id"].as_str().unwrap());
    eventually("the recording is under its window", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        let link = format!("return document.querySelector(\"a[href='{recording}']\") !== null");
        (chief.script(&link).await == true).then_some(())
    })
    .await;
    chief.go(&hospital.url("console", &recording)).await;
    chief.says("echo looking for 00123456").await;
    chief.click("[data-do=play]").await;
    eventually("the recording plays", async || {
        let shown = chief.script("return document.querySelector('[data-screen]').innerText").await;
        shown.as_str()?.contains("looking for").then_some(())
    })
    .await;
    let fetch =
        "const done = arguments[1]; fetch(arguments[0]).then((answer) => answer.text()).then(done, () => done(''))";
    let cast = chief.later(fetch, &format!("{recording}/cast")).await;
    let file = hospital.folder().write("session.cast", cast.as_str().unwrap());
    // Its own reader; `asciinema cat` wants a terminal to write to.
    let read = "import sys\nfrom asciinema.asciicast import open_from_url\nwith open_from_url(sys.argv[1]) as cast:\n    \
                sys.stdout.buffer.write(''.join(event[2] for event in cast.stdout_events()).encode())";
    let mut reader = std::process::Command::new("/usr/bin/python3");
    reader.args(["-c", read]).arg(file).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let played = tests::connector::output(reader);
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    assert!(String::from_utf8_lossy(&played.stdout).contains("looking for 00123456"));

    // The report is drafted: what was done, and that it was about one patient, whom the log names.
    let entered = hospital.records().with("ev", "command-entered");
    let named = entered.all().iter().find(|line| line["cmd"] == "echo looking for 00123456").unwrap().clone();
    assert_eq!((&named["pt"], &named["vs"]), (&serde_json::json!(["00123456"]), &id.as_str().into()), "{named}");
    eventually("the report is drafted", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        chief.text().await.contains("あり (1人").then_some(())
    })
    .await;
    hospital.run(&["audit", "verify"]).ok();
}
