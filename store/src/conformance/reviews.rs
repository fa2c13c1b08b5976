//! The periodic review, and the questions that people keep.

use super::cast::*;
use crate::*;

fn sample(numbers: impl Iterator<Item = u64>) -> NewReview {
    NewReview {
        since: second(1_000),
        until: second(2_000),
        rules: "random=2".to_owned(),
        seed: u64::MAX - 7,
        opened_at: second(2_001),
        opened_by: "u-a1".to_owned(),
        due_at: second(3_000),
        items: numbers.map(|seq| NewReviewItem { seq, rule: "random".to_owned() }).collect(),
    }
}

fn user(id: &str) -> policy::UserId {
    parsed(policy::UserId::parse(id))
}

fn finding(judgment: Judgment, comment: &str) -> ReviewFinding {
    ReviewFinding { judgment, comment: comment.to_owned(), at: second(2_100), by: "u-a2".to_owned() }
}

fn signature(by: &str) -> Signature {
    Signature { at: second(2_200), by: by.to_owned(), comment: "確認した".to_owned() }
}

pub(super) async fn a_review_is_judged_line_by_line_and_signed_once(store: &dyn Store) {
    let number = good(store.open_review(sample([9, 4, 4].into_iter())).await);
    let kept = good(store.review(number).await).expect("it is kept");
    assert_eq!((kept.seed, kept.tally.items, kept.tally.open()), (u64::MAX - 7, 2, 2), "a line counts once");
    assert_eq!((kept.since, kept.until, kept.signature), (second(1_000), second(2_000), None));
    let sign = || store.sign_review(number, signature("u-a1"));
    assert_eq!(good(sign().await), Signing::Open(2));
    assert!(!good(store.judge_item(number, 5, finding(Judgment::Fine, "")).await), "not of this sample");
    assert!(good(store.judge_item(number, 4, finding(Judgment::Ask, "夜間の閲覧")).await));
    assert!(good(store.judge_item(number, 4, finding(Judgment::Incident, "本人が認めた")).await), "until it is signed");
    assert_eq!(good(sign().await), Signing::Open(1));
    assert!(good(store.judge_item(number, 9, finding(Judgment::Fine, "")).await));
    assert_eq!(good(sign().await), Signing::Done);
    assert_eq!(good(sign().await), Signing::NotThere, "once");
    assert!(!good(store.judge_item(number, 9, finding(Judgment::Ask, "")).await), "nothing changes after it");
    let kept = good(store.review(number).await).expect("it is kept");
    assert_eq!(kept.signature, Some(signature("u-a1")));
    assert_eq!(kept.tally, Tally { items: 2, fine: 1, asked: 0, incidents: 1 });
    let items = good(store.review_items(number).await);
    let told: Vec<_> = items.into_iter().map(|item| (item.seq, item.rule, item.finding)).collect();
    let random = || "random".to_owned();
    let expected = [
        (4, random(), Some(finding(Judgment::Incident, "本人が認めた"))),
        (9, random(), Some(finding(Judgment::Fine, ""))),
    ];
    assert_eq!(told, expected);
    let newest = good(store.open_review(sample([].into_iter())).await);
    assert_eq!(good(store.reviews(1).await).first().map(|review| review.number), Some(newest));
    assert_eq!(good(store.sign_review(newest, signature("u-a1")).await), Signing::Done, "a sample may be empty");
    assert_eq!(good(store.review(u64::MAX).await), None);
    assert_eq!(good(store.sign_review(u64::MAX, signature("u-a1")).await), Signing::NotThere);
}

pub(super) async fn a_review_is_bounded(store: &dyn Store) {
    let most = u64::try_from(REVIEW_ITEMS_MAX).unwrap_or(u64::MAX);
    let too_many = store.open_review(sample(0..=most)).await;
    assert!(matches!(too_many, Err(StoreProblem::Full)), "{too_many:?}");
    let number = good(store.open_review(sample(0..most)).await);
    assert_eq!(good(store.review(number).await).map(|review| review.tally.items), Some(most));
}

pub(super) async fn a_question_is_its_persons_alone(store: &dyn Store) {
    let (ueda, mori) = (user("u-q1"), user("u-q2"));
    let save = |owner: &policy::UserId, name: &str, query: &str, at| {
        store.save_question(owner.clone(), name.to_owned(), query.to_owned(), second(at))
    };
    let first = good(save(&ueda, "夜間", "outcome=refused", 1).await);
    let other = good(save(&mori, "夜間", "who=x", 2).await);
    assert_ne!(first, other);
    assert_eq!(good(save(&ueda, "夜間", "outcome=failed", 3).await), first, "a name is one question");
    let kept = good(store.saved_questions(&ueda).await);
    let told: Vec<_> = kept.iter().map(|one| (one.id, one.name.as_str(), one.query.as_str(), one.saved_at)).collect();
    assert_eq!(told, [(first, "夜間", "outcome=failed", second(3))]);
    assert!(!good(store.forget_question(&mori, first).await), "not theirs");
    assert!(good(store.forget_question(&ueda, first).await));
    assert!(!good(store.forget_question(&ueda, first).await), "once");
    for number in 0..QUESTIONS_MAX {
        good(save(&ueda, &number.to_string(), "", 4).await);
    }
    let too_many = save(&ueda, "one more", "", 5).await;
    assert!(matches!(too_many, Err(StoreProblem::Full)), "{too_many:?}");
    assert_eq!(good(store.saved_questions(&ueda).await).len(), QUESTIONS_MAX);
    assert_eq!(good(save(&ueda, "0", "again", 6).await), good(store.saved_questions(&ueda).await)[0].id);
}
