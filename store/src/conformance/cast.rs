//! People, devices and sessions for the suite, and short words for what it does all the time.

use policy::{
    Aaguid, Assurance, DeviceClass, DeviceId, Fingerprint, Host, Methods, NameProblem, ProviderId, RoleId, SessionId,
    SignInMethod, Timestamp, UserId,
};

use crate::{
    CertificateRecord, Change, Credential, CredentialId, CredentialUse, DeviceRecord, Disabled, Displaced,
    FoundSession, Invitation, InvitationId, Invited, Lapsed, NewSession, Others, Person, Secret, SessionRecord, Store,
    StoreProblem, TokenHash,
};

pub(crate) async fn last_sequence(store: &dyn Store) -> u64 {
    good(store.events_after(0, usize::MAX).await).last().map_or(0, |event| event.sequence)
}

pub(crate) async fn changes_after(store: &dyn Store, sequence: u64) -> Vec<Change> {
    good(store.events_after(sequence, 100).await).into_iter().map(|event| event.change).collect()
}

pub(crate) async fn open_session(
    store: &dyn Store,
    session: SessionRecord,
    token: TokenHash,
) -> Result<Displaced, StoreProblem> {
    open_session_on(store, session, token, Others::Keep).await
}

pub(crate) async fn open_session_on(
    store: &dyn Store,
    session: SessionRecord,
    token: TokenHash,
    others: Others,
) -> Result<Displaced, StoreProblem> {
    // After whatever the suite ended before.
    let vouched_at = second(1_000_000);
    let opening = NewSession { vouched_at, ..NewSession::new(session, token, host("login.example"), others) };
    store.open_session(opening, "gateway:terminal".to_owned()).await
}

pub(crate) fn expect_found(found: Option<FoundSession>) -> FoundSession {
    found.expect("the session is found")
}

pub(crate) fn good<T>(answer: Result<T, StoreProblem>) -> T {
    answer.expect("the store answers")
}

pub(crate) fn parsed<T>(name: Result<T, NameProblem>) -> T {
    name.expect("the suite's own names are names")
}

pub(crate) fn second(number: i64) -> Timestamp {
    Timestamp::from_unix_micros(number * 1_000_000)
}

pub(crate) fn token(number: u64) -> TokenHash {
    let mut hash = [0; 32];
    for (byte, digit) in hash.iter_mut().zip(number.to_be_bytes()) {
        *byte = digit;
    }
    TokenHash(hash)
}

pub(crate) fn host(name: &str) -> Host {
    Host::parse(name).expect("the suite's own hosts are hosts")
}

pub(crate) fn person(id: &str) -> Person {
    Person {
        id: parsed(UserId::parse(id)),
        issuer: "https://idp.example".to_owned(),
        subject: format!("subject of {id}"),
        provider: parsed(ProviderId::parse("main")),
        login: id.to_owned(),
        name: "佐藤 なおみ".to_owned(),
        roles: vec![parsed(RoleId::parse("doctor")), parsed(RoleId::parse("nurse"))],
        unit: "3階東病棟".to_owned(),
        added_at: second(1),
        seen_at: second(1),
        confirmed_at: second(1),
        disabled: None,
    }
}

pub(crate) fn device(id: &str, certificate: u8) -> DeviceRecord {
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

pub(crate) fn session(number: u64, person: &Person, device: Option<&DeviceId>) -> SessionRecord {
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

pub(crate) fn user(id: &str) -> UserId {
    parsed(UserId::parse(id))
}

pub(crate) fn role(name: &str) -> RoleId {
    parsed(RoleId::parse(name))
}

pub(crate) fn provider(name: &str) -> ProviderId {
    parsed(ProviderId::parse(name))
}

pub(crate) fn disabled() -> Disabled {
    Disabled { at: second(2), why: "異動".to_owned(), actor: "u-admin".to_owned() }
}

/// A key of a person that counts its uses and has counted five.
pub(crate) fn credential(name: &str, person: &Person) -> Credential {
    Credential {
        id: CredentialId(name.as_bytes().to_vec()),
        user: person.id.clone(),
        name: "職員証".to_owned(),
        model: Aaguid::new([7; 16]),
        passkey: Secret("{\"counter\":5}".to_owned()),
        counter: 5,
        device_bound: true,
        added_at: second(3),
        used_at: None,
        added_by: "u-admin".to_owned(),
        proofing: "対面・職員証".to_owned(),
    }
}

/// A use that was counted so.
pub(crate) fn used(counter: u32) -> CredentialUse {
    CredentialUse { counter, passkey: Secret(format!("{{\"counter\":{counter}}}")), at: second(40) }
}

/// An invitation from second 4 to 3 600; its code is the number.
pub(crate) fn invitation(number: u64, invited: Invited) -> Invitation {
    Invitation {
        id: InvitationId::new(number),
        secret: token(number),
        invited,
        made_by: "u-admin".to_owned(),
        made_at: second(4),
        expires_at: second(3_600),
        proofing: "対面・職員証".to_owned(),
        reason: "新任".to_owned(),
        used_at: None,
        revoked_at: None,
    }
}

pub(crate) fn assert_not_in_force<T: std::fmt::Debug>(answer: Result<T, StoreProblem>, which: Lapsed) {
    assert!(matches!(&answer, Err(StoreProblem::NotInForce(lapsed)) if *lapsed == which), "{answer:?}");
}
