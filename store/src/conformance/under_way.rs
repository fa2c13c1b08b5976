//! Sign-ins that are under way when something ends them: what was read before the session is opened counts no more.

use policy::{Methods, SessionId, SignInMethod};

use super::cast::*;
use crate::*;

async fn open(store: &dyn Store, opening: NewSession) -> Result<Displaced, StoreProblem> {
    store.open_session(opening, "u-under-way".to_owned()).await
}

fn new(session: SessionRecord) -> NewSession {
    let number = session.id.bits();
    NewSession::new(session, token(number), host("login.example"), Others::Keep)
}

pub(super) async fn what_is_under_way_ends_with_the_sessions(store: &dyn Store) {
    let nurse = person("u-under-way");
    let provider = || nurse.provider.clone();
    let other = person("u-under-way-other");
    for one in [&nurse, &other] {
        good(store.remember_person(one.clone()).await);
    }
    let sid = |sid: &str, subject: Option<&Person>| SessionsOf::ProviderSession {
        provider: provider(),
        sid: sid.to_owned(),
        subject: subject.map(|person| person.subject.clone()),
    };
    let subject = || nurse.subject.clone();
    let cases = [
        (SessionsOf::User(nurse.id.clone()), Some("a"), true),
        (SessionsOf::User(other.id.clone()), Some("a"), false),
        (SessionsOf::Subject { provider: provider(), subject: subject() }, None, true),
        (SessionsOf::Subject { provider: self::provider("elsewhere"), subject: subject() }, None, false),
        (SessionsOf::SubjectUnnamed { provider: provider(), subject: subject() }, None, true),
        (SessionsOf::SubjectUnnamed { provider: provider(), subject: subject() }, Some("b"), false),
        (sid("c", None), Some("c"), true),
        (sid("d", None), Some("other"), false),
        (sid("e", Some(&nurse)), Some("e"), true),
        (sid("f", Some(&other)), Some("f"), false),
        (sid("g", None), None, false),
        (SessionsOf::Outage(provider()), Some("h"), false),
    ];
    for (case, (of, provider_session, is_void)) in cases.into_iter().enumerate() {
        // Each case at a time of its own, so that none voids what comes after it.
        let (begun, ended) =
            (1_000 + 10 * i64::try_from(case).unwrap_or(0), 1_001 + 10 * i64::try_from(case).unwrap_or(0));
        good(store.end_sessions(of.clone(), second(ended), "gateway:provider".to_owned()).await);
        let number = 1_900 + u64::try_from(case).unwrap_or(0);
        let session = SessionRecord {
            provider_session: provider_session.map(str::to_owned),
            opened_at: second(ended + 1),
            ..session(number, &nurse, None)
        };
        let under_way = NewSession { vouched_at: second(begun), ..new(session.clone()) };
        let opened = open(store, under_way).await;
        match is_void {
            true => assert_not_in_force(opened, Lapsed::SignIn),
            false => drop(good(opened)),
        }
        assert_eq!(good(store.session_by_token(token(number)).await).is_some(), !is_void, "{of:?}");
        good(store.end_session(session.id, second(ended + 2), "x".to_owned()).await);
        // Who signs in after it is in.
        good(open(store, NewSession { vouched_at: second(ended + 1), ..new(session.clone()) }).await);
        good(store.end_session(session.id, second(ended + 2), "x".to_owned()).await);
    }
    // A leaver who is back before their sign-in came to its end begins anew.
    good(store.disable_person(&other.id, "休職".to_owned(), second(2_000), "u-admin".to_owned()).await);
    assert!(good(store.enable_person(&other.id, second(2_001), "u-admin".to_owned()).await));
    let late = SessionRecord { opened_at: second(2_002), ..session(1_920, &other, None) };
    assert_not_in_force(open(store, NewSession { vouched_at: second(1_999), ..new(late) }).await, Lapsed::SignIn);
}

pub(super) async fn a_step_up_takes_the_place_of_an_open_session(store: &dyn Store) {
    let (nurse, other) = (person("u-step-up"), person("u-step-up-other"));
    for one in [&nurse, &other] {
        good(store.remember_person(one.clone()).await);
    }
    for (number, whose) in [(1_930, &nurse), (1_931, &nurse), (1_932, &other), (1_933, &nurse)] {
        good(open(store, new(session(number, whose, None))).await);
    }
    good(store.end_session(SessionId::new(1_931), second(10), "gateway:provider".to_owned()).await);
    assert!(good(store.park_session(SessionId::new(1_933), second(10), "x".to_owned()).await));
    let step_up = |number: u64, replaces: u64| {
        let after = SessionRecord { opened_at: second(11), ..session(number, &nurse, None) };
        open(store, NewSession { replaces: Some(SessionId::new(replaces)), ..new(after) })
    };
    for (replaced, case) in [(1_931, "ended"), (1_932, "another person's"), (1_933, "parked"), (0xdead, "unknown")] {
        let refused = step_up(1_934, replaced).await;
        assert!(matches!(refused, Err(StoreProblem::NotInForce(Lapsed::Session))), "{case}: {refused:?}");
    }
    assert!(good(store.session_by_token(token(1_932)).await).is_some(), "nobody else's ends");
    let sequence = last_sequence(store).await;
    let displaced = good(step_up(1_934, 1_930).await);
    assert_eq!(displaced, Displaced { parked: vec![], ended: vec![SessionId::new(1_930)] });
    assert_eq!(changes_after(store, sequence).await, vec![Change::SessionEnded(SessionId::new(1_930))]);
    let open = [1_930, 1_934].map(async |number| good(store.session_by_token(token(number)).await).is_some());
    let [before, after] = open;
    assert!(!before.await && after.await);
}

pub(super) async fn a_code_that_was_revoked_opens_nothing_and_ends_what_it_opened(store: &dyn Store) {
    let (nurse, other) = (person("u-code"), person("u-code-other"));
    for one in [&nurse, &other] {
        good(store.remember_person(one.clone()).await);
    }
    let code = |number, whose: &Person| invitation(number, Invited::Temporary(whose.id.clone()));
    let by_code = |number: u64, code: &Invitation, at: i64| {
        let methods = Methods::of([SignInMethod::Temporary]);
        let session = SessionRecord { methods, opened_at: second(at), ..session(number, &nurse, None) };
        open(store, NewSession { code: Some(code.id), ..new(session) })
    };
    let good_one = code(1_940, &nurse);
    good(store.invite(good_one.clone()).await);
    let foreign = code(1_941, &other);
    good(store.invite(foreign.clone()).await);
    let key = invitation(1_942, Invited::Passkey(nurse.id.clone()));
    good(store.invite(key.clone()).await);
    for (bad, at) in [(&foreign, 10), (&key, 10), (&good_one, 3_600)] {
        assert_not_in_force(by_code(1_950, bad, at).await, Lapsed::Code);
    }
    good(by_code(1_950, &good_one, 10).await);
    good(open(store, new(session(1_951, &nurse, None))).await);
    // The supervisor takes the code back in the very moment in which it is used: whichever is first, nobody is in.
    let (opened, revoked) = tokio::join!(
        by_code(1_952, &good_one, 20),
        store.revoke_invitation(good_one.id, second(20), "u-boss".to_owned())
    );
    assert!(good(revoked));
    drop(opened);
    assert_not_in_force(by_code(1_953, &good_one, 21).await, Lapsed::Code);
    for (number, is_in) in [(1_950, false), (1_951, true), (1_952, false), (1_953, false)] {
        assert_eq!(good(store.session_by_token(token(number)).await).is_some(), is_in, "{number}");
    }
    // Another code for the same person: whoever found the slip of the first is out.
    let (first, second_one) = (code(1_943, &nurse), code(1_944, &nurse));
    good(store.invite(first.clone()).await);
    good(by_code(1_954, &first, 30).await);
    good(store.invite(second_one.clone()).await);
    assert_eq!(good(store.session_by_token(token(1_954)).await), None);
    good(by_code(1_955, &second_one, 31).await);
}
