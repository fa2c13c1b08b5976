//! An index that is behind the log or no longer follows it, and lines of the log that are damaged: what auditors are told,
//! and what they can do all the same.

use std::sync::Arc;
use std::time::Duration;

use audit::{Keys, Reader};
use find::Index;
use http::StatusCode;
use http::header::LOCATION;
use store::{NewReview, NewReviewItem};

use super::office::{Office, review};
use crate::LogView;
use crate::testing::{Folder, text};

/// The pages that are made of what the index knows.
const PAGES: [&str; 4] = ["/log", "/log/charts", "/log/timeline?who=n.sato", "/log/report"];
const DRAW: &str = "from=2026-11-22&to=2026-11-22&random=1";
/// The number of the first line that a test writes by hand.
const FIRST: u64 = 900_000;

/// A folder for an index.
fn place(name: &str) -> Folder {
    Folder(std::env::temp_dir().join(format!("sekimori-web-damage-{name}-{}", std::process::id())))
}

/// Lines in a file of the log of their own.
fn write_lines(office: &Office, count: u64, is_damaged: impl Fn(u64) -> bool) {
    let line = |seq: u64| {
        let access = office.access(&office.nurse, &office.tablet, "/chart/7", office.hospital.now());
        let access = access.replacen("\"seq\":900001", &format!("\"seq\":{seq}"), 1);
        let request = format!("\"01935f1c-0000-7000-8000-{seq:012x}\"");
        if is_damaged(seq) { "#".repeat(access.len()) } else { access.replacen("\"x\"", &request, 1) }
    };
    office.write_log(&(FIRST..FIRST + count).map(line).collect::<Vec<_>>());
}

fn reader(office: &Office) -> Reader {
    Reader::open(&office.hospital.site.parts.config.audit.directory, Keys::none()).unwrap()
}

/// Has the console ask another index than the one that follows the log.
fn ask_of(office: &mut Office, index: Index) {
    let log_view = LogView::new(Some((index, reader(office))));
    let parts = Arc::get_mut(&mut office.hospital.site.parts).expect("nobody else has the site");
    parts.log_view = Arc::new(log_view);
}

/// What each page says of how the index stands, where it says something.
async fn said_of_the_index(office: &Office) -> Vec<String> {
    let mut said = Vec::new();
    for place in PAGES {
        let page = office.auditor.get(office, place).await;
        assert_eq!(page.status(), StatusCode::OK, "{place}");
        let page = text(&page);
        let words = page.split_once("id=\"behind\"").and_then(|(_, rest)| rest.split("</section>").next());
        said.extend(words.map(str::to_owned));
    }
    said
}

async fn reviews(office: &Office) -> usize {
    office.hospital.store.reviews(100).await.unwrap().len()
}

/// Waits until something of an index is so.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about");
}

#[tokio::test]
async fn every_page_of_the_log_says_that_the_index_is_behind_and_no_sample_is_drawn_meanwhile() {
    let mut office = Office::open().await;
    let (empty, before) = (place("behind"), reviews(&office).await);
    ask_of(&mut office, Index::open(&empty.0).unwrap());
    assert_eq!(said_of_the_index(&office).await, Vec::<String>::new(), "a few lines are a moment's");
    write_lines(&office, 1, |_| false);
    let said = said_of_the_index(&office).await;
    assert_eq!(said.len(), PAGES.len());
    for one in said {
        assert!(one.contains("最新の記録はまだ入っていません") && one.contains("900,001"), "{one}");
    }
    let refused = office.auditor.post(&office, "/log/reviews", DRAW).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&refused).contains("今は抽出できません"));
    let drawing = office.auditor.get(&office, "/log/reviews/drawing").await;
    assert!(drawing.headers().get(LOCATION).is_none_or(|place| !place.to_str().unwrap().contains("/log/reviews/2")));
    assert_eq!(reviews(&office).await, before);
}

#[tokio::test]
async fn every_page_of_the_log_says_that_the_index_does_not_follow_and_no_sample_is_drawn_meanwhile() {
    let mut office = Office::open().await;
    let (here, before) = (place("stands"), reviews(&office).await);
    // Somebody else writes the same index already.
    let (one, other) = (Index::open(&here.0).unwrap(), Index::open(&here.0).unwrap());
    let _first = one.follow(reader(&office)).unwrap();
    until(|| one.lag().seq > 0).await;
    let _second = other.follow(reader(&office)).unwrap();
    until(|| other.trouble().is_some()).await;
    ask_of(&mut office, other);
    let said = said_of_the_index(&office).await;
    assert_eq!(said.len(), PAGES.len());
    for one in said {
        assert!(one.contains("索引が記録に追いついていません"), "{one}");
        assert!(one.contains("another process writes this index"), "what it is: {one}");
    }
    let refused = office.auditor.post(&office, "/log/reviews", DRAW).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{}", text(&refused));
    assert_eq!(reviews(&office).await, before);
}

#[tokio::test]
async fn a_damaged_line_of_a_sample_is_shown_as_such_judged_and_signed() {
    let office = Office::open().await;
    write_lines(&office, 3, |seq| seq == FIRST + 1);
    let items = (FIRST..FIRST + 3).map(|seq| NewReviewItem { seq, rule: "random".to_owned() }).collect();
    let new = NewReview { items, ..review(office.hospital.now()) };
    let number = office.hospital.store.open_review(new).await.unwrap();
    let place = format!("/log/reviews/{number}");
    let (damaged, is_damaged) = (FIRST + 1, "記録900001は壊れています");

    let page = office.auditor.get(&office, &place).await;
    assert_eq!(page.status(), StatusCode::OK, "{}", text(&page));
    let page = text(&page);
    assert!(page.contains(is_damaged), "{page}");
    assert_eq!(page.matches("佐藤 花子").count(), 2, "the others are shown as ever");

    let item = format!("{place}/items/{damaged}");
    let page = text(&office.auditor.get(&office, &item).await);
    assert!(page.contains(is_damaged) && page.contains("name=\"judgment\""), "{page}");
    let mute = office.auditor.post(&office, &item, "judgment=ask&comment=").await;
    assert_eq!(mute.status(), StatusCode::UNPROCESSABLE_ENTITY);
    for seq in FIRST..FIRST + 3 {
        let form = if seq == damaged { "judgment=ask&comment=%E5%A3%8A%E3%82%8C" } else { "judgment=fine&comment=" };
        let judged = office.auditor.post(&office, &format!("{place}/items/{seq}"), form).await;
        assert_eq!(judged.status(), StatusCode::SEE_OTHER, "{seq}");
    }
    let signed = office.auditor.post(&office, &format!("{place}/sign"), "comment=%E4%BA%86").await;
    assert_eq!(signed.status(), StatusCode::SEE_OTHER);
    let kept = office.hospital.store.review(number).await.unwrap().unwrap();
    assert_eq!((kept.tally.open(), kept.tally.fine, kept.tally.asked), (0, 2, 1));
    assert!(kept.signature.is_some());
    let judged = format!("\"review-{number}/{damaged}\"");
    let log = office.hospital.site.parts.config.audit.directory.join("segments").join(format!("{:020}.jsonl", 0));
    assert!(std::fs::read_to_string(log).unwrap().contains(&judged), "{judged} is recorded");
}
