//! Recordings of terminals, played in the console by a real browser, and handed to asciinema; and what is found when one was
//! changed. The tapes are written beside a gateway that stands still, as its terminals write them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use audit::TapeHeader;
use policy::{Access, Action, AppId, Clock, From, Grant, GrantId, Host, Method, Path, RequestId, ZoneId};
use tests::{Browser, Device, Hospital, eventually, now};

use crate::axe::Gallery;
use crate::maintenance::{enters, hour_house, in_seconds, sets};

/// What attacks whoever watches.
const HARM: &[u8] = b"\x1b]52;c;cm0gLXJm\x07\x1b]0;owned\x07\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\\r\n\
    \x1b[?1049h<script>document.title='owned'</script>\x1b[?1049l\xff\xfe\x1b]2;\x9c\x07<img src=x onerror=alert(1)>\r\n";

/// A hospital in which terminals were recorded under an approved window.
struct Watch {
    hospital: Hospital,
    chief: Browser,
    window: String,
    _emr: tests::Upstream,
}

impl Watch {
    async fn open() -> Self {
        Self::speaking("ja").await
    }

    async fn speaking(language: &str) -> Self {
        let (mut hospital, emr) = hour_house();
        let desk = Device::add(&hospital, "desk-1", "fixed").await;
        let laptop = Device::add(&hospital, "nova-1", "vendor").await;
        hospital.start();
        let vendor = enters(&hospital, &laptop, "m.hoshi", "星 誠", "vendor", language).await;
        let chief = enters(&hospital, &desk, "s.kato", "加藤 進", "approver", language).await;
        vendor.go(&hospital.url("portal", "/new-maintenance")).await;
        vendor.fill("[name=purpose]", "画像が出ない").await;
        vendor.fill("[name=plan]", "1. 記録を見る").await;
        sets(&vendor, "begin", &in_seconds(5).1).await;
        sets(&vendor, "end", &in_seconds(900).1).await;
        vendor.click("form.fields .form-buttons button").await;
        vendor.arrives_at(&hospital.url("portal", "/maintenance/requests/g-")).await;
        let here = vendor.url().await;
        let window = here.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
        chief.go(&hospital.url("console", &format!("/maintenance/{window}/approve"))).await;
        chief.click("form[action$='/approve'] .form-buttons button").await;
        chief.arrives_at(&hospital.url("console", &format!("/maintenance/{window}?done="))).await;
        Self { hospital, chief, window, _emr: emr }
    }

    /// Records a terminal while the gateway stands still; gives its id.
    async fn record(&mut self, number: u128, show: impl AsyncFnOnce(&audit::Tape)) -> String {
        assert!(self.hospital.stop().success());
        let config = self.config();
        let (log, _) = audit::Log::open(&config.audit, &config.facility, &config.state_dir, Clock::new(now)).unwrap();
        let access = Access {
            request: RequestId::new(now(), number),
            at: now(),
            app: AppId::parse("emr").unwrap(),
            action: Action::Connect,
            class: None,
            method: Method::parse("GET").unwrap(),
            host: Host::parse("emr.hospital.test").unwrap(),
            path: Path::parse("/").unwrap(),
            who: None,
            device: None,
            from: From { address: "127.0.0.1".parse().unwrap(), zone: ZoneId::parse("inside").unwrap() },
            grant: Some(Grant::named(GrantId::parse(&self.window).unwrap())),
        };
        let header = TapeHeader { columns: 80, rows: 24, title: "EMR".to_owned(), patients: None };
        let tape = log.tapes().begin(&access, header).await.unwrap();
        show(&tape).await;
        tape.close();
        log.stop();
        drop(log);
        self.hospital.start();
        access.request.to_string()
    }

    fn config(&self) -> config::Config {
        config::read(&self.hospital.folder().path().join("sekimori.toml")).unwrap()
    }

    fn tape(&self, id: &str) -> PathBuf {
        self.config().audit.directory.join("recordings").join(format!("{id}.tape"))
    }

    fn page(&self, id: &str) -> String {
        self.hospital.url("console", &format!("/recordings/{id}"))
    }

    /// The text on the screen of the player.
    async fn screen(&self) -> String {
        let script = "return document.querySelector('[data-screen]').innerText";
        self.chief.script(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Opens the page of a recording as soon as the index knows it, and waits for its player.
    async fn watch(&self, id: &str) {
        eventually("the player is ready", async || {
            self.chief.go(&self.page(id)).await;
            let ready = "return Boolean(document.querySelector('[data-ready]'))";
            for _ in 0..20 {
                if self.chief.script(ready).await == true {
                    return Some(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            None
        })
        .await;
    }
}

/// The pages of a recording, and of a window with one, as axe-core sees them.
async fn walk(language: &str) {
    let mut watch = Watch::speaking(language).await;
    let id = watch.record(1, session).await;
    watch.watch(&id).await;
    let (window, page) = (watch.hospital.url("console", &format!("/maintenance/{}", watch.window)), watch.page(&id));
    let mut gallery = Gallery::of(watch.chief);
    gallery.visit(&window).await;
    gallery.visit(&page).await;
    gallery.look("[data-ready] [data-screen] div").await;
    gallery.close();
}

#[tokio::test]
async fn no_page_of_recordings_has_a_violation_in_japanese() {
    walk("ja").await;
}

#[tokio::test]
async fn no_page_of_recordings_has_a_violation_in_english() {
    walk("en").await;
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(pictures_of_recordings)'` writes docs/pictures anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_recordings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    for language in ["ja", "en"] {
        let mut watch = Watch::speaking(language).await;
        let id = watch.record(1, quiet_session).await;
        watch.watch(&id).await;
        watch.chief.click("[data-do=play]").await;
        eventually("it was played to its end", async || watch.screen().await.contains("logout").then_some(())).await;
        let picture = watch.chief.picture().await;
        std::fs::write(folder.join(format!("recording.{language}.png")), picture).unwrap();
    }
}

/// A session of somebody who works.
async fn quiet_session(tape: &audit::Tape) {
    for (command, shown) in [
        (
            "systemctl status dicom-router",
            "\x1b[1;32m●\x1b[0m dicom-router.service - DICOM router\r\n     Active: \x1b[1;31mfailed\x1b[0m (Result: exit-code)\r\n",
        ),
        (
            "journalctl -u dicom-router -n 2",
            "Nov 22 10:14:07 pacs router[811]: cannot bind 104: address in use\r\nNov 22 10:14:07 pacs systemd[1]: Failed to start DICOM router.\r\n",
        ),
        ("sudo systemctl restart dicom-router", ""),
        ("exit", "logout\r\n"),
    ] {
        tape.output(b"\x1b[34mmaintenance@pacs\x1b[0m:~$ ");
        tape.input_seen(format!("{command}\r").as_bytes());
        tape.output(format!("{command}\r\n{shown}").as_bytes());
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// A short session: two commands, and what attacks whoever watches between them.
async fn session(tape: &audit::Tape) {
    tape.output(b"maintenance@pacs:~$ ");
    tape.input_seen("cat 患者4711\r".as_bytes());
    tape.output("cat 患者4711\r\n".as_bytes());
    tape.output("山田 太郎\r\n".as_bytes());
    tape.output(HARM);
    tokio::time::sleep(Duration::from_millis(700)).await;
    tape.output(b"maintenance@pacs:~$ ");
    tape.input_seen(b"exit\r");
    tape.output(b"exit\r\nlogout\r\n");
}

#[tokio::test]
async fn a_recording_plays_in_the_console_and_harms_nobody() {
    let mut watch = Watch::open().await;
    let id = watch.record(1, session).await;
    let window = watch.hospital.url("console", &format!("/maintenance/{}", watch.window));
    let link = format!("a[href='/recordings/{id}']");
    eventually("the recording is listed under its window", async || {
        watch.chief.go(&window).await;
        let script = format!("return Boolean(document.querySelector(\"{link}\"))");
        (watch.chief.script(&script).await == true).then_some(())
    })
    .await;
    watch.watch(&id).await;
    watch.chief.says("再生される内容は、ログが保証する録画そのものです。").await;
    let commands =
        "return [...document.querySelectorAll('[data-commands] bdi')].map((one) => one.textContent).join('|')";
    assert_eq!(watch.chief.script(commands).await, "cat 患者4711|exit");
    watch.chief.click("[data-do=play]").await;
    eventually("it was played to its end", async || watch.screen().await.contains("logout").then_some(())).await;
    let screen = watch.screen().await;
    assert!(screen.contains("山田 太郎") && screen.contains("<img src=x onerror=alert(1)>"), "as letters: {screen}");
    assert!(screen.contains("click"), "{screen}");
    let harm = "return [document.querySelectorAll('[data-screen] a, [data-screen] img, [data-screen] script').length,\
                document.title.includes('owned')].join()";
    assert_eq!(watch.chief.script(harm).await, "0,false");
    // Back to the first command: what came after it is not there yet.
    watch.chief.click("[data-commands] button").await;
    eventually("it stands at the command", async || (!watch.screen().await.contains("logout")).then_some(())).await;
    let focused = "return document.activeElement === document.querySelector('[data-screen]')";
    eventually("keys go to the player", async || (watch.chief.script(focused).await == true).then_some(())).await;
    watch.chief.press(' ').await;
    eventually("a key plays it", async || watch.screen().await.contains("logout").then_some(())).await;
    watch.chief.narrow_to(360).await;
    let wide = "return document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(watch.chief.script(wide).await, true, "on a phone nothing sticks out");
    let viewed = watch.hospital.records().with("ev", "recording-viewed").with("why", "play").all().len();
    assert!(viewed >= 1);
}

#[tokio::test]
async fn a_download_is_an_asciicast_whose_hash_stands_in_the_log() {
    let mut watch = Watch::open().await;
    let id = watch.record(1, session).await;
    watch.watch(&id).await;
    let text = watch
        .chief
        .later(
            "fetch(arguments[0]).then((answer) => answer.text()).then(arguments[1])",
            &format!("/recordings/{id}/cast"),
        )
        .await;
    let text = text.as_str().unwrap().to_owned();
    let file = watch.hospital.folder().write("kept.cast", &text);
    // Its own reader; `asciinema cat` wants a terminal to write to.
    let read = "import sys\nfrom asciinema.asciicast import open_from_url\nwith open_from_url(sys.argv[1]) as cast:\n    \
                sys.stdout.buffer.write(''.join(event[2] for event in cast.stdout_events()).encode())";
    let out = Command::new("/usr/bin/python3").args(["-c", read]).arg(&file).output().expect("asciinema is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(shown.contains("山田 太郎") && shown.contains("logout"), "{shown}");
    let hash = Command::new("sha256sum").arg(&file).output().unwrap().stdout;
    let ended = watch.hospital.records().with("ev", "recording-ended").only().clone();
    assert_eq!(ended["sha"].as_str(), String::from_utf8_lossy(&hash).split(' ').next());
}

#[tokio::test]
async fn a_changed_byte_is_located_and_the_page_says_so() {
    let mut watch = Watch::open().await;
    let id = watch.record(1, session).await;
    let path = watch.tape(&id);
    let good = std::fs::read(&path).unwrap();
    watch.hospital.run(&["audit", "verify"]).ok();
    let mut changed = good.clone();
    let at = good.len() - 12;
    changed[at] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    let found = watch.hospital.run(&["audit", "verify"]);
    assert!(found.code == Some(1), "{}", found.out);
    let said = format!("{}{}", found.out, found.err);
    assert!(said.contains(&format!("{id}.tape (bytes ")) && said.contains("is not what was recorded"), "{said}");
    eventually("the page says so", async || {
        watch.chief.go(&watch.page(&id)).await;
        let page = watch.chief.text().await;
        (page.contains("この録画は読み取れません") || page.contains("一致しません")).then_some(())
    })
    .await;
    std::fs::remove_file(&path).unwrap();
    let found = watch.hospital.run(&["audit", "verify"]);
    assert!(format!("{}{}", found.out, found.err).contains("is missing"), "{}", found.out);
}

#[tokio::test]
async fn ten_megabytes_without_a_newline_are_played_and_bounded() {
    let mut watch = Watch::open().await;
    let flood = async |tape: &audit::Tape| {
        for _ in 0..160 {
            tape.room().await;
            tape.output(&vec![b'x'; 64 * 1024]);
        }
        tape.output(b"\r\nend of it\r\n");
    };
    let id = watch.record(1, flood).await;
    watch.watch(&id).await;
    let length = "return Number(document.querySelector('[data-do=place]').max)";
    assert!(watch.chief.script(length).await.as_f64().is_some());
    let script = "const place = document.querySelector('[data-do=place]'); place.value = place.max;\
                  place.dispatchEvent(new Event('change'));";
    watch.chief.script(script).await;
    eventually("its end is shown", async || watch.screen().await.contains("end of it").then_some(())).await;
}
