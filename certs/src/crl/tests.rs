use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::testing::{DAY, Folder, NOW, OtherCa, days_before, run};

#[test]
fn a_list_is_read_as_pem_and_as_der() {
    let ca = OtherCa::new("MDM");
    let pem = ca.list(&[5, 6], 2, 30);
    let der = run("openssl", &["crl", "-outform", "der"], pem.as_bytes());
    let [from_pem] = Crl::read(pem.as_bytes()).unwrap().try_into().unwrap();
    let [from_der] = Crl::read(&der).unwrap().try_into().unwrap();
    assert_eq!(from_pem, from_der);
    assert!(from_pem.issuer_in_words.contains("CN=MDM"));
    assert_eq!((from_pem.issued_at, from_pem.next_at), (days_before(2), NOW.after(28 * DAY)));
    let both = pem + &ca.list(&[], 1, 30);
    assert_eq!(Crl::read(both.as_bytes()).unwrap().len(), 2);
}

#[test]
fn a_list_is_believed_until_the_earlier_of_its_own_word_and_the_age_allowed() {
    let [list] = Crl::read(OtherCa::new("MDM").list(&[], 2, 30).as_bytes()).unwrap().try_into().unwrap();
    assert_eq!(list.usable_until(7 * DAY), NOW.after(5 * DAY));
    assert_eq!(list.usable_until(90 * DAY), NOW.after(28 * DAY));
}

#[test]
fn only_the_ca_whose_name_it_bears_and_whose_key_signed_it_counts() {
    let (ca, namesake, other) = (OtherCa::new("MDM"), OtherCa::new("MDM"), OtherCa::new("other"));
    let [list] = Crl::read(ca.list(&[], 2, 30).as_bytes()).unwrap().try_into().unwrap();
    let der = |ca: &OtherCa| CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap();
    assert!(list.is_signed_by(&der(&ca)));
    assert!(!list.is_signed_by(&der(&namesake)) && !list.is_signed_by(&der(&other)));
}

/// A list that stock openssl makes.
fn by_openssl(digest: &str, extensions: &str) -> Vec<u8> {
    let folder = Folder::new();
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    folder.write("index.txt", "");
    folder.write("number", "1000\n");
    let config = format!(
        "[ca]\ndefault_ca=one\n[one]\ndatabase={}\ncrlnumber={}\ndefault_md={digest}\n\
         default_crl_days=30\ncrl_extensions=ext\n[ext]\n{extensions}\n",
        path("index.txt"),
        path("number"),
    );
    folder.write("ca.cnf", &config);
    let (key, certificate) = (path("ca.key"), path("ca.pem"));
    let subject = ["-subj", "/CN=Hospital CA", "-keyout", &key, "-out", &certificate];
    run("openssl", &[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"], &subject[..]].concat(), b"");
    run("openssl", &["ca", "-gencrl", "-config", &path("ca.cnf"), "-keyfile", &key, "-cert", &certificate], b"")
}

#[test]
fn lists_of_stock_openssl_are_read() {
    let [list] = Crl::read(&by_openssl("sha256", "authorityKeyIdentifier=keyid")).unwrap().try_into().unwrap();
    assert_eq!(list.issuer_in_words, "CN=Hospital CA");
}

#[test]
fn lists_that_cannot_be_used_are_refused_with_what_to_do() {
    assert_eq!(Crl::read(&by_openssl("sha1", "")).unwrap_err(), CrlProblem::WeakSignature);
    let delta = by_openssl("sha256", "2.5.29.27=critical,DER:020101");
    assert_eq!(Crl::read(&delta).unwrap_err(), CrlProblem::Delta);
    let certificate = OtherCa::new("MDM").pem;
    for wrong in
        [&b""[..], b"nonsense", certificate.as_bytes(), b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"]
    {
        assert_eq!(Crl::read(wrong).unwrap_err(), CrlProblem::Malformed);
    }
    let folder = Folder::new();
    let problem = Crl::load(&folder.write("mdm.crl", "nonsense")).unwrap_err().to_string();
    assert!(problem.contains("mdm.crl: holds no readable revocation list; give"), "{problem}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _any = Crl::read(&bytes);
    }

    #[test]
    fn a_changed_list_never_panics(place in 0_usize..400, bits: u8, cut in 0_usize..500) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let pem = OtherCa::new("MDM").list(&[5, 6], 2, 30);
            Crl::read(pem.as_bytes()).unwrap()[0].der.to_vec()
        });
        let mut der = GOOD.clone();
        if let Some(byte) = der.get_mut(place) {
            *byte ^= bits;
        }
        der.truncate(cut);
        let _any = Crl::read(&der);
    }
}
