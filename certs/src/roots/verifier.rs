//! Asking one CA after the other whether a client's certificate is genuine and not revoked.

use std::sync::Arc;

use policy::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::crl::Crl;
use crate::provider::provider;
use crate::{CertProblem, Refusal};

/// The CAs in force.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The gateway's own CA; whether a device of its is revoked, the ledger says.
    own: Group,
    /// The others, each for itself: two that bear one name, as after a CA got a new key, have lists of their own.
    others: Vec<Group>,
    /// The gateway's own CA, to tell whether something changed.
    pub(super) own_certificates: Vec<CertificateDer<'static>>,
    /// The others' CAs.
    pub(super) other_certificates: Vec<CertificateDer<'static>>,
    pub(super) crls: Vec<Kept>,
    pub(super) manner: Manner,
}

/// What the configuration wants of the others' certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// Whether their CAs' lists are asked. Then a CA of which there is none is not believed.
    pub(super) asks_lists: bool,
    /// Whether the places that they name for those lists are used.
    pub(super) learns_points: bool,
}

/// A revocation list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The file, or the address it was fetched from.
    pub(super) source: String,
    pub(super) crl: Crl,
    pub(super) usable_until: Timestamp,
}

#[derive(Debug)]
struct Group {
    inner: Arc<dyn ClientCertVerifier>,
    /// Names of its CAs, in DER.
    names: Vec<Vec<u8>>,
    /// Whose lists it asks, and until when they are believed.
    lists: Vec<(Vec<u8>, Timestamp)>,
    /// Whether there must be one.
    asks_lists: bool,
}

impl Verifier {
    /// Joins CAs and lists. Each list must be signed by one of the others' CAs.
    pub(super) fn new(
        own: Vec<CertificateDer<'static>>,
        others: Vec<CertificateDer<'static>>,
        crls: Vec<Kept>,
        manner: Manner,
    ) -> Result<Self, CertProblem> {
        let groups = others.iter().map(|ca| {
            let about_it = |kept: &&Kept| !is_named(ca, &kept.crl.issuer) || kept.crl.is_signed_by(ca);
            Group::new(std::slice::from_ref(ca), crls.iter().filter(about_it), manner.asks_lists)
        });
        Ok(Self {
            others: groups.collect::<Result<_, _>>()?,
            own: Group::new(&own, std::iter::empty(), false)?,
            own_certificates: own,
            other_certificates: others,
            crls,
            manner,
        })
    }

    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Err(error) = self.own.verify(end_entity, intermediates, now) else { return Ok(()) };
        let mut errors = vec![error];
        for other in &self.others {
            match other.verify(end_entity, intermediates, now) {
                Ok(()) => return Ok(()),
                Err(error) => errors.push(error),
            }
        }
        let telling = errors.into_iter().max_by_key(weight);
        // Whatever else is wrong with it: to say that a stranger's certificate has expired would be bad advice.
        let issuers = issuers(end_entity, intermediates);
        let is_known = self.groups().flat_map(|group| &group.names).any(|name| issuers.contains(name));
        match telling {
            Some(error) if is_known || Refusal::of(&error) == Some(Refusal::Malformed) => Err(error),
            Some(_) | None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    /// Whether another set is made from the same CAs.
    pub(super) fn has_the_cas_of(&self, other: &Self) -> bool {
        self.own_certificates == other.own_certificates && self.other_certificates == other.other_certificates
    }

    /// The next moment at which one of the lists in force is too old; `None` if that is past for all of them.
    pub(super) fn next_too_old_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.crls.iter().map(|kept| kept.usable_until).filter(|until| at < *until).min()
    }

    pub(super) fn subjects(&self) -> Vec<DistinguishedName> {
        self.groups().flat_map(|group| group.inner.root_hint_subjects()).cloned().collect()
    }

    pub(super) fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.inner.verify_tls12_signature(message, certificate, signature)
    }

    pub(super) fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.inner.verify_tls13_signature(message, certificate, signature)
    }

    pub(super) fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.inner.supported_verify_schemes()
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.own).chain(&self.others)
    }
}

impl Group {
    fn new<'a>(
        cas: &[CertificateDer<'static>],
        lists: impl Iterator<Item = &'a Kept> + Clone,
        asks_lists: bool,
    ) -> Result<Self, CertProblem> {
        let unusable = |error: &dyn std::fmt::Display| {
            CertProblem::new(
                "device CAs",
                format!("cannot be used: {error}"),
                "check each CA file with `openssl x509`, and each list with `openssl crl`",
            )
        };
        let mut store = RootCertStore::empty();
        for ca in cas {
            store.add(ca.clone()).map_err(|error| unusable(&error))?;
        }
        let names = store.subjects().iter().map(|name| name.as_ref().to_vec()).collect();
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
            .with_crls(lists.clone().map(|kept| kept.crl.der.clone()))
            .build()
            .map_err(|error| unusable(&error))?;
        let lists = lists.map(|kept| (kept.crl.issuer.clone(), kept.usable_until)).collect();
        Ok(Self { inner, names, lists, asks_lists })
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        self.inner.verify_client_cert(end_entity, intermediates, now)?;
        // With no list at all nothing was asked, and what was not asked is not known.
        if self.asks_lists && self.lists.is_empty() {
            return Err(CertificateError::UnknownRevocationStatus.into());
        }
        // Invariant: every list that was just asked is of an issuer of the chain, so an old one is found here. It was
        // asked first, because "revoked" stays true however old the list that says it.
        let now = Timestamp::from_unix_micros(i64::try_from(now.as_secs()).unwrap_or(i64::MAX / 1_000_000) * 1_000_000);
        let issuers = if self.lists.is_empty() { Vec::new() } else { issuers(end_entity, intermediates) };
        let is_too_old = |(issuer, until): &(Vec<u8>, Timestamp)| *until <= now && issuers.contains(issuer);
        if self.lists.iter().any(is_too_old) {
            return Err(CertificateError::ExpiredRevocationList.into());
        }
        Ok(())
    }
}

/// Whether a CA bears a name.
pub(super) fn is_named(ca: &CertificateDer<'_>, name: &[u8]) -> bool {
    x509_parser::parse_x509_certificate(ca).is_ok_and(|(_, ca)| ca.subject().as_raw() == name)
}

fn issuers(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    let issuer = |der: &CertificateDer<'_>| {
        x509_parser::parse_x509_certificate(der).ok().map(|(_, parsed)| parsed.issuer().as_raw().to_vec())
    };
    std::iter::once(end_entity).chain(intermediates).filter_map(issuer).collect()
}

/// Of several CAs' answers the one that says most: a CA that knows the certificate before those that do not.
fn weight(error: &Error) -> u8 {
    match Refusal::of(error) {
        None | Some(Refusal::Missing) => 0,
        Some(Refusal::Foreign) => 1,
        Some(Refusal::FalseSignature) => 2,
        Some(Refusal::NotAllowed | Refusal::WeakKey) => 3,
        Some(Refusal::NotForClients | Refusal::NotYetValid | Refusal::Expired) => 4,
        Some(Refusal::CrlMissing) => 5,
        Some(Refusal::CrlTooOld) => 6,
        Some(Refusal::Revoked) => 7,
        Some(Refusal::Malformed) => 8,
    }
}
