//! Revocation lists (CRL, RFC 5280 section 5) of CAs other than the gateway's own: what a file holds, and how long it is
//! to be believed.

use std::path::Path;
use std::time::Duration;

use policy::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::der::moment;
use crate::{CertProblem, files};

/// `2.5.29.27`, what a list bears that only adds to another.
const DELTA: [u64; 4] = [2, 5, 29, 27];

/// A revocation list, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    pub(crate) der: CertificateRevocationListDer<'static>,
    /// The issuer's name in DER, as certificates name it.
    pub(crate) issuer: Vec<u8>,
    /// The same in words.
    pub(crate) issuer_in_words: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) next_at: Timestamp,
    /// Which part of the CA's certificates it is about, in DER; nothing for all.
    part: Option<Vec<u8>>,
}

/// Why bytes are no revocation list that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CrlProblem {
    /// Neither PEM nor DER of a list.
    #[error("holds no readable revocation list")]
    Malformed,
    /// It only adds to another list.
    #[error("holds a delta list, which cannot be used alone")]
    Delta,
    /// It does not say when the next one comes.
    #[error("does not say when the next list comes")]
    NoNextUpdate,
    /// Signed with SHA-1.
    #[error("is signed with SHA-1")]
    WeakSignature,
}

impl CrlProblem {
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Malformed => "give the CA's list as PEM (`BEGIN X509 CRL`) or DER",
            Self::Delta => "give the CA's base list",
            Self::NoNextUpdate => "let the CA publish lists with nextUpdate",
            Self::WeakSignature => "let the CA sign its lists with SHA-256",
        }
    }
}

impl Crl {
    /// Reads every list of a file: one in DER, or any number as PEM.
    ///
    /// # Errors
    /// [`CrlProblem`] of the first that cannot be used.
    pub fn read(bytes: &[u8]) -> Result<Vec<Self>, CrlProblem> {
        let found: Vec<_> = CertificateRevocationListDer::pem_slice_iter(bytes)
            .collect::<Result<_, _>>()
            .map_err(|_| CrlProblem::Malformed)?;
        if found.is_empty() {
            return Ok(vec![Self::read_der(bytes)?]);
        }
        found.iter().map(|der| Self::read_der(der)).collect()
    }

    fn read_der(der: &[u8]) -> Result<Self, CrlProblem> {
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| CrlProblem::Malformed)?;
        if !rest.is_empty() {
            return Err(CrlProblem::Malformed);
        }
        let signed_with = &list.signature_algorithm.algorithm;
        if *signed_with == OID_PKCS1_SHA1WITHRSA || *signed_with == OID_SHA1_WITH_RSA {
            return Err(CrlProblem::WeakSignature);
        }
        if list.extensions().iter().any(|found| found.oid.iter().is_some_and(|oid| oid.eq(DELTA))) {
            return Err(CrlProblem::Delta);
        }
        let part = list.extensions().iter().find(|found| found.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
        Ok(Self {
            der: CertificateRevocationListDer::from(der.to_vec()),
            issuer: list.issuer().as_raw().to_vec(),
            issuer_in_words: list.issuer().to_string(),
            issued_at: moment(list.last_update()),
            next_at: moment(list.next_update().ok_or(CrlProblem::NoNextUpdate)?),
            part: part.map(|found| found.value.to_vec()),
        })
    }

    /// Reads the lists of a file.
    pub(crate) fn load(file: &Path) -> Result<Vec<Self>, CertProblem> {
        Self::read(&files::read(file)?).map_err(|problem| CertProblem::at(file, problem.to_string(), problem.remedy()))
    }

    /// Whether a CA signed it.
    pub(crate) fn is_signed_by(&self, ca: &CertificateDer<'_>) -> bool {
        let (Ok((_, list)), Ok((_, ca))) =
            (CertificateRevocationList::from_der(&self.der), x509_parser::parse_x509_certificate(ca))
        else {
            return false;
        };
        ca.subject().as_raw() == self.issuer && list.verify_signature(ca.public_key()).is_ok()
    }

    /// Whether another list is about the same certificates and was made earlier, or is the same. Which key signed the two
    /// is the caller's to compare: two CAs may bear one name.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.part == other.part && other.issued_at <= self.issued_at
    }

    /// Until when it is believed: its own word, or the age that the configuration allows, whichever ends first.
    pub(crate) fn usable_until(&self, age_max: Duration) -> Timestamp {
        self.next_at.min(self.issued_at.after(age_max))
    }
}

#[cfg(test)]
mod tests;
