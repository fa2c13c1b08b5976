//! What the console changes, who is recorded as having done it, and what a lost device shows.

use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, LOCATION};
use policy::DeviceId;
use store::Change;

use super::office::{HOSTILE, HOUR, Office, key_id};
use crate::testing::{LOGIN, text};

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[tokio::test]
async fn every_change_is_told_with_who_did_it() {
    let office = Office::open().await;
    let (nurse, tablet) = (office.nurse.person.id.clone(), office.tablet.clone());
    let session = office.session_of(&office.nurse).await;
    let certificate = policy::Fingerprint::new([0x77; 32]);
    for (place, form, code) in [
        ("/new-person".to_owned(), "login=t.abe&name=%E9%98%BF%E9%83%A8&unit=&role=nurse".to_owned(), 303),
        (format!("/people/{nurse}/change"), "login=n.sato&name=%E4%BD%90%E8%97%A4&unit=ICU&role=nurse".to_owned(), 303),
        (format!("/people/{nurse}/invite"), "proofing=card&hours=24".to_owned(), 200),
        (format!("/people/{nurse}/temporary"), "reason=forgot&hours=8".to_owned(), 200),
        (format!("/invitations/{}/revoke", office.invitation().await), String::new(), 404),
        (format!("/people/{nurse}/keys/{}/remove", key_id()), String::new(), 303),
        (format!("/sessions/{session}/end"), String::new(), 303),
        (
            "/new-device".to_owned(),
            "id=ward5-pc1&class=ward-shared&asset=A-5&owner=&place=5F&os=&os_version=&leaves=2027-03-31&hours=24"
                .to_owned(),
            200,
        ),
        (
            format!("/devices/{tablet}/change"),
            "class=tablet&asset=T-8&owner=&place=&os=&os_version=&leaves=".to_owned(),
            303,
        ),
        (format!("/devices/{tablet}/invite"), "hours=24".to_owned(), 200),
        ("/stock-take".to_owned(), format!("device={tablet}"), 303),
        (format!("/devices/{tablet}/certificates/{certificate}/revoke"), String::new(), 303),
        (format!("/devices/{tablet}/revoke"), String::new(), 303),
        (format!("/people/{nurse}/disable"), "why=left".to_owned(), 303),
        (format!("/people/{nurse}/enable"), String::new(), 303),
        ("/outage/city/switch".to_owned(), "to=on".to_owned(), 303),
    ] {
        let before = office.last_event().await;
        let response = office.administrator.post(&office, &place, &form).await;
        assert_eq!(response.status().as_u16(), code, "{place}: {}", text(&response));
        let events = office.events_after(before).await;
        assert_eq!(events.is_empty(), code == 404, "{place} is told: {events:?}");
        for event in &events {
            assert_eq!(event.actor, office.administrator.person.id.as_str(), "{place}");
        }
    }
}

#[tokio::test]
async fn a_code_is_shown_once_and_opens_what_it_is_for() {
    let office = Office::open().await;
    let nurse = &office.nurse.person.id;
    let response = office.help_desk.post(&office, &format!("/people/{nurse}/invite"), "proofing=card&hours=4").await;
    let page = text(&response);
    let link = format!("https://{LOGIN}/enrol#");
    let code: String = page.split(&link).nth(1).unwrap().chars().take_while(|c| *c != '"').collect();
    assert!(page.contains("<svg class=\"qr\"") && page.contains("no-store") == page.contains("no-store"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    let shown = office.hospital.site.parts.people.look_at_invitation(&code, office.hospital.now()).await.unwrap();
    assert_eq!(shown.unwrap().person.unwrap().id, *nurse);
    for place in ["/invitations".to_owned(), format!("/people/{nurse}")] {
        let later = text(&office.help_desk.get(&office, &place).await);
        assert!(!later.contains(&code) && later.contains("/revoke\""), "{place}");
    }
    let gone = office.help_desk.post(&office, &format!("/invitations/{}/revoke", office.invitation().await), "").await;
    assert_eq!(gone.status(), StatusCode::SEE_OTHER);
    let shown = office.hospital.site.parts.people.look_at_invitation(&code, office.hospital.now()).await.unwrap();
    assert!(shown.is_none());
}

#[tokio::test]
async fn a_code_needs_a_reason_and_an_offered_span() {
    let office = Office::open().await;
    let place = format!("/people/{}", office.nurse.person.id);
    for (form_of, form, expected) in [
        ("invite", "proofing=&hours=24", 422),
        ("invite", "proofing=x&hours=9999", 400),
        ("invite", "proofing=x", 400),
        ("temporary", "reason=&hours=8", 422),
        ("temporary", "reason=x&hours=24", 400),
        ("temporary", "reason=a%00b&hours=8", 400),
        ("disable", "why=", 422),
    ] {
        let response = office.administrator.post(&office, &format!("{place}/{form_of}"), form).await;
        assert_eq!(response.status().as_u16(), expected, "{form_of} {form}");
    }
    assert_eq!(office.invitation().await, "0".repeat(16));
    assert!(office.nurse_now().await.disabled.is_none());
}

#[tokio::test]
async fn a_lost_device_is_shut_out_and_shows_what_was_opened_from_it() {
    let office = Office::open().await;
    let (tablet, now) = (&office.tablet, office.hospital.now());
    let ago = |hours: u64| super::super::posted::ago(now, HOUR * u32::try_from(hours).unwrap());
    office.write_log(&[
        office.access(&office.nurse, tablet, "/patients/too-old", ago(30)),
        office.access(&office.nurse, tablet, "/patients/4711", ago(3)),
        office.access(&office.nurse, &DeviceId::parse("ward3-pc1").unwrap(), "/patients/elsewhere", ago(2)),
        office.access(&office.nurse, tablet, "/patients/4712", ago(1)),
    ]);
    let place = format!("/devices/{tablet}/lost");
    let no_reason = office.help_desk.post(&office, &place, "reason=&hours=24").await;
    assert_eq!(no_reason.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(office.tablet_now().await.revoked_at.is_none());

    let lost = office.help_desk.post(&office, &place, &encoded(&[("reason", "往診先"), ("hours", "24")])).await;
    assert_eq!(lost.status(), StatusCode::SEE_OTHER, "{}", text(&lost));
    assert!(office.tablet_now().await.revoked_at.is_some());
    assert!(office.hospital.lines().contains("\"reason\":\"往診先\""), "why is in the log");
    let trail = lost.headers()[LOCATION].to_str().unwrap().to_owned();
    let page = text(&office.help_desk.get(&office, &trail).await);
    for seen in ["/patients/4711", "/patients/4712", "佐藤 花子", "n.sato"] {
        assert!(page.contains(seen), "{seen}");
    }
    let patients = page.split("id=\"patients\"").nth(1).unwrap().split("</table>").next().unwrap();
    let places = ["4712", "4711"].map(|patient| patients.find(&format!(">{patient}<")));
    assert!(places[0].is_some() && places[0] < places[1], "the last one first: {patients}");
    assert!(!patients.contains("too-old"), "{patients}");
    for other in ["too-old", "elsewhere"] {
        assert!(!page.contains(other), "{other}");
    }
    assert!(office.hospital.lines().contains("\"ev\":\"log-read\""), "that it was looked at is in the log");
}

#[tokio::test]
async fn a_table_shows_what_it_would_do_before_it_does_it() {
    let office = Office::open().await;
    let administrator = &office.administrator;
    let import = async |fields: &[(&str, &[u8])]| administrator.upload(&office, "/import-people", fields).await;
    let before = office.last_event().await;

    let broken = "login,name,roles,unit,state\nx,,nurse,,\ny,名前,wizard,,\nn.sato,佐藤,nurse,,maybe\n";
    let response = import(&[("file", broken.as_bytes()), ("step", b"import"), ("text", b"")]).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = text(&response);
    for line in ["2行目", "3行目", "4行目", "wizard"] {
        assert!(page.contains(line), "{line}");
    }
    let sjis = b"login,name,roles\nx,\x8d\xb2\x93\xa1,nurse\n";
    let response = import(&[("file", sjis), ("step", b"check")]).await;
    assert!(text(&response).contains("CSV UTF-8"));

    let table = "login,name,roles,unit,state\r\nt.abe,阿部 常,nurse,ICU,\r\n";
    let shown = text(&import(&[("file", table.as_bytes()), ("step", b"check"), ("text", b"")]).await);
    assert!(shown.contains("t.abe") && shown.contains("value=\"import\""), "{shown}");
    assert_eq!(office.events_after(before).await, [], "nothing is taken in by looking");
    let seen: String = shown.split("name=\"seen\" value=\"").nth(1).unwrap().chars().take(16).collect();

    let other = table.replace("ICU", "ER");
    let again = import(&[("step", b"import"), ("seen", seen.as_bytes()), ("text", other.as_bytes())]).await;
    assert_eq!(again.status(), StatusCode::OK, "a table that was changed since is shown first");
    assert_eq!(office.events_after(before).await, []);

    let done = import(&[("step", b"import"), ("seen", seen.as_bytes()), ("text", table.as_bytes())]).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER, "{}", text(&done));
    let events = office.events_after(before).await;
    assert!(matches!(events.as_slice(), [event] if matches!(event.change, Change::PersonAdded(_))), "{events:?}");
    let exported = administrator.get(&office, "/people.csv").await;
    assert!(text(&exported).contains("t.abe,阿部 常,nurse,ICU,active"));
    assert!(exported.headers()[CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment; filename=\"people-"));
}

#[tokio::test]
async fn the_ledger_goes_out_and_comes_in_as_a_table() {
    let office = Office::open().await;
    let out = text(&office.auditor.get(&office, "/devices.csv").await);
    assert!(out.contains("tablet-7,tablet,T-7"), "{out}");
    let table = "id,class,place\ntablet-7,tablet,ICU\nnew-3,fixed,2F\n";
    let fields: &[(&str, &[u8])] = &[("text", table.as_bytes()), ("step", b"check")];
    let shown = text(&office.administrator.upload(&office, "/import-devices", fields).await);
    let seen: String = shown.split("name=\"seen\" value=\"").nth(1).unwrap().chars().take(16).collect();
    let fields: &[(&str, &[u8])] = &[("text", table.as_bytes()), ("step", b"import"), ("seen", seen.as_bytes())];
    let done = office.administrator.upload(&office, "/import-devices", fields).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    assert_eq!(office.tablet_now().await.place, "ICU");
    assert_eq!(office.tablet_now().await.asset, "T-7", "what the table does not name stays");
}

#[tokio::test]
async fn a_new_device_is_entered_with_its_last_day_and_a_taken_name_is_said() {
    let office = Office::open().await;
    let form = |id: &str, leaves: &str| {
        encoded(&[
            ("id", id),
            ("class", "ward-shared"),
            ("asset", HOSTILE),
            ("owner", ""),
            ("place", ""),
            ("os", ""),
            ("os_version", ""),
            ("leaves", leaves),
            ("hours", "24"),
        ])
    };
    let page = text(&office.administrator.post(&office, "/new-device", &form("ward5-pc1", "2027-03-31")).await);
    assert!(page.contains(&format!("https://{LOGIN}/device#")));
    let device = office.hospital.store.device(&DeviceId::parse("ward5-pc1").unwrap()).await.unwrap().unwrap();
    assert_eq!(device.expires_at.unwrap().to_string(), "2027-03-31T15:00:00.000Z", "the end of that day in Japan");
    let page = text(&office.administrator.get(&office, "/devices/ward5-pc1").await);
    assert!(page.contains("2027-03-31") && !page.contains("<script"));
    for (id, leaves, expected) in
        [("ward5-pc1", "", 422), ("Ward 5", "", 422), ("ward6", "2027-02-30", 400), ("ward6", "31.3.2027", 400)]
    {
        let response = office.administrator.post(&office, "/new-device", &form(id, leaves)).await;
        assert_eq!(response.status().as_u16(), expected, "{id} {leaves}");
    }
}
