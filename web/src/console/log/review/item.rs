//! One line of a review: the record, and what is found of it.

use audit::{Event, Note};
use store::{Judgment, Review, ReviewFinding, ReviewItem};

use super::super::super::desk::{Desk, Refused, Shown};
use super::super::super::posted::Posted;
use super::super::super::view::{Choice, ConsoleContent, Field, Form, Go, Part, Submit, Table};
use super::super::story::record_place;
use super::draw::node_of;
use super::one::{COMMENT_CHARS_MAX, named};
use crate::Fault;
use crate::chart::grouped;
use crate::log_view::Record;

/// The review and the line of it that the path names.
async fn item(desk: &Desk<'_>) -> Result<(Review, Vec<ReviewItem>, u64), Refused> {
    let review = named(desk).await?;
    let seq: u64 = desk.named(4).parse().map_err(|_| Fault::NotFound)?;
    let items = desk.store().review_items(review.number).await?;
    if items.iter().any(|item| item.seq == seq) { Ok((review, items, seq)) } else { Err(Fault::NotFound.into()) }
}

/// Shows a line and asks what is found of it.
pub(in super::super::super) async fn ask(desk: &Desk<'_>) -> Shown {
    let (review, items, seq) = item(desk).await?;
    Ok(desk.show(page(desk, &review, &items, seq).await?))
}

async fn page(desk: &Desk<'_>, review: &Review, items: &[ReviewItem], seq: u64) -> Result<ConsoleContent, Refused> {
    let records: Vec<Record> = desk.records_of(review, vec![seq]).await?.into_iter().flatten().collect();
    let story = records.iter().find_map(|record| record.story.as_ref());
    desk.note_look_at("review-record", story).await?;
    let names = desk.names_in(&records).await?;
    let item = items.iter().find(|item| item.seq == seq);
    let rule = item.map(|item| desk.known("log-rule", &item.rule)).unwrap_or_default();
    let mut table = desk.records_table("record", desk.say_with("log-drawn-as", "rule", &rule), &records, &names);
    table.empty = desk.say("log-gone");
    let is_own = is_own(desk, &records);
    let finding = item.and_then(|item| item.finding.as_ref());
    let mut parts = vec![Part::Table(Table { note: is_own.then(|| desk.say("log-judge-own")), ..table })];
    if review.signature.is_none() && !is_own {
        parts.push(Part::Form(form(desk, review, seq, finding)));
    }
    let number = review.number.to_string();
    let done = items.iter().filter(|item| item.finding.is_some()).count() as u64;
    let (done, all) = (grouped(done), grouped(items.len() as u64));
    Ok(ConsoleContent {
        title: desk.say("log-judge-title"),
        lead: Some(desk.voice.say_all("log-judge-lead", &[("done", &done), ("all", &all)])),
        up: Some(Go::new(desk.say_with("log-review-number", "number", &number), format!("/log/reviews/{number}"))),
        actions: vec![Go::new(desk.say("log-in-full"), record_place(node_of(&review.rules), seq))],
        parts,
        ..ConsoleContent::default()
    })
}

/// Whether it is about what the reviewer did. Of a damaged record nobody can say, and it is judged as damaged.
fn is_own(desk: &Desk<'_>, records: &[Record]) -> bool {
    let stories = records.iter().filter_map(|record| record.story.as_ref());
    stories.into_iter().any(|story| story.begin.user.as_deref() == Some(desk.who.user.as_str()))
}

fn form(desk: &Desk<'_>, review: &Review, seq: u64, finding: Option<&ReviewFinding>) -> Form {
    let choice = |judgment: Judgment| {
        let is_chosen = finding.map_or(judgment == Judgment::Fine, |finding| finding.judgment == judgment);
        let label = desk.say(&format!("log-judgment-{}-long", judgment.as_str()));
        Choice::new(judgment.as_str(), label, is_chosen)
    };
    let comment = finding.map(|finding| finding.comment.clone()).unwrap_or_default();
    Form {
        id: "judge",
        heading: desk.say("log-finding"),
        lead: None,
        action: format!("/log/reviews/{}/items/{seq}", review.number),
        with_file: false,
        fields: vec![
            Field::choice("judge", "judgment", desk.say("log-judgment"), Judgment::ALL.map(choice).into()),
            Field::text("judge", "comment", desk.say("log-comment"), comment, COMMENT_CHARS_MAX)
                .hinted(desk.say("log-comment-hint")),
        ],
        buttons: Submit::main(desk.say("log-judge-button")),
        back: Some(Go::new(desk.say("console-cancel"), format!("/log/reviews/{}", review.number))),
        folded: false,
    }
}

/// Keeps what was found, and goes on to the next line that nobody judged.
pub(in super::super::super) async fn judge(desk: &Desk<'_>) -> Shown {
    let (review, items, seq) = item(desk).await?;
    let form = Posted::read(desk.request)?;
    let judgment = Judgment::parse(form.raw("judgment")).ok_or(Fault::BadRequest)?;
    let comment = form.line("comment", COMMENT_CHARS_MAX)?;
    if judgment != Judgment::Fine && comment.is_empty() {
        let page = page(desk, &review, &items, seq).await?;
        return Ok(desk.show_problem(desk.say("log-wrong-comment"), page));
    }
    let records: Vec<Record> = desk.records_of(&review, vec![seq]).await?.into_iter().flatten().collect();
    if is_own(desk, &records) {
        let page = page(desk, &review, &items, seq).await?;
        return Ok(desk.show_problem(desk.say("log-judge-own"), page));
    }
    let place = format!("/log/reviews/{}", review.number);
    if review.signature.is_some() {
        return Ok(desk.go(&place, "nothing-changed"));
    }
    let mut note = Note::new(Event::ReviewJudged, desk.at()).who(&desk.who).code(judgment.as_str());
    note.source = Some(format!("review-{}/{seq}", review.number));
    desk.record_about(note.reason(&comment), None).await?;
    let finding = ReviewFinding { judgment, comment, at: desk.at(), by: desk.actor() };
    if !desk.store().judge_item(review.number, seq, finding).await? {
        return Ok(desk.go(&place, "nothing-changed"));
    }
    let rest = || items.iter().filter(|item| item.finding.is_none() && item.seq != seq);
    // The next one below, and from the first again where there is none.
    let next = rest().find(|item| item.seq > seq).or_else(|| rest().next());
    Ok(match next {
        Some(next) => desk.go(&format!("{place}/items/{}", next.seq), "line-judged"),
        None => desk.go(&place, "line-judged"),
    })
}
