//! Broken glass: one's own, never a vendor's, reviewed by another.

use policy::{AppId, GrantId, GrantKind, Unit};

use super::cast::*;
use crate::*;

fn id(name: &str) -> GrantId {
    parsed(GrantId::parse(name))
}

pub(super) fn terms() -> GlassTerms {
    GlassTerms { vendor_roles: vec![role("vendor")], blocks_unreviewed: false }
}

/// Glass that is broken from second 100 to 3 700, to be reviewed by second 10 000.
pub(super) fn broken(name: &str, person: &Person) -> NewGlass {
    NewGlass {
        id: id(name),
        person: person.id.clone(),
        app: parsed(AppId::parse("emr")),
        at: second(100),
        end: second(3_700),
        reason: "emergency".to_owned(),
        words: "急変".to_owned(),
        patient: None,
        ward: None,
        review_due_at: second(10_000),
    }
}

pub(super) async fn with_role(store: &dyn Store, name: &str, roles: &[&str]) -> Person {
    let person = Person { roles: roles.iter().map(|name| role(name)).collect(), ..person(name) };
    good(store.remember_person(person.clone()).await);
    person
}

fn reviewer(person: &Person) -> Ruler {
    Ruler { actor: person.id.to_string(), roles: vec![role("safety")] }
}

pub(super) async fn glass_is_broken_for_oneself_and_reviewed_by_another(store: &dyn Store) {
    let nurse = with_role(store, "n-glass", &["nurse", "safety"]).await;
    let safety = with_role(store, "s-glass", &["safety"]).await;
    let sequence = last_sequence(store).await;
    let name = id("glass-1");
    let new = NewGlass { patient: Some("0000123".to_owned()), ..broken("glass-1", &nurse) };
    assert_eq!(good(store.break_glass(new, terms()).await), Ok(()));
    let kept = async || good(store.grant(&name).await).expect("it is kept");
    let one = kept().await;
    let glass = one.glass().expect("it is glass");
    assert_eq!((one.kind, &*one.asked_by, one.is_given()), (GrantKind::Glass, nurse.id.as_str(), true));
    assert_eq!((&*glass.reason, &*glass.words, glass.patient.as_deref()), ("emergency", "急変", Some("0000123")));
    for (at, expected) in [(99, false), (100, true), (3_699, true), (3_700, false)] {
        assert_eq!(one.is_in_force(second(at)), expected, "{at}");
    }
    assert_eq!((one.due_at(second(200)), one.state(second(4_000))), (Some(second(10_000)), GrantState::Ended));
    assert!(one.is_overdue(second(10_000)) && !one.is_overdue(second(9_999)));
    let review =
        |by: Ruler, words: &str| store.review_glass(&name, by, GlassVerdict::Ask, words.to_owned(), second(5_000));
    assert_eq!(good(review(reviewer(&nurse), "可").await), Err(GrantRefusal::TheirOwn));
    assert_eq!(good(review(reviewer(&safety), " ").await), Err(GrantRefusal::NoWords));
    assert_eq!(
        good(review(Ruler { roles: vec![role("chief")], ..reviewer(&safety) }, "可").await),
        Err(GrantRefusal::NotInRole)
    );
    assert_eq!(good(review(reviewer(&safety), "理由を聞く").await), Ok(()));
    assert_eq!(good(review(reviewer(&safety), "もう一度").await), Err(GrantRefusal::NotNow(GrantState::Confirmed)));
    let one = kept().await;
    assert_eq!((one.due_at(second(20_000)), one.is_overdue(second(20_000))), (None, false));
    assert_eq!(
        one.glass().and_then(|glass| glass.review.as_ref()).map(|review| review.verdict),
        Some(GlassVerdict::Ask)
    );
    let told = [Change::GlassBroken(name.clone()), Change::GlassReviewed(name.clone())];
    assert_eq!(changes_after(store, sequence).await, told);
    let chief = Ruler { actor: safety.id.to_string(), roles: vec![role("safety")] };
    assert_eq!(good(store.approve_grant(&name, chief, String::new(), second(200)).await), Err(GrantRefusal::NotThere));
}

pub(super) async fn glass_is_not_for_vendors_nor_broken_twice_nor_without_words(store: &dyn Store) {
    let vendor = with_role(store, "v-glass", &["nurse", "vendor"]).await;
    let nurse = with_role(store, "n-glass-2", &["nurse"]).await;
    let attempt = |new: NewGlass| store.break_glass(new, terms());
    assert_eq!(good(attempt(broken("glass-v", &vendor)).await), Err(GrantRefusal::Vendor));
    let wordless = NewGlass { words: String::new(), ..broken("glass-w", &nurse) };
    assert_eq!(good(attempt(wordless).await), Err(GrantRefusal::NoWords));
    let of = |name: &str, patient: &str| NewGlass { patient: Some(patient.to_owned()), ..broken(name, &nurse) };
    assert_eq!(good(attempt(of("glass-a", "1")).await), Ok(()));
    assert_eq!(good(attempt(of("glass-b", "1")).await), Err(GrantRefusal::Overlaps(id("glass-a"))));
    assert_eq!(good(attempt(of("glass-c", "2")).await), Ok(()), "for another patient");
    let first = id("glass-a");
    let ended = store.end_grant(&first, reviewer(&nurse), "済".to_owned(), second(200));
    assert_eq!(good(ended.await), Ok(()), "by whoever broke it");
    let again = NewGlass { at: second(200), ..of("glass-d", "1") };
    assert_eq!(good(attempt(again).await), Ok(()));
}

pub(super) async fn unreviewed_glass_blocks_only_where_the_hospital_chose_so(store: &dyn Store) {
    let nurse = with_role(store, "n-glass-3", &["nurse"]).await;
    assert_eq!(good(store.break_glass(broken("glass-old", &nurse), terms()).await), Ok(()));
    let late = |name: &str| NewGlass {
        at: second(10_000),
        end: second(13_600),
        review_due_at: second(20_000),
        ..broken(name, &nurse)
    };
    let strict = GlassTerms { blocks_unreviewed: true, ..terms() };
    let blocked = good(store.break_glass(late("glass-new"), strict).await);
    assert_eq!(blocked, Err(GrantRefusal::Overdue(id("glass-old"))));
    assert_eq!(good(store.break_glass(late("glass-new"), terms()).await), Ok(()));
}

pub(super) async fn glass_for_a_ward_leaves_others_to_be_broken_anew(store: &dyn Store) {
    let nurse = with_role(store, "n-glass-4", &["nurse"]).await;
    let ward = |name: &str| Unit::parse(name);
    let of = |name: &str, place: &str| NewGlass { ward: ward(place), ..broken(name, &nurse) };
    let attempt = |new: NewGlass| store.break_glass(new, terms());
    assert_eq!(good(attempt(of("glass-3f", "本院/3F")).await), Ok(()));
    assert_eq!(good(attempt(of("glass-3f-2", "本院/3F")).await), Err(GrantRefusal::Overlaps(id("glass-3f"))));
    assert_eq!(good(attempt(of("glass-4f", "本院/4F")).await), Ok(()), "another ward");
    let patient = NewGlass { patient: Some("1".to_owned()), ..broken("glass-p", &nurse) };
    assert_eq!(good(attempt(patient).await), Ok(()), "a patient of whom no ward is known");
    assert_eq!(good(attempt(broken("glass-all", &nurse)).await), Ok(()), "the whole app");
    let within = good(attempt(of("glass-5f", "本院/5F")).await);
    assert_eq!(within, Err(GrantRefusal::Overlaps(id("glass-all"))), "the whole app is open");
    let kept = good(store.grant(&id("glass-4f")).await).expect("it is kept");
    assert_eq!(kept.glass().map(|glass| glass.ward.clone()), Some(ward("本院/4F")));
}

pub(super) async fn a_patient_is_forgotten_once_the_glass_is_over_and_reviewed(store: &dyn Store) {
    let nurse = with_role(store, "n-glass-5", &["nurse"]).await;
    let safety = with_role(store, "s-glass-5", &["safety"]).await;
    let name = id("glass-forget");
    let new = NewGlass { patient: Some("77".to_owned()), ..broken("glass-forget", &nurse) };
    assert_eq!(good(store.break_glass(new, terms()).await), Ok(()));
    let patient = async || {
        let kept = good(store.grant(&name).await).expect("it is kept");
        kept.glass().and_then(|glass| glass.patient.clone())
    };
    good(store.forget_glass_patients(second(9_000)).await);
    assert_eq!(patient().await.as_deref(), Some("77"), "nobody has reviewed it");
    let review = store.review_glass(&name, reviewer(&safety), GlassVerdict::Justified, String::new(), second(1_000));
    assert_eq!(good(review.await), Ok(()));
    good(store.forget_glass_patients(second(3_699)).await);
    assert_eq!(patient().await.as_deref(), Some("77"), "it is in force");
    assert_eq!(good(store.forget_glass_patients(second(3_700)).await), 1);
    assert_eq!(patient().await, None);
    assert_eq!(good(store.forget_glass_patients(second(9_000)).await), 0);
}
