//! What both small CAs share when they sign.

use std::time::Duration;

use policy::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};

use crate::CertProblem;
use crate::der::sha256;

/// Certificates begin this much before they are made, for devices whose clock is behind.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(10 * 60);
/// The longest name in a subject (X.520, `ub-common-name` and `ub-organization-name`).
const SUBJECT_CHARACTERS_MAX: usize = 64;
/// 9999-12-31T23:59:59Z, the last moment X.509 can say.
const LAST_SECOND: i64 = 253_402_300_799;

/// The parameters of a CA that signs end certificates of one kind only.
pub(crate) fn ca_params(name: &str, key: &KeyPair, use_: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // The digits keep a CA apart from one that stood here before it, in every certificate picker.
    let [a, b, c, d, ..] = sha256(key.public_key_raw());
    let name = subject(name, SUBJECT_CHARACTERS_MAX - 9);
    params.distinguished_name.push(DnType::CommonName, format!("{name} {a:02x}{b:02x}{c:02x}{d:02x}"));
    params.is_ca = of_end_certificates();
    params.key_usages = ca_usages();
    params.extended_key_usages = vec![use_];
    params
}

/// A CA that signs end certificates only, no other CA.
pub(crate) fn of_end_certificates() -> IsCa {
    IsCa::Ca(BasicConstraints::Constrained(0))
}

/// What a CA's key is for.
pub(crate) fn ca_usages() -> Vec<KeyUsagePurpose> {
    vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]
}

/// The parameters of an end certificate, with a number at random: one made from the key would come twice when a
/// certificate is renewed for the same key.
pub(crate) fn end_params(name: &str, use_: ExtendedKeyUsagePurpose) -> Result<CertificateParams, CertProblem> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(random_number(name)?);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject(name, SUBJECT_CHARACTERS_MAX));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![use_];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Adds the institution to a subject.
pub(crate) fn push_organization(params: &mut CertificateParams, facility: &str) {
    params.distinguished_name.push(DnType::OrganizationName, subject(facility, SUBJECT_CHARACTERS_MAX));
}

/// Sets from when until when.
pub(crate) fn set_validity(params: &mut CertificateParams, at: Timestamp, ends_at: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = |second: i64| Duration::from_secs(second.clamp(0, LAST_SECOND).unsigned_abs());
    let tolerance = i64::try_from(CLOCK_TOLERANCE.as_secs()).unwrap_or(0);
    params.not_before = epoch + since_epoch(at.unix_seconds().saturating_sub(tolerance));
    params.not_after = epoch + since_epoch(ends_at.unix_seconds());
}

/// The end of something made now, in whole seconds as X.509 says it.
pub(crate) fn end_of(at: Timestamp, lifetime: Duration) -> Timestamp {
    let second = at.after(lifetime).unix_seconds().clamp(0, LAST_SECOND);
    Timestamp::from_unix_micros(second.saturating_mul(1_000_000))
}

/// Makes an ECDSA P-256 key.
pub(crate) fn make_key(place: &str) -> Result<KeyPair, CertProblem> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|error| not_made(place, &error))
}

pub(crate) fn not_made(place: &str, error: &rcgen::Error) -> CertProblem {
    CertProblem::new(place, format!("a certificate cannot be made: {error}"), "check the names given")
}

fn random_number(place: &str) -> Result<SerialNumber, CertProblem> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| CertProblem::new(place, "the system yields no random numbers", "look at its log"))?;
    // Positive, and never short: the first digit is 4 to 7.
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

fn subject(text: &str, characters_max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(characters_max).collect()
}
