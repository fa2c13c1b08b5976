//! What is taken once, and what must not come twice.

use super::cast::*;
use crate::*;

pub(super) async fn ceremonies_are_taken_once(store: &dyn Store) {
    let ceremony = Ceremony { kind: "oidc", state: "{\"nonce\":1}".to_owned(), expires_at: second(600) };
    good(store.start_ceremony(token(500), ceremony.clone()).await);
    assert!(
        matches!(store.start_ceremony(token(500), ceremony.clone()).await, Err(StoreProblem::Exists(_))),
        "a secret is used once"
    );
    assert_eq!(good(store.take_ceremony(token(500), "hand-off", second(1)).await), None, "not as another kind");
    let (one, two) = tokio::join!(
        store.take_ceremony(token(500), "oidc", second(599)),
        store.take_ceremony(token(500), "oidc", second(599))
    );
    let taken: Vec<String> = [good(one), good(two)].into_iter().flatten().collect();
    assert_eq!(taken, vec![ceremony.state.clone()], "one taker gets it");
    good(store.start_ceremony(token(501), ceremony).await);
    assert_eq!(good(store.take_ceremony(token(501), "oidc", second(600)).await), None, "void from that moment");
    assert_eq!(good(store.take_ceremony(token(502), "oidc", second(1)).await), None);
}

pub(super) async fn what_was_seen_once_is_refused_twice(store: &dyn Store) {
    let remember = |kind, number, until| store.remember_once(kind, token(number), second(until));
    let (one, two) = tokio::join!(remember("logout", 1_700, 120), remember("logout", 1_700, 120));
    assert!(good(one) != good(two), "one of two replays is the first");
    assert!(!good(remember("logout", 1_700, 9_000).await), "a later end makes it no other");
    assert!(good(remember("posture", 1_700, 120).await), "another kind has its own");
    assert!(good(remember("logout", 1_701, 121).await));
    good(store.prune(second(120)).await);
    assert!(good(remember("logout", 1_700, 300).await), "it would be refused by its age now");
    assert!(!good(remember("logout", 1_701, 300).await), "its time is not over");
}
