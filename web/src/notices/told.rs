//! An event as it is told outside. There is no place in it for a patient or for what somebody wrote: what is not here
//! cannot leak by mail.

use config::{Config, NoticeEvent};
use policy::{AppId, DeviceId, GrantId, ProviderId, Timestamp};
use serde_json::{Map, Value, json};
use store::{GlassVerdict, GrantDuty};

/// An event as it is told outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What happened; absent where a notice is only tried out.
    pub event: Option<NoticeEvent>,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: By,
    /// What is known of it, the most telling first.
    pub facts: Vec<ToldFact>,
    /// The path of the console's page about it, where there is one.
    pub place: Option<String>,
}

/// Who did something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// A person.
    Person {
        /// As people call them.
        name: String,
        /// As they sign in.
        login: String,
    },
    /// Somebody at the machine, by the name the system has for them.
    Machine(String),
    /// The gateway by itself.
    Gateway,
}

/// One thing that is known of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToldFact {
    /// Whom it is about.
    Person {
        /// As people call them.
        name: String,
        /// As they sign in.
        login: String,
    },
    /// Which app.
    App(AppId),
    /// Which device.
    Device(DeviceId),
    /// Which provider.
    Provider(ProviderId),
    /// Which version of configuration and policy.
    Version(u64),
    /// Which exception.
    Grant(GrantId),
    /// Its first moment.
    Begin(Timestamp),
    /// The first moment at which it is over.
    End(Timestamp),
    /// Why the glass was broken: a code of the configuration.
    Reason(String),
    /// When a review, a report or an approval is due.
    Due(Timestamp),
    /// What a review says.
    Verdict(GlassVerdict),
    /// What is overdue.
    Duty(GrantDuty),
}

impl Told {
    /// What a receiver of notices is sent to see that it works.
    #[must_use]
    pub fn trial(at: Timestamp, by: By) -> Self {
        Self { event: None, at, by, facts: Vec::new(), place: None }
    }

    /// Its word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.event.map_or("trial", NoticeEvent::code)
    }

    /// The address of the console's page about it.
    #[must_use]
    pub fn link(&self, config: &Config) -> Option<String> {
        let host = config.console_host.as_ref()?;
        Some(format!("{}{}", config.origin(host), self.place.as_deref()?))
    }

    /// The same for programs. Its field names are a promise to receivers.
    #[must_use]
    pub fn data(&self, config: &Config) -> Value {
        let mut data = Map::new();
        data.insert("facility".to_owned(), json!(config.facility.name));
        data.insert("by".to_owned(), self.by.data());
        for fact in &self.facts {
            let (key, value) = fact.data();
            data.insert(key.to_owned(), value);
        }
        data.extend(self.link(config).map(|link| ("link".to_owned(), json!(link))));
        Value::Object(data)
    }
}

impl By {
    fn data(&self) -> Value {
        match self {
            Self::Person { name, login } => json!({ "name": name, "login": login }),
            Self::Machine(name) => json!({ "machine": name }),
            Self::Gateway => json!({ "gateway": true }),
        }
    }
}

impl ToldFact {
    /// Its word, in requests and in the keys of texts.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::App(_) => "app",
            Self::Device(_) => "device",
            Self::Provider(_) => "provider",
            Self::Version(_) => "version",
            Self::Grant(_) => "grant",
            Self::Begin(_) => "begin",
            Self::End(_) => "end",
            Self::Reason(_) => "reason",
            Self::Due(_) => "due",
            Self::Verdict(_) => "verdict",
            Self::Duty(_) => "overdue",
        }
    }

    fn data(&self) -> (&'static str, Value) {
        let value = match self {
            Self::Person { name, login } => json!({ "name": name, "login": login }),
            Self::App(id) => json!(id.as_str()),
            Self::Device(id) => json!(id.as_str()),
            Self::Provider(id) => json!(id.as_str()),
            Self::Version(number) => json!(number),
            Self::Grant(id) => json!(id.as_str()),
            Self::Begin(at) | Self::End(at) | Self::Due(at) => json!(at.to_string()),
            Self::Reason(code) => json!(code),
            Self::Verdict(verdict) => json!(verdict.as_str()),
            Self::Duty(duty) => json!(duty.as_str()),
        };
        (self.code(), value)
    }
}
