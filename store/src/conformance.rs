//! What every [`Store`] must do, as one suite that each back end's tests run. Every function takes an empty store's
//! successor: the parts use different names, so that they may share one store. Assertions say what was broken.

use std::sync::Arc;

use policy::{
    Assurance, DeviceClass, DeviceId, Fingerprint, Host, Methods, NameProblem, ProviderId, RoleId, SessionId,
    SignInMethod, Timestamp, UserId,
};

use crate::{
    Ceremony, CertificateRecord, Change, DeviceRecord, Displaced, NewSession, Others, Person, Secret, SessionRecord,
    Store, StoreProblem, TokenHash,
};

/// Runs the whole suite on an empty store.
///
/// # Panics
/// At the first promise that the store breaks.
pub async fn all(store: Arc<dyn Store>) {
    let store = store.as_ref();
    people_are_replaced_by_their_id(store).await;
    devices_are_unique_for_ever(store).await;
    a_revocation_ends_the_sessions_of_its_device_and_tells(store).await;
    sessions_are_found_by_their_tokens_only(store).await;
    an_ended_session_is_gone_once_and_tells(store).await;
    seen_only_goes_forward(store).await;
    ceremonies_are_taken_once(store).await;
    events_come_in_order(store).await;
    notes_are_kept(store).await;
    what_is_out_of_time_is_pruned(store).await;
}

async fn people_are_replaced_by_their_id(store: &dyn Store) {
    let before = person("u-replaced");
    let after = Person { name: "佐藤 看護師".to_owned(), roles: vec![], seen_at: second(9), ..before.clone() };
    assert_eq!(good(store.person(&before.id).await), None, "nobody is known at first");
    good(store.remember_person(before.clone()).await);
    assert_eq!(good(store.person(&before.id).await), Some(before.clone()));
    good(store.remember_person(after.clone()).await);
    assert_eq!(good(store.person(&before.id).await), Some(after), "the last sign-in counts");
}

async fn devices_are_unique_for_ever(store: &dyn Store) {
    let first = device("d-unique", 1);
    good(store.add_device(first.clone(), "cli:admin".to_owned()).await);
    let again = DeviceRecord { certificates: device("d-unique", 2).certificates, ..first.clone() };
    let twin = DeviceRecord { id: parsed(DeviceId::parse("d-unique-twin")), ..first.clone() };
    let sequence = last_sequence(store).await;
    assert!(
        matches!(store.add_device(again.clone(), "cli:admin".to_owned()).await, Err(StoreProblem::Exists(what)) if what == "d-unique"),
        "an id is used once"
    );
    assert!(
        matches!(store.add_device(twin, "cli:admin".to_owned()).await, Err(StoreProblem::Exists(_))),
        "a certificate stands for one device"
    );
    assert!(good(store.revoke_device(&first.id, second(5), "cli:admin".to_owned()).await));
    assert!(
        matches!(store.add_device(again, "cli:admin".to_owned()).await, Err(StoreProblem::Exists(_))),
        "revoking frees no name"
    );
    let kept = good(store.devices().await).into_iter().find(|device| device.id == first.id);
    let certificates = first.certificates.iter().cloned();
    let certificates = certificates.map(|one| CertificateRecord { revoked_at: Some(second(5)), ..one }).collect();
    let revoked = DeviceRecord { revoked_at: Some(second(5)), certificates, ..first };
    assert_eq!(kept, Some(revoked), "the ledger keeps revoked devices");
    assert_eq!(
        changes_after(store, sequence).await,
        vec![Change::DeviceRevoked(parsed(DeviceId::parse("d-unique")))],
        "what was refused tells nothing"
    );
}

async fn a_revocation_ends_the_sessions_of_its_device_and_tells(store: &dyn Store) {
    let lost = device("d-lost", 10);
    let other = device("d-other", 11);
    let nurse = person("u-lost");
    good(store.remember_person(nurse.clone()).await);
    good(store.add_device(lost.clone(), "cli:admin".to_owned()).await);
    good(store.add_device(other.clone(), "cli:admin".to_owned()).await);
    let on_lost = session(100, &nurse, Some(&lost.id));
    let on_other = session(101, &nurse, Some(&other.id));
    let on_none = session(102, &nurse, None);
    for (number, open) in (100..).zip([&on_lost, &on_other, &on_none]) {
        good(open_session(store, open.clone(), token(number)).await);
    }
    let sequence = last_sequence(store).await;
    assert!(good(store.revoke_device(&lost.id, second(20), "u-admin".to_owned()).await));
    assert_eq!(good(store.session_by_token(token(100)).await), None, "its session is over");
    assert!(good(store.session_by_token(token(101)).await).is_some(), "sessions elsewhere go on");
    assert!(good(store.session_by_token(token(102)).await).is_some());
    let events = good(store.events_after(sequence, 10).await);
    assert_eq!(
        events.iter().map(|event| event.change.clone()).collect::<Vec<_>>(),
        vec![Change::DeviceRevoked(lost.id.clone()), Change::SessionEnded(on_lost.id)]
    );
    assert!(events.iter().all(|event| event.actor == "u-admin" && event.at == second(20)));
    assert!(!good(store.revoke_device(&lost.id, second(21), "u-admin".to_owned()).await), "only once");
    let stranger = parsed(DeviceId::parse("d-nobody"));
    assert!(!good(store.revoke_device(&stranger, second(21), "u-admin".to_owned()).await));
    assert_eq!(last_sequence(store).await, sequence + 2, "nothing happened, nothing is told");
}

async fn sessions_are_found_by_their_tokens_only(store: &dyn Store) {
    let doctor = person("u-found");
    let open = session(200, &doctor, None);
    assert!(open_session(store, open.clone(), token(200)).await.is_err(), "a session belongs to a known person");
    assert_eq!(good(store.session_by_token(token(200)).await), None, "half a session is none");
    good(store.remember_person(doctor.clone()).await);
    good(open_session(store, open.clone(), token(200)).await);
    let found = expect_found(good(store.session_by_token(token(200)).await));
    let seen = Person { seen_at: open.opened_at, ..doctor.clone() };
    assert_eq!((found.session, found.person, found.host), (open.clone(), seen, host("login.example")));
    assert_eq!(good(store.session_by_token(token(201)).await), None, "another token opens nothing");

    assert!(good(store.add_token(open.id, token(201), host("emr.example")).await));
    assert_eq!(expect_found(good(store.session_by_token(token(201)).await)).host, host("emr.example"));
    assert_eq!(expect_found(good(store.session_by_token(token(200)).await)).host, host("login.example"));
    assert!(!good(store.add_token(SessionId::new(0xdead), token(202), host("emr.example")).await));
    assert_eq!(good(store.session_by_token(token(202)).await), None);
    assert!(
        matches!(store.add_token(open.id, token(201), host("pacs.example")).await, Err(StoreProblem::Exists(_))),
        "a token is never moved to another host"
    );
    assert_eq!(expect_found(good(store.session_by_token(token(201)).await)).host, host("emr.example"));
    assert!(
        matches!(open_session(store, open.clone(), token(203)).await, Err(StoreProblem::Exists(_))),
        "an id is used once"
    );
    let later = SessionRecord { opened_at: second(90), ..session(210, &doctor, None) };
    good(open_session(store, later.clone(), token(210)).await);
    let listed: Vec<SessionId> =
        good(store.sessions().await).into_iter().filter(|(s, _)| s.user == doctor.id).map(|(s, _)| s.id).collect();
    assert_eq!(listed, vec![later.id, open.id], "newest first");
}

async fn an_ended_session_is_gone_once_and_tells(store: &dyn Store) {
    let nurse = person("u-ended");
    let open = session(300, &nurse, None);
    good(store.remember_person(nurse.clone()).await);
    good(open_session(store, open.clone(), token(300)).await);
    assert!(good(store.add_token(open.id, token(301), host("emr.example")).await));
    let sequence = last_sequence(store).await;
    // Two nodes sign the same session out at the same moment: one of them does it.
    let (one, two) = tokio::join!(
        store.end_session(open.id, second(30), nurse.id.to_string()),
        store.end_session(open.id, second(30), nurse.id.to_string())
    );
    let ended: Vec<SessionRecord> = [good(one), good(two)].into_iter().flatten().collect();
    assert_eq!(ended, vec![open.clone()]);
    assert_eq!(good(store.session_by_token(token(300)).await), None);
    assert_eq!(good(store.session_by_token(token(301)).await), None, "every token is void");
    assert!(!good(store.add_token(open.id, token(302), host("emr.example")).await), "it cannot be revived");
    assert_eq!(changes_after(store, sequence).await, vec![Change::SessionEnded(open.id)]);
}

async fn seen_only_goes_forward(store: &dyn Store) {
    let nurse = person("u-seen");
    let open = session(400, &nurse, None);
    good(store.remember_person(nurse.clone()).await);
    good(open_session(store, open.clone(), token(400)).await);
    good(store.touch_sessions(vec![(open.id, second(500)), (SessionId::new(0xbeef), second(500))]).await);
    good(store.touch_sessions(vec![(open.id, second(400))]).await);
    assert_eq!(expect_found(good(store.session_by_token(token(400)).await)).session.seen_at, second(500));
}

async fn ceremonies_are_taken_once(store: &dyn Store) {
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

async fn events_come_in_order(store: &dyn Store) {
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

async fn notes_are_kept(store: &dyn Store) {
    assert_eq!(good(store.note("cursor").await), None);
    good(store.set_note("cursor", "41".to_owned()).await);
    good(store.set_note("cursor", "42".to_owned()).await);
    assert_eq!(good(store.note("cursor").await), Some("42".to_owned()));
    assert_eq!(good(store.note("other").await), None);
}

async fn what_is_out_of_time_is_pruned(store: &dyn Store) {
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

async fn last_sequence(store: &dyn Store) -> u64 {
    good(store.events_after(0, usize::MAX).await).last().map_or(0, |event| event.sequence)
}

async fn changes_after(store: &dyn Store, sequence: u64) -> Vec<Change> {
    good(store.events_after(sequence, 100).await).into_iter().map(|event| event.change).collect()
}

async fn open_session(store: &dyn Store, session: SessionRecord, token: TokenHash) -> Result<Displaced, StoreProblem> {
    open_session_on(store, session, token, Others::Keep).await
}

async fn open_session_on(
    store: &dyn Store,
    session: SessionRecord,
    token: TokenHash,
    others: Others,
) -> Result<Displaced, StoreProblem> {
    let opening = NewSession { session, token, host: host("login.example"), others };
    store.open_session(opening, "gateway:terminal".to_owned()).await
}

fn expect_found(found: Option<crate::FoundSession>) -> crate::FoundSession {
    found.expect("the session is found")
}

fn good<T>(answer: Result<T, StoreProblem>) -> T {
    answer.expect("the store answers")
}

fn parsed<T>(name: Result<T, NameProblem>) -> T {
    name.expect("the suite's own names are names")
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_unix_micros(number * 1_000_000)
}

fn token(number: u64) -> TokenHash {
    let mut hash = [0; 32];
    for (byte, digit) in hash.iter_mut().zip(number.to_be_bytes()) {
        *byte = digit;
    }
    TokenHash(hash)
}

fn host(name: &str) -> Host {
    Host::parse(name).expect("the suite's own hosts are hosts")
}

fn person(id: &str) -> Person {
    Person {
        id: parsed(UserId::parse(id)),
        issuer: "https://idp.example".to_owned(),
        subject: format!("subject of {id}"),
        provider: parsed(ProviderId::parse("main")),
        login: "n.sato".to_owned(),
        name: "佐藤 なおみ".to_owned(),
        roles: vec![parsed(RoleId::parse("doctor")), parsed(RoleId::parse("nurse"))],
        unit: "3階東病棟".to_owned(),
        added_at: second(1),
        seen_at: second(1),
        confirmed_at: second(1),
        disabled: None,
    }
}

fn device(id: &str, certificate: u8) -> DeviceRecord {
    DeviceRecord {
        id: parsed(DeviceId::parse(id)),
        class: DeviceClass::WardShared,
        asset: "資産-0042".to_owned(),
        owner: "3階東病棟".to_owned(),
        place: "ナースステーション".to_owned(),
        os: "Windows".to_owned(),
        os_version: "11 24H2".to_owned(),
        added_at: second(2),
        seen_at: None,
        expires_at: None,
        stock_taken_at: None,
        revoked_at: None,
        certificates: vec![CertificateRecord::own(Fingerprint::new([certificate; 32]), second(2), second(100_000))],
    }
}

fn session(number: u64, person: &Person, device: Option<&DeviceId>) -> SessionRecord {
    SessionRecord {
        id: SessionId::new(number),
        user: person.id.clone(),
        roles: person.roles.clone(),
        roles_confirmed_at: second(3),
        assurance: Assurance::Aal2,
        methods: Methods::of([SignInMethod::Provider]),
        credential: None,
        key_model: None,
        authenticated_at: second(3),
        device: device.cloned(),
        opened_at: second(4),
        seen_at: second(4),
        ends_at: second(50_000),
        parked_at: None,
        in_outage: false,
        provider_session: Some("sid-1".to_owned()),
        id_token: Some(Secret("header.claims.signature".to_owned())),
        refresh_token: None,
        checked_at: second(3),
    }
}
