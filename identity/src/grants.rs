//! Exceptions to the rules of every day: vendors' windows and broken glass. In memory is what is given and not over, so
//! that a request finds out at once what is in force for its person and app.
//!
//! An exception comes into memory only by [`Grants::reload`], which the gateway calls once what gave it stands in the
//! log; it leaves it at once, when it is ended or when somebody who gave it could give none any more.

use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::Config;
use foldhash::{HashMap, HashMapExt as _, HashSet};
use policy::{AppId, Grant, GrantId, GrantKind, Method, Path, RoleId, Timestamp, Unit, UserId};
use store::{GrantFilter, GrantReach, GrantRecord, Ruling, Store, StoreProblem};
use tokio::sync::watch;

pub use desk::{AskedWindow, BrokenGlass, GrantProblem};
use rules::Rules;

mod desk;
mod rules;

/// An exception that is given, and not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its name.
    pub id: GrantId,
    /// Which kind of exception.
    pub kind: GrantKind,
    /// Whose it is.
    pub person: UserId,
    /// For which app.
    pub app: AppId,
    /// Its first moment.
    pub begin: Timestamp,
    /// The first moment at which it is over.
    pub end: Timestamp,
    /// Which requests it reaches.
    pub reach: GrantReach,
    /// The patient it is for, where that is known.
    pub patient: Option<String>,
    /// The ward it is for, where no one patient is and that is known.
    pub ward: Option<Unit>,
    /// Who gave it, and would have to be able to still.
    givers: Vec<UserId>,
}

/// The ward that a request names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum NamedWard {
    /// None.
    #[default]
    Nothing,
    /// This one.
    One(Unit),
    /// Several, what is no name of one, or none where it may be about any.
    Unclear,
}

impl NamedWard {
    /// The ward, where it is one.
    #[must_use]
    pub fn one(&self) -> Option<&Unit> {
        match self {
            Self::One(ward) => Some(ward),
            Self::Nothing | Self::Unclear => None,
        }
    }
}

/// A request for which somebody looks for an exception.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub person: &'a UserId,
    /// For which app.
    pub app: &'a AppId,
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a Path,
    /// The patients that the request names; empty where it names none.
    pub patients: &'a [Box<str>],
    /// The ward that the request names.
    pub ward: &'a NamedWard,
    /// The ward where a patient is known to be.
    pub place_of: &'a dyn Fn(&str) -> Option<Unit>,
    /// When.
    pub at: Timestamp,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("person", self.person).field("app", self.app).finish_non_exhaustive()
    }
}

/// What is given and not over, read whole, replaced whole.
pub struct Grants {
    store: Arc<dyn Store>,
    rules: ArcSwap<Rules>,
    table: ArcSwap<Table>,
    /// Held while the table is replaced, so that an older reading never overwrites a newer one.
    replacing: tokio::sync::Mutex<()>,
    replaced: watch::Sender<()>,
}

#[derive(Clone, Default)]
struct Table(HashMap<UserId, Vec<Arc<Granted>>>);

impl Grants {
    /// None, until they are read.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: &Config) -> Self {
        Self::held_to(Rules::of(config), store)
    }

    fn held_to(rules: Rules, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            rules: ArcSwap::from_pointee(rules),
            table: ArcSwap::default(),
            replacing: tokio::sync::Mutex::new(()),
            replaced: watch::Sender::new(()),
        }
    }

    /// Takes what the hospital asks of exceptions from another configuration. What it would not give any more leaves
    /// with the next [`Grants::narrow`].
    pub fn hold_to(&self, config: &Config) {
        self.rules.store(Arc::new(Rules::of(config)));
    }

    /// Whether somebody has any that is given, so that it is worth looking closer.
    #[must_use]
    pub fn has_any(&self, person: &UserId) -> bool {
        self.table.load().0.contains_key(person)
    }

    /// The exception that is in force for a request: a vendor's window before broken glass, and glass that was broken
    /// for one patient, or for a ward, only where the request names nobody else.
    #[must_use]
    pub fn find(&self, asked: &Asked<'_>) -> Option<Grant> {
        let table = self.table.load();
        let theirs = table.0.get(asked.person)?;
        let in_force = |one: &&Arc<Granted>| one.app == *asked.app && one.is_in_force(asked.at) && one.is_about(asked);
        let found =
            theirs.iter().filter(in_force).min_by_key(|one| (one.kind, one.patient.is_none(), one.ward.is_none()))?;
        let reaches = found.reach.covers(asked.method, asked.path);
        Some(Grant { id: found.id.clone(), kind: found.kind, end: found.end, reaches })
    }

    /// The same exception, as it is at a later moment; none once it is over.
    #[must_use]
    pub fn again(&self, grant: &Grant, person: &UserId, at: Timestamp) -> Option<Grant> {
        let table = self.table.load();
        let one = table.0.get(person)?.iter().find(|one| one.id == grant.id && one.is_in_force(at))?;
        Some(Grant { end: one.end, ..grant.clone() })
    }

    /// What somebody has in force at a moment, in all apps.
    #[must_use]
    pub fn of(&self, person: &UserId, at: Timestamp) -> Vec<Arc<Granted>> {
        let table = self.table.load();
        table.0.get(person).into_iter().flatten().filter(|one| one.is_in_force(at)).cloned().collect()
    }

    /// What is given, everybody's, whether it has begun or not.
    #[must_use]
    pub fn given(&self) -> Vec<Arc<Granted>> {
        self.table.load().0.values().flatten().cloned().collect()
    }

    /// Waits until an exception is in memory, at most this long. False if it did not come.
    pub async fn wait_for(&self, id: &GrantId, most: Duration) -> bool {
        let mut replaced = self.replaced.subscribe();
        let came = async {
            while !self.table.load().0.values().flatten().any(|one| one.id == *id) {
                if replaced.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(most, came).await.unwrap_or(false)
    }

    /// Reads everything again, so that what was given comes into force; true if it did. `may_take` is asked once all is
    /// read: false leaves everything as it was, because something that was read is not in the log yet.
    ///
    /// # Errors
    /// [`StoreProblem`]; nothing comes into force that was not.
    pub async fn reload<F>(&self, at: Timestamp, may_take: impl FnOnce() -> F + Send) -> Result<bool, StoreProblem>
    where
        F: Future<Output = Result<bool, StoreProblem>> + Send,
    {
        let _replacing = self.replacing.lock().await;
        let table = self.read(at).await?;
        // Invariant: asked after the reading, so that whatever gave what was read is seen by who is asked.
        let may_take = may_take().await?;
        if may_take {
            self.replace(table);
        }
        Ok(may_take)
    }

    /// Reads everything again and keeps what is in force already and still given.
    ///
    /// # Errors
    /// [`StoreProblem`]; what rests on one of `doubted` leaves all the same.
    pub async fn narrow(&self, doubted: &HashSet<UserId>, at: Timestamp) -> Result<(), StoreProblem> {
        let _replacing = self.replacing.lock().await;
        let before = Table::clone(&self.table.load());
        match self.read(at).await {
            Ok(table) => {
                self.replace(table.only_those(|one| before.has(&one.id)));
                Ok(())
            }
            Err(problem) => {
                let rests_on_them = |one: &Granted| one.givers.iter().any(|giver| doubted.contains(giver));
                self.replace(before.only_those(|one| !rests_on_them(one)));
                Err(problem)
            }
        }
    }

    /// Takes the end of an exception into account at once, whatever the store answers later.
    pub async fn note_ended(&self, id: &GrantId) {
        let _replacing = self.replacing.lock().await;
        let table = Table::clone(&self.table.load());
        self.replace(table.only_those(|one| one.id != *id));
    }

    /// Whether somebody gave one that is in memory.
    #[must_use]
    pub fn rest_on(&self, person: &UserId) -> bool {
        self.table.load().0.values().flatten().any(|one| one.givers.contains(person))
    }

    fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
        self.replaced.send_replace(());
    }

    async fn read(&self, at: Timestamp) -> Result<Table, StoreProblem> {
        let filter = GrantFilter { not_over_at: Some(at), ..GrantFilter::default() };
        let mut records: Vec<GrantRecord> = Vec::new();
        loop {
            let after = records.last().map(|last| last.id.clone());
            let page = self.store.grants(filter.clone(), after, store::GRANTS_READ_MAX).await?;
            let is_last = page.len() < store::GRANTS_READ_MAX;
            records.extend(page);
            if is_last {
                break;
            }
        }
        let mut roles = HashMap::new();
        for giver in records.iter().flat_map(rules::givers) {
            if let Entry::Vacant(entry) = roles.entry(giver) {
                let person = self.store.person(entry.key()).await?;
                let in_force = person.filter(|person| person.disabled.is_none());
                entry.insert(in_force.map(|person| person.roles).unwrap_or_default());
            }
        }
        let rules = self.rules.load();
        let mut table = Table::default();
        for record in records.into_iter().filter(|record| rules.still_give(record, &roles)) {
            table.0.entry(record.person.clone()).or_default().push(Arc::new(Granted::of(record)));
        }
        Ok(table)
    }
}

impl Granted {
    fn of(record: GrantRecord) -> Self {
        Self {
            kind: record.kind,
            begin: record.begin,
            end: record.over_at(),
            reach: record.maintenance().map(|one| one.reach.clone()).unwrap_or_default(),
            patient: record.glass().and_then(|glass| glass.patient.clone()),
            ward: record.glass().and_then(|glass| glass.ward.clone()),
            givers: rules::givers(&record).collect(),
            id: record.id,
            person: record.person,
            app: record.app,
        }
    }

    /// Whether it is in force at a moment: from its first one, up to the one at which it is over.
    #[must_use]
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.begin <= at && at < self.end
    }

    /// Whether a request names nobody but the patient, or the ward, it is for.
    fn is_about(&self, asked: &Asked<'_>) -> bool {
        match (&self.patient, &self.ward) {
            // A list of a ward is about more than them.
            (Some(patient), _) => {
                asked.patients.iter().all(|named| **named == **patient)
                    && (!asked.patients.is_empty() || *asked.ward == NamedWard::Nothing)
            }
            (None, Some(ward)) => is_within(ward, asked),
            (None, None) => true,
        }
    }
}

impl Table {
    fn has(&self, id: &GrantId) -> bool {
        self.0.values().flatten().any(|one| one.id == *id)
    }

    fn only_those(mut self, keep: impl Fn(&Granted) -> bool) -> Self {
        for theirs in self.0.values_mut() {
            theirs.retain(|one| keep(one));
        }
        self.0.retain(|_, theirs| !theirs.is_empty());
        self
    }
}

/// Whether a request stays within a ward: it names no other, and no patient who is known to be elsewhere. Of whom nothing
/// is known counts as elsewhere, unless the request names the ward, too: then the app answers for who is in it.
fn is_within(ward: &Unit, asked: &Asked<'_>) -> bool {
    let named = match asked.ward {
        NamedWard::Nothing => None,
        NamedWard::One(named) => Some(named),
        NamedWard::Unclear => return false,
    };
    named.is_none_or(|named| ward.covers(named))
        && asked.patients.iter().all(|patient| {
            let place = (asked.place_of)(patient);
            place.as_ref().or(named).is_some_and(|place| ward.covers(place))
        })
}

/// The actors of some rulings who are people, not somebody at the machine.
fn people<'a>(rulings: impl Iterator<Item = &'a Ruling>) -> impl Iterator<Item = UserId> {
    rulings.filter_map(|ruling| UserId::parse(&ruling.by).ok())
}

fn has_one_of(roles: &[RoleId], wanted: &[RoleId]) -> bool {
    roles.iter().any(|role| wanted.contains(role))
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.table.load().0.values().map(Vec::len).sum::<usize>();
        f.debug_struct("Grants").field("grants", &known).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
