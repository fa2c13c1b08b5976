//! The files of the device CA: made, read, and their keys sealed in place.

use std::path::Path;

use config::CertificateFiles;
use policy::Timestamp;
use rcgen::{DistinguishedName, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::{DeviceCa, LIFETIME};
use crate::der::Facts;
use crate::provider::provider;
use crate::sealed::{Openers, Sealed};
use crate::{CertProblem, files, pem, signing};

/// What a CA was read from files as.
pub(super) struct Read {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    /// The certificate's file, for what is wrong with it.
    place: String,
}

/// Makes a CA in a file, if the file is not there.
pub(super) fn make(file: &Path, openers: &Openers<'_>, facility: &str, at: Timestamp) -> Result<(), CertProblem> {
    if file.try_exists().unwrap_or(true) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        files::private_folder(folder)?;
    }
    let place = "device CA";
    let key = signing::make_key(place)?;
    let mut params = signing::ca_params("Sekimori device CA", &key, ExtendedKeyUsagePurpose::ClientAuth);
    signing::push_organization(&mut params, facility);
    signing::set_validity(&mut params, at, signing::end_of(at, LIFETIME));
    let certificate = params.self_signed(&key).map_err(|error| signing::not_made(place, &error))?;
    let sealed = openers.seal(key.serialized_der(), certificate.der())?;
    // False if another program was faster; then its file counts.
    files::write_private_once(file, [sealed.as_str(), &certificate.pem()].concat().as_bytes()).map(|_| ())
}

/// Opens the gateway's own file.
pub(super) fn open(file: &Path, openers: &Openers<'_>) -> Result<Read, CertProblem> {
    let bytes = files::read(file)?;
    let certificates = if is_text_with(&bytes, "BEGIN CERTIFICATE") {
        files::certificates_in(file, &bytes)?
    } else {
        return Err(damaged(file));
    };
    read(file, file, certificates, &bytes, openers)
}

/// Opens what the hospital gives: a certificate, those above it, and the key.
pub(super) fn open_given(given: &CertificateFiles, openers: &Openers<'_>) -> Result<Read, CertProblem> {
    let chain = files::certificates(&given.certificate)?;
    let bytes = files::read(&given.key)?;
    read(&given.certificate, &given.key, chain, &bytes, openers)
}

/// The certificate of a CA's file, without its key.
pub(super) fn certificate(file: &Path) -> Result<CertificateDer<'static>, CertProblem> {
    files::certificates(file)?.into_iter().next().ok_or_else(|| damaged(file))
}

/// The name of a certificate, to be written again.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Option<DistinguishedName> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut name = DistinguishedName::new();
    for attribute in parsed.subject().iter_attributes() {
        let kind = attribute.attr_type().iter()?.collect::<Vec<u64>>();
        name.push(rcgen::DnType::from_oid(&kind), attribute.as_str().ok()?);
    }
    Some(name)
}

impl Read {
    /// The CA, ready to sign.
    pub(super) fn ca(self, facility: &str, former: Option<CertificateDer<'static>>) -> Result<DeviceCa, CertProblem> {
        let Self { chain, key, place } = self;
        let unusable = |reason: &str, remedy: &str| CertProblem::new(place.clone(), reason, remedy);
        let no_ca = || {
            unusable(
                "is not the certificate of a CA that may sign devices",
                "ask the hospital's CA for an intermediate: basicConstraints CA:TRUE, keyUsage keyCertSign, and no extended key usage or `clientAuth` among it",
            )
        };
        let own = chain.first().ok_or_else(no_ca)?.clone();
        let facts = Facts::read(&own).filter(|facts| facts.may_sign_devices).ok_or_else(no_ca)?;
        let issuer = Issuer::from_ca_cert_der(&own, key).map_err(|_| no_ca())?;
        if !signs_under_its_name(&issuer, &own) {
            return Err(unusable(
                "bears a name that cannot be written below it in the same words",
                "ask for a certificate whose subject has each attribute once, such as the one that the request names",
            ));
        }
        Ok(DeviceCa {
            certificate_pem: pem::certificate(&own),
            ends_at: facts.ends_at,
            former: former.filter(|former| *former != own),
            issuer,
            chain,
            facility: facility.to_owned(),
        })
    }
}

/// Reads a key and whether it belongs to the first of the certificates; seals it in its file if it is not, or should be
/// sealed otherwise.
fn read(
    certificate_file: &Path,
    key_file: &Path,
    chain: Vec<CertificateDer<'static>>,
    bytes: &Zeroizing<Vec<u8>>,
    openers: &Openers<'_>,
) -> Result<Read, CertProblem> {
    if files::is_open_to_others(key_file) {
        return Err(CertProblem::at(
            key_file,
            "holds the key of the device CA and may be read by others",
            "run `chmod 600` on it, and consider whether somebody may have copied it",
        ));
    }
    let own = chain.first().ok_or_else(|| damaged(certificate_file))?;
    // A sealed key is bound to the certificate of its own file, and where there is none, to no certificate: the
    // hospital may certify the same key anew.
    let beside = if is_text_with(bytes, "BEGIN CERTIFICATE") {
        files::certificates_in(key_file, bytes)?.into_iter().next()
    } else {
        None
    };
    let bound_to: &[u8] = beside.as_deref().unwrap_or_default();
    let (key, seal_it) = match Sealed::find(bytes) {
        Some(Ok(sealed)) => {
            let opened = openers.open(&sealed, bound_to, key_file)?;
            // Sealed in whatever form it lay there plain: PKCS#8, PKCS#1 or SEC1.
            let key = PrivateKeyDer::try_from(opened.to_vec()).map_err(|_| damaged(key_file))?;
            (key, openers.would_seal_otherwise(&sealed))
        }
        Some(Err(problem)) => {
            let remedy = "restore it from a backup; a CA made afresh knows no device";
            return Err(CertProblem::at(key_file, problem.to_string(), remedy));
        }
        None => (files::private_key_in(key_file, bytes)?, true),
    };
    let signer = KeyPair::try_from(&key).map_err(|_| damaged(key_file))?;
    if CertifiedKey::from_der(vec![own.clone()], key, &provider()).is_err() {
        return Err(CertProblem::at(
            key_file,
            format!("holds a key that is not the key of its certificate in {}", certificate_file.display()),
            "restore both from the same backup; a CA made afresh knows no device",
        ));
    }
    if seal_it {
        let certificate = beside.as_ref().map(|der| pem::certificate(der)).unwrap_or_default();
        let sealed = openers.seal(signer.serialized_der(), bound_to)?;
        opens_again(&sealed, openers, bound_to, signer.serialized_der(), key_file)?;
        files::write_private(key_file, [sealed, certificate].concat().as_bytes()).map_err(|problem| CertProblem {
            reason: format!("holds the key of the device CA unsealed, and {}", problem.reason),
            remedy: "put it into the state directory, or let `sekimori doctor`, run as the gateway's user, seal it where it lies".to_owned(),
            ..problem
        })?;
        tracing::info!(file = %key_file.display(), "the device CA's key is sealed now");
    }
    Ok(Read { chain, key: signer, place: certificate_file.display().to_string() })
}

/// The last plain copy of a key is given up only for a block that was just seen to open.
fn opens_again(
    sealed: &str,
    openers: &Openers<'_>,
    bound_to: &[u8],
    key: &[u8],
    file: &Path,
) -> Result<(), CertProblem> {
    let not_sealed = || CertProblem::at(file, "holds a key that cannot be sealed", "look at the system's log");
    let sealed = Sealed::find(sealed.as_bytes()).and_then(Result::ok).ok_or_else(not_sealed)?;
    let opened = openers.open(&sealed, bound_to, file)?;
    if *opened == key { Ok(()) } else { Err(not_sealed()) }
}

/// Whether what the issuer signs names it in the very bytes of its own certificate; chains are followed by them.
fn signs_under_its_name(issuer: &Issuer<'static, KeyPair>, own: &CertificateDer<'_>) -> bool {
    let trial = signing::make_key("device CA").ok().and_then(|key| {
        let params = signing::end_params("trial", ExtendedKeyUsagePurpose::ClientAuth).ok()?;
        params.signed_by(&key, issuer).ok()
    });
    let Some(trial) = trial else { return false };
    match (x509_parser::parse_x509_certificate(trial.der()), x509_parser::parse_x509_certificate(own)) {
        (Ok((_, trial)), Ok((_, own))) => trial.issuer().as_raw() == own.subject().as_raw(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) | (Err(_), Err(_)) => false,
    }
}

fn is_text_with(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

fn damaged(file: &Path) -> CertProblem {
    CertProblem::at(
        file,
        "is not the file of a device CA",
        "restore it from a backup; a CA made afresh knows no device",
    )
}
