//! Who may see and do what.

use http::StatusCode;
use store::Change;

use super::office::{FORM, Office, Seat, key_id, rows};
use crate::testing::{Browser, CONSOLE, text};
use crate::{CONSOLE_TABLE, ConsolePage, Duty, Page};

#[tokio::test]
async fn a_nurse_and_a_stranger_are_refused_everywhere_and_change_nothing() {
    let office = Office::open().await;
    let stranger = Seat { person: office.nurse.person.clone(), browser: Browser::at(None) };
    let before = office.last_event().await;
    for seat in [&office.nurse, &stranger] {
        for (row, _) in rows("GET") {
            let response = seat.get(&office, &office.path(row).await).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "GET {row}");
            assert!(text(&response).contains("builtin-console"), "{row} names its rule");
        }
        for (row, _) in rows("POST") {
            let response = seat.post(&office, &office.path(row).await, FORM).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "POST {row}");
        }
    }
    assert_eq!(office.events_after(before).await, []);
}

#[tokio::test]
async fn a_session_of_another_device_opens_nothing() {
    let office = Office::open().await;
    let mut stolen = office.administrator.browser.clone();
    stolen.device = office.nurse.browser.device.clone();
    let response = stolen.get(&office.hospital, &format!("https://{CONSOLE}/people")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_auditor_sees_everything_and_changes_nothing() {
    let office = Office::open().await;
    let before = office.last_event().await;
    for (row, page) in rows("GET") {
        let response = office.auditor.get(&office, &office.path(row).await).await;
        match page.duty() {
            Duty::Look | Duty::Inspect | Duty::Read
                if [ConsolePage::OutageReport, ConsolePage::LogExportFile].contains(&page) =>
            {
                assert_eq!(response.status(), StatusCode::NOT_FOUND, "no outage and no file so far");
            }
            Duty::Enter | Duty::Look | Duty::Read | Duty::Inspect | Duty::Oversee | Duty::Witness => {
                assert_eq!(response.status(), StatusCode::OK, "GET {row}");
            }
            Duty::Replay => assert_eq!(response.status(), StatusCode::NOT_FOUND, "nothing was recorded"),
            Duty::Help | Duty::Administer | Duty::Stop | Duty::Approve | Duty::Mend | Duty::Judge => {
                assert_eq!(response.status(), StatusCode::FORBIDDEN, "GET {row}");
            }
        }
        if response.status() == StatusCode::OK {
            assert!(!text(&response).contains("method=\"post\" action=\"/people"), "{row} offers a change");
        }
    }
    for (row, page) in rows("POST") {
        let response = office.auditor.post(&office, &office.path(row).await, FORM).await;
        let is_theirs = matches!(page.duty(), Duty::Inspect | Duty::Read);
        assert_eq!(response.status() != StatusCode::FORBIDDEN, is_theirs, "POST {row}");
    }
    assert_eq!(office.events_after(before).await, []);
}

#[tokio::test]
async fn the_help_desk_may_what_helps_and_nothing_else() {
    let office = Office::open().await;
    for (method, (row, page)) in rows("GET").map(|row| ("GET", row)).chain(rows("POST").map(|row| ("POST", row))) {
        let is_theirs = match page.duty() {
            Duty::Enter | Duty::Look | Duty::Help | Duty::Stop | Duty::Oversee => true,
            Duty::Read
            | Duty::Inspect
            | Duty::Administer
            | Duty::Approve
            | Duty::Witness
            | Duty::Mend
            | Duty::Judge => false,
            // Nothing was recorded.
            Duty::Replay => continue,
        };
        // What a device in force shows of people's work is not for the help desk.
        let is_theirs = is_theirs && page != ConsolePage::DeviceTrail;
        if is_theirs && method == "POST" {
            continue;
        }
        let path = office.path(row).await;
        let response = match method {
            "GET" => office.help_desk.get(&office, &path).await,
            _ => office.help_desk.post(&office, &path, FORM).await,
        };
        let expected = if is_theirs { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(response.status(), expected, "{method} {row}");
    }
}

#[tokio::test]
async fn the_help_desk_does_not_touch_whoever_has_a_part_in_the_console() {
    let office = Office::open().await;
    let before = office.last_event().await;
    for seat in [&office.administrator, &office.auditor, &office.help_desk] {
        let (person, session) = (&seat.person.id, office.session_of(seat).await);
        for (place, form) in [
            (format!("/people/{person}/invite"), "proofing=x&hours=24"),
            (format!("/people/{person}/temporary"), "reason=x&hours=8"),
            (format!("/people/{person}/disable"), "why=x"),
            (format!("/people/{person}/end-sessions"), ""),
            (format!("/people/{person}/keys/{}/remove", key_id()), ""),
            (format!("/sessions/{session}/end"), ""),
        ] {
            let response = office.help_desk.post(&office, &place, form).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{place}");
        }
        let page = text(&office.help_desk.get(&office, &format!("/people/{person}")).await);
        for offered in ["/invite\"", "/temporary\"", "/disable\"", "/end-sessions\""] {
            assert!(!page.contains(offered), "{offered}");
        }
    }
    assert_eq!(office.events_after(before).await, []);
    let for_the_administrator = format!("/people/{}/invite", office.administrator.person.id);
    let invited = office.help_desk.post(&office, &for_the_administrator, "proofing=x&hours=24").await;
    assert_eq!(invited.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_lost_device_is_not_the_help_desks_way_to_end_an_administrators_session() {
    let office = Office::open().await;
    let said = |key: &str| office.hospital.site.voice(crate::Language::Japanese).say(key);
    let words = said("console-problem-lost-administrator");
    let before = office.last_event().await;
    let place = "/devices/desk-k.mori/lost";
    let page = text(&office.help_desk.get(&office, place).await);
    assert!(page.contains(&words) && !page.contains("name=\"hours\""), "the form is not even offered");
    let refused = office.help_desk.post(&office, place, "reason=x&hours=24").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&refused).contains(&words), "with words");
    assert_eq!(office.events_after(before).await, [], "nothing ended");
    // The nurse's desk and a device that nobody uses are the help desk's to shut out.
    for place in ["/devices/desk-n.sato/lost", "/devices/tablet-7/lost"] {
        let lost = office.help_desk.post(&office, place, "reason=x&hours=24").await;
        assert_eq!(lost.status(), StatusCode::SEE_OTHER, "{place}");
    }
    let mut other = super::office::seat(&office.hospital, "k.hara", "原 圭", "administrator").await;
    other.browser.language = "ja";
    let lost = other.post(&office, place, "reason=x&hours=24").await;
    assert_eq!(lost.status(), StatusCode::SEE_OTHER, "another administrator may");
}

#[tokio::test]
async fn the_help_desk_takes_back_only_what_it_could_have_made() {
    let office = Office::open().await;
    let (administrator, nurse) = (&office.administrator, &office.nurse);
    let people = &office.hospital.site.parts.people;
    let at = office.hospital.now();
    let theirs = people.invite(&administrator.person.id, super::office::HOUR, "x", "cli:test", at).await.unwrap();
    let device = people.invite_device(&office.tablet, super::office::HOUR, "x", "cli:test", at).await.unwrap();
    let plain = people.invite(&nurse.person.id, super::office::HOUR, "x", "cli:test", at).await.unwrap();
    for (id, expected) in [(theirs.id, 403), (device.id, 403), (plain.id, 303)] {
        let response = office.help_desk.post(&office, &format!("/invitations/{id}/revoke"), "").await;
        assert_eq!(response.status().as_u16(), expected, "{id}");
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_refused_and_changes_nothing() {
    let office = Office::open().await;
    let before = office.last_event().await;
    for (row, _) in rows("POST") {
        let path = office.path(row).await;
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "https://portal.hosp.example"),
            ("origin", "null"),
            ("sec-fetch-site", "same-site"),
        ] {
            let browser = &office.administrator.browser;
            let mut headers = browser.headers(CONSOLE);
            headers.insert(name, value.parse().unwrap());
            headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
            let url = format!("https://{CONSOLE}{path}");
            let response = browser.clone().send(&office.hospital, "POST", &url, headers, FORM.into()).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{row} from {value}");
        }
    }
    assert_eq!(office.events_after(before).await, []);
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let office = Office::open().await;
    let before = office.last_event().await;
    for row in CONSOLE_TABLE.iter().filter(|row| row.path.contains('{') && !is_of_a_role_apart(row.page)) {
        for id in ["u-0", "0000000000000000", "NO", "ff", "あ"] {
            let place: Vec<String> = row
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { percent(id) } else { part.to_owned() })
                .collect();
            let place = place.join("/");
            let response = match row.method {
                "POST" => office.administrator.post(&office, &place, FORM).await,
                _ => office.administrator.get(&office, &place).await,
            };
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{} {place}", row.method);
        }
    }
    // A key of one person is not found at another, nor a certificate at another device.
    let (nurse, administrator) = (&office.nurse.person.id, &office.administrator.person.id);
    for place in [
        format!("/people/{administrator}/keys/{}/remove", key_id()),
        format!("/devices/ward3-pc1/certificates/{}/revoke", policy::Fingerprint::new([0x77; 32])),
        format!("/people/{nurse}/keys/{}/remove", store::CredentialId(vec![1; 16])),
    ] {
        let seat = if place.contains(administrator.as_str()) { &office.help_desk } else { &office.administrator };
        let expected =
            if place.contains(administrator.as_str()) { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND };
        assert_eq!(seat.post(&office, &place, "").await.status(), expected, "{place}");
    }
    assert_eq!(office.events_after(before).await, []);
}

fn percent(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

#[tokio::test]
async fn nobody_locks_themselves_out_or_serves_themselves() {
    let office = Office::open().await;
    let (own, place) = (&office.administrator, format!("/people/{}", office.administrator.person.id));
    let before = office.last_event().await;
    for (form_of, form, expected) in [
        ("disable", "why=x", 422),
        ("change", "name=x&login=k.mori&unit=&role=nurse", 422),
        ("change", "name=x&login=k.mori&unit=", 422),
        ("invite", "proofing=x&hours=24", 403),
        ("temporary", "reason=x&hours=8", 403),
    ] {
        let response = own.post(&office, &format!("{place}/{form_of}"), form).await;
        assert_eq!(response.status().as_u16(), expected, "{form_of}");
    }
    for ends in ["revoke", "lost"] {
        let place = format!("/devices/desk-k.mori/{ends}");
        let response = own.post(&office, &place, "reason=x&hours=24").await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{place}");
    }
    let table = "login,name,roles,unit,state\nk.mori,森 健,nurse,,\n";
    let response = own.upload(&office, "/import-people", &[("step", b"check"), ("text", table.as_bytes())]).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(office.events_after(before).await, []);
}

#[tokio::test]
async fn who_loses_their_role_loses_the_console_at_once() {
    let office = Office::open().await;
    assert_eq!(office.help_desk.get(&office, "/people").await.status(), StatusCode::OK);
    let place = format!("/people/{}/disable", office.help_desk.person.id);
    assert_eq!(office.administrator.post(&office, &place, "why=left").await.status(), StatusCode::SEE_OTHER);
    let ended = office.events_after(0).await.into_iter().any(|event| matches!(event.change, Change::SessionEnded(_)));
    assert!(ended, "the store ends their sessions; every node follows the event");
}

#[test]
fn every_change_has_a_duty_and_every_page_a_row() {
    for row in CONSOLE_TABLE {
        let Page::Console(page) = row.page else { panic!("{}", row.path) };
        if row.method == "POST" {
            // Who looks asks by POST too, and says what they found; the built-in rule lets them nowhere else.
            let looks = ["explain", "log"].contains(&row.path.split('/').nth(1).unwrap());
            assert!(
                looks == matches!(page.duty(), Duty::Inspect | Duty::Read) && page.duty() != Duty::Look,
                "{}",
                row.path
            );
        }
        let helps = page.duty() == Duty::Help && row.method == "POST";
        let first = row.path.split('/').nth(1).unwrap();
        // The built-in rule lets the help desk write nowhere else.
        assert!(!helps || ["people", "invitations", "devices", "sessions"].contains(&first), "{}", row.path);
    }
}

/// Whether a page is for a role that administrators have not.
fn is_of_a_role_apart(page: Page) -> bool {
    matches!(page, Page::Console(page) if matches!(page.duty(), Duty::Approve | Duty::Judge))
}
