//! Revocation lists that the gateway fetches by itself, and where they are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// The longest address of a revocation list, in bytes.
const CRL_URL_BYTES_MAX: usize = 2_048;

/// Which revocation lists are fetched, how often, and where they are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CrlFetch {
    /// Where the lists of the CAs in `ca_files` are.
    pub urls: Vec<CrlUrl>,
    /// What certificates say of where their CA's list is.
    pub points: DistributionPoints,
    /// How often each is fetched, at the least.
    pub every: Duration,
    /// The CAs whose certificate a server with `https` may have; those of the system where absent.
    pub server_ca: Option<PathBuf>,
    /// Where what was fetched is kept: a folder in the state directory.
    pub folder: PathBuf,
}

impl CrlFetch {
    /// Whether any list is fetched.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.urls.is_empty() || self.points == DistributionPoints::Use
    }
}

/// Whether the places are used that certificates name for their CA's list (RFC 5280 section 4.2.1.13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DistributionPoints {
    /// They are.
    Use,
    /// They are not.
    Ignore,
}

/// Where a revocation list can be fetched: an address with `http` or `https`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CrlUrl(String);

impl CrlUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > CRL_URL_BYTES_MAX {
            return Err("is too long for an address");
        }
        let url = Url::parse(text).map_err(|_| "is not an address")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("is neither http nor https");
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("has no host");
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("has more than host, path and query");
        }
        // Reading may have escaped characters, each to three.
        let whole = String::from(url);
        if whole.len() > CRL_URL_BYTES_MAX { Err("is too long for an address") } else { Ok(Self(whole)) }
    }

    /// The address in its one form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
