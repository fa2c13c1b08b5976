//! Who is notified of what, by mail or webhook.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use policy::NoticeId;
use url::Url;

use crate::Secret;

/// The longest mail address, in bytes (RFC 5321 section 4.5.3.1.3).
const ADDRESS_BYTES_MAX: usize = 254;

/// One receiver of notices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Its name; how far it was told is kept under it.
    pub id: NoticeId,
    /// What it is told of; never empty.
    pub events: BTreeSet<NoticeEvent>,
    /// How it is told.
    pub to: NoticeTo,
    /// In which language.
    pub language: NoticeLanguage,
}

/// How a receiver is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoticeTo {
    /// By mail to these addresses; never none. The configuration has a mail server then.
    Mail(Vec<MailAddress>),
    /// By a request to a server.
    Webhook(Webhook),
}

/// A server that is told by a signed request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    /// Where: `https`, or `http` on this machine.
    pub url: Url,
    /// What requests are signed with.
    pub key: WebhookKey,
    /// The CA of its certificate; those of the system where absent.
    pub ca_file: Option<PathBuf>,
}

/// What requests to a webhook are signed with. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey(Secret);

impl WebhookKey {
    /// Wraps the base64 that follows `whsec_`, which the caller has found to be right.
    pub(crate) fn new(base64: Secret) -> Self {
        Self(base64)
    }

    /// The key in base64; hand it to nothing that prints.
    #[must_use]
    pub fn expose_base64(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(..)")
    }
}

/// The language of what is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeLanguage {
    /// Japanese.
    Japanese,
    /// English.
    English,
}

/// The hospital's mail server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailServer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: MailEncryption,
    /// The CA of its certificate; those of the system where absent.
    pub ca_file: Option<PathBuf>,
    /// The name its certificate must hold; that of the address where absent.
    pub server_name: Option<String>,
    /// Who the mail is from.
    pub from: MailAddress,
    /// How the gateway logs in there, where it does.
    pub login: Option<MailLogin>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailEncryption {
    /// TLS once the server said who it is (RFC 3207); without it nothing is sent.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all: for a server that knows no TLS, on a network of the hospital's own.
    None,
}

/// A name and a password at the mail server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailLogin {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A mail address in ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MailAddress(String);

impl MailAddress {
    /// Reads an address: what RFC 5321 calls a mailbox, without quotes.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_atom = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
        };
        let is_label = |part: &str| {
            let in_it = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            !part.is_empty() && in_it && !part.starts_with('-') && !part.ends_with('-')
        };
        let known = text.rsplit_once('@').filter(|(local, domain)| {
            local.split('.').all(is_atom) && domain.split('.').all(is_label) && text.len() <= ADDRESS_BYTES_MAX
        });
        match known {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(format!("`{}` is not a mail address", text.escape_debug())),
        }
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that somebody may be notified of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NoticeEvent {
    /// Somebody broke the glass.
    GlassBroken,
    /// Somebody judged how the glass was broken.
    GlassReviewed,
    /// A vendor's window was asked for.
    GrantRequested,
    /// Somebody of the hospital approved it.
    GrantApproved,
    /// Somebody on duty let the person in before it was approved.
    GrantAdmitted,
    /// Somebody of the hospital refused it.
    GrantRefused,
    /// Whoever asked took it back.
    GrantWithdrawn,
    /// A window, or broken glass, was ended before its time.
    GrantEnded,
    /// What was done in a window was reported.
    GrantReported,
    /// Somebody of the hospital confirmed the report.
    GrantConfirmed,
    /// Something that was due of an exception is overdue: an approval, a report, a review.
    GrantOverdue,
    /// A person was disabled.
    PersonDisabled,
    /// A device was revoked.
    DeviceRevoked,
    /// A version of configuration and policy was proposed.
    PolicyProposed,
    /// Another person approved a version.
    PolicyApproved,
    /// A provider is taken as out.
    OutageBegan,
    /// A provider is back.
    OutageEnded,
}

impl NoticeEvent {
    /// All of them, with their words in the configuration: the codes that the log has for them.
    pub const ALL: [(&'static str, Self); 17] = [
        ("glass-broken", Self::GlassBroken),
        ("glass-reviewed", Self::GlassReviewed),
        ("grant-requested", Self::GrantRequested),
        ("grant-approved", Self::GrantApproved),
        ("grant-admitted", Self::GrantAdmitted),
        ("grant-refused", Self::GrantRefused),
        ("grant-withdrawn", Self::GrantWithdrawn),
        ("grant-ended", Self::GrantEnded),
        ("grant-reported", Self::GrantReported),
        ("grant-confirmed", Self::GrantConfirmed),
        ("grant-overdue", Self::GrantOverdue),
        ("person-disabled", Self::PersonDisabled),
        ("device-revoked", Self::DeviceRevoked),
        ("policy-proposed", Self::PolicyProposed),
        ("policy-approved", Self::PolicyApproved),
        ("outage-began", Self::OutageBegan),
        ("outage-ended", Self::OutageEnded),
    ];

    /// Its word in the configuration, in requests to webhooks, and in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::GlassBroken => "glass-broken",
            Self::GlassReviewed => "glass-reviewed",
            Self::GrantRequested => "grant-requested",
            Self::GrantApproved => "grant-approved",
            Self::GrantAdmitted => "grant-admitted",
            Self::GrantRefused => "grant-refused",
            Self::GrantWithdrawn => "grant-withdrawn",
            Self::GrantEnded => "grant-ended",
            Self::GrantReported => "grant-reported",
            Self::GrantConfirmed => "grant-confirmed",
            Self::GrantOverdue => "grant-overdue",
            Self::PersonDisabled => "person-disabled",
            Self::DeviceRevoked => "device-revoked",
            Self::PolicyProposed => "policy-proposed",
            Self::PolicyApproved => "policy-approved",
            Self::OutageBegan => "outage-began",
            Self::OutageEnded => "outage-ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_mailbox_and_nothing_that_a_mail_server_could_misread() {
        for good in ["jimu@hospital.example.jp", "a.b+sekimori@mail", "o'neil@x-y.example"] {
            assert_eq!(MailAddress::parse(good).unwrap().as_str(), good);
        }
        let long = format!("{}@example.jp", "a".repeat(250));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\r\nRCPT TO:<x@y>",
            "<a@b>",
            "a@b>",
            "a,b@c",
            "a@b.",
            "a..b@c",
            ".a@b",
            "a@-b",
            "佐藤@example.jp",
            "a@病院.jp",
            "\"a\"@b",
            &long,
        ] {
            assert!(MailAddress::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(MailAddress::parse("a@b.example").unwrap().domain(), "b.example");
    }

    #[test]
    fn every_event_is_written_as_its_code() {
        for (word, event) in NoticeEvent::ALL {
            assert_eq!(word, event.code());
        }
    }
}
