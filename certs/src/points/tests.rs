use std::sync::LazyLock;

use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::testing::{Folder, OtherCa, run};

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn addresses(certificate: &CertificateDer<'_>) -> Vec<String> {
    points(certificate).iter().map(ToString::to_string).collect()
}

/// A certificate of stock openssl with this line in its extensions.
fn by_openssl(line: &str) -> CertificateDer<'static> {
    let folder = Folder::new();
    let text = format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=tablet\n[ext]\n{line}\n\
         [one]\nfullname=URI:http://pki.example/part.crl\nreasons=keyCompromise\n\
         [other]\nfullname=URI:http://pki.example/other.crl\nCRLissuer=dirName:somebody\n[somebody]\nCN=Somebody\n"
    );
    let config = folder.write("req.cnf", &text);
    let key = folder.0.join("key.pem");
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config"];
    let files = [config.to_str().unwrap(), "-keyout", key.to_str().unwrap()];
    let made = run("openssl", &[&words[..], &files].concat(), b"");
    der(std::str::from_utf8(&made).unwrap())
}

#[test]
fn places_over_http_are_read_in_their_order() {
    let line = "crlDistributionPoints=URI:ldap://dc.example/cn=ca,URI:http://pki.example/a.crl,URI:https://b.example/b";
    assert_eq!(addresses(&by_openssl(line)), ["http://pki.example/a.crl", "https://b.example/b"]);
    assert_eq!(addresses(&by_openssl("basicConstraints=CA:FALSE")), Vec::<String>::new());
}

#[test]
fn places_of_lists_that_are_not_used_are_left_out() {
    for line in ["crlDistributionPoints=one", "crlDistributionPoints=other"] {
        assert_eq!(addresses(&by_openssl(line)), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn no_more_than_a_few_places_are_looked_at() {
    let many: Vec<String> = (0..20).map(|number| format!("URI:http://pki.example/{number}")).collect();
    assert_eq!(points(&by_openssl(&format!("crlDistributionPoints={}", many.join(",")))).len(), POINTS_OF_ONE_MAX);
}

#[test]
fn only_the_key_of_a_ca_that_bears_the_name_counts() {
    let (ca, namesake, other) = (OtherCa::new("MDM"), OtherCa::new("MDM"), OtherCa::new("other"));
    let device = der(&ca.issue_naming(1, &["http://pki.example/a.crl"]).certificate_pem);
    assert!(is_signed_by_one_of(&device, &[der(&other.pem), der(&ca.pem)]));
    assert!(!is_signed_by_one_of(&device, &[der(&other.pem), der(&namesake.pem)]));
    assert!(!is_signed_by_one_of(&CertificateDer::from(b"nonsense".to_vec()), &[der(&ca.pem)]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _any = points(&CertificateDer::from(bytes));
    }

    #[test]
    fn a_changed_certificate_never_panics(place in 0_usize..600, bits: u8, cut in 0_usize..700) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
            der(&OtherCa::new("MDM").issue_naming(1, &["http://pki.example/a.crl"]).certificate_pem).to_vec()
        });
        let mut bytes = GOOD.clone();
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= bits;
        }
        bytes.truncate(cut);
        let found = points(&CertificateDer::from(bytes));
        prop_assert!(found.len() <= POINTS_OF_ONE_MAX);
    }
}
