//! How many requests one person, and one app, may have open at once. A rate alone does not bound that: what is slow piles
//! up. Only what is allowed takes a place: whoever is refused is told why, and how the glass is broken, whatever is open, and
//! holds nobody else's. Broken glass finds a place always; our own pages take none, so that whoever is at their bound can
//! still sign out, ask for help or break the glass.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::App;
use foldhash::HashMap;
use foldhash::fast::RandomState;
use policy::{Access, AppId, GrantKind, UserId};
use web::Fault;

/// Parts that are locked one by one.
const SHARDS: usize = 64;
/// What whoever has too much open is told to wait.
const WAIT: Duration = Duration::from_secs(1);

/// Whose requests are counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Whose {
    Person(UserId),
    App(AppId),
}

/// What is open, by person and app. Nothing is kept of those who have nothing open.
#[derive(Debug)]
pub struct Places {
    shards: Vec<Mutex<HashMap<Whose, usize>>>,
    keyed: RandomState,
}

impl Default for Places {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), keyed: RandomState::default() }
    }
}

/// The places of one open request, given back when dropped.
#[derive(Debug)]
pub struct Held {
    _person: Option<Place>,
    _app: Option<Place>,
}

#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    whose: Whose,
}

impl Places {
    /// Takes the places that an access to an app needs: one of its person's, and one of the app's where that has a bound.
    ///
    /// # Errors
    /// What to answer where there is none.
    pub fn take(self: &Arc<Self>, app: &App, access: &Access, account_max: usize) -> Result<Held, Fault> {
        let is_glass = access.grant.as_ref().is_some_and(|grant| grant.kind == GrantKind::Glass);
        let bound = |most| if is_glass { usize::MAX } else { most };
        let person = match &access.who {
            Some(who) => {
                let place = self.one(Whose::Person(who.user.clone()), bound(account_max));
                Some(place.ok_or(Fault::TooManyRequests(WAIT))?)
            }
            None => None,
        };
        let app = match app.requests_open_max {
            Some(most) => Some(self.one(Whose::App(app.id.clone()), bound(most)).ok_or(Fault::Overloaded)?),
            None => None,
        };
        Ok(Held { _person: person, _app: app })
    }

    fn one(self: &Arc<Self>, whose: Whose, most: usize) -> Option<Place> {
        let mut shard = self.shard(&whose)?.lock().unwrap_or_else(PoisonError::into_inner);
        match shard.get_mut(&whose) {
            Some(open) if *open >= most => return None,
            Some(open) => *open += 1,
            None => {
                shard.insert(whose.clone(), 1);
            }
        }
        Some(Place { places: Arc::clone(self), whose })
    }

    fn shard(&self, whose: &Whose) -> Option<&Mutex<HashMap<Whose, usize>>> {
        self.shards.get(usize::try_from(self.keyed.hash_one(whose) % SHARDS as u64).unwrap_or(0))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(shard) = self.places.shard(&self.whose) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shard.get_mut(&self.whose) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                shard.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Whose {
        Whose::Person(UserId::parse(name).unwrap())
    }

    fn open(places: &Places) -> usize {
        places.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn a_place_is_one_persons_and_is_given_back() {
        let places = Arc::new(Places::default());
        let first = places.one(person("u-1"), 2).unwrap();
        let _second = places.one(person("u-1"), 2).unwrap();
        assert!(places.one(person("u-1"), 2).is_none());
        assert!(places.one(person("u-2"), 2).is_some(), "another person");
        assert!(places.one(Whose::App(AppId::parse("u-1").unwrap()), 2).is_some(), "an app of the same name");
        assert!(places.one(person("u-1"), usize::MAX).is_some(), "broken glass finds a place");
        drop(first);
        assert!(places.one(person("u-1"), 2).is_some());
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_nothing_open() {
        let places = Arc::new(Places::default());
        for number in 0..1_000 {
            drop(places.one(person(&format!("u-{number}")), 2));
        }
        assert_eq!(open(&places), 0);
    }
}
