//! Every page of the console: written correctly, in both languages, deaf to hostile input, usable without seeing.

use std::collections::BTreeSet;
use std::fs;

use bytes::Bytes;
use http::{Response, StatusCode};
use identity::NewPerson;
use policy::{DeviceClass, DeviceId};
use store::{DeviceChange, DeviceRecord, PersonChange};

use super::office::{FORM, HOSTILE, HOUR, Office, rows};
use crate::page_tests::{Tag, check_headers, read_strictly};
use crate::testing::text;
use crate::{Asset, ConsolePage, Duty, Language};

/// Every page in one language, by name, with hostile names in every place.
async fn every_page(office: &Office, language: Language) -> Vec<(String, Response<Bytes>)> {
    let administrator = office.administrator.speaking(language.tag());
    let approver = office.approver.speaking(language.tag());
    let mut pages = Vec::new();
    // There is no file to download before one was asked for, and the page that checks one is a file by itself.
    // Recordings have tests of their own.
    let is_file = |page: ConsolePage| {
        [ConsolePage::LogExportFile, ConsolePage::LogExportVerifier].contains(&page) || page.duty() == Duty::Replay
    };
    for (row, page) in rows("GET").filter(|(_, page)| !is_file(*page)) {
        let mut place = office.path(row).await;
        if page == ConsolePage::OutageReport {
            let status = office.hospital.site.parts.outage.status();
            let since = status[0].periods[0].since.unix_micros();
            place = format!("{place}?provider=city&since={since}");
        }
        let name = row.trim_start_matches('/').replace('/', "-").replace(['{', '}'], "");
        let seat = if page.duty() == Duty::Approve { &approver } else { &administrator };
        pages.push((if name.is_empty() { "home".to_owned() } else { name }, seat.get(office, &place).await));
    }
    let query: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for (name, place) in [
        ("people-none", format!("/people?q={query}&role={query}&state={query}&after={query}")),
        ("people-disabled", "/people?state=disabled&done=person-disabled".to_owned()),
        ("devices-none", format!("/devices?q={query}&class={query}&state={query}&after={query}")),
        ("devices-all", "/devices?state=all".to_owned()),
        ("sessions-none", format!("/sessions?q={query}&from={query}")),
        ("posture-stale", "/posture?state=stale".to_owned()),
        (
            "log-hostile",
            format!("/log?who={query}&device={query}&reason={query}&pt={query}&after={query}&done={query}"),
        ),
        ("log-words", format!("/log?words=a&rule={query}&session={query}")),
        ("log-address", format!("/log?address={query}")),
        ("timeline-hostile", format!("/log/timeline?device={query}&to={query}")),
        ("report-hostile", format!("/log/report?month={query}")),
    ] {
        pages.push((name.to_owned(), administrator.get(office, &place).await));
    }
    let nurse = &office.nurse.person.id;
    for (name, place, form) in [
        ("code-passkey", format!("/people/{nurse}/invite"), "proofing=x&hours=24"),
        ("code-temporary", format!("/people/{nurse}/temporary"), "reason=x&hours=8"),
        ("code-device", format!("/devices/{}/invite", office.tablet), "hours=24"),
        ("problem-person", "/new-person".to_owned(), "login=&name=&unit="),
        ("problem-disable", format!("/people/{nurse}/disable"), "why="),
    ] {
        pages.push((name.to_owned(), administrator.post(office, &place, form).await));
    }
    let table = format!("login,name,roles\nn.sato,{},nurse\n", HOSTILE.replace('"', ""));
    let fields: &[(&str, &[u8])] = &[("text", table.as_bytes()), ("step", b"check")];
    pages.push(("import-preview".to_owned(), administrator.upload(office, "/import-people", fields).await));
    let broken =
        administrator.upload(office, "/import-people", &[("text", b"nonsense\n\"x"), ("step", b"check")]).await;
    pages.push(("import-broken".to_owned(), broken));
    pages
}

/// An office whose every text is hostile.
async fn hostile_office() -> Office {
    let office = Office::open().await;
    let (at, parts) = (office.hospital.now(), &office.hospital.site.parts);
    let name = || Some(HOSTILE.to_owned());
    let change = PersonChange { login: None, name: name(), roles: None, unit: name() };
    parts.people.change(&office.nurse.person.id, change, "cli:test", at).await.unwrap();
    parts.people.invite(&office.nurse.person.id, HOUR, HOSTILE, "cli:<b>", at).await.unwrap();
    let change = DeviceChange {
        asset: name(),
        owner: name(),
        place: name(),
        os: name(),
        os_version: name(),
        ..DeviceChange::default()
    };
    office.hospital.store.change_device(&office.tablet, change, at, "cli:<b>".to_owned()).await.unwrap();
    office.report_posture().await;
    let provider = policy::ProviderId::parse("city").unwrap();
    parts.outage.switch(&provider, identity::OutageSwitch::On, "cli:test", at).await.unwrap();
    office.write_log(&[office.access(&office.nurse, &office.tablet, "/a%3Cscript%3E", at)]);
    office
}

#[tokio::test]
async fn every_page_is_whole_guarded_and_deaf_to_hostile_names() {
    let office = hostile_office().await;
    for language in Language::ALL {
        for (name, response) in every_page(&office, language).await {
            let name = format!("{name} ({})", language.tag());
            assert!(
                matches!(response.status(), StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY),
                "{name}: {}",
                response.status()
            );
            let is_page = response.headers()["content-type"] == "text/html; charset=utf-8";
            if is_page {
                check_headers(&name, &response);
            }
            assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{name}");
            let page = text(&response);
            if !is_page {
                continue;
            }
            for bad in ["<script", "<img src=x", "'\"<", "cli:<b>"] {
                assert!(!page.contains(bad), "{bad} in {name}");
            }
            check_page(&name, &page, language);
        }
    }
}

#[tokio::test]
async fn empty_lists_say_so() {
    let office = Office::open().await;
    for (place, key) in [
        ("/people?q=nobody", "console-none-fit"),
        ("/invitations", "console-invitations-none"),
        ("/devices?q=nothing", "console-none-fit"),
        ("/posture", "console-posture-none"),
        ("/outage", "console-outages-none"),
        ("/notices", "console-notices-none"),
        ("/nodes", "console-nodes-none"),
        ("/stock-take", "console-stock-none"),
    ] {
        let page = text(&office.administrator.get(&office, place).await);
        let said = office.hospital.site.voice(Language::Japanese).say(key);
        assert!(page.contains(&said), "{place}");
    }
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let office = Office::open().await;
    let at = office.hospital.now();
    for number in 0..120 {
        let person =
            NewPerson { login: format!("p{number:03}"), name: format!("p{number:03}"), ..NewPerson::default() };
        office.hospital.site.parts.people.add(person, "cli:test", at).await.unwrap();
        let device = DeviceRecord::new(DeviceId::parse(&format!("d{number:03}")).unwrap(), DeviceClass::Fixed, at);
        office.hospital.store.add_device(device, "test".to_owned()).await.unwrap();
    }
    for (place, mark, count) in
        [("/people?q=p", "<a href=\"/people/u-", 120), ("/devices?q=d", "<a href=\"/devices/d", 126)]
    {
        let (mut next, mut seen, mut pages) = (Some(place.to_owned()), 0, 0);
        while let Some(place) = next.take() {
            let page = text(&office.administrator.get(&office, &place).await);
            let rows = page.matches(mark).count();
            assert!(rows <= 50, "{place}: {rows}");
            seen += rows;
            pages += 1;
            let mut links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            next = links.find(|link| link.contains("after=")).map(|link| link.replace("&#38;", "&"));
            assert!(pages < 10, "it ends");
        }
        assert!(pages >= 3 && (count..count + 2).contains(&seen), "{place}: {seen} on {pages} pages");
    }
}

#[tokio::test]
async fn only_words_of_ours_are_said_as_done() {
    let office = Office::open().await;
    let page = text(&office.administrator.get(&office, "/people?done=person-disabled").await);
    assert!(page.contains("role=\"status\""));
    let page = text(&office.administrator.get(&office, "/people?done=call-0120-000-000").await);
    assert!(!page.contains("role=\"status\"") && !page.contains('⟨'));
}

#[test]
fn every_event_every_done_and_every_state_has_words() {
    let texts = crate::texts::Texts::new();
    let events = audit::Event::ALL.iter().map(|event| format!("console-event-{}", event.code()));
    let done = super::super::texts::DONE.iter().map(|done| format!("console-done-{done}"));
    let classes = DeviceClass::ALL.iter().map(|class| format!("device-{}", class.as_str()));
    for key in events.chain(done).chain(classes) {
        for language in Language::ALL {
            assert!(texts.voice(language).try_say(&key).is_some(), "{key} in {}", language.tag());
        }
    }
}

/// Writes every page where a person can look at it: `SEKIMORI_PAGES=/somewhere cargo nextest run -p web --run-ignored
/// only console`.
#[tokio::test]
#[ignore = "for looking at, not for checking"]
async fn every_page_of_the_console_is_written_down() {
    let folder = std::path::PathBuf::from(std::env::var("SEKIMORI_PAGES").unwrap());
    fs::create_dir_all(folder.join(".sekimori")).unwrap();
    for asset in Asset::ALL {
        fs::write(folder.join(asset.path().trim_start_matches('/')), asset.bytes()).unwrap();
    }
    let office = Office::open().await;
    office.report_posture().await;
    let (parts, at) = (&office.hospital.site.parts, office.hospital.now());
    let provider = policy::ProviderId::parse("city").unwrap();
    parts.outage.switch(&provider, identity::OutageSwitch::On, "cli:test", at).await.unwrap();
    office.write_log(&[office.access(&office.nurse, &office.tablet, "/patients/4711/chart", at)]);
    for language in Language::ALL {
        for (name, response) in every_page(&office, language).await {
            fs::write(folder.join(format!("console-{name}.{}.html", language.tag())), response.body()).unwrap();
        }
    }
}

/// One page for one title, every field with its label, every reference to something that is there.
fn check_page(page: &str, html: &str, language: Language) {
    let tags = read_strictly(page, html);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    for once in ["html", "head", "title", "body", "header", "main", "nav", "h1", "footer"] {
        assert_eq!(count(once), 1, "{page}: <{once}>");
    }
    assert_eq!(tags[0].value("lang"), Some(language.tag()), "{page}");
    let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.value("id")).collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{page}: ids are unique: {ids:?}");
    let labelled: BTreeSet<&str> = tags.iter().filter_map(|tag| tag.value("for")).collect();
    for tag in &tags {
        let inline = tag.attributes.iter().find(|(key, _)| key.starts_with("on") || *key == "style");
        assert!(inline.is_none(), "{page}: {inline:?} on <{}>", tag.name);
        assert!(!["script", "style", "iframe", "object", "base"].contains(&tag.name), "{page}: <{}>", tag.name);
        check_field(page, tag, &labelled);
        if tag.name == "form" {
            let is_search = tag.value("role") == Some("search");
            assert_eq!(tag.value("method"), Some(if is_search { "get" } else { "post" }), "{page}");
        }
        let references = ["aria-labelledby", "aria-describedby", "for"].into_iter().filter_map(|name| tag.value(name));
        for reference in references.chain(tag.value("href").and_then(|href| href.strip_prefix('#'))) {
            assert!(ids.contains(&reference), "{page}: #{reference}");
        }
    }
    assert!(!html.contains('⟨'), "{page}: a text is missing");
}

fn check_field(page: &str, tag: &Tag<'_>, labelled: &BTreeSet<&str>) {
    let needs_label = match (tag.name, tag.value("type")) {
        ("input", Some("hidden" | "checkbox")) => false,
        ("input" | "select" | "textarea", _) => true,
        _ => false,
    };
    if needs_label {
        let id = tag.value("id").unwrap_or_else(|| panic!("{page}: a field without id"));
        assert!(labelled.contains(id), "{page}: {id} has no label");
    }
    if tag.name == "th" {
        assert!(matches!(tag.value("scope"), Some("col" | "row" | "rowgroup")), "{page}: a heading of nothing");
    }
}

#[tokio::test]
async fn the_form_of_the_tests_is_one_that_pages_take() {
    let office = Office::open().await;
    assert_eq!(office.administrator.post(&office, "/new-person", FORM).await.status(), StatusCode::SEE_OTHER);
}
