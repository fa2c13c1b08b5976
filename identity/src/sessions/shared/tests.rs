use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use config::SessionSpans;
use policy::{Aaguid, DeviceClass, DeviceId, Fingerprint, RoleId};
use store::{Change, Credential, CredentialId, DeviceRecord, Person, PersonChange, Secret, Store, WhichCredential};

use super::*;
use crate::testing::{START, Ward, host, minutes, nurse, opening_of, spans, terminal};
use crate::{Alone, Opening, Watch};

const LOGIN: &str = "login.example.jp";

/// Locked after three minutes, parked for thirty at most.
fn shared_spans(on_switch: OnSwitch) -> SessionSpans {
    let lasting = SessionSpan::lasting(minutes(10), minutes(9 * 60));
    let ward = SessionSpan { shared: true, lock: Some(minutes(3)), on_switch, parked_max: minutes(30), ..lasting };
    SessionSpans { by_class: BTreeMap::from([(DeviceClass::WardShared, ward)]), ..spans() }
}

async fn ward() -> Ward {
    let ward = Ward::open().await;
    ward.sessions.set_spans(shared_spans(OnSwitch::Park));
    ward
}

async fn neighbour(ward: &Ward) -> Ward {
    let neighbour = ward.neighbour().await;
    neighbour.sessions.set_spans(shared_spans(OnSwitch::Park));
    neighbour
}

/// A person with a key whose id is their number.
async fn person(ward: &Ward, number: u8) -> Person {
    let subject = format!("000{number}");
    let person = Person {
        id: crate::user_id("https://idp.example.jp", &subject),
        subject,
        login: format!("user{number}"),
        name: format!("人{number}"),
        ..nurse()
    };
    ward.store.remember_person(person.clone()).await.unwrap();
    let credential = Credential {
        id: CredentialId(vec![number]),
        user: person.id.clone(),
        name: "key".to_owned(),
        model: Aaguid::new([number; 16]),
        passkey: Secret(String::new()),
        counter: 0,
        device_bound: true,
        added_at: START,
        used_at: None,
        added_by: "test".to_owned(),
        proofing: "test".to_owned(),
    };
    ward.store.add_credential(credential, WhichCredential::Any, "test".to_owned()).await.unwrap();
    person
}

fn proven(person: &Person, at: Timestamp) -> Proven {
    let number = person.subject.as_bytes().last().unwrap() - b'0';
    Proven::new(person.clone(), CredentialId(vec![number]), Aaguid::new([number; 16]), true, at)
}

fn by_passkey(person: &Person, device: &Arc<Device>, at: Timestamp) -> Opening {
    let alone = Alone { in_outage: false, roles_confirmed_at: at };
    Opening::by_passkey(&proven(person, at), alone, Some(device.clone()), host(LOGIN))
}

async fn finds(ward: &Ward, token: &SessionToken, at: Timestamp) -> Option<UserId> {
    let found = ward.sessions.find(token.expose(), &host(LOGIN), Some(&terminal()), at).await.unwrap();
    found.map(|session| session.who.user.clone())
}

#[tokio::test]
async fn who_comes_next_parks_who_was_there_and_everybody_comes_back_with_a_new_token() {
    let ward = ward().await;
    let (sato, suzuki) = (person(&ward, 1).await, person(&ward, 2).await);
    let (hers, token) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    let emr = ward.sessions.add_token(hers.id(), &host("emr.example.jp")).await.unwrap().unwrap();
    let at = START.after(minutes(1));
    let (his, his_token) = ward.sessions.open(by_passkey(&suzuki, &terminal(), at), at).await.unwrap();
    assert_eq!(finds(&ward, &token, at).await, None);
    assert!(ward.sessions.find(emr.expose(), &host("emr.example.jp"), Some(&terminal()), at).await.unwrap().is_none());
    assert!(hers.is_ended() && !ward.sessions.cached_still_open(hers.id(), at), "her streams end");
    assert!(ward.sessions.add_token(hers.id(), &host("pacs.example.jp")).await.unwrap().is_none());
    assert_eq!(finds(&ward, &his_token, at).await, Some(suzuki.id.clone()));
    let waiting = ward.sessions.waiting(&terminal(), at).await.unwrap();
    let [one] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!(
        (one.session, &one.user, one.login.as_str(), one.since, one.locked),
        (hers.id(), &sato.id, "user1", at, false)
    );
    let at = START.after(minutes(2));
    let resumed = ward.sessions.resume(hers.id(), &proven(&sato, at), &terminal(), &host(LOGIN), at).await.unwrap();
    let (back, new_token) = resumed.unwrap();
    assert_eq!((back.id(), &back.who.user, back.who.authenticated_at), (hers.id(), &sato.id, at));
    assert_eq!(finds(&ward, &new_token, at).await, Some(sato.id.clone()));
    assert_eq!(finds(&ward, &token, at).await, None, "her earlier token stays void");
    assert_eq!(finds(&ward, &his_token, at).await, None, "and now he waits");
    assert_eq!(ward.sessions.waiting(&terminal(), at).await.unwrap()[0].session, his.id());
}

#[tokio::test]
async fn where_the_operator_says_so_who_was_there_is_signed_out() {
    let ward = ward().await;
    ward.sessions.set_spans(shared_spans(OnSwitch::End));
    let (sato, suzuki) = (person(&ward, 1).await, person(&ward, 2).await);
    let (hers, token) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    ward.sessions.open(by_passkey(&suzuki, &terminal(), START), START).await.unwrap();
    assert_eq!(finds(&ward, &token, START).await, None);
    assert!(ward.sessions.waiting(&terminal(), START).await.unwrap().is_empty());
    let at = START.after(minutes(1));
    let resumed = ward.sessions.resume(hers.id(), &proven(&sato, at), &terminal(), &host(LOGIN), at).await.unwrap();
    assert!(resumed.is_none());
}

#[tokio::test]
async fn a_session_that_nobody_uses_is_locked_and_waits_for_its_person() {
    let ward = ward().await;
    let sato = person(&ward, 1).await;
    let (hers, token) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    let used = START.after(minutes(2));
    assert!(finds(&ward, &token, used).await.is_some(), "each use counts");
    let locked = START.after(minutes(5));
    assert!(!ward.sessions.is_open(&hers, locked), "streams are cut at once");
    let waiting = ward.sessions.waiting(&terminal(), locked).await.unwrap();
    assert_eq!((waiting[0].session, waiting[0].locked, waiting[0].since), (hers.id(), true, locked));
    assert_eq!(finds(&ward, &token, locked).await, None);
    assert_eq!(finds(&ward, &token, used).await, None, "a clock set back unlocks nothing");
    let waiting = ward.sessions.waiting(&terminal(), locked).await.unwrap();
    assert!(!waiting[0].locked, "it is parked in the store, for every process");
    let at = START.after(minutes(20));
    let resumed = ward.sessions.resume(hers.id(), &proven(&sato, at), &terminal(), &host(LOGIN), at).await.unwrap();
    assert_eq!(finds(&ward, &resumed.unwrap().1, at).await, Some(sato.id));
}

#[tokio::test]
async fn housekeeping_locks_what_nobody_asks_for_and_ends_what_waits_too_long() {
    let ward = ward().await;
    let sato = person(&ward, 1).await;
    let (hers, token) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    ward.sessions.write_down(START.after(minutes(2))).await.unwrap();
    assert_eq!(ward.store.sessions().await.unwrap()[0].0.parked_at, None);
    let locked = START.after(minutes(4));
    ward.sessions.write_down(locked).await.unwrap();
    assert_eq!(ward.store.sessions().await.unwrap()[0].0.parked_at, Some(locked));
    assert!(hers.is_ended() && finds(&ward, &token, locked).await.is_none());
    ward.sessions.end_overdue(START.after(minutes(33))).await.unwrap();
    assert_eq!(ward.store.sessions().await.unwrap().len(), 1);
    ward.sessions.end_overdue(START.after(minutes(34))).await.unwrap();
    assert!(ward.store.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_is_ended_as_idle_who_may_be_at_work_at_a_node_that_is_not_heard() {
    let ward = ward().await;
    let sato = person(&ward, 1).await;
    let _hers = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    ward.sessions.note_others_unheard(true);
    ward.sessions.end_overdue(START.after(minutes(120))).await.unwrap();
    assert_eq!(ward.store.sessions().await.unwrap().len(), 1);
    ward.sessions.note_others_unheard(false);
    ward.sessions.end_overdue(START.after(minutes(120))).await.unwrap();
    assert!(ward.store.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_takes_up_what_is_not_theirs_not_here_or_too_old() {
    let ward = ward().await;
    let (sato, suzuki) = (person(&ward, 1).await, person(&ward, 2).await);
    let elsewhere = DeviceRecord::new(DeviceId::parse("ward-4").unwrap(), DeviceClass::WardShared, START);
    ward.store.add_device(elsewhere.clone(), "cli:test".to_owned()).await.unwrap();
    let elsewhere = Device {
        id: elsewhere.id,
        class: elsewhere.class,
        place: "".into(),
        certificate: Fingerprint::new([4; 32]),
        posture: Arc::from([]),
    };
    let (hers, _) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    assert!(ward.sessions.park(hers.id(), sato.id.as_str(), START).await.unwrap());
    assert!(!ward.sessions.park(hers.id(), sato.id.as_str(), START).await.unwrap());
    let resume = async |person: &Person, device: &Device, at: Timestamp| {
        let proven = proven(person, at);
        ward.sessions.resume(hers.id(), &proven, device, &host(LOGIN), at).await.unwrap().is_some()
    };
    assert!(!resume(&suzuki, &terminal(), START.after(minutes(1))).await, "another person's");
    assert!(!resume(&sato, &elsewhere, START.after(minutes(1))).await, "another device's");
    assert!(!resume(&sato, &terminal(), START.after(minutes(31))).await, "too late");
    assert!(ward.sessions.waiting(&elsewhere, START).await.unwrap().is_empty());
    assert!(ward.sessions.waiting(&terminal(), START.after(minutes(31))).await.unwrap().is_empty());
    assert!(resume(&sato, &terminal(), START.after(minutes(29))).await);
}

#[tokio::test(start_paused = true)]
async fn news_of_the_parking_that_comes_late_does_not_undo_the_return() {
    let ward = ward().await;
    let (sato, suzuki) = (person(&ward, 1).await, person(&ward, 2).await);
    let mut watch = Watch::new(ward.store.clone(), ward.sessions.clone(), ward.devices.clone(), ward.hands.clock(), 0);
    let (hers, _) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    let at = START.after(minutes(1));
    let (_, his) = ward.sessions.open(by_passkey(&suzuki, &terminal(), at), at).await.unwrap();
    let at = at.after(Duration::from_millis(50));
    let resumed = ward.sessions.resume(hers.id(), &proven(&sato, at), &terminal(), &host(LOGIN), at).await.unwrap();
    let (_, token) = resumed.unwrap();
    assert_eq!(finds(&ward, &token, at).await, Some(sato.id.clone()));
    let told = watch.next().await.unwrap();
    assert!(told.iter().any(|event| event.change == Change::SessionParked(hers.id())));
    assert!(told.iter().any(|event| event.change == Change::SessionResumed(hers.id())));
    assert_eq!(finds(&ward, &token, at).await, Some(sato.id));
    assert_eq!(finds(&ward, &his, at).await, None);
}

#[tokio::test(start_paused = true)]
async fn another_process_follows_a_switch_and_undoes_nothing() {
    let here = ward().await;
    let there = neighbour(&here).await;
    let sato = person(&here, 1).await;
    let mut watch =
        Watch::new(there.store.clone(), there.sessions.clone(), there.devices.clone(), there.hands.clock(), 0);
    let (hers, old) = here.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    assert!(finds(&there, &old, START).await.is_some());
    let at = START.after(minutes(4));
    here.sessions.park(hers.id(), "x", at).await.unwrap();
    let at = START.after(minutes(5));
    let resumed = here.sessions.resume(hers.id(), &proven(&sato, at), &terminal(), &host(LOGIN), at).await.unwrap();
    let (_, new) = resumed.unwrap();
    assert_eq!(finds(&there, &old, at).await, None, "locked there too, and its token is void");
    assert_eq!(finds(&there, &new, at).await, Some(sato.id.clone()), "the new one is good before the news is");
    assert_eq!(finds(&here, &new, at).await, Some(sato.id.clone()), "and nothing there has parked it");
    while watch.next().await.unwrap().iter().all(|event| event.change != Change::SessionResumed(hers.id())) {}
    assert_eq!(finds(&there, &new, at).await, Some(sato.id));
    assert_eq!(finds(&there, &old, at).await, None);
}

#[tokio::test(start_paused = true)]
async fn other_roles_hold_in_the_open_session() {
    let ward = ward().await;
    let sato = person(&ward, 1).await;
    let (hers, token) = ward.sessions.open(by_passkey(&sato, &terminal(), START), START).await.unwrap();
    let doctor = RoleId::parse("doctor").unwrap();
    let change = PersonChange { roles: Some(vec![doctor.clone()]), ..PersonChange::default() };
    let mut watch = Watch::new(ward.store.clone(), ward.sessions.clone(), ward.devices.clone(), ward.hands.clock(), 0);
    ward.store.change_person(&sato.id, change, START, "cli:test".to_owned()).await.unwrap();
    watch.next().await.unwrap();
    assert!(!ward.sessions.is_open(&hers, START), "whoever holds the old facts asks again");
    let found = ward.sessions.find(token.expose(), &host(LOGIN), Some(&terminal()), START).await.unwrap().unwrap();
    assert_eq!((found.id(), found.who.roles.as_ref()), (hers.id(), [doctor].as_slice()));
    let crate::Current::Open(current) = ward.sessions.current(hers.id(), START) else { panic!("it is open") };
    assert!(Arc::ptr_eq(&current, &found));
    assert!(ward.sessions.cached_still_open(hers.id(), START));
}

#[tokio::test]
async fn a_person_who_was_changed_in_the_meantime_signs_in_again() {
    let ward = ward().await;
    let sato = person(&ward, 1).await;
    let opening = by_passkey(&sato, &terminal(), START);
    let doctor = vec![RoleId::parse("doctor").unwrap()];
    let change = PersonChange { roles: Some(doctor), ..PersonChange::default() };
    ward.store.change_person(&sato.id, change, START, "cli:test".to_owned()).await.unwrap();
    assert!(ward.sessions.open(opening, START).await.is_err());
    assert!(ward.store.sessions().await.unwrap().is_empty(), "no session with roles of before");
}

#[tokio::test]
async fn devices_of_one_person_park_nobody() {
    let ward = Ward::open().await;
    let (one, _) = ward.sessions.open(opening_of(nurse(), Some(terminal())), START).await.unwrap();
    let (other, _) = ward.sessions.open(opening_of(nurse(), Some(terminal())), START).await.unwrap();
    assert!(!one.is_ended() && !other.is_ended());
    assert!(!ward.sessions.is_shared(Some(&terminal())) && !ward.sessions.is_shared(None));
}

/// People switch on terminals, park, come back and leave while every token that was ever given out is asked for, in
/// two processes. Whatever happens in between: a token shows its own person or nobody, and never two people are signed
/// in on one terminal.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_token_ever_shows_another_person() {
    for seed in 0..3 {
        switching(seed).await;
    }
}

const TERMINALS: usize = 3;
const PEOPLE: u8 = 5;
const SWITCHES: usize = 60;

async fn switching(seed: u64) {
    let here = Arc::new(ward().await);
    let there = Arc::new(neighbour(&here).await);
    let terminals = Arc::new(terminals(&here).await);
    let mut people = Vec::new();
    for number in 1..=PEOPLE {
        people.push(person(&here, number).await);
    }
    let people = Arc::new(people);
    let given: Arc<std::sync::Mutex<Vec<(SessionToken, UserId, usize)>>> = Arc::default();
    let (asked, shown) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let switching = Arc::new(AtomicUsize::new(TERMINALS));
    let mut tasks = tokio::task::JoinSet::new();
    for (index, process) in [here.clone(), there.clone(), here.clone(), there.clone()].into_iter().enumerate() {
        let (given, terminals, asked, shown) = (given.clone(), terminals.clone(), asked.clone(), shown.clone());
        let switching = switching.clone();
        tasks.spawn(async move {
            let mut dice = Dice(seed * 31 + index as u64 + 1000);
            while switching.load(Ordering::Acquire) > 0 {
                let one = {
                    let given = given.lock().unwrap();
                    if given.is_empty() { None } else { Some(given[dice.below(given.len())].clone()) }
                };
                let Some((token, owner, terminal)) = one else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let device = &terminals[terminal];
                let (login, at) = (host(LOGIN), START.after(minutes(1)));
                let found = process.sessions.find(token.expose(), &login, Some(device), at).await.unwrap();
                if let Some(session) = found {
                    assert_eq!(session.who.user, owner, "seed {seed}: a token showed another person");
                    assert_eq!(session.who.bound_to.as_ref(), Some(&device.id), "seed {seed}");
                    shown.fetch_add(1, Ordering::Relaxed);
                }
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    for index in 0..TERMINALS {
        let (process, given) = (here.clone(), given.clone());
        let (people, device, switching) = (people.clone(), terminals[index].clone(), switching.clone());
        tasks.spawn(async move {
            let (mut dice, login) = (Dice(seed * 97 + index as u64 + 1), host(LOGIN));
            for step in 0..SWITCHES {
                let at = START.after(Duration::from_millis(100 * step as u64));
                let person = &people[dice.below(people.len())];
                let waiting = process.sessions.waiting(&device, at).await.unwrap();
                let mine = waiting.iter().find(|one| one.user == person.id);
                let token = match mine {
                    Some(mine) => {
                        let proven = proven(person, at);
                        let back = process.sessions.resume(mine.session, &proven, &device, &login, at);
                        back.await.unwrap().map(|(_, token)| token)
                    }
                    None => {
                        let opened = process.sessions.open(by_passkey(person, &device, at), at).await.unwrap();
                        Some(opened.1)
                    }
                };
                if let Some(token) = token {
                    let earlier: Vec<_> = given.lock().unwrap().iter().filter(|one| one.2 == index).cloned().collect();
                    given.lock().unwrap().push((token, person.id.clone(), index));
                    // In the process of the switch nobody else is signed in here from now on.
                    for (token, owner, _) in earlier.iter().rev().take(5) {
                        let found = process.sessions.find(token.expose(), &login, Some(&device), at);
                        let found = found.await.unwrap().map(|session| session.who.user.clone());
                        assert_eq!(found, None, "seed {seed}, step {step}: {owner} was there before");
                    }
                }
                if dice.below(5) == 0 {
                    let open = process.store.sessions_of(SessionsOf::Device(device.id.clone())).await.unwrap();
                    if let Some((session, _)) = open.first() {
                        process.sessions.end(session.id, "test", at).await.unwrap();
                    }
                }
                let open = process.store.sessions_of(SessionsOf::Device(device.id.clone())).await.unwrap();
                let active = open.iter().filter(|(session, _)| session.parked_at.is_none()).count();
                assert!(active <= 1, "seed {seed}, step {step}: {active} sessions on one terminal");
            }
            switching.fetch_sub(1, Ordering::Release);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(shown.load(Ordering::Relaxed) > 0 && asked.load(Ordering::Relaxed) > shown.load(Ordering::Relaxed));
}

async fn terminals(ward: &Ward) -> Vec<Arc<Device>> {
    let mut terminals = Vec::new();
    for number in 0..TERMINALS {
        let id = DeviceId::parse(&format!("shared-{number}")).unwrap();
        let record = DeviceRecord::new(id.clone(), DeviceClass::WardShared, START);
        ward.store.add_device(record, "cli:test".to_owned()).await.unwrap();
        let certificate = Fingerprint::new([100 + u8::try_from(number).unwrap(); 32]);
        terminals.push(Arc::new(Device {
            id,
            class: DeviceClass::WardShared,
            place: "".into(),
            certificate,
            posture: Arc::from([]),
        }));
    }
    terminals
}

/// Numbers that only look random (splitmix64), so that a failure can be had again by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}
