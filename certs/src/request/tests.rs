use policy::DeviceClass;
use proptest::prelude::*;

use super::*;
use crate::testing::{DAY, Folder, NOW, device_id, run};
use crate::{DeviceCa, DeviceCertificate};

/// A request that stock openssl makes with a new key.
fn request(folder: &Folder, key: &[&str], more: &[&str]) -> Vec<u8> {
    let file = folder.0.join("device.key");
    let file = file.to_str().unwrap();
    run("openssl", &[&["genpkey", "-out", file], key].concat(), b"");
    run("openssl", &[&["req", "-new", "-outform", "der", "-subj", "/CN=tablet", "-key", file], more].concat(), b"")
}

fn rsa(bits: &str) -> Vec<String> {
    ["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")].map(str::to_owned).to_vec()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

const P_256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn requests_of_stock_openssl_are_signed_for_their_own_keys() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "みなと病院", NOW).unwrap();
    let ca_file = folder.write("ca.pem", ca.certificate_pem());
    let keys: [&[&str]; 4] = [
        &P_256,
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-algorithm", "ED25519"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ];
    for key in keys {
        let read = DeviceRequest::read(&request(&folder, key, &[])).unwrap();
        let made = ca.sign_request(&read, &device_id("ward3-01"), DeviceClass::Tablet, NOW, 90 * DAY).unwrap();
        let file = folder.write("device.pem", &made.pem());
        let arguments = ["verify", "-purpose", "sslclient", "-attime", &NOW.unix_seconds().to_string(), "-CAfile"];
        run("openssl", &[&arguments[..], &[ca_file.to_str().unwrap(), file.to_str().unwrap()]].concat(), b"");
        let key_file = folder.0.join("device.key");
        let own = run("openssl", &["pkey", "-pubout", "-in", key_file.to_str().unwrap()], b"");
        let certified = run("openssl", &["x509", "-pubkey", "-noout"], made.pem().as_bytes());
        assert_eq!(own, certified, "{key:?}");
    }
}

#[test]
fn names_and_extensions_of_a_request_are_ignored() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "みなと病院", NOW).unwrap();
    let greedy =
        ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=URI:urn:sekimori:device:other"];
    let read = DeviceRequest::read(&request(&folder, &P_256, &greedy)).unwrap();
    let made = ca.sign_request(&read, &device_id("ward3-01"), DeviceClass::Tablet, NOW, 90 * DAY).unwrap();
    assert_eq!(made.subject, "CN=ward3-01, O=みなと病院, OU=tablet");
    let text = String::from_utf8(run("openssl", &["x509", "-noout", "-text"], made.pem().as_bytes())).unwrap();
    assert!(text.contains("CA:FALSE") && text.contains("urn:sekimori:device:ward3-01"), "{text}");
    assert!(!text.contains("device:other") && !text.contains("CN = tablet") && !text.contains("TLS Web Server"));
}

#[test]
fn a_renewed_certificate_of_the_same_key_has_a_number_of_its_own() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "clinic", NOW).unwrap();
    let read = DeviceRequest::read(&request(&folder, &P_256, &[])).unwrap();
    let sign = || ca.sign_request(&read, &device_id("d"), DeviceClass::Machine, NOW, DAY).unwrap();
    let (one, two): (DeviceCertificate, DeviceCertificate) = (sign(), sign());
    assert_ne!(one.serial, two.serial);
    assert_eq!(one.serial.len(), 32);
}

#[test]
fn weak_and_unusual_keys_are_refused() {
    let folder = Folder::new();
    let dss: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
    for key in [&words(&rsa("1024"))[..], dss, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]] {
        let refused = DeviceRequest::read(&request(&folder, key, &[])).unwrap_err();
        assert_eq!(refused, RequestProblem::KeyNotAccepted, "{key:?}");
    }
    let explicit = [&P_256[..], &["-pkeyopt", "ec_param_enc:explicit"]].concat();
    assert_eq!(DeviceRequest::read(&request(&folder, &explicit, &[])).unwrap_err(), RequestProblem::KeyNotAccepted);
    let ed448 = request(&folder, &["-algorithm", "ED448"], &[]);
    assert_eq!(DeviceRequest::read(&ed448).unwrap_err(), RequestProblem::KeyNotAccepted);
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let folder = Folder::new();
    let mut der = request(&folder, &P_256, &[]);
    let sha1 = request(&folder, &words(&rsa("2048")), &["-sha1"]);
    assert_eq!(DeviceRequest::read(&sha1).unwrap_err(), RequestProblem::FalseSignature);
    *der.last_mut().unwrap() ^= 1;
    assert_eq!(DeviceRequest::read(&der).unwrap_err(), RequestProblem::FalseSignature);
}

#[test]
fn what_is_no_request_is_refused() {
    let folder = Folder::new();
    let mut der = request(&folder, &P_256, &[]);
    for end in 0..der.len() {
        assert_eq!(DeviceRequest::read(&der[..end]).unwrap_err(), RequestProblem::Malformed);
    }
    der.push(0);
    assert_eq!(DeviceRequest::read(&der).unwrap_err(), RequestProblem::Malformed, "nothing may follow");
    assert_eq!(DeviceRequest::read(&vec![0x30; REQUEST_BYTES_MAX + 1]).unwrap_err(), RequestProblem::TooLong);
}

#[test]
fn a_changed_byte_is_refused_without_a_panic() {
    let folder = Folder::new();
    let good = request(&folder, &P_256, &[]);
    // The name of the signature's algorithm is neither signed nor used: there it only must not panic.
    let unsigned = 3 + 2 + usize::from(good[4]) + 2..3 + 2 + usize::from(good[4]) + 2 + 10;
    for place in 0..good.len() {
        let mut changed = good.clone();
        changed[place] ^= 0x15;
        assert!(DeviceRequest::read(&changed).is_err() || unsigned.contains(&place), "byte {place}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _any = DeviceRequest::read(&bytes);
    }

    #[test]
    fn arbitrary_bytes_in_a_sequence_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let inner = crate::asn1::value(crate::asn1::SEQUENCE, &bytes);
        let _any = DeviceRequest::read(&crate::asn1::value(crate::asn1::SEQUENCE, &inner));
    }
}
