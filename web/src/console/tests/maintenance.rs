//! Remote maintenance from both sides: the vendor's pages in the portal and the hospital's in the console.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use policy::{AppId, GrantId, Timestamp};
use store::{GrantState, MaintenanceWrite};

use super::office::{HOSTILE, MINUTE, Office, Seat, ask, rows, seat};
use crate::page_tests::{check_headers, read_strictly};
use crate::testing::{PORTAL, text};
use crate::{Duty, Language};

impl Seat {
    /// Opens a page of the portal.
    async fn visit(&self, office: &Office, place: &str) -> Response<Bytes> {
        self.browser.clone().get(&office.hospital, &format!("https://{PORTAL}{place}")).await
    }

    /// Posts a form of the portal.
    async fn hand_in(&self, office: &Office, place: &str, form: &str) -> Response<Bytes> {
        self.browser.clone().post(&office.hospital, &format!("https://{PORTAL}{place}"), form).await
    }

    /// Asks for a window as the form does.
    async fn request(&self, office: &Office, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Response<Bytes> {
        let usual = [
            ("app", "pacs"),
            ("purpose", "画像が出ない"),
            ("ticket", "T-2"),
            ("begin", "2026-11-23T21:00"),
            ("end", "2026-11-23T22:00"),
            ("plan", "1. 記録を見る"),
            ("methods", ""),
            ("paths", ""),
        ];
        let given = |name: &str| fields.iter().any(|(given, _)| *given == name);
        let mut body = Vec::new();
        let mut piece = |head: String, bytes: &[u8]| {
            body.extend_from_slice(format!("--b1\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        };
        for (name, value) in usual.iter().filter(|(name, _)| !given(name)).chain(fields) {
            piece(format!("name=\"{name}\""), value.as_bytes());
        }
        let (name, bytes) = file.unwrap_or_default();
        piece(format!("name=\"file\"; filename=\"{name}\""), bytes);
        body.extend_from_slice(b"--b1--\r\n");
        let mut headers = self.browser.headers(PORTAL);
        headers.insert("origin", HeaderValue::from_str(&format!("https://{PORTAL}")).unwrap());
        headers.insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=b1"));
        let url = format!("https://{PORTAL}/new-maintenance");
        self.browser.clone().send(&office.hospital, "POST", &url, headers, Bytes::from(body)).await
    }
}

impl Office {
    async fn state(&self, id: &GrantId) -> GrantState {
        self.hospital.store.grant(id).await.unwrap().unwrap().state(self.hospital.now())
    }

    fn says(&self, page: &str, key: &str) -> bool {
        page.contains(&self.hospital.site.voice(Language::Japanese).say(key))
    }
}

/// Where an answer leads.
fn next(response: &Response<Bytes>) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{}", text(response));
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

fn minutes(office: &Office, minutes: i64) {
    office.hospital.pass_seconds(minutes * 60);
}

#[tokio::test]
async fn the_whole_loop_goes_from_the_request_to_the_confirmed_report() {
    let office = Office::open().await;
    let (vendor, approver) = (&office.vendor, &office.approver);
    let id = &office.grant;
    let (own, desk) = (format!("/maintenance/requests/{id}"), format!("/maintenance/{id}"));
    let list = text(&vendor.visit(&office, "/maintenance").await);
    assert!(list.contains(&own) && office.says(&list, "maintenance-is-requested"), "{list}");
    let page = text(&approver.get(&office, &format!("{desk}/approve")).await);
    assert!(page.contains(&format!("action=\"{desk}/approve\"")), "{page}");
    next(&approver.post(&office, &format!("{desk}/approve"), "words=%E5%8F%AF").await);
    assert_eq!(office.state(id).await, GrantState::Armed);

    minutes(&office, 6);
    assert_eq!(office.state(id).await, GrantState::Active);
    let page = text(&vendor.visit(&office, &own).await);
    assert!(office.says(&page, "maintenance-vendor-next-active") && page.contains(&format!("{own}/end")), "{page}");
    let page = approver.get(&office, &format!("{desk}?live=on")).await;
    assert_eq!(page.headers()["refresh"], "5");
    assert!(office.says(&text(&page), "maintenance-open-none") && text(&page).contains(&format!("{desk}/end")));
    let place = next(&approver.post(&office, &format!("{desk}/end"), "").await);
    assert_eq!(office.state(id).await, GrantState::Ended);
    let page = text(&approver.get(&office, &place).await);
    assert!(office.says(&page, "console-done-maintenance-ended"), "{page}");

    let page = text(&vendor.visit(&office, &own).await);
    assert!(page.contains(&format!("{own}/report")), "{page}");
    let place = next(
        &vendor.hand_in(&office, &format!("{own}/report"), "text=%E7%9B%B4%E3%82%8A%E3%81%BE%E3%81%97%E3%81%9F").await,
    );
    assert!(text(&vendor.visit(&office, &place).await).contains("直りました"));
    assert_eq!(office.state(id).await, GrantState::Reported);
    let page = text(&approver.get(&office, &desk).await);
    assert!(page.contains("直りました") && page.contains(&format!("{desk}/confirm")), "{page}");
    let shown = office.hospital.store.grant(id).await.unwrap().unwrap();
    let shown = shown.maintenance().unwrap().report.as_ref().unwrap().at.unix_micros();
    assert!(page.contains(&format!("name=\"reported-at\" value=\"{shown}\"")), "{page}");
    let unseen = approver.post(&office, &format!("{desk}/confirm"), &format!("words=&reported-at={}", shown - 1)).await;
    assert_eq!(unseen.status(), StatusCode::UNPROCESSABLE_ENTITY, "another report than the one they saw");
    let unsaid = approver.post(&office, &format!("{desk}/confirm"), "words=").await;
    assert_eq!(unsaid.status(), StatusCode::BAD_REQUEST);
    next(&approver.post(&office, &format!("{desk}/confirm"), &format!("words=&reported-at={shown}")).await);
    assert_eq!(office.state(id).await, GrantState::Confirmed);
    let paper = text(&approver.get(&office, &format!("{desk}/report")).await);
    for key in
        ["maintenance-paper", "maintenance-did-reported", "maintenance-did-confirmed", "maintenance-signer-hospital"]
    {
        assert!(office.says(&paper, key), "{key}: {paper}");
    }
    let refused = vendor.hand_in(&office, &format!("{own}/report"), "text=other").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "what is confirmed stays");
}

#[tokio::test]
async fn a_window_is_asked_for_with_its_file_which_nobody_opens() {
    let office = Office::open().await;
    let html = b"\xEF\xBB\xBF<script>alert(1)</script>";
    let fields = [("methods", "get, post"), ("paths", "/admin/*\n/status"), ("urgent", "on")];
    let asked = office.vendor.request(&office, &fields, Some(("計画.html", html))).await;
    let place = next(&asked);
    let id = place.trim_start_matches("/maintenance/requests/").split('?').next().unwrap().to_owned();
    let page = text(&office.vendor.visit(&office, &place).await);
    assert!(page.contains("計画.html") && page.contains("/admin/*") && page.contains("GET, POST"), "{page}");
    assert!(page.contains("2026-11-23 21:00"), "by the hospital's clock: {page}");
    for file in [
        office.vendor.visit(&office, &format!("/maintenance/requests/{id}/file")).await,
        office.approver.get(&office, &format!("/maintenance/{id}/file")).await,
    ] {
        assert_eq!(file.status(), StatusCode::OK);
        assert_eq!(file.body().as_ref(), html, "every byte of it");
        assert_eq!(file.headers()["content-type"], "application/octet-stream");
        assert!(file.headers()["content-disposition"].to_str().unwrap().starts_with("attachment; filename="));
        assert_eq!(file.headers()["content-security-policy"], "default-src 'none'; sandbox");
    }
    let page = text(&office.approver.get(&office, "/maintenance").await);
    assert!(office.says(&page, "maintenance-mark-urgent"), "{page}");
    assert_eq!(
        office.vendor.visit(&office, &format!("/maintenance/requests/{}x/file", office.grant)).await.status(),
        404
    );
}

#[tokio::test]
async fn what_cannot_be_asked_for_comes_back_with_words_and_what_was_typed() {
    let office = Office::open().await;
    let problem = |code: &str| format!("maintenance-problem-{code}");
    // The clock stands at 10:05 on 2026-11-22.
    for (fields, key) in [
        (vec![("begin", "2026-11-22T09:00"), ("end", "2026-11-22T09:30")], problem("grant-in-the-past")),
        (vec![("end", "2026-11-23T21:00")], problem("grant-empty")),
        (vec![("end", "2026-11-23T20:00")], problem("grant-empty")),
        (vec![("end", "2026-11-24T21:00")], problem("grant-too-long")),
        (vec![("begin", "2027-11-23T21:00"), ("end", "2027-11-23T22:00")], problem("grant-too-far-ahead")),
        (vec![("begin", "2026-11-22T10:12"), ("end", "2026-11-22T12:30")], problem("grant-overlaps")),
        (vec![("begin", "tomorrow")], problem("time")),
        (vec![("end", "2026-02-30T10:00")], problem("time")),
        (vec![("app", "receipt")], problem("app")),
        (vec![("app", "")], problem("app")),
        (vec![("purpose", " ")], problem("grant-no-words")),
        (vec![("plan", "")], problem("grant-no-words")),
    ] {
        let refused = office.vendor.request(&office, &fields, None).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
        let page = text(&refused);
        assert!(office.says(&page, &key), "{fields:?} {key}: {page}");
        assert!(page.contains("T-2"), "nothing is typed twice");
    }
    for (field, value) in [("paths", "admin"), ("methods", "ge t\"")] {
        let refused = office.vendor.request(&office, &[(field, value)], None).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{value}");
    }
    let large = vec![b'x'; store::PLAN_FILE_BYTES_MAX + 1];
    let refused = office.vendor.request(&office, &[], Some(("plan.pdf", &large))).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(office.says(&text(&refused), &problem("grant-too-large")));
}

#[tokio::test]
async fn what_is_not_theirs_does_not_exist_for_them() {
    let office = Office::open().await;
    let other = seat(&office.hospital, "r.tsuki", "月 玲", "vendor").await;
    let own = format!("/maintenance/requests/{}", office.grant);
    for place in [own.clone(), format!("{own}/file")] {
        assert_eq!(other.visit(&office, &place).await.status(), StatusCode::NOT_FOUND, "{place}");
    }
    let before = office.last_event().await;
    for word in ["end", "withdraw", "report"] {
        let answer = other.hand_in(&office, &format!("{own}/{word}"), "text=x").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{word}");
    }
    for seat in [&office.nurse, &office.administrator, &office.approver] {
        for place in ["/maintenance", "/new-maintenance", "/vendor-people", own.as_str()] {
            assert_eq!(seat.visit(&office, place).await.status(), StatusCode::NOT_FOUND, "{place}");
        }
    }
    assert_eq!(office.vendor.visit(&office, "/vendor-people").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(office.events_after(before).await, []);
    next(&office.vendor.hand_in(&office, &format!("{own}/withdraw"), "").await);
    assert_eq!(office.state(&office.grant).await, GrantState::Withdrawn);
}

#[tokio::test]
async fn what_is_approved_and_has_not_begun_can_be_called_off_from_both_sides() {
    let office = Office::open().await;
    for by_vendor in [true, false] {
        let from = if by_vendor { MINUTE * 30 } else { MINUTE * 60 };
        let id = ask(&office.hospital, &office.vendor, from, from + MINUTE * 10).await;
        let (own, desk) = (format!("/maintenance/requests/{id}"), format!("/maintenance/{id}"));
        next(&office.approver.post(&office, &format!("{desk}/approve"), "words=").await);
        assert_eq!(office.state(&id).await, GrantState::Armed);
        let page = if by_vendor {
            text(&office.vendor.visit(&office, &own).await)
        } else {
            text(&office.approver.get(&office, &desk).await)
        };
        let place = if by_vendor { &own } else { &desk };
        assert!(page.contains(&format!("action=\"{place}/end\"")), "{page}");
        assert!(office.says(&page, "maintenance-call-off-what"), "{page}");
        assert!(!page.contains("/withdraw\""), "what is approved is not withdrawn: {page}");
        if by_vendor {
            next(&office.vendor.hand_in(&office, &format!("{own}/end"), "").await);
        } else {
            next(&office.approver.post(&office, &format!("{desk}/end"), "").await);
        }
        assert_eq!(office.state(&id).await, GrantState::Withdrawn);
        let page = text(&office.approver.get(&office, "/maintenance").await);
        assert!(!page.contains(&desk), "nobody has anything to do there: {page}");
    }
}

#[tokio::test]
async fn approvers_see_maintenance_and_nothing_else_of_the_console() {
    let office = Office::open().await;
    let methods = rows("GET").map(|row| ("GET", row)).chain(rows("POST").map(|row| ("POST", row)));
    for (method, (row, page)) in methods {
        let path = office.path(row).await;
        // Nothing was recorded.
        if page.duty() == Duty::Replay {
            continue;
        }
        let is_theirs = matches!(page.duty(), Duty::Enter | Duty::Oversee | Duty::Approve | Duty::Stop);
        if is_theirs && method == "POST" {
            continue;
        }
        let answer = match method {
            "GET" => office.approver.get(&office, &path).await,
            _ => office.approver.post(&office, &path, "").await,
        };
        let expected = if is_theirs { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(answer.status(), expected, "{method} {row}");
    }
    let place = format!("/maintenance/{}/approve", office.grant);
    let refused = office.administrator.post(&office, &place, "words=x").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "an administrator without the role decides nothing");
    let vendor = office.vendor.post(&office, &place, "words=x").await;
    assert_eq!(vendor.status(), StatusCode::FORBIDDEN);
    assert_eq!(office.state(&office.grant).await, GrantState::Requested);
}

#[tokio::test]
async fn letting_in_before_approval_stands_red_until_it_is_approved() {
    let office = Office::open().await;
    let id = ask(&office.hospital, &office.vendor, MINUTE * 11, MINUTE * 20).await;
    minutes(&office, 12);
    let desk = format!("/maintenance/{id}");
    let page = text(&office.approver.get(&office, &format!("{desk}/admit")).await);
    assert!(page.contains(&format!("action=\"{desk}/admit\"")), "{page}");
    next(&office.approver.post(&office, &format!("{desk}/admit"), "words=").await);
    assert_eq!(office.state(&id).await, GrantState::Active);
    for seat in [&office.approver, &office.auditor] {
        let page = text(&seat.get(&office, "/maintenance").await);
        assert!(office.says(&page, "maintenance-mark-unapproved"), "{page}");
        let home = text(&seat.get(&office, "/").await);
        assert!(home.contains("tile bad") && office.says(&home, "maintenance-tile-overdue"), "{home}");
    }
    // By another person: nobody makes up for what they did themselves, unless one is enough.
    let chief = seat(&office.hospital, "t.oka", "岡 達也", "approver").await;
    let wordless = chief.post(&office, &format!("{desk}/approve"), "words=").await;
    assert_eq!(wordless.status(), StatusCode::UNPROCESSABLE_ENTITY, "why must be said");
    next(&chief.post(&office, &format!("{desk}/approve"), "words=%E7%A2%BA%E8%AA%8D").await);
    let page = text(&office.approver.get(&office, &desk).await);
    assert!(!office.says(&page, "maintenance-mark-unapproved"), "{page}");
}

#[tokio::test]
async fn the_inventory_tells_what_nobody_uses_or_answers_for() {
    let office = Office::open().await;
    let page = text(&office.auditor.get(&office, "/inventory").await);
    assert!(
        !office.says(&page, "inventory-mark-unused") && !office.says(&page, "inventory-mark-orphan-people"),
        "{page}"
    );
    let form = "vendor=Nova&contract=&target=CT&app=&path=VPN&owner=&people=&note=";
    next(&office.administrator.post(&office, "/inventory/new", form).await);
    let page = text(&office.auditor.get(&office, "/inventory").await);
    for mark in ["orphan-owner", "orphan-people", "outside"] {
        assert!(office.says(&page, &format!("inventory-mark-{mark}")), "{mark}: {page}");
    }
    let long_ago = Timestamp::from_unix_micros(office.hospital.now().unix_micros() - 91 * 86_400 * 1_000_000);
    let mut line = office.hospital.store.maintenance_lines().await.unwrap().remove(0);
    (line.target, line.app, line.changed_at) = ("MRI".to_owned(), AppId::parse("emr").ok(), long_ago);
    let write = vec![MaintenanceWrite::Add(line)];
    office.hospital.store.write_maintenance(write, long_ago, "cli:test".to_owned()).await.unwrap();
    let page = text(&office.auditor.get(&office, "/inventory").await);
    assert!(office.says(&page, "inventory-mark-unused"), "{page}");
    for (form, key) in [
        ("vendor=&target=CT", "inventory-problem-empty"),
        ("vendor=Nova&target=CT&app=nothing", "inventory-problem-app"),
        ("vendor=Nova&target=CT&people=nobody", "inventory-problem-people"),
    ] {
        let refused = office.administrator.post(&office, "/inventory/new", form).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form} {key}");
    }
}

#[tokio::test]
async fn windows_that_no_line_covers_are_named_and_lines_can_be_changed_and_removed() {
    let office = Office::open().await;
    next(
        &office
            .administrator
            .post(&office, "/inventory/1/change", "vendor=Nova&target=CT&app=emr&people=m.hoshi&owner=x")
            .await,
    );
    let page = text(&office.auditor.get(&office, "/inventory").await);
    assert!(page.contains("Nova") && office.says(&page, "inventory-unlisted-none"), "no window began: {page}");
    let desk = format!("/maintenance/{}", office.grant);
    next(&office.approver.post(&office, &format!("{desk}/approve"), "words=").await);
    minutes(&office, 6);
    let page = text(&office.auditor.get(&office, "/inventory").await);
    assert!(office.says(&page, "inventory-mark-unlisted"), "{page}");
    let csv = office.auditor.get(&office, "/inventory.csv").await;
    assert!(text(&csv).contains("Nova,,CT,emr,,x,m.hoshi"), "{}", text(&csv));
    for place in ["/inventory/9", "/inventory/0", "/inventory/x"] {
        assert_eq!(office.administrator.get(&office, place).await.status(), StatusCode::NOT_FOUND, "{place}");
    }
    next(&office.administrator.post(&office, "/inventory/1/remove", "").await);
    assert!(office.hospital.store.maintenance_lines().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_inventory_comes_in_as_a_table_that_was_looked_at() {
    let office = Office::open().await;
    let import =
        async |fields: &[(&str, &[u8])]| office.administrator.upload(&office, "/import-inventory", fields).await;
    let broken: &[(&str, &[u8])] = &[("text", "vendor,target\nNova,\n".as_bytes()), ("step", b"check")];
    let page = text(&import(broken).await);
    assert!(page.contains("line-empty") && !page.contains("value=\"import\""), "{page}");
    let table = "ベンダー,対象,アプリ,責任者\nLuna,CT,emr,放射線科\n";
    let page = text(&import(&[("text", table.as_bytes()), ("step", b"check")]).await);
    assert!(page.contains("Luna") && page.contains("value=\"import\""), "{page}");
    let before = office.hospital.store.maintenance_lines().await.unwrap();
    let seen: String = page.split("name=\"seen\" value=\"").nth(1).unwrap().chars().take(16).collect();
    let done = import(&[("text", table.as_bytes()), ("step", b"import"), ("seen", seen.as_bytes())]).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    let after = office.hospital.store.maintenance_lines().await.unwrap();
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.iter().any(|line| line.vendor == "Luna" && line.owner == "放射線科"));
    let refused = office.auditor.upload(&office, "/import-inventory", &[("text", table.as_bytes())]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_vendors_own_administrator_shuts_out_who_left_and_nobody_else() {
    let office = Office::open().await;
    let lead = seat(&office.hospital, "k.sora", "空 圭", "vendor-lead").await;
    let other = seat(&office.hospital, "r.tsuki", "月 玲", "vendor").await;
    let page = text(&lead.visit(&office, "/vendor-people").await);
    assert!(office.says(&page, "maintenance-people-no-vendor"), "{page}");
    for (seat, vendor) in [(&lead, "Nova"), (&office.vendor, "Nova"), (&other, "Luna"), (&office.nurse, "Nova")] {
        let place = format!("/people/{}/vendor", seat.person.id);
        next(&office.administrator.post(&office, &place, &format!("vendor={vendor}")).await);
    }
    let page = text(&lead.visit(&office, "/vendor-people").await);
    assert!(page.contains("星 誠") && !page.contains("月 玲") && !page.contains("佐藤 花子"), "{page}");
    let place = |seat: &Seat| format!("/vendor-people/{}/disable", seat.person.id);
    let resident = seat(&office.hospital, "o.kawa", "川 治", "vendor").await;
    let vendor = format!("/people/{}/vendor", resident.person.id);
    next(&office.administrator.post(&office, &vendor, "vendor=Nova").await);
    let roles = ["vendor", "approver"].map(|role| policy::RoleId::parse(role).unwrap());
    let change = store::PersonChange { roles: Some(roles.into()), ..store::PersonChange::default() };
    let (store, now) = (&office.hospital.store, office.hospital.now());
    store.change_person(&resident.person.id, change, now, "cli:test".to_owned()).await.unwrap();
    for stranger in [&other, &office.nurse, &office.administrator, &lead, &resident] {
        let refused = lead.hand_in(&office, &place(stranger), "why=x").await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{}", stranger.person.name);
    }
    let wordless = lead.hand_in(&office, &place(&office.vendor), "why=").await;
    assert_eq!(wordless.status(), StatusCode::UNPROCESSABLE_ENTITY);
    next(&lead.hand_in(&office, &place(&office.vendor), "why=left").await);
    let person = office.hospital.store.person(&office.vendor.person.id).await.unwrap().unwrap();
    assert_eq!(person.disabled.map(|disabled| disabled.actor), Some(lead.person.id.to_string()));
}

#[tokio::test]
async fn every_page_of_a_vendor_is_whole_guarded_and_deaf_to_hostile_words() {
    let office = Office::open().await;
    let lead = seat(&office.hospital, "k.sora", HOSTILE, "vendor-lead").await;
    for seat in [&lead, &office.vendor] {
        let place = format!("/people/{}/vendor", seat.person.id);
        next(&office.administrator.post(&office, &place, "vendor=Nova").await);
    }
    let own = format!("/maintenance/requests/{}", office.grant);
    let leave = format!("/vendor-people/{}/disable", office.vendor.person.id);
    for language in Language::ALL {
        for (seat, place) in [
            (&office.vendor, "/maintenance?done=%3Cscript%3E"),
            (&office.vendor, "/maintenance?done=asked"),
            (&office.vendor, "/new-maintenance"),
            (&office.vendor, own.as_str()),
            (&lead, "/maintenance"),
            (&lead, "/new-maintenance"),
            (&lead, "/vendor-people"),
            (&lead, leave.as_str()),
        ] {
            let response = seat.speaking(language.tag()).visit(&office, place).await;
            let name = format!("{place} ({})", language.tag());
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            check_headers(&name, &response);
            let page = text(&response);
            read_strictly(&name, &page);
            for bad in ["<script", "<img src=x", "⟨"] {
                assert!(!page.contains(bad), "{bad} in {name}: {page}");
            }
        }
    }
}

#[tokio::test]
async fn the_draft_is_counted_from_the_log_and_names_no_patient() {
    let office = Office::open().await;
    let desk = format!("/maintenance/{}", office.grant);
    next(&office.approver.post(&office, &format!("{desk}/approve"), "words=").await);
    minutes(&office, 6);
    let at = office.hospital.now().rfc3339(policy::UtcOffset::UTC).replace('Z', "000Z");
    let line = |seq: u64, more: &str| format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"{at}\",{more}}}");
    let person = &office.vendor.person.id;
    let open = format!(
        "\"ev\":\"open\",\"id\":\"019ab2c4-5d6e-7f80-9a1b-2c3d4e5f6a7b\",\"act\":\"read\",\"sub\":\"{person}\",\
         \"login\":\"m.hoshi\",\"app\":\"pacs\",\"host\":\"pacs.hosp.example\",\"m\":\"GET\",\
         \"path\":\"/studies/4711\",\"pt\":[\"4711\"],\"vs\":\"{}\"",
        office.grant
    );
    office.write_log(&[
        line(900_001, &open),
        line(900_002, "\"ev\":\"close\",\"id\":\"019ab2c4-5d6e-7f80-9a1b-2c3d4e5f6a7b\",\"st\":200,\"end\":\"served\",\"bi\":3,\"bo\":99"),
    ]);
    minutes(&office, 6);
    let own = format!("/maintenance/requests/{}", office.grant);
    next(&office.vendor.hand_in(&office, &format!("{own}/report"), "text=done").await);
    let record = office.hospital.store.grant(&office.grant).await.unwrap().unwrap();
    let draft = record.maintenance().unwrap().report.as_ref().unwrap().draft.clone();
    assert!(!draft.contains("4711"), "{draft}");
}
