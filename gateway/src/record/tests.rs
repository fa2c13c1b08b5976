//! What the log says of the store's events, from a real store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::{Assurance, DeviceClass, DeviceId, Host, Methods, ProviderId, SessionId, SignInMethod, Timestamp, UserId};
use store::{DeviceRecord, Invited, NewSession, Others, Person, SessionRecord, Sqlite, TokenHash};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

/// A store in a folder that is gone when the test ends.
struct Shelf {
    folder: PathBuf,
    store: Arc<Sqlite>,
}

impl Shelf {
    fn open(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sekimori-record-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Arc::new(Sqlite::open(folder.join("store.sqlite")).unwrap());
        Self { folder, store }
    }

    /// What the log would say of every event so far.
    async fn notes(&self, whose: &mut Whose) -> Vec<Note> {
        let mut notes = Vec::new();
        for event in self.store.events_after(0, EVENTS_MAX).await.unwrap() {
            whose.follow(&event, &*self.store).await.unwrap();
            notes.extend(note_of(&event, &*self.store, whose).await.unwrap());
        }
        notes
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn nurse() -> Person {
    Person {
        id: UserId::parse("u-0123456789abcdef0123456789abcdef").unwrap(),
        issuer: "https://login.example.jp".to_owned(),
        subject: "1".to_owned(),
        provider: ProviderId::parse("local").unwrap(),
        login: "n.sato".to_owned(),
        name: "佐藤".to_owned(),
        roles: Vec::new(),
        unit: String::new(),
        added_at: NOW,
        seen_at: NOW,
        confirmed_at: NOW,
        disabled: None,
    }
}

fn session(device: &DeviceId) -> NewSession {
    let session = SessionRecord {
        id: SessionId::new(7),
        user: nurse().id,
        roles: Vec::new(),
        roles_confirmed_at: NOW,
        assurance: Assurance::Aal1,
        methods: Methods::of([SignInMethod::Temporary]),
        credential: None,
        key_model: None,
        authenticated_at: NOW,
        device: Some(device.clone()),
        opened_at: NOW,
        seen_at: NOW,
        ends_at: NOW.after(Duration::from_secs(3_600)),
        parked_at: None,
        in_outage: true,
        provider_session: None,
        id_token: None,
        refresh_token: None,
        checked_at: NOW,
    };
    let host = Host::parse("login.example.jp").unwrap();
    NewSession::new(session, TokenHash([1; 32]), host, Others::Keep)
}

fn codes(notes: &[Note]) -> Vec<&'static str> {
    notes.iter().map(|note| note.event.code()).collect()
}

#[tokio::test]
async fn who_did_what_to_whom_stands_in_one_line() {
    let shelf = Shelf::open("people");
    let person = nurse();
    shelf.store.add_person(person.clone(), "cli:root".to_owned()).await.unwrap();
    for (number, invited) in
        [Invited::Passkey(person.id.clone()), Invited::Temporary(person.id.clone())].into_iter().enumerate()
    {
        let number = u8::try_from(number).unwrap();
        let invitation = Invitation {
            id: InvitationId::new(number.into()),
            secret: TokenHash([number; 32]),
            invited,
            made_by: "cli:root".to_owned(),
            made_at: NOW,
            expires_at: NOW.after(Duration::from_secs(60)),
            proofing: "職員証".to_owned(),
            reason: "鍵を忘れた".to_owned(),
            used_at: None,
            revoked_at: None,
        };
        shelf.store.invite(invitation).await.unwrap();
    }
    shelf.store.disable_person(&person.id, "退職".to_owned(), NOW, "u-9".to_owned()).await.unwrap();
    let notes = shelf.notes(&mut Whose::default()).await;
    let told = codes(&notes);
    assert!(told.starts_with(&["person-added", "invitation-made", "temporary-code-issued"]), "{told:?}");
    assert!(told.contains(&"person-disabled") && told.contains(&"invitation-revoked"), "{told:?}");
    for note in &notes {
        assert_eq!((note.user.as_ref(), note.login.as_deref()), (Some(&person.id), Some("n.sato")), "{note:?}");
        assert!(note.actor.is_some());
    }
    assert_eq!(notes[1].proofing.as_deref(), Some("職員証"));
    assert_eq!((notes[2].reason.as_deref(), notes[2].code.as_deref()), (Some("鍵を忘れた"), Some("temporary")));
    let disabled = notes.iter().find(|note| note.event == Event::PersonDisabled).unwrap();
    assert_eq!((disabled.reason.as_deref(), disabled.actor.as_deref()), (Some("退職"), Some("u-9")));
}

#[tokio::test]
async fn an_ended_session_is_recorded_with_its_person_and_device() {
    let shelf = Shelf::open("sessions");
    let device = DeviceId::parse("ward-3").unwrap();
    shelf.store.add_person(nurse(), "cli:root".to_owned()).await.unwrap();
    shelf
        .store
        .add_device(DeviceRecord::new(device.clone(), DeviceClass::WardShared, NOW), "cli:root".to_owned())
        .await
        .unwrap();
    shelf.store.open_session(session(&device), "u-1".to_owned()).await.unwrap();
    let mut whose = Whose::default();
    whose.look(&*shelf.store, NOW).await;
    shelf.store.revoke_device(&device, NOW, "cli:root".to_owned()).await.unwrap();
    let notes = shelf.notes(&mut whose).await;
    let ended = notes.iter().find(|note| note.event == Event::SessionEnded).unwrap();
    assert_eq!(ended.login.as_deref(), Some("n.sato"));
    assert_eq!((ended.device.as_ref(), ended.session), (Some(&device), Some(SessionId::new(7))));
    assert!(ended.in_outage);
    assert!(codes(&notes).contains(&"device-revoked"));
}

#[tokio::test]
async fn a_lock_is_told_once_for_each_time_and_never_of_a_session_in_use() {
    let shelf = Shelf::open("locks");
    let device = DeviceId::parse("ward-3").unwrap();
    shelf.store.add_person(nurse(), "cli:root".to_owned()).await.unwrap();
    let record = DeviceRecord::new(device.clone(), DeviceClass::WardShared, NOW);
    shelf.store.add_device(record, "cli:root".to_owned()).await.unwrap();
    shelf.store.open_session(session(&device), "u-1".to_owned()).await.unwrap();
    let mut whose = Whose::default();
    whose.look(&*shelf.store, NOW).await;
    let (lock, later) = (Duration::from_secs(180), NOW.after(Duration::from_secs(200)));
    let mut locked = |at, lock: Option<Duration>, is_open| whose.locked(at, |_| lock, |_| is_open).len();
    assert_eq!(locked(NOW.after(Duration::from_secs(100)), Some(lock), false), 0, "not idle for long enough");
    assert_eq!(locked(later, None, false), 0, "its class is never locked");
    assert_eq!(locked(later, Some(lock), true), 0, "somebody uses it");
    assert_eq!(locked(later, Some(lock), false), 1);
    assert_eq!(locked(later, Some(lock), false), 0, "told already");
    shelf.store.touch_sessions(vec![(SessionId::new(7), later)]).await.unwrap();
    whose.look(&*shelf.store, later).await;
    let much_later = later.after(Duration::from_secs(200));
    assert_eq!(whose.locked(much_later, |_| Some(lock), |_| false).len(), 1, "used since, and locked again");
}

#[tokio::test]
async fn which_roles_were_given_and_taken_stands_in_the_line() {
    let shelf = Shelf::open("roles");
    let role = |name: &str| policy::RoleId::parse(name).unwrap();
    let person = Person { roles: vec![role("nurse")], ..nurse() };
    shelf.store.add_person(person.clone(), "cli:root".to_owned()).await.unwrap();
    let change = async |change: store::PersonChange| {
        shelf.store.change_person(&person.id, change, NOW, "u-9".to_owned()).await.unwrap()
    };
    let roles = Some(vec![role("nurse"), role("doctor")]);
    assert!(change(store::PersonChange { roles, ..store::PersonChange::default() }).await);
    let unit = Some("ICU".to_owned());
    assert!(change(store::PersonChange { unit, ..store::PersonChange::default() }).await);
    shelf.store.confirm_roles(&person.id, Vec::new(), NOW, "gateway:provider".to_owned()).await.unwrap();
    let notes = shelf.notes(&mut Whose::default()).await;
    let changed: Vec<_> = notes.iter().filter(|note| note.event == Event::PersonChanged).collect();
    let said: Vec<_> = changed.iter().map(|note| (note.roles_before.clone(), note.roles.clone())).collect();
    let both = vec![role("doctor"), role("nurse")];
    assert_eq!(said, [(Some(vec![role("nurse")]), Some(both.clone())), (None, None), (Some(both), Some(Vec::new()))]);
    assert!(changed.iter().all(|note| note.user.as_ref() == Some(&person.id) && note.login.is_some()));
}

#[tokio::test]
async fn a_renamed_key_and_a_turned_switch_are_recorded_with_who_did_it() {
    let shelf = Shelf::open("renamed");
    let person = nurse();
    shelf.store.add_person(person.clone(), "cli:root".to_owned()).await.unwrap();
    let key = store::Credential {
        id: CredentialId(vec![1, 2]),
        user: person.id.clone(),
        name: "鍵".to_owned(),
        model: policy::Aaguid::new([7; 16]),
        passkey: store::Secret("{}".to_owned()),
        counter: 0,
        device_bound: true,
        added_at: NOW,
        used_at: None,
        added_by: "cli:root".to_owned(),
        proofing: "職員証".to_owned(),
    };
    shelf.store.add_credential(key.clone(), store::WhichCredential::Any, "cli:root".to_owned()).await.unwrap();
    let own = person.id.to_string();
    assert!(shelf.store.rename_credential(&person.id, &key.id, "青い鍵".to_owned(), NOW, own.clone()).await.unwrap());
    let provider = ProviderId::parse("main").unwrap();
    let position = store::OutageSwitch::On;
    assert!(shelf.store.switch_outage(&provider, position, NOW, "u-9".to_owned()).await.unwrap());
    let notes = shelf.notes(&mut Whose::default()).await;
    let of = |event| notes.iter().find(|note| note.event == event).unwrap();
    let renamed = of(Event::KeyRenamed);
    assert_eq!((renamed.user.as_ref(), renamed.actor.as_deref()), (Some(&person.id), Some(own.as_str())));
    assert_eq!(renamed.key, of(Event::KeyAdded).key, "the same key, by its digest");
    let switched = of(Event::OutageSwitched);
    assert_eq!((switched.provider.as_ref(), switched.code.as_deref()), (Some(&provider), Some("on")));
    assert_eq!(switched.actor.as_deref(), Some("u-9"));
}

#[tokio::test]
async fn two_approvals_are_recorded_each_with_its_own_words_and_count_only_once_recorded() {
    let shelf = Shelf::open("approvals");
    let role = |name: &str| policy::RoleId::parse(name).unwrap();
    let mut ids = Vec::new();
    for name in ["vendor", "chief", "second-chief"] {
        let roles = vec![role(if name == "vendor" { "vendor" } else { "chief" })];
        let id = UserId::parse(&format!("u-{:032x}", ids.len())).unwrap();
        let person = Person { id: id.clone(), subject: name.to_owned(), login: name.to_owned(), roles, ..nurse() };
        shelf.store.remember_person(person).await.unwrap();
        ids.push(id.to_string());
    }
    let id = GrantId::parse("g-0000000001").unwrap();
    let hour = |hours: u64| NOW.after(Duration::from_secs(hours * 3_600));
    let new = store::NewMaintenance {
        id: id.clone(),
        person: UserId::parse(&ids[0]).unwrap(),
        app: policy::AppId::parse("emr").unwrap(),
        begin: hour(1),
        end: hour(2),
        asked_at: NOW,
        asked_by: ids[0].clone(),
        purpose: "点検".to_owned(),
        ticket: String::new(),
        plan: String::new(),
        file: None,
        reach: store::GrantReach::default(),
        is_urgent: false,
    };
    let terms = store::AskTerms {
        vendor_roles: vec![role("vendor")],
        approvals_needed: 2,
        length_max: Duration::from_secs(8 * 3_600),
        ahead_max: Duration::from_secs(8 * 3_600),
        report_within: Duration::from_secs(3_600),
        blocks_when_overdue: false,
    };
    shelf.store.ask_grant(new, terms).await.unwrap().unwrap();
    let asked = shelf.store.events_after(0, EVENTS_MAX).await.unwrap().last().unwrap().sequence;
    assert!(is_all_recorded(&*shelf.store, asked).await.unwrap());
    for (chief, words) in ids[1..].iter().zip(["一人目", "二人目"]) {
        let by = store::Ruler { actor: chief.clone(), roles: vec![role("chief")] };
        shelf.store.approve_grant(&id, by, words.to_owned(), NOW).await.unwrap().unwrap();
        assert!(!is_all_recorded(&*shelf.store, asked).await.unwrap(), "it is not recorded yet");
    }
    let notes = shelf.notes(&mut Whose::default()).await;
    let approved = notes.iter().filter(|note| note.event == Event::GrantApproved);
    let told: Vec<_> = approved.map(|note| (note.actor.clone(), note.reason.clone())).collect();
    let expected = |place: usize, words: &str| (Some(ids[place].clone()), Some(words.to_owned()));
    assert_eq!(told, [expected(1, "一人目"), expected(2, "二人目")]);
}
