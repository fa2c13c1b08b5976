//! Versions of configuration and policy: numbered, approved by another person, kept with their text.

use policy::Revision;

use super::cast::*;
use crate::*;

fn proposal(name: &str, by: &str, waits: bool) -> NewRevision {
    let kept = |path: &str, text: &str| KeptFile { path: path.to_owned(), text: text.to_owned() };
    NewRevision {
        revision: parsed(Revision::parse(name)),
        files: vec![kept("/etc/sekimori.toml", "[facility]\nname = \"病院\"\n"), kept("/etc/extra.cedar", "")],
        difference: vec![Difference { ja: "規則が加わった".to_owned(), en: "a rule was added".to_owned() }],
        why: "夜勤の変更".to_owned(),
        proposed_at: second(10),
        proposed_by: by.to_owned(),
        waits,
        next_waits: waits,
    }
}

pub(super) async fn versions_are_numbered_and_kept_with_their_text(store: &dyn Store) {
    let sequence = last_sequence(store).await;
    assert_eq!(good(store.last_activated_revision().await), None);
    let (one, two) = (proposal("aa01", "cli:sato", false), proposal("aa02", "cli:sato", false));
    let first = good(store.propose_revision(one.clone(), None).await);
    let second_number = good(store.propose_revision(two.clone(), None).await);
    assert!(second_number > first);
    let kept = good(store.revision(first).await).expect("it is kept");
    assert_eq!((kept.number, &kept.proposal, &kept.approved, kept.activated_at), (first, &one, &None, None));
    assert!(kept.may_come_into_force());
    assert_eq!(good(store.revision_to_come(&one.revision).await).map(|kept| kept.number), Some(first));
    assert!(good(store.note_activated(first, second(11)).await));
    assert!(!good(store.note_activated(first, second(12)).await), "once");
    assert_eq!(good(store.revision_to_come(&one.revision).await), None, "it came");
    assert!(good(store.note_activated(second_number, second(13)).await));
    assert_eq!(good(store.last_activated_revision().await).map(|kept| kept.number), Some(second_number));
    let newest: Vec<u64> = good(store.revisions(2).await).iter().map(|kept| kept.number).collect();
    assert_eq!(newest, [second_number, first]);
    let told = [Change::PolicyProposed(first), Change::PolicyProposed(second_number)];
    assert_eq!(changes_after(store, sequence).await, told);
    assert_eq!(good(store.revision(u64::MAX).await), None);
}

pub(super) async fn a_version_that_waits_comes_only_with_another_persons_approval(store: &dyn Store) {
    let waiting = proposal("aa03", "cli:sato", true);
    let number = good(store.propose_revision(waiting.clone(), None).await);
    let sequence = last_sequence(store).await;
    assert!(!good(store.note_activated(number, second(20)).await), "nobody approved it");
    assert_eq!(good(store.revision_to_come(&waiting.revision).await), None);
    let approve = |number, by: &str| store.approve_revision(number, second(21), by.to_owned());
    assert_eq!(good(approve(number, "cli:sato").await), Approval::SamePerson);
    assert_eq!(good(store.revision(number).await).map(|kept| kept.may_come_into_force()), Some(false));
    assert_eq!(good(approve(u64::MAX, "cli:ito").await), Approval::NotWaiting);
    let (one, two) = tokio::join!(approve(number, "cli:ito"), approve(number, "cli:kato"));
    let given = [good(one), good(two)];
    assert!(given.contains(&Approval::Given) && given.contains(&Approval::NotWaiting), "{given:?}");
    assert_eq!(changes_after(store, sequence).await, [Change::PolicyApproved(number)]);
    let kept = good(store.revision(number).await).expect("it is kept");
    assert!(kept.approved.is_some_and(|(at, by)| at == second(21) && by != "cli:sato"));
    assert!(good(store.note_activated(number, second(22)).await));
    let free = good(store.propose_revision(proposal("aa04", "cli:sato", false), None).await);
    assert_eq!(good(approve(free, "cli:ito").await), Approval::NotWaiting);
}

pub(super) async fn a_proposal_that_another_version_overtook_opens_nothing(store: &dyn Store) {
    let late = |name: &str, at, waits| NewRevision { proposed_at: second(at), ..proposal(name, "cli:sato", waits) };
    let old = good(store.propose_revision(late("aa05", 100, false), None).await);
    let approved = good(store.propose_revision(late("aa06", 100, true), None).await);
    let given = store.approve_revision(approved, second(101), "cli:ito".to_owned());
    assert_eq!(good(given.await), Approval::Given);
    let to_come = async |name: &str| good(store.revision_to_come(&parsed(Revision::parse(name))).await);
    assert_eq!(to_come("aa05").await.map(|kept| kept.number), Some(old));
    assert_eq!(to_come("aa06").await.map(|kept| kept.number), Some(approved));
    let other = good(store.propose_revision(late("aa07", 102, false), None).await);
    assert!(good(store.note_activated(other, second(103)).await));
    assert_eq!((to_come("aa05").await, to_come("aa06").await), (None, None), "they are out of date");
    let state = async |number| {
        let last = good(store.last_activated_revision().await);
        good(store.revision(number).await).expect("it is kept").state(last.as_ref())
    };
    assert_eq!((state(old).await, state(approved).await), (RevisionState::Overtaken, RevisionState::Overtaken));
    let again = good(store.propose_revision(late("aa05", 104, false), None).await);
    assert_eq!((state(other).await, state(again).await), (RevisionState::InForce, RevisionState::ToCome));
    let behind = good(store.propose_revision(late("aa06", 102, true), None).await);
    let waiting = good(store.propose_revision(late("aa06", 104, true), None).await);
    assert_eq!((state(behind).await, state(waiting).await), (RevisionState::WaitsBehind, RevisionState::Waits));
    assert_eq!(to_come("aa05").await.map(|kept| kept.number), Some(again), "whoever asks again is heard");
}

pub(super) async fn the_report_of_its_replay_is_kept_with_a_version_and_goes_with_it(store: &dyn Store) {
    let report = "{\"changed\":12,\"ja\":\"夜勤\"}";
    let number = good(store.propose_revision(proposal("ab01", "cli:sato", true), Some(report.to_owned())).await);
    let without = good(store.propose_revision(proposal("ab02", "cli:sato", true), None).await);
    assert_eq!(good(store.replay_of(number).await).as_deref(), Some(report));
    assert_eq!(good(store.replay_of(without).await), None);
    for _ in 0..=REVISIONS_MAX {
        good(store.propose_revision(proposal("ab03", "cli:sato", false), None).await);
    }
    assert_eq!(good(store.revision(number).await), None, "the earliest go");
    assert_eq!(good(store.replay_of(number).await), None, "and nothing of them stays");
}

pub(super) async fn the_version_in_force_is_the_last_that_came_and_is_never_forgotten(store: &dyn Store) {
    let propose = async |name: &str| good(store.propose_revision(proposal(name, "cli:sato", false), None).await);
    let (early, late) = (propose("aa08").await, propose("aa09").await);
    assert!(good(store.note_activated(late, second(200)).await));
    assert!(good(store.note_activated(early, second(201)).await));
    let came: Vec<u64> = good(store.activated_revisions(2).await).iter().map(|kept| kept.number).collect();
    assert_eq!(came, [early, late], "in the order in which they came");
    for _ in 0..=REVISIONS_MAX {
        propose("aa0a").await;
    }
    assert_eq!(good(store.last_activated_revision().await).map(|kept| kept.number), Some(early));
    assert_eq!(good(store.revision(late).await), None, "the earliest go");
}
