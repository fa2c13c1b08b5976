use std::path::PathBuf;

use config::ClientCertificates::Required;
use config::TlsProfile::High;
use policy::DeviceClass;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::HandshakeKind;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::testing::{DAY, Folder, Hospital, NOW, OtherCa, Side, days_before, device_id, handshake, trust};
use crate::{IssuedDevice, ServerCa};

fn refused(hospital: &Hospital, text: &str) -> String {
    let file = hospital.folder.write("extra.pem", text);
    let problems = DeviceRoots::load(&hospital.device_ca, &trust(&[file]), NOW).unwrap_err();
    problems[0].to_string()
}

#[test]
fn only_cas_in_force_are_trusted() {
    let hospital = Hospital::new();
    let leaf = refused(&hospital, &hospital.device().certificate_pem);
    assert!(leaf.contains("extra.pem") && leaf.contains("not of a CA"), "{leaf}");
    let old = ServerCa::create("old", days_before(500)).unwrap();
    assert!(refused(&hospital, old.certificate_pem()).contains("expired on 2025-11-17"));
    assert!(refused(&hospital, "").contains("holds no certificate"));
    let missing = [PathBuf::from("/nowhere/a.pem"), PathBuf::from("/nowhere/b.pem")];
    assert_eq!(
        DeviceRoots::load(&hospital.device_ca, &trust(&missing), NOW).unwrap_err().len(),
        2,
        "every problem at once"
    );
}

#[test]
fn a_ca_of_the_mdm_is_trusted_once_it_is_named_and_no_longer_than_that() {
    let hospital = Hospital::new();
    let elsewhere = Folder::new();
    let mdm = DeviceCa::open_or_create(&elsewhere.0.join("ca"), "MDM", NOW).unwrap();
    let tablet = mdm.issue(&device_id("tablet-1"), DeviceClass::Tablet, NOW, 365 * DAY).unwrap();
    let server = hospital.listener(Required, High);
    // A new browser each time: resumption is another test.
    let attempt = || handshake(&hospital.browser_of(&tablet), &server, "emr.hosp.example");
    let hints = || Arc::clone(&hospital.roots).verifier(Required).root_hint_subjects().len();
    assert!(attempt().is_err());
    assert_eq!(hints(), 1);

    let file = hospital.folder.write("mdm.pem", mdm.certificate_pem());
    hospital.roots.reload(&hospital.device_ca, &trust(std::slice::from_ref(&file)), NOW).unwrap();
    assert!(attempt().is_ok(), "the running listener follows");
    assert_eq!(hints(), 2, "and tells browsers that such certificates are welcome");

    std::fs::write(&file, "damaged").unwrap();
    hospital.roots.reload(&hospital.device_ca, &trust(&[file]), NOW).unwrap_err();
    assert!(attempt().is_ok(), "a file that cannot be read changes nothing");

    hospital.roots.reload(&hospital.device_ca, &trust(&[]), NOW).unwrap();
    assert!(attempt().is_err());
    assert_eq!(hints(), 1);
}

/// The reason for which a handshake with this certificate ends; `None` if it does not.
fn refusal(hospital: &Hospital, roots: &Arc<DeviceRoots>, device: &IssuedDevice) -> Option<Refusal> {
    let server = hospital.listener_with(Required, High, Arc::clone(roots));
    let attempt = handshake(&hospital.stubborn_browser_of(device), &server, "emr.hosp.example");
    let refused = attempt.err().map(|(side, error)| {
        assert_eq!(side, Side::Server, "{error}");
        Refusal::of(&error).unwrap()
    });
    let chain = [der(&device.certificate_pem)];
    assert_eq!(roots.check(&chain, NOW).err(), refused, "outside of a handshake it is the same");
    refused
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn each_reason_for_which_a_certificate_is_refused_is_told() {
    let hospital = Hospital::new();
    let (mdm, stranger) = (OtherCa::new("MDM"), OtherCa::new("Stranger"));
    let roots = hospital.trusting(&[&mdm.pem], &[&mdm.list(&[13], 2, 30)]);
    let told = |device: &IssuedDevice| refusal(&hospital, &roots, device);

    assert_eq!(told(&mdm.issue(1, ClientAuth)), None);
    assert_eq!(told(&hospital.device()), None, "the gateway's own devices need no list");
    assert_eq!(told(&stranger.issue(1, ClientAuth)), Some(Refusal::Foreign));
    assert_eq!(told(&mdm.issue(13, ClientAuth)), Some(Refusal::Revoked));
    assert_eq!(told(&mdm.issue(1, ServerAuth)), Some(Refusal::NotForClients));
    assert_eq!(told(&mdm.issue_at(1, ClientAuth, days_before(91))), Some(Refusal::Expired));
    assert_eq!(told(&mdm.issue_at(1, ClientAuth, NOW.after(DAY))), Some(Refusal::NotYetValid));
    assert_eq!(told(&OtherCa::new("MDM").issue(1, ClientAuth)), Some(Refusal::FalseSignature));
    // A stranger's certificate is a stranger's, whatever else is wrong with it.
    assert_eq!(told(&stranger.issue_at(1, ClientAuth, days_before(91))), Some(Refusal::Foreign));
    assert_eq!(told(&stranger.issue(1, ServerAuth)), Some(Refusal::Foreign));
    let old = hospital.device_ca.issue(&device_id("old"), DeviceClass::Tablet, days_before(100), 90 * DAY).unwrap();
    assert_eq!(told(&old), Some(Refusal::Expired));
    assert_eq!(roots.check(&[], NOW), Err(Refusal::Missing));
    assert_eq!(roots.check(&[CertificateDer::from(b"nonsense".to_vec())], NOW), Err(Refusal::Malformed));
}

#[test]
fn a_list_that_is_too_old_refuses_the_devices_of_its_ca_and_no_others() {
    let hospital = Hospital::new();
    let (old, fresh) = (OtherCa::new("old"), OtherCa::new("fresh"));
    // Old by its own word; old by the age that is allowed (seven days), though its word is good for a month.
    for list in [old.list(&[13], 6, 5), old.list(&[13], 8, 30)] {
        let roots = hospital.trusting(&[&old.pem, &fresh.pem], &[&list, &fresh.list(&[], 6, 30)]);
        assert_eq!(refusal(&hospital, &roots, &old.issue(1, ClientAuth)), Some(Refusal::CrlTooOld));
        assert_eq!(refusal(&hospital, &roots, &old.issue(13, ClientAuth)), Some(Refusal::Revoked), "that stays true");
        assert_eq!(refusal(&hospital, &roots, &fresh.issue(1, ClientAuth)), None);
        assert_eq!(refusal(&hospital, &roots, &hospital.device()), None);
        let states = roots.crls();
        assert!(states[0].usable_until <= NOW && states[1].usable_until == NOW.after(DAY), "{states:?}");
        assert!(states[0].source.ends_with("crl-0.pem") && states[0].issuer.contains("CN=old"));
    }
}

#[test]
fn where_lists_are_kept_a_ca_without_one_is_not_believed() {
    let hospital = Hospital::new();
    let (with, without) = (OtherCa::new("with"), OtherCa::new("without"));
    let roots = hospital.trusting(&[&with.pem, &without.pem], &[&with.list(&[], 1, 30)]);
    assert_eq!(refusal(&hospital, &roots, &with.issue(1, ClientAuth)), None);
    assert_eq!(refusal(&hospital, &roots, &without.issue(1, ClientAuth)), Some(Refusal::CrlMissing));
    let roots = hospital.trusting(&[&without.pem], &[]);
    assert_eq!(refusal(&hospital, &roots, &without.issue(1, ClientAuth)), None, "no lists at all is a decision");
}

#[test]
fn of_several_lists_the_one_made_last_counts() {
    let hospital = Hospital::new();
    let mdm = OtherCa::new("MDM");
    let (before, after) = (mdm.list(&[], 3, 30), mdm.list(&[13], 1, 30));
    for lists in [[before.as_str(), &after], [&after, &before]] {
        let roots = hospital.trusting(&[&mdm.pem], &lists);
        assert_eq!(refusal(&hospital, &roots, &mdm.issue(13, ClientAuth)), Some(Refusal::Revoked));
        assert_eq!(roots.crls().len(), 1);
    }
}

#[test]
fn a_ca_with_a_new_key_and_its_old_name_has_lists_of_its_own() {
    let hospital = Hospital::new();
    let (first, second) = (OtherCa::new("AD CS"), OtherCa::new("AD CS"));
    let lists = [first.list(&[13], 2, 30), second.list(&[14], 1, 30)];
    let roots = hospital.trusting(&[&first.pem, &second.pem], &[&lists[0], &lists[1]]);
    for (ca, revoked, good) in [(&first, 13, 14), (&second, 14, 13)] {
        assert_eq!(refusal(&hospital, &roots, &ca.issue(revoked, ClientAuth)), Some(Refusal::Revoked));
        assert_eq!(refusal(&hospital, &roots, &ca.issue(good, ClientAuth)), None);
    }
}

#[test]
fn a_ca_between_needs_a_list_too() {
    let hospital = Hospital::new();
    let root = OtherCa::new("root");
    let issuing = root.below("issuing");
    let device = issuing.issue(1, ClientAuth);
    let chain = [der(&device.certificate_pem), der(&issuing.pem)];
    let lists =
        |root_list: &str| hospital.trusting(&[&root.pem, &issuing.pem], &[root_list, &issuing.list(&[], 1, 30)]);
    assert_eq!(lists(&root.list(&[], 1, 30)).check(&chain, NOW), Ok(()));
    let only_root = |lists: &[&str]| hospital.trusting(&[&root.pem], lists).check(&chain, NOW);
    assert_eq!(only_root(&[]), Ok(()));
    assert_eq!(only_root(&[&root.list(&[], 1, 30)]), Err(Refusal::CrlMissing), "of the one between");
    assert_eq!(only_root(&[&root.list(&[7], 1, 30)]), Err(Refusal::Revoked), "the one between, by the root");
}

#[test]
fn lists_that_cannot_be_used_are_refused_when_they_are_loaded() {
    let hospital = Hospital::new();
    let (mdm, namesake, other) = (OtherCa::new("MDM"), OtherCa::new("MDM"), OtherCa::new("other"));
    let problem = |lists: &[&str]| {
        let trust = hospital.trust_in(&[&mdm.pem], lists);
        DeviceRoots::load(&hospital.device_ca, &trust, NOW).unwrap_err()
    };
    let unknown = problem(&[&other.list(&[], 1, 30)])[0].to_string();
    assert!(unknown.contains("crl-0.pem") && unknown.contains("CN=other") && unknown.contains("ca_files"), "{unknown}");
    let forged = problem(&[&namesake.list(&[], 1, 30)])[0].to_string();
    assert!(forged.contains("is not signed by `CN=MDM`"), "{forged}");
    assert_eq!(problem(&["nonsense", "", &mdm.pem]).len(), 3, "every problem at once");
}

#[test]
fn a_new_list_ends_resumption_and_reaches_connections_that_live() {
    let hospital = Hospital::new();
    let mdm = OtherCa::new("MDM");
    let roots = hospital.trusting(&[&mdm.pem], &[&mdm.list(&[], 3, 30)]);
    let server = hospital.listener_with(Required, High, Arc::clone(&roots));
    let client = hospital.browser_of(&mdm.issue(13, ClientAuth));
    let (_, first) = handshake(&client, &server, "emr.hosp.example").unwrap();
    let (_, second) = handshake(&client, &server, "emr.hosp.example").unwrap();
    assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
    let shown = Shown::new(first.peer_certificates().unwrap()).unwrap();
    assert_eq!(Some(shown.fingerprint()), first.peer_certificates().map(|chain| crate::fingerprint(&chain[0])));
    assert_eq!(roots.recheck(&shown, NOW), Ok(()));
    assert_eq!(roots.recheck(&shown, NOW.after(3 * DAY)), Ok(()));
    assert_eq!(roots.recheck(&shown, NOW.after(4 * DAY)), Err(Refusal::CrlTooOld), "nothing new came in time");
    assert_eq!(roots.recheck(&shown, NOW), Ok(()));

    let hints = || roots.hints.all().count();
    let trust = hospital.trust_in(&[&mdm.pem], &[&mdm.list(&[13], 1, 30)]);
    roots.reload(&hospital.device_ca, &trust, NOW).unwrap();
    assert_eq!(hints(), 1, "a new list of the same CAs is no new set of CAs");
    assert_eq!(roots.recheck(&shown, NOW), Err(Refusal::Revoked));
    let (side, error) = handshake(&client, &server, "emr.hosp.example").unwrap_err();
    assert_eq!((side, Refusal::of(&error)), (Side::Server, Some(Refusal::Revoked)));

    std::fs::write(&trust.crl_files[0], "half a li").unwrap();
    roots.reload(&hospital.device_ca, &trust, NOW).unwrap_err();
    assert_eq!(roots.recheck(&shown, NOW), Err(Refusal::Revoked), "what was in force stays in force");
}

#[test]
fn a_connection_ends_with_its_certificate_and_with_its_ca() {
    let hospital = Hospital::new();
    let mdm = OtherCa::new("MDM");
    let roots = hospital.trusting(&[&mdm.pem], &[]);
    let shown = Shown::new(&[der(&mdm.issue(1, ClientAuth).certificate_pem)]).unwrap();
    assert_eq!(roots.recheck(&shown, NOW), Ok(()));
    assert_eq!(roots.recheck(&shown, NOW.after(91 * DAY)), Err(Refusal::Expired));
    roots.reload(&hospital.device_ca, &trust(&[]), NOW).unwrap();
    assert_eq!(roots.recheck(&shown, NOW), Err(Refusal::Foreign));
    assert!(Shown::new(&[]).is_none() && Shown::new(&[CertificateDer::from(vec![1, 2])]).is_none());
}
