//! Identifiers of the domain: short names that configuration, log and pages share.
//! Each is its own type, made only by parsing, so that a role can never stand where an app is meant.

use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// Nothing was given.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("`{0}` is longer than {NAME_BYTES_MAX} characters")]
    TooLong(String),
    /// A character other than `a-z 0-9 . _ -`, or a first character other than a letter or digit.
    #[error("`{0}` may only hold a-z, 0-9, `.`, `_` and `-`, and begins with a letter or digit")]
    BadCharacter(String),
}

fn parse_name(text: &str) -> Result<Arc<str>, NameProblem> {
    if text.is_empty() {
        return Err(NameProblem::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        let shown: String = text.chars().take(NAME_BYTES_MAX).collect();
        return Err(NameProblem::TooLong(shown));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !begins_well || !text.chars().all(allowed) {
        return Err(NameProblem::BadCharacter(text.escape_default().to_string()));
    }
    Ok(Arc::from(text))
}

/// Declares name types: each holds a shared text that was parsed once and clones for nothing.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name: `a-z 0-9 . _ -`, 1 to 64 characters, beginning with a letter or digit.
            ///
            /// # Errors
            /// [`NameProblem`] says what is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, NameProblem> {
                parse_name(text).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameProblem;
            fn from_str(text: &str) -> Result<Self, NameProblem> {
                Self::parse(text)
            }
        }
    )+};
}

names! {
    /// An application behind the gateway, such as `emr` or `pacs`.
    AppId;
    /// A person, stable over sign-ins: derived from issuer and subject, never from an e-mail address.
    UserId;
    /// What a person may act as, such as `nurse`.
    RoleId;
    /// A device in the ledger.
    DeviceId;
    /// An approved, time-boxed exception, such as a vendor's maintenance window.
    GrantId;
    /// One rule of the policy; shown to the person it refused and kept in every record.
    RuleId;
    /// An information class (情報区分): a kind of information that rules may name, such as `lab-results`.
    InfoClass;
    /// A set of rules that several apps share.
    RuleSetId;
    /// A statement of what must never happen.
    StatementId;
    /// A network zone that a listener stands in, such as `inside` or `internet`.
    ZoneId;
    /// An identity provider in the configuration.
    ProviderId;
    /// An attribute of a device's condition, such as `disk_encrypted`.
    PostureName;
    /// A system that reports the condition of devices.
    PostureSourceId;
    /// A receiver of the hospital's own that the access log is told to.
    FeedId;
    /// Somebody who is notified by mail or webhook.
    NoticeId;
    /// One loaded version of configuration and policy; in every record.
    Revision;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_lower_case() {
        assert_eq!(AppId::parse("emr-2.main_a").unwrap().as_str(), "emr-2.main_a");
        for bad in ["", "EMR", "-emr", ".emr", "e mr", "電子カルテ", "a/b", "a\n"] {
            assert!(AppId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(AppId::parse(&"a".repeat(64)).is_ok());
        assert!(AppId::parse(&"a".repeat(65)).is_err());
    }
}
