use std::path::Path;

use policy::DeviceClass;

use super::*;
use crate::DeviceCa;
use crate::testing::{DAY, Folder, NOW, attempt, device_id, host, run};

/// Prints a field of a property list, as Python's own reader finds it.
const READ: &str = "
import plistlib, sys
profile = plistlib.load(open(sys.argv[1], 'rb'))
value = profile
for step in sys.argv[2:]:
    value = value[int(step)] if isinstance(value, list) else value[step]
sys.stdout.buffer.write(value if isinstance(value, bytes) else str(value).encode())
";

fn field(file: &Path, steps: &[&str]) -> Vec<u8> {
    run("python3", &[&["-c", READ, file.to_str().unwrap()], steps].concat(), b"")
}

fn text(file: &Path, steps: &[&str]) -> String {
    String::from_utf8(field(file, steps)).unwrap()
}

#[test]
fn the_profile_reads_back_and_its_identity_opens_with_its_password_only() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "clinic", NOW).unwrap();
    let id = device_id("ipad-07");
    let issued = ca.issue(&id, DeviceClass::Tablet, NOW, 365 * DAY).unwrap();
    let root = [ca.certificate().clone()];
    let profile = Profile {
        device: &id,
        issued: &issued,
        ca_pem: ca.certificate_pem(),
        organization: "みなと病院 <本院> & \"分院\"\u{1}",
        host: &host("login.hosp.example"),
        password: "kx7m-q2vt-9hbr",
        server_cas: &root,
    };
    let written = mobileconfig(&profile).unwrap();
    assert_eq!(written.windows(4).filter(|window| window == b"kx7m").count(), 0, "the password is not in it");
    let file = folder.0.join("ipad.mobileconfig");
    std::fs::write(&file, &written).unwrap();

    assert_eq!(text(&file, &["PayloadOrganization"]), "みなと病院 <本院> & \"分院\" ");
    assert_eq!(text(&file, &["PayloadType"]), "Configuration");
    assert_eq!(text(&file, &["PayloadVersion"]), "1");
    assert_eq!(text(&file, &["PayloadIdentifier"]), "example.hosp.login.sekimori.device.ipad-07");
    let identity = |key: &'static str| text(&file, &["PayloadContent", "0", key]);
    assert_eq!(identity("PayloadType"), "com.apple.security.pkcs12");
    assert_eq!(identity("PayloadCertificateFileName"), "ipad-07.p12");
    assert_eq!(identity("KeyIsExtractable"), "False");
    assert_eq!(text(&file, &["PayloadContent", "1", "PayloadType"]), "com.apple.security.root");
    assert_eq!(field(&file, &["PayloadContent", "1", "PayloadContent"]), ca.certificate().to_vec());
    let uuids: Vec<String> =
        [&["PayloadUUID"][..], &["PayloadContent", "0", "PayloadUUID"], &["PayloadContent", "1", "PayloadUUID"]]
            .map(|steps| text(&file, steps))
            .to_vec();
    for uuid in &uuids {
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((&uuid[14..15], "89AB".contains(&uuid[19..20])), ("8", true), "RFC 9562: version 8");
        assert_eq!(uuids.iter().filter(|other| *other == uuid).count(), 1);
    }

    let p12 = field(&file, &["PayloadContent", "0", "PayloadContent"]);
    let arguments =
        |password: &str| ["pkcs12".to_owned(), "-nodes".to_owned(), "-passin".to_owned(), format!("pass:{password}")];
    let open = |password: &str| {
        let arguments = arguments(password);
        attempt("openssl", &arguments.each_ref().map(String::as_str), &p12)
    };
    let (opened, shown, errors) = open("kx7m-q2vt-9hbr");
    assert!(opened, "{errors}");
    assert!(String::from_utf8_lossy(&shown).contains("PRIVATE KEY"));
    assert!(!open("kx7m-q2vt-9hbs").0);
}

#[test]
fn a_profile_without_a_good_password_is_not_written() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "clinic", NOW).unwrap();
    let id = device_id("ipad-07");
    let issued = ca.issue(&id, DeviceClass::Tablet, NOW, DAY).unwrap();
    let profile = Profile {
        device: &id,
        issued: &issued,
        ca_pem: ca.certificate_pem(),
        organization: "clinic",
        host: &host("login.hosp.example"),
        password: "short",
        server_cas: &[],
    };
    assert!(mobileconfig(&profile).unwrap_err().to_string().contains("shorter than 8"));
}
