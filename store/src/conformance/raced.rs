//! Two nodes on one store that do the same at the same moment: whatever may happen once, happens once.

use policy::{DeviceClass, GrantId};

use super::cast::*;
use crate::*;

/// How often each race is run.
const ROUNDS: u64 = 20;

/// Runs every race on two stores that hold the same.
///
/// # Panics
/// Where something happened twice, or not at all.
pub async fn raced(stores: [&dyn Store; 2]) {
    what_is_taken_once_is_taken_by_one(stores).await;
    a_code_is_used_by_one(stores).await;
    a_terminal_has_one_session(stores).await;
    a_login_is_given_to_one(stores).await;
    a_window_is_approved_by_as_many_as_must(stores).await;
    events_are_seen_in_the_order_of_their_numbers(stores).await;
}

async fn what_is_taken_once_is_taken_by_one([one, other]: [&dyn Store; 2]) {
    let nurse = person("u-raced");
    good(one.remember_person(nurse.clone()).await);
    for round in 0..ROUNDS {
        let key = token(9_000 + round);
        let ceremony = Ceremony { kind: "raced", state: "state".to_owned(), expires_at: second(100) };
        good(one.start_ceremony(key, ceremony).await);
        let (a, b) =
            tokio::join!(one.take_ceremony(key, "raced", second(1)), other.take_ceremony(key, "raced", second(1)));
        assert!(good(a).is_some() != good(b).is_some(), "a ceremony");
        let (a, b) =
            tokio::join!(one.remember_once("raced", key, second(100)), other.remember_once("raced", key, second(100)));
        assert!(good(a) != good(b), "what must not come twice");
        let open = session(9_000 + round, &nurse, None);
        let opening = NewSession::new(open.clone(), key, host("login.example"), Others::Keep);
        good(one.open_session(opening, "x".to_owned()).await);
        let (a, b) = tokio::join!(
            one.end_session(open.id, second(9), "x".to_owned()),
            other.end_session(open.id, second(9), "x".to_owned())
        );
        assert!(good(a) != good(b), "the end of a session");
    }
}

async fn a_code_is_used_by_one([one, other]: [&dyn Store; 2]) {
    let nurse = person("u-raced-code");
    good(one.remember_person(nurse.clone()).await);
    for round in 0..ROUNDS {
        let code = invitation(9_000 + round, Invited::Temporary(nurse.id.clone()));
        good(one.invite(code.clone()).await);
        let take = |store| Store::take_invitation(store, code.secret, Purpose::Temporary, second(9), "x".to_owned());
        let (a, b) = tokio::join!(take(one), take(other));
        assert!(good(a).is_some() != good(b).is_some());
    }
}

async fn a_terminal_has_one_session([one, other]: [&dyn Store; 2]) {
    let terminal = DeviceRecord { class: DeviceClass::WardShared, ..device("d-raced", 90) };
    good(one.add_device(terminal.clone(), "x".to_owned()).await);
    let people = [person("u-raced-0"), person("u-raced-1")];
    for person in &people {
        good(one.remember_person(person.clone()).await);
    }
    for round in 0..ROUNDS {
        let opening = |which: usize, number: u64| {
            let session = session(number, &people[which], Some(&terminal.id));
            NewSession::new(session, token(number), host("login.example"), Others::Park)
        };
        let (here, there) = (opening(0, 9_100 + round * 2), opening(1, 9_101 + round * 2));
        let (a, b) = tokio::join!(one.open_session(here, "x".to_owned()), other.open_session(there, "x".to_owned()));
        drop((good(a), good(b)));
        let on_it = good(other.sessions_of(SessionsOf::Device(terminal.id.clone())).await);
        assert_eq!(on_it.iter().filter(|(session, _)| session.parked_at.is_none()).count(), 1);
    }
}

async fn a_login_is_given_to_one([one, other]: [&dyn Store; 2]) {
    for round in 0..ROUNDS {
        let named = |id: &str| Person { login: format!("raced-{round}"), ..person(&format!("u-raced-{id}-{round}")) };
        let (a, b) = tokio::join!(
            one.add_person(named("here"), "x".to_owned()),
            other.add_person(named("there"), "x".to_owned())
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    }
}

async fn a_window_is_approved_by_as_many_as_must([one, other]: [&dyn Store; 2]) {
    let chiefs = [super::grants::chief(one, "c-raced-0").await, super::grants::chief(one, "c-raced-1").await];
    for round in 0..ROUNDS {
        let vendor = super::grants::vendor(one, &format!("v-raced-{round}")).await;
        let name = format!("g-raced-{round}");
        let id = parsed(GrantId::parse(&name));
        assert_eq!(super::grants::ask(one, super::grants::window(&name, &vendor)).await, Ok(()));
        let [here, there] = chiefs.clone();
        let (a, b) = tokio::join!(
            one.approve_grant(&id, here, String::new(), second(3_700)),
            other.approve_grant(&id, there, String::new(), second(3_700))
        );
        assert!(good(a).is_ok() != good(b).is_ok(), "one approval is enough, and there is one");
    }
}

/// Whoever reads what comes after the last that they know has read all: nothing appears later under a lower number.
async fn events_are_seen_in_the_order_of_their_numbers([one, other]: [&dyn Store; 2]) {
    let start = last_sequence(one).await;
    let tell = async |store: &dyn Store, name: &str| {
        for number in 0..ROUNDS * 3 {
            good(store.add_person(person(&format!("u-{name}-{number}")), "x".to_owned()).await);
        }
    };
    let read = async {
        let (mut seen, mut last) = (0, start);
        while seen < ROUNDS * 6 {
            let events = good(other.events_after(last, 3).await);
            seen += u64::try_from(events.len()).unwrap_or(0);
            last = events.last().map_or(last, |event| event.sequence);
        }
        seen
    };
    let ((), (), seen) = tokio::join!(tell(one, "told-here"), tell(other, "told-there"), read);
    assert_eq!(seen, ROUNDS * 6);
}
