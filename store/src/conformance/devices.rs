//! The ledger: names and certificates are used once, a revocation takes everything along.

use policy::{DeviceId, Fingerprint, SessionId};

use super::cast::*;
use crate::*;

pub(super) async fn devices_are_unique_for_ever(store: &dyn Store) {
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

pub(super) async fn a_revocation_ends_the_sessions_of_its_device_and_tells(store: &dyn Store) {
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

pub(super) async fn a_device_under_somebody_who_is_spared_stays_in_force(store: &dyn Store) {
    let desk = device("d-spared", 12);
    let chief = Person { roles: vec![role("administrator")], ..person("u-chief") };
    let nurse = person("u-beside-the-chief");
    good(store.add_device(desk.clone(), "cli:admin".to_owned()).await);
    for one in [&chief, &nurse] {
        good(store.remember_person(one.clone()).await);
    }
    let at_desk = SessionRecord { roles: chief.roles.clone(), ..session(110, &chief, Some(&desk.id)) };
    good(open_session(store, at_desk.clone(), token(110)).await);
    good(open_session(store, session(111, &nurse, Some(&desk.id)), token(111)).await);
    let revoke = |id: &DeviceId, at| {
        let id = id.clone();
        let spared = vec![role("administrator"), role("nobody-has-this")];
        async move { good(store.revoke_device_unless(&id, spared, at, "u-help".to_owned()).await) }
    };
    let sequence = last_sequence(store).await;
    assert_eq!(revoke(&desk.id, second(20)).await, DeviceRevocation::Spared);
    assert_eq!(good(store.device(&desk.id).await), Some(desk.clone()), "nothing was done");
    assert!(good(store.session_by_token(token(111)).await).is_some());
    assert_eq!(last_sequence(store).await, sequence, "nothing is told");
    // A session that had the role when it began counts by what its person is now, and the other way round.
    let demoted = PersonChange { roles: Some(vec![role("nurse")]), ..PersonChange::default() };
    assert!(good(store.change_person(&chief.id, demoted, second(21), "cli:admin".to_owned()).await));
    let promoted = PersonChange { roles: Some(vec![role("administrator")]), ..PersonChange::default() };
    assert!(good(store.change_person(&nurse.id, promoted, second(22), "cli:admin".to_owned()).await));
    assert_eq!(revoke(&desk.id, second(23)).await, DeviceRevocation::Spared);
    // Whose session is over is not there.
    assert_eq!(
        revoke(&desk.id, at_desk.ends_at.after(std::time::Duration::from_secs(86_400))).await,
        DeviceRevocation::Done
    );
    assert_eq!(good(store.session_by_token(token(110)).await), None);
    assert_eq!(revoke(&desk.id, second(30)).await, DeviceRevocation::NotInForce);
    assert_eq!(revoke(&parsed(DeviceId::parse("d-nobody")), second(30)).await, DeviceRevocation::NotInForce);
}

pub(super) async fn a_device_may_have_several_certificates(store: &dyn Store) {
    let tablet = device("d-renewed", 60);
    let other = device("d-renewed-other", 61);
    for one in [&tablet, &other] {
        good(store.add_device(one.clone(), "u-admin".to_owned()).await);
    }
    let sequence = last_sequence(store).await;
    let next = CertificateRecord {
        serial: "0a1b".to_owned(),
        issuer: CertificateIssuer::Est,
        ..CertificateRecord::own(Fingerprint::new([62; 32]), second(50), second(200_000))
    };
    let add = |device: &DeviceRecord, certificate: &CertificateRecord, earlier_end_at| {
        let (id, certificate) = (device.id.clone(), certificate.clone());
        async move { store.add_certificate(&id, certificate, earlier_end_at, "gateway:est".to_owned()).await }
    };
    good(add(&tablet, &next, Some(second(60))).await);
    let refused = add(&other, &next, None).await;
    assert!(matches!(refused, Err(StoreProblem::Exists(_))), "a certificate stands for one device: {refused:?}");
    let stranger = device("d-nobody", 63);
    let unknown = CertificateRecord::own(Fingerprint::new([63; 32]), second(50), second(200_000));
    assert_not_in_force(add(&stranger, &unknown, None).await, Lapsed::Device);
    let kept = good(store.device(&tablet.id).await).expect("the device is kept");
    let ends: Vec<_> = kept.certificates.iter().map(|one| (one.fingerprint, one.ends_at)).collect();
    assert_eq!(
        ends,
        vec![(Fingerprint::new([60; 32]), second(60)), (next.fingerprint, second(200_000))],
        "the earlier one ends soon, and nothing else does"
    );
    assert_eq!(kept.last_certificate(), Some(&next));
    let others = good(store.device(&other.id).await);
    assert_eq!(others, Some(other.clone()), "another device's certificate does not end");
    for number in [60, 62] {
        let found = good(store.device_by_certificate(&Fingerprint::new([number; 32])).await);
        assert_eq!(found, Some(kept.clone()));
    }
    assert_eq!(good(store.device_by_certificate(&Fingerprint::new([63; 32])).await), None);
    assert!(good(store.devices().await).contains(&kept), "the ledger shows all of them");
    // A third that would let the first live longer does not.
    let third = CertificateRecord::own(Fingerprint::new([64; 32]), second(51), second(200_000));
    good(add(&tablet, &third, Some(second(90))).await);
    let kept = good(store.device(&tablet.id).await).expect("the device is kept");
    assert_eq!(
        kept.certificates.iter().map(|one| one.ends_at).collect::<Vec<_>>(),
        vec![second(60), second(90), second(200_000)]
    );
    let added = || Change::CertificateAdded(tablet.id.clone());
    assert_eq!(changes_after(store, sequence).await, vec![added(), added()]);
}

pub(super) async fn one_certificate_can_be_revoked(store: &dyn Store) {
    let tablet = device("d-leaked", 70);
    let other = device("d-leaked-other", 71);
    let nurse = person("u-leaked");
    good(store.remember_person(nurse.clone()).await);
    for one in [&tablet, &other] {
        good(store.add_device(one.clone(), "u-admin".to_owned()).await);
    }
    good(open_session(store, session(1_300, &nurse, Some(&tablet.id)), token(1_300)).await);
    good(open_session(store, session(1_301, &nurse, Some(&other.id)), token(1_301)).await);
    let sequence = last_sequence(store).await;
    let leaked = Fingerprint::new([70; 32]);
    let revoke = |device: &DeviceRecord| {
        let id = device.id.clone();
        async move { good(store.revoke_certificate(&id, &leaked, second(30), "u-admin".to_owned()).await) }
    };
    assert!(!revoke(&other).await, "it is another device's");
    assert!(revoke(&tablet).await);
    assert!(!revoke(&tablet).await, "only once");
    let kept = good(store.device(&tablet.id).await).expect("the device is kept");
    assert_eq!(kept.revoked_at, None, "the device itself stays in force");
    assert_eq!(kept.certificates.iter().map(|one| one.revoked_at).collect::<Vec<_>>(), vec![Some(second(30))]);
    assert_eq!(good(store.session_by_token(token(1_300)).await), None, "what it may have opened is over");
    assert!(good(store.session_by_token(token(1_301)).await).is_some());
    let told = [Change::CertificateRevoked(tablet.id.clone()), Change::SessionEnded(SessionId::new(1_300))];
    assert_eq!(changes_after(store, sequence).await, told);
}

pub(super) async fn nothing_rests_on_a_device_that_is_not_in_force(store: &dyn Store) {
    let nurse = person("u-resting");
    good(store.remember_person(nurse.clone()).await);
    let gone = DeviceRecord { expires_at: Some(second(4)), ..device("d-out-of-service", 72) };
    let lost = device("d-resting", 73);
    for one in [&gone, &lost] {
        good(store.add_device(one.clone(), "u-admin".to_owned()).await);
    }
    let code = invitation(1_310, Invited::Device(lost.id.clone()));
    good(store.invite(code.clone()).await);
    let sequence = last_sequence(store).await;
    assert!(good(store.revoke_device(&lost.id, second(3), "u-admin".to_owned()).await));
    let told = [Change::DeviceRevoked(lost.id.clone()), Change::InvitationRevoked(code.id)];
    assert_eq!(changes_after(store, sequence).await, told);
    let stranger = parsed(DeviceId::parse("d-nobody"));
    for (number, id) in (1_310..).zip([&gone.id, &lost.id, &stranger]) {
        let refused = open_session(store, session(number, &nurse, Some(id)), token(number)).await;
        assert_not_in_force(refused, Lapsed::Device);
        assert_eq!(good(store.session_by_token(token(number)).await), None);
        let fresh = CertificateRecord::own(Fingerprint::new([74; 32]), second(50), second(100));
        let refused = store.add_certificate(id, fresh, None, "x".to_owned()).await;
        assert_not_in_force(refused, Lapsed::Device);
    }
}

pub(super) async fn the_ledger_is_changed_all_or_none(store: &dyn Store) {
    let fixed = device("d-ledger", 75);
    good(store.add_device(fixed.clone(), "u-admin".to_owned()).await);
    let sequence = last_sequence(store).await;
    let change = DeviceChange {
        place: Some("外来".to_owned()),
        os_version: Some("11 25H2".to_owned()),
        expires_at: Some(Some(second(80_000))),
        stock_taken_at: Some(Some(second(10))),
        ..DeviceChange::default()
    };
    let new = || DeviceWrite::Add(DeviceRecord { certificates: vec![], ..device("d-ledger-new", 0) });
    let twin = DeviceWrite::Add(device("d-ledger-twin", 75));
    let stranger = DeviceWrite::Change(parsed(DeviceId::parse("d-nobody")), change.clone());
    for bad in [twin, stranger, new()] {
        let writes = vec![new(), DeviceWrite::Change(fixed.id.clone(), change.clone()), bad];
        assert!(store.write_devices(writes, second(20), "u-admin".to_owned()).await.is_err());
        assert_eq!(good(store.device(&fixed.id).await), Some(fixed.clone()));
        assert_eq!(good(store.device(&parsed(DeviceId::parse("d-ledger-new"))).await), None);
        assert_eq!(last_sequence(store).await, sequence, "what was undone tells nothing");
    }
    let writes = vec![new(), DeviceWrite::Change(fixed.id.clone(), change.clone())];
    good(store.write_devices(writes, second(20), "u-admin".to_owned()).await);
    let changed = DeviceRecord {
        place: "外来".to_owned(),
        os_version: "11 25H2".to_owned(),
        expires_at: Some(second(80_000)),
        stock_taken_at: Some(second(10)),
        ..fixed.clone()
    };
    assert_eq!(good(store.device(&fixed.id).await), Some(changed.clone()));
    let added = Change::DeviceAdded(parsed(DeviceId::parse("d-ledger-new")));
    let told = Change::DeviceChanged(fixed.id.clone());
    assert_eq!(changes_after(store, sequence).await, vec![added, told.clone()]);
    let sequence = last_sequence(store).await;
    assert!(good(store.change_device(&fixed.id, change.clone(), second(21), "u-admin".to_owned()).await));
    assert_eq!(changes_after(store, sequence).await, vec![], "nothing changed, nothing is told");
    let forever = DeviceChange { expires_at: Some(None), ..DeviceChange::default() };
    assert!(good(store.change_device(&fixed.id, forever, second(22), "u-admin".to_owned()).await));
    assert_eq!(good(store.device(&fixed.id).await), Some(DeviceRecord { expires_at: None, ..changed }));
    let stranger = parsed(DeviceId::parse("d-nobody"));
    assert!(!good(store.change_device(&stranger, change, second(22), "u-admin".to_owned()).await));
}

pub(super) async fn devices_are_seen_going_forward(store: &dyn Store) {
    let seen = device("d-seen", 76);
    good(store.add_device(seen.clone(), "u-admin".to_owned()).await);
    let sequence = last_sequence(store).await;
    let stranger = parsed(DeviceId::parse("d-nobody"));
    good(store.devices_seen(vec![(seen.id.clone(), second(500)), (stranger, second(500))]).await);
    good(store.devices_seen(vec![(seen.id.clone(), second(400))]).await);
    let kept = good(store.device(&seen.id).await).expect("the device is kept");
    assert_eq!(kept.seen_at, Some(second(500)));
    assert_eq!(last_sequence(store).await, sequence, "being seen is no news");
}
