//! A CA that signs the certificates of all nodes at once and is forgotten: there is no key of it to keep. Whoever has a CA
//! of their own for machines uses that instead.

use std::fmt;
use std::time::Duration;

use config::Secret;
use policy::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};

use crate::{CertProblem, IssuedServer, signing};

/// A CA in memory that signs the certificates of nodes.
pub struct NodeCa {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    begin: Timestamp,
    end: Timestamp,
}

impl fmt::Debug for NodeCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeCa(..)")
    }
}

impl NodeCa {
    /// Makes a CA. It and all that it signs live for so long.
    ///
    /// # Errors
    /// [`CertProblem`] if the system yields no random numbers.
    pub fn create(facility: &str, at: Timestamp, lifetime: Duration) -> Result<Self, CertProblem> {
        let name = format!("{facility} nodes");
        let key = signing::make_key(&name)?;
        let mut params = signing::ca_params(&name, &key, ExtendedKeyUsagePurpose::ServerAuth);
        // A node asks, and is asked.
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let end = signing::end_of(at, lifetime);
        signing::set_validity(&mut params, at, end);
        let certificate = params.self_signed(&key).map_err(|error| signing::not_made(&name, &error))?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key), begin: at, end })
    }

    /// The CA's certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a key and a certificate for a node.
    ///
    /// # Errors
    /// [`CertProblem`] if the name cannot stand in a certificate.
    pub fn issue(&self, node: &str) -> Result<IssuedServer, CertProblem> {
        let failed = |error: rcgen::Error| signing::not_made(node, &error);
        let mut params = signing::end_params(node, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        params.subject_alt_names = vec![SanType::DnsName(node.try_into().map_err(failed)?)];
        signing::set_validity(&mut params, self.begin, self.end);
        let key = signing::make_key(node)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(IssuedServer { certificate_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }
}
