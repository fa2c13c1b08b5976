//! What was done during an outage, person by person, beside what the provider says of them now that it is back.
//!
//! Pure: the lines come from whoever reads the log, the people from the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::{AppId, ProviderId, RoleId, SessionId, Timestamp, UserId};
use store::Person;

use super::OutagePeriod;

/// One line of the log that is marked as of an outage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutageLine {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub user: UserId,
    /// The name they sign in with.
    pub login: String,
    /// In which roles, where the line says so.
    pub roles: Vec<RoleId>,
    /// The session.
    pub session: Option<SessionId>,
    /// The app.
    pub app: Option<AppId>,
    /// What.
    pub act: OutageAct,
}

/// What a line tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutageAct {
    /// A sign-in by passkey.
    SignedIn,
    /// An access.
    Accessed,
    /// An access that was refused.
    Refused,
}

/// What was done during an outage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutageReport {
    /// Whose outage.
    pub provider: ProviderId,
    /// From when to when.
    pub period: OutagePeriod,
    /// Who did something, by the name they sign in with.
    pub people: Vec<OutagePerson>,
}

/// What one person did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutagePerson {
    /// Who.
    pub user: UserId,
    /// The name they sign in with.
    pub login: String,
    /// Their name as people read it, where they are known.
    pub name: Option<String>,
    /// The roles they acted in, sorted.
    pub roles: Vec<RoleId>,
    /// Their sessions.
    pub sessions: Vec<SessionId>,
    /// How many accesses, by app.
    pub accesses: BTreeMap<AppId, u64>,
    /// How many accesses were refused.
    pub refused: u64,
    /// The first line.
    pub first_at: Timestamp,
    /// The last line.
    pub last_at: Timestamp,
    /// What is known of them since.
    pub standing: OutageStanding,
}

/// What is known of a person since the outage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutageStanding {
    /// The provider confirmed them, with every role they acted in.
    Confirmed,
    /// The provider confirmed them without these roles: look at what they did in them.
    RolesLost(Vec<RoleId>),
    /// They were disabled: look at what they did.
    Disabled(Timestamp),
    /// They have not signed in at the provider since.
    NotSeen,
    /// They are not in the directory.
    Unknown,
}

impl OutageStanding {
    /// Its code on the command line and on pages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::RolesLost(_) => "roles-lost",
            Self::Disabled(_) => "disabled",
            Self::NotSeen => "not-seen",
            Self::Unknown => "unknown",
        }
    }
}

impl OutageReport {
    /// Sorts lines of the log by person. Lines from before the outage, from later than its end and `grace`, and of
    /// people of other providers are left out.
    #[must_use]
    pub fn of(
        provider: &ProviderId,
        period: OutagePeriod,
        grace: Duration,
        lines: impl IntoIterator<Item = OutageLine>,
        people: &[Person],
    ) -> Self {
        let known: BTreeMap<&UserId, &Person> = people.iter().map(|person| (&person.id, person)).collect();
        let latest = period.until.map(|until| until.after(grace));
        let concerns = |line: &OutageLine| {
            let in_time = line.at >= period.since && latest.is_none_or(|latest| line.at <= latest);
            in_time && known.get(&line.user).is_none_or(|person| person.provider == *provider)
        };
        let mut found: BTreeMap<UserId, Found> = BTreeMap::new();
        for line in lines.into_iter().filter(concerns) {
            found.entry(line.user.clone()).or_insert_with(|| Found::new(&line)).add(line);
        }
        let mut people: Vec<OutagePerson> =
            found.into_iter().map(|(user, found)| found.judged(known.get(&user).copied(), user, &period)).collect();
        people.sort_by(|one, other| (&one.login, &one.user).cmp(&(&other.login, &other.user)));
        Self { provider: provider.clone(), period, people }
    }

    /// How many accesses there were in all.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.people.iter().flat_map(|person| person.accesses.values()).sum()
    }

    /// How many sessions there were in all.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.people.iter().map(|person| person.sessions.len()).sum()
    }
}

struct Found {
    login: String,
    roles: BTreeSet<RoleId>,
    sessions: BTreeSet<SessionId>,
    accesses: BTreeMap<AppId, u64>,
    refused: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Found {
    fn new(line: &OutageLine) -> Self {
        Self {
            login: line.login.clone(),
            roles: BTreeSet::new(),
            sessions: BTreeSet::new(),
            accesses: BTreeMap::new(),
            refused: 0,
            first_at: line.at,
            last_at: line.at,
        }
    }

    fn add(&mut self, line: OutageLine) {
        self.roles.extend(line.roles);
        self.sessions.extend(line.session);
        self.first_at = self.first_at.min(line.at);
        self.last_at = self.last_at.max(line.at);
        match (line.act, line.app) {
            (OutageAct::Accessed, Some(app)) => {
                let count = self.accesses.entry(app).or_default();
                *count = count.saturating_add(1);
            }
            (OutageAct::Refused, _) => self.refused = self.refused.saturating_add(1),
            (OutageAct::Accessed, None) | (OutageAct::SignedIn, _) => {}
        }
    }

    fn judged(self, person: Option<&Person>, user: UserId, period: &OutagePeriod) -> OutagePerson {
        let standing = person.map_or(OutageStanding::Unknown, |person| self.standing(person, period));
        OutagePerson {
            user,
            login: self.login,
            name: person.map(|person| person.name.clone()),
            roles: self.roles.into_iter().collect(),
            sessions: self.sessions.into_iter().collect(),
            accesses: self.accesses,
            refused: self.refused,
            first_at: self.first_at,
            last_at: self.last_at,
            standing,
        }
    }

    fn standing(&self, person: &Person, period: &OutagePeriod) -> OutageStanding {
        if let Some(disabled) = &person.disabled {
            return OutageStanding::Disabled(disabled.at);
        }
        if period.until.is_none_or(|until| person.confirmed_at < until) {
            return OutageStanding::NotSeen;
        }
        let lost: Vec<RoleId> = self.roles.iter().filter(|role| !person.roles.contains(role)).cloned().collect();
        if lost.is_empty() { OutageStanding::Confirmed } else { OutageStanding::RolesLost(lost) }
    }
}
