use policy::DeviceClass;
use proptest::prelude::*;

use super::*;
use crate::testing::{DAY, Folder, NOW, device_id, run};
use crate::{DeviceCa, REQUEST_BYTES_MAX};

/// The body of a request, as `openssl req -outform der | openssl base64` makes it.
fn body() -> Vec<u8> {
    let key = run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"");
    let folder = Folder::new();
    let file = folder.write("key.pem", std::str::from_utf8(&key).unwrap());
    let file = file.to_str().unwrap();
    let der = run("openssl", &["req", "-new", "-subj", "/CN=x", "-outform", "der", "-key", file], b"");
    run("openssl", &["base64"], &der)
}

/// The certificates of an answer, as openssl reads it.
fn read_by_openssl(answer: &str) -> Vec<Vec<u8>> {
    let der = run("openssl", &["base64", "-d"], answer.as_bytes());
    let text = run("openssl", &["pkcs7", "-inform", "der", "-print_certs"], &der);
    let certificates = rustls::pki_types::pem::PemObject::pem_slice_iter(&text);
    certificates.map(|found: Result<CertificateDer<'_>, _>| found.unwrap().to_vec()).collect()
}

#[test]
fn a_request_of_stock_openssl_is_enrolled_and_openssl_reads_the_answer() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "みなと病院", NOW).unwrap();
    let request = read_request(&body()).unwrap();
    let made = ca.sign_request(&request, &device_id("mdm-7"), DeviceClass::Tablet, NOW, 90 * DAY).unwrap();
    assert_eq!(read_by_openssl(&enrolled(&made)), [made.der.to_vec()]);
    assert_eq!(read_by_openssl(&ca_certificates(ca.chain())), [ca.certificate().to_vec()]);
}

#[test]
fn answers_of_any_length_are_read() {
    let folder = Folder::new();
    let ca = DeviceCa::open_or_create(&folder.0.join("ca"), "clinic", NOW).unwrap();
    for count in [0, 1, 2, 3, 200] {
        let many = vec![ca.certificate().clone(); count];
        assert_eq!(read_by_openssl(&ca_certificates(&many)).len(), count);
    }
}

#[test]
fn lines_and_blanks_do_not_matter_in_a_request() {
    let body = String::from_utf8(body()).unwrap();
    let one_line: String = body.split_whitespace().collect();
    let dos = body.replace('\n', "\r\n");
    let indented = body.replace('\n', "\n \t");
    for body in [body, one_line, dos, indented] {
        read_request(body.as_bytes()).unwrap();
    }
}

#[test]
fn other_bodies_are_refused_with_what_to_send() {
    let body = body();
    let der = run("openssl", &["base64", "-d"], &body);
    let pem = run("openssl", &["req", "-inform", "der"], &der);
    for (wrong, problem) in [
        (&b""[..], RequestProblem::Malformed),
        (&pem, RequestProblem::NotBase64),
        (&der, RequestProblem::NotBase64),
        (b"{}", RequestProblem::NotBase64),
        (b"AAAA", RequestProblem::Malformed),
        (b"AAAAA", RequestProblem::NotBase64),
        (&vec![b'A'; BODY_BYTES_MAX + 1], RequestProblem::TooLong),
        (&vec![b'A'; REQUEST_BYTES_MAX / 3 * 4 + 8], RequestProblem::TooLong),
    ] {
        let refused = read_request(wrong).unwrap_err();
        assert_eq!(refused, problem);
        assert!(refused.to_string().contains(';') && refused.code().starts_with("request-"));
    }
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _any = read_request(&body);
    }

    #[test]
    fn arbitrary_base64_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _any = read_request(pem::lines(&bytes, "\n").as_bytes());
    }
}
