use p12_keystore::Pkcs12ImportPolicy::Strict;
use policy::DeviceClass;

use super::*;
use crate::DeviceCa;
use crate::testing::{DAY, Folder, NOW, attempt, device_id};

const PASSWORD: &str = "たぬき-correct horse";

fn issue(folder: &Folder) -> (DeviceCa, IssuedDevice) {
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "みなと病院", NOW).unwrap();
    let issued = ca.issue(&device_id("ward3-01"), DeviceClass::WardShared, NOW, 365 * DAY).unwrap();
    (ca, issued)
}

/// Both forms, with the object identifiers that tell them apart.
fn forms(ca: &DeviceCa, issued: &IssuedDevice, password: &str) -> [(Vec<u8>, &'static [u8]); 2] {
    // PBES2 1.2.840.113549.1.5.13; pbeWithSHAAnd3-KeyTripleDES-CBC 1.2.840.113549.1.12.1.3.
    let aes = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
    let des = b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03";
    [
        (pkcs12(issued, ca.certificate_pem(), "病棟3 端末01", password).unwrap(), aes),
        (pkcs12_for_older_systems(issued, ca.certificate_pem(), "病棟3 端末01", password).unwrap(), des),
    ]
}

#[test]
fn the_file_holds_key_certificate_and_ca_and_opens_with_its_password_only() {
    let folder = Folder::new();
    let (ca, issued) = issue(&folder);
    for (file, algorithm) in forms(&ca, &issued, PASSWORD) {
        let uses = file.windows(algorithm.len()).filter(|window| window == &algorithm).count();
        assert_eq!(uses, 2, "certificates and key are encrypted alike");
        let store = KeyStore::from_pkcs12(&file, PASSWORD, Strict).unwrap();
        let (name, chain) = store.private_key_chain().unwrap();
        assert_eq!(name, "病棟3 端末01");
        let certificates: Vec<_> = chain.certs().iter().map(|found| CertificateDer::from(found.as_der())).collect();
        assert_eq!(certificates.len(), 2);
        assert_eq!(crate::fingerprint(&certificates[0]), issued.fingerprint);
        assert_eq!(&certificates[1], ca.certificate());
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
        assert_eq!(chain.key().as_der(), key.secret_der());
        for wrong in ["", "たぬき-correct hors", "password"] {
            assert!(KeyStore::from_pkcs12(&file, wrong, Strict).is_err());
        }
    }
}

#[test]
fn short_passwords_and_damaged_pem_are_refused() {
    let folder = Folder::new();
    let (ca, issued) = issue(&folder);
    for short in ["", "1234567", "ひらがな"] {
        let problem = pkcs12(&issued, ca.certificate_pem(), "d", short).unwrap_err().to_string();
        assert!(problem.contains("shorter than 8"), "{problem}");
        assert!(pkcs12_for_older_systems(&issued, ca.certificate_pem(), "d", short).is_err());
    }
    assert!(pkcs12(&issued, "no certificate", "d", PASSWORD).is_err());
    let emoji = pkcs12(&issued, ca.certificate_pem(), "端末 \u{1f3e5}", PASSWORD);
    assert!(emoji.unwrap_err().to_string().contains("emoji"));
}

/// OpenSSL reads both forms with the password typed in ASCII, as a help desk would.
#[test]
fn openssl_reads_the_file() {
    let folder = Folder::new();
    let (ca, issued) = issue(&folder);
    for (bytes, _) in forms(&ca, &issued, "kx7m-q2vt-9hbr") {
        let read =
            |password: &str| attempt("openssl", &["pkcs12", "-nodes", "-passin", &format!("pass:{password}")], &bytes);
        let (opened, text, errors) = read("kx7m-q2vt-9hbr");
        assert!(opened, "{errors}");
        let text = String::from_utf8_lossy(&text);
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
        let body: String = issued.key_pem.expose().lines().filter(|line| !line.starts_with('-')).collect();
        let shown: String = text.lines().collect();
        assert!(shown.contains(&body), "the key is there");
        assert!(!read("wrong password").0);
    }
}
