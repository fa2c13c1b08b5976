use config::ClientCertificates::Required;
use config::TlsProfile::High;
use policy::DeviceClass;

use std::path::PathBuf;

use super::*;
use crate::ServerCa;
use crate::testing::{DAY, Folder, Hospital, NOW, days_before, device_id, handshake, trust};

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
