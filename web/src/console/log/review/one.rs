//! One review: how its sample was drawn, every line of it with what was found, and the signature.

use audit::{Event, Note};
use store::{Judgment, Review, ReviewItem, Signature, Signing};

use super::super::super::desk::{Desk, Refused, Shown};
use super::super::super::posted::Posted;
use super::super::super::view::{Bit, ConsoleContent, Facts, Field, Form, Go, Mark, Part, Submit, Table};
use super::super::story::Names;
use super::draw::{node_of, rules_of, within_of};
use super::{days, found, state};
use crate::Fault;
use crate::chart::grouped;
use crate::log_view::Record;

/// How long a comment may be, in characters.
pub(super) const COMMENT_CHARS_MAX: usize = 400;

/// The review that the path names.
pub(super) async fn named(desk: &Desk<'_>) -> Result<Review, Refused> {
    let number: u64 = desk.named(2).parse().map_err(|_| Fault::NotFound)?;
    let review = desk.store().review(number).await?.filter(|review| desk.sees(review));
    Ok(review.ok_or(Fault::NotFound)?)
}

/// The page.
pub(in super::super::super) async fn one(desk: &Desk<'_>) -> Shown {
    let review = named(desk).await?;
    Ok(desk.show(page(desk, &review).await?))
}

async fn page(desk: &Desk<'_>, review: &Review) -> Result<ConsoleContent, Refused> {
    let items = desk.store().review_items(review.number).await?;
    let records = desk.records_of(review, items.iter().map(|item| item.seq).collect()).await?;
    desk.note_look("review", items.len() as u64, None).await?;
    let known: Vec<Record> = records.iter().flatten().cloned().collect();
    let names = desk.names_in(&known).await?;
    let mut rows = Vec::new();
    for (item, record) in items.iter().zip(&records) {
        rows.push(row(desk, review, item, record.as_ref(), &names).await?);
    }
    let heads = ["log-finding", "log-drawn-by", "console-when", "console-who", "console-what", "console-where-from"];
    let table = Table {
        id: "items",
        heading: desk.say("log-sample"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows,
        empty: desk.say("log-sample-none"),
        note: None,
        pages: Vec::new(),
    };
    let mut parts = vec![Part::Facts(facts(desk, review).await?), Part::Table(table)];
    if review.signature.is_none() && review.tally.open() == 0 {
        parts.push(Part::Form(sign_form(desk, review)));
    }
    let next = items.iter().find(|item| item.finding.is_none()).filter(|_| review.signature.is_none());
    let next = next.map(|item| {
        Go::main(desk.say("log-review-go-on"), format!("/log/reviews/{}/items/{}", review.number, item.seq))
    });
    Ok(ConsoleContent {
        title: desk.say_with("log-review-number", "number", &review.number.to_string()),
        lead: Some(days(desk, review)),
        up: Some(Go::new(desk.say("log-reviews"), "/log/reviews")),
        marks: vec![state(desk, review)],
        actions: next.into_iter().collect(),
        parts,
    })
}

impl Desk<'_> {
    /// The records that begin with these lines of the log that a review is of, each where that still has it.
    pub(super) async fn records_of(&self, review: &Review, seqs: Vec<u64>) -> Result<Vec<Option<Record>>, Refused> {
        let node = node_of(&review.rules).map(str::to_owned);
        self.off(move |log| log.records_at(node.as_deref(), &seqs)).await
    }

    /// What was found of a line.
    pub(super) fn judgment_mark(&self, judgment: Judgment) -> Mark {
        let text = self.say(&format!("log-judgment-{}", judgment.as_str()));
        match judgment {
            Judgment::Fine => Mark::good(text),
            Judgment::Ask => Mark::warn(text),
            Judgment::Incident => Mark::bad(text),
        }
    }
}

async fn row(
    desk: &Desk<'_>,
    review: &Review,
    item: &ReviewItem,
    record: Option<&Record>,
    names: &Names,
) -> Result<Vec<Vec<Bit>>, Refused> {
    let place = format!("/log/reviews/{}/items/{}", review.number, item.seq);
    let finding = match &item.finding {
        Some(finding) => {
            let by = format!("{} {}", desk.actor_name(&finding.by).await?, desk.minute(finding.at));
            let comment = (!finding.comment.is_empty()).then(|| Bit::text(&finding.comment));
            let again = review.signature.is_none().then(|| Bit::link(desk.say("log-judge-again"), place));
            let mark = Bit::Mark(desk.judgment_mark(finding.judgment));
            [Some(mark), comment, Some(Bit::Soft(by)), again].into_iter().flatten().collect()
        }
        None => vec![Bit::link(desk.say("log-judge"), place)],
    };
    let rule = desk.known("log-rule", &item.rule);
    let mut row = vec![finding, vec![Bit::Text(rule)]];
    match record {
        Some(record) => row.extend(desk.record_row(record, names).into_iter().take(4)),
        None => {
            row.extend([vec![Bit::Mono(item.seq.to_string())], vec![], vec![Bit::Soft(desk.say("log-gone"))], vec![]])
        }
    }
    Ok(row)
}

async fn facts(desk: &Desk<'_>, review: &Review) -> Result<Facts, Refused> {
    let rules = rules_of(&review.rules).into_iter().map(|(rule, wanted, all)| {
        let name = desk.say(&format!("log-rule-{}", rule.as_str()));
        let (wanted, all) = (wanted.to_string(), grouped(all));
        Bit::Soft(desk.voice.say_all("log-rule-drawn", &[("rule", &name), ("wanted", &wanted), ("all", &all)]))
    });
    let opened = vec![Bit::Text(desk.actor_name(&review.opened_by).await?), Bit::Moment(desk.minute(review.opened_at))];
    let mut rows = vec![
        ("log-review-of", vec![Bit::Moment(days(desk, review))]),
        ("log-review-rules", rules.collect()),
        ("log-review-seed", vec![Bit::Mono(format!("{:016x}", review.seed))]),
        ("log-review-opened-by", opened),
        ("log-review-due", vec![Bit::Moment(desk.day(review.due_at))]),
        ("log-review-found", vec![Bit::Text(found(desk, review))]),
    ];
    let within = within_of(&review.rules).map(|units| vec![Bit::Text(super::super::said(&units))]);
    rows.extend(within.map(|within| ("log-review-within", within)));
    rows.extend(node_of(&review.rules).map(|node| ("log-of-node", vec![Bit::text(node)])));
    if let Some(signature) = &review.signature {
        let by = desk.actor_name(&signature.by).await?;
        let comment = Bit::Soft(signature.comment.clone());
        rows.push(("log-review-signed-by", vec![Bit::Text(by), Bit::Moment(desk.minute(signature.at)), comment]));
    }
    let rows = rows.into_iter().map(|(label, bits)| (desk.say(label), bits)).collect();
    Ok(Facts { id: "facts", heading: desk.say("log-review-facts"), rows })
}

fn sign_form(desk: &Desk<'_>, review: &Review) -> Form {
    Form {
        id: "sign",
        heading: desk.say("log-sign"),
        lead: Some(desk.say("log-sign-what")),
        action: format!("/log/reviews/{}/sign", review.number),
        with_file: false,
        fields: vec![Field::text("sign", "comment", desk.say("log-comment"), "", COMMENT_CHARS_MAX)],
        buttons: Submit::main(desk.say("log-sign-button")),
        back: None,
        folded: false,
    }
}

/// Signs a review.
pub(in super::super::super) async fn sign(desk: &Desk<'_>) -> Shown {
    let review = named(desk).await?;
    let comment = Posted::read(desk.request)?.line("comment", COMMENT_CHARS_MAX)?;
    let open = review.tally.open();
    if open > 0 {
        let problem = desk.say_with("log-sign-open", "count", &open.to_string());
        return Ok(desk.show_problem(problem, page(desk, &review).await?));
    }
    let place = format!("/log/reviews/{}", review.number);
    if review.signature.is_some() {
        return Ok(desk.go(&place, "nothing-changed"));
    }
    let mut note = Note::new(Event::ReviewSigned, desk.at()).who(&desk.who);
    note.source = Some(format!("review-{}", review.number));
    note.count = Some(review.tally.items);
    desk.record_about(note.reason(&comment), None).await?;
    let signature = Signature { at: desk.at(), by: desk.actor(), comment };
    let done = match desk.store().sign_review(review.number, signature).await? {
        Signing::Done => "review-signed",
        Signing::Open(_) | Signing::NotThere => "nothing-changed",
    };
    Ok(desk.go(&place, done))
}
