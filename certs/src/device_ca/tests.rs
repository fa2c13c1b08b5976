use std::os::unix::fs::PermissionsExt;

use config::CertificateFiles;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use super::*;
use crate::der::Facts;
use crate::testing::{DAY, Folder, NOW, device_id, mode_of, run, trust};
use crate::{DeviceRoots, fingerprint};

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

/// The hospital's own CA, run with stock openssl.
struct HospitalCa {
    folder: Folder,
}

impl HospitalCa {
    fn new() -> Self {
        let folder = Folder::new();
        let ca = Self { folder };
        let (key, certificate) = (ca.path("root.key"), ca.path("root.pem"));
        let what = ["-subj", "/C=JP/O=Minato/CN=Minato Root", "-keyout", &key, "-out", &certificate, "-days", "7300"];
        run("openssl", &[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"], &what[..]].concat(), b"");
        ca
    }

    fn path(&self, name: &str) -> String {
        self.folder.0.join(name).to_str().unwrap().to_owned()
    }

    /// Signs a request with these extensions; the file holds the certificate and the root.
    fn sign(&self, request: &str, extensions: &str) -> PathBuf {
        self.folder.write("extensions.cnf", extensions);
        let ca = ["-CA", &self.path("root.pem"), "-CAkey", &self.path("root.key"), "-days", "3650"];
        let made = ["x509", "-req", "-extfile", &self.path("extensions.cnf"), "-copy_extensions", "none"];
        let certificate = run("openssl", &[&made[..], &ca].concat(), request.as_bytes());
        let root = std::fs::read_to_string(self.path("root.pem")).unwrap();
        self.folder.write("chain.pem", &(String::from_utf8(certificate).unwrap() + &root))
    }
}

const INTERMEDIATE: &str = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n";

fn given(certificate: PathBuf, key: PathBuf) -> config::DeviceTrust {
    config::DeviceTrust { ca: Some(CertificateFiles { certificate, key }), ..trust(&[]) }
}

fn open_given(folder: &Folder, trust: &config::DeviceTrust) -> Result<DeviceCa, CertProblem> {
    DeviceCa::open(&folder.0.join("device-ca"), trust, "みなと病院", NOW)
}

/// Whether openssl, trusting the hospital's root alone, believes a device.
fn verify_by_openssl(hospital: &HospitalCa, chain: &std::path::Path, device: &IssuedDevice) {
    let file = hospital.folder.write("device.pem", &device.certificate_pem);
    let at = device.certificate_ends_at.unix_seconds() - 3_600;
    let arguments =
        ["verify", "-purpose", "sslclient", "-attime", &at.to_string(), "-CAfile", &hospital.path("root.pem")];
    let files = ["-untrusted", chain.to_str().unwrap(), file.to_str().unwrap()];
    run("openssl", &[&arguments[..], &files].concat(), b"");
}

#[test]
fn the_hospitals_ca_may_take_the_device_ca_below_it_and_all_devices_go_on() {
    let folder = Folder::new();
    let alone = open(&folder).unwrap();
    let before = alone.issue(&device_id("before"), DeviceClass::Tablet, NOW, 365 * DAY).unwrap();
    let hospital = HospitalCa::new();
    let request = alone.request_pem().unwrap();
    let shown = run("openssl", &["req", "-noout", "-text", "-verify"], request.as_bytes());
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("CA:TRUE") && shown.contains("Certificate Sign"), "{shown}");

    let chain = hospital.sign(&request, INTERMEDIATE);
    let trust = given(chain.clone(), file(&folder));
    let below = open_given(&folder, &trust).unwrap();
    assert_eq!(below.chain().len(), 2);
    assert_ne!(below.certificate_pem(), alone.certificate_pem());
    // The hospital's root was made today, not in the tests' year.
    let today = Timestamp::from_unix_micros(below.ends_at().unix_micros() - 3_649 * 86_400_000_000);
    let after = below.issue(&device_id("after"), DeviceClass::Tablet, today, 30 * DAY).unwrap();
    verify_by_openssl(&hospital, &chain, &after);
    let forever = below.issue(&device_id("late"), DeviceClass::Tablet, today, Duration::MAX).unwrap();
    assert_eq!(forever.certificate_ends_at, below.ends_at());

    let roots = DeviceRoots::load(&below, &trust, NOW).unwrap();
    let der = |device: &IssuedDevice| CertificateDer::from_pem_slice(device.certificate_pem.as_bytes()).unwrap();
    assert_eq!(roots.check(&[der(&before)], NOW), Ok(()));
    assert_eq!(roots.check(&[der(&after)], today), Ok(()));
    let again = open_given(&folder, &trust).unwrap();
    assert_eq!(again.certificate_pem(), below.certificate_pem());
}

#[test]
fn a_key_that_the_hospital_gives_is_sealed_in_its_file() {
    let folder = Folder::new();
    let hospital = HospitalCa::new();
    let key = run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], b"");
    let key_file = folder.write("given.key", std::str::from_utf8(&key).unwrap());
    let request = ["req", "-new", "-subj", "/O=Minato/CN=Minato Devices", "-key", key_file.to_str().unwrap()];
    let request = String::from_utf8(run("openssl", &request, b"")).unwrap();
    let trust = given(hospital.sign(&request, INTERMEDIATE), key_file.clone());
    let refused = open_given(&folder, &trust).unwrap_err().to_string();
    assert!(refused.contains("given.key") && refused.contains("chmod 600"), "{refused}");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    open_given(&folder, &trust).unwrap();
    let sealed = std::fs::read_to_string(&key_file).unwrap();
    assert!(sealed.starts_with("-----BEGIN SEKIMORI SEALED KEY") && !sealed.contains("PRIVATE"), "{sealed}");
    assert!(!file(&folder).exists(), "no CA is made beside it");
    let ca = open_given(&folder, &trust).unwrap();
    let today = Timestamp::from_unix_micros(ca.ends_at().unix_micros() - 3_649 * 86_400_000_000);
    let device = ca.issue(&device_id("d"), DeviceClass::Fixed, today, 30 * DAY).unwrap();
    let trust = config::DeviceTrust { ca_files: vec![hospital.folder.0.join("root.pem")], ..trust };
    verify_by_openssl(&hospital, &hospital.folder.0.join("chain.pem"), &device);
    assert!(DeviceRoots::load(&ca, &trust, NOW).is_ok(), "the root may be trusted beside it");
}

#[test]
fn a_given_key_that_cannot_be_sealed_where_it_lies_is_not_used() {
    let folder = Folder::new();
    let hospital = HospitalCa::new();
    let key = run("openssl", &["genpkey", "-algorithm", "ED25519"], b"");
    // No draft can be written beside a name of this length, as in a folder that is read-only.
    let key_file = folder.write(&"k".repeat(250), std::str::from_utf8(&key).unwrap());
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let request = ["req", "-new", "-subj", "/CN=Minato Devices", "-key", key_file.to_str().unwrap()];
    let request = String::from_utf8(run("openssl", &request, b"")).unwrap();
    let trust = given(hospital.sign(&request, INTERMEDIATE), key_file.clone());
    let problem = open_given(&folder, &trust).unwrap_err().to_string();
    assert!(problem.contains("unsealed, and cannot be written") && problem.contains("sekimori doctor"), "{problem}");
    assert_eq!(std::fs::read(&key_file).unwrap(), key, "and nothing is lost");
}

#[test]
fn what_may_not_sign_devices_is_refused_with_what_to_ask_for() {
    let folder = Folder::new();
    let alone = open(&folder).unwrap();
    let hospital = HospitalCa::new();
    let request = alone.request_pem().unwrap();
    let refused = |extensions: &str| {
        let trust = given(hospital.sign(&request, extensions), file(&folder));
        open_given(&folder, &trust).unwrap_err().to_string()
    };
    for extensions in [
        "basicConstraints=critical,CA:FALSE\n",
        "keyUsage=digitalSignature\n",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n",
        "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=serverAuth\n",
    ] {
        let problem = refused(extensions);
        assert!(problem.contains("chain.pem: is not the certificate of a CA that may sign devices"), "{problem}");
    }
    let other = Folder::new();
    open(&other).unwrap();
    let trust = given(hospital.sign(&request, INTERMEDIATE), file(&other));
    let problem = open_given(&other, &trust).unwrap_err().to_string();
    assert!(problem.contains("holds a key that is not the key of its certificate in"), "{problem}");
}

#[test]
fn a_name_that_would_not_be_written_the_same_is_refused() {
    let folder = Folder::new();
    let hospital = HospitalCa::new();
    let key = run("openssl", &["genpkey", "-algorithm", "ED25519"], b"");
    let key_file = folder.write("given.key", std::str::from_utf8(&key).unwrap());
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let key_path = key_file.to_str().unwrap();
    let request = ["req", "-new", "-subj", "/DC=example/DC=minato/CN=Minato Devices", "-key", key_path];
    let request = String::from_utf8(run("openssl", &request, b"")).unwrap();
    let problem = open_given(&folder, &given(hospital.sign(&request, INTERMEDIATE), key_file)).unwrap_err().to_string();
    assert!(problem.contains("each attribute once"), "{problem}");
}
