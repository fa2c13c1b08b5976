//! People: kept by their id, disabled with everything they hold.

use policy::{RoleId, SessionId};

use super::cast::*;
use crate::*;

pub(super) async fn people_are_replaced_by_their_id(store: &dyn Store) {
    let before = person("u-replaced");
    let after = Person { name: "佐藤 看護師".to_owned(), roles: vec![], seen_at: second(9), ..before.clone() };
    assert_eq!(good(store.person(&before.id).await), None, "nobody is known at first");
    good(store.remember_person(before.clone()).await);
    assert_eq!(good(store.person(&before.id).await), Some(before.clone()));
    good(store.remember_person(after.clone()).await);
    assert_eq!(good(store.person(&before.id).await), Some(after), "the last sign-in counts");
}

pub(super) async fn what_the_directory_says_survives_a_sign_in(store: &dyn Store) {
    let kept = person("u-kept");
    good(store.add_person(kept.clone(), "u-admin".to_owned()).await);
    good(store.disable_person(&kept.id, "退職".to_owned(), second(5), "u-admin".to_owned()).await);
    let shown =
        Person { name: "別の名".to_owned(), unit: "他".to_owned(), added_at: second(8), ..person("u-kept") };
    let earlier = Person { seen_at: second(0), confirmed_at: second(0), ..shown.clone() };
    good(store.remember_person(Person { roles: Vec::new(), ..earlier }).await);
    let read = good(store.person(&kept.id).await).expect("the person is known");
    assert_eq!((read.name, read.roles), (kept.name, kept.roles), "what was confirmed earlier brings nothing back");
    good(store.remember_person(Person { seen_at: second(0), ..shown }).await);
    let read = good(store.person(&kept.id).await).expect("the person is known");
    assert_eq!((read.unit, read.added_at), (kept.unit, kept.added_at), "a provider knows no unit");
    assert_eq!(read.name, "別の名");
    assert_eq!((read.seen_at, read.confirmed_at), (second(1), second(1)), "never backwards");
    let disabled = Disabled { at: second(5), why: "退職".to_owned(), actor: "u-admin".to_owned() };
    assert_eq!(read.disabled, Some(disabled), "signing in at the provider enables nobody");
}

pub(super) async fn people_are_added_once_under_every_name(store: &dyn Store) {
    let first = person("u-added");
    let sequence = last_sequence(store).await;
    good(store.add_person(first.clone(), "u-admin".to_owned()).await);
    let same_id = Person { subject: "another".to_owned(), login: "another".to_owned(), ..first.clone() };
    let same_subject = Person { id: user("u-added-2"), login: "another".to_owned(), ..first.clone() };
    let same_login = Person {
        id: user("u-added-2"),
        subject: "another".to_owned(),
        login: first.login.to_uppercase(),
        ..first.clone()
    };
    for twin in [same_id, same_subject, same_login] {
        let refused = store.add_person(twin, "u-admin".to_owned()).await;
        assert!(matches!(refused, Err(StoreProblem::Exists(_))), "{refused:?}");
    }
    assert_eq!(changes_after(store, sequence).await, vec![Change::PersonAdded(first.id.clone())]);
    let found = good(store.person_by_subject(&first.provider, &first.subject).await);
    assert_eq!(found, Some(first.clone()));
    assert_eq!(good(store.person_by_login(&first.provider, "U-Added").await), Some(first.clone()));
    let elsewhere = provider("elsewhere");
    assert_eq!(good(store.person_by_login(&elsewhere, &first.login).await), None, "another provider's name");
    assert_eq!(good(store.person_by_subject(&elsewhere, &first.subject).await), None);
    let namesake = Person { login: first.login.clone(), ..person("u-namesake") };
    good(store.remember_person(namesake).await);
    assert_eq!(good(store.person_by_login(&first.provider, &first.login).await), None, "two are nobody");
}

pub(super) async fn people_are_changed_with_their_sessions(store: &dyn Store) {
    let nurse = person("u-changed");
    good(store.add_person(nurse.clone(), "u-admin".to_owned()).await);
    good(open_session(store, session(1_000, &nurse, None), token(1_000)).await);
    let sequence = last_sequence(store).await;
    let change = PersonChange { roles: Some(vec![role("nurse"), role("clerk"), role("nurse")]), ..change() };
    assert!(good(store.change_person(&nurse.id, change.clone(), second(9), "u-admin".to_owned()).await));
    let (person, session) = person_and_session(store, token(1_000)).await;
    let roles = vec![role("clerk"), role("nurse")];
    assert_eq!((&person.roles, person.confirmed_at), (&roles, second(9)), "sorted, each once");
    assert_eq!((&session.roles, session.roles_confirmed_at), (&roles, second(9)));
    assert_eq!(
        changes_after(store, sequence).await,
        vec![
            Change::PersonChanged { user: nurse.id.clone(), roles: changed(&nurse.roles, &session.roles) },
            Change::SessionChanged(session.id)
        ]
    );
    let sequence = last_sequence(store).await;
    assert!(good(store.change_person(&nurse.id, change, second(10), "u-admin".to_owned()).await));
    assert_eq!(changes_after(store, sequence).await, vec![], "nothing changed, nothing is told");
    let other = Person { login: "u-changed-other".to_owned(), ..self::person("u-changed-2") };
    good(store.add_person(other.clone(), "u-admin".to_owned()).await);
    let taken = PersonChange { login: Some("U-CHANGED-OTHER".to_owned()), ..self::change() };
    let refused = store.change_person(&nurse.id, taken, second(11), "u-admin".to_owned()).await;
    assert!(matches!(refused, Err(StoreProblem::Exists(_))), "{refused:?}");
    assert!(!good(store.change_person(&user("u-nobody"), self::change(), second(11), "u-admin".to_owned()).await));
}

pub(super) async fn confirmed_roles_reach_open_sessions(store: &dyn Store) {
    let nurse = person("u-confirmed");
    good(store.remember_person(nurse.clone()).await);
    good(open_session(store, session(1_010, &nurse, None), token(1_010)).await);
    let sequence = last_sequence(store).await;
    let by = || "gateway:provider".to_owned();
    assert!(!good(store.confirm_roles(&nurse.id, nurse.roles.clone(), second(60), by()).await), "the same");
    let (person, session) = person_and_session(store, token(1_010)).await;
    assert_eq!((person.confirmed_at, session.roles_confirmed_at), (second(60), second(60)));
    assert_eq!(changes_after(store, sequence).await, vec![]);
    assert!(good(store.confirm_roles(&nurse.id, vec![], second(70), by()).await));
    let (person, session) = person_and_session(store, token(1_010)).await;
    assert_eq!((person.roles, &session.roles), (vec![], &vec![]));
    assert_eq!(
        changes_after(store, sequence).await,
        vec![
            Change::PersonChanged { user: nurse.id.clone(), roles: changed(&nurse.roles, &session.roles) },
            Change::SessionChanged(session.id)
        ]
    );
    // A sign-in that read the roles before they were taken away must not bring them back.
    let late = SessionRecord { roles_confirmed_at: second(60), ..self::session(1_011, &nurse, None) };
    let refused = open_session(store, late, token(1_011)).await;
    assert!(matches!(refused, Err(StoreProblem::NotInForce(Lapsed::Roles))), "{refused:?}");
    assert_eq!(good(store.session_by_token(token(1_011)).await), None);
}

pub(super) async fn roles_that_a_sign_in_brings_are_told(store: &dyn Store) {
    let nurse = person("u-sign-in-roles");
    let sequence = last_sequence(store).await;
    good(store.remember_person(nurse.clone()).await);
    let again = Person { roles: nurse.roles.iter().rev().cloned().collect(), confirmed_at: second(5), ..nurse.clone() };
    good(store.remember_person(again).await);
    assert_eq!(changes_after(store, sequence).await, vec![], "the same roles, however they are ordered");
    let promoted = Person { roles: vec![role("head-nurse")], confirmed_at: second(9), ..nurse.clone() };
    good(store.remember_person(promoted.clone()).await);
    let late = Person { roles: vec![], confirmed_at: second(8), ..nurse.clone() };
    good(store.remember_person(late).await);
    let events = good(store.events_after(sequence, 10).await);
    let roles = changed(&nurse.roles, &promoted.roles);
    let told: Vec<Change> = events.iter().map(|event| event.change.clone()).collect();
    assert_eq!(
        told,
        vec![Change::PersonChanged { user: nurse.id, roles }],
        "once, and nothing of a word that came late"
    );
    assert!(events.iter().all(|event| event.actor == "gateway:provider" && event.at == second(9)));
}

pub(super) async fn disabling_takes_everything_along_in_one_step(store: &dyn Store) {
    let leaver = person("u-leaver");
    let stays = person("u-stays");
    for one in [&leaver, &stays] {
        good(store.add_person(one.clone(), "u-admin".to_owned()).await);
    }
    let key = credential("u-leaver-key", &leaver);
    good(store.add_credential(key.clone(), WhichCredential::Any, "u-admin".to_owned()).await);
    good(open_session(store, session(1_020, &leaver, None), token(1_020)).await);
    good(open_session(store, session(1_021, &leaver, None), token(1_021)).await);
    good(open_session(store, session(1_022, &stays, None), token(1_022)).await);
    assert!(good(store.park_session(SessionId::new(1_021), second(5), "x".to_owned()).await));
    let invited = invitation(1_020, Invited::Passkey(leaver.id.clone()));
    let temporary = invitation(1_021, Invited::Temporary(leaver.id.clone()));
    let other = invitation(1_022, Invited::Passkey(stays.id.clone()));
    for one in [&invited, &temporary, &other] {
        good(store.invite(one.clone()).await);
    }
    let sequence = last_sequence(store).await;
    let ended = good(store.disable_person(&leaver.id, "退職".to_owned(), second(30), "u-admin".to_owned()).await);
    let ended: Vec<SessionId> = ended.expect("the person was in force").into_iter().map(|one| one.id).collect();
    assert_eq!(ended, vec![SessionId::new(1_020), SessionId::new(1_021)], "parked ones too");
    let events = good(store.events_after(sequence, 100).await);
    assert!(events.iter().all(|event| event.actor == "u-admin" && event.at == second(30)));
    let told: Vec<Change> = events.into_iter().map(|event| event.change).collect();
    assert_eq!(
        told,
        vec![
            Change::PersonDisabled(leaver.id.clone()),
            Change::InvitationRevoked(invited.id),
            Change::InvitationRevoked(temporary.id),
            Change::SessionEnded(SessionId::new(1_020)),
            Change::SessionEnded(SessionId::new(1_021)),
        ]
    );
    assert!(good(store.session_by_token(token(1_022)).await).is_some(), "others go on");
    assert!(good(store.invitation(other.secret, second(31)).await).is_some());
    // Nothing that rests on them works any more.
    assert_eq!(good(store.session_by_token(token(1_020)).await), None);
    assert_eq!(good(store.invitation(invited.secret, second(31)).await), None);
    assert_not_in_force(open_session(store, session(1_023, &leaver, None), token(1_023)).await, Lapsed::Person);
    assert_not_in_force(store.invite(invitation(1_023, Invited::Passkey(leaver.id.clone()))).await, Lapsed::Person);
    let another = credential("u-leaver-other-key", &leaver);
    assert_not_in_force(store.add_credential(another, WhichCredential::Any, "x".to_owned()).await, Lapsed::Person);
    let roles = store.confirm_roles(&leaver.id, vec![], second(31), "x".to_owned()).await;
    assert_not_in_force(roles, Lapsed::Person);
    assert_eq!(good(store.credential_used(&key.id, used(9)).await), CredentialUsed::Gone);
    let found = good(store.credential(&key.id).await).expect("the key is kept");
    assert!(found.person.disabled.is_some());
    // Once, and only known people.
    let again = store.disable_person(&leaver.id, "again".to_owned(), second(40), "x".to_owned()).await;
    assert_eq!(good(again), None);
    let nobody = store.disable_person(&user("u-nobody"), "why".to_owned(), second(40), "x".to_owned()).await;
    assert_eq!(good(nobody), None);
    // Back again: the key works, what was ended stays ended.
    let sequence = last_sequence(store).await;
    assert!(good(store.enable_person(&leaver.id, second(50), "u-admin".to_owned()).await));
    assert!(!good(store.enable_person(&leaver.id, second(51), "u-admin".to_owned()).await));
    assert_eq!(changes_after(store, sequence).await, vec![Change::PersonEnabled(leaver.id.clone())]);
    assert_eq!(good(store.credential_used(&key.id, used(9)).await), CredentialUsed::Noted);
    assert_eq!(good(store.session_by_token(token(1_020)).await), None);
    assert_eq!(good(store.invitation(invited.secret, second(51)).await), None);
    let read = good(store.person(&leaver.id).await).expect("the person is kept");
    assert_eq!((read.disabled, read.seen_at), (None, second(50)), "not unused from the first day");
}

pub(super) async fn who_is_unused_is_disabled_and_nobody_else(store: &dyn Store) {
    let clinic = provider("clinic");
    let seen = |id: &str, at: i64| Person { provider: clinic.clone(), seen_at: second(at), ..person(id) };
    let (old, fresh) = (seen("u-unused-old", 100), seen("u-unused-fresh", 200));
    let gone = Person { disabled: Some(disabled()), ..seen("u-unused-gone", 100) };
    let elsewhere = Person { seen_at: second(100), ..person("u-unused-elsewhere") };
    for one in [&old, &fresh, &gone, &elsewhere] {
        good(store.add_person(one.clone(), "u-admin".to_owned()).await);
    }
    let why = || "unused for 90 days".to_owned();
    let actor = || "gateway:unused".to_owned();
    let now = second(300);
    assert_eq!(good(store.disable_unused(&clinic, second(100), why(), now, actor()).await), vec![], "the very moment");
    let disabled = good(store.disable_unused(&clinic, second(101), why(), now, actor()).await);
    assert_eq!(disabled, vec![old.id.clone()]);
    assert_eq!(good(store.disable_unused(&clinic, second(101), why(), now, actor()).await), vec![]);
    let kept = good(store.person(&gone.id).await).expect("the person is kept");
    assert_eq!(kept.disabled, gone.disabled, "why they were disabled stays");
    // Signing in is being used, by key too, where nobody writes the person down anew.
    let opened = SessionRecord { opened_at: second(400), ..session(1_030, &fresh, None) };
    good(open_session(store, opened, token(1_030)).await);
    assert_eq!(good(store.disable_unused(&clinic, second(400), why(), now, actor()).await), vec![]);
}

pub(super) async fn people_are_searched_page_by_page(store: &dyn Store) {
    let ward = provider("ward");
    let make = |id: &str, login: &str, name: &str, roles: &[&str]| Person {
        provider: ward.clone(),
        login: login.to_owned(),
        name: name.to_owned(),
        roles: roles.iter().map(|name| role(name)).collect(),
        ..person(id)
    };
    let people = [
        make("u-s3", "b.tanaka", "田中 100%", &["nurse"]),
        make("u-s1", "A.Sato", "佐藤", &["doctor", "head-nurse"]),
        make("u-s2", "a.sato", "佐藤 二郎", &["nurse"]),
    ];
    for one in &people {
        good(store.remember_person(one.clone()).await);
    }
    good(store.disable_person(&user("u-s3"), "退職".to_owned(), second(5), "x".to_owned()).await);
    let everyone = PeopleFilter { provider: Some(ward.clone()), ..PeopleFilter::default() };
    let list = async |filter: PeopleFilter| {
        let found = good(store.people(filter, None, 10).await);
        found.into_iter().map(|person| person.id.to_string()).collect::<Vec<_>>()
    };
    let with_text = |text: &str| PeopleFilter { text: Some(text.to_owned()), ..everyone.clone() };
    assert_eq!(list(everyone.clone()).await, ["u-s1", "u-s2", "u-s3"], "by login, then id");
    assert_eq!(list(with_text("佐藤")).await, ["u-s1", "u-s2"]);
    assert_eq!(list(with_text("A.SATO")).await, ["u-s1", "u-s2"]);
    assert_eq!(list(with_text("100%")).await, ["u-s3"]);
    assert_eq!(list(with_text("%")).await, ["u-s3"], "no pattern, the character itself");
    assert_eq!(list(with_text("_")).await, [""; 0]);
    assert_eq!(list(with_text("' or 1 = 1 --")).await, [""; 0]);
    let nurses = PeopleFilter { role: Some(role("nurse")), ..everyone.clone() };
    assert_eq!(list(nurses.clone()).await, ["u-s2", "u-s3"], "a head nurse is another role");
    assert_eq!(list(PeopleFilter { disabled: Some(false), ..nurses.clone() }).await, ["u-s2"]);
    assert_eq!(list(PeopleFilter { disabled: Some(true), ..nurses }).await, ["u-s3"]);
    assert_eq!(list(PeopleFilter { unused_since: Some(second(1)), ..everyone.clone() }).await, [""; 0]);
    assert_eq!(list(PeopleFilter { unused_since: Some(second(2)), ..everyone.clone() }).await.len(), 3);
    let mut after = None;
    for expected in ["u-s1", "u-s2", "u-s3"] {
        let page = good(store.people(everyone.clone(), after, 1).await);
        assert_eq!(page.iter().map(|person| person.id.as_str()).collect::<Vec<_>>(), [expected]);
        after = Some(user(expected));
    }
    assert_eq!(good(store.people(everyone.clone(), after, 1).await), vec![]);
    assert_eq!(good(store.people(everyone, Some(user("u-nobody")), 10).await), vec![], "a foreign place is no place");
}

pub(super) async fn people_are_written_all_or_none(store: &dyn Store) {
    let old = person("u-all-old");
    good(store.add_person(old.clone(), "u-admin".to_owned()).await);
    good(open_session(store, session(1_040, &old, None), token(1_040)).await);
    let sequence = last_sequence(store).await;
    let change = PersonChange { name: Some("改名".to_owned()), ..change() };
    let good_ones = || {
        vec![
            PersonWrite::Add(person("u-all-new")),
            PersonWrite::Change(old.id.clone(), change.clone()),
            PersonWrite::Disable(old.id.clone(), "退職".to_owned()),
        ]
    };
    let twin = PersonWrite::Add(Person { id: user("u-all-twin"), ..person("u-all-new") });
    let stranger = PersonWrite::Change(user("u-nobody"), change.clone());
    let nobody = PersonWrite::Disable(user("u-nobody"), "why".to_owned());
    for bad in [twin, stranger, nobody] {
        let writes = good_ones().into_iter().chain([bad]).collect();
        assert!(store.write_people(writes, second(20), "u-admin".to_owned()).await.is_err());
        assert_eq!(good(store.person(&user("u-all-new")).await), None);
        let kept = good(store.person(&old.id).await).expect("the person is kept");
        assert_eq!((kept.name, kept.disabled), (old.name.clone(), None));
        assert!(good(store.session_by_token(token(1_040)).await).is_some());
        assert_eq!(last_sequence(store).await, sequence, "what was undone tells nothing");
    }
    good(store.write_people(good_ones(), second(20), "u-admin".to_owned()).await);
    assert_eq!(
        changes_after(store, sequence).await,
        vec![
            Change::PersonAdded(user("u-all-new")),
            Change::PersonChanged { user: old.id.clone(), roles: None },
            Change::PersonDisabled(old.id.clone()),
            Change::SessionEnded(SessionId::new(1_040)),
        ]
    );
}

fn change() -> PersonChange {
    PersonChange::default()
}

async fn person_and_session(store: &dyn Store, token: TokenHash) -> (Person, SessionRecord) {
    let found = expect_found(good(store.session_by_token(token).await));
    (found.person, found.session)
}

fn changed(before: &[RoleId], after: &[RoleId]) -> Option<RolesChanged> {
    Some(RolesChanged { before: before.to_vec(), after: after.to_vec() })
}
