//! Host names as routing and policy compare them: lower case, no port, no trailing dot.

use std::fmt;
use std::sync::Arc;

/// A host name that was read in exactly one way (RFC 1123 labels; no port, address or trailing dot).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

/// Why a text is not a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host name: labels of a-z, 0-9 and `-`, joined by dots, without port or trailing dot")]
pub struct HostProblem(String);

impl Host {
    /// Reads a host name and lowers its case.
    ///
    /// # Errors
    /// [`HostProblem`] for anything two readers could read differently: empty labels, a trailing dot,
    /// a port, an address, characters outside letters, digits and `-`.
    pub fn parse(text: &str) -> Result<Self, HostProblem> {
        let problem = || HostProblem(text.chars().take(80).collect::<String>().escape_default().to_string());
        let all_labels_fit = text.len() <= 253 && text.split('.').all(label_fits);
        let last_is_numeric = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if !all_labels_fit || last_is_numeric {
            return Err(problem());
        }
        Ok(Self(Arc::from(text.to_ascii_lowercase())))
    }

    /// Reads a `Host` header or `:authority`: a host name, with an optional port that is dropped
    /// (the listener is known from the connection, so a port decides nothing).
    ///
    /// # Errors
    /// [`HostProblem`] as for [`Host::parse`], and for a port that is not 1 to 5 digits.
    pub fn parse_authority(text: &str) -> Result<Self, HostProblem> {
        let Some((name, port)) = text.split_once(':') else { return Self::parse(text) };
        let port_fits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
        if !port_fits {
            return Err(HostProblem(text.chars().take(80).collect::<String>().escape_default().to_string()));
        }
        Self::parse(name)
    }

    /// The name as text, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn label_fits(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_spelling() {
        assert_eq!(Host::parse("EMR.Hosp.example.JP").unwrap(), Host::parse("emr.hosp.example.jp").unwrap());
        assert_eq!(Host::parse_authority("emr.example:8443").unwrap().as_str(), "emr.example");
    }

    #[test]
    fn whatever_could_be_read_twice_is_refused() {
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a_b.example",
            "-a.example",
            "a-.example",
            "10.0.0.1",
            "[::1]",
            "a b",
            "user@a.example",
            "a.example/",
            "病院.example",
            "a.example:",
            "a.example:x",
            "a.example:443:443",
            "a.example:123456",
            "a%2eexample",
            "a.example\0",
        ] {
            assert!(Host::parse_authority(bad).is_err(), "{bad:?}");
        }
    }
}
