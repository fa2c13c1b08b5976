//! Auditors of some departments: what was done there they find, follow, count, review and take away; nothing of what
//! lies outside is on any page, nor in any number.

use std::sync::Arc;

use http::StatusCode;
use http::header::LOCATION;

use super::log::{begin, found, hand_over_to, links};
use super::office::{Office, Seat, rows, seat, seat_in};
use crate::testing::text;
use crate::{ConsolePage, Duty};

/// How much happens outside; no number on a page is that large by itself.
const OUTSIDE: u64 = 43;
/// What stands in records outside, and in no other.
const MARKS: [&str; 4] = ["x.soto", "外山", "99999999", "/outside"];

/// A house in which somebody is an auditor of the departments 外来 and 本院/3F alone.
struct House {
    office: Office,
    reader: Seat,
}

impl House {
    async fn open() -> Self {
        let office = Office::open().await;
        let reader = seat_in(&office.hospital, "w.kita", "北 渚", "ward-auditor", "医療情報室").await;
        let inside = seat_in(&office.hospital, "e.hara", "原 望", "nurse", "外来").await;
        let outside = seat(&office.hospital, "x.soto", "外山 外", "nurse").await;
        // Somebody of elsewhere, at a device that stands here.
        let mut visitor = seat(&office.hospital, "v.kyaku", "客 訪", "nurse").await;
        Arc::make_mut(visitor.browser.device.as_mut().unwrap()).place = "本院／３Ｆ／東".into();
        for number in 0..2 {
            office.open_app(&inside, "emr", "/patients/00000001/chart", Some("00000001"), 400 + number).await;
        }
        office.open_app(&visitor, "emr", "/patients/00000002/chart", Some("00000002"), 410).await;
        office.open_app(&inside, "lab", "/results", None, 411).await;
        for number in 0..u128::from(OUTSIDE) {
            let path = "/patients/99999999/outside";
            office.open_app(&outside, "emr", path, Some("99999999"), 500 + number).await;
        }
        office.open_app(&outside, "lab", "/outside", None, 600).await;
        office.hospital.pass_seconds(1);
        office.settle().await;
        Self { office, reader }
    }

    async fn get(&self, place: &str) -> (StatusCode, String) {
        let answer = self.reader.get(&self.office, place).await;
        (answer.status(), text(&answer))
    }

    /// Searches as the form does, and gives the page.
    async fn find(&self, form: &str) -> String {
        let led = self.reader.post(&self.office, "/log/find", form).await;
        let place = led.headers()[LOCATION].to_str().unwrap().to_owned();
        self.get(&place).await.1
    }

    /// The numbers of lines of the log that hold this.
    fn lines_with(&self, part: &str) -> Vec<u64> {
        let lines = self.office.hospital.lines();
        let number = |line: &str| line.split("\"seq\":").nth(1)?.split(',').next()?.parse().ok();
        lines.lines().filter(|line| line.contains(part)).filter_map(number).collect()
    }
}

/// Every number that a page shows.
fn numbers(page: &str) -> Vec<u64> {
    let body = page.split("<main").nth(1).unwrap_or(page);
    let texts = body.split('>').skip(1).filter_map(|piece| piece.split('<').next());
    let labels = body.split("aria-label=\"").skip(1).filter_map(|piece| piece.split('"').next());
    let runs = texts.chain(labels).flat_map(|text| text.split(|c: char| !c.is_ascii_digit() && c != ','));
    runs.filter_map(|run| run.replace(',', "").parse().ok()).collect()
}

#[tokio::test]
async fn nothing_outside_is_on_any_page_or_in_any_number() {
    let house = House::open().await;
    let by_whole = house.office.auditor.get(&house.office, "/log/charts?days=7").await;
    assert!(numbers(&text(&by_whole)).contains(&(OUTSIDE + 3)), "whoever sees the whole sees it");
    let mut seen = 0;
    for (row, page) in rows("GET") {
        let (status, shown) = house.get(&house.office.path(row).await).await;
        if matches!(page.duty(), Duty::Enter | Duty::Read | Duty::Replay) {
            assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{row}");
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{row}");
        }
        for mark in MARKS {
            assert!(!shown.contains(mark), "{mark} on {row}");
        }
        // Whose own number it is, and not how many there are.
        if status == StatusCode::OK && page != ConsolePage::LogExportVerifier {
            assert!(!numbers(&shown).iter().any(|number| (OUTSIDE..OUTSIDE + 9).contains(number)), "{row}");
            seen += 1;
        }
    }
    assert!(seen > 6, "{seen}");
    for place in
        ["/log?app=emr", "/log/charts?days=7", "/log/charts?days=365", "/log/timeline", "/log/report?month=2026-11"]
    {
        let (status, page) = house.get(place).await;
        assert_eq!(status, StatusCode::OK, "{place}");
        assert!(page.contains("外来, 本院/3F の記録だけ"), "{place} says what it is kept to");
        for mark in MARKS {
            assert!(!page.contains(mark), "{mark} on {place}");
        }
        assert!(!numbers(&page).iter().any(|number| (OUTSIDE..OUTSIDE + 9).contains(number)), "{place}: {page}");
    }
    for (row, page) in rows("POST") {
        let status = house.reader.post(&house.office, &house.office.path(row).await, "x=1").await.status();
        assert_eq!(status != StatusCode::FORBIDDEN, page.duty() == Duty::Read, "POST {row}");
    }
}

#[tokio::test]
async fn what_was_done_by_the_departments_people_or_at_their_devices_is_found_and_nothing_else() {
    let house = House::open().await;
    for (form, count) in [
        ("app=emr", 3),
        ("app=lab&outcome=refused", 1),
        ("app=emr&who=v.kyaku", 1),
        ("app=emr&unit=%E5%A4%96%E6%9D%A5", 2),
        ("unit=%E6%9C%AC%E9%99%A2", 1),
        ("patient=00000001", 2),
        ("patient=99999999", 0),
        ("who=x.soto", 0),
        ("device=desk-x.soto", 0),
        ("words=outside", 0),
        ("unit=3%E7%97%85%E6%A3%9F", 1),
        ("event=log-read", 0),
    ] {
        assert_eq!(found(&house.find(form).await), count, "{form}");
    }
    let named = house.find("who=%E5%A4%96%E5%B1%B1+%E5%A4%96").await;
    assert!(!named.contains("x.soto"), "nobody outside is offered either");
    let (_, page) = house.get("/log?app=emr").await;
    let record = links(&page, "/log/records/").into_iter().next().unwrap();
    let (status, shown) = house.get(&record).await;
    assert_eq!(status, StatusCode::OK);
    assert!(links(&shown, "/explain").is_empty(), "what is not theirs is not offered");
    let outside = house.lines_with("/outside");
    assert!(outside.len() as u64 > OUTSIDE);
    // Closing lines and what the gateway did by itself are nobody's, either.
    for seq in outside.iter().take(3).flat_map(|seq| [*seq, seq + 1]).chain([0]) {
        assert_eq!(house.get(&format!("/log/records/{seq}")).await.0, StatusCode::NOT_FOUND, "{seq}");
    }
}

#[tokio::test]
async fn a_review_belongs_to_the_departments_that_it_was_drawn_from() {
    let house = House::open().await;
    let form = "from=2026-11-22&to=2026-11-22&random=200&late=200&refused=200&export=200";
    let whole = begin(&house.office, &house.office.auditor, form).await;
    assert_eq!(house.get(&whole).await.0, StatusCode::NOT_FOUND, "it is of the whole log");
    let own = begin(&house.office, &house.reader, form).await;
    let (status, page) = house.get(&own).await;
    assert!(status == StatusCode::OK && page.contains("外来, 本院/3F"), "{page}");
    let number: u64 = own.rsplit('/').next().unwrap().parse().unwrap();
    let items = house.office.hospital.store.review_items(number).await.unwrap();
    let outside = house.lines_with("/outside");
    assert_eq!(items.len(), 4, "everything that there is, and no line twice");
    assert!(items.iter().all(|item| !outside.contains(&item.seq)));
    assert_eq!(items.iter().filter(|item| item.rule == "random").count(), 3);
    let (_, list) = house.get("/log/reviews").await;
    assert!(list.contains(&own) && !list.contains(&format!("\"{whole}\"")), "{list}");
    let by_whole = text(&house.office.auditor.get(&house.office, &own).await);
    assert!(by_whole.contains("外来, 本院/3F"), "whoever sees the whole sees it, and of what it is");
    for item in items {
        let judged = house.reader.post(&house.office, &format!("{own}/items/{}", item.seq), "judgment=fine").await;
        assert_eq!(judged.status(), StatusCode::SEE_OTHER);
    }
    house.reader.post(&house.office, &format!("{own}/sign"), "comment=").await;
    let (_, report) = house.get("/log/report?month=2026-11").await;
    assert!(report.contains(&own) && !report.contains(&format!("\"{whole}\"")), "{report}");
}

#[tokio::test]
async fn a_file_holds_nothing_outside() {
    let house = House::open().await;
    hand_over_to(&house.office, &house.reader, "form=csv&app=emr").await;
    let file = house.reader.get(&house.office, "/log/export/file").await;
    let key = ::audit::LogKey::parse(house.office.hospital.log.public_key()).unwrap();
    let header = evidence::check::check(&file.body()[..], &key, None).unwrap().header;
    assert_eq!((header.stories, &header.question["within"]), (3, &"外来, 本院/3F".into()));
    let file = text(&file);
    for mark in MARKS {
        assert!(!file.contains(mark), "{mark}");
    }
}
