use std::sync::LazyLock;

use policy::DeviceClass;
use proptest::prelude::*;

use super::*;
use crate::DeviceCa;
use crate::testing::{DAY, Folder, NOW, OtherCa, device_id, run};

#[test]
fn a_certificate_is_read_as_pem_and_as_der() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "みなと病院", NOW).unwrap();
    let issued = ca.issue(&device_id("ward3-01"), DeviceClass::WardShared, NOW, 365 * DAY).unwrap();
    let from_pem = DeviceCertificate::read("x", issued.certificate_pem.as_bytes()).unwrap();
    let from_der = DeviceCertificate::read("x", &from_pem.der).unwrap();
    assert_eq!(from_pem, from_der);
    assert_eq!(from_pem.pem(), issued.certificate_pem.replace("\r\n", "\n"));
    assert_eq!((from_pem.fingerprint, &from_pem.serial), (issued.fingerprint, &issued.serial));
    assert!(from_pem.issuer.contains("Sekimori device CA"), "{}", from_pem.issuer);
    assert!(from_pem.starts_at < NOW && from_pem.ends_at == NOW.after(365 * DAY));
}

#[test]
fn its_number_is_what_openssl_says_it_is() {
    let ca = OtherCa::new("MDM");
    for serial in [1, 0x7f, 0x80, 0xff00, u64::MAX] {
        let issued = ca.issue(serial, rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let said = run("openssl", &["x509", "-noout", "-serial"], issued.certificate_pem.as_bytes());
        let said = String::from_utf8(said).unwrap().trim().replace("serial=", "").to_ascii_lowercase();
        assert_eq!(issued.serial, said);
    }
}

#[test]
fn what_is_no_certificate_is_refused_by_its_place() {
    for wrong in [&b""[..], b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &[0x30; 40]]
    {
        let problem = DeviceCertificate::read("tablet.crt", wrong).unwrap_err().to_string();
        assert!(problem.starts_with("tablet.crt: holds no readable certificate"), "{problem}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _any = DeviceCertificate::read("x", &bytes);
    }

    #[test]
    fn a_changed_certificate_never_panics(place in 0_usize..500, bits: u8, cut in 0_usize..600) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
            DeviceCertificate::read("x", OtherCa::new("MDM").pem.as_bytes()).unwrap().der.to_vec()
        });
        let mut der = GOOD.clone();
        if let Some(byte) = der.get_mut(place) {
            *byte ^= bits;
        }
        der.truncate(cut);
        let _any = DeviceCertificate::read("x", &der);
    }
}
