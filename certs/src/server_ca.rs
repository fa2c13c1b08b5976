//! A CA for server certificates, in memory: for the demo and for tests. A hospital's certificates come from its own CA
//! or a public one.

use std::fmt;
use std::time::Duration;

use config::{CertificateFiles, Secret};
use policy::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair};

use crate::{CertProblem, files, signing};

/// How long the CA lives.
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// A CA in memory that signs server certificates.
pub struct ServerCa {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

/// A server certificate and its key, just made.
#[derive(Debug)]
pub struct IssuedServer {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// Its private key (PKCS#8), as PEM.
    pub key_pem: Secret,
}

impl fmt::Debug for ServerCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCa(..)")
    }
}

impl ServerCa {
    /// Makes a CA that lives for a year.
    ///
    /// # Errors
    /// [`CertProblem`] if the system yields no random numbers.
    pub fn create(name: &str, at: Timestamp) -> Result<Self, CertProblem> {
        let key = signing::make_key(name)?;
        let mut params = signing::ca_params(name, &key, ExtendedKeyUsagePurpose::ServerAuth);
        signing::set_validity(&mut params, at, signing::end_of(at, LIFETIME));
        let certificate = params.self_signed(&key).map_err(|error| signing::not_made(name, &error))?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// The CA's certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a key and a certificate for host names, wildcards such as `*.hosp.example`, and addresses.
    ///
    /// # Errors
    /// [`CertProblem`] if a name cannot stand in a certificate.
    pub fn issue(&self, names: &[&str], at: Timestamp, lifetime: Duration) -> Result<IssuedServer, CertProblem> {
        let place = names.first().copied().unwrap_or("a server without names");
        let failed = |error: rcgen::Error| signing::not_made(place, &error);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = signing::end_params(place, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.subject_alt_names = rcgen::CertificateParams::new(names).map_err(failed)?.subject_alt_names;
        signing::set_validity(&mut params, at, signing::end_of(at, lifetime));
        let key = signing::make_key(place)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(IssuedServer { certificate_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }
}

impl IssuedServer {
    /// Writes both files, readable by their owner only, replacing what stands there.
    ///
    /// # Errors
    /// [`CertProblem`] if a file cannot be written.
    pub fn save(&self, to: &CertificateFiles) -> Result<(), CertProblem> {
        files::write_private(&to.key, self.key_pem.expose().as_bytes())?;
        files::write_private(&to.certificate, self.certificate_pem.as_bytes())
    }
}
