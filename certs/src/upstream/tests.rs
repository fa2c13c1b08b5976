use std::path::PathBuf;

use config::ClientCertificates::Required;
use config::TlsProfile::{High, HighCompat};
use rustls::ProtocolVersion;

use super::*;
use crate::testing::{DAY, Hospital, NOW, Side, client_at_now, handshake};
use crate::{ServerCa, fingerprint};

const EMR: &str = "emr.hosp.example";

/// TLS towards the hospital's own listener, which here plays the upstream.
fn tls(hospital: &Hospital, ca: &str) -> UpstreamTls {
    UpstreamTls { ca_file: Some(hospital.folder.write("upstream-ca.pem", ca)), ..UpstreamTls::default() }
}

#[test]
fn the_upstream_must_be_signed_by_the_named_ca_and_bear_the_name() {
    let hospital = Hospital::new();
    let server = hospital.listener(config::ClientCertificates::Off, High);
    let client = |ca: &str| client_at_now(upstream_config(&tls(&hospital, ca), UpstreamProtocol::Http1).unwrap());
    let (_, accepted) = handshake(&client(hospital.server_ca.certificate_pem()), &server, EMR).unwrap();
    assert_eq!(accepted.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert_eq!(accepted.protocol_version(), Some(ProtocolVersion::TLSv1_3));

    let stranger = ServerCa::create("病院のCA", NOW).unwrap();
    let (side, _) = handshake(&client(stranger.certificate_pem()), &server, EMR).unwrap_err();
    assert_eq!(side, Side::Client);

    let pair = hospital.folder.pair("hosp");
    hospital.server_ca.issue(&["pacs.hosp.example", "10.0.0.5"], NOW, DAY).unwrap().save(&pair).unwrap();
    hospital.certificates.reload(&[pair], NOW).unwrap();
    assert!(handshake(&client(hospital.server_ca.certificate_pem()), &server, "pacs.hosp.example").is_ok());
    assert!(handshake(&client(hospital.server_ca.certificate_pem()), &server, EMR).is_err());
}

#[test]
fn http_2_is_asked_for_where_it_is_spoken() {
    let hospital = Hospital::new();
    let tls = tls(&hospital, hospital.server_ca.certificate_pem());
    let client = client_at_now(upstream_config(&tls, UpstreamProtocol::Http2).unwrap());
    let (client, _) = handshake(&client, &hospital.listener(config::ClientCertificates::Off, HighCompat), EMR).unwrap();
    assert_eq!(client.alpn_protocol(), Some(b"h2".as_slice()));
}

#[test]
fn the_gateway_shows_its_certificate_where_it_has_one() {
    let hospital = Hospital::new();
    let device = hospital.device();
    let pair = hospital.folder.pair("gateway");
    std::fs::write(&pair.certificate, &device.certificate_pem).unwrap();
    std::fs::write(&pair.key, device.key_pem.expose()).unwrap();
    let without = tls(&hospital, hospital.server_ca.certificate_pem());
    let with = UpstreamTls { client_certificate: Some(pair.clone()), ..without.clone() };
    let upstream = hospital.listener(Required, High);
    let client = client_at_now(upstream_config(&with, UpstreamProtocol::Http1).unwrap());
    let (_, server) = handshake(&client, &upstream, EMR).unwrap();
    assert_eq!(fingerprint(&server.peer_certificates().unwrap()[0]), device.fingerprint);
    let client = client_at_now(upstream_config(&without, UpstreamProtocol::Http1).unwrap());
    assert!(handshake(&client, &upstream, EMR).is_err());

    std::fs::write(&pair.key, hospital.device().key_pem.expose()).unwrap();
    let problem = upstream_config(&with, UpstreamProtocol::Http1).unwrap_err().to_string();
    assert!(problem.contains("gateway.key: is not the key of"), "{problem}");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_a_problem_and_not_the_systems_roots() {
    let missing = UpstreamTls { ca_file: Some(PathBuf::from("/nowhere/ca.pem")), ..UpstreamTls::default() };
    let problem = upstream_config(&missing, UpstreamProtocol::Http1).unwrap_err().to_string();
    assert!(problem.contains("/nowhere/ca.pem: cannot be read"), "{problem}");
}
