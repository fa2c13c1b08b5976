use config::ClientCertificates::Off;
use config::TlsProfile::High;
use policy::DeviceClass;

use super::*;
use crate::testing::{DAY, Folder, Hospital, NOW, Side, days_before, device_id, handshake, host};
use crate::{DeviceCa, ServerCa};

fn reason(folder: &Folder, pair: &CertificateFiles) -> String {
    let problems = ServerCertificates::load(std::slice::from_ref(pair), NOW).unwrap_err();
    assert_eq!(problems.len(), 1);
    let text = problems[0].to_string();
    assert!(text.contains(folder.0.to_str().unwrap()), "a problem names its file: {text}");
    text
}

#[test]
fn a_name_is_served_by_its_own_certificate_before_a_wildcard_of_one_label() {
    let folder = Folder::new();
    let ca = ServerCa::create("ca", NOW).unwrap();
    let (wild, own) = (folder.pair("wild"), folder.pair("own"));
    ca.issue(&["*.hosp.example", "Login.Example"], NOW, 90 * DAY).unwrap().save(&wild).unwrap();
    ca.issue(&["emr.hosp.example", "10.0.0.1"], NOW, 30 * DAY).unwrap().save(&own).unwrap();
    let certificates = ServerCertificates::load(&[wild, own], NOW).unwrap();
    let serving = |name| certificates.certificate_of(&host(name));
    assert!(serving("pacs.hosp.example").is_some());
    assert_eq!(serving("pacs.hosp.example"), serving("lab.hosp.example"));
    assert_eq!(serving("pacs.hosp.example"), serving("login.example"));
    assert!(serving("emr.hosp.example").is_some());
    assert_ne!(serving("emr.hosp.example"), serving("pacs.hosp.example"), "421 between them");
    for uncovered in ["hosp.example", "a.b.hosp.example", "x.emr.hosp.example", "example", "emr.hosp.example.evil"] {
        assert!(!certificates.covers(&host(uncovered)), "{uncovered}");
    }
    let ends: Vec<_> = certificates.expiries().into_iter().map(|(_, ends_at)| ends_at).collect();
    assert_eq!(ends, vec![NOW.after(90 * DAY), NOW.after(30 * DAY)]);
}

#[test]
fn clients_that_ask_for_no_name_or_an_unknown_one_are_refused() {
    let hospital = Hospital::new();
    let server = hospital.listener(Off, High);
    assert!(handshake(&hospital.browser(None), &server, "EMR.hosp.example").is_ok(), "case does not matter");
    for unknown in ["hosp.example", "a.b.hosp.example", "emr.elsewhere.example", "127.0.0.1"] {
        let (side, _) = handshake(&hospital.browser(None), &server, unknown).unwrap_err();
        assert_eq!(side, Side::Server, "{unknown}");
    }
}

#[test]
fn reload_serves_the_renewed_certificate_and_keeps_the_old_one_on_error() {
    let hospital = Hospital::new();
    let server = hospital.listener(Off, High);
    let pair = hospital.folder.pair("hosp");
    let shown = || {
        let (client, _) = handshake(&hospital.browser(None), &server, "emr.hosp.example").unwrap();
        fingerprint(&client.peer_certificates().unwrap()[0])
    };
    let old = shown();
    std::fs::write(&pair.key, "half a k").unwrap();
    assert_eq!(hospital.certificates.reload(std::slice::from_ref(&pair), NOW).unwrap_err().len(), 1);
    assert_eq!(shown(), old);
    assert!(hospital.certificates.covers(&host("emr.hosp.example")));

    hospital.server_ca.issue(&["*.hosp.example"], NOW, 200 * DAY).unwrap().save(&pair).unwrap();
    assert_eq!(shown(), old, "files alone change nothing");
    hospital.certificates.reload(&[pair], NOW).unwrap();
    assert_ne!(shown(), old);
    assert_eq!(hospital.certificates.expiries()[0].1, NOW.after(200 * DAY));
}

#[test]
fn a_key_of_another_certificate_is_refused_with_both_names() {
    let folder = Folder::new();
    let ca = ServerCa::create("ca", NOW).unwrap();
    let (one, two) = (folder.pair("one"), folder.pair("two"));
    ca.issue(&["one.example"], NOW, DAY).unwrap().save(&one).unwrap();
    ca.issue(&["two.example"], NOW, DAY).unwrap().save(&two).unwrap();
    let mixed = CertificateFiles { certificate: one.certificate, key: two.key };
    let text = reason(&folder, &mixed);
    assert!(text.contains("two.key: is not the key of") && text.contains("one.pem"), "{text}");
}

#[test]
fn what_cannot_serve_is_refused_with_its_reason() {
    let folder = Folder::new();
    let ca = ServerCa::create("ca", days_before(300)).unwrap();
    let pair = folder.pair("gateway");
    let save = |names: &[&str], at| ca.issue(names, at, 90 * DAY).unwrap().save(&pair).unwrap();

    save(&["a.example"], days_before(100));
    assert!(reason(&folder, &pair).contains("expired on 2026-03-22"), "{}", reason(&folder, &pair));
    save(&["a.example"], NOW.after(2 * DAY));
    assert!(reason(&folder, &pair).contains("is not valid before 2026-04-02"), "{}", reason(&folder, &pair));
    for no_host in [[].as_slice(), &["10.0.0.1"], &["a_b.example"], &["*.*.example"]] {
        save(no_host, NOW);
        assert!(reason(&folder, &pair).contains("(SAN)"), "{no_host:?}");
    }
    let devices = DeviceCa::open_or_create(&folder.0.join("ca"), "clinic", NOW).unwrap();
    let device = devices.issue(&device_id("d-1"), DeviceClass::Fixed, NOW, DAY).unwrap();
    std::fs::write(&pair.certificate, &device.certificate_pem).unwrap();
    std::fs::write(&pair.key, device.key_pem.expose()).unwrap();
    assert!(reason(&folder, &pair).contains("is not for servers"));

    save(&["a.example"], NOW);
    assert!(ServerCertificates::load(std::slice::from_ref(&pair), NOW).is_ok());
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(&pair.key, locked).unwrap();
    assert!(reason(&folder, &pair).contains("passphrase"));
    std::fs::write(&pair.key, "no key here").unwrap();
    assert!(reason(&folder, &pair).contains("holds no private key"));
    std::fs::remove_file(&pair.key).unwrap();
    assert!(reason(&folder, &pair).contains("gateway.key: cannot be read"));
    std::fs::write(&pair.certificate, [0x30, 0x82, 0x01]).unwrap();
    assert!(reason(&folder, &pair).contains("holds no certificate"));
    std::fs::write(&pair.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(reason(&folder, &pair).contains("holds no readable certificate"));
}

#[test]
fn every_problem_is_told_at_once() {
    let folder = Folder::new();
    let problems = ServerCertificates::load(&[folder.pair("one"), folder.pair("two")], NOW).unwrap_err();
    assert_eq!(problems.len(), 2);
}

#[test]
fn one_certificate_is_replaced_though_the_file_of_another_has_become_unusable() {
    let folder = Folder::new();
    let ca = ServerCa::create("ca", NOW).unwrap();
    let (other, own) = (folder.pair("other"), folder.pair("own"));
    ca.issue(&["pacs.hosp.example"], NOW, 90 * DAY).unwrap().save(&other).unwrap();
    let certificates = ServerCertificates::load(std::slice::from_ref(&other), NOW).unwrap();
    assert!(certificates.replace(&own, NOW).is_err(), "there is none yet");
    assert_eq!(certificates.shown_from(&own.certificate), None);
    std::fs::write(&other.certificate, "half a c").unwrap();
    let pacs = certificates.certificate_of(&host("pacs.hosp.example"));
    let mut before = None;
    for _ in 0..2 {
        ca.issue(&["emr.hosp.example"], NOW, 30 * DAY).unwrap().save(&own).unwrap();
        certificates.replace(&own, NOW).unwrap();
        let now = certificates.certificate_of(&host("emr.hosp.example"));
        assert!(now.is_some() && now != before);
        assert_eq!(certificates.shown_from(&own.certificate), now);
        assert_eq!(certificates.certificate_of(&host("pacs.hosp.example")), pacs);
        assert_eq!(certificates.lives().len(), 2, "the one before is gone");
        before = now;
    }
}

#[test]
fn a_ca_that_looks_is_shown_the_proof_of_that_name_and_nobody_else_is() {
    let hospital = Hospital::new();
    let server = hospital.listener(config::ClientCertificates::Optional, config::TlsProfile::High);
    let digest = [7; 32];
    let browser = hospital.browser(None);
    let mut ca = hospital.browser(None);
    ca.alpn_protocols = vec![crate::ACME_PROTOCOL.to_vec()];
    ca.dangerous().set_certificate_verifier(Arc::new(AnyCertificate));
    ca.resumption = rustls::client::Resumption::disabled();
    assert!(handshake(&ca, &server, "emr.hosp.example").is_err(), "nothing is shown before anything was ordered");
    hospital.certificates.show_proofs(&[(host("emr.hosp.example"), digest)]).unwrap();
    let (looking, _) = handshake(&ca, &server, "emr.hosp.example").unwrap();
    let shown = looking.peer_certificates().unwrap()[0].clone();
    let (_, proof) = x509_parser::parse_x509_certificate(&shown).unwrap();
    let identifier = proof.iter_extensions().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
    assert!(identifier.critical && identifier.value.ends_with(&digest));
    assert!(handshake(&ca, &server, "pacs.hosp.example").is_err(), "of another name nothing");
    let (reading, _) = handshake(&browser, &server, "emr.hosp.example").unwrap();
    assert_ne!(reading.peer_certificates().unwrap()[0], shown, "people are shown what they always are");
    let mut both = ca.clone();
    both.alpn_protocols.push(b"h2".to_vec());
    let (either, _) = handshake(&both, &server, "emr.hosp.example").unwrap();
    assert_ne!(either.peer_certificates().unwrap()[0], shown, "who also speaks otherwise is no CA that looks");
    hospital.certificates.show_proofs(&[]).unwrap();
    assert!(handshake(&ca, &server, "emr.hosp.example").is_err());
}

#[test]
fn a_request_holds_every_name_and_is_signed_by_its_key() {
    let names = ["emr.hosp.example", "*.hosp.example"].map(|name| config::AcmeName::parse(name).unwrap());
    let made = crate::server_request(&names).unwrap();
    assert!(!format!("{made:?}").contains("PRIVATE"));
    let text = crate::testing::run("openssl", &["req", "-inform", "der", "-noout", "-text", "-verify"], &made.request);
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("DNS:emr.hosp.example, DNS:*.hosp.example"), "{text}");
}

#[test]
fn what_is_short_depends_on_how_long_a_certificate_lives() {
    let life = |days: u32| Life { file: String::new(), starts_at: NOW, ends_at: NOW.after(DAY * days) };
    let warning = DAY * 14;
    assert!(!life(397).is_short(NOW.after(DAY * 382), warning) && life(397).is_short(NOW.after(DAY * 384), warning));
    assert!(!life(6).is_short(NOW.after(DAY * 4), warning) && life(6).is_short(NOW.after(DAY * 6), warning));
}

/// A CA that looks believes nobody: it reads what it is shown.
#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
