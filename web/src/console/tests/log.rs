//! What auditors find in the log, follow, count, keep and review; and that each look is recorded.

use std::sync::Arc;

use audit::{About, End, Outcome};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, LOCATION};
use policy::{Access, Action, AppId, Host, Judge, Method, Path, Patients, RequestId, Timestamp, Verdict};

use super::office::{Office, Seat, seat};
use crate::session_token;
use crate::testing::{CONSOLE, EMR, text};

const DAY: i64 = 86_400;

impl Office {
    /// Somebody opens something of an app, about a patient or not; the policy decides, and the log has it.
    pub(super) async fn open_app(&self, seat: &Seat, app: &str, path: &str, patient: Option<&str>, number: u128) {
        let (hospital, at) = (&self.hospital, self.hospital.now());
        let headers = seat.browser.headers(CONSOLE);
        let (token, host) = (session_token(&headers).unwrap(), Host::parse(CONSOLE).unwrap());
        let session = hospital.sessions.find(token, &host, seat.browser.device.as_deref(), at).await.unwrap().unwrap();
        let access = Access {
            request: RequestId::new(at, number),
            at,
            app: AppId::parse(app).unwrap(),
            action: Action::Read,
            class: None,
            method: Method::parse("GET").unwrap(),
            host: Host::parse(EMR).unwrap(),
            path: Path::parse(path).unwrap(),
            who: Some(session.who.clone()),
            device: seat.browser.device.clone(),
            from: crate::testing::from(),
            grant: None,
        };
        let recorder = hospital.log.recorder();
        let patients = Patients { ids: patient.into_iter().map(Into::into).collect(), ..Patients::default() };
        let about = About { patients: &patients, folded: None };
        match Judge::new(hospital.site.parts.policy.clone()).judge(access, ()) {
            Verdict::Allow(authorized) => {
                let refuse = config::OnLogFailure::Refuse;
                let admitted = recorder.admit_about(authorized, refuse, Some(about)).await.unwrap();
                let (end, duration) = (End::Served, std::time::Duration::from_millis(3));
                let ended =
                    Outcome { status: Some(200), end, bytes_in: 0, bytes_out: 9, duration, patients: None, said: None };
                admitted.open().1.close(ended);
            }
            Verdict::Deny(refused) | Verdict::Challenge(refused, _) => {
                recorder.refuse(&refused, 403).await.unwrap();
            }
        }
    }

    /// A day at work: the nurse sees three patients, one of them twice, and is refused once.
    async fn day_at_work(&self) {
        for (number, patient) in ["00012345", "00012346", "00012347", "00012345"].into_iter().enumerate() {
            let path = format!("/patients/{patient}/chart");
            self.open_app(&self.nurse, "emr", &path, Some(patient), 100 + number as u128).await;
        }
        self.open_app(&self.nurse, "lab", "/results", None, 200).await;
        self.hospital.pass_seconds(1);
        self.settle().await;
    }

    pub(super) async fn settle(&self) {
        // Closing lines join a batch; they are there soon.
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        self.hospital.settle().await;
    }

    /// Searches as the form does, and gives the address it leads to and the page.
    async fn find(&self, form: &str) -> (String, String) {
        let led = self.auditor.post(self, "/log/find", form).await;
        assert_eq!(led.status(), StatusCode::SEE_OTHER, "{form}");
        let place = led.headers()[LOCATION].to_str().unwrap().to_owned();
        let page = self.auditor.get(self, &place).await;
        assert_eq!(page.status(), StatusCode::OK, "{place}");
        (place, text(&page))
    }
}

/// The links of a page that begin so.
pub(super) fn links(page: &str, start: &str) -> Vec<String> {
    let all = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    all.filter(|link| link.starts_with(start)).map(|link| link.replace("&#38;", "&").replace("&amp;", "&")).collect()
}

/// How many records the page says it found.
pub(super) fn found(page: &str) -> u64 {
    let heading = page.split("<h2 id=\"found\">").nth(1).unwrap().split("</h2>").next().unwrap();
    let digits: String = heading.rsplit('(').next().unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test]
async fn who_saw_a_patient_is_found_and_the_patient_stands_in_no_address() {
    let office = Office::open().await;
    office.day_at_work().await;
    let (place, page) =
        office.find("patient=%EF%BC%90%EF%BC%90%EF%BC%90%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95").await;
    assert!(!place.contains("12345"), "{place}");
    assert_eq!(found(&page), 2, "as often as it was opened, digits of any width");
    assert!(page.contains("佐藤 花子") && page.contains("電子カルテ"));
    for link in links(&page, "/log") {
        assert!(!link.contains("12345"), "{link}");
    }
    let read = office.hospital.lines().lines().rfind(|line| line.contains("\"log-read\"")).unwrap().to_owned();
    for part in ["\"pta\":[\"00012345\"]", "\"why\":\"search\"", "\"n\":2", "\"login\":\"a.ueda\""] {
        assert!(read.contains(part), "{part} in {read}");
    }
    // The address is the auditor's alone.
    let page = text(&office.administrator.get(&office, &place).await);
    assert!(!page.contains("00012345") && page.contains("条件の一部を入れ直してください"));
}

#[tokio::test]
async fn a_patient_that_cannot_be_read_never_leads_to_everybody() {
    let office = Office::open().await;
    let too_long = format!("patient={}", "1".repeat(101));
    for form in [too_long.as_str(), "patient=%01"] {
        let (place, page) = office.find(form).await;
        assert!(place.contains("pt="), "{place}");
        assert!(page.contains("lost-part"), "{place}");
    }
    let cut = format!("/log?pt={}", "x".repeat(300));
    assert!(text(&office.auditor.get(&office, &cut).await).contains("lost-part"));
}

#[tokio::test]
async fn words_and_studies_stand_in_no_address_either() {
    let office = Office::open().await;
    office.day_at_work().await;
    let (place, page) = office.find("words=00012346&app=emr").await;
    assert_eq!(found(&page), 1, "the number stands in the path");
    let (of_study, study) = office.find("study=1.2.392.12345&app=emr").await;
    assert!(of_study.contains("su=") && study.contains("1.2.392.12345"));
    for (place, page) in [(&place, &page), (&of_study, &study)] {
        for address in links(page, "/log").iter().chain([place]) {
            assert!(!address.contains("12345") && !address.contains("12346"), "{address}");
        }
    }
    assert!(page.contains("数字の入った言葉"), "what is not kept is said");
    let day = place.replacen("/log?", "/log/timeline?", 1);
    let day = text(&office.auditor.get(&office, &day).await);
    assert!(!day.contains("name=\"words\"") && day.contains("name=\"wo\""), "nor where another day is chosen");
    assert!(text(&office.administrator.get(&office, &place).await).contains("lost-part"), "for nobody else");
    // In the clear it is none of our addresses, and does not lead to everybody.
    for clear in ["/log?app=emr&words=00012346", "/log?study=1.2.392.12345"] {
        assert!(text(&office.auditor.get(&office, clear).await).contains("lost-part"), "{clear}");
    }
    let (_, long) = office.find(&format!("words={}", "%E7%97%85".repeat(100))).await;
    assert!(!long.contains("lost-part"), "the longest that the form takes is sealed too");
}

#[tokio::test]
async fn records_are_found_by_plain_fields() {
    let office = Office::open().await;
    office.day_at_work().await;
    seat(&office.hospital, "h.sato", "佐藤 花子", "nurse").await;
    for (form, count) in [
        ("who=n.sato&event=open", 4),
        ("who=N.SATO&app=emr", 4),
        ("app=lab", 1),
        ("outcome=refused&app=lab", 1),
        ("action=read&app=emr", 4),
        ("device=desk-n.sato&app=emr", 4),
        ("address=10.3.&app=emr", 4),
        ("address=10.4.&app=emr", 0),
        ("words=chart", 4),
        ("hours=out&app=emr", 4),
        ("hours=in&app=emr", 0),
        ("app=emr&from=2026-11-22&to=2026-11-22", 4),
        ("app=emr&from=2026-11-01&to=2026-11-21", 0),
        ("app=emr&reason=no-such-reason", 0),
    ] {
        let (_, page) = office.find(form).await;
        assert_eq!(found(&page), count, "{form}");
    }
    let (_, page) = office.find("who=%E4%BD%90%E8%97%A4+%E8%8A%B1%E5%AD%90").await;
    assert!(page.contains("どの人ですか") && page.contains("n.sato") && page.contains("h.sato"), "two of one name");
    let choice = links(&page, "/log?who=u-").into_iter().next().unwrap();
    assert_eq!(office.auditor.get(&office, &choice).await.status(), StatusCode::OK);
    let wrong = office.auditor.get(&office, "/log?address=nonsense").await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn one_record_is_told_in_full_with_the_ways_on() {
    let office = Office::open().await;
    office.day_at_work().await;
    let (_, page) = office.find("app=emr").await;
    let record = links(&page, "/log/records/").into_iter().next().unwrap();
    let page = text(&office.auditor.get(&office, &record).await);
    for told in [
        "電子カルテ: 読み取り",
        "佐藤 花子",
        "nurse",
        "desk-n.sato",
        "10.3.0.7",
        "nurses",
        "00012345",
        "/patients/00012345/chart",
        "最後まで返した",
        "&#34;ev&#34;:&#34;open&#34;",
        "&#34;ev&#34;:&#34;close&#34;",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(!links(&page, "/explain?request=").is_empty());
    for way in links(&page, "/log") {
        let answer = office.auditor.get(&office, &way).await;
        assert_eq!(answer.status(), StatusCode::OK, "{way}");
    }
    for nothing in ["99999999", "00", "x", "-1"] {
        let answer = office.auditor.get(&office, &format!("/log/records/{nothing}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nothing}");
    }
}

#[tokio::test]
async fn every_bar_leads_to_as_many_records_as_it_counts() {
    let office = Office::open().await;
    office.day_at_work().await;
    let (timeline, _) = office.find("patient=00012345").await;
    let timeline = timeline.replacen("/log?", "/log/timeline?", 1);
    for page in ["/log/charts?days=7".to_owned(), timeline] {
        let shown = text(&office.auditor.get(&office, &page).await);
        let mut bars = 0;
        for part in shown.split("<a href=\"/log").skip(1) {
            let (_, rest) = part.split_once('"').unwrap();
            let Some(label) = rest.strip_prefix(" aria-label=\"").and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            let count: u64 = label.rsplit(": ").next().unwrap().replace(',', "").parse().unwrap();
            let link = format!("/log{}", part.split('"').next().unwrap()).replace("&#38;", "&");
            // What is looked at is recorded, so looking changes what is counted of the console itself; apps stay.
            let records = text(&office.auditor.get(&office, &link).await);
            assert_eq!(found(&records), count, "{label} of {page}");
            bars += 1;
        }
        assert!(bars > 20, "{bars} on {page}");
    }
    let charts = text(&office.auditor.get(&office, "/log/charts?days=7").await);
    assert!(charts.contains("多く見られた患者") && charts.contains(">00012345</a>"));
    for link in links(&charts, "/log?") {
        assert!(!link.contains("12345"), "{link}");
    }
}

#[tokio::test]
async fn a_question_is_kept_without_its_patient_and_asked_again() {
    let office = Office::open().await;
    office.day_at_work().await;
    let form = "name=%E8%87%AA%E5%88%86&query=app%3Demr%26patient%3D00012345%26from%3D2026-01-01%26evil%3D1";
    let kept = office.auditor.post(&office, "/log/questions", form).await;
    assert_eq!(kept.status(), StatusCode::SEE_OTHER);
    let page = text(&office.auditor.get(&office, "/log").await);
    assert!(page.contains("自分"));
    let again = links(&page, "/log?app=emr").into_iter().next().unwrap();
    assert_eq!(again, "/log?app=emr", "neither patient nor days nor what we do not know");
    let numbered = "name=%E7%95%AA%E5%8F%B7&query=rule%3Dx%26words%3D00012345%26study%3D1.2.3";
    office.auditor.post(&office, "/log/questions", numbered).await;
    let kept = office.hospital.store.saved_questions(&office.auditor.person.id).await.unwrap();
    assert!(kept.iter().any(|one| one.query == "rule=x"), "{kept:?}");
    assert!(!text(&office.administrator.get(&office, "/log").await).contains("自分"), "it is the auditor's");
    let all = office.hospital.store.saved_questions(&office.auditor.person.id).await.unwrap();
    let id = all.iter().find(|one| one.name == "自分").unwrap().id;
    let not_theirs = office.administrator.post(&office, &format!("/log/questions/{id}/forget"), "").await;
    assert_eq!(not_theirs.status(), StatusCode::NOT_FOUND);
    office.auditor.post(&office, &format!("/log/questions/{id}/forget"), "").await;
    assert!(!text(&office.auditor.get(&office, "/log").await).contains("自分"));
}

/// Asks for a file by a form, and gives the page that tells what came of it.
async fn hand_over(office: &Office, form: &str) -> String {
    hand_over_to(office, &office.auditor, form).await
}

/// The same for somebody else.
pub(super) async fn hand_over_to(office: &Office, whose: &Seat, form: &str) -> String {
    let begun = whose.post(office, "/log/export", form).await;
    assert_eq!(begun.status(), StatusCode::SEE_OTHER, "{}", text(&begun));
    assert_eq!(begun.headers()[LOCATION], "/log/export");
    for _ in 0..400 {
        let page = text(&whose.get(office, "/log/export").await);
        if !page.contains("<progress") {
            return page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the file is never made");
}

#[tokio::test]
async fn what_was_found_is_handed_over_with_proof_and_recorded_first() {
    let office = Office::open().await;
    office.day_at_work().await;
    let (_, page) = office.find("patient=00012345&app=emr").await;
    for part in ["action=\"/log/export\"", "name=\"patient\" value=\"00012345\"", "name=\"app\" value=\"emr\""] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(office.auditor.get(&office, "/log/export/file").await.status(), StatusCode::NOT_FOUND);
    let key = audit::LogKey::parse(office.hospital.log.public_key()).unwrap();
    for form in ["csv", "jsonl", "fhir", "dicom"] {
        let page = hand_over(&office, &format!("form={form}&patient=00012345&app=emr")).await;
        assert!(page.contains("href=\"/log/export/file\"") && page.contains("verify-export.html"), "{page}");
        let file = office.auditor.get(&office, "/log/export/file").await;
        assert_eq!(file.headers()[CONTENT_DISPOSITION], "attachment; filename=\"records-2026-11-22.export\"");
        let checked = evidence::check::check(&file.body()[..], &key, None).unwrap();
        let header = checked.header;
        assert_eq!((header.stories, header.exported_by.as_str()), (2, "a.ueda"), "{form}");
        assert_eq!((&header.question["patient"], &header.question["app"]), (&"00012345".into(), &"emr".into()));
        let recorded = header.recorded.expect("the line that records it is in it");
        let line = office
            .hospital
            .lines()
            .lines()
            .find(|line| line.contains(&format!("\"seq\":{recorded},")))
            .unwrap()
            .to_owned();
        for part in ["\"why\":\"export\"", "\"n\":2", "\"pta\":[\"00012345\"]", "\"login\":\"a.ueda\""] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(office.hospital.lines().contains("\"why\":\"export-file\""), "and that it was fetched");
    }
    assert_eq!(office.administrator.get(&office, "/log/export/file").await.status(), StatusCode::NOT_FOUND);
    let verifier = office.auditor.get(&office, "/log/export/verify-export.html").await;
    assert!(text(&verifier).starts_with("<!DOCTYPE html>") || text(&verifier).starts_with("<!doctype html>"));
}

#[tokio::test]
async fn nothing_is_handed_over_that_was_not_asked_for_plainly() {
    let office = Office::open().await;
    office.day_at_work().await;
    for form in ["", "form=zip", "form=CSV"] {
        let refused = office.auditor.post(&office, "/log/export", form).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{form}");
    }
    for form in ["form=csv&patient=%01", "form=csv&address=nonsense"] {
        let led = office.auditor.post(&office, "/log/export", form).await;
        assert!(led.headers()[LOCATION].to_str().unwrap().starts_with("/log?"), "back to where it is said: {form}");
    }
    assert!(text(&office.auditor.get(&office, "/log/export").await).contains("作っているファイルはありません"));
    let stopped = office.auditor.post(&office, "/log/export/cancel", "").await;
    assert_eq!(stopped.headers()[LOCATION], "/log/export");
}

/// Opens a review of this day by a form, and gives its place.
pub(super) async fn begin(office: &Office, whose: &Seat, form: &str) -> String {
    let begun = whose.post(office, "/log/reviews", form).await;
    assert_eq!(begun.status(), StatusCode::SEE_OTHER, "{}", text(&begun));
    for _ in 0..100 {
        let drawing = whose.get(office, "/log/reviews/drawing").await;
        if drawing.status() == StatusCode::SEE_OTHER {
            let place = drawing.headers()[LOCATION].to_str().unwrap();
            return place.split('?').next().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the sample is never drawn");
}

const DRAW: &str = "from=2026-11-22&to=2026-11-22&random=2&late=3&refused=5&export=";

#[tokio::test]
async fn a_review_is_drawn_judged_line_by_line_and_signed() {
    let office = Office::open().await;
    office.day_at_work().await;
    let place = begin(&office, &office.auditor, DRAW).await;
    let number: u64 = place.rsplit('/').next().unwrap().parse().unwrap();
    let items = office.hospital.store.review_items(number).await.unwrap();
    let of = |rule: &str| items.iter().filter(|item| item.rule == rule).count();
    assert_eq!(of("random"), 2);
    assert_eq!(of("refused"), 1, "the one there is");
    assert!(of("late") <= 3 && of("late") >= 1, "what another rule drew first is looked at once");
    let page = text(&office.auditor.get(&office, &place).await);
    assert!(page.contains("無作為: ") && page.contains("種") && !page.contains("action=\"/log/reviews/1/sign"));
    let too_early = office.auditor.post(&office, &format!("{place}/sign"), "comment=x").await;
    assert_eq!(too_early.status(), StatusCode::UNPROCESSABLE_ENTITY);

    let first = format!("{place}/items/{}", items[0].seq);
    let mute = office.auditor.post(&office, &first, "judgment=incident&comment=").await;
    assert_eq!(mute.status(), StatusCode::UNPROCESSABLE_ENTITY, "an incident needs words");
    let mut next = first;
    for _ in 0..items.len() {
        assert_eq!(office.auditor.get(&office, &next).await.status(), StatusCode::OK, "{next}");
        let judged = office.auditor.post(&office, &next, "judgment=ask&comment=%E5%A4%9C%E9%96%93").await;
        assert_eq!(judged.status(), StatusCode::SEE_OTHER);
        next = judged.headers()[LOCATION].to_str().unwrap().split('?').next().unwrap().to_owned();
    }
    assert_eq!(next, place, "all are judged");
    let signed = office.auditor.post(&office, &format!("{place}/sign"), "comment=%E4%BA%86").await;
    assert_eq!(signed.status(), StatusCode::SEE_OTHER);
    let again = office.administrator.post(&office, &format!("{place}/items/{}", items[0].seq), "judgment=fine").await;
    assert!(again.headers()[LOCATION].to_str().unwrap().ends_with("done=nothing-changed"), "it is signed");
    let kept = office.hospital.store.review(number).await.unwrap().unwrap();
    assert_eq!((kept.tally.open(), kept.tally.asked), (0, items.len() as u64));
    assert_eq!(kept.signature.unwrap().by, office.auditor.person.id.to_string());
    let lines = office.hospital.lines();
    for told in ["\"ev\":\"review-opened\"", "\"ev\":\"review-judged\"", "\"ev\":\"review-signed\"", "\"why\":\"ask\""]
    {
        assert!(lines.contains(told), "{told}");
    }
    let report = text(&office.auditor.get(&office, "/log/report?month=2026-11").await);
    assert!(report.contains(&format!("見直し {number}")) && report.contains("上田 秋"));
}

#[tokio::test]
async fn nobody_reviews_themselves() {
    let office = Office::open().await;
    office.day_at_work().await;
    office.open_app(&office.auditor, "lab", "/results", None, 300).await;
    office.hospital.pass_seconds(1);
    office.settle().await;
    let place = begin(&office, &office.auditor, "from=2026-11-22&to=2026-11-22&refused=9").await;
    let number: u64 = place.rsplit('/').next().unwrap().parse().unwrap();
    let mut own = None;
    for item in office.hospital.store.review_items(number).await.unwrap() {
        let page = text(&office.auditor.get(&office, &format!("{place}/items/{}", item.seq)).await);
        if page.contains("ご自身の記録です") {
            own = Some(item.seq);
        }
    }
    let own = own.expect("what the auditor was refused is in the sample");
    let judged = office.auditor.post(&office, &format!("{place}/items/{own}"), "judgment=fine").await;
    assert_eq!(judged.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let other = office.administrator.post(&office, &format!("{place}/items/{own}"), "judgment=fine").await;
    assert_eq!(other.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_draw_that_makes_no_sense_is_refused_with_words() {
    let office = Office::open().await;
    for form in [
        "from=2026-11-22&to=2026-11-21&random=1",
        "from=2026-11-23&to=2026-11-30&random=1",
        "from=2024-01-01&to=2026-11-21&random=1",
        "from=x&to=2026-11-21&random=1",
        "from=2026-11-21&to=2026-11-22",
        "from=2026-11-21&to=2026-11-22&random=0&late=0",
        "from=2026-11-21&to=2026-11-22&random=201",
        "from=2026-11-21&to=2026-11-22&random=-1",
    ] {
        let refused = office.auditor.post(&office, "/log/reviews", form).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
    }
}

#[tokio::test]
async fn without_an_index_the_page_says_so_and_nothing_is_shown() {
    let mut office = Office::open().await;
    let parts = Arc::get_mut(&mut office.hospital.site.parts).expect("nobody else has the site");
    parts.log_view = Arc::new(crate::LogView::new(None));
    for place in ["/log", "/log/charts", "/log/timeline?who=n.sato", "/log/report", "/log/records/1"] {
        let answer = office.auditor.get(&office, place).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{place}");
        assert!(text(&answer).contains("索引がまだありません"), "{place}");
    }
}

#[tokio::test]
async fn a_review_that_is_late_or_missing_is_told_on_the_first_page() {
    let office = Office::open().await;
    let said = |page: &str| page.contains("先月の見直し");
    let page = text(&office.auditor.get(&office, "/").await);
    assert!(said(&page) && page.contains("見直しの署名待ち"), "nobody reviewed October");
    assert!(!text(&office.help_desk.get(&office, "/").await).contains("見直し"), "not the help desk's");
    office.hospital.pass_seconds(-40 * DAY);
    let early =
        store::NewReview { since: Timestamp::from_unix_micros(0), ..super::office::review(office.hospital.now()) };
    office.hospital.store.open_review(early).await.unwrap();
    office.hospital.pass_seconds(40 * DAY);
    assert!(!said(&text(&office.auditor.get(&office, "/").await)));
}

#[test]
fn every_trouble_of_the_log_has_words() {
    let texts = crate::texts::Texts::new();
    for trouble in crate::log_view::LogTrouble::ALL {
        for language in crate::Language::ALL {
            assert!(texts.voice(language).try_say(&format!("log-trouble-{}", trouble.code())).is_some());
        }
    }
}
