use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use super::*;
use crate::der::Facts;
use crate::fingerprint;
use crate::testing::{DAY, Folder, NOW, device_id, mode_of};

fn open(folder: &Folder) -> Result<DeviceCa, CertProblem> {
    DeviceCa::open_or_create(&folder.0.join("device-ca"), "みなと病院", NOW)
}

fn file(folder: &Folder) -> std::path::PathBuf {
    folder.0.join("device-ca").join(FILE)
}

#[test]
fn the_ca_is_made_once_and_kept_for_its_owner_alone() {
    let folder = Folder::new();
    let first = open(&folder).unwrap();
    assert_eq!(mode_of(&folder.0.join("device-ca")), 0o700);
    assert_eq!(mode_of(&file(&folder)), 0o600);
    let again = open(&folder).unwrap();
    assert_eq!(first.certificate_pem(), again.certificate_pem());
    assert!(!again.certificate_pem().contains("PRIVATE KEY"));
    assert_eq!(again.certificate_pem().matches("BEGIN CERTIFICATE").count(), 1);
    assert!(!format!("{again:?}").contains("PRIVATE"));
    let names: Vec<_> = std::fs::read_dir(folder.0.join("device-ca")).unwrap().collect();
    assert_eq!(names.len(), 1, "no draft is left behind");
}

#[test]
fn two_programs_that_make_it_at_once_get_the_same_one() {
    let folder = Folder::new();
    let made: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| open(&folder).unwrap().certificate_pem().to_owned())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|pem| *pem == made[0]));
}

#[test]
fn a_ca_whose_key_others_may_read_is_refused() {
    let folder = Folder::new();
    open(&folder).unwrap();
    std::fs::set_permissions(file(&folder), std::fs::Permissions::from_mode(0o640)).unwrap();
    let problem = open(&folder).unwrap_err().to_string();
    assert!(problem.contains("device-ca.pem") && problem.contains("chmod 600"), "{problem}");
}

#[test]
fn a_damaged_ca_is_refused_and_never_replaced() {
    let folder = Folder::new();
    open(&folder).unwrap();
    let good = std::fs::read_to_string(file(&folder)).unwrap();
    let elsewhere = Folder::new();
    open(&elsewhere).unwrap();
    let other = std::fs::read_to_string(file(&elsewhere)).unwrap();
    let (key, _) = good.split_once("-----BEGIN CERTIFICATE").unwrap();
    let (_, certificate) = other.split_once("-----BEGIN CERTIFICATE").unwrap();
    let mixed = format!("{key}-----BEGIN CERTIFICATE{certificate}");
    for damaged in ["", "nonsense", key, &mixed] {
        std::fs::write(file(&folder), damaged).unwrap();
        assert!(open(&folder).is_err(), "{damaged}");
        assert_eq!(std::fs::read_to_string(file(&folder)).unwrap(), damaged);
    }
    let problem = open(&folder).unwrap_err().to_string();
    assert!(problem.contains("does not open"), "a sealed key is bound to its certificate: {problem}");
}

#[test]
fn a_device_certificate_says_which_device_and_whose() {
    let folder = Folder::new();
    let ca = open(&folder).unwrap();
    let issued = ca.issue(&device_id("ward3-01"), DeviceClass::WardShared, NOW, 365 * DAY).unwrap();
    assert_eq!(issued.certificate_ends_at, NOW.after(365 * DAY));
    assert!(!format!("{issued:?}").contains("PRIVATE"));
    let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    assert_eq!(fingerprint(&der), issued.fingerprint);
    let facts = Facts::read(&der).unwrap();
    assert_eq!(facts.ends_at, issued.certificate_ends_at);
    assert!(facts.starts_at < NOW && !facts.is_ca && !facts.is_for_servers);
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=ward3-01, O=みなと病院, OU=ward-shared");
    let names = parsed.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names, vec![GeneralName::URI("urn:sekimori:device:ward3-01")]);
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let (_, issuer) = x509_parser::parse_x509_certificate(ca.certificate()).unwrap();
    parsed.verify_signature(Some(issuer.public_key())).unwrap();

    let twin = ca.issue(&device_id("ward3-01"), DeviceClass::WardShared, NOW, 365 * DAY).unwrap();
    assert_ne!(twin.fingerprint, issued.fingerprint);
}

#[test]
fn no_device_certificate_outlives_the_ca() {
    let folder = Folder::new();
    let ca = open(&folder).unwrap();
    let forever = Duration::from_secs(u64::MAX);
    let issued = ca.issue(&device_id("d"), DeviceClass::Fixed, NOW, forever).unwrap();
    assert_eq!(issued.certificate_ends_at, ca.ends_at());
    let problem = ca.issue(&device_id("d"), DeviceClass::Fixed, ca.ends_at(), DAY).unwrap_err().to_string();
    assert!(problem.contains("the device CA expired on 2046-03-27"), "{problem}");
}

#[test]
fn a_long_or_odd_name_of_the_facility_still_makes_a_certificate() {
    let folder = Folder::new();
    let name = "独立行政法人\n".repeat(40);
    let ca = DeviceCa::open_or_create(&folder.0.join("device-ca"), &name, NOW).unwrap();
    let id = device_id(&"x".repeat(64));
    let issued = ca.issue(&id, DeviceClass::Byod, NOW, DAY).unwrap();
    let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    assert!(Facts::read(&der).is_some());
}
