use config::ClientCertificates::{Off, Optional, Required};
use config::TlsProfile::{High, HighCompat};
use policy::DeviceClass;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion};

use super::*;
use crate::testing::{
    DAY, Folder, Hospital, NOW, Side, always_shows, client_at_now, days_before, device_id, handshake, trust,
};
use crate::{DeviceCa, fingerprint};

const EMR: &str = "emr.hosp.example";

fn only_tls_1_2(client: &ClientConfig, hospital: &Hospital) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let pem = hospital.server_ca.certificate_pem();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let mut old = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    old.client_auth_cert_resolver = Arc::clone(&client.client_auth_cert_resolver);
    client_at_now(old)
}

#[test]
fn the_high_profile_refuses_tls_1_2() {
    let hospital = Hospital::new();
    let old = only_tls_1_2(&hospital.browser(None), &hospital);
    let (side, error) = handshake(&old, &hospital.listener(Off, High), EMR).unwrap_err();
    assert_eq!(side, Side::Server);
    assert!(matches!(error, rustls::Error::PeerIncompatible(_)), "{error}");
}

#[test]
fn the_compatible_profile_takes_tls_1_2_with_forward_secrecy_and_aead() {
    let hospital = Hospital::new();
    let device = hospital.device();
    let old = only_tls_1_2(&hospital.browser_of(&device), &hospital);
    let (_, server) = handshake(&old, &hospital.listener(Required, HighCompat), EMR).unwrap();
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = format!("{:?}", server.negotiated_cipher_suite().unwrap().suite());
    assert!(suite.contains("ECDHE") && (suite.contains("GCM") || suite.contains("POLY1305")), "{suite}");
    assert_eq!(fingerprint(&server.peer_certificates().unwrap()[0]), device.fingerprint);

    let nameless = only_tls_1_2(&hospital.browser(None), &hospital);
    assert_eq!(handshake(&nameless, &hospital.listener(Required, HighCompat), EMR).unwrap_err().0, Side::Server);
}

#[test]
fn hybrid_post_quantum_key_exchange_is_negotiated_and_x25519_still_works() {
    let hospital = Hospital::new();
    let server = hospital.listener(Off, High);
    let group = |client: &ClientConfig| {
        let (client, _) = handshake(client, &server, EMR).unwrap();
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        client.negotiated_key_exchange_group().unwrap().name()
    };
    assert_eq!(group(&hospital.browser(None)), NamedGroup::X25519MLKEM768);

    let classic = CryptoProvider { kx_groups: vec![kx_group::X25519], ..(*provider()).clone() };
    let mut roots = rustls::RootCertStore::empty();
    let pem = hospital.server_ca.certificate_pem();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(classic))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert_eq!(group(&client_at_now(client)), NamedGroup::X25519);
}

#[test]
fn http_2_is_preferred() {
    let hospital = Hospital::new();
    let (_, server) = handshake(&hospital.browser(None), &hospital.listener(Off, High), EMR).unwrap();
    assert_eq!(server.alpn_protocol(), Some(b"h2".as_slice()));
    let mut other = hospital.browser(None);
    other.alpn_protocols = vec![b"smtp".to_vec()];
    assert!(handshake(&other, &hospital.listener(Off, High), EMR).is_err());
}

#[test]
fn a_required_certificate_is_required() {
    let hospital = Hospital::new();
    let server = hospital.listener(Required, High);
    let (side, error) = handshake(&hospital.browser(None), &server, EMR).unwrap_err();
    assert_eq!((side, error), (Side::Server, rustls::Error::NoCertificatesPresented));
    let device = hospital.device();
    let (_, server) = handshake(&hospital.browser_of(&device), &server, EMR).unwrap();
    assert_eq!(fingerprint(&server.peer_certificates().unwrap()[0]), device.fingerprint);
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_false() {
    let hospital = Hospital::new();
    let server = hospital.listener(Optional, High);
    let (_, without) = handshake(&hospital.browser(None), &server, EMR).unwrap();
    assert_eq!(without.peer_certificates(), None);
    let device = hospital.device();
    let (_, with) = handshake(&hospital.browser_of(&device), &server, EMR).unwrap();
    assert_eq!(fingerprint(&with.peer_certificates().unwrap()[0]), device.fingerprint);

    // The same names, signed by a CA that merely looks like the hospital's.
    let elsewhere = Folder::new();
    let forged = DeviceCa::open_or_create(&elsewhere.0.join("ca"), "みなと病院", NOW).unwrap();
    let forged = forged.issue(&device_id("ward3-01"), DeviceClass::WardShared, NOW, 365 * DAY).unwrap();
    let mut liar = hospital.browser_of(&forged);
    liar.client_auth_cert_resolver = always_shows(&forged.certificate_pem, forged.key_pem.expose());
    assert_eq!(handshake(&liar, &server, EMR).unwrap_err().0, Side::Server);
}

#[test]
fn expired_certificates_and_those_of_servers_are_no_device_certificates() {
    let hospital = Hospital::new();
    let server = hospital.listener(Optional, High);
    let expired = hospital.device_ca.issue(&device_id("old"), DeviceClass::Tablet, days_before(100), 90 * DAY).unwrap();
    assert_eq!(handshake(&hospital.browser_of(&expired), &server, EMR).unwrap_err().0, Side::Server);
    let borrowed = hospital.server_ca.issue(&["pacs.hosp.example"], NOW, DAY).unwrap();
    let mut liar = hospital.browser(None);
    liar.client_auth_cert_resolver = always_shows(&borrowed.certificate_pem, borrowed.key_pem.expose());
    assert_eq!(handshake(&liar, &server, EMR).unwrap_err().0, Side::Server);
}

#[test]
fn a_listener_that_does_not_ask_is_shown_nothing() {
    let hospital = Hospital::new();
    let client = hospital.browser_of(&hospital.device());
    let (_, server) = handshake(&client, &hospital.listener(Off, High), EMR).unwrap();
    assert_eq!(server.peer_certificates(), None);
}

#[test]
fn a_session_is_resumed_with_its_device_and_without_early_data() {
    let hospital = Hospital::new();
    let device = hospital.device();
    let server = hospital.listener(Required, High);
    let mut client = hospital.browser_of(&device);
    client.enable_early_data = true;
    let (_, first) = handshake(&client, &server, EMR).unwrap();
    assert_eq!(first.handshake_kind(), Some(HandshakeKind::Full));
    let (mut again, second) = handshake(&client, &server, EMR).unwrap();
    assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(fingerprint(&second.peer_certificates().unwrap()[0]), device.fingerprint);
    assert!(!again.is_early_data_accepted() && again.early_data().is_none());
    assert_eq!(server.max_early_data_size, 0);
}

#[test]
fn resumption_never_crosses_listeners() {
    for profile in [High, HighCompat] {
        let hospital = Hospital::new();
        let open = hospital.listener(Off, profile);
        let closed = hospital.listener(Required, profile);
        let mut client = hospital.browser(None);
        if profile == HighCompat {
            client = only_tls_1_2(&client, &hospital);
        }
        handshake(&client, &open, EMR).unwrap();
        let (_, resumed) = handshake(&client, &open, EMR).unwrap();
        assert_eq!(resumed.handshake_kind(), Some(HandshakeKind::Resumed), "the client does hold tickets");
        assert_eq!(handshake(&client, &closed, EMR).unwrap_err().0, Side::Server);
        let (_, other) = handshake(&client, &hospital.listener(Off, profile), EMR).unwrap();
        assert_eq!(other.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn resumption_never_crosses_names() {
    let hospital = Hospital::new();
    let server = hospital.listener(Off, High);
    let client = hospital.browser(None);
    handshake(&client, &server, EMR).unwrap();
    let (_, other) = handshake(&client, &server, "pacs.hosp.example").unwrap();
    assert_eq!(other.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn sessions_from_before_a_change_of_roots_are_not_resumed() {
    let hospital = Hospital::new();
    let server = hospital.listener(Required, High);
    let client = hospital.browser_of(&hospital.device());
    handshake(&client, &server, EMR).unwrap();
    hospital.roots.reload(&hospital.device_ca, &trust(&[]), NOW).unwrap();
    let (_, unchanged) = handshake(&client, &server, EMR).unwrap();
    assert_eq!(unchanged.handshake_kind(), Some(HandshakeKind::Resumed), "reloading the same changes nothing");

    let mdm = hospital.folder.write("mdm.pem", hospital.server_ca.certificate_pem());
    hospital.roots.reload(&hospital.device_ca, &trust(&[mdm]), NOW).unwrap();
    let (_, changed) = handshake(&client, &server, EMR).unwrap();
    assert_eq!(changed.handshake_kind(), Some(HandshakeKind::Full));
}
