use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use config::DeviceTrust;
use policy::{DeviceClass, DeviceId};
use proptest::prelude::*;

use super::*;
use crate::DeviceCa;
use crate::testing::{DAY, Folder, NOW, device_id, mode_of, run, trust};

fn ca_file(folder: &Folder) -> PathBuf {
    folder.0.join("device-ca/device-ca.pem")
}

fn key_file(folder: &Folder) -> PathBuf {
    folder.0.join("secrets/device-ca.kek")
}

fn with(passphrase: Option<&str>) -> DeviceTrust {
    DeviceTrust { ca_passphrase: passphrase.map(|text| Secret::new(text.to_owned())), ..trust(&[]) }
}

fn open(folder: &Folder, passphrase: Option<&str>) -> Result<DeviceCa, CertProblem> {
    DeviceCa::open(&folder.0.join("device-ca"), &with(passphrase), "みなと病院", NOW)
}

fn device() -> (DeviceId, DeviceClass) {
    (device_id("ward3-01"), DeviceClass::Tablet)
}

/// Writes the file as the first release did: the key plain.
fn make_plain(folder: &Folder) -> String {
    std::fs::create_dir(folder.0.join("device-ca")).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = crate::signing::ca_params("Sekimori device CA", &key, rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    let text = key.serialize_pem() + &params.self_signed(&key).unwrap().pem();
    std::fs::write(ca_file(folder), &text).unwrap();
    std::fs::set_permissions(ca_file(folder), std::fs::Permissions::from_mode(0o600)).unwrap();
    text
}

#[test]
fn a_copy_of_the_file_alone_is_worth_nothing() {
    let folder = Folder::new();
    let ca = open(&folder, None).unwrap();
    let text = std::fs::read_to_string(ca_file(&folder)).unwrap();
    assert!(text.starts_with("-----BEGIN SEKIMORI SEALED KEY-----\n") && !text.contains("PRIVATE KEY"), "{text}");
    assert_eq!(read_sealed_key(text.as_bytes()), Some(Ok(())));
    assert_eq!((mode_of(&key_file(&folder)), mode_of(key_file(&folder).parent().unwrap())), (0o600, 0o700));

    let thief = Folder::new();
    std::fs::create_dir(thief.0.join("device-ca")).unwrap();
    std::fs::copy(ca_file(&folder), ca_file(&thief)).unwrap();
    let problem = open(&thief, None).unwrap_err().to_string();
    assert!(problem.contains("secrets/device-ca.kek: cannot be read"), "{problem}");
    assert!(!key_file(&thief).exists(), "a key file is never made for what another one sealed");
    open(&Folder::new(), None).unwrap();
    std::fs::create_dir(thief.0.join("secrets")).unwrap();
    let other = Folder::new();
    open(&other, None).unwrap();
    std::fs::copy(key_file(&other), key_file(&thief)).unwrap();
    let problem = open(&thief, None).unwrap_err().to_string();
    assert!(problem.contains("does not open") && problem.contains("same backup"), "{problem}");

    std::fs::copy(key_file(&folder), key_file(&thief)).unwrap();
    assert_eq!(open(&thief, None).unwrap().certificate_pem(), ca.certificate_pem());
}

#[test]
fn a_plain_key_is_sealed_in_place_and_its_devices_go_on() {
    let folder = Folder::new();
    let plain = make_plain(&folder);
    let ca = open(&folder, None).unwrap();
    assert!(plain.replace("\r\n", "\n").ends_with(ca.certificate_pem()));
    let sealed = std::fs::read_to_string(ca_file(&folder)).unwrap();
    assert!(!sealed.contains("PRIVATE KEY") && sealed.ends_with(ca.certificate_pem()));
    assert_eq!(mode_of(&ca_file(&folder)), 0o600);
    assert_eq!(std::fs::read_dir(folder.0.join("device-ca")).unwrap().count(), 1, "no draft is left behind");
    let again = open(&folder, None).unwrap();
    assert_eq!(std::fs::read_to_string(ca_file(&folder)).unwrap(), sealed, "once is enough");
    let (id, class) = device();
    assert!(again.issue(&id, class, NOW, DAY).is_ok());
}

#[test]
fn two_programs_that_seal_at_once_end_with_one_key() {
    let folder = Folder::new();
    make_plain(&folder);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&folder, None).map(drop))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    });
    open(&folder, None).unwrap();
}

#[test]
fn a_plain_key_that_cannot_be_sealed_is_not_used() {
    let folder = Folder::new();
    let plain = make_plain(&folder);
    // A file where the folder of the key file should be: nothing can be written there, not even by root.
    folder.write("secrets", "");
    let problem = open(&folder, None).unwrap_err().to_string();
    assert!(problem.contains("secrets"), "{problem}");
    assert_eq!(std::fs::read_to_string(ca_file(&folder)).unwrap(), plain, "and nothing is lost");
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_nothing_else_does() {
    let folder = Folder::new();
    open(&folder, Some("海辺の灯台 42")).unwrap();
    assert!(!key_file(&folder).exists(), "no key file is made where a passphrase is given");
    open(&folder, Some("海辺の灯台 42")).unwrap();
    let wrong = open(&folder, Some("海辺の灯台 43")).unwrap_err().to_string();
    assert!(wrong.contains("does not open") && wrong.contains("check the passphrase"), "{wrong}");
    let none = open(&folder, None).unwrap_err().to_string();
    assert!(none.contains("ca_passphrase_file"), "{none}");
}

#[test]
fn a_passphrase_that_is_given_later_seals_the_key_anew() {
    let folder = Folder::new();
    let first = open(&folder, None).unwrap();
    open(&folder, Some("correct horse")).unwrap();
    std::fs::remove_file(key_file(&folder)).unwrap();
    let later = open(&folder, Some("correct horse")).unwrap();
    assert_eq!(first.certificate_pem(), later.certificate_pem());
}

#[test]
fn a_key_file_that_others_may_read_or_that_is_damaged_is_refused() {
    let folder = Folder::new();
    open(&folder, None).unwrap();
    std::fs::set_permissions(key_file(&folder), std::fs::Permissions::from_mode(0o604)).unwrap();
    assert!(open(&folder, None).unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(key_file(&folder), std::fs::Permissions::from_mode(0o600)).unwrap();
    let digits = std::fs::read_to_string(key_file(&folder)).unwrap();
    for damaged in ["", &digits[1..], &digits.replace(|c: char| c.is_ascii_digit(), "x")] {
        std::fs::write(key_file(&folder), damaged).unwrap();
        assert!(open(&folder, None).unwrap_err().to_string().contains("is not the key file"), "{damaged}");
    }
    std::fs::write(key_file(&folder), digits.to_uppercase() + "\n").unwrap();
    open(&folder, None).unwrap();
}

#[test]
fn no_changed_byte_of_the_block_opens() {
    let folder = Folder::new();
    open(&folder, None).unwrap();
    let text = std::fs::read(ca_file(&folder)).unwrap();
    let sealed = Sealed::find(&text).unwrap().unwrap();
    let bytes = [&sealed.head[..], &sealed.nonce, &sealed.content].concat();
    let certificate = crate::files::certificates(&ca_file(&folder)).unwrap().remove(0);
    let openers = Openers { key_file: key_file(&folder), passphrase: None };
    let opens = |bytes: &[u8]| {
        let Ok(sealed) = Sealed::read(bytes) else { return false };
        openers.open(&sealed, &certificate, &ca_file(&folder)).is_ok()
    };
    assert!(opens(&bytes));
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(!opens(&changed), "byte {place}");
        assert!(!opens(&bytes[..place]));
    }
    assert!(openers.open(&sealed, b"another certificate", &ca_file(&folder)).is_err());
}

#[test]
fn a_block_cannot_ask_for_cheap_or_endless_guessing() {
    let block = |version: u8, opener: u8, rounds: u32| {
        Sealed::read(&[&[version, opener][..], &rounds.to_be_bytes(), &[0; 80]].concat()).map(drop)
    };
    assert_eq!(block(1, 2, 600_000), Ok(()));
    for rounds in [0, 1, 99_999, 10_000_001, u32::MAX] {
        assert_eq!(block(1, 2, rounds), Err(SealProblem::Malformed));
    }
    assert_eq!(block(2, 1, 0), Err(SealProblem::Unknown));
    assert_eq!(block(1, 3, 0), Err(SealProblem::Unknown));
}

#[test]
fn keys_of_other_forms_and_kinds_are_sealed_and_used() {
    let kinds: [&[&str]; 3] = [
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["-algorithm", "ED25519"],
    ];
    for kind in kinds {
        // As openssl writes it, and in the form from before PKCS#8 where the kind has one.
        for traditional in [false, true] {
            let folder = Folder::new();
            std::fs::create_dir(folder.0.join("device-ca")).unwrap();
            let key = run("openssl", &[&["genpkey"], kind].concat(), b"");
            if traditional && kind.contains(&"ED25519") {
                continue;
            }
            let key = if traditional { run("openssl", &["pkey", "-traditional"], &key) } else { key };
            let file = folder.write("ca.key", std::str::from_utf8(&key).unwrap());
            let arguments = ["req", "-x509", "-subj", "/CN=Old CA", "-days", "3650", "-key", file.to_str().unwrap()];
            let certificate = run("openssl", &arguments, b"");
            std::fs::write(ca_file(&folder), [key, certificate].concat()).unwrap();
            std::fs::set_permissions(ca_file(&folder), std::fs::Permissions::from_mode(0o600)).unwrap();
            open(&folder, None).unwrap();
            let (id, class) = device();
            let ca = open(&folder, None).unwrap();
            assert!(ca.issue(&id, class, NOW, DAY).is_ok(), "{kind:?}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _any = Sealed::read(&bytes);
        let _any = read_sealed_key(&bytes);
    }

    #[test]
    fn arbitrary_blocks_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,100}") {
        let found = read_sealed_key(pem::block(LABEL, &bytes).as_bytes()).unwrap();
        assert_eq!(found, Sealed::read(&bytes).map(drop));
        let _any = read_sealed_key(format!("-----BEGIN {LABEL}-----{text}").as_bytes());
    }
}
