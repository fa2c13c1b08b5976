//! Events, notes, outages, and what is out of time.

use super::cast::*;
use crate::*;

pub(super) async fn events_come_in_order(store: &dyn Store) {
    let start = last_sequence(store).await;
    for number in 0..5 {
        let added = device(&format!("d-event-{number}"), 50 + number);
        good(store.add_device(added, "cli:admin".to_owned()).await);
    }
    let events = good(store.events_after(start, 3).await);
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, vec![start + 1, start + 2, start + 3], "oldest first, no more than asked for");
    assert_eq!(good(store.events_after(start + 3, 10).await).len(), 2);
    assert_eq!(good(store.events_after(u64::MAX, 10).await), vec![]);
}

pub(super) async fn the_log_handed_over_is_told(store: &dyn Store) {
    let start = last_sequence(store).await;
    let used = LogUse { what: "export".to_owned(), question: "since=2026-11-01 person=n.sato".to_owned(), count: 42 };
    good(store.tell_log_use(used.clone(), second(77), "cli:k.mori".to_owned()).await);
    let nothing_asked = LogUse { question: String::new(), ..used.clone() };
    good(store.tell_log_use(nothing_asked.clone(), second(78), "cli:k.mori".to_owned()).await);
    let events = good(store.events_after(start, 10).await);
    let told: Vec<_> = events.into_iter().map(|event| (event.at, event.actor, event.change)).collect();
    let expected = [(second(77), used), (second(78), nothing_asked)];
    assert_eq!(told, expected.map(|(at, used)| (at, "cli:k.mori".to_owned(), Change::LogRead(used))));
}

pub(super) async fn notes_are_kept(store: &dyn Store) {
    assert_eq!(good(store.note("cursor").await), None);
    good(store.set_note("cursor", "41".to_owned()).await);
    good(store.set_note("cursor", "42".to_owned()).await);
    assert_eq!(good(store.note("cursor").await), Some("42".to_owned()));
    assert_eq!(good(store.note("other").await), None);
}

pub(super) async fn what_is_out_of_time_is_pruned(store: &dyn Store) {
    let nurse = person("u-pruned");
    good(store.remember_person(nurse.clone()).await);
    let over = SessionRecord { ends_at: second(2_000), ..session(600, &nurse, None) };
    let open = SessionRecord { ends_at: second(2_001), ..session(601, &nurse, None) };
    good(open_session(store, over, token(600)).await);
    good(open_session(store, open, token(601)).await);
    let void = Ceremony { kind: "oidc", state: "void".to_owned(), expires_at: second(2_000) };
    let under_way = Ceremony { kind: "oidc", state: "under way".to_owned(), expires_at: second(2_001) };
    good(store.start_ceremony(token(602), void).await);
    good(store.start_ceremony(token(603), under_way).await);
    good(store.prune(second(2_000)).await);
    assert_eq!(good(store.session_by_token(token(600)).await), None);
    assert!(good(store.session_by_token(token(601)).await).is_some());
    assert_eq!(good(store.take_ceremony(token(602), "oidc", second(1)).await), None, "removed, not only void");
    assert_eq!(good(store.take_ceremony(token(603), "oidc", second(1)).await), Some("under way".to_owned()));
}

pub(super) async fn an_outage_begins_and_ends_once(store: &dyn Store) {
    let provider = provider("out");
    let sequence = last_sequence(store).await;
    let begin = |note: &str| store.begin_outage(&provider, note.to_owned(), second(5), "gateway:outage".to_owned());
    let end = || store.end_outage(&provider, second(9), "cli:root".to_owned());
    assert!(!good(end().await), "there is none");
    let (one, two) = tokio::join!(begin("a"), begin("a"));
    assert!(good(one) != good(two), "one node tells");
    assert!(!good(begin("by switch").await));
    assert_eq!(good(store.note("outage:out").await), Some("by switch".to_owned()), "the last word is kept");
    let (one, two) = tokio::join!(end(), end());
    assert!(good(one) != good(two));
    assert_eq!(good(store.note("outage:out").await), None);
    let told = [Change::OutageBegan(provider.clone()), Change::OutageEnded(provider.clone())];
    assert_eq!(changes_after(store, sequence).await, told);
    assert!(good(begin("again").await));
}

pub(super) async fn a_switch_is_told_each_time_it_moves(store: &dyn Store) {
    let provider = provider("switched");
    let sequence = last_sequence(store).await;
    let turn = async |position| good(store.switch_outage(&provider, position, second(7), "u-admin".to_owned()).await);
    assert!(!turn(OutageSwitch::Automatic).await, "there it stands from the beginning");
    let moves = [OutageSwitch::On, OutageSwitch::Off, OutageSwitch::Automatic, OutageSwitch::On];
    for position in moves {
        assert!(turn(position).await && !turn(position).await, "{position:?}");
        assert_eq!(good(store.note("outage-switch:switched").await).as_deref(), Some(position.as_str()));
    }
    let told = moves.map(|position| Change::OutageSwitched { provider: provider.clone(), position });
    let events = good(store.events_after(sequence, 10).await);
    assert!(events.iter().all(|event| event.actor == "u-admin" && event.at == second(7)));
    assert_eq!(events.into_iter().map(|event| event.change).collect::<Vec<_>>(), told);
}

pub(super) async fn invitations_are_kept_for_who_looks_back(store: &dyn Store) {
    let nurse = person("u-looks-back");
    good(store.remember_person(nurse.clone()).await);
    let kept = invitation(1_800, Invited::Passkey(nurse.id));
    good(store.invite(kept.clone()).await);
    let days = |days: i64| second(3_600 + days * 86_400);
    // A session that the suite still needs ends long before: this part runs last.
    good(store.prune(days(29)).await);
    assert!(good(store.invitations().await).contains(&kept));
    good(store.prune(days(30)).await);
    assert!(!good(store.invitations().await).contains(&kept));
}
