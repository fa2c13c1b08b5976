//! Invitations: used once, by the one invited, for what they were made.

use policy::Fingerprint;

use super::cast::*;
use crate::*;

pub(super) async fn an_invitation_is_used_once(store: &dyn Store) {
    let nurse = person("u-invited");
    good(store.remember_person(nurse.clone()).await);
    let code = invitation(1_200, Invited::Temporary(nurse.id.clone()));
    let sequence = last_sequence(store).await;
    good(store.invite(code.clone()).await);
    assert!(matches!(store.invite(code.clone()).await, Err(StoreProblem::Exists(_))), "a code is made once");
    let take = |purpose, at| store.take_invitation(code.secret, purpose, second(at), nurse.id.to_string());
    assert_eq!(good(take(Purpose::Passkey, 5).await), None, "not for another purpose");
    assert_eq!(good(take(Purpose::Temporary, 3_600).await), None, "void from that moment");
    assert_eq!(good(store.invitation(code.secret, second(3_600)).await), None);
    assert_eq!(good(store.invitation(token(1_299), second(5)).await), None, "another code opens nothing");
    assert_eq!(good(store.invitation(code.secret, second(5)).await), Some(code.clone()), "looking uses nothing");
    let (one, two) = tokio::join!(take(Purpose::Temporary, 3_599), take(Purpose::Temporary, 3_599));
    let taken: Vec<Invitation> = [good(one), good(two)].into_iter().flatten().collect();
    let after = Invitation { used_at: Some(second(3_599)), ..code.clone() };
    assert_eq!(taken, vec![after.clone()], "one taker gets it");
    assert_eq!(good(store.invitation(code.secret, second(5)).await), None);
    assert!(!good(store.revoke_invitation(code.id, second(3_599), "x".to_owned()).await), "it is used");
    let told = [Change::InvitationMade(code.id), Change::InvitationUsed(code.id)];
    assert_eq!(changes_after(store, sequence).await, told);
    assert!(good(store.invitations().await).contains(&after), "used ones are shown");
}

pub(super) async fn an_invitation_replaces_the_one_before(store: &dyn Store) {
    let (nurse, other) = (person("u-replaced-code"), person("u-other-code"));
    for one in [&nurse, &other] {
        good(store.remember_person(one.clone()).await);
    }
    let first = invitation(1_210, Invited::Passkey(nurse.id.clone()));
    let temporary = invitation(1_211, Invited::Temporary(nurse.id.clone()));
    let others = invitation(1_212, Invited::Passkey(other.id.clone()));
    let second_one = invitation(1_213, Invited::Passkey(nurse.id.clone()));
    for one in [&first, &temporary, &others] {
        good(store.invite(one.clone()).await);
    }
    let sequence = last_sequence(store).await;
    good(store.invite(second_one.clone()).await);
    let told = [Change::InvitationRevoked(first.id), Change::InvitationMade(second_one.id)];
    assert_eq!(changes_after(store, sequence).await, told);
    assert_eq!(good(store.invitation(first.secret, second(5)).await), None);
    for stays in [&temporary, &others, &second_one] {
        assert!(good(store.invitation(stays.secret, second(5)).await).is_some());
    }
    assert!(good(store.revoke_invitation(second_one.id, second(6), "u-admin".to_owned()).await));
    assert!(!good(store.revoke_invitation(second_one.id, second(6), "u-admin".to_owned()).await), "only once");
    assert!(!good(store.revoke_invitation(others.id, second(3_600), "u-admin".to_owned()).await), "it is void already");
    assert!(!good(store.revoke_invitation(InvitationId::new(0xdead), second(6), "u-admin".to_owned()).await));
    assert_eq!(good(store.invitation(second_one.secret, second(5)).await), None);
    let nobody = store.invite(invitation(1_214, Invited::Passkey(user("u-nobody")))).await;
    assert_not_in_force(nobody, Lapsed::Person);
    let nothing = store.invite(invitation(1_215, Invited::Device(device("d-nobody", 0).id))).await;
    assert_not_in_force(nothing, Lapsed::Device);
}

pub(super) async fn a_key_comes_with_the_invitation_or_not_at_all(store: &dyn Store) {
    let (nurse, thief) = (person("u-enrols"), person("u-enrol-thief"));
    for one in [&nurse, &thief] {
        good(store.remember_person(one.clone()).await);
    }
    let code = invitation(1_220, Invited::Passkey(nurse.id.clone()));
    good(store.invite(code.clone()).await);
    let key = credential("key-enrolled", &nurse);
    let redeem = |redemption| store.redeem_invitation(code.secret, redemption, second(60), nurse.id.to_string());
    let stolen = Redemption::Passkey(credential("key-stolen", &thief));
    assert_eq!(good(redeem(stolen).await), None, "it is another person's");
    let administrator = person("u-sudden-administrator");
    let key_of_administrator = credential("key-sudden", &administrator);
    let administrator = Redemption::FirstAdministrator(administrator, key_of_administrator);
    assert_eq!(good(redeem(administrator).await), None, "it is for a key");
    assert_eq!(good(store.person(&user("u-sudden-administrator")).await), None);
    let certificate = CertificateRecord::own(Fingerprint::new([120; 32]), second(60), second(9_000));
    assert_eq!(good(redeem(Redemption::Certificate(certificate)).await), None);
    // The key is known already: the invitation must not be lost with it.
    let known = credential("key-known-elsewhere", &thief);
    good(store.add_credential(known.clone(), WhichCredential::Any, "x".to_owned()).await);
    let taken = redeem(Redemption::Passkey(Credential { user: nurse.id.clone(), ..known })).await;
    assert!(matches!(taken, Err(StoreProblem::Exists(_))), "{taken:?}");
    assert!(good(store.invitation(code.secret, second(60)).await).is_some());
    let sequence = last_sequence(store).await;
    let redemption = Redemption::Passkey(key.clone());
    let (one, two) = tokio::join!(redeem(redemption.clone()), redeem(redemption));
    let used: Vec<Invitation> = [good(one), good(two)].into_iter().flatten().collect();
    assert_eq!(used.len(), 1, "one of them enrols");
    assert_eq!(good(store.credentials_of(&nurse.id).await), vec![key.clone()]);
    let (user, credential) = (nurse.id.clone(), key.id);
    let told = [Change::CredentialAdded { user, credential }, Change::InvitationUsed(code.id)];
    assert_eq!(changes_after(store, sequence).await, told);
    // The person was disabled between looking and redeeming.
    let late = invitation(1_221, Invited::Passkey(thief.id.clone()));
    good(store.invite(late.clone()).await);
    good(store.disable_person(&thief.id, "退職".to_owned(), second(61), "x".to_owned()).await);
    let redemption = Redemption::Passkey(super::cast::credential("key-late", &thief));
    let refused = store.redeem_invitation(late.secret, redemption, second(62), thief.id.to_string()).await;
    assert_eq!(good(refused), None);
}

pub(super) async fn the_first_administrator_comes_with_a_key_or_not_at_all(store: &dyn Store) {
    let code = invitation(1_230, Invited::FirstAdministrator);
    let replaced = invitation(1_231, Invited::FirstAdministrator);
    good(store.invite(replaced.clone()).await);
    good(store.invite(code.clone()).await);
    let first = person("u-first-administrator");
    let key = credential("key-administrator", &first);
    let redeem = |secret, redemption| store.redeem_invitation(secret, redemption, second(60), "cli:root".to_owned());
    let redemption = Redemption::FirstAdministrator(first.clone(), key.clone());
    assert_eq!(good(redeem(replaced.secret, redemption.clone()).await), None, "one code is in force");
    let foreign = Redemption::FirstAdministrator(first.clone(), credential("key-foreign", &person("u-found")));
    assert_eq!(good(redeem(code.secret, foreign).await), None, "the key of another person");
    let taken = Credential { id: credential("key-enrolled", &first).id, ..key.clone() };
    assert!(redeem(code.secret, Redemption::FirstAdministrator(first.clone(), taken)).await.is_err());
    assert_eq!(good(store.person(&first.id).await), None, "no administrator without a key");
    assert!(good(redeem(code.secret, redemption.clone()).await).is_some());
    assert_eq!(good(store.person(&first.id).await), Some(first.clone()));
    assert_eq!(good(store.credentials_of(&first.id).await), vec![key]);
    assert_eq!(good(redeem(code.secret, redemption).await), None, "only once");
}

pub(super) async fn a_device_is_enrolled_once(store: &dyn Store) {
    let tablet = DeviceRecord { certificates: vec![], ..device("d-enrolled", 0) };
    good(store.add_device(tablet.clone(), "u-admin".to_owned()).await);
    assert_eq!(good(store.device(&tablet.id).await), Some(tablet.clone()), "known before it has a certificate");
    let code = invitation(1_240, Invited::Device(tablet.id.clone()));
    good(store.invite(code.clone()).await);
    let certificate = |number| CertificateRecord::own(Fingerprint::new([number; 32]), second(60), second(9_000));
    let redeem = |number| {
        let redemption = Redemption::Certificate(certificate(number));
        store.redeem_invitation(code.secret, redemption, second(60), "gateway:est".to_owned())
    };
    let (one, two) = tokio::join!(redeem(121), redeem(122));
    assert!(good(one).is_some() != good(two).is_some());
    let enrolled = good(store.device(&tablet.id).await).expect("the device is kept");
    assert_eq!(enrolled.certificates.len(), 1);
    // Revoked between invitation and redemption.
    let again = invitation(1_241, Invited::Device(tablet.id.clone()));
    good(store.invite(again.clone()).await);
    assert!(good(store.revoke_device(&tablet.id, second(70), "u-admin".to_owned()).await));
    let redemption = Redemption::Certificate(certificate(123));
    assert_eq!(good(store.redeem_invitation(again.secret, redemption, second(71), "x".to_owned()).await), None);
    assert_eq!(good(store.device_by_certificate(&Fingerprint::new([123; 32])).await), None);
    assert_not_in_force(store.invite(invitation(1_242, Invited::Device(tablet.id))).await, Lapsed::Device);
}
